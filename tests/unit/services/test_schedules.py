"""The schedule service: it sleeps until something is due, fires it, and has polls made beside."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from stepwell.errors import StoreUnavailable
from stepwell.events import Events
from stepwell.services import ScheduleService
from stepwell.services.schedules import POLLS_AT_ONCE
from stepwell.store import Trigger
from unit.core.town import EACH_MINUTE, Town


class Asking:
    """A provider whose answers come when the test says so. A poll notes the next time as the real one does."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self.begun: list[str] = []
        self.answer = asyncio.Event()
        self.error: Exception | None = None

    async def poll(self, trigger: Trigger) -> None:
        self.begun.append(trigger.id)
        await self.answer.wait()
        if self.error is not None:
            raise self.error
        following = msgspec.structs.replace(trigger, next_at=self._town.clock.now_ms() + 300_000)
        assert await self._town.store.triggers.advance(following, seen=trigger.next_at)


class Counted:
    """The town's schedules; every look at the store is counted."""

    def __init__(self, town: Town) -> None:
        self.looks = 0
        self.begin, self.run, self.lease = town.schedules.begin, town.schedules.run, town.schedules.lease
        self._schedules = town.schedules

    async def due(self) -> list[Trigger]:
        self.looks += 1
        return await self._schedules.due()

    async def next(self) -> int | None:
        self.looks += 1
        return await self._schedules.next()


class Scene:
    """A town whose service runs."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.told: list[str] = []
        self.polls = Asking(town)
        self.schedules = Counted(town)
        events = Events((lambda name, fields: self.told.append(name),))
        self.service = ScheduleService(self.schedules, town.triggers, self.polls, town.clock, events)  # type: ignore[arg-type]
        self.stop = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        self._running = asyncio.get_running_loop().create_task(self.service.run(self.stop))
        await self.quiet()

    async def quiet(self) -> None:
        """Let everything happen that can happen without time passing."""
        for _ in range(200):
            await asyncio.sleep(0)
        await self.town.settle()

    async def wait(self, seconds: float) -> None:
        self.town.clock.advance(seconds)
        await self.quiet()

    async def end(self) -> None:
        assert self._running is not None
        self.stop.set()
        self.service.wake()
        self.town.clock.advance(60)
        await self._running

    async def poll(self) -> str:
        """A trigger that is to be polled now."""
        town = self.town
        now = town.clock.now_ms()
        wanted = Trigger(
            workspace=town.workspace,
            id=town.ids.new(),
            kind="poll",
            slug=f"feed.item-{town.ids.new()}",
            workflow=town.ids.new(),
            config=b"{}",
            instance=True,
            scheduled_at=now,
            next_at=now,
            updated_at=now,
        )
        await town.store.triggers.upsert(wanted)
        town.triggers.noted(now)
        return wanted.id


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    town = Town(tmp_path / "stepwell.db")
    town.clock.jump(20 - town.clock.now_ms() // 1000 % 60)
    await town.open()
    scene = Scene(town)
    await scene.begin()
    yield scene
    await scene.end()
    town.kill()


async def test_an_activation_wakes_it_and_each_tick_fires_at_its_time(scene: Scene) -> None:
    id = await scene.town.scheduled(EACH_MINUTE)
    await scene.quiet()

    await scene.wait(39.9)
    assert await scene.town.instants(id) == []
    await scene.wait(0.1)
    await scene.wait(30)
    await scene.wait(30)

    assert await scene.town.instants(id) == ["22:14", "22:15"]


async def test_it_asks_the_store_nothing_while_nothing_is_due(scene: Scene) -> None:
    await scene.town.scheduled({"type": "schedule", "cron": "0 0 1 1 *"})
    await scene.quiet()
    looks = scene.schedules.looks

    for _ in range(20):
        await scene.wait(30)

    assert scene.schedules.looks == looks


async def test_without_schedules_nothing_wakes(scene: Scene) -> None:
    assert scene.town.clock._sleepers == []


async def test_a_page_after_the_other_is_fired(scene: Scene) -> None:
    ids = [await scene.town.scheduled(EACH_MINUTE) for _ in range(105)]

    await scene.wait(40)
    for _ in range(5):
        await scene.quiet()

    assert [await scene.town.instants(id) for id in ids] == [["22:14"]] * 105


async def test_polls_are_made_some_at_a_time_and_hold_no_schedule_up(scene: Scene) -> None:
    id = await scene.town.scheduled(EACH_MINUTE)
    polls = [await scene.poll() for _ in range(POLLS_AT_ONCE + 4)]
    await scene.quiet()
    assert scene.polls.begun == polls[:POLLS_AT_ONCE]

    await scene.wait(40)
    assert await scene.town.instants(id) == ["22:14"]

    scene.polls.answer.set()
    await scene.quiet()
    assert sorted(scene.polls.begun) == sorted(polls)


async def test_a_poll_that_takes_long_is_not_made_twice(scene: Scene) -> None:
    poll = await scene.poll()
    await scene.quiet()

    for _ in range(30):
        await scene.wait(30)

    assert scene.polls.begun == [poll]


async def test_a_poll_is_made_again_at_the_time_that_it_noted(scene: Scene) -> None:
    poll = await scene.poll()
    scene.polls.answer.set()
    await scene.quiet()

    await scene.wait(299)
    assert scene.polls.begun == [poll]
    await scene.wait(1)
    assert scene.polls.begun == [poll, poll]


async def test_a_poll_that_noted_nothing_is_made_again_when_its_lease_is_over(scene: Scene) -> None:
    poll = await scene.poll()
    scene.polls.error = StoreUnavailable("gone")
    scene.polls.answer.set()
    await scene.quiet()
    assert scene.polls.begun == [poll]

    scene.polls.error = None
    for _ in range(21):
        await scene.wait(30)

    assert scene.polls.begun[:2] == [poll, poll]


async def test_a_fault_of_a_poll_is_told_of_and_holds_nobody_up(scene: Scene) -> None:
    await scene.poll()
    scene.polls.error = ZeroDivisionError()
    scene.polls.answer.set()
    await scene.quiet()
    scene.polls.error = None
    other = await scene.poll()
    await scene.quiet()

    assert scene.told == ["service.failed"]
    assert scene.polls.begun[-1] == other
