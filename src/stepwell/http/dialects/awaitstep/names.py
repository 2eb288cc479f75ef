"""Names on the wire: ids, states, times, cursors. Source: AwaitStep contract 1, 3, 6."""

from collections.abc import Mapping
from typing import Final, Literal

from stepwell import ids
from stepwell.errors import NotFound
from stepwell.states import RunState

DIALECT = "awaitstep"
STATUS: Mapping[RunState, str] = {
    RunState.PENDING: "queued",
    RunState.RUNNING: "running",
    RunState.SUSPENDED: "paused",
    RunState.PAUSED: "paused",
    RunState.COMPLETED: "complete",
    RunState.FAILED: "errored",
    RunState.CANCELLED: "terminated",
    RunState.TIMED_OUT: "errored",
}
"""Its word for each state; a run that waits for a timer or a child is `paused` as well."""
IDS: Mapping[str, str] = {
    "workflow": "wf_<uuid>",
    "version": "ver_<uuid>",
    "run": "run_<uuid>; its instanceId is the bare uuid",
    "connection": "conn_<uuid>",
}

EVENT_TYPE: Final = r"^[A-Za-z0-9_-]{1,100}$"
WaitWord = Literal["event", "sleep", "child", "approval", "task"]
WAITS: Mapping[str, WaitWord] = {
    "event": "event",
    "timer": "sleep",
    "child": "child",
    "approval": "approval",
    "task": "task",
}
"""Its word for what a step of the core waits for."""


def reference(prefix: str, text: str) -> str:
    """An id or slug of a path or body without its prefix; an id in lower case."""
    bare = text.removeprefix(f"{prefix}_")
    return ids.parse(bare) or bare


def run_id(text: str) -> str:
    """The run that a run id or instance id names. Raises NotFound if it is malformed."""
    found = ids.parse(text.removeprefix("run_"))
    if found is None:
        raise NotFound("Run not found")
    return found
