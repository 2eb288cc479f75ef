"""The writer: one batch is one commit; a fault is its operation's own; a failing file is nobody's."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from stepwell.errors import AlreadyExists, StoreUnavailable
from stepwell.store.sqlite.database import Database, rows
from stepwell.store.sqlite.writer import MAX_BYTES, MAX_OPERATIONS


class Commits:
    """Counts commits."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, phase: str) -> None:
        self.count += phase == "after"


@pytest.fixture
def commits() -> Commits:
    return Commits()


@pytest.fixture(params=["thread", "inline"])
async def database(request: pytest.FixtureRequest, tmp_path: Path, commits: Commits) -> AsyncIterator[Database]:
    opened = Database(tmp_path / "stepwell.db", inline=request.param == "inline", boundary=commits)
    await opened.write(lambda connection, _: connection.execute("CREATE TABLE notes (n INTEGER PRIMARY KEY, v)"), None)
    commits.count = 0
    yield opened
    opened.close()


def note(connection: apsw.Connection, number: int) -> int:
    connection.execute("INSERT INTO notes (n) VALUES (?)", (number,))
    return number


def refuse(connection: apsw.Connection, number: int) -> int:
    note(connection, number)
    raise AlreadyExists("taken")


def fail(connection: apsw.Connection, number: int) -> int:
    note(connection, number)
    raise ZeroDivisionError


def fill(connection: apsw.Connection, size: int) -> None:
    connection.execute("INSERT INTO notes (v) VALUES (zeroblob(?))", (size,))


def stored(database: Database) -> list[int]:
    return [row[0] for row in database.read("SELECT n FROM notes ORDER BY n", {})]


class Held:
    """Keeps the writer's thread busy until it is let go."""

    def __init__(self, database: Database) -> None:
        self._free = threading.Event()
        self.written = database.write(lambda connection, _: self._free.wait(10), None)

    def let_go(self) -> None:
        self._free.set()


@pytest.fixture
async def threaded(tmp_path: Path, commits: Commits) -> AsyncIterator[Database]:
    opened = Database(tmp_path / "threaded.db", boundary=commits)
    await opened.write(lambda connection, _: connection.execute("CREATE TABLE notes (n INTEGER PRIMARY KEY, v)"), None)
    commits.count = 0
    yield opened
    opened.close()


async def test_what_has_gathered_is_one_commit(threaded: Database, commits: Commits) -> None:
    held = Held(threaded)
    waiting = [threaded.write(note, number) for number in range(200)]
    held.let_go()

    assert await asyncio.gather(*waiting) == list(range(200))

    assert commits.count in (1, 2)  # the thread may or may not have begun before the others came
    assert stored(threaded) == list(range(200))


async def test_a_batch_is_bounded_in_operations(threaded: Database, commits: Commits) -> None:
    held = Held(threaded)
    waiting = [threaded.write(note, number) for number in range(3 * MAX_OPERATIONS)]
    held.let_go()

    await asyncio.gather(*waiting)

    assert commits.count in (4, 3)


async def test_a_batch_is_bounded_in_bytes(threaded: Database, commits: Commits) -> None:
    held = Held(threaded)
    waiting = [threaded.write(note, number, size=MAX_BYTES // 2 + 1) for number in range(8)]
    held.let_go()

    await asyncio.gather(*waiting)

    assert commits.count in (4, 5)


async def test_operations_are_applied_in_the_order_of_their_submission(database: Database) -> None:
    order: list[int] = []

    await asyncio.gather(*(database.write(lambda _, n: order.append(n), number) for number in range(500)))

    assert order == list(range(500))


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("fault", [refuse, fail])
async def test_an_operation_that_raises_is_answered_alone(database: Database, fault: object, guarded: bool) -> None:
    operations = [note, fault, note]

    answers = await asyncio.gather(
        *(database.write(run, number, guarded=guarded) for number, run in enumerate(operations)),
        return_exceptions=True,
    )

    assert [answers[0], answers[2]] == [0, 2]
    assert isinstance(answers[1], AlreadyExists | ZeroDivisionError)
    assert stored(database) == [0, 2]


async def test_a_broken_constraint_is_answered_as_such_and_alone(database: Database) -> None:
    answers = await asyncio.gather(*(database.write(note, number) for number in (1, 1, 2)), return_exceptions=True)

    assert [answers[0], answers[2]] == [1, 2]
    assert isinstance(answers[1], apsw.ConstraintError)
    assert stored(database) == [1, 2]


async def test_a_cancelled_waiter_does_not_disturb_the_others(database: Database) -> None:
    waiting = [database.write(note, number) for number in range(3)]
    waiting[1].cancel()

    assert await asyncio.gather(waiting[0], waiting[2]) == [0, 2]

    assert database.writer.oldest_age_s() == 0


async def test_a_full_disk_is_answered_to_all_and_over_when_there_is_space(database: Database) -> None:
    pages = await database.write(rows, "PRAGMA page_count", guarded=False)
    await database.write(lambda c, _: rows(c, f"PRAGMA max_page_count = {pages[0][0] + 2}"), None, guarded=False)

    answers = await asyncio.gather(
        database.write(note, 1), database.write(fill, 10**6), database.write(note, 3), return_exceptions=True
    )
    kept = stored(database)
    await database.write(lambda c, _: rows(c, "PRAGMA max_page_count = 100000"), None, guarded=False)
    await database.write(fill, 10**6)

    refused = [isinstance(answer, StoreUnavailable) for answer in answers]
    assert refused[1]
    assert kept == [number for number, failed in zip((1, 3), (refused[0], refused[2]), strict=True) if not failed]
    assert len(stored(database)) == len(kept) + 1


async def test_a_file_locked_by_another_process_is_answered_to_the_whole_batch_after_one_wait(
    database: Database, tmp_path: Path
) -> None:
    await database.write(lambda connection, _: connection.set_busy_timeout(1), None)
    other = apsw.Connection(str(database.path))
    other.execute("BEGIN IMMEDIATE")

    answers = await asyncio.gather(*(database.write(note, n) for n in range(20)), return_exceptions=True)
    other.execute("ROLLBACK")
    other.close()

    assert [type(answer) for answer in answers] == [StoreUnavailable] * 20
    assert await database.write(note, 1) == 1


async def test_the_age_of_the_oldest_write_grows_until_it_is_answered(threaded: Database) -> None:
    idle = threaded.writer.oldest_age_s()
    held = Held(threaded)

    waiting = [threaded.writer.oldest_age_s() for _ in range(2)]
    held.let_go()
    await held.written

    assert idle == 0
    assert 0 < waiting[0] < waiting[1]
    assert threaded.writer.oldest_age_s() == 0


async def test_closing_applies_what_is_queued(tmp_path: Path) -> None:
    database = Database(tmp_path / "stepwell.db")
    await database.write(lambda connection, _: connection.execute("CREATE TABLE notes (n INTEGER PRIMARY KEY)"), None)
    waiting = [database.write(note, number) for number in range(50)]

    database.close()

    assert await asyncio.gather(*waiting) == list(range(50))
    again = Database(tmp_path / "stepwell.db")
    assert stored(again) == list(range(50))
    again.close()
