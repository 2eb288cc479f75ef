"""The children that are there: at most so many in all and per workspace, never one for two workspaces."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory

from stepwell.errors import StepError
from stepwell.sandbox.process import Child, Ended

_Queue = Child | tuple[str, str, int]  # who waits for one child, or for any of a workspace and language at a depth
LOOK_S = 0.05  # between looks at children that are idle for long but not yet free
MAX_PARKED = 48  # scripts of one child that wait for the host; `child.py` has memory for so many
DEEPEST = 16  # how deep scripts may ask the host for scripts; for each depth one more may wait, so that no depth waits
# for a place that only those above it can give
CROWD = 2  # times as many children may be there with those in which scripts wait


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
        self._waiting: dict[_Queue, deque[asyncio.Future[None]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._folder: TemporaryDirectory[str] | None = None
        self._closed = False

    @property
    def children(self) -> tuple[Child, ...]:
        """Those alive, idle ones first."""
        return (*self._idle, *self._busy)

    @asynccontextmanager
    async def child(self, workspace: str, language: str, depth: int = 0) -> AsyncIterator[Child]:
        """A child for one script, which scripts that wait asked for if it has a depth; waits while there are too many.

        Raises:
            StepError: it did not start, or the pool is closed.
        """
        most = MAX_PARKED - DEEPEST + depth

        def room() -> bool:
            return self._has_room(workspace) and not self._full(workspace, language, most)

        await self._turn((workspace, language, depth), room)
        async with self._used(workspace, lambda: self._found(workspace, language, most)) as child:
            yield child

    @asynccontextmanager
    async def again(self, child: Child) -> AsyncIterator[Child]:
        """The child in which a script is parked; waits while it is busy or there are too many.

        Raises:
            Ended: it is there no more.
            StepError: the pool is closed.
        """
        workspace = child.workspace
        await self._turn(child, lambda: not child.alive or (child not in self._busy and self._has_room(workspace)))
        async with self._used(workspace, lambda: self._back(child)):
            yield child

    def park(self, child: Child) -> None:
        """A script in the child waits for the host."""
        child.parked += 1
        child.most_parked = max(child.most_parked, child.parked)

    def leave(self, child: Child, given_up: int | None = None) -> None:
        """A script that waited in the child does so no more, and is over unless its token is given up."""
        child.parked -= 1
        if given_up is not None:
            child.given_up.append(given_up)
        if child in self._idle and not child.lasts:
            self._drop(child)
        self.wake()

    @asynccontextmanager
    async def _used(self, workspace: str, find: Callable[[], Awaitable[Child]]) -> AsyncIterator[Child]:
        if self._closed:
            self.wake()
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

    async def _found(self, workspace: str, language: str, most: int) -> Child:
        return self._take(workspace, language, most) or await self._start(workspace, language)

    async def _back(self, child: Child) -> Child:
        if not child.alive or child not in self._idle:
            raise Ended
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

    def _full(self, workspace: str, language: str, most: int) -> bool:
        """Whether scripts that wait for the host fill as many children as the workspace may use."""
        mine = (child for child in self.children if child.workspace == workspace and child.language == language)
        return sum(child.parked >= most for child in mine) >= self._per_workspace

    def _take(self, workspace: str, language: str, most: int) -> Child | None:
        """The idle child used last, which is likeliest to be in the processor's caches."""
        for child in reversed(self._idle):
            mine = child.workspace == workspace and child.language == language
            if mine and child.parked < most and not child.spent:
                self._idle.remove(child)
                if child.alive:
                    return child
                self._end(child)
        return None

    async def _start(self, workspace: str, language: str) -> Child:
        free = [child for child in self._idle if not child.parked]
        while free and self._places.total() + len(free) > self._max_children:
            self._drop(free.pop(0))
        while self._idle and self._places.total() + len(self._idle) > CROWD * self._max_children:
            self._drop(free.pop(0) if free else self._idle[0])
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="stepwell-sandbox-")
        return await Child.start(workspace, language, self._folder.name)

    def _give_back(self, child: Child) -> None:
        self._busy.discard(child)
        if child.lasts and not self._closed:
            child.idle_since = asyncio.get_running_loop().time()
            self._idle.append(child)
            self._schedule()
        else:
            self._end(child)
        self._ended = [ended for ended in self._ended if not ended.reaped()]

    def _drop(self, child: Child) -> None:
        """End an idle child."""
        self._idle.remove(child)
        self._end(child)

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
            self._drop(child)
        self._ended = [ended for ended in self._ended if not ended.reaped()]
        self._schedule()

    async def _turn(self, queue: _Queue, can_go: Callable[[], bool]) -> None:
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
