"""Time: wall clock, monotonic clock and waiting, injected everywhere so that tests own it."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

LONGEST_SLEEP_S = 30.0  # so that a jump of the wall clock is noticed


class Clock(Protocol):
    """What the program knows of time."""

    def now_ms(self) -> int:
        """Epoch milliseconds of the wall clock; may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow."""
        ...

    async def wait(self, event: asyncio.Event, timeout_s: float | None) -> bool:
        """Wait for the event, at most `timeout_s` seconds. True if the event is set."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def wait(self, event: asyncio.Event, timeout_s: float | None) -> bool:
        if event.is_set():
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return event.is_set()
        return True


class FakeClock:
    """A clock that tests set. `advance` moves both clocks and wakes who waited for that time."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms
        self._monotonic = 1000.0
        self._sleepers: list[tuple[float, Callable[[], None]]] = []

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._monotonic += seconds
        self._now_ms += round(seconds * 1000)
        due = [wake for at, wake in self._sleepers if at <= self._monotonic]
        self._sleepers = [(at, wake) for at, wake in self._sleepers if at > self._monotonic]
        for wake in due:
            wake()

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back while the monotonic clock stands still."""
        self._now_ms += round(seconds * 1000)

    async def wait(self, event: asyncio.Event, timeout_s: float | None) -> bool:
        if event.is_set() or (timeout_s is not None and timeout_s <= 0):
            return event.is_set()
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if timeout_s is not None:
            self._sleepers.append((self._monotonic + timeout_s, lambda: None if over.done() else over.set_result(None)))
        waiter = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait((waiter, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
            over.cancel()
        return event.is_set()


class Alarm:
    """Sleeps until the next of some times that others know of; whoever owns them says when that is."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next: int | None = None
        self._changed = asyncio.Event()

    def set(self, due: int | None) -> None:
        """The next time, in epoch ms; None if there is none."""
        self._next = due

    def note(self, due: int) -> None:
        """There is one more time; perhaps an earlier one."""
        if self._next is None or due < self._next:
            self._next = due
            self._changed.set()

    def wake(self) -> None:
        """End the sleep, for instance to see that it is time to stop."""
        self._changed.set()

    @property
    def due(self) -> bool:
        """The next time has come."""
        return self._next is not None and self._next <= self._clock.now_ms()

    async def sleep(self) -> None:
        """Sleep until the next time, a change of it or a wake, at most 30 s if there is one."""
        self._changed.clear()
        if not self.due:
            left_s = None if self._next is None else (self._next - self._clock.now_ms()) / 1000
            await self._clock.wait(self._changed, None if left_s is None else min(LONGEST_SLEEP_S, left_s))


def iso(time_ms: int) -> str:
    """`2024-01-15T10:30:00.000Z` of epoch milliseconds."""
    seconds, millis = divmod(time_ms, 1000)
    return f"{_to_the_second(seconds)}.{millis:03d}Z"


@lru_cache(maxsize=1024)
def _to_the_second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def parse_iso(text: str) -> int | None:
    """Epoch milliseconds of an ISO 8601 time (UTC if it names no offset), or None if the text is not one."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
