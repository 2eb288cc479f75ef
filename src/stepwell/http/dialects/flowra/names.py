"""Names on the wire: bare UUIDs, times, cursors. Source: Flowra contract 1, 3."""

import base64
import binascii
from collections.abc import Mapping

from stepwell import ids, values
from stepwell.clock import iso
from stepwell.errors import Fault, NotFound, ValidationFailed
from stepwell.values import InvalidJson

IDS: Mapping[str, str] = {
    "workflow": "<uuid>",
    "execution": "<uuid>",
    "connection": "<uuid>",
    "trigger instance": "<uuid>",
}
_PREFIXES = ("wf_", "run_", "conn_", "trg_", "evt_", "step_")


def uuid_of(text: str) -> str | None:
    """The UUID that a text names, with or without the core's prefix; None if it is malformed."""
    lower = text.lower()
    for prefix in _PREFIXES:
        lower = lower.removeprefix(prefix)
    return ids.parse(lower)


def found(text: str, what: str) -> str:
    """The same for one thing of a path. Raises NotFound, `<what> not found`, if it is malformed."""
    uuid = uuid_of(text)
    if uuid is None:
        raise NotFound(f"{what} not found")
    return uuid


def wanted(texts: list[str] | None) -> tuple[str, ...] | None:
    """The ids of a filter; None if there is no filter. What is malformed matches nothing."""
    if not texts:
        return None
    return tuple(dict.fromkeys(uuid for text in texts if (uuid := uuid_of(text)) is not None))


def time(time_ms: int | None) -> str | None:
    """A time as it is shown: ISO 8601 in UTC, with milliseconds."""
    return None if time_ms is None else iso(time_ms)


def created(id: str) -> str:
    """When the thing of an id was created."""
    return iso(ids.created_ms(id))


def cursor(id: str) -> str:
    """The place after the thing of an id: base64url of its creation time and id."""
    place = {"ts": ids.created_ms(id), "id": id}
    return base64.urlsafe_b64encode(values.encode(place)).decode()


def cursor_id(text: str | None) -> str | None:
    """The id that a cursor stands for.

    Raises:
        ValidationFailed: it is no cursor.
    """
    if text is None:
        return None
    try:
        place = values.decode(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (InvalidJson, binascii.Error, ValueError):
        raise _bad_cursor() from None
    id = place.get("id") if isinstance(place, dict) else None
    uuid = ids.parse(id) if isinstance(id, str) else None
    if uuid is None:
        raise _bad_cursor()
    return uuid


def _bad_cursor() -> ValidationFailed:
    return ValidationFailed("Invalid request", [Fault(("cursor",), "Invalid cursor")])
