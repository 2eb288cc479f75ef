"""Signals against walks, deaths and each other: explored against a small model, then one by one."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kit import EffectStep, World, effect
from stepwell import values
from stepwell.errors import StepError
from stepwell.states import RUN_TRANSITIONS, RunState
from stepwell.steps import Call, Ports
from stepwell.store import Approval, Reached, RunEvent, RunFilter
from stepwell.store.sqlite import Death
from stepwell.values import Json
from unit.engine.signals_model import BELOW, FINAL, Node, Nodes, Sent, State, possible, settled

DIED = object()  # the answer of a process that died before it answered


def _event(id: str, type: str = "go", **fields: Any) -> Node:
    return Node("event", id, type=type, **fields)


def _effect(id: str) -> Node:
    return Node("effect", id)


SHAPES: dict[str, Nodes] = {
    "events": (_event("a", wants=1), _effect("x"), _event("b", timeout_ms=5000), _effect("y"), _event("c")),
    "late event": (_effect("x"), _event("a", timeout_ms=5000, strict=True), _effect("y")),
    "approval": (Node("approval", "ok", timeout_ms=8000), _effect("x"), _event("a"), _effect("y")),
    "parallel": (
        Node("parallel", "p", ((Node("approval", "ok"), _effect("x")), (_event("a"), _effect("y")))),
        _effect("z"),
    ),
    "arms": (Node("parallel", "p", ((_effect("x"), _effect("y")), (_effect("z"), _effect("xx")))), _event("a")),
    "effects": (_effect("x"), _effect("y"), _effect("z")),
    "race": (Node("race", "r", ((Node("approval", "ok"),), (_event("a", timeout_ms=5000),))), _effect("z")),
    "loop": (Node("loop", "l", ((_event("a"), _effect("x")),)), _effect("z")),
    "child": (_effect("x"), Node("child", "c", ((_event("a", "below"), _effect("y")),)), _event("b"), _effect("z")),
    "try": (Node("try", "t", ((Node("approval", "ok", strict=True), _effect("x")), (_effect("y"),))), _event("a")),
    "rejected": (Node("approval", "ok", strict=True), _effect("x")),
}


class Noting(EffectStep):
    """An effect that notes which process performed it and whether its run was paused, and may do something more."""

    def __init__(self, world: World) -> None:
        super().__init__(world.ledger)
        self._world = world
        self.noted: list[tuple[str, int, bool]] = []  # operation, process, paused
        self.during: dict[str, Callable[[str], Awaitable[None]]] = {}  # by path
        self.turns = 0  # of the event loop that an effect takes

    async def perform(self, program: Any, config: Json, call: Call, ports: Ports) -> Json:
        found = await self._world.store.runs.state(call.workspace, call.run_id)
        self.noted.append((call.operation_id, self._world.booted, found is not None and found[0] == "paused"))
        if meanwhile := self.during.get(call.path):
            await meanwhile(call.run_id)
        for _ in range(self.turns * (1 + 2 * call.path.endswith("z"))):
            await asyncio.sleep(0)
        return await super().perform(program, config, call, ports)


class Trap:
    """Lets a process die at a commit; when it is set, counted from then."""

    def __init__(self) -> None:
        self.dead = asyncio.Event()
        self._left: int | None = None
        self._phase = "before"

    def set(self, commits: int, phase: str) -> None:
        self._left, self._phase = commits, phase

    def __call__(self, phase: str) -> None:
        if self._left is None or phase != self._phase:
            return
        self._left -= 1
        if self._left == 0:
            self.dead.set()
            raise Death


class Mortal:
    """A world whose process may die at any moment, and the signals it takes."""

    def __init__(self, path: Path) -> None:
        self.world = World(path)
        self.effects = Noting(self.world)
        self.world.step_types["effect"] = self.effects
        self.faults: list[str] = []  # changes in the store that no rule allows
        self.trap: Trap

    async def boot(self) -> None:
        self.trap = Trap()
        await self.world.boot(self.trap, recover=False)
        self._watch()
        await self.world.engine.recover()
        await self.world.engine.claim()

    async def die(self) -> None:
        """Like SIGKILL: what was not committed is lost, and nobody is told."""
        self.world.store.database.writer._dead = True
        self.world.kill()
        await asyncio.sleep(0)
        await self.boot()

    async def live(self, action: Coroutine[Any, Any, Any]) -> Any:
        """Its answer, or DIED if the process died before there was one; there is a new process then."""
        acting = asyncio.ensure_future(action)
        dead = asyncio.ensure_future(self.trap.dead.wait())
        await asyncio.wait((acting, dead), return_when=asyncio.FIRST_COMPLETED)
        if not self.trap.dead.is_set():
            dead.cancel()
            return await acting
        answered = acting.done()
        acting.cancel()
        await asyncio.gather(acting, dead, return_exceptions=True)
        await self.die()
        return acting.result() if answered else DIED

    async def send(self, run: str, event: Sent) -> bool:
        payload = values.encode({"n": event.n})
        sent = RunEvent(id=event.id, type=event.type, payload=payload, received_at=self.world.clock.now_ms())
        return self._told(await self.world.store.signals.send(self.world.workspace, run, sent))

    async def pause(self, run: str) -> bool:
        return self._told(await self.world.store.signals.pause(self.world.workspace, run, self.world.clock.now_ms()))

    async def resume(self, run: str) -> bool:
        return self._told(await self.world.store.signals.resume(self.world.workspace, run, self.world.clock.now_ms()))

    async def cancel(self, run: str) -> bool:
        return await self.world.engine.cancel(self.world.workspace, run)

    async def pending(self) -> list[Approval]:
        return await self.world.store.signals.approvals(self.world.workspace, status="pending", before=None, limit=50)

    async def decide(self, asked: Approval, verdict: str) -> bool:
        made = [{"approver": "ana", "decision": verdict, "comment": None, "at": self.world.clock.now_ms()}]
        decided = msgspec.structs.replace(asked, status=verdict, decisions=values.encode(made))
        return self._told(await self.world.store.signals.decide(decided, asked.decisions))

    def _told(self, reached: Reached | None) -> bool:
        self.world.engine.reached(() if reached is None else (reached,))
        return reached is not None

    def rows(self, sql: str) -> list[Any]:
        return self.world.store.database.read(sql, {})

    def _watch(self) -> None:
        """See each change that SQL makes, also those that share a transaction."""
        connection = self.world.store.database._writing
        connection.create_scalar_function("note_change", self._changed)
        connection.create_scalar_function("note_fault", self.faults.append)
        for trigger in (
            "UPDATE OF state ON main.runs WHEN old.state <> new.state "
            "BEGIN SELECT note_change(old.state, new.state, old.started_at IS NOT NULL); END",
            "UPDATE ON main.runs WHEN old.ended_at IS NOT NULL BEGIN SELECT note_fault('changed a final run'); END",
            "UPDATE ON main.records WHEN old.status NOT IN ('running', 'waiting') AND old.output IS NOT new.output "
            "BEGIN SELECT note_fault('changed a final record'); END",
        ):
            name = f"watch_{len(trigger)}"
            connection.execute(f"CREATE TEMP TRIGGER {name} AFTER {trigger}").fetchall()

    def _changed(self, before: str, after: str, has_begun: int) -> None:
        """A walk's one commit may take a run through `running`, of which the store then sees nothing."""
        ways = set(RUN_TRANSITIONS[RunState(before)])
        if before in ("pending", "suspended"):
            ways |= RUN_TRANSITIONS[RunState.RUNNING]
        if after not in ways or (after == "pending" and has_begun):
            self.faults.append(f"{before} -> {after}")


