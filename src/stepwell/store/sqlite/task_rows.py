"""Rows of tasks in SQLite, and what other writers do with them inside their transactions."""

from collections.abc import Iterable, Sequence
from typing import Any

import apsw

from stepwell.states import TaskStatus
from stepwell.store import task_changes
from stepwell.store.rows_tasks import Task
from stepwell.store.sql import load
from stepwell.store.sqlite.codec import key, text
from stepwell.store.sqlite.database import rows

SQL = load("tasks.sql")

Bindings = dict[str, Any]
_NAMES = (
    "workspace", "id", "run", "workflow", "path", "step", "status", "title", "description", "task_type", "score",
    "cost", "declared", "attempts", "max_attempts", "auto_accept", "min_score", "max_cost", "worker", "token",
    "lease_until", "claimed_at", "error", "reject_reason", "approved_by", "approved_at", "started_at", "completed_at",
    "updated_at", "template", "input", "output",
)  # fmt: skip
_KEYS = ("workspace", "id", "run", "workflow")
_SAVED = (
    "workspace", "id", "status", "output", "score", "cost", "attempts", "worker", "token", "lease_until", "claimed_at",
    "error", "reject_reason", "approved_by", "approved_at", "started_at", "completed_at", "updated_at",
)  # fmt: skip


def put(connection: apsw.Connection, tasks: Iterable[Task], most: int) -> None:
    """The new tasks of a commit, while the workspace has fewer than `most`. The timer by which a path looks for room
    goes with its task."""
    for task in tasks:
        fields = columns(task)
        if rows(connection, SQL["count_undone"], {"workspace": fields["workspace"], "most": most})[0][0] < most:
            connection.execute(SQL["insert_task"], fields)
            connection.execute(SQL["drop_room"], {name: fields[name] for name in ("workspace", "run", "path")})


def of_run(connection: apsw.Connection, target: Bindings) -> tuple[Task, ...]:
    """The tasks of a run, oldest first, without what is large: no template, input or description, and of outputs only
    accepted ones that are still to be taken."""
    found = [task_of(row) for row in connection.execute(SQL["tasks_of_run"], target)]
    return tuple(sorted(found, key=lambda task: task.id))


def end_lease(connection: apsw.Connection, target: Bindings, now: int) -> None:
    """The timer of a lease at a path has fired: the claim ends, unless it was prolonged meanwhile."""
    for row in rows(connection, SQL["task_at"], target):
        task = task_of(row)
        if (task.lease_until or 0) > now:
            connection.execute(SQL["put_lease"], {**target, "due": task.lease_until})
        else:
            save(connection, task_changes.released(task, task_changes.LEASE_ENDED, now))


def expire(connection: apsw.Connection, target: Bindings, now: int) -> None:
    """The time of the step at a path is over: what it waits for has failed."""
    connection.execute(SQL["expire_tasks"], {**target, "now": now, "error": task_changes.OUT_OF_TIME})


def save(connection: apsw.Connection, task: Task) -> None:
    """Write what has become of a task."""
    fields = columns(task)
    connection.execute(SQL["save_task"], {name: fields[name] for name in _SAVED})


def columns(task: Task) -> Bindings:
    """The columns of a task by name."""
    fields = {name: getattr(task, name) for name in _NAMES}
    return fields | {name: key(fields[name]) for name in _KEYS}


def task_of(row: Sequence[Any]) -> Task:
    """A row as a task."""
    fields = dict(zip(_NAMES, row, strict=True))
    fields |= {name: text(fields[name]) for name in _KEYS}
    return Task(**fields | {"status": TaskStatus(fields["status"]), "auto_accept": bool(fields["auto_accept"])})
