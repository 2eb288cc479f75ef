"""The interpreter: walks a plan over a journal. A path with a final record is not run again, so resuming, retrying and
restarting are the same walk over a journal that is already partly filled."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeAlias, cast

from stepwell import values
from stepwell.definitions import Block, Kind, OnError, Plan, Step
from stepwell.engine import carried
from stepwell.engine.attempts import Attempts
from stepwell.engine.gear import Gear
from stepwell.engine.journal import Journal, encode_config, encode_output
from stepwell.engine.ports import SecretBox
from stepwell.engine.scope import Moment, run_scope
from stepwell.errors import StepError
from stepwell.states import RecordStatus, RunState
from stepwell.steps import DecidingType, PureType, WaitType
from stepwell.store import Record
from stepwell.values import Json

STEPS_PER_TURN = 50  # pure steps that run before the event loop gets a turn


class Outcome(Enum):
    """How a block or step ended its turn."""

    DONE = auto()
    WAITING = auto()  # nothing more can happen before a timer or signal
    ENDED = auto()  # an `end` step: the run is complete


class RunStopped(Exception):
    """A step's error stops the run. The error is that of the record, with the step's id and path."""

    def __init__(self, step: Step, record: Record) -> None:
        error: dict[str, Json] = values.decode(record.error or b"{}")
        super().__init__(error.get("message"))
        self.error = {"code": error["code"], "message": error["message"], "stepId": step.id, "path": record.path}
        self.started_seq = record.started_seq


class Paused(Exception):
    """The process stops: this walk ends before its next step; the run stays open."""


Landing: TypeAlias = Outcome | RunStopped | Paused
"""How a step that ran beside others ended its turn."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A run's end as a walk reached it."""

    state: RunState
    output: bytes | None
    error: bytes | None


