"""Who wants to know when something has happened to a run."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Watchers:
    """Wakes those who watch a run; they then read the store. Costs nothing for a run nobody watches."""

    def __init__(self) -> None:
        self._watching: dict[str, set[asyncio.Event]] = {}

    @contextmanager
    def watch(self, run: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever there is something new; the watcher clears it before it reads."""
        event = asyncio.Event()
        self._watching.setdefault(run, set()).add(event)
        try:
            yield event
        finally:
            watching = self._watching[run]
            watching.discard(event)
            if not watching:
                del self._watching[run]

    def wake(self, run: str) -> None:
        """Something new about the run is in the store."""
        for event in self._watching.get(run, ()):
            event.set()
