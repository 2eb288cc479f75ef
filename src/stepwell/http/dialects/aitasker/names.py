"""Names on the wire: bare UUIDs, states. Source: AITasker contract 1, 3, 6."""

from collections.abc import Mapping
from uuid import NAMESPACE_OID, UUID, uuid5

from stepwell import ids
from stepwell.errors import Fault, ValidationFailed
from stepwell.states import RunState

DIALECT = "aitasker"
STATUS: Mapping[RunState, str] = {
    RunState.PENDING: "pending",
    RunState.RUNNING: "running",
    RunState.SUSPENDED: "waiting",
    RunState.PAUSED: "paused",
    RunState.COMPLETED: "completed",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "cancelled",
    RunState.TIMED_OUT: "failed",
}
"""Its word for each state; a run that waits for a timer is `waiting` as well."""
IDS: Mapping[str, str] = {
    "workspace": "<uuid>",
    "workflow": "<uuid>",
    "node": "<uuid>; its step is node_<uuid>",
    "run": "<uuid>",
    "task": "<uuid>",
}
_STEP = "node_"


def path_ids(params: Mapping[str, str], **names: str) -> list[str]:
    """The ids of a path: `parameter=shown name` each, in order.

    Raises:
        ValidationFailed: of some that are no UUIDs; all are told of.
    """
    found = {parameter: uuid_of(params[parameter]) for parameter in names}
    faults = [Fault((names[each],), "Input should be a valid UUID") for each, id in found.items() if id is None]
    if faults:
        given = {names[each]: params[each] for each in names}
        raise ValidationFailed("Invalid request", faults, within="path", given=given)
    return [id for id in found.values() if id is not None]


def check_path(params: Mapping[str, str]) -> None:
    """Raise ValidationFailed unless every parameter of a path is a UUID; the routes' `path_check`."""
    path_ids(params, **{name: "workflow_id" if name == "id" else name for name in params})


def uuid_of(text: str) -> str | None:
    """The UUID in lower case with hyphens, or None if the text is not one; 32 hex digits are one as well."""
    if len(text) == 32:
        text = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return ids.parse(text)


def node_id(workflow: str, step: str) -> str:
    """The id of the node that a step of a workflow is: its own, or one made of both names."""
    own = ids.parse(step.removeprefix(_STEP)) if step.startswith(_STEP) else None
    return own or str(uuid5(UUID(workflow), step))


def node_run_id(run: str, node: str) -> str:
    """The id of what a node came to in a run."""
    return str(uuid5(UUID(run), node))


def step_id(node: str) -> str:
    """The step of a node."""
    return _STEP + node


def owner_id(workspace: str) -> str:
    """The id of the one user of a workspace, who owns it."""
    return str(uuid5(NAMESPACE_OID, f"{workspace}:user"))


def agent_id(workspace: str) -> str:
    """The id of a workspace's pool of workers, its one hired agent."""
    return str(uuid5(NAMESPACE_OID, f"{workspace}:agent"))
