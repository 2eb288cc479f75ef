"""Events for runs: delivered to a wait that is open, else kept for the next one. Source: AwaitStep contract 5.2."""

import hashlib
import re

import msgspec
from starlette.responses import Response

from stepwell import values
from stepwell.core import RunView
from stepwell.errors import Fault, InvalidState, ValidationFailed
from stepwell.http.dialects.awaitstep.answers import bare
from stepwell.http.dialects.awaitstep.located import idempotency_key, run, run_exists, run_of
from stepwell.http.dialects.awaitstep.names import EVENT_TYPE
from stepwell.http.dialects.awaitstep.run_row import status_of
from stepwell.http.dialects.awaitstep.wire_runs import Delivered, EventBody, Instance
from stepwell.http.functions import PARAMS_BYTES
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.store import Workflow
from stepwell.values import Json

HEADER = "X-Stepwell-Event"
MOST_BUFFERED = 1000
_TYPE = re.compile(EVENT_TYPE[1:-1])


class Event(msgspec.Struct, frozen=True):
    """What is handed to a run."""

    instance: str
    type: str
    payload: Json = None


def event_of(params: dict[str, Json]) -> Event | None:
    """The event that params are, if they are one. Raises ValidationFailed if its type is malformed."""
    instance, type = params.get("instanceId"), params.get("eventType")
    if not isinstance(instance, str) or not isinstance(type, str):
        return None
    if not _TYPE.fullmatch(type):
        fault = Fault(("params", "eventType"), "Takes 1 to 100 letters, digits, _ and -")
        raise ValidationFailed("Invalid request", [fault], within="body")
    return Event(instance, type, params.get("payload"))


async def deliver(call: AnyCall, row: Workflow, event: Event, key: str | None) -> Response:
    """Hand an event to a run of the workflow; it is on disk when this returns. Raises NotFound, InvalidState."""
    view = await run_of(call, row, event.instance, "Instance not found")
    return await _answered(call, view, event, key, told=False)


async def send(call: Call[None, EventBody]) -> Response:
    """POST /api/v1/workflows/{id}/runs/{run_id}/events."""
    if len(values.encode(call.body.payload)) > PARAMS_BYTES:
        fault = Fault(("payload",), "An event's payload must be under 100 KB")
        raise ValidationFailed("Invalid request", [fault], within="body")
    view = await run(call)
    event = Event(view.run.id, call.body.event_type, call.body.payload)
    return await _answered(call, view, event, idempotency_key(call), told=True)


async def _answered(call: AnyCall, view: RunView, event: Event, key: str | None, *, told: bool) -> Response:
    """The answer, which says itself whether a wait was open if it is `told`; the header says so in any case."""
    run = view.run.id
    id = None if key is None else _event_id(run, key)
    try:
        sent = await call.core.signals.send(call.workspace, run, event.type, event.payload, id, MOST_BUFFERED)
    except InvalidState:
        now = await call.core.runs.get(call.workspace, run)
        if now.run.state.final:
            raise InvalidState(f"Run is {status_of(now.run)}") from None
        raise
    headers = {HEADER: "delivered" if sent.delivered else "buffered"}
    return bare(Delivered(run, sent.delivered) if told else Instance(run), 200, headers)


def _event_id(run: str, key: str) -> str:
    """An id that is the same for the same key on a run."""
    digits = hashlib.blake2b(key.encode(errors="replace"), digest_size=16, key=run.encode()).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/v1/workflows/{id}/runs/{run_id}/events",
        handler=send,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="Hand an event to a run; without an open wait it is kept for the next one",
        answers=(Answer(status=200, data=Delivered, headers=(HEADER,)),),
        body=EventBody,
        headers=("Idempotency-Key",),
        errors=("NOT_FOUND", "INVALID_STATE", "VALIDATION_ERROR"),
        exists=run_exists,
    ),
)
