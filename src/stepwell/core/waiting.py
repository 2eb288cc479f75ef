"""Why an open run does not go on, in one sentence: read from its waiting records, timers and approvals."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Literal, TypeAlias

import msgspec

from stepwell import values
from stepwell.auth import mask_encoded, mask_text
from stepwell.clock import iso
from stepwell.states import RecordStatus, RunState
from stepwell.store import Approval, Loaded, Record
from stepwell.values import Json

PAUSED = "The run is paused"
BLOCKED = "The run waits for a place under its workflow's limit of concurrent runs"
MOST_NAMED = 5

Due: TypeAlias = Callable[[str, str], int | None]
"""When the timer of a path and kind is due."""


class OpenWait(msgspec.Struct, frozen=True):
    """A step that waits, and for what: `type` is the event's, `child` a run, `until` in epoch ms."""

    path: str
    step: str
    kind: Literal["event", "timer", "child", "approval", "task"]
    until: int | None = None
    type: str | None = None
    child: str | None = None


def open_waits(loaded: Loaded) -> tuple[OpenWait, ...]:
    """What the steps of an open run wait for, as data; a step that is tried again waits for nothing."""
    if loaded.run.state.final:
        return ()
    timers = {(timer.path, timer.kind): timer.due for timer in loaded.timers}
    pending = {approval.path for approval in loaded.approvals if approval.status == "pending"}
    waiting = (record for record in loaded.records if record.status is RecordStatus.WAITING)
    found = (_open_wait(record, timers, pending) for record in waiting)
    return tuple(wait for wait in found if wait is not None)


def _open_wait(record: Record, timers: Mapping[tuple[str, str], int], pending: Collection[str]) -> OpenWait | None:
    path, step = record.path, record.step
    if path in pending:
        return OpenWait(path, step, "approval", timers.get((path, "approval")))
    if (due := timers.get((path, "wait"))) is not None:
        return OpenWait(path, step, "timer", due)
    data: Json = values.decode(mask_encoded(record.data or b"{}"))
    if (path, "retry") in timers or not isinstance(data, dict):
        return None
    if "task" in data:
        return OpenWait(path, step, "task")
    if "event" in data:
        return OpenWait(path, step, "event", timers.get((path, "event")), type=data["event"])
    if "child" in data:
        return OpenWait(path, step, "child", timers.get((path, "child")), child=data["child"])
    return None


def waiting_for(loaded: Loaded) -> str | None:
    """One sentence, None if the run is final or nothing keeps it. Of several waiting steps the first is told of that
    waits for somebody, else the first; the others are counted."""
    run = loaded.run
    if run.state.final:
        return None
    if run.state is RunState.PAUSED:
        return PAUSED if run.held is None else f"{PAUSED}: {values.decode(run.held)['message']}"
    if run.blocked is not None:
        return BLOCKED
    reasons = sorted(_reasons(loaded), key=lambda reason: reason[0])
    if not reasons:
        return None
    others = len(reasons) - 1
    more = f", and {others} more {'step waits' if others == 1 else 'steps wait'}" if others else ""
    return mask_text(reasons[0][1]) + more


def _reasons(loaded: Loaded) -> Iterator[tuple[int, str]]:
    """Weight and sentence of each step that waits."""
    timers = {(timer.path, timer.kind): timer.due for timer in loaded.timers}
    approvals = {approval.path: approval for approval in loaded.approvals}

    def due(path: str, kind: str) -> int | None:
        return timers.get((path, kind))

    for record in loaded.records:
        if record.status is RecordStatus.WAITING:
            reason = _reason(record, due, approvals)
            if reason is not None:
                yield reason[0], f"Step {record.path} {reason[1]}"


def _reason(record: Record, due: Due, approvals: Mapping[str, Approval]) -> tuple[int, str] | None:
    path = record.path
    if path in approvals:
        return (0, _of_approval(approvals[path])) if approvals[path].status == "pending" else None
    if (at := due(path, "retry")) is not None:
        return 3, f"failed and is tried again at {iso(at)}"
    if (at := due(path, "wait")) is not None:
        return 4, f"waits until {iso(at)}"
    data: Json = values.decode(mask_encoded(record.data or b"{}"))
    if "task" in data and due(path, "room") is not None:
        return 0, "waits for room among the tasks of its workspace"
    if "task" in data:
        return 0, "waits for a worker to do its task, and for the delivery to be accepted"
    if "event" in data:
        return 1, f"waits for an event of type {data['event'][:200]}{_until(due(path, 'event'))}"
    if "child" in data:
        return 2, f"waits for the run run_{data['child']}{_until(due(path, 'child'))}"
    return None


def _of_approval(approval: Approval) -> str:
    decided = {decision["approver"] for decision in values.decode(approval.decisions)}
    left = [approver for approver in approval.approvers if approver not in decided]
    named = left[:MOST_NAMED] + ([f"{len(left) - MOST_NAMED} more"] if len(left) > MOST_NAMED else [])
    who = (" and " if approval.require_all else " or ").join(named)
    return f"waits for an approval by {who}{_until(approval.expires_at)}"


def _until(due: int | None) -> str:
    return "" if due is None else f" until {iso(due)}"
