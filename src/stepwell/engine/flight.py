"""A flight: jobs of one walk that run beside each other, some of which wait for what reaches the run."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Generic, Self, TypeVar

from stepwell.engine.gear import Gear
from stepwell.engine.journal import Journal
from stepwell.engine.outcomes import Halted, Landing, Outcome, RunStopped

Key = TypeVar("Key")


class Expired(Exception):
    """The time limit of what flies is over."""


class Flight(Generic[Key]):
    """Use as an async context; what still flies at its end is cancelled."""

    def __init__(self, journal: Journal, gear: Gear, expired: Callable[[], bool] | None = None) -> None:
        """`expired` is asked whenever something has reached the run."""
        self._journal = journal
        self._gear = gear
        self._expired = expired
        self._flying: dict[asyncio.Task[Landing], tuple[Key, Callable[[], Awaitable[Outcome]]]] = {}
        self._waiting: list[tuple[Key, Callable[[], Awaitable[Outcome]]]] = []
        self._beside = False  # more than one job has been started
        self._watch = gear.signals.watch(journal.run.id)

    async def __aenter__(self) -> Self:
        self._signalled = self._watch.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.__exit__(kind, error, trace)
        for task in self._flying:
            task.cancel()
        await asyncio.gather(*self._flying, return_exceptions=True)

    def launch(self, key: Key, job: Callable[[], Awaitable[Outcome]]) -> None:
        """Start a job. It is started again whenever something reaches the run while it waits."""
        self._beside = self._beside or bool(self._flying)
        self._flying[asyncio.ensure_future(_fly(job))] = (key, job)

    def again(self) -> None:
        """Start those that wait once more: something has changed that they may look at."""
        waiting, self._waiting = self._waiting, []
        for key, job in waiting:
            self.launch(key, job)

    @property
    def under_way(self) -> int:
        """How many jobs have been started and have not landed."""
        return len(self._flying) + len(self._waiting)

    @property
    def waiting(self) -> bool:
        """Some jobs wait."""
        return bool(self._waiting)

    async def landed(self) -> list[tuple[Key, Landing]]:
        """Those that land next; none if all that are under way wait.

        Raises:
            Expired, Refused, StoreUnavailable.
        """
        while self._flying:
            ends: list[tuple[Key, Landing]] = []
            for task in await self._first():
                key, job = self._flying.pop(task)
                landing = task.result()
                if landing is Outcome.WAITING:
                    self._waiting.append((key, job))
                else:
                    ends.append((key, landing))
            if (self._waiting or self._expired) and self._signalled.is_set():
                self._signalled.clear()
                await self._journal.look_again()
                if self._expired is not None and self._expired():
                    raise Expired
                self.again()
            if ends:
                return ends
        return []

    async def _first(self) -> Iterable[asyncio.Task[Landing]]:
        """Those that have ended, as soon as one has or something has reached the run."""
        if not (done := self._done()):
            await asyncio.sleep(0)
            done = self._done()
        if done:
            return done
        if self._beside and self._journal.behind:
            await self._journal.flush()  # else what ended is not known before all that flies has ended
            if done := self._done():
                return done
        if not self._waiting and self._expired is None:
            return (await asyncio.wait(self._flying, return_when=asyncio.FIRST_COMPLETED))[0]
        signal = asyncio.ensure_future(self._signalled.wait())
        try:
            await asyncio.wait((*self._flying, signal), return_when=asyncio.FIRST_COMPLETED)
        finally:
            signal.cancel()
        return self._done()

    def _done(self) -> list[asyncio.Task[Landing]]:
        return [task for task in self._flying if task.done()]


async def _fly(job: Callable[[], Awaitable[Outcome]]) -> Landing:
    """A job beside others: what stops the run or the walk lets those end."""
    try:
        return await job()
    except (RunStopped, Halted) as stop:
        return stop
