"""Runs: listed, read, logged, streamed, cancelled, gone on with, deleted. Source: LoopFour contract 5."""

from collections.abc import Sequence

from starlette.responses import Response

from stepwell import ids
from stepwell.clock import parse_iso
from stepwell.core import Restarted, StreamEvent
from stepwell.errors import Fault, NotFound, ValidationFailed
from stepwell.http.dialects.loopfour import requests, show, wire
from stepwell.http.dialects.loopfour.answers import listing, success
from stepwell.http.dialects.loopfour.names import STATES, created, cursor, cursor_id, reference, run_id
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.http.sse import ServerEvent, event_stream
from stepwell.store import Run, RunFilter

LATEST_MS = (1 << 48) - 1  # an id holds no later time


async def run_exists(call: AnyCall) -> None:
    """Raise NotFound unless the run of the path exists."""
    await call.core.runs.get(call.workspace, run_id(call.params["id"]))


async def list_runs(call: Call[requests.RunsQuery, None]) -> Response:
    """GET /runs."""
    query = call.query
    before = cursor_id(query.cursor, "run")
    after_ms, before_ms = _times(query)
    rows: list[Run] = []
    workflow = None if query.workflow_id is None else await _workflow(call, query.workflow_id)
    if query.workflow_id is None or workflow is not None:
        wanted = RunFilter(
            workspace=call.workspace,
            workflow=workflow,
            states=STATES[query.status] if query.status else (),
            triggers=(query.trigger_type,) if query.trigger_type else (),
            created_after=after_ms,
            created_before=before_ms,
            before=before,
            limit=query.limit + 1,
        )
        rows = await call.core.runs.page(wanted)
    return listing(rows, query.limit, show.item, lambda run: cursor(ids.created_ms(run.id), f"run_{run.id}"))


async def get_run(call: Call[None, None]) -> Response:
    """GET /runs/{id}."""
    return success(show.detail(await call.core.runs.get(call.workspace, run_id(call.params["id"]))))


async def get_logs(call: Call[None, None]) -> Response:
    """GET /runs/{id}/logs."""
    return success(show.logs(await call.core.runs.get(call.workspace, run_id(call.params["id"]))))


async def cancel_run(call: Call[None, None]) -> Response:
    """POST /runs/{id}/cancel."""
    run = run_id(call.params["id"])
    await call.core.runs.cancel(call.workspace, run)
    return success(wire.Cancelled(id=f"run_{run}", status="cancelled", message="Run cancellation requested"))


async def retry_run(call: Call[None, requests.RetryBody]) -> Response:
    """POST /runs/{id}/retry."""
    run, version = run_id(call.params["id"]), call.body.version
    if call.body.preview:
        return success(show.preview(await call.core.runs.preview_retry(call.workspace, run, version)))
    restarted = await call.core.runs.retry(call.workspace, run, version)
    return _restarted(restarted)


async def restart_run(call: Call[None, requests.RestartBody]) -> Response:
    """POST /runs/{id}/restart."""
    body, run = call.body, run_id(call.params["id"])
    wanted = (call.workspace, run, body.from_step_id, body.override_input, body.version)
    if body.preview:
        return success(show.preview(await call.core.runs.preview_restart(*wanted)))
    restarted = await call.core.runs.restart(*wanted)
    return _restarted(restarted)


async def delete_run(call: Call[None, None]) -> Response:
    """DELETE /runs/{id}."""
    run = run_id(call.params["id"])
    await call.core.runs.delete(call.workspace, run)
    return success(wire.Deleted(id=f"run_{run}"))


async def stream_run(call: Call[None, None]) -> Response:
    """GET /runs/{id}/stream."""
    await run_exists(call)
    last = call.headers.get(b"last-event-id", b"")
    after = int(last[:18]) if last.isdigit() else -1
    events = call.core.runs.stream(call.workspace, run_id(call.params["id"]), after)
    return event_stream(events, _server_event, call.clock)


def _server_event(event: StreamEvent) -> ServerEvent:
    data = event.data
    return ServerEvent(event.id, event.kind, show.item(data) if isinstance(data, Run) else show.step_result(data))


