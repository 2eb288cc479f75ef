"""Answers and error bodies. Source: AwaitStep contract 2, 3."""

from typing import Any

import msgspec
from starlette.responses import Response

from stepwell import values
from stepwell.auth import DIALECTS
from stepwell.errors import Forbidden, KeyExpired, Overloaded, StepwellError, Unauthorized, ValidationFailed
from stepwell.http.bodies import NOT_JSON
from stepwell.http.errors import MethodNotAllowed, RateLimited, RouteNotFound, ServerFault
from stepwell.http.routes import Answer
from stepwell.values import Json

JSON = "application/json"
STATUSES = {
    "BAD_REQUEST": 400,
    "UNSUPPORTED_PROVIDER": 400,
    "FUNCTION_HAS_NO_RUNS": 400,
    "INVALID_STATUS": 400,
    "INVALID_STEP": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "REQUEST_TIMEOUT": 408,
    "INVALID_STATE": 409,
    "IDEMPOTENCY_CONFLICT": 409,
    "ALREADY_EXISTS": 409,
    "SOURCE_OWNED": 409,
    "BUDGET_EXCEEDED": 409,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "VALIDATION_ERROR": 422,
    "COMPILE_ERROR": 422,
    "RATE_LIMITED": 429,
    "INTERNAL_ERROR": 500,
    "OVERLOADED": 503,
}

_encode = msgspec.json.Encoder(decimal_format="number").encode


class BadRequest(StepwellError):
    """A request that this dialect refuses with 400: `details` are `{path, message, nodeId}` of a graph."""

    code = "BAD_REQUEST"


class InvalidConfig(ValidationFailed):
    """Settings of a deploy that are refused with 422 and this message."""


def bare(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The data alone."""
    return Response(_encode(data), status, headers, JSON)


def refusal(error: StepwellError) -> Response:
    """`{"error": "text"}`, with `details` where there are such."""
    status = 400 if isinstance(error, ValidationFailed) and error.message == NOT_JSON else STATUSES.get(error.code, 500)
    headers = {}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    elif isinstance(error, RateLimited | Overloaded):
        headers["Retry-After"] = str(error.retry_after_s)
        if isinstance(error, RateLimited):
            headers |= {"RateLimit-Limit": str(error.limit), "RateLimit-Remaining": "0"}
            headers["RateLimit-Reset"] = str(error.retry_after_s)
    elif status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body: dict[str, Json] = {"error": "Internal server error" if status == 500 else _text(error)}
    if isinstance(error, ValidationFailed) and error.message != NOT_JSON:
        body["details"] = [{"path": fault.field, "message": fault.message} for fault in error.faults]
    elif isinstance(error, BadRequest) and error.details:
        body["details"] = error.details
    elif isinstance(error, ServerFault):
        body["requestId"] = error.request
    return Response(values.encode(body), status, headers, JSON)


def envelope(answer: Answer, data: Json) -> Json:
    """The JSON Schema of a success, given that of its data."""
    if not answer.listed:
        return {} if data is None else data
    properties: Json = {"data": {"type": "array", "items": data}, "nextCursor": {"type": ["string", "null"]}}
    return {"type": "object", "required": list(properties), "properties": properties}


def error_schema(code: str) -> Json:
    """The JSON Schema of an error's answer."""
    detail: Json = {"type": "object", "required": ["path", "message"]}
    properties: Json = {"error": {"type": "string"}, "details": {"type": "array", "items": detail}}
    return {"type": "object", "required": ["error"], "properties": properties}


def _text(error: StepwellError) -> str:
    if isinstance(error, InvalidConfig):
        return error.message
    if isinstance(error, ValidationFailed):
        return "Malformed JSON" if error.message == NOT_JSON else "Validation failed"
    if isinstance(error, Forbidden) and error.details:
        return f"API key missing required scope: {_own_scope(error.details[0]['scope'])}"
    if isinstance(error, KeyExpired):
        return "API key expired"
    if isinstance(error, RateLimited):
        return "Too many requests"
    if isinstance(error, RouteNotFound):
        return "Not found"
    return "Unauthorized" if isinstance(error, Unauthorized) else error.message


def _own_scope(scope: str) -> str:
    """The scope of this dialect's keys that grants one of the core's."""
    own = DIALECTS["awaitstep"].scopes
    return next((name for name, granted in own.items() if scope in granted), scope)
