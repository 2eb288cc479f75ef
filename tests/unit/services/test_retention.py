"""Retention: what is removed, when, and that nothing wakes while nothing can grow old."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit import World, transform
from stepwell.events import Events
from stepwell.services import Retention
from stepwell.settings import Retention as Settings
from stepwell.settings import Webhooks
from stepwell.store import Delivery, DeliveryFilter, Firing, FiringFilter, RunFilter, Workspace

DAY_S = 86_400


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path / "stepwell.db")
    await world.boot()
    await world.store.keys.create_workspace(Workspace(world.workspace, "Default"))
    yield world
    await world.store.close()


def retention(world: World, settings: Settings, webhooks: Webhooks | None = None) -> Retention:
    return Retention(world.store, world.engine, world.clock, Events(), settings, webhooks or Webhooks())


async def ended(world: World, count: int) -> list[str]:
    workflow = world.define(transform("a", x=1))
    runs = [await world.start(workflow) for _ in range(count)]
    await world.settle()
    return runs


async def kept(world: World) -> list[str]:
    return sorted(run.id for run in await world.store.runs.page(RunFilter(workspace=world.workspace)))


async def test_without_a_limit_every_run_is_kept(world: World) -> None:
    runs = await ended(world, 3)
    world.clock.advance(1000 * DAY_S)
    assert await retention(world, Settings()).clean_up() == 0
    assert await kept(world) == runs


async def test_runs_older_than_the_limit_are_removed(world: World) -> None:
    await ended(world, 2)
    world.clock.advance(8 * DAY_S)
    young = await ended(world, 1)
    assert await retention(world, Settings(age_days=7)).clean_up() == 2
    assert await kept(world) == young


async def test_only_the_newest_runs_are_kept(world: World) -> None:
    runs = await ended(world, 5)
    assert await retention(world, Settings(runs=2)).clean_up() == 3
    assert await kept(world) == runs[3:]


async def test_of_two_limits_the_one_that_removes_more_counts(world: World) -> None:
    await ended(world, 2)
    world.clock.advance(8 * DAY_S)
    young = await ended(world, 3)
    assert await retention(world, Settings(age_days=7, runs=1)).clean_up() == 4
    assert await kept(world) == young[2:]


async def test_the_service_sleeps_until_a_run_is_started_and_then_cleans_up_after_its_interval(world: World) -> None:
    stop = asyncio.Event()
    service = asyncio.ensure_future(retention(world, Settings(runs=1, interval_s=60)).run(stop))
    await turns()
    world.clock.advance(3600)
    await turns()
    runs = await ended(world, 3)
    await turns()
    assert await kept(world) == runs
    world.clock.advance(60)
    for _ in range(1000):  # the bound is found in a thread
        await asyncio.to_thread(int)
        if await kept(world) == runs[2:]:
            break
    assert await kept(world) == runs[2:]
    stop.set()
    await service


async def turns() -> None:
    """Let the event loop do what it can do now."""
    for _ in range(30):
        await asyncio.sleep(0)


async def test_old_deliveries_firings_and_events_are_removed(world: World) -> None:
    deliveries, triggers = world.store.deliveries, world.store.triggers
    old = await arrived(world, "e-1")
    world.clock.advance(8 * DAY_S)
    young = await arrived(world, "e-2")
    firings = FiringFilter(workspace=world.workspace)

    await retention(world, Settings(), Webhooks(keep_days=7)).clean_up()

    assert [row.id for row in await deliveries.page(DeliveryFilter(workspace=world.workspace))] == [young]
    assert [firing.delivery for firing in (await triggers.firings(firings))[0]] == [young]
    assert await deliveries.keys_of(world.workspace, "custom:a", old) == ()
    assert await deliveries.keys_of(world.workspace, "custom:a", young) == ("e-2",)


async def test_an_event_is_remembered_as_long_as_it_is_set(world: World) -> None:
    old = await arrived(world, "e-1")
    world.clock.advance(8 * DAY_S)

    await retention(world, Settings(), Webhooks(dedupe_hours=24 * 9)).clean_up()

    assert await world.store.deliveries.keys_of(world.workspace, "custom:a", old) == ("e-1",)


async def test_only_the_newest_rejected_deliveries_are_kept(world: World) -> None:
    rows = [await arrived(world, f"e-{n}", "rejected") for n in range(5)]

    await retention(world, Settings(), Webhooks(keep_rejected=2)).clean_up()

    kept_rows = await world.store.deliveries.page(DeliveryFilter(workspace=world.workspace))
    assert [row.id for row in kept_rows] == rows[:2:-1]


async def arrived(world: World, event: str, status: str = "processed") -> str:
    """A delivery that brought an event and came to something."""
    row = Delivery(
        workspace=world.workspace,
        id=world.ids.new(),
        status=status,
        provider="custom",
        method="POST",
        path="/webhooks/custom/ws/a",
        query="",
        headers=b"[]",
    )
    firing = Firing(
        workspace=world.workspace,
        id=world.ids.new(),
        trigger=world.ids.new(),
        slug="webhook",
        workflow=None,
        key=event,
        source="webhook",
        status="skipped",
        delivery=row.id,
    )
    await world.store.deliveries.receive(row, "custom:a", (event,), since=0)
    await world.store.triggers.record((firing,))
    return row.id