class SignalsMachine(RuleBasedStateMachine):
    """One run and all that may reach it, in any order, while its process dies now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.mortal = Mortal(Path(self.directory.name) / "stepwell.db")
        self.world = self.mortal.world
        self.events: list[Sent] = []  # accepted ones, perhaps accepted ones
        self.due: list[tuple[str, str]] = []  # timers that fire at the latest when the run settles
        self.allowed_while_paused = 0
        self.answered = True

    @initialize(shape=st.sampled_from(sorted(SHAPES)), turns=st.sampled_from([0, 4, 10]))
    def start(self, shape: str, turns: int) -> None:
        self.nodes = SHAPES[shape]
        self.mortal.effects.turns = turns
        self.states = {State()}

        async def begin() -> str:
            await self.mortal.boot()
            below = [body for node in self.nodes if node.kind == "child" for body in node.bodies]
            child = self.world.define(*(node.step(None) for node in below[0])) if below else None
            return await self.world.start(self.world.define(*(node.step(child) for node in self.nodes)))

        self.run = self.runner.run(begin())

    # -- what happens

    @rule(type=st.sampled_from(["go", "go", "go", "other", "below"]), n=st.sampled_from([1, 1, 1, 2]))
    def send(self, type: str, n: int) -> None:
        target = self._child() if type == "below" else self.run
        if target is None:
            return
        event = Sent(self.world.ids.new(), type, n)
        self.events.append(event)
        self._signal(
            self.mortal.send(target, event), lambda state: state.open(type), lambda state: state.receive(event)
        )

    @rule(verdict=st.sampled_from(["approved", "approved", "rejected"]))
    def decide(self, verdict: str) -> None:
        for asked in self.runner.run(self.mortal.pending()):
            self._signal(
                self.mortal.decide(asked, verdict),
                lambda state, path=asked.path: not state.final and path not in dict(state.verdicts),
                lambda state, path=asked.path: state.decide(path, verdict),
                surely_refused=lambda state: False,  # the arm beside it may have won the race meanwhile
            )

    @rule()
    def pause(self) -> None:
        walked = self.run in self.world.engine._active
        self.allowed_while_paused = len(self._while_paused()) + 2 * walked  # one in flight in each arm
        self._signal(self.mortal.pause(self.run), lambda state: not state.final, State.pause)

    @rule()
    def resume(self) -> None:
        self._signal(self.mortal.resume(self.run), lambda state: state.name == "paused", State.resume)

    @rule(turns=st.integers(1, 12))
    def blink(self, turns: int) -> None:
        """A pause, and a resume before the walk has come to rest."""

        async def blinking() -> bool:
            pausing = asyncio.ensure_future(self.mortal.pause(self.run))
            for _ in range(turns):
                await asyncio.sleep(0)
            resumed = await self.mortal.resume(self.run)
            assert await pausing == resumed
            return resumed

        self.allowed_while_paused = len(self._while_paused()) + 2
        before = self._now()
        self._signal(blinking(), lambda state: not state.final, lambda state: state.pause().resume())
        if not self.answered:
            self.states |= {state.pause() for state in before if not state.final}

    @precondition(lambda self: len(self.events) > 2)
    @rule()
    def cancel(self) -> None:
        self._signal(self.mortal.cancel(self.run), lambda state: not state.final, State.cancel)

    @rule()
    def settle(self) -> None:
        while self._do(self.world.settle()) is DIED:
            pass
        self._fire_due()
        self.states = settled(self.states, self.nodes)
        found = self._name()
        wrong = {state.name for state in self.states}
        self.states = {state for state in self.states if state.name == found}
        assert self.states, f"the run is {found}, and should be one of {wrong}"
        assert self.world.engine.open_runs == self.mortal.rows("SELECT count(*) FROM runs WHERE ended_at IS NULL")[0][0]

    @rule()
    def time_passes(self) -> None:
        """Until the next timer is due, which is released."""
        self.settle()
        timers = self.mortal.rows("SELECT due, hex(run), path, kind FROM timers ORDER BY due")
        if not timers:
            return
        due = timers[0][0]
        self.world.clock.advance(max(0, due - self.world.clock.now_ms()) / 1000)
        self.due = [(path, kind) for at, _, path, kind in timers if at <= due]
        if self._do(self.world.engine.timers.release()) is not DIED:
            self._fire_due()

    @rule(turns=st.integers(0, 8))
    def turn(self, turns: int) -> None:
        """The event loop turns some times, and what may be claimed is claimed."""

        async def turning() -> None:
            await self.world.engine.claim()
            for _ in range(turns):
                await asyncio.sleep(0)

        self._do(turning())

    @precondition(lambda self: self._deaths() < 2)
    @rule()
    def kill(self) -> None:
        self.states = self._now()
        self.runner.run(self.mortal.die())

    @precondition(lambda self: self._deaths() < 2)
    @rule(commits=st.integers(1, 3), phase=st.sampled_from(["before", "after"]))
    def set_trap(self, commits: int, phase: str) -> None:
        self.mortal.trap.set(commits, phase)

    # -- what holds

    @invariant()
    def changes_are_allowed(self) -> None:
        assert self.mortal.faults == []

    @invariant()
    def a_process_performs_an_operation_once(self) -> None:
        performed = Counter((operation, process) for operation, process, _ in self.mortal.effects.noted)
        assert [each for each, times in performed.items() if times > 1] == []
        known = (
            {f"run_{run.lower()}" for (run,) in self.mortal.rows("SELECT hex(id) FROM runs")} if performed else set()
        )
        assert {operation.partition(":")[0].replace("-", "") for operation, _ in performed} <= known

    @invariant()
    def a_paused_run_starts_nothing(self) -> None:
        assert len(self._while_paused()) <= self.allowed_while_paused

    @invariant()
    def final_runs_leave_nothing(self) -> None:
        final = "SELECT id FROM runs WHERE ended_at IS NOT NULL"
        for table in ("timers", "waits", "events"):
            assert self.mortal.rows(f"SELECT * FROM {table} WHERE run IN ({final})") == []  # noqa: S608
        asked = f"SELECT id FROM approvals WHERE run IN ({final})"  # noqa: S608
        assert self.mortal.rows(f"SELECT * FROM approvals WHERE status = 'pending' AND run IN ({final})") == []  # noqa: S608
        assert self.mortal.rows(f"SELECT * FROM approval_tokens WHERE approval IN ({asked})") == []  # noqa: S608

    @invariant()
    def a_final_step_waits_for_nothing(self) -> None:
        final = "SELECT run, path FROM records WHERE status NOT IN ('running', 'waiting')"
        for table in ("timers", "waits"):
            assert self.mortal.rows(f"SELECT * FROM {table} WHERE (run, path) IN ({final})") == []  # noqa: S608
        assert self.mortal.rows(f"SELECT * FROM approvals WHERE status = 'pending' AND (run, path) IN ({final})") == []  # noqa: S608

    @invariant()
    def an_event_is_taken_once(self) -> None:
        taken = Counter(self._taken())
        assert [each for each, times in taken.items() if times > 1] == []
        kept = self.mortal.rows("SELECT hex(id) FROM events")
        assert not {id.lower() for (id,) in kept} & {each.replace("-", "") for each in taken}

    def teardown(self) -> None:
        try:
            if hasattr(self, "states"):
                self._drain()
                self.runner.run(self.world.store.close())
        finally:
            self.runner.close()
            self.directory.cleanup()

    # -- helpers

    def _signal(
        self,
        signal: Coroutine[Any, Any, bool],
        accepted: Callable[[State], bool],
        apply: Callable[[State], State],
        surely_refused: Callable[[State], bool] | None = None,
    ) -> None:
        """Send a signal; of the states that were possible only those stay that explain the answer."""
        before = self._now()
        answer = self._do(signal)
        self.answered = answer is not DIED
        after = {apply(state) for state in before if accepted(state)}
        refused = before if surely_refused else {state for state in before if not accepted(state)}
        if answer is DIED:
            self.states = after | before
        else:
            self.states = after if answer else refused
        assert self.states, f"the answer was {answer}, with {before}"

    def _do(self, action: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(self.mortal.live(action))

    def _now(self) -> set[State]:
        """What is possible without anybody having waited."""
        fired = set(self.states)
        for path, kind in self.due:
            fired |= {state.expire(path, kind) for state in fired}
        return possible(fired, self.nodes)

    def _fire_due(self) -> None:
        for path, kind in self.due:
            self.states = {state.expire(path, kind) for state in self._now()}
        self.due = []

    def _name(self) -> str:
        return str(self.runner.run(self.world.load(self.run)).run.state)

    def _child(self) -> str | None:
        page = self.runner.run(self.world.store.runs.page(RunFilter(workspace=self.world.workspace)))
        return next((run.id for run in page if run.parent == self.run), None)

    def _deaths(self) -> int:
        return self.mortal.rows("SELECT max(deaths) FROM runs")[0][0]

    def _while_paused(self) -> list[str]:
        own = f"run_{self.run}:"
        return [operation for operation, _, paused in self.mortal.effects.noted if paused and operation.startswith(own)]

    def _records(self) -> dict[str, Json]:
        """Of each path that succeeded its output."""
        outputs = {}
        for run, prefix in ((self.run, ""), (self._child(), BELOW)):
            if run is not None:
                records = self.runner.run(self.world.load(run)).records
                outputs |= {prefix + each.path: values.decode(each.output) for each in records if each.output}
        return outputs

    def _taken(self) -> list[str]:
        return [
            output["eventId"][4:]
            for output in self._records().values()
            if isinstance(output, dict) and output.get("eventId")
        ]

    def _drain(self) -> None:
        """Bring the run to its end, and compare what its steps got."""
        for _ in range(12):
            self.settle()
            if self._name() in FINAL:
                break
            self.resume()
            for type in ("go", "below"):
                self.send(type, 1)
            self.decide("approved")
        assert self._name() in FINAL
        if self._name() == "cancelled":
            return
        outputs = self._records()
        assert any(_explains(state, outputs) for state in self.states), (outputs, self.states)


def _explains(state: State, outputs: dict[str, Json]) -> bool:
    """Whether the outputs are those of the steps as the model has them; what lost a race does not count."""
    for path, how in state.done:
        output = outputs.get(path)
        if how == "approved" or how == "rejected":
            if output is None or output["approved"] != (how == "approved"):
                return False
        elif how == "late":
            if output is None or not output["timedOut"]:
                return False
        elif how.startswith("arm"):
            if output is None or output["branch"] != int(how[4:]):
                return False
        elif how not in ("done", "failed") and (output is None or output["eventId"] != f"evt_{how}"):
            return False
    return True


TestSignals = SignalsMachine.TestCase
TestSignals.settings = settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    stateful_step_count=25,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


# -- one by one

DEATHS = pytest.mark.parametrize("death", [None, "before", "after"])
MOMENTS = pytest.mark.parametrize("moment", ["before", "during", "waiting"])


@pytest.fixture
async def mortal(tmp_path: Path) -> AsyncIterator[Mortal]:
    mortal = Mortal(tmp_path / "stepwell.db")
    await mortal.boot()
    yield mortal
    await mortal.world.store.close()


async def _start(mortal: Mortal, *nodes: Node) -> str:
    return await mortal.world.start(mortal.world.define(*(node.step(None) for node in nodes)))


async def _signalled(
    mortal: Mortal, run: str, moment: str, death: str | None, signal: Callable[[str], Awaitable[Any]]
) -> None:
    """A signal before the walk begins, during its first effect, or when it waits. The process dies at the signal's
    commit; a client that got no answer sends it again."""
    sent = 0

    async def once(run: str) -> None:
        nonlocal sent
        sent += 1
        if sent == 1 and death is not None:
            mortal.trap.set(1, death)
        await signal(run)

    async def story() -> None:
        if moment == "before":
            await once(run)
        await mortal.world.settle()
        if moment == "waiting":
            await once(run)
            await mortal.world.settle()

    if moment == "during":
        mortal.effects.during |= {"x": once, "p.x": once}
    while await mortal.live(story()) is DIED:
        pass
    assert sent > 0


def _times(mortal: Mortal, path: str) -> int:
    return sum(operation.endswith(f":{path}") for operation in mortal.world.ledger.operations)


@DEATHS
@MOMENTS
async def test_an_event_is_taken_whenever_it_comes(mortal, moment, death):
    event = Sent(mortal.world.ids.new(), "go", 1)
    run = await _start(mortal, _effect("x"), _event("a"), _effect("y"))

    await _signalled(mortal, run, moment, death, lambda run: mortal.send(run, event))

    records = {record.path: record for record in (await mortal.world.load(run)).records}
    assert (await mortal.world.outcome(run))[0] == "completed"
    assert values.decode(records["a"].output)["eventId"] == f"evt_{event.id}"
    assert _times(mortal, "y") == 1


@DEATHS
@MOMENTS
async def test_an_event_is_taken_by_one_step(mortal, moment, death):
    event = Sent(mortal.world.ids.new(), "go", 1)
    run = await _start(mortal, _effect("x"), _event("a"), _effect("y"), _event("b"))

    async def send(run: str) -> None:
        if death != "after" or mortal.world.booted == 1:  # it was kept, and whoever sends it again sends another one
            await mortal.send(run, event)

    await _signalled(mortal, run, moment, death, send)

    assert [record.path for record in (await mortal.world.load(run)).records] == ["x", "a", "y", "b"]
    assert (await mortal.world.outcome(run))[0] == "suspended"


@DEATHS
@MOMENTS
async def test_a_cancel_ends_a_run_whenever_it_comes(mortal, moment, death):
    run = await _start(mortal, _effect("x"), _event("a"))

    await _signalled(mortal, run, moment, death, mortal.cancel)

    assert (await mortal.world.outcome(run))[0] == "cancelled"
    assert _times(mortal, "x") <= 1 + (death == "before")
    assert mortal.world.engine.open_runs == 0
    assert mortal.faults == []


@DEATHS
@MOMENTS
async def test_a_pause_holds_a_run_whenever_it_comes(mortal, moment, death):
    run = await _start(mortal, _effect("x"), _effect("y"), _event("a"), _effect("z"))

    await _signalled(mortal, run, moment, death, mortal.pause)
    assert (await mortal.world.outcome(run))[0] == "paused"
    assert moment == "before" or _times(mortal, "y") == (moment == "waiting")  # before: what has begun meanwhile ends
    mortal.effects.during.clear()
    await mortal.resume(run)
    await mortal.send(run, Sent(mortal.world.ids.new(), "go", 1))
    await mortal.world.settle()

    assert (await mortal.world.outcome(run))[0] == "completed"
    assert (_times(mortal, "y"), _times(mortal, "z")) == (1, 1)
    assert mortal.faults == []


@DEATHS
@pytest.mark.parametrize("moment", ["during", "waiting"])
@pytest.mark.parametrize("verdict", ["approved", "rejected"])
async def test_a_decision_counts_whenever_it_is_made(mortal, moment, death, verdict):
    both = Node("parallel", "p", ((Node("approval", "ok"),), (_effect("x"),)))
    run = await _start(mortal, both, _effect("y"))

    async def decide(run: str) -> None:
        while not (asked := await mortal.pending()):
            if (await mortal.world.load(run)).run.signals:  # the decision was kept, only the answer was lost
                return
            await asyncio.sleep(0)
        await mortal.decide(asked[0], verdict)

    await _signalled(mortal, run, moment, death, decide)

    records = {record.path: record for record in (await mortal.world.load(run)).records}
    assert (await mortal.world.outcome(run))[0] == "completed"
    assert values.decode(records["p.ok"].output)["approved"] == (verdict == "approved")
    assert _times(mortal, "y") == 1


@pytest.mark.parametrize("turns", range(7))
@pytest.mark.parametrize("signal", ["send", "cancel", "pause"])
@pytest.mark.parametrize("death", [None, (1, "before"), (1, "after"), (2, "after")])
async def test_a_signal_races_completion_and_its_answer_is_true(mortal, signal, turns, death):
    answers: list[Any] = []
    racing: list[asyncio.Future[Any]] = []
    run = await _start(mortal, _effect("x"))

    async def race(run: str) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        if signal == "send":
            answers.append(await mortal.send(run, Sent(mortal.world.ids.new(), "go", 1)))
        else:
            answers.append(await getattr(mortal, signal)(run))

    async def begin(run: str) -> None:
        if death is not None and not racing:
            mortal.trap.set(*death)
        if not racing:
            racing.append(asyncio.ensure_future(race(run)))

    async def story() -> None:
        await mortal.world.settle()
        await asyncio.gather(*racing)
        await mortal.world.settle()

    mortal.effects.during["x"] = begin
    if await mortal.live(story()) is DIED:
        await mortal.world.settle()
    state = (await mortal.world.outcome(run))[0]

    if True in answers:
        assert state == {"send": "completed", "cancel": "cancelled", "pause": "paused"}[signal]
    elif False in answers:
        assert state == "completed"
    if state == "paused":
        await mortal.resume(run)
        await mortal.world.settle()
    assert (await mortal.world.outcome(run))[0] in ("completed", "cancelled")
    assert mortal.world.engine.open_runs == 0
    assert mortal.faults == []


@pytest.mark.parametrize(("shape", "takes"), [("effects", 0), ("arms", 10)])
@pytest.mark.parametrize("between", [1, 2, 3, 8, 12])
async def test_a_run_that_is_paused_for_a_moment_at_any_moment_goes_on(mortal, shape, takes, between):
    mortal.effects.turns = takes
    for before in range(14):
        run = await _start(mortal, *SHAPES[shape])
        for _ in range(before):
            await asyncio.sleep(0)
        pausing = asyncio.ensure_future(mortal.pause(run))
        for _ in range(between):
            await asyncio.sleep(0)
        await mortal.resume(run)
        await pausing
        await mortal.world.settle()

        assert (await mortal.world.outcome(run))[0] == ("suspended" if shape == "arms" else "completed")
        await mortal.cancel(run)
    assert max(Counter(mortal.world.ledger.operations).values()) == 1
    assert mortal.faults == []


async def test_a_run_resumed_in_the_moment_its_end_was_refused_goes_on(mortal):
    commit = mortal.world.store.runs.commit
    resumed: list[asyncio.Future[bool]] = []

    async def resumed_behind(given: Any) -> Any:
        refused = asyncio.ensure_future(commit(given))
        await asyncio.sleep(0)  # the end is queued, and behind it in the same transaction the resume
        resumed.append(asyncio.ensure_future(mortal.resume(given.run)))
        mortal.world.store.runs.commit = commit
        return await refused

    async def pause(run: str) -> None:
        await mortal.pause(run)
        mortal.world.store.runs.commit = resumed_behind

    mortal.effects.during["x"] = pause
    run = await _start(mortal, _effect("x"))
    await mortal.world.settle()
    await asyncio.gather(*resumed)
    await mortal.world.settle()

    assert (await mortal.world.outcome(run))[0] == "completed"


async def test_a_run_resumed_while_one_arm_had_stopped_and_another_was_in_flight_goes_on(mortal):
    paused = asyncio.Event()

    async def pause(run: str) -> None:
        await mortal.pause(run)
        paused.set()

    async def resume(run: str) -> None:
        await paused.wait()
        for _ in range(50):
            await asyncio.sleep(0)
        await mortal.resume(run)

    mortal.effects.during |= {"p.a": pause, "p.b": resume}
    arms = ((_effect("a"), _effect("x")), (_effect("b"), _effect("y")))
    run = await _start(mortal, Node("parallel", "p", arms))
    await mortal.world.settle()

    assert (await mortal.world.outcome(run))[0] == "completed"
    assert all(_times(mortal, f"p.{step}") == 1 for step in "abxy")


async def test_a_run_paused_while_its_secrets_are_missed_fails_when_it_is_resumed(mortal, monkeypatch):
    run, paused = "", asyncio.Event()

    async def missing(*wanted: Any) -> Any:
        if not paused.is_set():
            paused.set()
            await mortal.pause(run)
        raise StepError("Secret K does not exist", code="SECRET_MISSING")

    async def start(new: Any) -> Any:
        nonlocal run
        run = new.id
        return await stored(new)

    stored = mortal.world.store.runs.start
    monkeypatch.setattr(mortal.world, "secrets", missing)
    monkeypatch.setattr(mortal.world.store.runs, "start", start)
    await mortal.world.start(mortal.world.define(effect("a", {"k": "{{secrets.K}}"})))
    await mortal.world.settle()
    assert (await mortal.world.outcome(run))[0] == "paused"
    await mortal.resume(run)
    await mortal.world.settle()

    assert (await mortal.world.outcome(run))[1]["code"] == "SECRET_MISSING"


async def test_an_arm_that_a_pause_stopped_does_not_count_as_completed(mortal):
    paused = asyncio.Event()

    async def pause(run: str) -> None:
        await mortal.pause(run)
        paused.set()

    async def fail(run: str) -> None:
        await paused.wait()
        for _ in range(50):
            await asyncio.sleep(0)
        raise StepError("No", retryable=False)

    mortal.effects.during |= {"p.a": pause, "p.b": fail}
    config = {"strategy": "fail-fast", "branches": [[effect("a"), effect("x")], [effect("b")]]}
    run = await mortal.world.start(mortal.world.define({"id": "p", "type": "parallel", "config": config}))
    await mortal.world.settle()

    [closed] = [record for record in (await mortal.world.load(run)).records if record.path == "p"]
    output = values.decode(closed.output)
    assert (output["completedCount"], output["results"]) == (0, [None, None])
