"""The children that are there: at most so many in all and per workspace, never one for two workspaces."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory

from stepwell.errors import StepError
from stepwell.sandbox.process import Child


class Pool:
    """Children by workspace and language. Idle ones are kept for a while, and ended first when room is needed."""

    def __init__(self, max_children: int, per_workspace: int, idle_s: float) -> None:
        self._max_children = max_children
        self._per_workspace = per_workspace
        self._idle_s = idle_s
        self._idle: list[Child] = []  # the one idle for longest first
        self._busy: set[Child] = set()
        self._places: Counter[str] = Counter()  # by workspace: children in use or starting
        self._ended: list[Child] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._folder: TemporaryDirectory[str] | None = None
        self._closed = False

    @property
    def children(self) -> tuple[Child, ...]:
        """Those alive, idle ones first."""
        return (*self._idle, *self._busy)

    @asynccontextmanager
    async def child(self, workspace: str, language: str) -> AsyncIterator[Child]:
        """A child for one script; waits while there are too many.

        Raises:
            StepError: it did not start, or the pool is closed.
        """
        while not self._has_room(workspace):
            await self._change()
        if self._closed:
            raise StepError("The sandbox is closed", kind="code", retryable=True)
        self._places[workspace] += 1
        child: Child | None = None
        try:
            child = self._take(workspace, language) or await self._start(workspace, language)
            self._busy.add(child)
            yield child
        finally:
            self._places[workspace] -= 1
            if not self._places[workspace]:
                del self._places[workspace]
            if child is not None:
                self._give_back(child)
            self._wake()

    async def close(self) -> None:
        """End every child, and wait until the system has let them go."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for child in self.children:
            self._end(child)
        self._idle.clear()
        for child in self._ended:
            await asyncio.to_thread(child.process.wait)
        self._ended.clear()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _has_room(self, workspace: str) -> bool:
        return self._places[workspace] < self._per_workspace and self._places.total() < self._max_children

    def _take(self, workspace: str, language: str) -> Child | None:
        """The idle child used last, which is likeliest to be in the processor's caches."""
        for child in reversed(self._idle):
            if child.workspace == workspace and child.language == language:
                self._idle.remove(child)
                if child.alive:
                    return child
                self._end(child)
        return None

    async def _start(self, workspace: str, language: str) -> Child:
        while self._idle and self._places.total() + len(self._idle) > self._max_children:
            self._end(self._idle.pop(0))
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="stepwell-sandbox-")
        return await Child.start(workspace, language, self._folder.name)

    def _give_back(self, child: Child) -> None:
        self._busy.discard(child)
        if child.fit and not self._closed:
            child.idle_since = asyncio.get_running_loop().time()
            self._idle.append(child)
            self._schedule()
        else:
            self._end(child)
        self._ended = [ended for ended in self._ended if not ended.reaped()]

    def _end(self, child: Child) -> None:
        child.kill()
        self._ended.append(child)

    def _schedule(self) -> None:
        if self._timer is None and self._idle:
            self._timer = asyncio.get_running_loop().call_at(self._idle[0].idle_since + self._idle_s, self._sweep)

    def _sweep(self) -> None:
        """End those idle for too long."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._idle and self._idle[0].idle_since + self._idle_s <= now:
            self._end(self._idle.pop(0))
        self._ended = [ended for ended in self._ended if not ended.reaped()]
        self._schedule()

    async def _change(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        await waiter

    def _wake(self) -> None:
        """Let all look again, those that wait for longest first: whose workspace has room is for them to see."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
