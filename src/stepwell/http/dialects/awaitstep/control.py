"""Runs paused, resumed and terminated. Source: AwaitStep contract 4.1, 7."""

from collections.abc import Awaitable, Callable

from starlette.responses import Response

from stepwell.core import RunView
from stepwell.errors import InvalidState
from stepwell.http.dialects.awaitstep.answers import bare
from stepwell.http.dialects.awaitstep.located import run
from stepwell.http.dialects.awaitstep.run_row import status_of
from stepwell.http.dialects.awaitstep.wire_runs import Done
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.states import RunState


async def pause(call: Call[None, None]) -> Response:
    """POST /api/workflows/{id}/runs/{run_id}/pause."""
    view = await run(call)
    if view.run.state is RunState.PAUSED:
        raise _refused("pause", view)
    return await _act(call, view, "pause", call.core.signals.pause)


async def resume(call: Call[None, None]) -> Response:
    """POST /api/workflows/{id}/runs/{run_id}/resume."""
    view = await run(call)
    events = [wait.type for wait in view.waits if wait.kind == "event"]
    if view.run.state is not RunState.PAUSED and status_of(view.run) == "paused" and events:
        raise InvalidState(f'Run is waiting for event "{events[0]}"; deliver it instead')
    if view.run.state is not RunState.PAUSED:
        raise _refused("resume", view)
    return await _act(call, view, "resume", call.core.signals.resume)


async def terminate(call: Call[None, None]) -> Response:
    """POST /api/workflows/{id}/runs/{run_id}/terminate."""
    return await _act(call, await run(call), "terminate", call.core.runs.cancel)


async def _act(call: AnyCall, view: RunView, verb: str, act: Callable[[str, str], Awaitable[object]]) -> Response:
    if view.run.state.final:
        raise _refused(verb, view)
    try:
        await act(call.workspace, view.run.id)
    except InvalidState:  # it changed meanwhile
        raise _refused(verb, await call.core.runs.get(call.workspace, view.run.id)) from None
    return bare(Done())


def _refused(verb: str, view: RunView) -> InvalidState:
    return InvalidState(f"Cannot {verb} a run that is {status_of(view.run)}")


_VERBS = (
    ("pause", pause, "Pause a run; the step in progress may finish"),
    ("resume", resume, "Let a run go on that somebody paused"),
    ("terminate", terminate, "End a run with what it does now"),
)
_DONE = (Answer(status=200, data=Done),)

ROUTES: tuple[Route, ...] = (
    *(
        Route(
            method="POST",
            path=f"{base}/workflows/{{id}}/runs/{{run_id}}/{verb}",
            handler=handler,
            scope="workflows:execute",
            rate=Rate.EXECUTE,
            summary=summary,
            answers=_DONE,
            errors=("NOT_FOUND", "INVALID_STATE"),
        )
        for base in ("/api", "")
        for verb, handler, summary in _VERBS
    ),
    Route(
        method="DELETE",
        path="/api/v1/workflows/{id}/runs/{run_id}",
        handler=terminate,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="End a run with what it does now",
        answers=_DONE,
        errors=("NOT_FOUND", "INVALID_STATE"),
    ),
)
