"""One SQLite file: opening and checking it, its writer, its reader, its backup."""

import asyncio
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import apsw

from stepwell.errors import StartupRefused, StoreUnavailable
from stepwell.store.sql import migrations
from stepwell.store.sqlite.file_connection import FileConnection
from stepwell.store.sqlite.writer import Boundary, Writer

APPLICATION_ID = 0x53544550  # "STEP"
LOWEST_SQLITE = (3, 51, 3)  # older ones can corrupt a WAL when connections write and checkpoint together
FILE_NAME = "stepwell.db"
MOST_REMEMBERED = 5000

T = TypeVar("T")
A = TypeVar("A")


class Database:
    """The open file. Writes go through `write`, reads run at once on a connection of their own."""

    def __init__(self, path: Path, *, inline: bool = False, boundary: Boundary | None = None) -> None:
        """Open the file, make or migrate it.

        Raises:
            StartupRefused: it is no file of ours, of a newer version, damaged, or SQLite itself is too old.
        """
        self.path = path
        self._writing = connect(path)
        self.migrated = migrate(self._writing)
        self._reading = connect(path, read_only=True)
        self._remembered: dict[tuple[Any, ...], Any] = {}
        self.writer = Writer(self._writing, inline=inline, boundary=boundary)

    def write(
        self, run: Callable[[apsw.Connection, A], T], argument: A, *, guarded: bool = True, size: int = 0
    ) -> "asyncio.Future[T]":
        """Queue a write for the next transaction; see Writer.submit."""
        return self.writer.submit(run, argument, guarded=guarded, size=size)

    async def write_anew(
        self, run: Callable[[apsw.Connection, A], T], argument: A, *, guarded: bool = True, size: int = 0
    ) -> T:
        """A write of something that is remembered: who reads after it reads anew."""
        try:
            return await self.write(run, argument, guarded=guarded, size=size)
        finally:
            self.forget()

    def recall(self, key: tuple[Any, ...], read: Callable[[], T]) -> T:
        """What was read under a key, and nobody has changed since: nobody else writes the file."""
        if key in self._remembered:
            return cast(T, self._remembered[key])
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        found = self._remembered[key] = read()
        return found

    def forget(self) -> None:
        """Read anew what is asked for next."""
        self._remembered.clear()

    def read(self, sql: str, bindings: dict[str, Any]) -> list[Any]:
        """All rows of a statement, read from the last commit.

        Raises:
            StoreUnavailable: the file cannot be read now.
        """
        try:
            return self._reading.execute(sql, bindings).fetchall()
        except apsw.Error as error:
            raise StoreUnavailable(f"The store cannot be read now: {error}", retry_after_s=5) from error

    async def read_apart(self, sql: str, bindings: dict[str, Any]) -> list[Any]:
        """The same for a statement that may take long: in a thread, on a connection of its own.

        Raises:
            StoreUnavailable: the file cannot be read now.
        """
        return await asyncio.to_thread(_read_apart, self.path, sql, bindings)

    def snapshot(self, read: Callable[[apsw.Connection], T]) -> T:
        """Several statements on one state of the file."""
        try:
            self._reading.execute("BEGIN")
            try:
                return read(self._reading)
            finally:
                self._reading.execute("COMMIT")
        except apsw.Error as error:
            raise StoreUnavailable(f"The store cannot be read now: {error}", retry_after_s=5) from error

    def close(self) -> None:
        """Finish the queued writes and close the file."""
        self.writer.close()
        self._reading.close()
        self._writing.close()


def connect(path: Path, *, read_only: bool = False) -> FileConnection:
    """A connection with the settings that every one of ours has.

    Raises:
        StartupRefused: the file cannot be opened, is not ours or is damaged.
    """
    if tuple(int(part) for part in apsw.sqlite_lib_version().split(".")) < LOWEST_SQLITE:
        lowest = ".".join(map(str, LOWEST_SQLITE))
        raise StartupRefused(f"SQLite {apsw.sqlite_lib_version()} is too old: {lowest} is needed. Upgrade apsw.")
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    try:
        connection = FileConnection(str(path), flags=flags, statementcachesize=200)
        connection.set_busy_timeout(5000)
        rows(connection, "PRAGMA trusted_schema = OFF; PRAGMA mmap_size = 0; PRAGMA cache_size = -16384")
        if not read_only:
            _check_ownership(connection, path)
            connection.set_rollback_hook(connection.forget_listeners)
            rows(
                connection,
                "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                "PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 4000; PRAGMA temp_store = MEMORY",
            )
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()  # forces WAL recovery
    except apsw.Error as error:
        raise StartupRefused(
            f"{path} cannot be opened: {error}. Run `stepwell db check`, or restore a backup."
        ) from error
    return connection


