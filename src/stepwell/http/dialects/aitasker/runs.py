"""Runs: started by the trigger endpoint, listed, read, cancelled, and what they cost. Source: AITasker contract 4.1, 5,
9."""

from collections.abc import Mapping, Sequence

import msgspec
from starlette.responses import Response

from stepwell import values
from stepwell.core import RunView, StartRequest, start_view
from stepwell.errors import (
    Fault,
    InputInvalid,
    InvalidState,
    InvalidStatus,
    NotFound,
    PayloadTooLarge,
    ValidationFailed,
)
from stepwell.http.dialects.aitasker.answers import BadRequest, bare, idempotency_key
from stepwell.http.dialects.aitasker.located import param, workflow, workflow_exists
from stepwell.http.dialects.aitasker.names import STATUS, check_path
from stepwell.http.dialects.aitasker.run_object import costs, run_object, status_of
from stepwell.http.dialects.aitasker.shown import ShownNode, nodes_of, source_of
from stepwell.http.dialects.aitasker.twins import IN_WORKSPACE, twins
from stepwell.http.dialects.aitasker.wire_runs import RunCosts, RunsQuery, Trigger, WorkflowRun
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.states import OPEN, WorkflowStatus
from stepwell.store import NewRun, Run, RunListing
from stepwell.store import Workflow as Row
from stepwell.values import Json

PAYLOAD_BYTES = 256 * 1024
TOTAL = "X-Total-Count"
_AT_ONCE = 200


async def trigger(call: Call[None, Trigger]) -> Response:
    """POST /workspaces/{workspace_id}/workflows/{id}/trigger."""
    row = await workflow(call)
    payload = call.body.trigger_payload or {}
    if len(values.encode(payload)) > PAYLOAD_BYTES:
        raise PayloadTooLarge(PAYLOAD_BYTES, "Trigger payload")
    nodes, document = await _nodes(call, row, row.version)
    key = idempotency_key(call.headers)
    if key is None or not nodes:  # with a key the core first looks whether this is a repeat
        await _check_starts(call, row, nodes)
    request = StartRequest(workflow=row.id, input=payload, idempotency_key=key, key=call.principal.key_id)
    try:
        started = await call.core.runs.start(call.workspace, request)
    except InvalidStatus:
        await _check_starts(call, row, nodes)
        raise
    except InputInvalid as error:
        raise _of_payload(error, payload) from None
    if started.replayed or document.get("inputSchema") is not None:  # which may have filled in what was not sent
        return bare(await _first_answer(call, row, started.run))
    return bare(run_object(newborn(call, row, started.run, payload), nodes, document))


def _of_payload(error: InputInvalid, payload: Json) -> ValidationFailed:
    """The faults of a payload by the workflow's input schema, told at their places in the body."""
    faults = [Fault(("trigger_payload", *fault.path), fault.message) for fault in error.faults]
    return ValidationFailed(error.message, faults, within="body", given={"trigger_payload": payload})


async def _check_starts(call: AnyCall, row: Row, nodes: list[ShownNode]) -> None:
    """Raise what keeps a workflow from being started, in the words of the dialect."""
    if row.status is not WorkflowStatus.ACTIVE:
        raise InvalidState(f"Workflow is not active (status: {row.status})")
    await workers_take_runs(call)
    if not nodes:
        raise BadRequest("Workflow has no nodes")


async def _first_answer(call: AnyCall, row: Row, run: str) -> WorkflowRun:
    """What was answered when a run was started."""
    view = await _view(call, row, run)
    then = msgspec.structs.replace(row, version=view.run.version)
    return run_object(
        newborn(call, then, run, values.decode(bytes(view.input))), *await _nodes(call, row, then.version)
    )


async def workers_take_runs(call: AnyCall) -> None:
    """Raise InvalidState if the workspace's pool of workers is paused."""
    try:
        await call.core.workspaces.check_takes_runs(call.workspace)
    except InvalidStatus:
        raise InvalidState("Hired agent is paused") from None


def newborn(call: AnyCall, row: Row, run: str, payload: Mapping[str, Json]) -> RunView:
    """A run as it was stored by its start, whatever it has come to since."""
    stored = NewRun(
        workspace=call.workspace,
        id=run,
        workflow=row.id,
        version=row.version,
        trigger="api",
        input=values.encode(payload),
        owner=None,
    )
    return start_view(stored)


async def list_runs(call: Call[RunsQuery, None]) -> Response:
    """GET /workflows/{id}/runs, and below the workspace."""
    row = await workflow(call)
    query = call.query
    states = () if query.status is None else tuple(state for state, word in STATUS.items() if word == query.status)
    if query.status in ("running", "waiting"):
        found = await _open_runs(call, row, query.status)
        runs, total = found[query.offset : query.offset + query.limit], len(found)
    else:
        wanted = RunListing(
            workspace=call.workspace, workflows=(row.id,), states=states, offset=query.offset, limit=query.limit
        )
        runs, total = await call.core.store.lists.runs(wanted)
    versions: dict[int, tuple[list[ShownNode], Mapping[str, Json]]] = {}
    shown = []
    for run in runs:
        if run.version not in versions:
            versions[run.version] = await _nodes(call, row, run.version)
        shown.append(run_object(await call.core.runs.get(call.workspace, run.id), *versions[run.version]))
    return bare(shown, headers={TOTAL: str(total)})


