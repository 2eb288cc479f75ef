"""The writer: takes every write that has gathered, applies them in one transaction, then wakes the waiters once."""

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import apsw

from stepwell.errors import StepwellError, StoreUnavailable
from stepwell.store.sqlite.file_connection import FileConnection

MAX_OPERATIONS = 1000
MAX_BYTES = 4 * 1024 * 1024

# The file or the machine fails, not one operation: the others of the batch would meet the same, each after a wait.
_STORE_FAILS = (
    apsw.FullError,
    apsw.IOError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.NoMemError,
)


class Operation:
    """One write: a function of the connection and its argument. A guarded one is undone alone if it raises."""

    __slots__ = ("argument", "at", "future", "guarded", "run", "size")

    def __init__(self, run: Callable[[apsw.Connection, Any], Any], argument: Any, guarded: bool, size: int) -> None:
        self.run = run
        self.argument = argument
        self.guarded = guarded
        self.size = size
        self.at = time.monotonic()
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


class Boundary(Protocol):
    """Called around every commit, so that a test can let the store die there."""

    def __call__(self, phase: str) -> None:
        """`phase` is before or after."""
        ...


class Death(BaseException):
    """Raised by a boundary: the process is as good as dead; nobody is woken any more."""


class Writer:
    """Owns the one connection that writes. Answers, in order, by futures of the event loop that asked.

    The thread takes no lock of ours while it works, and sleeps when there is nothing to do. With `inline` there is no
    thread: batches are applied on the event loop, for tests that need one order of events.
    """

    def __init__(self, connection: FileConnection, *, inline: bool = False, boundary: Boundary | None = None) -> None:
        self._connection = connection
        self.emitted: Callable[[], None] = lambda: None  # told on the loop, when a commit told endpoints of something
        self._boundary = boundary
        self._queue: queue.SimpleQueue[Operation | None] = queue.SimpleQueue()
        self._waiting: deque[Operation] = deque()  # submitted, not yet answered; only the loop touches it
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inline = inline
        self._scheduled = False
        self._dead = False
        self._thread = threading.Thread(target=self._work, name="stepwell-writer", daemon=True)
        if not inline:
            self._thread.start()

    def submit(
        self, run: Callable[[apsw.Connection, Any], Any], argument: Any, *, guarded: bool = True, size: int = 0
    ) -> asyncio.Future[Any]:
        """Queue a write. The future has its result once it is committed.

        Raises (by the future):
            StoreUnavailable: the transaction could not be committed.
            StepwellError: what a guarded operation raised.
        """
        operation = Operation(run, argument, guarded, size)
        self._loop = operation.future.get_loop()
        if self._dead:
            return operation.future
        self._waiting.append(operation)
        self._queue.put(operation)
        if self._inline and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._drain)
        return operation.future

    def oldest_age_s(self) -> float:
        """How long the oldest unanswered write has waited, in seconds."""
        waiting = self._waiting
        while waiting and waiting[0].future.done():
            waiting.popleft()
        return time.monotonic() - waiting[0].at if waiting else 0.0

    def close(self) -> None:
        """Apply what is queued, then end the thread."""
        if not self._inline and self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, ended = self._gather(first)
            try:
                answers = self._apply(batch)
            except Death:
                self._dead = True
                return
            assert self._loop is not None  # submit has set it before it queued
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._answer, batch, answers)
                if self._connection.emitted:
                    self._connection.emitted = False
                    self._loop.call_soon_threadsafe(self._tell)
            if ended:
                return

    def _drain(self) -> None:
        self._scheduled = False
        while not self._queue.empty() and not self._dead:
            first = self._queue.get()
            if first is None:
                return
            batch, _ = self._gather(first)
            try:
                answers = self._apply(batch)
            except Death:
                self._dead = True
                return
            self._answer(batch, answers)
            if self._connection.emitted:
                self._connection.emitted = False
                self._tell()

    def _gather(self, first: Operation) -> tuple[list[Operation], bool]:
        batch, size = [first], first.size
        while len(batch) < MAX_OPERATIONS:
            try:
                operation = self._queue.get_nowait()
            except queue.Empty:
                break
            if operation is None:
                return batch, True
            batch.append(operation)
            size += operation.size
            if size > MAX_BYTES:
                break
        return batch, False

    def _apply(self, batch: list[Operation]) -> list[Any]:
        try:
            return self._transaction(batch)
        except _STORE_FAILS as error:
            return [_unavailable(error) for _ in batch]
        except Exception as error:  # noqa: BLE001 - a fault of one operation is that operation's answer
            if len(batch) == 1:
                return [error]
        return [answer for operation in batch for answer in self._apply([operation])]

    def _transaction(self, batch: list[Operation]) -> list[Any]:
        """All operations in one transaction; an exception of SQLite leaves nothing behind."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            answers = [
                _guarded(connection, operation) if operation.guarded else operation.run(connection, operation.argument)
                for operation in batch
            ]
            if self._boundary:
                self._boundary("before")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        if self._boundary:
            self._boundary("after")
        return answers

    def _tell(self) -> None:
        self.emitted()

    def _answer(self, batch: list[Operation], answers: list[Any]) -> None:
        waiting = self._waiting
        for operation, answer in zip(batch, answers, strict=True):
            if operation.future.done():  # its waiter was cancelled
                continue
            if isinstance(answer, BaseException):
                operation.future.set_exception(answer)
            else:
                operation.future.set_result(answer)
        while waiting and waiting[0].future.done():
            waiting.popleft()


def _guarded(connection: apsw.Connection, operation: Operation) -> Any:
    connection.execute("SAVEPOINT operation")
    try:
        answer = operation.run(connection, operation.argument)
    except StepwellError as error:
        connection.execute("ROLLBACK TO operation")
        connection.execute("RELEASE operation")
        return error
    connection.execute("RELEASE operation")
    return answer


def _unavailable(error: apsw.Error) -> StoreUnavailable:
    return StoreUnavailable(f"The store cannot be written now: {error}", retry_after_s=5)
