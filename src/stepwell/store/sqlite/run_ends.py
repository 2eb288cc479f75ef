"""Ends of runs in SQLite: what an end leaves to others, and ends that do not come from a walk: cancel, timeout, timers
that fire, retention."""

from typing import Any

import apsw

from stepwell.states import OPEN, RunState
from stepwell.store.rows import End, Reached
from stepwell.store.sql import load
from stepwell.store.sqlite import endpoint_events, run_waits, task_rows
from stepwell.store.sqlite.codec import key, text, text_or_none
from stepwell.store.sqlite.database import rows

SQL = load("runs.sql")
CANCELLED = b'{"code":"CANCELLED","message":"The run was cancelled"}'


def end_run(connection: apsw.Connection, end: End, *, told: bool = True) -> tuple[Reached, ...]:
    """`told` says whether a parent that waits is signalled."""
    workspace, run = key(end.workspace), key(end.run)
    target = {"workspace": workspace, "run": run, "now": end.now}
    found = rows(connection, SQL["get_ending"], target)
    if not found or found[0][0] not in end.allowed:
        return ()
    _, seq, owner, limited_workflow, parent = found[0]  # asked now: a blocked run frees no place when it ends
    paths = [path for (path,) in rows(connection, SQL["open_records"], target)]
    for number, path in enumerate(paths, start=seq + 1):
        connection.execute(SQL["close_record"], {**target, "path": path, "seq": number, "error": end.record_error})
    ending = {**target, "state": end.state, "closed": len(paths), "error": end.error}
    connection.execute(SQL["end_run"], ending)
    endpoint_events.ended(connection, workspace, run, end.state, end.now)
    reached = [Reached(end.workspace, end.run, text_or_none(owner), end.state)]
    reached += settle(connection, workspace, run, end.now)
    if parent is not None and told:
        reached += signal(connection, workspace, parent)
    if limited_workflow is not None:
        _unblock_oldest(connection, workspace, limited_workflow)
    return tuple(reached)


def settle(connection: apsw.Connection, workspace: bytes, run: bytes, now: int) -> list[Reached]:
    """Take away what a run leaves that has just ended, and end the runs that it waited for. One statement looks for all
    of it: most runs leave nothing."""
    target = {"workspace": workspace, "run": run}
    timers, waits, events, approvals, tasks, children = rows(connection, SQL["left_behind"], target)[0]
    if timers:
        connection.execute(SQL["drop_timers"], target)
    if waits or events or approvals or tasks:
        run_waits.drop(connection, target, now)
    reached: list[Reached] = []
    if children:
        for (child,) in rows(connection, SQL["awaited_below"], target):
            reached += _cancel(connection, workspace, child, now)
    return reached


def signal(connection: apsw.Connection, workspace: bytes, run: bytes) -> list[Reached]:
    """Note that something reached a run; empty if it is not open."""
    signalled = rows(connection, SQL["signal_run"], {"workspace": workspace, "run": run})
    return [Reached(text(workspace), text(run), text_or_none(owner)) for (owner,) in signalled]


def cancel_awaited(
    connection: apsw.Connection, workspace: bytes, run: bytes, child: bytes, now: int
) -> tuple[Reached, ...]:
    """End a run that another has waited for and does no longer."""
    if not rows(connection, SQL["is_awaited"], {"workspace": workspace, "run": run, "child": child}):
        return ()
    return _cancel(connection, workspace, child, now)


def free_place(connection: apsw.Connection, workspace: bytes, run: bytes) -> bool:
    found = rows(connection, SQL["workflow_of_limited"], {"workspace": workspace, "run": run})
    return _unblock_oldest(connection, workspace, found[0][0]) if found else False


def fire_timers(connection: apsw.Connection, wanted: tuple[int, int, bytes]) -> list[Reached]:
    now, limit, timeout_error = wanted
    fired: list[Reached] = []
    for workspace, run, path, kind in rows(connection, SQL["due_timers"], {"now": now, "limit": limit}):
        target = {"workspace": workspace, "run": run, "path": path, "kind": kind}
        connection.execute(SQL["drop_timer"], target)
        if kind == "timeout":
            end = End(
                workspace=text(workspace),
                run=text(run),
                state=RunState.TIMED_OUT,
                now=now,
                error=timeout_error,
                record_error=timeout_error,
                allowed=OPEN,
            )
            fired += end_run(connection, end)
            continue
        if kind == "approval":
            run_waits.expire(connection, target)
        elif kind == "lease":
            task_rows.end_lease(connection, target, now)
        elif kind == "deadline":
            task_rows.expire(connection, target, now)
        fired += signal(connection, workspace, run)
    return fired


def delete(connection: apsw.Connection, target: tuple[bytes, bytes]) -> bool:
    bindings = {"workspace": target[0], "run": target[1]}
    connection.execute(SQL["delete_run"], bindings)
    if not connection.changes():
        return False
    connection.execute(SQL["delete_records"], bindings)
    connection.execute(SQL["delete_payloads"], bindings)
    run_waits.delete(connection, bindings)
    return True


def prune(connection: apsw.Connection, bindings: dict[str, Any]) -> int:
    return sum(delete(connection, row) for row in rows(connection, SQL["prunable"], bindings))


def forget_keys(connection: apsw.Connection, bindings: dict[str, Any]) -> int:
    connection.execute(SQL["delete_idempotency_keys"], bindings)
    return connection.changes()


def _cancel(connection: apsw.Connection, workspace: bytes, run: bytes, now: int) -> tuple[Reached, ...]:
    end = End(
        workspace=text(workspace),
        run=text(run),
        state=RunState.CANCELLED,
        now=now,
        error=None,
        record_error=CANCELLED,
        allowed=OPEN,
    )
    return end_run(connection, end, told=False)


def _unblock_oldest(connection: apsw.Connection, workspace: bytes, workflow: bytes) -> bool:
    connection.execute(SQL["unblock_oldest"], {"workspace": workspace, "workflow": workflow})
    return connection.changes() > 0
