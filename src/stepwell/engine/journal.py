"""The journal of one run: what is recorded, what waits to be written, and the barrier that makes it durable."""

from collections.abc import Callable, Container, Iterable
from typing import Any

import msgspec

from stepwell import values
from stepwell.engine.additions import Additions
from stepwell.engine.ledger import Ledger
from stepwell.engine.outage import Outage
from stepwell.states import RecordStatus, RunState, WaitsOn
from stepwell.store import (
    Approval,
    Commit,
    Committed,
    EventWait,
    Loaded,
    Reached,
    Record,
    RunEvent,
    Runs,
    Task,
    Timer,
)
from stepwell.values import Json

FLUSH_RECORDS = 500  # so many unwritten records are written without a barrier

_FOR_SOMEBODY = (WaitsOn.APPROVAL, WaitsOn.EVENT, WaitsOn.TASK)  # a run that waits for one of these is suspended
_BY_WEIGHT = (*_FOR_SOMEBODY, WaitsOn.CHILD, WaitsOn.RETRY, WaitsOn.TIMER)


class Refused(Exception):
    """A commit was refused: the run is final, or another walk owns it. This walk ends."""


class Journal:
    """Records of a run by path, oldest first. The interpreter reads only this; it never asks the store.

    Records become visible to everyone else when `flush`, `suspend` or `finish` has committed them.
    """

    def __init__(
        self,
        store: Runs,
        loaded: Loaded,
        epoch: int,
        committed: Callable[[str, int | None, Iterable[Reached]], None],
        outage: Outage,
    ) -> None:
        """`committed` is told of every commit: the run, when the first of its new timers is due, and other runs that it
        reached."""
        self._store = store
        self._committed = committed
        self._outage = outage
        self.run = loaded.run
        self._epoch = epoch
        self._seq = loaded.run.seq
        self._state = loaded.run.state
        self._state_seq = loaded.run.state_seq
        self._records: dict[str, Record] = {}
        self._beside: dict[str, list[str]] = {}  # by what paths begin with: those in one block
        self._turns: dict[str, int] = {}  # by container: how many turns have begun
        self._open: dict[str, None] = {}
        for record in loaded.records:
            self._note(record)
        self._outputs: dict[str, Json] = {}
        self._unwritten: dict[str, Record] = {}
        self._new_timers: dict[tuple[str, str], Timer] = {}
        self._waits_on: dict[str, WaitsOn] = {}
        self._winding: set[str] = set()
        self._additions = Additions()
        self.ledger = Ledger(loaded.run)
        self._see(loaded)
        self._held = {path for path, _ in self._timers} | self._open.keys()  # paths that hold something in the store
        self._first = loaded.run.state is RunState.PENDING
        self.started_at = loaded.run.started_at

    def _note(self, record: Record) -> None:
        """Keep a record, and know where it stands."""
        path = record.path
        if path not in self._records:
            cut = path.rfind(".") + 1
            prefix = path[:cut]
            self._beside.setdefault(prefix, []).append(path)
            if prefix[-2:-1] == "]":
                container, _, turn = prefix[:-2].rpartition("[")
                self._turns[container] = max(self._turns.get(container, 0), int(turn) + 1)
        self._records[path] = record
        if record.status.final:
            self._open.pop(path, None)
        else:
            self._open[path] = None

    def _see(self, loaded: Loaded) -> None:
        """Take over what has reached the run."""
        self._signals = loaded.run.signals
        self.paused = loaded.run.state is RunState.PAUSED
        self.stale = False
        self.ledger.see(loaded.run)
        self._timers = {(timer.path, timer.kind): timer for timer in loaded.timers}
        self._events = [event for event in loaded.events if event.id not in self._additions.taken]
        self._approvals = {approval.path: approval for approval in loaded.approvals}
        self._tasks = {task.path: task for task in loaded.tasks}

    def get(self, path: str) -> Record | None:
        """What is recorded of a path."""
        return self._records.get(path)

    def records(self) -> Iterable[Record]:
        """All records."""
        return self._records.values()

    def output(self, path: str) -> Json:
        """The output recorded for a path, as the journal gives it back; None if there is none."""
        if path not in self._outputs:
            record = self._records.get(path)
            raw = record.output if record else None
            self._outputs[path] = None if raw is None else values.decode(raw)
        return self._outputs[path]

    def value(self, raw: bytes | None) -> Json:
        """A recorded value."""
        return None if raw is None else values.decode(raw)

    def begin(self, now: int) -> None:
        """The walk begins; the first one fixes the run's start."""
        if self.started_at is None:
            self.started_at = now
            self._seq += 1
            self._state_seq = self._seq
        elif self._state is RunState.SUSPENDED:
            self._seq += 1
            self._state_seq = self._seq
        self._state = RunState.RUNNING

    def write(self, path: str, step: str, status: RecordStatus, now: int, **fields: Any) -> Record:
        """Record what has become of a path. A first writing opens it; a final status closes it.

        Fields are those of Record: input, output, error, attempts, data as JSON text, attempt and reused.
        """
        before = self._records.get(path)
        if before is None:
            self._seq += 1
            fields.setdefault("attempt", 1)
            fields.setdefault("started_at", now)
            fields["started_seq"] = self._seq
        if status.final:
            self._seq += status is not RecordStatus.SKIPPED
            fields["ended_at"] = now
            fields["ended_seq"] = self._seq
        if before is None:
            record = Record(path=path, step=step, status=status, **fields)
        else:
            record = msgspec.structs.replace(before, status=status, **fields)
            self._outputs.pop(path, None)
            if status is not RecordStatus.WAITING:
                self._waits_on.pop(path, None)
        self._note(record)
        self._unwritten[path] = record
        if status.final and path in self._held:
            self._release(path)
        return record

    def _release(self, path: str) -> None:
        """Nothing waits at a path any more."""
        self._held.discard(path)
        self._waits_on.pop(path, None)
        for place in [place for place in self._new_timers if place[0] == path]:
            del self._new_timers[place]
        self._additions.closed[path] = None
        self._additions.waits.pop(path, None)

    def open_under(self, container: str) -> list[str]:
        """The paths inside a container that have no outcome yet."""
        return [path for path in self._open if path.startswith((f"{container}.", f"{container}["))]

    def unfinished(self) -> list[str]:
        """The paths that have no outcome yet."""
        return list(self._open)

    def turns(self, container: str) -> int:
        """How many turns of a container have begun."""
        return self._turns.get(container, 0)

    def wait(self, path: str, what: WaitsOn) -> None:
        """The walk can do no more at a path."""
        self._waits_on[path] = what
        self._held.add(path)

    def expect(self, path: str, type: str) -> None:
        """A path waits for events of a type; with the next commit."""
        self._additions.waits[path] = EventWait(path, type)
        self._held.add(path)

    def take(self, type: str, fits: Callable[[RunEvent], bool]) -> RunEvent | None:
        """The oldest event of a type that fits; it is gone with the next commit."""
        for event in self._events:
            if event.type == type and fits(event):
                self._events.remove(event)
                self._additions.taken[event.id] = None
                return event
        return None

    def ask(self, approval: Approval) -> None:
        """Ask for a decision; with the next commit."""
        self._additions.approvals[approval.path] = approval
        self._approvals[approval.path] = approval
        self._held.add(approval.path)

    def approval(self, path: str) -> Approval | None:
        """The decision that a path waits for, as it stands."""
        return self._approvals.get(path)

    def hand_out(self, task: Task, most: int) -> None:
        """Open a task for workers outside, if the workspace has fewer than `most` of them; with the next commit."""
        self._additions.tasks[task.path] = task
        self._additions.most_tasks = most
        self._tasks[task.path] = task
        self._held.add(task.path)

    def task(self, path: str) -> Task | None:
        """The newest task that a path has opened, as it stands; None if there was no room for it."""
        return self._tasks.get(path)

    def wind_up(self, prefix: str) -> None:
        """No new step begins in a block."""
        self._winding.add(prefix)

    def winds_up(self, path: str) -> bool:
        """No new step begins beside a path, so that what nobody has begun there is not needed."""
        return self.ledger.stops or path[: path.rfind(".") + 1] in self._winding

    def tell_workers(self) -> None:
        """A task of the run can be claimed: whoever waits for one in the workspace may look."""
        self._committed(self.run.workspace, None, ())

    def cancel_child(self, run: str) -> None:
        """End an awaited run; with the next commit."""
        self._additions.cancels[run] = None

    def set_timer(self, path: str, kind: str, due: int) -> None:
        """Set a timer with the next commit."""
        self._new_timers[path, kind] = Timer(path, kind, due)
        self._held.add(path)

    def waits(self, path: str, kind: str) -> bool:
        """Whether the timer of a path is still to fire."""
        return (path, kind) in self._timers or (path, kind) in self._new_timers

    @property
    def behind(self) -> bool:
        """Something waits to be written."""
        return bool(self._unwritten or self._new_timers or self._additions or self.ledger)

    @property
    def waiting(self) -> bool:
        """The walk has come to paths where it can do no more for now."""
        return bool(self._waits_on)

    @property
    def crowded(self) -> bool:
        """Many records wait to be written."""
        return len(self._unwritten) >= FLUSH_RECORDS

    def last_success(self) -> bytes | None:
        """The output, as JSON text, of the step of the run that succeeded last; None if none did."""
        return self._last("", None, (RecordStatus.SUCCESS,))

    def last_output(self, prefix: str, ids: Container[str]) -> bytes | None:
        """The last output of these steps of a block, that of a failure the run goes on after included; None if there is
        none."""
        return self._last(prefix, ids, (RecordStatus.SUCCESS, RecordStatus.ERROR))

    def _last(self, prefix: str, ids: Container[str] | None, statuses: Container[RecordStatus]) -> bytes | None:
        last: Record | None = None
        for path in self._beside.get(prefix, ()):
            record = self._records[path]
            counts = record.output is not None and record.status in statuses and (ids is None or record.step in ids)
            if counts and (last is None or (record.ended_seq or 0) > (last.ended_seq or 0)):
                last = record
        return last.output if last else None

    async def flush(self, *, rests: bool = False) -> None:
        """The barrier: when this returns, everything recorded so far is durable. `rests`: the walk has come to a point
        where it can do no more, so that what killed processes before is over.

        Raises:
            Refused; StoreUnavailable: the process stops while the store fails, which else is waited out.
        """
        committed = await self._send(RunState.RUNNING, rests=rests)
        if not committed.applied:
            raise Refused
        self.stale = self.stale or committed.signals != self._signals

    def due_within(self, ms: int, now: int) -> bool:
        """Whether all that is waited for is a timer, and one is due within the time."""
        if not all(what in (WaitsOn.TIMER, WaitsOn.RETRY) for what in self._waits_on.values()):
            return False
        timers = (*self._timers.values(), *self._new_timers.values())
        return any(timer.due - now <= ms for timer in timers if timer.path in self._waits_on)

    async def suspend(self) -> bool:
        """Let the run go, to wait or because it is paused. False if something reached it that this walk has not seen:
        look again.

        Raises:
            Refused; StoreUnavailable, as `flush`.
        """
        waits_on = None if self.paused else next((w for w in _BY_WEIGHT if w in self._waits_on.values()), WaitsOn.TIMER)
        state = RunState.SUSPENDED if waits_on in _FOR_SOMEBODY else RunState.RUNNING
        if self.paused:
            state = RunState.PAUSED
        if state is not self._state:
            self._seq += 1
            self._state_seq = self._seq
        if (await self._send(state, suspend_at=self._signals, waits_on=waits_on)).applied:
            return True
        await self.look_again()
        return False

    async def look_again(self) -> None:
        """See what reached the run.

        Raises:
            Refused; StoreUnavailable, as `flush`.
        """
        loaded = await self._outage.insist(lambda: self._store.look(self.run.workspace, self.run.id))
        if loaded is None or loaded.run.epoch != self._epoch or loaded.run.state.final:
            raise Refused
        self._see(loaded)
        for approval in self._additions.approvals.values():
            self._approvals.setdefault(approval.path, approval)
        for task in self._additions.tasks.values():
            self._tasks.setdefault(task.path, task)

    async def finish(self, state: RunState, now: int, output: bytes | None, error: bytes | None) -> Committed | None:
        """End the run. None if it was paused by then: whether it still is, the walk sees when it goes on.

        Raises:
            Refused; StoreUnavailable, as `flush`.
        """
        self._seq += 1
        before, self._state_seq = self._state_seq, self._seq
        committed = await self._send(state, ended_at=now, output=output, error=error)
        if committed.applied:
            return committed
        await self.look_again()
        self._state_seq = before
        return None

    async def _send(self, state: RunState, **more: Any) -> Committed:
        """Commit what has gathered; while the store fails it is kept, and gathers on."""

        async def attempt() -> Committed:
            commit, committed = self._pending(state, **more), None
            try:
                committed = await self._store.commit(commit)
            finally:
                self.ledger.answered(commit, committed)
            if committed.applied:
                self._written(commit, committed)
            return committed

        return await self._outage.insist(attempt)

    def _pending(self, state: RunState, **more: Any) -> Commit:
        return Commit(
            workspace=self.run.workspace,
            run=self.run.id,
            epoch=self._epoch,
            state=state,
            seq=self._seq,
            state_seq=self._state_seq,
            started_at=self.started_at,
            records=tuple(self._unwritten.values()),
            timers=tuple(self._new_timers.values()),
            first=self._first,
            **self._additions.fields() if self._additions else {},
            **self.ledger.send(pauses=state is RunState.PAUSED) if self.ledger else {},
            **more,
        )

    def _written(self, commit: Commit, committed: Committed) -> None:
        self._first = False
        for record in commit.records:
            if self._unwritten.get(record.path) is record:
                del self._unwritten[record.path]
        for timer in commit.timers:
            place = (timer.path, timer.kind)
            if self._new_timers.get(place) is timer:
                del self._new_timers[place]
                self._timers[place] = timer
        if self._additions:
            self._additions.forget(commit)
        if commit.tasks:
            self.tell_workers()
        next_due = min((timer.due for timer in commit.timers), default=None)
        self._committed(commit.run, next_due, committed.reached)
