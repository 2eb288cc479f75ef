"""What the sender of a webhook is answered, where its trigger says so: a text of its own, or the output of the run."""

import msgspec

from stepwell.core.inbox import Received
from stepwell.core.runs import Runs
from stepwell.core.views import RunView
from stepwell.errors import NotFound, StepError
from stepwell.states import RunState
from stepwell.triggers import Respond
from stepwell.values import Json, encode

JSON, TEXT = "application/json", "text/plain; charset=utf-8"
LONGEST = 1024 * 1024
_BODILESS = (204, 205, 304)


class SenderAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as it is sent. Header names are as the workflow wrote them; one of them may be Content-Type."""

    status: int
    headers: dict[str, str]
    body: bytes


async def sender_answer(runs: Runs, received: Received) -> SenderAnswer:
    """What a sender is told: `{received, eventId, workflowsTriggered}`, or what the trigger wants it to be told. If its
    template fails or its run does not end in time, the event is taken all the same, and the answer is the usual one."""
    if received.challenge is not None:
        return _json(200, {"challenge": received.challenge})
    respond = received.respond
    if respond is None:
        return _json(200, _usual(received))
    if respond.waits:
        return await _of_run(runs, received, respond)
    try:
        return _rendered(received, respond)
    except StepError as error:
        return _json(200, {**_usual(received), "answerError": error.message[:500]})


async def _of_run(runs: Runs, received: Received, respond: Respond) -> SenderAnswer:
    if not received.runs or respond.wait_s is None:
        return _json(200, _usual(received))
    run = received.runs[0]
    try:
        view = await runs.finished(received.workspace, run, respond.wait_s)
    except NotFound:  # a repeated event whose run was deleted
        return _json(200, _usual(received))
    if view is None:
        return _json(202, {**_usual(received), "runId": f"run_{run}"})
    if view.run.state is RunState.COMPLETED:
        return SenderAnswer(status=200, headers={"Content-Type": JSON}, body=bytes(view.output))
    return _json(500, {"error": _error(view)})


def _error(view: RunView) -> Json:
    if view.error is None:
        return {"code": str(view.run.state).upper(), "message": f"The run is {view.run.state}"}
    return {"code": view.error.code, "message": view.error.message}


def _rendered(received: Received, respond: Respond) -> SenderAnswer:
    """Raises StepError if a template fails."""
    scope = {
        **received.data,
        "eventId": f"evt_{received.event}",
        "workflowsTriggered": received.triggered,
        "duplicate": received.duplicate,
        "runId": f"run_{received.runs[0]}" if received.runs else None,
    }
    headers = {name: _header(template.render(scope)) for name, template in respond.headers.items()}
    body = None if respond.body is None else respond.body.render(scope)
    text = isinstance(body, str)
    written = b"" if body is None or respond.status in _BODILESS else body.encode() if text else encode(body)
    if len(written) > LONGEST:
        raise StepError(f"The answer is longer than {LONGEST} bytes", code="TEMPLATE_ERROR")
    if written and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = TEXT if text else JSON
    return SenderAnswer(status=respond.status, headers=headers, body=written)


def _header(value: Json) -> str:
    """One line of characters that a header may hold."""
    text = value if isinstance(value, str) else "" if value is None else encode(value).decode()
    return "".join(char if " " <= char <= "~" else " " for char in text)[:8192]


def _usual(received: Received) -> dict[str, Json]:
    told: dict[str, Json] = {
        "received": True,
        "eventId": f"evt_{received.event}",
        "workflowsTriggered": received.triggered,
    }
    return {**told, "duplicate": True} if received.duplicate else told


def _json(status: int, value: Json) -> SenderAnswer:
    return SenderAnswer(status=status, headers={"Content-Type": JSON}, body=encode(value))
