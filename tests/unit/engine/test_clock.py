"""Jumps of the wall clock: timers follow it, noticed by a service that sleeps on the monotonic one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kit import World, wait
from stepwell.clock import LONGEST_SLEEP_S

TURNS = 50  # of the event loop: more than the service needs to look and sleep again


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A world whose runs are not replayed: the replay knows no clock that jumps."""
    world = World(tmp_path / "stepwell.db")
    await world.boot()
    yield world
    await world.store.close()


async def test_a_forward_jump_releases_what_is_then_due_after_the_longest_sleep(world: World) -> None:
    run = await _waiting(world, 3600)
    async with _serving(world):
        world.clock.jump(3600)
        await _pass(world, LONGEST_SLEEP_S)
        assert (await world.load(run)).timers == ()
    await world.settle()
    assert (await world.outcome(run))[0] == "completed"


async def test_a_backward_jump_delays_a_timer_until_the_clock_says_its_time(world: World) -> None:
    run = await _waiting(world, 60)
    async with _serving(world):
        world.clock.jump(-600)
        await _pass(world, 630)
        assert len((await world.load(run)).timers) == 1
        await _pass(world, LONGEST_SLEEP_S)
        assert (await world.load(run)).timers == ()


async def test_after_a_backward_jump_new_runs_are_listed_first(world: World) -> None:
    older = await _waiting(world, 60)
    world.clock.jump(-600)
    newer = await _waiting(world, 60)
    assert newer > older


async def _waiting(world: World, seconds: int) -> str:
    run = await world.start(world.define(wait("pause", seconds * 1000)))
    await world.settle()
    return run


@asynccontextmanager
async def _serving(world: World) -> AsyncIterator[None]:
    """The timer service runs."""
    stop = asyncio.Event()
    serving = asyncio.ensure_future(world.engine.timers.run(stop))
    await _turns()
    yield
    stop.set()
    world.engine.timers.wake()
    await serving


async def _pass(world: World, seconds: float) -> None:
    """Let time pass, no sleep of the service at once being longer than its longest."""
    for _ in range(round(seconds / LONGEST_SLEEP_S)):
        world.clock.advance(LONGEST_SLEEP_S)
        await _turns()


async def _turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)
