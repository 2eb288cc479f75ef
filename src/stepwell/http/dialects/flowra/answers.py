"""Envelopes and error bodies. Source: Flowra contract 3."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from math import ceil
from typing import Any, TypeVar

import msgspec
from starlette.responses import Response

from stepwell import values
from stepwell.errors import Fault, Overloaded, StepwellError, ValidationFailed
from stepwell.http.dialects.flowra.names import cursor
from stepwell.http.dialects.flowra.queries import Page
from stepwell.http.errors import MethodNotAllowed, RateLimited
from stepwell.http.routes import Answer
from stepwell.values import Json

T = TypeVar("T")

JSON = "application/json"
STATUSES = {
    "VALIDATION_ERROR": 400,
    "BUDGET_EXCEEDED": 409,
    "INVALID_STEP": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "FUNCTION_HAS_NO_RUNS": 400,
    "INVALID_STATUS": 409,
    "INVALID_STATE": 409,
    "IDEMPOTENCY_CONFLICT": 409,
    "ALREADY_EXISTS": 409,
    "SOURCE_OWNED": 409,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "RATE_LIMITED": 429,
    "INTERNAL_ERROR": 500,
    "OVERLOADED": 503,
}
_LIST_NUMBERS = ("total", "page", "limit", "totalPages")

_encode = msgspec.json.Encoder(decimal_format="number").encode


def single(message: str, data: Any, status: int = 200, *, beside: bool = False) -> Response:
    """`{"success": true, "message": ..., "data": ...}`. `beside` puts the fields of the data at the top as well."""
    body = {"success": True, "message": message, "data": data}
    if beside:
        body = {**msgspec.to_builtins(data), **body}
    return Response(_encode(body), status, media_type=JSON)


def done(message: str) -> Response:
    """`{"success": true, "message": ...}`: there is nothing to return."""
    return Response(_encode({"success": True, "message": message}), media_type=JSON)


def bare(data: Any, status: int = 200) -> Response:
    """The data alone."""
    return Response(_encode(data), status, media_type=JSON)


def listing(query: Page, rows: Sequence[T], total: int, shown: Callable[[T], Any], id: Callable[[T], str]) -> Response:
    """A page of the first `query.limit` rows. One row more than that says that there are more pages."""
    page = rows[: query.limit]
    more = len(rows) > query.limit
    body = {
        "success": True,
        "message": "OK",
        "data": [projected(shown(row), query.fields) for row in page],
        "total": total,
        "page": query.number,
        "limit": query.limit,
        "totalPages": ceil(total / query.limit),
        "hasNextPage": more,
        "hasPreviousPage": query.continued or query.start > 0,
        "nextCursor": cursor(id(page[-1])) if more and query.by_creation else None,
    }
    return Response(_encode(body), media_type=JSON)


def projected(item: Any, fields: list[str] | None) -> Any:
    """An item with the fields that were asked for; its id stays.

    Raises:
        ValidationFailed: it has no such field.
    """
    if not fields:
        return item
    whole: dict[str, Json] = msgspec.to_builtins(item)
    if unknown := [name for name in fields if name not in whole]:
        raise ValidationFailed("Invalid request", [Fault(("fields",), f"Unknown field: {unknown[0][:100]}")])
    return {name: value for name, value in whole.items() if name == "id" or name in fields}


def refusal(error: StepwellError) -> Response:
    """`{"success": false, "statusCode": ..., "error": ..., "message": ..., "details": [...]}`."""
    status = STATUSES.get(error.code, 500)
    headers = {}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    elif isinstance(error, RateLimited | Overloaded):
        headers["Retry-After"] = str(error.retry_after_s)
    elif status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    faults = error.faults if isinstance(error, ValidationFailed) else []
    body = {
        "success": False,
        "statusCode": status,
        "error": HTTPStatus(status).phrase,
        "message": "Internal server error" if status == 500 else _message(error, faults),
        "details": [{"field": fault.field, "message": fault.message} for fault in faults],
    }
    return Response(values.encode(body), status, headers, JSON)


def envelope(answer: Answer, data: Json) -> Json:
    """The JSON Schema of a success, given that of its data."""
    if answer.bare:
        return data
    properties: Json = {"success": {"const": True}, "message": {"type": "string"}}
    if answer.listed:
        properties["data"] = {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "string"}}}}
        properties["data"]["items"] = {"anyOf": [data, properties["data"]["items"]]}  # `fields` leaves some out
        properties |= {name: {"type": "integer", "minimum": 0} for name in _LIST_NUMBERS}
        properties |= {name: {"type": "boolean"} for name in ("hasNextPage", "hasPreviousPage")}
        properties["nextCursor"] = {"type": ["string", "null"]}
    elif data is not None:
        properties["data"] = {"anyOf": [data, {"type": "null"}]} if answer.nullable else data
    return {"type": "object", "required": list(properties), "properties": properties}


def error_schema(code: str) -> Json:
    """The JSON Schema of an error's answer."""
    detail: Json = {
        "type": "object",
        "required": ["field", "message"],
        "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
    }
    properties: Json = {
        "success": {"const": False},
        "statusCode": {"const": STATUSES[code]},
        "error": {"const": HTTPStatus(STATUSES[code]).phrase},
        "message": {"type": "string"},
        "details": {"type": "array", "items": detail},
    }
    return {"type": "object", "required": list(properties), "properties": properties}


def _message(error: StepwellError, faults: list[Fault]) -> str:
    """One text, as the vendor's client shows it: it names the first faulty field."""
    if not faults:
        return error.message
    first = faults[0]
    return f"{first.field}: {first.message}" if first.field else first.message
