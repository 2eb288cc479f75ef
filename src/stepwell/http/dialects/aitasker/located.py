"""What the path of a request names, if it is there for the caller. Source: AITasker contract 2, 3."""

from stepwell.errors import NotFound
from stepwell.http.dialects.aitasker.names import uuid_of
from stepwell.http.dialects.aitasker.shown import source_of
from stepwell.http.routes import AnyCall
from stepwell.states import WorkflowStatus
from stepwell.store import Workflow as Row
from stepwell.values import Json

DELETED = "deleted"  # a mark in the source of what was deleted and not only archived


def param(call: AnyCall, name: str) -> str:
    """The id that a parameter of the path is. Raises NotFound if it is none, which the check of paths has told."""
    id = uuid_of(call.params[name])
    if id is None:
        raise NotFound("Not found")
    return id


async def workspace(call: AnyCall) -> None:
    """Raise NotFound if the path names another workspace than the key's."""
    if "workspace_id" in call.params and param(call, "workspace_id") != call.workspace:
        raise NotFound("Workspace not found")


async def workflow(call: AnyCall) -> Row:
    """The workflow that the path names. Raises NotFound, also for one that was deleted."""
    await workspace(call)
    row = await call.core.workflows.row(call.workspace, param(call, "id"))
    if row.status is WorkflowStatus.ARCHIVED and not is_kept(await document(call, row)):
        raise NotFound("Workflow not found")
    return row


async def workflow_exists(call: AnyCall) -> None:
    """The same, where only the refusal counts."""
    await workflow(call)


async def document(call: AnyCall, row: Row) -> dict[str, Json]:
    """The current definition of a workflow."""
    return (await call.core.workflows.version(call.workspace, row.id, row.version)).document


def is_kept(document: dict[str, Json]) -> bool:
    """Whether an archived workflow is still shown: it was written here, and archived but not deleted."""
    source = source_of(document)
    return source is not None and not source.get(DELETED)
