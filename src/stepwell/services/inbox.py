"""The inbox service: starts the runs that stored deliveries still miss, at the start and after a failure."""

import asyncio

from stepwell.clock import Clock
from stepwell.core import Inbox
from stepwell.errors import Overloaded

RETRY_S = 1.0


class InboxService:
    """Sleeps while nothing is left."""

    def __init__(self, inbox: Inbox, clock: Clock) -> None:
        self._inbox = inbox
        self._clock = clock
        self.wake = inbox.left.set

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until told to stop; `stop` is set together with `wake`."""
        while not stop.is_set():
            self._inbox.left.clear()
            try:
                await self._inbox.resume()
            except Overloaded:
                self._inbox.left.set()
            await self._inbox.left.wait()
            await self._clock.wait(stop, RETRY_S)
