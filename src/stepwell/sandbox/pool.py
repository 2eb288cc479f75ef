"""The children that are there: at most so many in all and per workspace, never one for two workspaces."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory

from stepwell.errors import StepError
from stepwell.sandbox.process import Child

LOOK_S = 0.05  # between looks at children that are idle for long but not yet free
MAX_PARKED = 48  # scripts of one child that wait for the host; `child.py` has memory for so many


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
        self._waiting: dict[str | Child, deque[asyncio.Future[None]]] = {}  # for a place, or for one child
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
        await self._turn(workspace, lambda: self._has_room(workspace) and not self._full(workspace))
        async with self._used(workspace, lambda: self._found(workspace, language)) as child:
            yield child

    @asynccontextmanager
    async def again(self, child: Child) -> AsyncIterator[Child]:
        """The child in which a script is parked; waits while it is busy or there are too many.

        Raises:
            StepError: it has ended, or the pool is closed.
        """
        workspace = child.workspace
        await self._turn(child, lambda: not child.alive or (child not in self._busy and self._has_room(workspace)))
        async with self._used(workspace, lambda: self._back(child)):
            yield child

    @asynccontextmanager
    async def _used(self, workspace: str, find: Callable[[], Awaitable[Child]]) -> AsyncIterator[Child]:
        if self._closed:
            raise StepError("The sandbox is closed", kind="code", retryable=True)
        self._places[workspace] += 1
        child: Child | None = None
        try:
            child = await find()
            self._busy.add(child)
            yield child
        finally:
            self._places[workspace] -= 1
            if not self._places[workspace]:
                del self._places[workspace]
            if child is not None:
                self._give_back(child)
            self.wake()

    async def _found(self, workspace: str, language: str) -> Child:
        return self._take(workspace, language) or await self._start(workspace, language)

    async def _back(self, child: Child) -> Child:
        if not child.alive or child not in self._idle:
            raise StepError("The process of the script ended unexpectedly", kind="code")
        self._idle.remove(child)
        return child

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

    def _full(self, workspace: str) -> bool:
        """Whether scripts that wait for the host fill as many children as the workspace may use."""
        mine = (child for child in self.children if child.workspace == workspace)
        return sum(child.parked >= MAX_PARKED for child in mine) >= self._per_workspace

    def _take(self, workspace: str, language: str) -> Child | None:
        """The idle child used last, which is likeliest to be in the processor's caches."""
        for child in reversed(self._idle):
            if child.workspace == workspace and child.language == language and child.parked < MAX_PARKED:
                self._idle.remove(child)
                if child.alive:
                    return child
                self._end(child)
        return None

    async def _start(self, workspace: str, language: str) -> Child:
        while self._idle and self._places.total() + len(self._idle) > self._max_children:
            free = next((child for child in self._idle if not child.parked), self._idle[0])
            self._idle.remove(free)
            self._end(free)
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
            loop = asyncio.get_running_loop()
            due = max(self._idle[0].idle_since + self._idle_s, loop.time() + LOOK_S)
            self._timer = loop.call_at(due, self._sweep)

    def _sweep(self) -> None:
        """End those idle for too long."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        over = [child for child in self._idle if child.idle_since + self._idle_s <= now and not child.parked]
        for child in over:
            self._idle.remove(child)
            self._end(child)
        self._ended = [ended for ended in self._ended if not ended.reaped()]
        self._schedule()

    async def _turn(self, queue: str | Child, can_go: Callable[[], bool]) -> None:
        """Wait until it can go on, after those that came before into the same queue."""
        first = not self._waiting.get(queue)
        while not (first and can_go()):
            waiters = self._waiting.setdefault(queue, deque())
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            (waiters.appendleft if first else waiters.append)(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in waiters:
                    waiters.remove(waiter)
                else:
                    self.wake()  # the turn goes to the next
                raise
            first = True

    def wake(self) -> None:
        """Let the first of each queue look again: whether there is room is for them to see."""
        for queue in list(self._waiting):
            waiters = self._waiting[queue]
            while waiters and (waiter := waiters.popleft()).done():
                continue
            if not waiters:
                del self._waiting[queue]
            if not waiter.done():
                waiter.set_result(None)
