"""Starting runs: one, one that is waited for, many. Source: LoopFour contract 4."""

from collections.abc import Sequence

from msgspec import UNSET
from starlette.responses import Response

from stepwell.core import StartedRun, StartRequest
from stepwell.errors import Fault, StepwellError, ValidationFailed
from stepwell.http.dialects.loopfour import requests, show, wire
from stepwell.http.dialects.loopfour.answers import error_body, success
from stepwell.http.dialects.loopfour.names import STATUS, reference
from stepwell.http.dialects.loopfour.workflows import workflow_exists
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.http.shapes import Shape
from stepwell.values import Json

LONGEST_KEY = 255

_ITEM = Shape(requests.StartItem)


async def run(call: Call[None, requests.RunBody]) -> Response:
    """POST /workflows/{id}/run."""
    body = call.body
    key = _idempotency_key(call, body)
    started = await call.core.runs.start(call.workspace, _request(call, body, key))
    headers = _headers(started)
    if body.mode == "async":
        return success(_started(started), 202, headers)
    view = await call.core.runs.finished(call.workspace, started.run, body.max_execution_time_ms / 1000)
    if view is not None:
        return success(show.synced(view), 200, headers)
    current = (await call.core.runs.get(call.workspace, started.run)).run
    return success(_started(started, status=STATUS[current.state], vendor_run_id=f"run_{started.run}"), 202, headers)


async def batch(call: Call[None, requests.BatchBody]) -> Response:
    """POST /workflows/{id}/run/batch."""
    await workflow_exists(call)
    wanted = [_wanted(call, item) for item in call.body.items]
    requests = [each for each in wanted if isinstance(each, StartRequest)]
    outcomes = iter(await call.core.runs.start_many(call.workspace, requests))
    results = [
        _result(index, next(outcomes) if isinstance(each, StartRequest) else each) for index, each in enumerate(wanted)
    ]
    accepted = sum(result.success for result in results)
    return success(wire.BatchStarted(accepted=accepted, rejected=len(results) - accepted, results=results), 202)


def _wanted(call: AnyCall, item: Json) -> StartRequest | ValidationFailed:
    try:
        body = _ITEM.of_json(item)
    except ValidationFailed as error:
        return error
    return _request(call, body, body.idempotency_key)


def _request(call: AnyCall, body: requests.StartItem, key: str | None) -> StartRequest:
    return StartRequest(
        workflow=reference("wf", call.params["id"]),
        input={} if body.input is UNSET else body.input,
        connection=None if body.connection_id is None else reference("conn", body.connection_id),
        idempotency_key=key,
        key=call.principal.key_id,
    )


def _idempotency_key(call: AnyCall, body: requests.StartItem) -> str | None:
    """The key of the body or the header `Idempotency-Key`, which mean the same."""
    header = call.headers.get(b"idempotency-key")
    if header is None:
        return body.idempotency_key
    key = header.decode("latin-1")
    if body.idempotency_key not in (None, key):
        raise _refused("Differs from the header Idempotency-Key")
    if not 1 <= len(key) <= LONGEST_KEY:
        raise _refused(f"The header Idempotency-Key takes 1 to {LONGEST_KEY} characters")
    return key


def _refused(message: str) -> ValidationFailed:
    return ValidationFailed("Invalid request", [Fault(("idempotencyKey",), message)])


def _headers(started: StartedRun) -> dict[str, str] | None:
    if not started.replayed:
        return None
    return {"Idempotency-Replayed": "true"} | ({"Idempotency-Mismatch": "true"} if started.mismatch else {})


def _started(
    started: StartedRun, status: wire.RunStatus | None = None, vendor_run_id: str | None = None
) -> wire.Started:
    return wire.Started(
        run_id=f"run_{started.run}",
        status=status or STATUS[started.state],
        workflow_id=f"wf_{started.workflow}",
        workflow_version=started.version,
        vendor_run_id=UNSET if vendor_run_id is None else vendor_run_id,
    )


def _result(index: int, outcome: StartedRun | StepwellError) -> wire.BatchResult:
    if isinstance(outcome, StepwellError):
        return wire.BatchResult(index=index, success=False, error=error_body(outcome))
    status, replayed = STATUS[outcome.state], outcome.replayed
    return wire.BatchResult(index=index, success=True, run_id=f"run_{outcome.run}", status=status, replayed=replayed)


_REPLAY = ("Idempotency-Replayed", "Idempotency-Mismatch")
ROUTES: Sequence[Route] = (
    Route(
        method="POST",
        path="/workflows/{id}/run",
        handler=run,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="Start a run of an active workflow",
        answers=(
            Answer(status=202, data=wire.Started, headers=_REPLAY),
            Answer(status=200, data=wire.SyncRun, headers=_REPLAY),
        ),
        body=requests.RunBody,
        headers=("Idempotency-Key",),
        errors=("NOT_FOUND", "VALIDATION_ERROR", "INVALID_STATUS", "IDEMPOTENCY_CONFLICT", "BUDGET_EXCEEDED"),
        exists=workflow_exists,
        sheds=True,
    ),
    Route(
        method="POST",
        path="/workflows/{id}/run/batch",
        handler=batch,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="Start up to 500 runs, each judged alone",
        answers=(Answer(status=202, data=wire.BatchStarted),),
        body=requests.BatchBody,
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        exists=workflow_exists,
        sheds=True,
        batch=True,
    ),
)
