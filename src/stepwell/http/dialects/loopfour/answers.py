"""Envelopes and error bodies. Source: LoopFour contract 1.2, 1.4."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from starlette.responses import Response

from stepwell import values
from stepwell.errors import Overloaded, StepwellError, ValidationFailed
from stepwell.http.errors import MethodNotAllowed, RateLimited, RequestTimeout
from stepwell.http.routes import Answer
from stepwell.values import Json

T = TypeVar("T")

JSON = "application/json"
STATUSES = {
    "VALIDATION_ERROR": 400,
    "FUNCTION_HAS_NO_RUNS": 400,
    "INVALID_STATUS": 400,
    "INVALID_STATE": 400,
    "INVALID_STEP": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "REQUEST_TIMEOUT": 408,
    "IDEMPOTENCY_CONFLICT": 409,
    "ALREADY_EXISTS": 409,
    "SOURCE_OWNED": 409,
    "BUDGET_EXCEEDED": 409,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "RATE_LIMITED": 429,
    "INTERNAL_ERROR": 500,
    "OVERLOADED": 503,
}
CONFIGURATION = "Invalid workflow configuration"

_encode = msgspec.json.Encoder(decimal_format="number").encode


def success(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """`{"success": true, "data": ...}`."""
    return Response(b'{"success":true,"data":' + _encode(data) + b"}", status, headers, JSON)


def listing(rows: Sequence[T], limit: int, shown: Callable[[T], Any], cursor: Callable[[T], str]) -> Response:
    """A page of the first `limit` rows. One row more than that says that there are more pages."""
    page = rows[:limit]
    meta: Json = {"hasMore": False}
    if len(rows) > limit:
        meta = {"cursor": cursor(page[-1]), "hasMore": True}
    data = [shown(row) for row in page]
    return Response(b'{"success":true,"data":' + _encode(data) + b',"meta":' + _encode(meta) + b"}", media_type=JSON)


def refusal(error: StepwellError) -> Response:
    """`{"success": false, "error": ...}` with the status of the error's code."""
    status = STATUSES[error.code]
    headers = {}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    elif isinstance(error, RateLimited | Overloaded):
        headers["Retry-After"] = str(error.retry_after_s)
    elif isinstance(error, RequestTimeout):
        headers["Connection"] = "close"  # the rest of the body may still come
    elif status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(values.encode({"success": False, "error": error_body(error)}), status, headers, JSON)


def error_body(error: StepwellError) -> dict[str, Json]:
    """`{code, message, details?}`; what a fault of the server said stays inside."""
    if error.code not in STATUSES or STATUSES[error.code] == 500:
        return {"code": "INTERNAL_ERROR", "message": "Internal server error"}
    body: dict[str, Json] = {"code": error.code, "message": error.message}
    details = _details(error)
    if details:
        body["details"] = details
    return body


def error_schema(code: str) -> Json:
    """The JSON Schema of an error's answer."""
    error: Json = {
        "type": "object",
        "required": ["code", "message"],
        "properties": {
            "code": {"const": code},
            "message": {"type": "string"},
            "details": {"type": "array", "items": {"type": "object"}},
        },
    }
    return {
        "type": "object",
        "required": ["success", "error"],
        "properties": {"success": {"const": False}, "error": error},
    }


def envelope(answer: Answer, data: Json) -> Json:
    """The JSON Schema of a success, given that of its data."""
    properties: Json = {"success": {"const": True}, "data": {"type": "array", "items": data} if answer.listed else data}
    if answer.listed:
        properties["meta"] = {
            "type": "object",
            "required": ["hasMore"],
            "properties": {"hasMore": {"type": "boolean"}, "cursor": {"type": "string"}},
        }
    return {"type": "object", "required": list(properties), "properties": properties}


def _details(error: StepwellError) -> Json:
    if not isinstance(error, ValidationFailed):
        return error.details
    if error.message == CONFIGURATION:
        return [{"field": fault.field, "path": fault.path, "message": fault.message} for fault in error.faults]
    return [{"path": fault.path, "message": fault.message} for fault in error.faults]
