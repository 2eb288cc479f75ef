"""Events for many runs: gone on with after a death, handed out once."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from stepwell.clock import FakeClock
from stepwell.core.signals import PAGE, Signals
from stepwell.ids import TimeOrderedIds
from stepwell.store import NewRun, Reached
from stepwell.store.sqlite import SqliteStore


@dataclass
class Poked:
    """The engine's part: keeps which runs it was told of, and dies when it is told to."""

    runs: list[str] = field(default_factory=list)
    dies: bool = False

    def reached(self, runs: Iterable[Reached]) -> None:
        if self.dies:
            raise KeyboardInterrupt
        self.runs += [each.run for each in runs]


@pytest.fixture
def engine() -> Poked:
    return Poked()


@pytest.fixture
def signals(store: SqliteStore, engine: Poked, ids: TimeOrderedIds, clock: FakeClock) -> Signals:
    return Signals(store, engine, ids, clock)  # type: ignore[arg-type]


async def start(store: SqliteStore, workspace: str, ids: TimeOrderedIds, count: int) -> list[str]:
    workflow = ids.new()
    runs = [
        NewRun(workspace=workspace, id=ids.new(), workflow=workflow, version=1, trigger="api", input=b"{}", owner=None)
        for _ in range(count)
    ]
    return [(await store.runs.start(run)).run for run in runs]


async def received(store: SqliteStore, workspace: str, runs: list[str]) -> list[int]:
    """How many events each run has."""
    loaded = [await store.runs.load(workspace, run) for run in runs]
    return [len(each.events) for each in loaded if each is not None]


async def test_every_page_is_handed_out_and_the_engine_told(
    store: SqliteStore, signals: Signals, engine: Poked, workspace: str, ids: TimeOrderedIds
) -> None:
    runs = await start(store, workspace, ids, 2 * PAGE + 1)

    _, delivered = await signals.broadcast(workspace, "paid", {}, {})

    assert delivered == len(runs)
    assert engine.runs == runs
    assert await received(store, workspace, runs) == [1] * len(runs)
    assert await store.signals.broadcasts(10) == []


async def test_a_broadcast_that_was_broken_off_is_gone_on_with_and_reaches_nobody_twice(
    store: SqliteStore, signals: Signals, engine: Poked, workspace: str, ids: TimeOrderedIds
) -> None:
    runs = await start(store, workspace, ids, PAGE + 5)
    engine.dies = True
    with pytest.raises(KeyboardInterrupt):
        await signals.broadcast(workspace, "paid", {}, {"triggerType": "api"})
    engine.dies = False

    resumed = await signals.resume_broadcasts()

    assert resumed == 1
    assert engine.runs == runs[PAGE:]
    assert await received(store, workspace, runs) == [1] * len(runs)
    assert await signals.resume_broadcasts() == 0


async def test_the_filter_counts_after_a_death_as_well(
    store: SqliteStore, signals: Signals, engine: Poked, workspace: str, ids: TimeOrderedIds
) -> None:
    runs = await start(store, workspace, ids, PAGE + 2)
    wanted = {"id": {"$in": [f"run_{runs[0]}", f"run_{runs[-1]}"]}}
    engine.dies = True
    with pytest.raises(KeyboardInterrupt):
        await signals.broadcast(workspace, "paid", {}, wanted)
    engine.dies = False

    await signals.resume_broadcasts()

    assert await received(store, workspace, runs) == [1, *[0] * PAGE, 1]
