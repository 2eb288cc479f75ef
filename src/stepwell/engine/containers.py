"""Containers: loop, parallel, race and try. Each writes an opening record of what it decided, and walks what it holds
over the same journal; entered again, it reads that record and evaluates nothing twice."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, cast

from stepwell import values
from stepwell.definitions import Block, Body, Form, Plan, Step
from stepwell.engine.carried import Carried
from stepwell.engine.encoding import encode_config
from stepwell.engine.flight import Expired, Flight
from stepwell.engine.gear import Gear
from stepwell.engine.journal import Journal
from stepwell.engine.outcomes import CANCELLED, Halted, Landing, Outcome, Recorder, RunStopped
from stepwell.engine.scope import Moment, StepsView
from stepwell.errors import StepError
from stepwell.states import RecordStatus
from stepwell.steps import CATCH_BODY, FINALLY_BODY, STEPS_BODY, Arms, LoopProgram, too_many
from stepwell.store import Record
from stepwell.values import Json

Scope: TypeAlias = dict[str, Any]
WalkBlock: TypeAlias = Callable[[Block, str, Scope], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Closing:
    """How a container ends: its output as JSON text, and its error if it fails."""

    output: bytes | None = None
    error: dict[str, Json] | None = None
    jump: Outcome = Outcome.DONE  # what a jump inside goes on doing to what the container stands in


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of a parallel or race: its name, what it runs, and what the paths in it begin with."""

    name: str | int
    body: Body
    prefix: str
    scope: Scope


