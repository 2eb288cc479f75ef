"""What runs wait for in SQLite, and what has reached them: waits, events, approvals and their tokens."""

from collections.abc import Sequence
from typing import Any

import apsw

from stepwell import values
from stepwell.store.rows import Approval, Commit, RunEvent
from stepwell.store.sql import load
from stepwell.store.sqlite.codec import key, text
from stepwell.store.sqlite.database import rows

SQL = load("signals.sql")
TASKS = load("tasks.sql")

Bindings = dict[str, Any]


def put(connection: apsw.Connection, workspace: bytes, run: bytes, commit: Commit) -> None:
    """The new waits and approvals of a commit; events that were taken go."""
    target: Bindings = {"workspace": workspace, "run": run}
    for wait in commit.waits:
        connection.execute(SQL["put_wait"], {**target, "path": wait.path, "type": wait.type})
    for approval in commit.approvals:
        _put_approval(connection, approval)
    for event in commit.taken:
        connection.execute(SQL["take_event"], {**target, "id": key(event)})


def close(connection: apsw.Connection, workspace: bytes, run: bytes, paths: Sequence[str], now: int) -> None:
    """Some paths wait for nothing any more."""
    bindings = [{"workspace": workspace, "run": run, "path": path} for path in paths]
    connection.executemany(SQL["close_timers"], bindings)
    connection.executemany(SQL["close_wait"], bindings)
    connection.executemany(SQL["close_tokens"], bindings)
    connection.executemany(SQL["close_approvals"], [{**each, "status": "cancelled"} for each in bindings])
    connection.executemany(TASKS["close_tasks"], [{**each, "now": now} for each in bindings])


def expire(connection: apsw.Connection, target: Bindings) -> None:
    """The time of an approval at a path is over."""
    connection.execute(SQL["close_tokens"], target)
    connection.execute(SQL["close_approvals"], {**target, "status": "expired"})


def drop(connection: apsw.Connection, target: Bindings, now: int) -> None:
    """A run has ended."""
    for name in ("drop_waits", "drop_events", "drop_tokens", "cancel_approvals"):
        connection.execute(SQL[name], target)
    connection.execute(TASKS["cancel_tasks"], {**target, "now": now})


def delete(connection: apsw.Connection, target: Bindings) -> None:
    """A final run is removed: it has no waits, events or tokens any more."""
    connection.execute(SQL["delete_approvals"], target)
    connection.execute(SQL["delete_sent_events"], target)
    connection.execute(TASKS["delete_tasks"], target)


def events(connection: apsw.Connection, target: Bindings) -> tuple[RunEvent, ...]:
    """The events that no step has taken, oldest first."""
    found = [
        RunEvent(id=text(row[0]), type=row[1], payload=row[2], received_at=row[3])
        for row in connection.execute(SQL["get_events"], target)
    ]
    return tuple(sorted(found, key=lambda event: (event.received_at, event.id)))


def approvals(connection: apsw.Connection, workspace: str, target: Bindings) -> tuple[Approval, ...]:
    """The approvals of steps that still wait, oldest first."""
    found = rows(connection, SQL["approvals_of_run"], target)
    if not found:
        return ()
    open_paths = {path for (path,) in rows(connection, SQL["open_paths"], target)}
    waiting = [approval(workspace, row) for row in found if row[3] in open_paths]
    return tuple(sorted(waiting, key=lambda each: each.id))


def approval(workspace: str, row: Sequence[Any], tokens: tuple[tuple[str, bytes], ...] = ()) -> Approval:
    return Approval(
        workspace=workspace,
        id=text(row[0]),
        run=text(row[1]),
        workflow=text(row[2]),
        path=row[3],
        step=row[4],
        status=row[5],
        reason=row[6],
        approvers=tuple(values.decode(row[7])),
        require_all=bool(row[8]),
        context=row[9],
        decisions=row[10],
        tokens=tokens,
        expires_at=row[11],
    )


def tokens(connection: apsw.Connection, target: Bindings) -> tuple[tuple[str, bytes], ...]:
    """Who can still decide an approval by a token, and its hash."""
    return tuple((row[0], row[1]) for row in rows(connection, SQL["get_tokens"], target))


def put_tokens(connection: apsw.Connection, approval: Approval) -> None:
    for approver, hash in approval.tokens:
        row = {"workspace": key(approval.workspace), "id": key(approval.id), "approver": approver, "hash": hash}
        connection.execute(SQL["put_token"], row)


def _put_approval(connection: apsw.Connection, approval: Approval) -> None:
    row = {
        "workspace": key(approval.workspace),
        "id": key(approval.id),
        "run": key(approval.run),
        "workflow": key(approval.workflow),
        "path": approval.path,
        "step": approval.step,
        "status": approval.status,
        "reason": approval.reason,
        "approvers": values.encode(approval.approvers).decode(),
        "require_all": approval.require_all,
        "context": approval.context,
        "decisions": approval.decisions,
        "expires_at": approval.expires_at,
    }
    connection.execute(SQL["insert_approval"], row)
    put_tokens(connection, approval)
