"""Ends of runs in SQLite that do not come from their walk: cancel, timeout, timers that fire, retention."""

from typing import Any

import apsw

from stepwell.states import OPEN, RunState
from stepwell.store.rows import End, Fired
from stepwell.store.sql import load
from stepwell.store.sqlite.codec import key, text, text_or_none
from stepwell.store.sqlite.database import rows

SQL = load("runs.sql")


def end_run(connection: apsw.Connection, end: End) -> bool:
    workspace, run = key(end.workspace), key(end.run)
    found = rows(connection, SQL["get_state"], {"workspace": workspace, "run": run})
    if not found or found[0][0] not in end.allowed:
        return False
    target = {"workspace": workspace, "run": run, "now": end.now}
    held = rows(connection, SQL["workflow_of_limited"], target)  # asked now: a blocked run frees no place when it ends
    paths = [path for (path,) in rows(connection, SQL["open_records"], target)]
    for number, path in enumerate(paths, start=found[0][1] + 1):
        connection.execute(SQL["close_record"], {**target, "path": path, "seq": number, "error": end.record_error})
    ending = {**target, "state": end.state, "closed": len(paths), "error": end.error}
    connection.execute(SQL["end_run"], ending)
    connection.execute(SQL["drop_timers"], target)
    if held:
        _unblock_oldest(connection, workspace, held[0][0])
    return True


def free_place(connection: apsw.Connection, workspace: bytes, run: bytes) -> bool:
    found = rows(connection, SQL["workflow_of_limited"], {"workspace": workspace, "run": run})
    return _unblock_oldest(connection, workspace, found[0][0]) if found else False


def fire_timers(connection: apsw.Connection, wanted: tuple[int, int, bytes]) -> list[Fired]:
    now, limit, timeout_error = wanted
    fired = []
    for workspace, run, path, kind in rows(connection, SQL["due_timers"], {"now": now, "limit": limit}):
        target = {"workspace": workspace, "run": run, "path": path, "kind": kind}
        connection.execute(SQL["drop_timer"], target)
        if kind == "timeout":
            owners = rows(connection, SQL["get_run"], target)
            end = End(
                workspace=text(workspace),
                run=text(run),
                state=RunState.TIMED_OUT,
                now=now,
                error=timeout_error,
                record_error=timeout_error,
                allowed=OPEN,
            )
            if end_run(connection, end):
                fired.append(Fired(text(workspace), text(run), text_or_none(owners[0][7]), ended=True))
        else:
            for (owner,) in rows(connection, SQL["signal_run"], target):
                fired.append(Fired(text(workspace), text(run), text_or_none(owner), ended=False))
    return fired


def delete(connection: apsw.Connection, target: tuple[bytes, bytes]) -> bool:
    bindings = {"workspace": target[0], "run": target[1]}
    connection.execute(SQL["delete_run"], bindings)
    if not connection.changes():
        return False
    connection.execute(SQL["delete_records"], bindings)
    connection.execute(SQL["delete_payloads"], bindings)
    return True


def prune(connection: apsw.Connection, bindings: dict[str, Any]) -> int:
    return sum(delete(connection, row) for row in rows(connection, SQL["prunable"], bindings))


def forget_keys(connection: apsw.Connection, bindings: dict[str, Any]) -> int:
    connection.execute(SQL["delete_idempotency_keys"], bindings)
    return connection.changes()


def _unblock_oldest(connection: apsw.Connection, workspace: bytes, workflow: bytes) -> bool:
    connection.execute(SQL["unblock_oldest"], {"workspace": workspace, "workflow": workflow})
    return connection.changes() > 0
