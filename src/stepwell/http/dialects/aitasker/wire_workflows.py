"""What the dialect reads and answers of workflows and nodes. Source: AITasker contract 4.2, 7."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from stepwell.errors import Fault, ValidationFailed
from stepwell.http.dialects.aitasker.names import uuid_of
from stepwell.values import Json

Object = dict[str, Any]
Title = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^$|\S")]
Cents = Annotated[int, Meta(ge=0, le=10**12)]
Status = Literal["active", "draft", "paused", "archived"]
TriggerType = Literal["manual", "schedule", "webhook"]
NodeType = Literal["task", "api_call", "distribution", "transform"]
Position = Annotated[int, Meta(ge=0, le=2**31)]
Group = Annotated[int, Meta(ge=-(2**31), le=2**31)]
Retries = Annotated[int, Meta(ge=0, le=5)]

# -- queries and bodies


class PageQuery(Struct, kw_only=True):
    """Which part of a list."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    offset: Annotated[int, Meta(ge=0, le=2**31)] = 0


class WorkflowsQuery(PageQuery, kw_only=True):
    """Filters of the list of workflows; archived ones are only in it if asked for."""

    status: Status | None = None


class NodeChanges(Struct, kw_only=True):
    """What is to be changed of a node."""

    position: Position | UnsetType = UNSET
    node_type: NodeType | UnsetType = UNSET
    parallel_group: Group | None | UnsetType = UNSET
    depends_on: list[str] | None | UnsetType = UNSET
    task_template: Object | None | UnsetType = UNSET
    node_config: Object | None | UnsetType = UNSET
    input_mapping: Object | None | UnsetType = UNSET
    max_retries: Retries | UnsetType = UNSET


class NewNode(NodeChanges, kw_only=True):
    """A node to be made."""

    position: Position


class ListedNode(NewNode, kw_only=True):
    """A node to be made together with its workflow; others may name the id that it brings along."""

    id: str | None = None


class WorkflowChanges(Struct, kw_only=True):
    """What is to be changed of a workflow."""

    title: Title | UnsetType = UNSET
    description: str | None | UnsetType = UNSET
    trigger_type: TriggerType | UnsetType = UNSET
    trigger_config: Object | None | UnsetType = UNSET
    auto_accept: bool | UnsetType = UNSET
    auto_accept_preferences: Object | None | UnsetType = UNSET
    max_budget_cents: Cents | None | UnsetType = UNSET
    status: Status | UnsetType = UNSET


class NewWorkflow(WorkflowChanges, kw_only=True):
    """A workflow to be made."""

    title: Title
    nodes: list[ListedNode] = []


def sent(body: Struct) -> Object:
    """The members of a body that were sent."""
    found = {name: getattr(body, name) for name in body.__struct_fields__}
    return {name: value for name, value in found.items() if value is not UNSET}


def node_fields(body: NodeChanges, faults: list[Fault], path: tuple[str | int, ...] = ()) -> Object:
    """What was sent of a node, as it is stored; ids in one form."""
    fields = {name: value for name, value in sent(body).items() if name != "id"}
    if "depends_on" in fields:
        fields["depends_on"] = [
            _id(id, (*path, "depends_on", place), faults) for place, id in enumerate(fields["depends_on"] or [])
        ]
    return fields


def whole_node(fields: Mapping[str, Json], id: str, created_at: int) -> Object:
    """A node as it is stored, what was not sent having its default."""
    plain = {
        "position": 0,
        "node_type": "task",
        "parallel_group": None,
        "depends_on": [],
        "task_template": None,
        "node_config": None,
        "input_mapping": None,
        "max_retries": 1,
    }
    return {"id": id, **plain, **fields, "created_at": created_at}


def refused(faults: list[Fault], body: Struct | None = None) -> ValidationFailed:
    """The refusal of a body."""
    given = None if body is None else msgspec.to_builtins(body)
    return ValidationFailed("Invalid request", faults, within="body", given=given)


def _id(text: str, path: tuple[str | int, ...], faults: list[Fault]) -> str:
    id = uuid_of(text)
    if id is None:
        faults.append(Fault(path, "Input should be a valid UUID"))
    return id or text


# -- answers


class Node(Struct, kw_only=True):
    """A node."""

    id: str
    workflow_id: str
    position: int
    node_type: str
    parallel_group: int | None
    depends_on: list[str]
    task_template: Object | None
    node_config: Object | None
    input_mapping: Object | None
    max_retries: int
    retry_count: int
    created_at: str


class Workflow(Struct, kw_only=True):
    """A workflow with its nodes; `webhook_url` is there only of one that webhooks trigger."""

    id: str
    user_id: str
    title: str
    trigger_type: str
    status: Status
    created_at: str
    updated_at: str
    source_project_id: str | None = None
    description: str | None
    trigger_config: Object | None
    is_template: bool = False
    template_category: str | None = None
    auto_accept: bool
    auto_accept_preferences: Object | None
    max_budget_cents: int | None
    nodes: list[Node]
    workspace_id: str
    webhook_url: str | UnsetType = UNSET
