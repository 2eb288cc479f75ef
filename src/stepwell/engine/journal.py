"""The journal of one run: what is recorded, what waits to be written, and the barrier that makes it durable."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from stepwell import values
from stepwell.errors import StepError
from stepwell.states import RecordStatus, RunState, WaitsOn
from stepwell.store import Commit, Committed, Loaded, NewRun, Record, Run, Runs, Timer
from stepwell.values import Json

FLUSH_RECORDS = 500  # so many unwritten records are written without a barrier

_WAITS_ON = {"wait": WaitsOn.TIMER, "retry": WaitsOn.RETRY}


class Refused(Exception):
    """A commit was refused: the run is final, or another walk owns it. This walk ends."""


class Journal:
    """Records of a run by path, oldest first. The interpreter reads only this; it never asks the store.

    Records become visible to everyone else when `flush`, `suspend` or `finish` has committed them.
    """

    def __init__(self, store: Runs, loaded: Loaded, epoch: int, committed: Callable[[str, int | None], None]) -> None:
        """`committed` is told of every commit: the run, and when the first of its new timers is due."""
        self._store = store
        self._committed = committed
        self.run = loaded.run
        self._epoch = epoch
        self._seq = loaded.run.seq
        self._state_seq = loaded.run.state_seq
        self._signals = loaded.run.signals
        self._records = {record.path: record for record in loaded.records}
        self._outputs: dict[str, Json] = {}
        self._unwritten: dict[str, Record] = {}
        self._timers = {(timer.path, timer.kind): timer for timer in loaded.timers}
        self._new_timers: dict[tuple[str, str], Timer] = {}
        self.started_at = loaded.run.started_at

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
        self._records[path] = record
        self._unwritten[path] = record
        return record

    def set_timer(self, path: str, kind: str, due: int) -> None:
        """Set a timer with the next commit."""
        self._new_timers[path, kind] = Timer(path, kind, due)

    def waits(self, path: str, kind: str) -> bool:
        """Whether the timer of a path is still to fire."""
        return (path, kind) in self._timers or (path, kind) in self._new_timers

    @property
    def behind(self) -> bool:
        """Something waits to be written."""
        return bool(self._unwritten or self._new_timers)

    @property
    def crowded(self) -> bool:
        """Many records wait to be written."""
        return len(self._unwritten) >= FLUSH_RECORDS

    def last_success(self) -> bytes | None:
        """The output, as JSON text, of the step that succeeded last; None if none did."""
        last: Record | None = None
        for record in self._records.values():
            succeeded = record.status is RecordStatus.SUCCESS and record.output is not None
            if succeeded and (last is None or (record.ended_seq or 0) > (last.ended_seq or 0)):
                last = record
        return last.output if last else None

    async def flush(self) -> None:
        """The barrier: when this returns, everything recorded so far is durable.

        Raises:
            Refused, StoreUnavailable.
        """
        await self._commit(RunState.RUNNING)

    async def suspend(self) -> bool:
        """Let the run go to wait. False if something reached it that this walk has not seen: look again.

        Raises:
            Refused, StoreUnavailable.
        """
        kinds = {kind for _, kind in (*self._timers, *self._new_timers)}
        waits_on = next((_WAITS_ON[kind] for kind in ("retry", "wait") if kind in kinds), WaitsOn.TIMER)
        commit = self._pending(RunState.RUNNING, suspend_at=self._signals, waits_on=waits_on)
        if (await self._store.commit(commit)).applied:
            self._written(commit)
            return True
        await self.look_again()
        return False

    async def look_again(self) -> None:
        """See what reached the run: which of its timers have fired.

        Raises:
            Refused, StoreUnavailable.
        """
        loaded = await self._store.load(self.run.workspace, self.run.id)
        if loaded is None or loaded.run.epoch != self._epoch or loaded.run.state.final:
            raise Refused
        self._signals = loaded.run.signals
        self._timers = {(timer.path, timer.kind): timer for timer in loaded.timers}

    async def finish(self, state: RunState, now: int, output: bytes | None, error: bytes | None) -> Committed:
        """End the run.

        Raises:
            Refused, StoreUnavailable.
        """
        self._seq += 1
        self._state_seq = self._seq
        return await self._commit(state, ended_at=now, output=output, error=error)

    async def _commit(self, state: RunState, **ending: Any) -> Committed:
        commit = self._pending(state, **ending)
        committed = await self._store.commit(commit)
        if not committed.applied:
            raise Refused
        self._written(commit)
        return committed

    def _pending(self, state: RunState, **ending: Any) -> Commit:
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
            **ending,
        )

    def _written(self, commit: Commit) -> None:
        for record in commit.records:
            if self._unwritten.get(record.path) is record:
                del self._unwritten[record.path]
        for timer in commit.timers:
            place = (timer.path, timer.kind)
            if self._new_timers.get(place) is timer:
                del self._new_timers[place]
            self._timers[place] = timer
        self._committed(commit.run, min((timer.due for timer in commit.timers), default=None))


def newborn(new: NewRun) -> Loaded:
    """What loading a run would give right after its start."""
    run = Run(
        workspace=new.workspace,
        id=new.id,
        workflow=new.workflow,
        version=new.version,
        state=RunState.PENDING,
        trigger=new.trigger,
        waits_on=None,
        blocked=None,
        owner=new.owner,
        epoch=1,
        signals=0,
        deaths=0,
        seq=new.seq,
        state_seq=0,
        attempt=new.attempt,
        started_at=None,
        ended_at=None,
        restarted_from=new.restarted_from,
        parent=new.parent,
        connection=new.connection,
        error=None,
        input=new.input,
        trigger_data=new.trigger_data,
        carried=new.carried,
    )
    return Loaded(run, new.records, ())


def encode_config(value: Json) -> bytes:
    """The JSON text of a step's resolved config.

    Raises:
        StepError: TEMPLATE_ERROR, it is nested so deep that it could not be read back.
    """
    return _encode(value, "config", "TEMPLATE_ERROR")


def encode_output(value: Json, limit: int) -> bytes:
    """The JSON text of a step's output.

    Raises:
        StepError: OUTPUT_TOO_LARGE, it is longer than the limit or nested so deep that it could not be read back.
    """
    raw = _encode(value, "output", "OUTPUT_TOO_LARGE")
    if len(raw) > limit:
        raise StepError(f"The output has {len(raw)} bytes, {limit} are allowed", code="OUTPUT_TOO_LARGE")
    return raw


def _encode(value: Json, what: str, code: str) -> bytes:
    raw = values.encode(value)
    if len(raw) > values.MAX_DEPTH and raw.count(b"[") + raw.count(b"{") > values.MAX_DEPTH:
        try:
            values.check_depth(value)
        except values.InvalidJson as error:
            raise StepError(f"The {what} is {error}", code=code) from None
    return raw
