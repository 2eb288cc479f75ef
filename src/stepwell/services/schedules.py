"""The schedule service: sleeps until the next schedule or poll is due, and asks the store nothing in between."""

import asyncio
from typing import Protocol

from stepwell.clock import Alarm, Clock
from stepwell.core import Schedules, Triggers
from stepwell.errors import Overloaded, StoreUnavailable
from stepwell.events import Events
from stepwell.store import Trigger

RETRY_S = 1.0
POLLS_AT_ONCE = 8


class Polls(Protocol):
    """Looks for what is new at a provider, and notes when it is to look next."""

    async def poll(self, trigger: Trigger) -> None:
        """Raises StoreUnavailable: nothing is noted."""
        ...


class ScheduleService:
    """Fires schedules at their times, and has polls made beside them, some at a time. A poll is leased in the store:
    one that is cut off is due again when the lease is over."""

    def __init__(self, schedules: Schedules, triggers: Triggers, polls: Polls, clock: Clock, events: Events) -> None:
        self._schedules = schedules
        self._polls = polls
        self._clock = clock
        self._events = events
        self._alarm = Alarm(clock)
        self._places = asyncio.Semaphore(POLLS_AT_ONCE)
        self._polling: dict[str, asyncio.Task[None]] = {}
        self.wake = self._alarm.wake
        triggers.noted = self._alarm.note

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until told to stop; `stop` is set together with `wake`."""
        try:
            await self._schedules.begin()
            self._alarm.note(self._clock.now_ms())  # look at what is due
            while not stop.is_set():
                if self._alarm.due:
                    await self.release(stop)
                else:
                    await self._alarm.sleep()
        finally:
            await self._end()

    async def release(self, stop: asyncio.Event) -> None:
        """Fire a page of what is due."""
        self._alarm.set(None)  # first: what is noted from here on stays
        try:
            due = await self._schedules.due()
            for trigger in due:
                if trigger.kind == "poll":
                    await self._hand_over(trigger)
            await self._schedules.run([trigger for trigger in due if trigger.kind == "schedule"])
            following = await self._schedules.next()
        except Overloaded:
            await self._clock.wait(stop, RETRY_S)
            following = self._clock.now_ms()
        if following is not None:
            self._alarm.note(following)

    async def idle(self) -> None:
        """Wait until no poll is being made; for tests."""
        while self._polling:
            await asyncio.wait(self._polling.values())

    async def _hand_over(self, trigger: Trigger) -> None:
        leased = await self._schedules.lease(trigger)
        if leased is not None and trigger.id not in self._polling:  # it may wait for its place since the last lease
            task = asyncio.get_running_loop().create_task(self._poll(leased))
            self._polling[trigger.id] = task

    async def _poll(self, trigger: Trigger) -> None:
        try:
            async with self._places:
                await self._polls.poll(trigger)
        except StoreUnavailable:
            pass  # the lease ends, and it is due again
        except Exception as error:  # noqa: BLE001 - one poll must not hold the others up; it is told of
            self._events.emit("service.failed", service="polls", error=repr(error))
        finally:
            self._polling.pop(trigger.id, None)
            self._alarm.note(self._clock.now_ms())  # whoever polled has noted when it is due next

    async def _end(self) -> None:
        tasks = list(self._polling.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._polling.clear()  # one that was cancelled before it began is there still
