"""The file: whose it is, its schema, its recovery, its backup, and who may hold its directory."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from stepwell.errors import StartupRefused
from stepwell.store.sql import migrations
from stepwell.store.sqlite import FILE_NAME, Database, DirectoryLock, backup, check, connect, migrate
from stepwell.store.sqlite.database import APPLICATION_ID, rows, schema_version

NEWEST = migrations()[-1][0]

WRITER = """
import sys
from pathlib import Path
from stepwell.store.sqlite import connect, migrate
connection = connect(Path(sys.argv[1]))
migrate(connection)
connection.execute("CREATE TABLE notes (n INTEGER PRIMARY KEY)")
for number in range(1, 10**9):
    connection.execute("INSERT INTO notes VALUES (?)", (number,))
    print(number, flush=True)
"""

HOLDER = """
import sys
from pathlib import Path
from stepwell.store.sqlite import DirectoryLock
lock = DirectoryLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FILE_NAME


@pytest.fixture
def connection(path: Path) -> Iterator[apsw.Connection]:
    """A file of this version with one more table, of numbers."""
    opened = connect(path)
    migrate(opened)
    opened.execute("CREATE TABLE notes (n INTEGER PRIMARY KEY, v)")
    yield opened
    opened.close()


def pragma(connection: apsw.Connection, name: str) -> object:
    return rows(connection, f"PRAGMA {name}")[0][0]


def notes(path: Path) -> list[int]:
    """The numbers in a file, opened as a server would."""
    opened = connect(path)
    found = [row[0] for row in rows(opened, "SELECT n FROM notes ORDER BY n")]
    opened.close()
    return found


def python(script: str, argument: Path) -> subprocess.Popen[str]:
    """Another process."""
    command = [sys.executable, "-c", script, str(argument)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


# Opening


def test_a_fresh_file_is_marked_as_ours_and_has_the_newest_schema(path: Path) -> None:
    database = Database(path)
    database.close()

    opened = connect(path, read_only=True)
    assert (pragma(opened, "application_id"), schema_version(opened)) == (APPLICATION_ID, NEWEST)
    assert database.migrated == [number for number, _ in migrations()]
    opened.close()


def test_the_settings_that_make_commits_durable_hold(connection: apsw.Connection) -> None:
    found = {name: pragma(connection, name) for name in ("journal_mode", "synchronous", "auto_vacuum", "mmap_size")}

    assert found == {"journal_mode": "wal", "synchronous": 2, "auto_vacuum": 2, "mmap_size": 0}
    assert pragma(connection, "journal_size_limit") == 67_108_864


def test_a_file_of_another_program_is_refused_and_left_as_it_is(path: Path) -> None:
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = path.read_bytes()

    with pytest.raises(StartupRefused, match="another program"):
        Database(path)

    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"hello, this is no database at all" * 100)

    with pytest.raises(StartupRefused, match="cannot be opened"):
        Database(path)


def test_a_newer_schema_is_refused(path: Path, connection: apsw.Connection) -> None:
    connection.execute(f"PRAGMA user_version = {NEWEST + 1}")

    with pytest.raises(StartupRefused, match=f"schema version {NEWEST + 1}.*newer Stepwell"):
        Database(path)


def test_every_older_schema_is_brought_to_the_newest(tmp_path: Path) -> None:
    known = migrations()
    for version in range(NEWEST + 1):
        opened = connect(tmp_path / f"{version}.db")
        for number, text in known[:version]:
            marks = f"PRAGMA user_version = {number}; PRAGMA application_id = {APPLICATION_ID}"
            rows(opened, f"BEGIN; {text}; {marks}; COMMIT")
        assert schema_version(opened) == version

        applied = migrate(opened)

        assert applied == list(range(version + 1, NEWEST + 1))
        assert schema_version(opened) == NEWEST
        assert migrate(opened) == []
        opened.close()


# Damage


def test_a_sound_file_has_no_problems(path: Path, connection: apsw.Connection) -> None:
    assert check(path) == []


