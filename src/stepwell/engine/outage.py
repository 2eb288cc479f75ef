"""Outages of the store: what waits, in memory and by its claim, until the store takes writes again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from stepwell.clock import Clock
from stepwell.errors import StoreUnavailable
from stepwell.events import Events
from stepwell.store import Claim, Runs

Answer = TypeVar("Answer")

PROBE_S = 1.0  # between attempts to write to a store that failed


class Outage:
    """Whether the store fails. A walk waits with what it has to write; a run that cannot even be read is held."""

    def __init__(self, store: Runs, clock: Clock, events: Events, begins: Callable[[], None]) -> None:
        """`begins` is told when the store begins to fail: somebody is to `probe` it from then on."""
        self._store = store
        self._clock = clock
        self._events = events
        self._begins = begins
        self._held: list[Claim] = []
        self._waiting = 0
        self._over = asyncio.Event()
        self._over.set()
        self._final = False

    @property
    def lasts(self) -> bool:
        """The last write failed, and none has succeeded since that we know of."""
        return not self._over.is_set()

    def note(self, error: StoreUnavailable) -> None:
        """The store failed."""
        if not self.lasts:
            self._over.clear()
            self._events.emit("store.unavailable", error=error.message)
            self._begins()

    def hold(self, claim: Claim, error: StoreUnavailable) -> None:
        """Keep the claim of a run that is to be taken when the outage is over."""
        self._held.append(claim)
        self.note(error)

    async def insist(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask the store; while it fails, again whenever the outage is over.

        Raises:
            StoreUnavailable: it fails and is not probed any more, as the process stops.
        """
        while True:
            try:
                return await ask()
            except StoreUnavailable as error:
                self.note(error)
                if self._final:
                    raise
            await self._wait()

    async def _wait(self) -> None:
        self._waiting += 1
        try:
            await self._over.wait()
        finally:
            self._waiting -= 1

    async def probe(self, stop: asyncio.Event) -> list[Claim]:
        """After a moment, see whether the store can be written; if so, who waits goes on, and what was held is handed
        over.

        Raises:
            StoreUnavailable: it lasts.
        """
        await self._clock.wait(stop, PROBE_S)
        await self._store.probe(self._clock.now_ms())
        held, self._held = self._held, []
        self._events.emit("store.available", held=len(held) + self._waiting)
        self._over.set()
        return held

    def give_up(self) -> None:
        """The process stops: nobody probes, so nobody waits."""
        self._final = True
        self._over.set()
