"""The workflow and the run that a path names. Source: AwaitStep contract 1, 3."""

from stepwell.core import RunView
from stepwell.errors import Fault, FunctionHasNoRuns, NotFound, ValidationFailed
from stepwell.http.dialects.awaitstep.names import reference, run_id
from stepwell.http.routes import AnyCall
from stepwell.states import WorkflowStatus
from stepwell.store import Workflow

LONGEST_KEY = 255


async def workflow(call: AnyCall) -> Workflow:
    """The workflow of the path. Raises NotFound, also of one that was put away."""
    return await named_workflow(call, call.params["id"])


async def named_workflow(call: AnyCall, named: str) -> Workflow:
    """A workflow by id or slug. Raises NotFound, also of one that was put away."""
    row = await call.core.workflows.row(call.workspace, reference("wf", named))
    if row.status is WorkflowStatus.ARCHIVED:
        raise NotFound("Workflow not found")
    return row


async def workflow_exists(call: AnyCall) -> None:
    """Raise NotFound unless the workflow of the path exists."""
    await workflow(call)


async def startable(call: AnyCall) -> Workflow:
    """The workflow of the path, which is no function. Raises NotFound, FunctionHasNoRuns."""
    row = await workflow(call)
    if await is_function(call, row):
        raise FunctionHasNoRuns
    return row


async def is_function(call: AnyCall, row: Workflow) -> bool:
    """Whether a workflow is a function, wherever it was written."""
    source = await call.core.store.sources.get(call.workspace, row.id)
    if source is not None:
        return source.kind == "script"
    document = (await call.core.workflows.version(call.workspace, row.id, row.version)).document
    return document.get("inline") not in (None, False)


async def is_startable(call: AnyCall) -> None:
    """Raise what `startable` raises."""
    await startable(call)


async def run(call: AnyCall) -> RunView:
    """The run of the path, which is one of its workflow. Raises NotFound."""
    row = await workflow(call)
    return await run_of(call, row, call.params["run_id"], "Run not found")


async def run_exists(call: AnyCall) -> None:
    """Raise NotFound unless the workflow of the path has its run."""
    await run(call)


async def run_of(call: AnyCall, row: Workflow, named: str, refusal: str) -> RunView:
    """The run of a workflow that a run id or instance id names. Raises NotFound with this message."""
    try:
        view = await call.core.runs.get(call.workspace, run_id(named))
    except NotFound:
        raise NotFound(refusal) from None
    if view.run.workflow != row.id:
        raise NotFound(refusal)
    return view


def idempotency_key(call: AnyCall) -> str | None:
    """The key under which the call may be sent again, if it has one. Raises ValidationFailed."""
    given = call.headers.get(b"idempotency-key")
    if given is not None and not 1 <= len(given) <= LONGEST_KEY:
        raise ValidationFailed("Invalid request", [Fault(("Idempotency-Key",), f"Takes 1 to {LONGEST_KEY} characters")])
    return None if given is None else given.decode("latin-1")
