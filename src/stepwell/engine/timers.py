"""The timer service: sleeps until the next timer is due, releases what is, and asks the store nothing in between."""

import asyncio
from collections.abc import Callable

from stepwell import values
from stepwell.clock import Clock
from stepwell.errors import StepError, StoreUnavailable
from stepwell.events import Events
from stepwell.store import Fired, Runs

LONGEST_SLEEP_S = 30.0  # so that a jump of the wall clock is noticed
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
        fired: Callable[[Fired], None],
        failed: Callable[[StoreUnavailable], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._events = events
        self._fired = fired
        self._failed = failed
        self._next: int | None = None
        self._changed = asyncio.Event()

    def note(self, due: int) -> None:
        """A timer was set."""
        if self._next is None or due < self._next:
            self._next = due
            self._changed.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until told to stop; `stop` is set together with `wake`."""
        self._next = await self._store.next_timer()
        while not stop.is_set():
            self._changed.clear()
            if self._next is None or self._next > self._clock.now_ms():
                await self._clock.wait(self._changed, self._sleep_s())
            else:
                await self.release()

    def wake(self) -> None:
        """Look again, for instance to see that it is time to stop."""
        self._changed.set()

    async def release(self) -> int:
        """Release a page of due timers; how many fired."""
        try:
            fired = await self._store.fire_timers(self._clock.now_ms(), PAGE, TIMEOUT_ERROR)
            self._next = await self._store.next_timer()
        except StoreUnavailable as error:
            self._failed(error)
            await self._clock.wait(asyncio.Event(), RETRY_S)
            return 0
        for each in fired:
            self._fired(each)
        if fired:
            self._events.emit("timers.fired", count=len(fired))
        return len(fired)

    def _sleep_s(self) -> float | None:
        if self._next is None:
            return None
        return min(LONGEST_SLEEP_S, max(0.0, (self._next - self._clock.now_ms()) / 1000))
