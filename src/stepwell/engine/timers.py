"""The timer service: sleeps until the next timer is due, releases what is, and asks the store nothing in between."""

import asyncio
from collections.abc import Callable, Iterable

from stepwell import values
from stepwell.clock import Alarm, Clock
from stepwell.errors import StepError, StoreUnavailable
from stepwell.events import Events
from stepwell.store import Reached, Runs

PAGE = 500
RETRY_S = 1.0

TIMEOUT_ERROR = values.encode(StepError("The run took longer than settings.timeoutMs", code="TIMEOUT").as_json())


class Timers:
    """Releases due timers and tells what fired, or that the store failed."""

    def __init__(
        self,
        store: Runs,
        clock: Clock,
        events: Events,
        fired: Callable[[Iterable[Reached]], None],
        failed: Callable[[StoreUnavailable], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._events = events
        self._fired = fired
        self._failed = failed
        self._alarm = Alarm(clock)
        self.note = self._alarm.note
        self.wake = self._alarm.wake

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until told to stop; `stop` is set together with `wake`."""
        self._alarm.set(await self._store.next_timer())
        while not stop.is_set():
            if self._alarm.due:
                await self.release()
            else:
                await self._alarm.sleep()

    async def release(self) -> int:
        """Release a page of due timers; how many fired."""
        try:
            fired = await self._store.fire_timers(self._clock.now_ms(), PAGE, TIMEOUT_ERROR)
            self._alarm.set(await self._store.next_timer())
        except StoreUnavailable as error:
            self._failed(error)
            await self._clock.wait(asyncio.Event(), RETRY_S)
            return 0
        self._fired(fired)
        if fired:
            self._events.emit("timers.fired", count=len(fired))
        return len(fired)
