"""The outbox service: sleeps until the next errand is due, and asks the store nothing in between."""

import asyncio

from stepwell.clock import Clock
from stepwell.core import Outbox
from stepwell.errors import StoreUnavailable

LONGEST_SLEEP_S = 30.0  # so that a jump of the wall clock is noticed
RETRY_S = 1.0


class OutboxService:
    """Runs the errands of an outbox at their times."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock
        self._next: int | None = None
        self._changed = asyncio.Event()
        outbox.noted = self.note

    def note(self, due: int) -> None:
        """Something was put in."""
        if self._next is None or due < self._next:
            self._next = due
            self._changed.set()

    def wake(self) -> None:
        """Look again, for instance to see that it is time to stop."""
        self._changed.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until told to stop; `stop` is set together with `wake`."""
        self._next = await self._outbox.next()
        while not stop.is_set():
            self._changed.clear()
            if self._next is not None and self._next <= self._clock.now_ms():
                await self._release(stop)
            else:
                await self._clock.wait(self._changed, self._sleep_s())

    async def _release(self, stop: asyncio.Event) -> None:
        try:
            await self._outbox.run_due()
            self._next = await self._outbox.next()
        except StoreUnavailable:
            await self._clock.wait(stop, RETRY_S)

    def _sleep_s(self) -> float | None:
        if self._next is None:
            return None
        return min(LONGEST_SLEEP_S, max(0.0, (self._next - self._clock.now_ms()) / 1000))
