"""Who wants to know when something has happened to a run."""

import asyncio
from types import TracebackType


class Watchers:
    """Wakes those who watch a run; they then read the store. Costs nothing for a run nobody watches."""

    def __init__(self) -> None:
        self._watching: dict[str, tuple[asyncio.Event, ...]] = {}

    def watch(self, run: str) -> "Watch":
        """As a context: an event that is set whenever there is something new; the watcher clears it before it reads."""
        return Watch(self._watching, run)

    def wake(self, run: str) -> None:
        """Something new about the run is in the store."""
        for event in self._watching.get(run, ()):
            event.set()


class Watch:
    """One watcher of a run, while the context lasts. A class, as every walk has one: a generator costs several times as
    much."""

    __slots__ = ("_event", "_run", "_watching")

    def __init__(self, watching: dict[str, tuple[asyncio.Event, ...]], run: str) -> None:
        self._watching = watching
        self._run = run
        self._event = asyncio.Event()

    def __enter__(self) -> asyncio.Event:
        self._watching[self._run] = (*self._watching.get(self._run, ()), self._event)
        return self._event

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        left = tuple(event for event in self._watching[self._run] if event is not self._event)
        if left:
            self._watching[self._run] = left
        else:
            del self._watching[self._run]
