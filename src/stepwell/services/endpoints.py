"""The endpoint service: sends messages when they are due, some at a time, and asks the store nothing in between."""

import asyncio

from stepwell.clock import Alarm, Clock
from stepwell.core import EndpointSender, Outcome
from stepwell.errors import StoreUnavailable
from stepwell.events import Events
from stepwell.store import EndpointMessage

RETRY_S = 1.0
GRACE_S = 3.0  # for tries in flight when the server stops; what is cut off is sent again after the next start


class EndpointService:
    """Tries messages to endpoints at their times."""

    def __init__(self, sender: EndpointSender, clock: Clock, events: Events) -> None:
        self._sender = sender
        self._clock = clock
        self._events = events
        self._alarm = Alarm(clock)
        self._sending: dict[str, str] = {}  # message: its endpoint
        self._tasks: set[asyncio.Task[None]] = set()
        self.wake = self._alarm.wake
        sender.watch(self._look_now)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until told to stop; `stop` is set together with `wake`."""
        self._look_now()  # at what an earlier process left
        try:
            while not stop.is_set():
                if self._alarm.due:
                    await self.release(stop)
                else:
                    await self._alarm.sleep()
        finally:
            await self._end()

    async def release(self, stop: asyncio.Event) -> None:
        """Begin to send what is due, as far as there is room; the end of each try looks again."""
        self._alarm.set(None)  # first: what is emitted from here on notes itself
        try:
            for message in await self._sender.due(self._sending):
                self._begin(message, stop)
            due = await self._sender.next()
        except StoreUnavailable:
            await self._clock.wait(stop, RETRY_S)
            due = self._clock.now_ms()
        if due is not None:
            self._alarm.note(due)

    async def idle(self) -> None:
        """Wait until nothing is being sent; for tests."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _look_now(self) -> None:
        self._alarm.note(self._clock.now_ms())

    def _begin(self, message: EndpointMessage, stop: asyncio.Event) -> None:
        self._sending[message.id] = message.endpoint
        task = asyncio.get_running_loop().create_task(self._send(message, stop))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, message: EndpointMessage, stop: asyncio.Event) -> None:
        """One try. A message whose try cannot be stored keeps its place: it is not sent again meanwhile."""
        try:
            outcome = await self._attempted(message)
            while not await self._settled(outcome):
                if await self._clock.wait(stop, RETRY_S):
                    return
        except StoreUnavailable:
            await self._clock.wait(stop, RETRY_S)
        finally:
            del self._sending[message.id]
            self._look_now()

    async def _attempted(self, message: EndpointMessage) -> Outcome:
        try:
            return await self._sender.attempt(message)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours is a failed try: one message must not hold others up
            self._events.emit("endpoint.fault", message=message.id, error=repr(error))
            return await self._sender.fault(message)

    async def _settled(self, outcome: Outcome) -> bool:
        try:
            await self._sender.settle(outcome)
        except StoreUnavailable:
            return False
        return True

    async def _end(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GRACE_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