def _restarted(restarted: Restarted) -> Response:
    data = wire.Restarted(
        original_run_id=f"run_{restarted.original}",
        new_run_id=f"run_{restarted.new}",
        workflow_id=f"wf_{restarted.workflow}",
        restart_from_step_id=None if restarted.from_step is None else show.shown_path(restarted.from_step),
        status="pending",
        created_at=created(restarted.new),
    )
    return success(data, 202)


async def _workflow(call: AnyCall, given: str) -> str | None:
    """The id of the workflow a filter names; None if there is none."""
    named = reference("wf", given)
    if ids.parse(named) is not None:
        return named
    try:
        return (await call.core.workflows.row(call.workspace, named)).id
    except NotFound:
        return None


def _times(query: requests.RunsQuery) -> tuple[int | None, int | None]:
    faults = []
    times: list[int | None] = []
    for name, text in (("createdAfter", query.created_after), ("createdBefore", query.created_before)):
        time_ms = None if text is None else parse_iso(text.replace(" ", "+"))  # a + of a query that was not escaped
        if text is not None and time_ms is None:
            faults.append(Fault((name,), "Expected an ISO 8601 time"))
        times.append(None if time_ms is None else min(max(time_ms, 0), LATEST_MS))
    if faults:
        raise ValidationFailed("Invalid request", faults)
    return times[0], times[1]


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/runs",
        handler=list_runs,
        scope="runs:read",
        rate=Rate.READ,
        summary="List runs, newest first",
        answers=(Answer(status=200, data=wire.RunItem, listed=True),),
        query=requests.RunsQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="GET",
        path="/runs/{id}",
        handler=get_run,
        scope="runs:read",
        rate=Rate.READ,
        summary="Read a run with its steps",
        answers=(Answer(status=200, data=wire.RunDetail),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="DELETE",
        path="/runs/{id}",
        handler=delete_run,
        scope="runs:write",
        rate=Rate.WRITE,
        summary="Delete a final run",
        answers=(Answer(status=200, data=wire.Deleted),),
        errors=("NOT_FOUND", "INVALID_STATE"),
    ),
    Route(
        method="GET",
        path="/runs/{id}/logs",
        handler=get_logs,
        scope="runs:read",
        rate=Rate.READ,
        summary="Read a run's log, attempts included",
        answers=(Answer(status=200, data=wire.RunLogs),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="GET",
        path="/runs/{id}/stream",
        handler=stream_run,
        scope="runs:read",
        rate=Rate.READ,
        summary="Follow a run as Server-Sent Events",
        answers=(Answer(status=200, data=None, content="text/event-stream"),),
        headers=("Last-Event-ID",),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="POST",
        path="/runs/{id}/cancel",
        handler=cancel_run,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="Cancel a run that is not final",
        answers=(Answer(status=200, data=wire.Cancelled),),
        errors=("NOT_FOUND", "INVALID_STATE"),
    ),
    Route(
        method="POST",
        path="/runs/{id}/retry",
        handler=retry_run,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="Go on with a failed run from its first failed step, as a new run",
        answers=(Answer(status=202, data=wire.Restarted), Answer(status=200, data=wire.RestartPreview)),
        body=requests.RetryBody,
        errors=("NOT_FOUND", "VALIDATION_ERROR", "INVALID_STATE", "INVALID_STATUS", "INVALID_STEP", "BUDGET_EXCEEDED"),
        exists=run_exists,
        sheds=True,
    ),
    Route(
        method="POST",
        path="/runs/{id}/restart",
        handler=restart_run,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="Go on with an ended run from a named step, as a new run",
        answers=(Answer(status=202, data=wire.Restarted), Answer(status=200, data=wire.RestartPreview)),
        body=requests.RestartBody,
        errors=("NOT_FOUND", "VALIDATION_ERROR", "INVALID_STATE", "INVALID_STATUS", "INVALID_STEP", "BUDGET_EXCEEDED"),
        exists=run_exists,
        sheds=True,
    ),
)
