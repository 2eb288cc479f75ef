"""The interpreter: walks a plan over a journal. A path with a final record is not run again, so resuming, retrying and
restarting are the same walk over a journal that is already partly filled."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, cast

from stepwell import values
from stepwell.definitions import Block, Kind, Plan, Step
from stepwell.engine import carried
from stepwell.engine.attempts import Attempts
from stepwell.engine.containers import Containers
from stepwell.engine.encoding import encode_config, encode_output
from stepwell.engine.flight import Flight
from stepwell.engine.gear import Gear
from stepwell.engine.journal import Journal
from stepwell.engine.outcomes import Halted, Landing, Outcome, Recorder, RunStopped, goes_on_after_error, jump
from stepwell.engine.ports import SecretBox
from stepwell.engine.scope import Moment, run_scope
from stepwell.engine.spending import Overdrawn, Spending
from stepwell.engine.waits import Waits
from stepwell.errors import StepError
from stepwell.expressions import ANSWERS, MISSING, Answers, Deferred, find
from stepwell.states import RecordStatus, RunState
from stepwell.steps import DecidingType, PureType, Script
from stepwell.store import Record

STEPS_PER_TURN = 50  # pure steps that run before the event loop gets a turn
RESIDENT_MS = 60_000
CONDITION_TIMEOUT_MS = 10_000

_JUMPS = (Kind.END, Kind.BREAK)
_COMPUTED = frozenset({Kind.PURE, *_JUMPS})
_ATTEMPTED = (Kind.EFFECT, Kind.CODE, Kind.TASK)  # what these cost, their attempts tell
_FIXED_COST = frozenset(kind for kind in Kind if kind not in _ATTEMPTED)


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
        self._carried = carried.decode(journal.run.carried)
        self._recorder = Recorder(journal, gear)
        self._attempts = Attempts(journal, secrets, gear)
        self._spending = Spending(journal, gear, plan.steps)
        self._turn = 0

    @cached_property
    def _waits(self) -> Waits:
        return Waits(self._journal, self._gear, self._recorder)

    @cached_property
    def _containers(self) -> Containers:
        return Containers(self._journal, self._plan, self._gear, self._carried, self._recorder, self._block)

    async def run(self) -> Finished | None:
        """Walk until the run is finished, or there is nothing to do for now (None: it was let go).

        Raises:
            Refused: another walk owns the run, or it is final.
            StoreUnavailable: the run cannot be read, or the process stops while nothing can be committed; the run
                stays as it is in the store.
            Halted: the process stops; what was recorded is durable.
        """
        self._journal.begin(self._gear.clock.now_ms())
        scope = run_scope(self._journal, self._plan, self._secrets, await self._username())
        timeout_ms = self._plan.settings.timeout_ms
        if timeout_ms is not None and not self._journal.waits("", "timeout"):
            self._journal.set_timer("", "timeout", (self._journal.started_at or 0) + timeout_ms)
        with self._gear.signals.watch(self._journal.run.id) as self._signalled:
            while True:
                end = await self._pass(scope)
                if isinstance(end, Finished):
                    return end
                if end and await self._journal.suspend():
                    return None

    def leave(self) -> None:
        """The walk has ended, and what it has spent is written."""
        self._spending.leave()

    async def _pass(self, scope: dict[str, Any]) -> Finished | bool:
        """Walk from the beginning over what is recorded, and on: the run's end, or whether there is nothing to do for
        now, else the next pass begins at once."""
        try:
            if self._journal.paused:
                raise Halted
            outcome = await self._block(self._plan.root, "", scope)
        except RunStopped as stopped:
            return Finished(RunState.FAILED, None, values.encode(stopped.error))
        except Halted as halted:
            if isinstance(halted, Overdrawn) and not self._gear.stopping():
                lasts = self._journal.paused or self._journal.waiting
                return True if lasts else Finished(RunState.FAILED, None, self._spending.end())
            if not self._journal.paused:
                await self._journal.flush()
                if self._gear.stopping():
                    raise
                return False  # one arm stopped for a pause that was over before the others came to it
            return True
        if outcome is not Outcome.WAITING:
            return self._complete(scope)
        return not await self._stays()

    async def _username(self) -> str | None:
        run = self._journal.run
        return None if run.end_user is None else await self._gear.environment.username(run)

    async def _stays(self) -> bool:
        """Wait in memory for a timer that is soon due, if there is room; whether something has reached the run."""
        gear = self._gear
        if not gear.seats.free or self._journal.paused or gear.stopping():
            return False
        if not self._journal.due_within(RESIDENT_MS, gear.clock.now_ms()):
            return False
        with gear.seats.taken():
            await self._journal.flush(rests=True)
            if not self._journal.stale:
                await self._signalled.wait()
        if gear.stopping():
            return False
        self._signalled.clear()
        await self._journal.look_again()
        return True

    async def _block(self, block: Block, prefix: str, scope: dict[str, Any]) -> Outcome:
        if block.dag:
            return await self._dag(block, prefix, scope)
        for step in block.steps:
            outcome = await self._step(step, prefix, scope)
            if outcome is not Outcome.DONE:
                return outcome
        return Outcome.DONE

    async def _dag(self, block: Block, prefix: str, scope: dict[str, Any]) -> Outcome:
        """Steps as their needs become final, ready ones together. After a failure or an `end` no new one starts, and
        those that have begun go on to their ends; also in a later walk, after some of them have waited."""
        left = {step.id: step for step in block.steps}
        done: set[str] = set()
        ends: list[Landing] = []
        closing = any(self._closes(step, prefix) for each in block.steps for step in subtree(each))
        if closing:
            self._journal.wind_up(prefix)
        async with Flight[str](self._journal, self._gear) as flight:
            while True:
                for step in [each for each in left.values() if done.issuperset(each.needs or ())]:
                    if not closing or self._begun(prefix + step.id):
                        flight.launch(step.id, partial(self._step, left.pop(step.id), prefix, scope))
                landed = await flight.landed()
                if not landed:
                    return _ended(ends, waiting=flight.waiting)
                for id, landing in landed:
                    if landing is Outcome.DONE:
                        done.add(id)
                    else:
                        ends.append(landing)
                        closing = True
                        if not isinstance(landing, Halted) or self._journal.ledger.stops:
                            self._journal.wind_up(prefix)
                            flight.again()  # what nobody has begun is given up

    def _begun(self, path: str) -> bool:
        return self._journal.get(path) is not None or path in self._carried.passed

    def _closes(self, step: Step, prefix: str) -> bool:
        """Whether a step's record keeps steps beside it from starting: it stops what they stand in, or completes it."""
        record = self._journal.get(prefix + step.id)
        if record is None:
            return False
        if record.status is RecordStatus.ERROR:
            return not goes_on_after_error(step)
        return jump(step, record) is not Outcome.DONE

    async def _step(self, step: Step, prefix: str, scope: dict[str, Any]) -> Outcome:
        path = prefix + step.id
        record = self._journal.get(path)
        if record is None or not record.status.final:
            if path in self._carried.passed:
                return await self._branch(step, path, prefix, None, scope)
            try:
                record = await self._advance(step, path, record, scope)
            except Deferred as question:
                record = await self._advance_with_answer(question, step, path, scope)
            if record is None:
                return Outcome.WAITING
            if step.cost is not None and record.status is RecordStatus.SUCCESS and step.type.kind in _FIXED_COST:
                self._journal.ledger.charge(path, step.cost)
        if record.status is RecordStatus.ERROR and not goes_on_after_error(step):
            raise RunStopped(step, record)
        outcome = jump(step, record)
        if outcome is not Outcome.DONE or step.branches is None:
            return outcome
        return await self._branch(step, path, prefix, record, scope)

    async def _advance_with_answer(
        self, question: Deferred, step: Step, path: str, scope: dict[str, Any]
    ) -> Record | None:
        """Advance a path whose condition is too costly for this process, once a child process has evaluated it."""
        while True:
            script = Script("cel", question.text, dict(question.variables), CONDITION_TIMEOUT_MS)
            answers: Answers = scope[ANSWERS]
            try:
                answers[question.key] = await self._gear.ports.code.run(
                    self._journal.run.workspace, script, lambda line: None
                )
            except StepError as error:
                answers[question.key] = {"error": ["RuntimeError", error.message]}
            try:
                return await self._advance(step, path, self._journal.get(path), scope)
            except Deferred as following:
                question = following

    async def _advance(self, step: Step, path: str, record: Record | None, scope: dict[str, Any]) -> Record | None:
        """Run what a path still has to do; its final record, or None if it waits."""
        self._turn += 1
        journal, due = self._journal, self._turn % STEPS_PER_TURN == 0
        if (
            due
            or journal.stale
            or journal.paused
            or journal.crowded
            or self._signalled.is_set()
            or self._gear.stopping()
        ):
            await self._breathe()
        now = self._gear.clock.now_ms()
        scope["now"] = Moment(now)  # read before the next step begins: whatever a step resolves, it resolves at once
        if record is None and step.when is not None and path not in self._carried.entered:
            try:
                wanted = step.when.evaluate(scope)
            except StepError as error:
                return self._recorder.fail(step, path, now, error.as_json())
            if not wanted:
                return self._recorder.skip(step, path, now)
        if record is None and step.requires and (missing := _missing(step, scope)) is not None:
            return self._recorder.fail(step, path, now, missing.as_json())
        judged = record is None and not self._spending.unlimited()
        try:
            if judged:
                await self._spending.admit(step, path)
            if step.type.kind in _COMPUTED:
                return self._compute(step, path, scope, now)
            return await self._perform(step, path, record, scope, now)
        finally:
            if judged:
                self._spending.begun(path)

    async def _perform(
        self, step: Step, path: str, record: Record | None, scope: dict[str, Any], now: int
    ) -> Record | None:
        match step.type.kind:
            case Kind.EFFECT | Kind.CODE:
                return await self._attempts.advance(step, path, record, scope, now)
            case Kind.CONTAINER:
                return await self._containers.advance(step, path, record, scope, now)
            case _:
                return await self._waits.advance(step, path, record, scope, now)

    async def _breathe(self) -> None:
        """What a walk does between steps: see whether it may go on, let others run, keep what is unwritten small."""
        if self._gear.stopping():
            raise Halted
        if self._journal.stale or self._signalled.is_set():
            self._signalled.clear()
            await self._journal.look_again()
        if self._journal.paused:
            raise Halted
        if self._turn % STEPS_PER_TURN == 0:
            await asyncio.sleep(0)
        if self._journal.crowded:
            await self._journal.flush()

    def _compute(self, step: Step, path: str, scope: dict[str, Any], now: int) -> Record:
        try:
            config, output = cast(PureType, step.type).evaluate(step.program, scope)
            raw = encode_config(config)
            recorded: bytes | None = encode_output(output, self._gear.limits.step_output_bytes)
        except StepError as error:
            return self._recorder.fail(step, path, now, error.as_json())
        if step.type.kind in _JUMPS:  # it has no output; whether it jumped is its status
            if not output:
                return self._recorder.skip(step, path, now)
            recorded = None
        record = self._journal.write(path, step.id, RecordStatus.SUCCESS, now, input=raw, output=recorded)
        self._gear.events.emit("step.finished", run=self._journal.run.id, path=path, status="success")
        return record

    async def _branch(
        self, step: Step, path: str, prefix: str, record: Record | None, scope: dict[str, Any]
    ) -> Outcome:
        """Go on in the branch that a deciding step chose; record the other one's steps as skipped. Without a record the
        step is passed over, and so are its branches unless the start of a restart stands in one."""
        if step.branches is None or (record is None and path not in self._carried.taken):
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
                self._recorder.skip(other, prefix + other.id, now)
        if taken is None:
            return Outcome.DONE
        return await self._block(step.branches.then if taken else step.branches.otherwise, prefix, scope)

    def _complete(self, scope: dict[str, Any]) -> Finished:
        """The run's output by the LoopFour contract 5.4."""
        if self._plan.output is not None:
            scope["now"] = Moment(self._gear.clock.now_ms())
            try:
                output = self._plan.output.render(scope)
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


def subtree(step: Step) -> Iterator[Step]:
    """A step and everything in its branches."""
    yield step
    if step.branches is not None:
        for child in (*step.branches.then.steps, *step.branches.otherwise.steps):
            yield from subtree(child)


def _missing(step: Step, scope: dict[str, Any]) -> StepError | None:
    """The error of a step for which something that it requires is not there."""
    for path, name in step.requires:
        if find(scope, path) is MISSING:
            return StepError(f"Missing variable {name}", code="TEMPLATE_ERROR")
    return None


def _ended(ends: list[Landing], *, waiting: bool) -> Outcome:
    """How a block ends its turn, after what kept new steps of it from starting: of several failures the one of the step
    that started first counts, once nothing waits any more."""
    for end in ends:
        if isinstance(end, Halted):
            raise end
    if waiting:
        return Outcome.WAITING
    if stops := [end for end in ends if isinstance(end, RunStopped)]:
        raise min(stops, key=lambda stop: stop.started_seq)
    return next((each for each in (Outcome.ENDED, Outcome.BROKE) if each in ends), Outcome.DONE)