class Walk:
    """One walk of one run."""

    def __init__(self, journal: Journal, plan: Plan, secrets: SecretBox, gear: Gear) -> None:
        self._journal = journal
        self._plan = plan
        self._secrets = secrets
        self._gear = gear
        self._attempts = Attempts(journal, secrets, gear)
        self._carried = carried.decode(journal.run.carried)
        self._scope: dict[str, Any] = {}
        self._turn = 0

    async def run(self) -> Finished | None:
        """Walk until the run is finished or every branch waits (None: it was let go to wait).

        Raises:
            Refused: another walk owns the run, or it is final.
            StoreUnavailable: nothing can be committed; the run stays as it is in the store.
            Paused: the process stops; what was recorded is durable.
        """
        self._journal.begin(self._gear.clock.now_ms())
        self._scope = run_scope(self._journal, self._plan, self._secrets)
        timeout_ms = self._plan.settings.timeout_ms
        if timeout_ms is not None and not self._journal.waits("", "timeout"):
            self._journal.set_timer("", "timeout", (self._journal.started_at or 0) + timeout_ms)
        while True:
            try:
                outcome = await self._block(self._plan.root, "")
            except RunStopped as stopped:
                return Finished(RunState.FAILED, None, values.encode(stopped.error))
            except Paused:
                await self._journal.flush()
                raise
            if outcome is not Outcome.WAITING:
                return self._complete()
            if await self._journal.suspend():
                return None

    async def _block(self, block: Block, prefix: str) -> Outcome:
        if block.dag:
            return await self._dag(block, prefix)
        for step in block.steps:
            outcome = await self._step(step, prefix)
            if outcome is not Outcome.DONE:
                return outcome
        return Outcome.DONE

    async def _dag(self, block: Block, prefix: str) -> Outcome:
        """Steps as their needs become final, ready ones together. After a failure or an `end` no new one starts, and
        those that have begun go on to their ends; also in a later walk, after some of them have waited."""
        left = {step.id: step for step in block.steps}
        waiting: dict[str, Step] = {}
        done: set[str] = set()
        ends: list[Landing] = []
        closing = any(self._closes(step, prefix) for each in block.steps for step in subtree(each))
        flying: dict[asyncio.Task[Landing], Step] = {}
        try:
            with self._gear.signals.watch(self._journal.run.id) as signalled:
                while True:
                    beside = bool(flying)
                    for step in [each for each in left.values() if done.issuperset(each.needs or ())]:
                        if not closing or self._begun(prefix + step.id):
                            flying[asyncio.ensure_future(self._fly(step, prefix))] = left.pop(step.id)
                    if not flying:
                        return _ended(ends, waiting=bool(waiting))
                    if beside and self._journal.behind:
                        await self._journal.flush()  # else what ended is not known before all that flies has ended
                    for task in await _first(flying, signalled if waiting else None):
                        landing = task.result()
                        step = flying.pop(task)
                        if landing is Outcome.DONE:
                            done.add(step.id)
                        elif landing is Outcome.WAITING:
                            waiting[step.id] = step
                        else:
                            ends.append(landing)
                            closing = True
                    if waiting and signalled.is_set():
                        signalled.clear()
                        await self._journal.look_again()
                        left |= waiting
                        waiting = {}
        finally:
            for task in flying:
                task.cancel()
            await asyncio.gather(*flying, return_exceptions=True)

    async def _fly(self, step: Step, prefix: str) -> Landing:
        """A step beside others: what stops the run or the process lets those end."""
        try:
            return await self._step(step, prefix)
        except (RunStopped, Paused) as stop:
            return stop

    def _begun(self, path: str) -> bool:
        return self._journal.get(path) is not None or path in self._carried.passed

    def _closes(self, step: Step, prefix: str) -> bool:
        """Whether a step's record keeps steps beside it from starting: it stops the run, or completes it."""
        record = self._journal.get(prefix + step.id)
        if record is None:
            return False
        if record.status is RecordStatus.ERROR:
            return not goes_on_after_error(step)
        return step.type.kind is Kind.END and record.status is RecordStatus.SUCCESS

    async def _step(self, step: Step, prefix: str) -> Outcome:
        path = prefix + step.id
        record = self._journal.get(path)
        if record is None or not record.status.final:
            if path in self._carried.passed:
                return await self._branch(step, path, prefix, None) if path in self._carried.taken else Outcome.DONE
            record = await self._advance(step, path, record)
            if record is None:
                return Outcome.WAITING
        if record.status is RecordStatus.ERROR and not goes_on_after_error(step):
            raise RunStopped(step, record)
        if step.type.kind is Kind.END and record.status is RecordStatus.SUCCESS:
            return Outcome.ENDED
        return await self._branch(step, path, prefix, record) if step.branches else Outcome.DONE

    async def _advance(self, step: Step, path: str, record: Record | None) -> Record | None:
        """Run what a path still has to do; its final record, or None if it waits."""
        if self._gear.stopping():
            raise Paused
        self._turn += 1
        if self._turn % STEPS_PER_TURN == 0:
            await asyncio.sleep(0)
        if self._journal.crowded:
            await self._journal.flush()
        now = self._gear.clock.now_ms()
        scope = self._scope
        scope["now"] = Moment(now)  # read before the next step begins: whatever a step resolves, it resolves at once
        if record is None and step.when is not None:
            try:
                wanted = step.when.evaluate(scope)
            except StepError as error:
                return self._fail(step, path, now, error)
            if not wanted:
                return self._skip(step, path, now)
        match step.type.kind:
            case Kind.EFFECT:
                return await self._attempts.advance(step, path, record, scope, now)
            case Kind.WAIT:
                return self._wait(step, path, record, scope, now)
            case _:
                return self._compute(step, path, scope, now)

    def _compute(self, step: Step, path: str, scope: dict[str, Any], now: int) -> Record:
        try:
            config, output = cast(PureType, step.type).evaluate(step.program, scope)
            raw = encode_config(config)
            recorded: bytes | None = encode_output(output, self._gear.limits.step_output_bytes)
        except StepError as error:
            return self._fail(step, path, now, error)
        if step.type.kind is Kind.END:  # it has no output; whether it ended the run is its status
            if not output:
                return self._skip(step, path, now)
            recorded = None
        record = self._journal.write(path, step.id, RecordStatus.SUCCESS, now, input=raw, output=recorded)
        self._gear.events.emit("step.finished", run=self._journal.run.id, path=path, status="success")
        return record

    def _wait(self, step: Step, path: str, record: Record | None, scope: dict[str, Any], now: int) -> Record | None:
        waiting = cast(WaitType, step.type)
        if record is None:
            try:
                config, due = waiting.begin(step.program, scope, now)
                raw = encode_config(config)
            except StepError as error:
                return self._fail(step, path, now, error)
            data = values.encode({"due": due})
            record = self._journal.write(path, step.id, RecordStatus.WAITING, now, input=raw, data=data)
            if due > now:
                self._journal.set_timer(path, "wait", due)
        if self._journal.waits(path, "wait"):
            return None
        config = self._journal.value(record.input)
        output = waiting.finish(config, record.started_at or now, now)
        return self._journal.write(path, step.id, RecordStatus.SUCCESS, now, output=values.encode(output))

    def _fail(self, step: Step, path: str, now: int, error: StepError) -> Record:
        fallback = None if step.fallback is None else values.encode(step.fallback)
        self._gear.events.emit("step.finished", run=self._journal.run.id, path=path, status="error")
        return self._journal.write(
            path, step.id, RecordStatus.ERROR, now, error=values.encode(error.as_json()), output=fallback
        )

    def _skip(self, step: Step, path: str, now: int) -> Record:
        return self._journal.write(path, step.id, RecordStatus.SKIPPED, now, attempt=0, started_at=None)

    async def _branch(self, step: Step, path: str, prefix: str, record: Record | None) -> Outcome:
        """Go on in the branch that a deciding step chose; record the other one's steps as skipped."""
        if step.branches is None:
            return Outcome.DONE
        taken = self._carried.taken.get(path)
        if taken is None and record is not None and record.status is RecordStatus.SUCCESS:
            taken = cast(DecidingType, step.type).decide(self._journal.output(path))
        skipped: tuple[Step, ...] = ()
        if taken is not True:
            skipped += step.branches.skip_then
        if taken is not False:
            skipped += step.branches.skip_otherwise
        now = self._gear.clock.now_ms()
        for other in skipped:
            if self._journal.get(prefix + other.id) is None:
                self._skip(other, prefix + other.id, now)
        if taken is None:
            return Outcome.DONE
        return await self._block(step.branches.then if taken else step.branches.otherwise, prefix)

    def _complete(self) -> Finished:
        """The run's output by the LoopFour contract 5.4."""
        if self._plan.output is not None:
            self._scope["now"] = Moment(self._gear.clock.now_ms())
            try:
                output = self._plan.output.render(self._scope)
            except StepError as error:
                return Finished(RunState.FAILED, None, values.encode(error.as_json()))
        else:
            last = self._journal.last_success()
            if last is not None and last[:1] == b"{" and self._plan.output_schema is None:
                return Finished(RunState.COMPLETED, last, None)
            output = {} if last is None else values.decode(last)
        if not isinstance(output, dict):
            output = {"result": output}
        if self._plan.output_schema is not None and (faults := self._plan.output_schema.faults(output)):
            invalid = StepError(
                f"Output validation failed: {faults[0].field}: {faults[0].message}", code="OUTPUT_INVALID"
            )
            return Finished(RunState.FAILED, None, values.encode(invalid.as_json()))
        return Finished(RunState.COMPLETED, values.encode(output), None)


