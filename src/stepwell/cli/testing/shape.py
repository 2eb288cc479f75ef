"""The shape of a case file, as JSON Schema."""

from typing import Final

from stepwell.definitions import Schema
from stepwell.values import Json

DURATION = r"^\+?([0-9]+(ms|s|m|h|d|w))+$"
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+(Z|[+-][0-9:]+)?)?$"
_STATUSES = ["completed", "failed", "timeout", "cancelled", "suspended", "running", "refused"]
_TEXT: Json = {"type": "string", "minLength": 1}
_OBJECT: Json = {"type": "object"}


def _record(required: tuple[str, ...] = (), **properties: Json) -> Json:
    """An object of these fields and no others."""
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}


def _one_or_list(schema: Json) -> Json:
    listed = {"type": "array", "minItems": 1, "items": schema}
    return {"if": {"type": "array"}, "then": listed, "else": schema}


_ERROR = _record(
    code=_TEXT,
    message=_TEXT,
    kind={"enum": ["timeout", "network", "http", "provider", "code"]},
    retryable={"type": "boolean"},
    httpStatus={"type": "integer", "minimum": 100, "maximum": 599},
    retryAfterMs={"type": "integer", "minimum": 0},
)
_DURATION: Json = {"type": "string", "pattern": DURATION}
_ANSWER = {**_record(output={}, error=_ERROR, after=_DURATION), "minProperties": 1}
_MOCKS: Json = {"type": "object", "additionalProperties": _one_or_list(_ANSWER)}
_CHILD = _record(("workflow",), workflow={"type": ["string", "object"], "minLength": 1}, mocks=_MOCKS)
_CHILDREN: Json = {
    "type": "object",
    "additionalProperties": {
        "if": {"type": "object", "required": ["workflow"]},
        "then": _CHILD,
        "else": _one_or_list(_ANSWER),
    },
}
_DECISION = _record(
    ("decision",), decision={"enum": ["approve", "reject"]}, by=_TEXT, comment={"type": "string"}, after=_DURATION
)
_STEP: Json = {
    "if": {"type": "null"},
    "else": _record(
        status={"enum": ["success", "error", "skipped", "waiting", "running"]},
        input={},
        output={},
        error={},
        attempt={"type": "integer", "minimum": 0},
    ),
}
_CASE = _record(
    ("name",),
    name=_TEXT,
    input=_OBJECT,
    clock={"type": "string", "pattern": _TIME},
    trigger=_record(type={"enum": ["api", "manual", "webhook", "schedule"]}, headers=_OBJECT, query=_OBJECT, body={}),
    mocks=_MOCKS,
    subworkflows=_CHILDREN,
    events={
        "type": "array",
        "items": _record(
            ("type",), type=_TEXT, payload={}, at={"type": "string", "pattern": f"{DURATION}|{_TIME}"}, after=_TEXT
        ),
    },
    approvals={"type": "object", "additionalProperties": _one_or_list(_DECISION)},
    secrets={"type": "object", "additionalProperties": {"type": "string", "minLength": 4}},
    variables=_OBJECT,
    expect=_record(
        status={"enum": _STATUSES},
        output={},
        error={},
        path={"type": "array", "items": _TEXT},
        steps={"type": "object", "additionalProperties": _STEP},
        notified={"type": "array", "items": _record(step=_TEXT, to={"type": "array"}, escalated={"type": "boolean"})},
        exact={"type": "boolean"},
    ),
)
CASE_FILE: Final = Schema(
    _record(
        ("workflow", "cases"),
        name=_TEXT,
        workflow={"type": ["string", "object"], "minLength": 1},
        cases={"type": "array", "minItems": 1, "items": _CASE},
    )
)