async def get_run(call: Call[None, None]) -> Response:
    """GET /workflows/{id}/runs/{run_id}, and below the workspace."""
    row = await workflow(call)
    return bare(await _shown(call, row, param(call, "run_id")))


async def cancel_run(call: Call[None, None]) -> Response:
    """POST /workflows/{id}/runs/{run_id}/cancel, and below the workspace."""
    row = await workflow(call)
    view = await _view(call, row, param(call, "run_id"))
    if view.run.state.final:
        raise InvalidState(f"Run is {status_of(view.run)}")
    try:
        await call.core.runs.cancel(call.workspace, view.run.id)
    except InvalidState:  # it ended meanwhile
        view = await _view(call, row, view.run.id)
        raise InvalidState(f"Run is {status_of(view.run)}") from None
    return bare(await _shown(call, row, view.run.id))


async def run_costs(call: Call[None, None]) -> Response:
    """GET /workspaces/{workspace_id}/workflows/{id}/runs/{run_id}/costs."""
    row = await workflow(call)
    view = await _view(call, row, param(call, "run_id"))
    nodes, _ = await _nodes(call, row, view.run.version)
    return bare(costs(view, nodes))


async def run_exists(call: AnyCall) -> None:
    """Raise NotFound unless the path's workflow has the path's run."""
    await _view(call, await workflow(call), param(call, "run_id"))


async def _open_runs(call: AnyCall, row: Row, word: str) -> list[Run]:
    """The open runs of a workflow that one of two words names, which tell more of a run than its state does."""
    found: list[Run] = []
    before = None
    while True:
        wanted = RunListing(
            workspace=call.workspace, workflows=(row.id,), states=tuple(OPEN), before=before, limit=_AT_ONCE
        )
        runs, _ = await call.core.store.lists.runs(wanted)
        found += [run for run in runs if status_of(run) == word]
        if len(runs) < _AT_ONCE:
            return found
        before = runs[-1].id


async def _view(call: AnyCall, row: Row, run: str) -> RunView:
    view = await call.core.runs.get(call.workspace, run)
    if view.run.workflow != row.id:
        raise NotFound("Run not found")
    return view


async def _shown(call: AnyCall, row: Row, run: str) -> WorkflowRun:
    view = await _view(call, row, run)
    return run_object(view, *await _nodes(call, row, view.run.version))


async def _nodes(call: AnyCall, row: Row, version: int) -> tuple[list[ShownNode], Mapping[str, Json]]:
    """The nodes of a version, and its definition."""
    document = (await call.core.workflows.version(call.workspace, row.id, version)).document
    types: dict[str, str] = {}
    if source_of(document) is None:
        types = await call.core.workflows.step_types(call.workspace, row.id, version)
    return nodes_of(row.id, document, types), document


_RUN = (Answer(status=200, data=WorkflowRun),)
_RUNS = "/workflows/{id}/runs"


ROUTES: Sequence[Route] = (
    Route(
        method="POST",
        path=IN_WORKSPACE + "/workflows/{id}/trigger",
        handler=trigger,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="Start a run; it is on disk when this is answered",
        answers=_RUN,
        body=Trigger,
        headers=("Idempotency-Key",),
        errors=("NOT_FOUND", "BAD_REQUEST", "INVALID_STATE"),
        path_check=check_path,
        exists=workflow_exists,
        sheds=True,
    ),
    *twins(
        Route(
            method="GET",
            path=_RUNS,
            handler=list_runs,
            scope="runs:read",
            rate=Rate.READ,
            summary="List the runs of a workflow, newest first",
            answers=(Answer(status=200, data=WorkflowRun, listed=True),),
            query=RunsQuery,
            errors=("NOT_FOUND", "VALIDATION_ERROR"),
            path_check=check_path,
            exists=workflow_exists,
        ),
        Route(
            method="GET",
            path=_RUNS + "/{run_id}",
            handler=get_run,
            scope="runs:read",
            rate=Rate.READ,
            summary="Read a run with what became of its nodes",
            answers=_RUN,
            errors=("NOT_FOUND", "VALIDATION_ERROR"),
            path_check=check_path,
        ),
        Route(
            method="POST",
            path=_RUNS + "/{run_id}/cancel",
            handler=cancel_run,
            scope="workflows:execute",
            rate=Rate.WRITE,
            summary="Cancel an open run",
            answers=_RUN,
            errors=("NOT_FOUND", "INVALID_STATE", "VALIDATION_ERROR"),
            path_check=check_path,
        ),
    ),
    Route(
        method="GET",
        path=IN_WORKSPACE + _RUNS + "/{run_id}/costs",
        handler=run_costs,
        scope="runs:read",
        rate=Rate.READ,
        summary="What a run and each of its nodes have cost",
        answers=(Answer(status=200, data=RunCosts),),
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        path_check=check_path,
    ),
)