def rows(connection: apsw.Connection, sql: str, bindings: dict[str, Any] | None = None) -> list[Any]:
    """All rows of a statement, or of several: read to the end, since one that answers rows would stop the rest."""
    return connection.execute(sql, bindings).fetchall()


def migrate(connection: apsw.Connection) -> list[int]:
    """Bring the schema to this version, each migration in its own transaction; the numbers that were applied.

    Raises:
        StartupRefused: the file was written by a newer Stepwell.
    """
    known = migrations()
    version = _pragma(connection, "user_version")
    if version > known[-1][0]:
        raise StartupRefused(
            f"The file has schema version {version}, this Stepwell knows up to {known[-1][0]}. Start a newer Stepwell."
        )
    applied = [number for number, _ in known if number > version]
    for number, text in known:
        if number > version:
            marks = f"PRAGMA user_version = {number}; PRAGMA application_id = {APPLICATION_ID}"
            rows(connection, f"BEGIN IMMEDIATE; {text}; {marks}; COMMIT")
    return applied


def schema_version(connection: apsw.Connection) -> int:
    """The number of the last migration the file has had."""
    return _pragma(connection, "user_version")


def check(path: Path) -> list[str]:
    """Everything wrong with a file: the pages, the indexes, the application id; empty if it is sound."""
    connection = connect(path, read_only=True)
    try:
        problems = [row[0] for row in connection.execute("PRAGMA integrity_check(100)") if row[0] != "ok"]
        if _pragma(connection, "application_id") != APPLICATION_ID:
            problems.append("application id is not Stepwell's")
    except apsw.Error as error:  # so damaged that the check itself cannot go on
        problems = [str(error)]
    finally:
        connection.close()
    return problems


def backup(source: Path, target: Path) -> int:
    """Copy a file, also while a server uses it, in one step on a connection of its own; then check the copy.

    Returns the copy's size in bytes.

    Raises:
        StartupRefused: the target exists, or cannot be written in full, or the copy is not sound (it is removed).
    """
    reading = connect(source, read_only=True)
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # the copy is nobody else's to read
        _copy(reading, target)
    except FileExistsError:
        raise StartupRefused(f"{target} exists already; name another file.") from None
    except OSError as error:
        raise StartupRefused(f"{target} cannot be written: {error.strerror}") from error
    except apsw.Error as error:
        target.unlink()
        raise StartupRefused(f"The copy could not be made: {error}") from error
    finally:
        reading.close()
    if problems := check(target):
        target.unlink()
        raise StartupRefused(f"The copy is not sound: {problems[0]}")
    return target.stat().st_size


class DirectoryLock:
    """The exclusive hold of one process on a data directory; ends with the process, however it ends."""

    def __init__(self, directory: Path) -> None:
        """Take the hold.

        Raises:
            StartupRefused: another process has it.
        """
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(directory / "stepwell.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 20, 0).decode(errors="replace").strip()
            os.close(self._file)
            raise StartupRefused(
                f"{directory} is in use by another Stepwell process"
                + (f" (process {holder})" if holder else "")
                + ". Stop it, or choose another --data directory."
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let the directory go."""
        os.close(self._file)


def _copy(reading: apsw.Connection, target: Path) -> None:
    copy = apsw.Connection(str(target))
    try:
        with copy.backup("main", reading, "main") as job:
            job.step(-1)
        rows(copy, "PRAGMA journal_mode = DELETE")
    finally:
        copy.close()


def _check_ownership(connection: apsw.Connection, path: Path) -> None:
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchall()[0][0]
    if tables and _pragma(connection, "application_id") != APPLICATION_ID:
        raise StartupRefused(f"{path} is a SQLite file of another program. Choose another --data directory.")


def _pragma(connection: apsw.Connection, name: str) -> int:
    value: int = rows(connection, f"PRAGMA {name}")[0][0]
    return value


def _read_apart(path: Path, sql: str, bindings: dict[str, Any]) -> list[Any]:
    try:
        connection = connect(path, read_only=True)
        try:
            return rows(connection, sql, bindings)
        finally:
            connection.close()
    except (apsw.Error, StartupRefused) as error:
        raise StoreUnavailable(f"The store cannot be read now: {error}", retry_after_s=5) from error
