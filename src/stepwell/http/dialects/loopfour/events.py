"""What reaches runs: events, pause, resume. Source: LoopFour contract 5.8, 10."""

from collections.abc import Sequence

from starlette.responses import Response

from stepwell.cost import of_cents
from stepwell.http.dialects.loopfour import requests, wire
from stepwell.http.dialects.loopfour.answers import success
from stepwell.http.dialects.loopfour.names import STATUS, run_id
from stepwell.http.dialects.loopfour.runs import run_exists
from stepwell.http.routes import Answer, Call, Rate, Route


async def send_event(call: Call[None, requests.EventBody]) -> Response:
    """POST /runs/{id}/events."""
    body = call.body
    sent = await call.core.signals.send(call.workspace, run_id(call.params["id"]), body.type, body.payload)
    return success(wire.EventAccepted(event_id=f"evt_{sent.id}", delivered=1), 202)


async def broadcast_event(call: Call[None, requests.BroadcastBody]) -> Response:
    """POST /events."""
    body = call.body
    event, delivered = await call.core.signals.broadcast(call.workspace, body.type, body.payload, body.match)
    return success(wire.EventAccepted(event_id=f"evt_{event}", delivered=delivered), 202)


async def pause_run(call: Call[None, None]) -> Response:
    """POST /runs/{id}/pause."""
    run = run_id(call.params["id"])
    state = await call.core.signals.pause(call.workspace, run)
    return success(wire.Held(id=f"run_{run}", status=STATUS[state]))


async def resume_run(call: Call[None, requests.ResumeBody]) -> Response:
    """POST /runs/{id}/resume."""
    run, budget = run_id(call.params["id"]), call.body.budget_cents
    state = await call.core.signals.resume(call.workspace, run, None if budget is None else of_cents(budget))
    return success(wire.Held(id=f"run_{run}", status=STATUS[state]))


ROUTES: Sequence[Route] = (
    Route(
        method="POST",
        path="/runs/{id}/events",
        handler=send_event,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="Send an event to a run; it is kept until a step takes it",
        answers=(Answer(status=202, data=wire.EventAccepted),),
        body=requests.EventBody,
        errors=("NOT_FOUND", "INVALID_STATE"),
        exists=run_exists,
    ),
    Route(
        method="POST",
        path="/events",
        handler=broadcast_event,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="Send an event to every open run that passes a filter, or that waits for its type",
        answers=(Answer(status=202, data=wire.EventAccepted),),
        body=requests.BroadcastBody,
        sheds=True,
    ),
    Route(
        method="POST",
        path="/runs/{id}/pause",
        handler=pause_run,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="Pause a run; a step in flight may end",
        answers=(Answer(status=200, data=wire.Held),),
        errors=("NOT_FOUND", "INVALID_STATE"),
    ),
    Route(
        method="POST",
        path="/runs/{id}/resume",
        handler=resume_run,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="Let a paused run go on, also one that asks because of its budget",
        answers=(Answer(status=200, data=wire.Held),),
        body=requests.ResumeBody,
        errors=("NOT_FOUND", "INVALID_STATE", "VALIDATION_ERROR"),
        exists=run_exists,
    ),
)
