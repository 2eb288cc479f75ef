"""What the dialect reads and answers of workflows and executions. Source: Flowra contract 4.2, 7.1, 8.2."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType, field

from stepwell.http.dialects.flowra.queries import PageQuery
from stepwell.http.dialects.flowra.wire import Wire
from stepwell.values import Json

Object = dict[str, Any]
Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\S")]
Status = Literal["running", "paused", "completed", "failed", "timeout"]
Lifecycle = Literal["draft", "ready"]

# -- queries and bodies


class WorkflowListQuery(PageQuery, kw_only=True):
    """Filters of the list of workflows."""

    workflow_type: str | None = None
    is_active: bool | None = None
    lifecycle: Lifecycle | None = None
    sort_by: Literal["createdAt", "updatedAt", "name"] = "createdAt"  # type: ignore[assignment]


class ExecutionsQuery(PageQuery, kw_only=True):
    """Filters of the list of executions."""

    workflow_id: str | None = None
    status: Status | None = None
    thread_id: str | None = None
    sort_by: Literal["createdAt", "updatedAt", "startedAt"] = "createdAt"  # type: ignore[assignment]


class WorkflowChanges(Wire, kw_only=True):
    """A workflow, or what is to be changed of one. `triggers` replaces all of them."""

    name: Name | UnsetType = UNSET
    description: str | None | UnsetType = UNSET
    agent: Json = None
    graph: Json = None
    triggers: list[Json] | None | UnsetType = UNSET
    workflow_type: str | None = None
    is_public: bool | UnsetType = UNSET
    is_active: bool | None = None
    provenance: Json | UnsetType = UNSET


class NewWorkflow(WorkflowChanges, kw_only=True):
    """A workflow to be made."""

    name: Name


class ActiveBody(Wire):
    """Whether triggers may start the workflow."""

    active_status: bool


class ExecuteBody(Wire):
    """A start. In test mode actions do not leave the server; on a thread the run belongs to it."""

    input: Object = {}
    mode: Literal["production", "test"] = "production"
    thread_id: str | None = None


class ResumeBody(Wire):
    """An answer: `resumeValue`, else `input`, else yes."""

    resume_value: bool | Object | UnsetType = UNSET
    input: Json | UnsetType = UNSET
    execution_id: str | None = None


# -- answers


class ListedWorkflow(Wire, kw_only=True):
    """A workflow as lists show it."""

    id: str
    name: str
    description: str | None
    project_id: str
    agent: Json
    provenance: Json
    triggers: list[Object]
    workflow_type: str
    is_active: bool
    lifecycle: Lifecycle
    is_public: bool
    version: str
    execution_count: int
    successful_execution_count: int
    failed_execution_count: int
    last_executed_at: str | None
    connections: list[str]
    tools: list[str]
    created_at: str
    updated_at: str


class Workflow(ListedWorkflow, kw_only=True):
    """A workflow."""

    graph: Json


class NodeError(Wire):
    """Why a node failed. Of a fault that belongs to no node, its id and type are empty."""

    node_id: str
    node_type: str
    error: str


class ExecutionSummary(Wire):
    """How far the nodes of an execution have come."""

    completed_nodes: list[str]
    failed_nodes: list[str]
    errors: list[NodeError]
    total_nodes: int


class Usage(Wire):
    """What an execution has cost."""

    credits: int = 0
    usd_cost: float | None = None
    breakdown: Object = {}


class ListedExecution(Wire, kw_only=True):
    """An execution as lists show it."""

    id: str
    workflow_id: str
    workflow_name: str
    project_id: str
    euid: str = field(name="eUID")
    is_own_execution: bool
    thread_id: str
    input_data: Json
    output_data: Json
    status: Status
    current_node_id: str | None
    execution_summary: ExecutionSummary
    execution_mode: Literal["production", "test"]
    workflow_type: str
    started_at: str | None
    completed_at: str | None
    execution_duration_ms: int | None
    usage: Usage
    cancelled: bool | UnsetType = UNSET


class Execution(ListedExecution, kw_only=True):
    """An execution with the outputs of its nodes."""

    state: Object


class StartedExecution(Wire):
    """An execution that was started."""

    execution_id: str
    thread_id: str
    workflow_id: str
    status: Status


class ResumedExecution(Wire):
    """An execution that goes on."""

    execution_id: str
    thread_id: str
    status: Status


class ThreadStatus(Wire, kw_only=True):
    """How the newest execution of a thread is."""

    thread_id: str
    execution_id: str
    workflow_id: str
    status: Status
    current_node_id: str | None
    state: Object
    completed_nodes: list[str]
    failed_nodes: list[str]
    errors: list[NodeError]
    usage: Usage
