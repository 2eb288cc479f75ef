"""An outage of the store: walks keep what they have to write; nothing is done twice, fails or is lost because of it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from kit import EffectStep, World, effect, transform, wait
from stepwell.errors import StoreUnavailable
from stepwell.states import RunState
from stepwell.steps import Call, Ports
from stepwell.store import Loaded, Reached
from stepwell.store.sqlite.runs import SqliteRuns
from stepwell.values import Json

RETRY = {"maxAttempts": 3, "initialDelayMs": 1000}

WORKFLOWS: dict[str, list[Json]] = {
    "effects": [transform("a", x=1), effect("one", {"charge": 100}), effect("two", {"x": "{{steps.a.x}}"})],
    "once only": [effect("one", idempotent=False), effect("two", idempotent=False)],
    "retries": [effect("one", {"fail": 2}, retryConfig=RETRY), transform("b", done=True)],
    "waits": [effect("one"), wait("pause", 5000), effect("two", idempotent=False)],
    "side by side": [
        effect("left", {"charge": 1_000_000}, needs=[], idempotent=False),
        effect("right", {"charge": 1_000_000}, needs=[], idempotent=False),
        transform("b", done=True) | {"needs": ["left", "right"]},
    ],
}


class Full:
    """Lets commits fail as on a full disk, from the n-th on, until `free`."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.commits = 0
        self.armed = False
        self.failed = 0
        self.free = False

    def __call__(self, phase: str) -> None:
        if not self.armed or phase != "before":
            return
        self.commits += 1
        if self.commits >= self.at and not self.free:
            self.failed += 1
            raise apsw.FullError("database or disk is full")


@asynccontextmanager
async def serving(world: World) -> AsyncIterator[None]:
    """The engine's services, as a process runs them."""
    stop = asyncio.Event()
    services = asyncio.gather(world.engine.run(stop), world.engine.timers.run(stop))
    yield
    stop.set()
    world.engine.offer()
    world.engine.timers.wake()
    world.clock.advance(60)
    await services


async def pass_time(world: World, true: Callable[[], bool]) -> None:
    """Let time pass until something is true."""
    for _ in range(500):
        for _ in range(20):
            await asyncio.sleep(0)
        if true():
            return
        world.clock.advance(0.5)
    raise AssertionError("it never came true")


async def live_through(world: World, full: Full, workflow: str) -> Loaded:
    """Start a run, let the disk be full from the chosen commit on for some seconds; the run at its end."""
    await world.boot(full)
    async with serving(world):
        run = await world.start(workflow)
        full.armed = True
        await pass_time(world, lambda: full.failed > 3 or not world.engine.open_runs)
        full.free = True
        await pass_time(world, lambda: not world.engine.open_runs)
    return await world.load(run)


@pytest.mark.parametrize("name", WORKFLOWS)
async def test_an_outage_at_any_commit_repeats_no_effect_and_fails_no_step(tmp_path: Path, name: str) -> None:
    at, failed = 0, True
    costs = set()
    while failed:
        at += 1
        world, full = World(tmp_path / f"{at}.db"), Full(at)
        loaded = await live_through(world, full, world.define(*WORKFLOWS[name]))
        failed = full.failed > 0
        assert loaded.run.state is RunState.COMPLETED
        expected = [(one["id"], n + 1) for one in WORKFLOWS[name] for n in range(_attempts(one))]
        performed = [(operation.rpartition(":")[2], attempt) for operation, attempt, _ in world.ledger.performed]
        assert sorted(performed) == sorted(expected)
        costs.add(loaded.run.cost)
        await world.store.close()
    assert at > 2
    assert len(costs) == 1


def _attempts(step: Json) -> int:
    return int(step["type"] == "effect") + int((step["config"] or {}).get("fail", 0))


class Reaching(EffectStep):
    """While it is performed, something reaches its run."""

    def __init__(self, world: World) -> None:
        super().__init__(world.ledger)
        self._world = world

    async def perform(self, program: Any, config: Json, call: Call, ports: Ports) -> Json:
        self._world.engine.reached([Reached(self._world.workspace, call.run_id, self._world.engine.id)])
        return await super().perform(program, config, call, ports)


async def test_a_walk_that_cannot_look_at_its_run_keeps_what_it_has_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, looks = World(tmp_path / "stepwell.db"), itertools.count()
    world.step_types["effect"] = Reaching(world)
    await world.boot()
    look = SqliteRuns.look

    async def failing(runs: SqliteRuns, workspace: str, run: str) -> Loaded | None:
        if next(looks) < 3:
            raise StoreUnavailable("The store cannot be read now", retry_after_s=5)
        return await look(runs, workspace, run)

    monkeypatch.setattr(SqliteRuns, "look", failing)
    async with serving(world):
        run = await world.start(world.define(effect("one", idempotent=False), transform("b", x=1)))
        await pass_time(world, lambda: not world.engine.open_runs)
    assert next(looks) > 3
    assert (await world.outcome(run))[0] == "completed"
    assert len(world.ledger.performed) == 1
    await world.store.close()


async def test_a_process_that_stops_in_an_outage_does_not_wait_for_its_end(tmp_path: Path) -> None:
    world, full = World(tmp_path / "stepwell.db"), Full(1)
    await world.boot(full)
    async with serving(world):
        run = await world.start(world.define(effect("one")))
        full.armed = True
        await pass_time(world, lambda: bool(full.failed))

        await world.engine.drain(5)

        assert world.engine.active_runs == 0
    assert (await world.load(run)).run.state is RunState.RUNNING
    await world.store.close()


async def test_a_start_that_the_disk_has_no_room_for_leaves_no_walk_behind(tmp_path: Path) -> None:
    world, full = World(tmp_path / "stepwell.db"), Full(1)
    await world.boot(full)
    full.armed = True
    async with serving(world):
        with pytest.raises(Exception, match="full"):
            await world.start(world.define(effect("one")))
        await pass_time(world, lambda: not world.engine.active_runs)
        full.free = True
        await pass_time(world, lambda: world.engine.healthy)
    assert world.ledger.performed == []
    assert world.engine.open_runs == 0
    await world.store.close()