def goes_on_after_error(step: Step) -> bool:
    """Whether the run continues when this step ends in an error. Source: LoopFour contract 8.3."""
    return step.on_error is OnError.CONTINUE or (step.on_error is OnError.RETRY and step.fallback is not None)


def subtree(step: Step) -> Iterator[Step]:
    """A step and everything in its branches."""
    yield step
    if step.branches is not None:
        for child in (*step.branches.then.steps, *step.branches.otherwise.steps):
            yield from subtree(child)


async def _first(
    flying: Iterable[asyncio.Task[Landing]], signalled: asyncio.Event | None
) -> Iterable[asyncio.Task[Landing]]:
    """Those that have ended, as soon as one has or, if an event is given, that is set."""
    if signalled is None:
        return (await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED))[0]
    signal = asyncio.ensure_future(signalled.wait())
    try:
        await asyncio.wait((*flying, signal), return_when=asyncio.FIRST_COMPLETED)
    finally:
        signal.cancel()
    return [task for task in flying if task.done()]


def _ended(ends: list[Landing], *, waiting: bool) -> Outcome:
    """How a block ends its turn, after what kept new steps of it from starting: of several failures the one of the step
    that started first counts, once nothing waits any more."""
    for end in ends:
        if isinstance(end, Paused):
            raise end
    if waiting:
        return Outcome.WAITING
    if stops := [end for end in ends if isinstance(end, RunStopped)]:
        raise min(stops, key=lambda stop: stop.started_seq)
    return Outcome.ENDED if Outcome.ENDED in ends else Outcome.DONE