class Containers:
    """The containers of one walk; `walk` walks a block."""

    def __init__(
        self, journal: Journal, plan: Plan, gear: Gear, carried: Carried, recorder: Recorder, walk: WalkBlock
    ) -> None:
        self._journal = journal
        self._plan = plan
        self._gear = gear
        self._carried = carried
        self._recorder = recorder
        self._walk = walk
        self._forms = {
            Form.LOOP: self._loop,
            Form.PARALLEL: self._parallel,
            Form.RACE: self._race,
            Form.TRY: self._try,
        }

    async def advance(self, step: Step, path: str, record: Record | None, scope: Scope, now: int) -> Record | None:
        """Open a container, or go on in it. Its final record, or None if all that is left in it waits."""
        try:
            if record is None:
                config = cast(Any, step.type).open(step.program, scope)
                self._journal.write(path, step.id, RecordStatus.RUNNING, now, input=encode_config(config))
                if step.timeout_ms is not None:
                    self._journal.set_timer(path, "deadline", now + step.timeout_ms)
            else:
                config = self._journal.value(record.input)
            closing = await self._within_time(step, path, config, scope)
        except StepError as error:
            closing = Closing(error=error.as_json())
        except RunStopped as stopped:
            closing = Closing(error=stopped.error)
        if closing is None:
            return None
        now = self._gear.clock.now_ms()
        self._cut(path, now)
        if closing.error is not None:
            return self._recorder.fail(step, path, now, closing.error, closing.output)
        limit = self._gear.limits.step_output_bytes
        if closing.output is not None and len(closing.output) > limit:
            message = f"The output has {len(closing.output)} bytes, {limit} are allowed"
            return self._recorder.fail(step, path, now, StepError(message, code="OUTPUT_TOO_LARGE").as_json())
        return self._recorder.succeed(step, path, now, closing.output, closing.jump)

    async def _within_time(self, step: Step, path: str, config: Json, scope: Scope) -> Closing | None:
        run = self._forms[cast(Any, step.type).form]
        if step.timeout_ms is None:
            return await run(step, path, config, scope)
        found: list[Closing | None] = []

        async def job() -> Outcome:
            found[:] = [await run(step, path, config, scope)]
            return Outcome.WAITING if found[0] is None else Outcome.DONE

        def expired() -> bool:
            return not self._journal.waits(path, "deadline")

        try:
            if expired():
                raise Expired
            async with Flight[None](self._journal, self._gear, expired) as flight:
                flight.launch(None, job)
                for _, landing in await flight.landed():
                    _raise(landing)
            return found[0] if found else None
        except Expired:
            message = f"The step took longer than {step.timeout_ms} ms"
            return Closing(error=StepError(message, kind="timeout", retryable=False).as_json())

    def _cut(self, path: str, now: int) -> None:
        """End what is still open inside a container that closes."""
        for inner in self._journal.open_under(path):
            record = self._journal.get(inner)
            if record is None:
                continue
            data = self._journal.value(record.data) or {}
            if "child" in data and data.get("awaited"):
                self._journal.cancel_child(data["child"])
            self._journal.write(inner, record.step, RecordStatus.ERROR, now, error=CANCELLED)

    def _inside(self, scope: Scope, prefix: str, names: dict[str, Json], hidden: frozenset[str] = frozenset()) -> Scope:
        view = StepsView(self._journal, self._plan, prefix, scope["steps"].hidden | hidden)
        return {**scope, "steps": view, **names}

    # -- loop

    async def _loop(self, step: Step, path: str, config: Json, scope: Scope) -> Closing | None:
        program: LoopProgram = step.program
        items: list[Json] | None = config.get("collection")
        fixed = len(items) if items is not None else config.get("iterations")
        at_once = 1 if fixed is None else config["batchSize"]
        turn = self._carried.turns.get(path, 0)
        if (begun := self._journal.turns(path)) > turn:  # the turns before those begun last have ended
            turn += (begun - 1 - turn) // at_once * at_once
        turn = min(turn, config["maxIterations"] if fixed is None else fixed)
        outcome = Outcome.DONE
        while outcome is Outcome.DONE and (fixed is None or turn < fixed):
            if not await self._wanted(step, path, turn, scope, items):
                break
            if turn >= config["maxIterations"]:
                raise too_many(f"more than {turn}", config["maxIterations"])
            end = turn + 1 if fixed is None else min(turn + at_once, fixed)
            outcome = await self._turns(step, path, range(turn, end), scope, items)
            if outcome is Outcome.WAITING:
                return None
            turn = end
            if outcome is Outcome.DONE and program.enough is not None and self._journal.turns(path) <= turn:
                inside = self._turn_scope(step, path, turn - 1, scope, items)
                if program.enough.evaluate(inside):
                    break
        return Closing(
            self._loop_output(step, path, turn, items), jump=Outcome.ENDED if outcome is Outcome.ENDED else Outcome.DONE
        )

    async def _wanted(self, step: Step, path: str, turn: int, scope: Scope, items: list[Json] | None) -> bool:
        """Whether a while loop takes another turn; one that was begun, it took."""
        wanted = step.program.wanted
        if wanted is None or self._journal.turns(path) > turn:
            return True
        holds: bool = wanted.evaluate(self._turn_scope(step, path, turn, scope, items))
        return holds

    def _turn_scope(self, step: Step, path: str, turn: int, scope: Scope, items: list[Json] | None) -> Scope:
        names = step.program.names(items, turn)
        inside = self._inside(scope, step.inside(path, turn), names)
        inside["now"] = Moment(self._gear.clock.now_ms())
        return inside

    async def _turns(self, step: Step, path: str, turns: range, scope: Scope, items: list[Json] | None) -> Outcome:
        """Some turns, beside each other if there are several; the first failure counts when all have ended."""

        def job(turn: int) -> Awaitable[Outcome]:
            inside = self._turn_scope(step, path, turn, scope, items)
            return self._walk(step.bodies[0].block, step.inside(path, turn), inside)

        if len(turns) == 1:
            return await job(turns[0])
        async with Flight[int](self._journal, self._gear) as flight:
            for turn in turns:
                flight.launch(turn, partial(job, turn))
            ends: dict[int, Landing] = {}
            while landed := await flight.landed():
                ends.update(landed)
            for turn in sorted(ends):
                if isinstance(ends[turn], Halted):
                    _raise(ends[turn])
            if flight.waiting:
                return Outcome.WAITING
        for turn in sorted(ends):
            _raise(ends[turn])
        reached = set(ends.values())
        return next((each for each in (Outcome.ENDED, Outcome.BROKE) if each in reached), Outcome.DONE)

    def _loop_output(self, step: Step, path: str, count: int, items: list[Json] | None) -> bytes:
        ids = step.bodies[0].ids
        results = (self._journal.last_output(step.inside(path, turn), ids) or b"null" for turn in range(count))
        last = count - 1
        item = None if count == 0 else last if items is None else items[last]
        index = None if count == 0 else last
        return b'{"results":[%b],"count":%d,"currentItem":%b,"currentIndex":%b}' % (
            b",".join(results),
            count,
            values.encode(item),
            values.encode(index),
        )

    # -- parallel and race

    def _arms(self, step: Step, path: str, config: Json, scope: Scope) -> list[Arm]:
        program: Arms = step.program
        items: list[Json] | None = config.get("forEachSource")
        names: Iterable[str | int] = program.names if items is None else range(len(items))
        arms = []
        for place, name in enumerate(names):
            prefix = step.inside(path, place)
            body = step.bodies[place] if items is None else step.bodies[0]
            beside = frozenset[str]().union(*(other.ids for other in step.bodies if other is not body))
            arms.append(Arm(name, body, prefix, self._inside(scope, prefix, program.inside(items, place), beside)))
        return arms

    async def _parallel(self, step: Step, path: str, config: Json, scope: Scope) -> Closing | None:
        arms = self._arms(step, path, config, scope)
        fail_fast = step.program.fail_fast
        ends: dict[int, Landing] = {}
        closing = False
        async with Flight[int](self._journal, self._gear) as flight:
            following = 0
            while True:
                while following < len(arms) and flight.under_way < config["concurrency"] and not closing:
                    flight.launch(following, partial(self._arm, arms[following]))
                    following += 1
                landed = await flight.landed()
                if not landed:
                    break
                ends.update(landed)
                failed = any(isinstance(landing, RunStopped) for _, landing in landed)
                if fail_fast and failed:
                    break
                closing = closing or any(isinstance(landing, Halted) for _, landing in landed)
            stop = next((end for end in ends.values() if isinstance(end, Halted)), None)
            if not (fail_fast and failed_of(ends)):
                if stop is not None:
                    raise stop
                if flight.waiting:
                    return None
        return self._joined(arms, ends)

    def _arm(self, arm: Arm) -> Awaitable[Outcome]:
        return self._walk(arm.body.block, arm.prefix, arm.scope)

    def _joined(self, arms: list[Arm], ends: dict[int, Landing]) -> Closing:
        failures = failed_of(ends)
        results = []
        for place, arm in enumerate(arms):
            done = isinstance(ends.get(place), Outcome)  # a pause may have stopped it on its way
            raw = self._journal.last_output(arm.prefix, arm.body.ids) if done else None
            results.append(raw or b"null")
        errors = [
            {
                "branch": arms[place].name,
                "stepId": stopped.error["stepId"],
                "code": stopped.error["code"],
                "message": stopped.error["message"],
            }
            for place, stopped in failures.items()
        ]
        completed = sum(isinstance(end, Outcome) for end in ends.values())
        output = b'{"results":[%b],"errors":%b,"completedCount":%d}' % (
            b",".join(results),
            values.encode(errors),
            completed,
        )
        if not failures:
            return Closing(output)
        return Closing(output, error=min(failures.values(), key=lambda stopped: stopped.started_seq).error)

    async def _race(self, step: Step, path: str, config: Json, scope: Scope) -> Closing | None:
        arms = self._arms(step, path, config, scope)
        async with Flight[int](self._journal, self._gear) as flight:
            for place, arm in enumerate(arms):
                flight.launch(place, partial(self._arm, arm))
            halted: Halted | None = None
            while landed := await flight.landed():
                for place, landing in sorted(landed, key=lambda each: each[0]):
                    if isinstance(landing, Halted):
                        halted = landing
                        continue
                    if isinstance(landing, RunStopped):
                        return Closing(error=landing.error)
                    arm = arms[place]
                    value = self._journal.last_output(arm.prefix, arm.body.ids) or b"null"
                    return Closing(b'{"branch":%b,"value":%b}' % (values.encode(arm.name), value))
            if halted is not None:
                raise halted
        return None

    # -- try

    async def _try(self, step: Step, path: str, config: Json, scope: Scope) -> Closing | None:
        prefix = f"{path}."
        stopped: RunStopped | None = None
        caught: dict[str, Json] | None = None
        outcome = Outcome.DONE
        ids = step.bodies[STEPS_BODY].ids | step.bodies[CATCH_BODY].ids
        begin = self._carried.bodies.get(path, STEPS_BODY)
        inside = self._inside(scope, prefix, {"error": None})
        if begin != FINALLY_BODY:
            try:
                outcome = await self._walk(step.bodies[STEPS_BODY].block, prefix, inside)
            except RunStopped as failure:
                stopped = failure
        if outcome is Outcome.WAITING:
            return None
        if step.program and begin != FINALLY_BODY and (stopped is not None or begin == CATCH_BODY):
            if stopped is not None:
                caught = {name: stopped.error[name] for name in ("code", "message", "stepId")}
            inside = self._inside(scope, prefix, {"error": caught})
            stopped = None
            try:
                outcome = await self._walk(step.bodies[CATCH_BODY].block, prefix, inside)
            except RunStopped as failure:
                stopped = failure
            if outcome is Outcome.WAITING:
                return None
        shown = caught or (None if stopped is None else {n: stopped.error[n] for n in ("code", "message", "stepId")})
        result = self._journal.last_output(prefix, ids) or b"null"
        inside = self._inside(scope, prefix, {"error": shown})
        last = await self._walk(step.bodies[FINALLY_BODY].block, prefix, inside)
        if last is Outcome.WAITING:
            return None
        if stopped is not None:
            raise stopped
        ok = b"true" if caught is None else b"false"
        output = b'{"ok":%b,"error":%b,"result":%b}' % (ok, values.encode(caught), result)
        return Closing(output, jump=outcome if last is Outcome.DONE else last)


def failed_of(ends: dict[int, Landing]) -> dict[int, RunStopped]:
    """The arms that failed, in their order."""
    return {place: end for place, end in sorted(ends.items()) if isinstance(end, RunStopped)}


def _raise(landing: Landing) -> None:
    if isinstance(landing, Exception):
        raise landing