@pytest.mark.parametrize("page", [1, 2, 5, 20])
def test_a_damaged_file_is_refused_or_found_by_the_check(path: Path, connection: apsw.Connection, page: int) -> None:
    for number in range(3000):
        connection.execute("INSERT INTO notes VALUES (?, ?)", (number, "x" * 100))
    rows(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    size = 4096
    with path.open("r+b") as file:
        file.seek((page - 1) * size + (100 if page == 1 else 0))
        file.write(b"\xa5" * (size - 100))

    try:
        problems = check(path)
    except StartupRefused as refused:
        problems = [refused.message]

    assert problems


def test_the_check_of_another_programs_file_says_so(path: Path) -> None:
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE theirs (x)")
    other.close()

    assert check(path) == ["application id is not Stepwell's"]


def test_the_check_of_a_missing_file_is_refused(path: Path) -> None:
    with pytest.raises(StartupRefused, match="cannot be opened"):
        check(path)

    assert not path.exists()


# Recovery


def test_what_a_killed_process_has_committed_is_there(path: Path) -> None:
    process = python(WRITER, path)
    assert process.stdout is not None
    told = 0
    while told < 50:
        told = int(process.stdout.readline())

    end(process)

    assert path.with_name(path.name + "-wal").stat().st_size > 0
    found = notes(path)
    assert len(found) >= told
    assert found == list(range(1, len(found) + 1))
    assert check(path) == []


@pytest.mark.parametrize("kept", [0.0, 0.25, 0.5, 0.9, 0.999])
def test_power_loss_loses_only_the_last_transactions(
    tmp_path: Path, path: Path, connection: apsw.Connection, kept: float
) -> None:
    rows(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
    wal = path.with_name(path.name + "-wal")
    sizes = []
    for number in range(1, 21):
        connection.execute("INSERT INTO notes VALUES (?, ?)", (number, "x" * 3000))
        sizes.append(wal.stat().st_size)
    lost = tmp_path / "lost" / FILE_NAME
    lost.parent.mkdir()
    shutil.copy(path, lost)
    shutil.copy(wal, lost.with_name(wal.name))

    length = int(sizes[-1] * kept)
    os.truncate(lost.with_name(wal.name), length)

    whole = sum(size <= length for size in sizes)
    assert notes(lost) == list(range(1, whole + 1))
    assert check(lost) == []


# Backup


async def test_a_backup_while_writes_go_on_is_whole_up_to_some_commit(path: Path, tmp_path: Path) -> None:
    database = Database(path)
    await database.write(lambda connection, _: connection.execute("CREATE TABLE notes (n INTEGER PRIMARY KEY)"), None)
    written = 0
    stop = asyncio.Event()

    async def write_on() -> None:
        nonlocal written
        while not stop.is_set():
            await database.write(
                lambda connection, number: connection.execute("INSERT INTO notes VALUES (?)", (number,)), written + 1
            )
            written += 1

    writing = asyncio.ensure_future(write_on())
    for number in range(3):
        before = written
        size = await asyncio.to_thread(backup, path, tmp_path / f"{number}.db")
        after = written
        copied = notes(tmp_path / f"{number}.db")
        assert copied == list(range(1, len(copied) + 1))
        assert before <= len(copied) <= after + 1
        assert size > 0
    stop.set()
    await writing
    database.close()
    assert written > 0


def test_a_backup_is_one_file_that_only_its_owner_reads(
    path: Path, tmp_path: Path, connection: apsw.Connection
) -> None:
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()

    size = backup(path, target)

    assert [entry.name for entry in target.parent.iterdir()] == ["copy.db"]
    assert (target.stat().st_size, target.stat().st_mode & 0o777) == (size, 0o600)


def test_a_backup_does_not_overwrite(path: Path, tmp_path: Path, connection: apsw.Connection) -> None:
    target = tmp_path / "copy.db"
    target.write_text("precious")

    with pytest.raises(StartupRefused, match="exists already"):
        backup(path, target)

    assert target.read_text() == "precious"


def test_a_backup_to_a_place_that_is_not_there_is_refused(
    path: Path, tmp_path: Path, connection: apsw.Connection
) -> None:
    with pytest.raises(StartupRefused, match="cannot be written"):
        backup(path, tmp_path / "nowhere" / "copy.db")


def test_a_copy_of_a_damaged_file_is_refused_and_removed(
    path: Path, tmp_path: Path, connection: apsw.Connection
) -> None:
    for number in range(3000):
        connection.execute("INSERT INTO notes VALUES (?, ?)", (number, "x" * 100))
    connection.close()
    with path.open("r+b") as file:
        file.seek(19 * 4096)
        file.write(b"\xa5" * 40960)

    with pytest.raises(StartupRefused):
        backup(path, tmp_path / "copy.db")

    assert not (tmp_path / "copy.db").exists()


# The directory


def test_a_directory_has_one_holder_and_names_it(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path / "data")

    with pytest.raises(StartupRefused, match=rf"data is in use by another .*process {os.getpid()}.*--data"):
        DirectoryLock(tmp_path / "data")

    lock.release()
    DirectoryLock(tmp_path / "data").release()


def test_a_directory_is_free_when_its_holder_is_killed(tmp_path: Path) -> None:
    process = python(HOLDER, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"

    with pytest.raises(StartupRefused, match=f"process {process.pid}"):
        DirectoryLock(tmp_path)
    end(process)

    DirectoryLock(tmp_path).release()
