"""Floors: what the disk, SQLite and a bare loop over both do on this machine, without Stepwell."""

import asyncio
import os
import queue
import threading
import time
from pathlib import Path

import apsw

from stepwell.clock import SystemClock
from stepwell.ids import TimeOrderedIds
from stepwell.store.sql import load
from stepwell.store.sqlite import connect, migrate
from stepwell.store.sqlite.codec import key
from stepwell.store.sqlite.database import rows

SECONDS = 1.0
IN_FLIGHT = 500
INPUT, OUTPUT = b'{"n":1,"who":"ana@example.com"}', b'{"n":4}'
NEITHER_FIRED_NOR_PRICED = (None, None, None, False, None, None, None)
RECORD = ("success", 1, 1, 2, 1, 2, False, b'{"mapping":{"n":1}}', OUTPUT, None, None, None)


def fsyncs_per_second(folder: Path) -> float:
    """How often 4 KiB can be written and synced in a second."""
    block = b"x" * 4096
    with (folder / "fsync").open("wb", buffering=0) as file:
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < SECONDS:
            file.write(block)
            os.fsync(file.fileno())
            count += 1
        return count / (time.perf_counter() - began)


def commits_per_second(folder: Path) -> float:
    """How often SQLite commits one row in a second, WAL and synchronous=FULL."""
    connection = apsw.Connection(str(folder / "commits.db"))
    rows(connection, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (v)")
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        connection.execute("INSERT INTO t (v) VALUES (?)", ("x" * 100,))
        count += 1
    rate = count / (time.perf_counter() - began)
    connection.close()
    return rate


class BareLoop:
    """An asyncio loop and one thread that commits what has gathered: the rows of a three-step run, nothing else."""

    def __init__(self, folder: Path) -> None:
        self._connection = connect(folder / "bare.db")
        migrate(self._connection)
        self._sql = load("runs.sql")
        self._ids = TimeOrderedIds(SystemClock())
        self._workspace, self._workflow = key(self._ids.new()), key(self._ids.new())
        self._queue: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()

    async def runs_per_second(self, count: int) -> float:
        """Write so many runs, 500 at a time; how many a second."""
        thread = threading.Thread(target=self._write)
        thread.start()
        numbers = iter(range(count))

        async def client() -> None:
            for _ in numbers:
                done = self._loop.create_future()
                self._queue.put((key(self._ids.new()), done))
                await done

        began = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(IN_FLIGHT)))
        rate = count / (time.perf_counter() - began)
        self._queue.put(None)
        thread.join()
        self._connection.close()
        return rate

    def _write(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            while len(batch) < IN_FLIGHT and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    return
                batch.append(following)
            self._connection.execute("BEGIN IMMEDIATE")
            for run, _ in batch:
                self._write_run(run)
            self._connection.execute("COMMIT")
            self._loop.call_soon_threadsafe(_wake, [done for _, done in batch])

    def _write_run(self, run: bytes) -> None:
        started = (
            self._workspace,
            run,
            self._workflow,
            1,
            "api",
            None,
            False,
            None,
            0,
            1,
            None,
            None,
            False,
            0,
            None,
            INPUT,
            None,
            None,
            *NEITHER_FIRED_NOR_PRICED,
        )
        self._connection.execute(self._sql["insert_run"], started)
        steps = (f"step-{number}" for number in range(3))
        records = [(self._workspace, run, step, step, *RECORD) for step in steps]
        self._connection.executemany(self._sql["put_record"], records)
        finished = {
            "workspace": self._workspace,
            "run": run,
            "epoch": 1,
            "state": "completed",
            "seq": 8,
            "state_seq": 8,
        }
        result = {"started_at": 1, "ended_at": 2, "output": OUTPUT, "error": None}
        rows(self._connection, self._sql["finish_run"], finished | result)


def _wake(done: list["asyncio.Future[None]"]) -> None:
    for each in done:
        each.set_result(None)
