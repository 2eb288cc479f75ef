"""Answers and error bodies. Source: AITasker contract 2, 3."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.responses import Response

from stepwell import values
from stepwell.errors import Fault, Forbidden, InvalidKey, Overloaded, StepwellError, Unauthorized, ValidationFailed
from stepwell.http.bodies import NOT_JSON, Headers
from stepwell.http.dialects.aitasker.faults import worded
from stepwell.http.dialects.aitasker.names import DIALECT
from stepwell.http.errors import MethodNotAllowed, RateLimited
from stepwell.http.routes import Answer, AnyCall
from stepwell.store import Answered
from stepwell.values import Json, Path

JSON = "application/json"
LONGEST_KEY = 255
STATUSES = {
    "BAD_REQUEST": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "REQUEST_TIMEOUT": 408,
    "FUNCTION_HAS_NO_RUNS": 400,
    "INVALID_STATUS": 409,
    "INVALID_STATE": 409,
    "IDEMPOTENCY_CONFLICT": 409,
    "ALREADY_EXISTS": 409,
    "SOURCE_OWNED": 409,
    "BUDGET_EXCEEDED": 409,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "VALIDATION_ERROR": 422,
    "RATE_LIMITED": 429,
    "INTERNAL_ERROR": 500,
    "OVERLOADED": 503,
}

_encode = msgspec.json.Encoder(decimal_format="number").encode


class BadRequest(StepwellError):
    """A request that this dialect refuses with 400."""

    code = "BAD_REQUEST"


def bare(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The data alone."""
    return Response(_encode(data), status, headers, JSON)


async def once(call: AnyCall, place: str, act: Callable[[], Awaitable[Response]]) -> Response:
    """What a call is answered: under an Idempotency-Key that this place has seen within 24 hours, what it was answered
    then. A refusal is not kept."""

    async def answered() -> Answered:
        response = await act()
        return Answered(response.status_code, bytes(response.body))

    key = idempotency_key(call.headers)
    found, _ = await call.core.repeats.once(call.workspace, f"{DIALECT}:{place}", key, answered)
    return Response(found.body, found.status, media_type=JSON)


def idempotency_key(headers: Headers) -> str | None:
    """The key of a call that may be repeated, if it has one.

    Raises:
        ValidationFailed: it is empty or too long.
    """
    given = headers.get(b"idempotency-key")
    if given is not None and not 0 < len(given) <= LONGEST_KEY:
        fault = Fault(("Idempotency-Key",), f"Takes 1 to {LONGEST_KEY} characters")
        raise ValidationFailed("Invalid request", [fault], within="header")
    return None if given is None else given.decode("latin-1")


def refusal(error: StepwellError) -> Response:
    """`{"detail": "text"}`, or a list of faults."""
    status = STATUSES.get(error.code, 500)
    headers = {}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    elif isinstance(error, RateLimited | Overloaded):
        headers["Retry-After"] = str(error.retry_after_s)
    elif status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    detail: Json = "Internal server error" if status == 500 else _text(error)
    if isinstance(error, ValidationFailed):
        detail = [_fault(error, fault) for fault in error.faults] or [_not_json(error)]
    return Response(values.encode({"detail": detail}), status, headers, JSON)


def envelope(answer: Answer, data: Json) -> Json:
    """The JSON Schema of a success, given that of its data."""
    return {"type": "array", "items": data} if answer.listed else {} if data is None else data


def error_schema(code: str) -> Json:
    """The JSON Schema of an error's answer."""
    detail: Json = {"type": "array", "items": {"type": "object", "required": ["type", "loc", "msg"]}}
    if code != "VALIDATION_ERROR":
        detail = {"type": "string"}
    return {"type": "object", "required": ["detail"], "properties": {"detail": detail}}


def _text(error: StepwellError) -> str:
    if isinstance(error, Forbidden) and error.details:
        return f"Missing scope: {error.details[0]['scope']}"
    if isinstance(error, RateLimited):
        return "Rate limit exceeded"
    if isinstance(error, InvalidKey):
        return "Invalid token"
    return "Not authenticated" if isinstance(error, Unauthorized) else error.message


def _fault(error: ValidationFailed, fault: Fault) -> Json:
    kind, message = worded(fault.message)
    told: dict[str, Json] = {"type": kind, "loc": [error.within or "body", *fault.path], "msg": message}
    if error.given is not None:
        told["input"] = _at(error.given, fault.path[:-1] if kind == "missing" else fault.path)
    return told


def _at(given: Json, path: Path) -> Json:
    """What was sent at a place; null if nothing was."""
    for part in path:
        if isinstance(given, dict):
            given = given.get(str(part))
        elif isinstance(given, list) and isinstance(part, int) and part < len(given):
            given = given[part]
        else:
            return None
    return given


def _not_json(error: ValidationFailed) -> Json:
    kind = "json_invalid" if error.message == NOT_JSON else "value_error"
    return {"type": kind, "loc": [error.within or "body"], "msg": error.message, "input": error.given}
