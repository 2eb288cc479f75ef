"""What runs tell endpoints, written in SQLite by the very transaction that changes the run."""

import hashlib

import apsw
import msgspec

from stepwell.states import RunState
from stepwell.store.rows import Commit, Run
from stepwell.store.sql import load
from stepwell.store.sqlite import run_reads
from stepwell.store.sqlite.codec import key, text
from stepwell.store.sqlite.database import rows
from stepwell.store.sqlite.file_connection import FileConnection, Listeners

SQL = load("endpoints.sql")

STARTED, SUSPENDED = "run.started", "run.suspended"
ENDS = {
    RunState.COMPLETED: "run.completed",
    RunState.FAILED: "run.failed",
    RunState.TIMED_OUT: "run.failed",
    RunState.CANCELLED: "run.cancelled",
}

Before = tuple[str, int | None]
"""The state of a run before a change, and when it was started."""

_encode = msgspec.json.Encoder().encode


def before(connection: apsw.Connection, workspace: bytes, run: bytes) -> Before | None:
    """How a run stands before a change; None if no endpoint of its workspace listens, or there is no such run."""
    if workspace not in _listeners(connection):
        return None
    found: list[Before] = rows(connection, SQL["state_before"], {"workspace": workspace, "run": run})
    return found[0] if found else None


def committed(connection: apsw.Connection, commit: Commit, was: Before | None) -> None:
    """A walk's commit was applied to a run that stood so before."""
    if was is None:
        return
    state, started_at = was
    workspace, run = key(commit.workspace), key(commit.run)
    events: list[tuple[str, int]] = []
    if started_at is None and commit.started_at is not None:
        events.append((STARTED, commit.started_at))
    if commit.ended_at is not None:
        events.append((ENDS[commit.state], commit.ended_at))
    elif _suspends(commit, state) or (commit.held is not None and commit.state is RunState.PAUSED != state):
        events.append((SUSPENDED, _last_change(connection, workspace, run)))
    if events:
        _tell(connection, workspace, run, events)


def ended(connection: apsw.Connection, workspace: bytes, run: bytes, state: RunState, now: int) -> None:
    """A run was ended from outside its walk."""
    if workspace in _listeners(connection):
        _tell(connection, workspace, run, [(ENDS[state], now)])


def paused(connection: apsw.Connection, workspace: bytes, run: bytes, now: int) -> None:
    """A run was paused."""
    if workspace in _listeners(connection):
        _tell(connection, workspace, run, [(SUSPENDED, now)])


def _suspends(commit: Commit, state: str) -> bool:
    """Whether a run becomes suspended by a commit. A walk that found nothing new lets it go as it was; one that has
    recorded something waits for something else."""
    if commit.suspend_at is None or commit.state is not RunState.SUSPENDED or state == RunState.PAUSED:
        return False
    return state != RunState.SUSPENDED or bool(commit.records)


def _listeners(connection: apsw.Connection) -> Listeners:
    assert isinstance(connection, FileConnection)
    if connection.listeners is None:
        listeners: Listeners = {}
        for workspace, endpoint, events in connection.execute(SQL["listening"]):
            listeners.setdefault(workspace, []).append((endpoint, frozenset(events.split())))
        connection.listeners = listeners
    return connection.listeners


def _tell(connection: apsw.Connection, workspace: bytes, run: bytes, events: list[tuple[str, int]]) -> None:
    listening = [
        (endpoint, type, at)
        for endpoint, asked in _listeners(connection)[workspace]
        for type, at in events
        if type in asked
    ]
    if not listening:
        return
    (now,) = run_reads.listed(connection, text(workspace), (run,))
    as_it_was = {type: _encode(_as_started(now) if type == STARTED else now) for type, _ in events}
    messages = [
        (workspace, _id(at, endpoint, run, type, now.state_seq), endpoint, type, run, at, at, as_it_was[type])
        for endpoint, type, at in listening
    ]
    connection.executemany(SQL["tell"], messages)
    assert isinstance(connection, FileConnection)
    connection.emitted = True


def _as_started(run: Run) -> Run:
    """A run as it was when it began, which the same commit may have ended."""
    return msgspec.structs.replace(run, state=RunState.RUNNING, waits_on=None, ended_at=None, error=None)


def _id(at: int, endpoint: bytes, run: bytes, type: str, seq: int) -> bytes:
    """A UUIDv7 of the time of an event. The rest is made of what the event is: the store has no source of ids."""
    rest = hashlib.blake2b(b"%b%b%b%d" % (endpoint, run, type.encode(), seq), digest_size=10).digest()
    head = bytes((0x70 | rest[0] & 0x0F, rest[1], 0x80 | rest[2] & 0x3F))
    return max(0, at).to_bytes(6) + head + rest[3:]


def _last_change(connection: apsw.Connection, workspace: bytes, run: bytes) -> int:
    at: int | None = rows(connection, SQL["last_change"], {"workspace": workspace, "run": run})[0][0]
    return at or 0
