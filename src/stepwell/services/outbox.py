"""The outbox service: sleeps until the next errand is due, and asks the store nothing in between."""

import asyncio

from stepwell.clock import Alarm, Clock
from stepwell.core import Outbox
from stepwell.errors import StoreUnavailable

RETRY_S = 1.0


class OutboxService:
    """Runs the errands of an outbox at their times."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock
        self._alarm = Alarm(clock)
        self.wake = self._alarm.wake
        outbox.noted = self._alarm.note

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until told to stop; `stop` is set together with `wake`."""
        self._alarm.set(await self._outbox.next())
        while not stop.is_set():
            if self._alarm.due:
                await self._release(stop)
            else:
                await self._alarm.sleep()

    async def _release(self, stop: asyncio.Event) -> None:
        try:
            await self._outbox.run_due()
            self._alarm.set(await self._outbox.next())
        except StoreUnavailable:
            await self._clock.wait(stop, RETRY_S)
