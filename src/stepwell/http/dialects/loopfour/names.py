"""Names on the wire: ids with prefixes, times, statuses, cursors. Source: LoopFour contract 1.1, 1.3, 1.5, 5.5."""

import base64
import binascii
from collections.abc import Mapping

from stepwell import ids, values
from stepwell.clock import iso
from stepwell.errors import Fault, NotFound, ValidationFailed
from stepwell.http.dialects.loopfour.wire import RunStatus
from stepwell.states import RunState, WaitsOn
from stepwell.store import Run
from stepwell.values import InvalidJson

STATUS: Mapping[RunState, RunStatus] = {
    RunState.PENDING: "pending",
    RunState.RUNNING: "running",
    RunState.SUSPENDED: "suspended",
    RunState.PAUSED: "suspended",
    RunState.COMPLETED: "completed",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "cancelled",
    RunState.TIMED_OUT: "timeout",
}
STATES: Mapping[str, tuple[RunState, ...]] = {
    **{name: tuple(state for state, its in STATUS.items() if its == name) for name in STATUS.values()},
    "timed_out": (RunState.TIMED_OUT,),
}
IDS: Mapping[str, str] = {
    "workspace": "ws_<uuid>",
    "workflow": "wf_<uuid> or wf_<slug>",
    "run": "run_<uuid>",
    "connection": "conn_<uuid> or conn_<slug>",
    "trigger": "trg_<uuid>",
    "key": "key_<uuid>",
}
_REASONS = {WaitsOn.APPROVAL: "approval", WaitsOn.EVENT: "event", WaitsOn.TASK: "event"}


def reference(prefix: str, text: str) -> str:
    """An id or slug without its prefix; an id in lower case."""
    bare = text.removeprefix(f"{prefix}_")
    return ids.parse(bare) or bare


def run_id(text: str) -> str:
    """A run's id without its prefix. Raises NotFound if it is malformed."""
    found = ids.parse(text.removeprefix("run_"))
    if found is None:
        raise NotFound("Run not found")
    return found


def approval_id(text: str) -> str:
    """An approval's id without its prefix. Raises NotFound if it is malformed."""
    found = ids.parse(text.removeprefix("apr_"))
    if found is None:
        raise NotFound("Approval not found")
    return found


def prefixed(prefix: str, id: str | None) -> str | None:
    """An id as it is shown."""
    return None if id is None else f"{prefix}_{id}"


def time(time_ms: int | None) -> str | None:
    """A time as it is shown."""
    return None if time_ms is None else iso(time_ms)


def created(id: str) -> str:
    """When the thing of an id was created."""
    return iso(ids.created_ms(id))


def suspend_reason(run: Run) -> str | None:
    """Why a run shows `suspended`."""
    if run.state is RunState.PAUSED:
        return "paused"
    return _REASONS.get(run.waits_on) if run.state is RunState.SUSPENDED and run.waits_on else None


def cursor(time_ms: int, id: str) -> str:
    """The place after an item: base64url of `{"ts": <epoch ms>, "id": "<id>"}`, with padding."""
    return base64.urlsafe_b64encode(values.encode({"ts": time_ms, "id": id})).decode()


def cursor_id(text: str | None, prefix: str) -> str | None:
    """The id that a cursor of a list stands for, without its prefix.

    Raises:
        ValidationFailed: it is no cursor of such a list.
    """
    if text is None:
        return None
    found = ids.parse(cursor_text(text).removeprefix(f"{prefix}_"))
    if found is None:
        raise bad_cursor()
    return found


def cursor_text(text: str) -> str:
    """The `id` in a cursor. Raises ValidationFailed if it is no cursor."""
    try:
        place = values.decode(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (InvalidJson, binascii.Error, ValueError):
        raise bad_cursor() from None
    if not isinstance(place, dict) or type(place.get("ts")) is not int or not isinstance(place.get("id"), str):
        raise bad_cursor()
    id: str = place["id"]
    return id


def bad_cursor() -> ValidationFailed:
    """The refusal of a cursor."""
    return ValidationFailed("Invalid request", [Fault(("cursor",), "Invalid cursor")])
