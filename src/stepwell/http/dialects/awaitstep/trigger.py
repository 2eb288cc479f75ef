"""The trigger endpoint: it starts a run of a deployed workflow, or hands an event to a run. Source: AwaitStep contract
4.1, 5."""

import msgspec
from starlette.responses import Response

from stepwell import values
from stepwell.core import RunView, StartRequest
from stepwell.errors import Fault, InputInvalid, InvalidStatus, ValidationFailed
from stepwell.http.dialects.awaitstep import events
from stepwell.http.dialects.awaitstep.answers import JSON, BadRequest, bare
from stepwell.http.dialects.awaitstep.located import idempotency_key, is_startable, startable
from stepwell.http.dialects.awaitstep.names import reference
from stepwell.http.dialects.awaitstep.run_row import Graphs, run_row
from stepwell.http.dialects.awaitstep.wire_runs import TRIGGER_BODY, Instance, RunRow, StartBody
from stepwell.http.functions import PARAMS_BYTES, PARAMS_TOO_LARGE
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.states import RunState
from stepwell.store import Answered, Workflow
from stepwell.values import Json

NOT_DEPLOYED = "No version deployed"


async def trigger(call: Call[None, Json]) -> Response:
    """POST /api/workflows/{id}/trigger."""
    row = await startable(call)
    connection, params = _checked(call.body)
    event = None if call.body.get("mode") == "start" else events.event_of(params)
    target = await call.core.targets.resolve(call.workspace, reference("conn", connection))
    if event is not None:
        return await events.deliver(call, row, event, idempotency_key(call))
    return await _started(call, row, params, target)


async def start(call: Call[None, StartBody]) -> Response:
    """POST /api/v1/workflows/{id}/runs."""
    row = await startable(call)
    _check_size(call.body.input, "input")
    target = await call.core.targets.own(call.workspace)
    return await _started(call, row, call.body.input, target.id, "input")


def _checked(body: Json) -> tuple[str, dict[str, Json]]:
    """The connection and the params of a body. Raises ValidationFailed."""
    if not isinstance(body, dict):
        raise ValidationFailed("Invalid request", [Fault((), "Expected object")], within="body", given=body)
    faults = []
    connection, params = body.get("connectionId"), body.get("params", {})
    if not isinstance(connection, str):
        faults.append(Fault(("connectionId",), "Required" if connection is None else "Expected string"))
    if not isinstance(params, dict):
        faults.append(Fault(("params",), "Expected object"))
        params = {}
    if body.get("mode", "start") != "start":
        faults.append(Fault(("mode",), "Expected start"))
    if faults or not isinstance(connection, str):
        raise ValidationFailed("Invalid request", faults, within="body", given=body)
    _check_size(params, "params")
    return connection, params


def _check_size(params: Json, field: str) -> None:
    if len(values.encode(params)) > PARAMS_BYTES:
        raise ValidationFailed("Invalid request", [Fault((field,), PARAMS_TOO_LARGE)], within="body")


async def _started(call: AnyCall, row: Workflow, params: Json, target: str, field: str = "params") -> Response:
    key = idempotency_key(call)

    async def act() -> Answered:
        try:
            started = await call.core.runs.start(
                call.workspace,
                StartRequest(
                    workflow=row.id,
                    input=params,
                    connection=target,
                    idempotency_key=key,
                    key=call.principal.key_id,
                ),
            )
        except InvalidStatus:
            raise BadRequest(NOT_DEPLOYED) from None
        except InputInvalid as error:
            raise _of_params(error, field) from None
        view = _newborn(await call.core.runs.get(call.workspace, started.run))
        answer = bare(run_row(view, await Graphs(call).of(view.run), steps=False), 201)
        return Answered(201, bytes(answer.body))

    answered, _ = await call.core.repeats.once(call.workspace, f"trigger:{row.id}", key, act)
    return Response(answered.body, answered.status, media_type=JSON)


def _newborn(view: RunView) -> RunView:
    """A run as its start has stored it, whatever it has come to since."""
    run = msgspec.structs.replace(
        view.run, state=RunState.PENDING, waits_on=None, started_at=None, ended_at=None, output=None, error=None
    )
    return RunView(run=run, input=view.input, output=msgspec.Raw(b"null"), error=None, steps=())


def _of_params(error: InputInvalid, field: str) -> ValidationFailed:
    """Faults of the input, told of where the caller wrote it."""
    faults = [Fault((field, *fault.path), fault.message) for fault in error.faults]
    return ValidationFailed(error.message, faults, within="body")


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/workflows/{id}/trigger",
        handler=trigger,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="Start a run of a deployed workflow, or hand an event to a run",
        answers=(
            Answer(status=201, data=RunRow),
            Answer(status=200, data=Instance, headers=(events.HEADER,)),
        ),
        body=dict,
        body_schema=TRIGGER_BODY,
        headers=("Idempotency-Key",),
        errors=("NOT_FOUND", "BAD_REQUEST", "VALIDATION_ERROR", "INVALID_STATE"),
        exists=is_startable,
        sheds=True,
    ),
    Route(
        method="POST",
        path="/api/v1/workflows/{id}/runs",
        handler=start,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="Start a run of a deployed workflow",
        answers=(Answer(status=201, data=RunRow),),
        body=StartBody,
        headers=("Idempotency-Key",),
        errors=("NOT_FOUND", "BAD_REQUEST", "VALIDATION_ERROR"),
        exists=is_startable,
        sheds=True,
    ),
)
