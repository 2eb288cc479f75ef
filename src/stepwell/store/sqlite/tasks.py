"""Tasks in SQLite. Every change reads the row and writes it in one transaction of the one writer."""

import apsw

from stepwell import values
from stepwell.states import TaskStatus
from stepwell.store import task_changes
from stepwell.store.port_tasks import TaskChange
from stepwell.store.rows import Reached
from stepwell.store.rows_tasks import Task, TaskClaim, TaskDelivery, TaskFailure, TaskVerdict
from stepwell.store.sqlite import costs, run_ends
from stepwell.store.sqlite.codec import key
from stepwell.store.sqlite.database import Database, rows
from stepwell.store.sqlite.task_rows import SQL, Bindings, save, task_of


class SqliteTasks:
    """The verbs on tasks; see store.port_tasks.Tasks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, workspace: str, task: str) -> Task | None:
        found = self._database.read(SQL["get_task"], {"workspace": key(workspace), "id": key(task)})
        return task_of(found[0]) if found else None

    async def page(
        self, workspace: str, *, status: TaskStatus | None, offset: int, limit: int
    ) -> tuple[list[Task], int]:
        bindings: Bindings = {"workspace": key(workspace)}
        of_status = ""
        if status is not None:
            of_status, bindings["status"] = "_of_status", status
        total: int = (await self._database.read_apart(SQL[f"count_tasks{of_status}"], bindings))[0][0]
        page = {**bindings, "limit": limit, "offset": offset}
        return [task_of(row) for row in self._database.read(SQL[f"list_tasks{of_status}"], page)], total

    async def claim(self, workspace: str, claim: TaskClaim) -> TaskChange:
        return await self._database.write(_claim, (workspace, claim))

    async def heartbeat(self, workspace: str, task: str, token: bytes, lease_until: int, now: int) -> bool:
        return await self._database.write(_heartbeat, (workspace, task, token, lease_until, now))

    async def complete(self, workspace: str, task: str, delivery: TaskDelivery) -> TaskChange:
        return await self._database.write(_complete, (workspace, task, delivery), size=500 + len(delivery.output))

    async def fail(self, workspace: str, task: str, failure: TaskFailure) -> TaskChange:
        return await self._database.write(_fail, (workspace, task, failure))

    async def decide(self, workspace: str, task: str, verdict: TaskVerdict) -> TaskChange:
        return await self._database.write(_decide, (workspace, task, verdict))


def _claim(connection: apsw.Connection, wanted: tuple[str, TaskClaim]) -> TaskChange:
    workspace, claim = wanted
    place: Bindings = {"workspace": key(workspace)}
    reached: list[Reached] = []
    for row in rows(connection, SQL["overdue_tasks"], {**place, "now": claim.now}):
        reached += _write(connection, task_changes.released(task_of(row), task_changes.LEASE_ENDED, claim.now))
    if claim.types is None:
        found = rows(connection, SQL["oldest_open_task"], place)
    else:
        types = values.encode(list(claim.types)).decode()
        found = rows(connection, SQL["oldest_open_task_of"], {**place, "types": types})
    if not found:
        return TaskChange(None, False, tuple(reached))
    task = task_changes.claimed(task_of(found[0]), claim)
    save(connection, task)
    connection.execute(SQL["put_lease"], {**_place(task), "due": claim.lease_until})
    return TaskChange(task, True, tuple(reached))


def _heartbeat(connection: apsw.Connection, wanted: tuple[str, str, bytes, int, int]) -> bool:
    workspace, id, token, lease_until, now = wanted
    task = _get(connection, workspace, id)
    if task is None or not task_changes.held_by(task, token, now):
        return False
    save(connection, task_changes.prolonged(task, lease_until, now))
    connection.execute(SQL["put_lease"], {**_place(task), "due": lease_until})
    return True


def _complete(connection: apsw.Connection, wanted: tuple[str, str, TaskDelivery]) -> TaskChange:
    workspace, id, delivery = wanted
    task = _get(connection, workspace, id)
    if task is None or not task_changes.held_by(task, delivery.token, delivery.now):
        return TaskChange(task)
    return _changed(connection, task, task_changes.delivered(task, delivery), delivery.now)


def _fail(connection: apsw.Connection, wanted: tuple[str, str, TaskFailure]) -> TaskChange:
    workspace, id, failure = wanted
    task = _get(connection, workspace, id)
    if task is None or not task_changes.held_by(task, failure.token, failure.now):
        return TaskChange(task)
    return _changed(connection, task, task_changes.given_up(task, failure), failure.now)


def _decide(connection: apsw.Connection, wanted: tuple[str, str, TaskVerdict]) -> TaskChange:
    workspace, id, verdict = wanted
    task = _get(connection, workspace, id)
    if task is None or task.status is not TaskStatus.REVIEW:
        return TaskChange(task)
    return _changed(connection, task, task_changes.decided(task, verdict), verdict.now)


def _changed(connection: apsw.Connection, before: Task, after: Task, now: int) -> TaskChange:
    """Write a change, and what it costs."""
    reached = _write(connection, after)
    if after.cost > before.cost:
        costs.charge(connection, key(after.workspace), key(after.run), after.path, after.cost - before.cost, now)
    return TaskChange(after, True, tuple(reached))


def _write(connection: apsw.Connection, task: Task) -> list[Reached]:
    """Write a task whose claim goes on no longer. Its run sees to it, unless a person has to first."""
    save(connection, task)
    connection.execute(SQL["drop_lease"], _place(task))
    if task.status is TaskStatus.REVIEW:
        return []
    return run_ends.signal(connection, key(task.workspace), key(task.run))


def _get(connection: apsw.Connection, workspace: str, id: str) -> Task | None:
    found = rows(connection, SQL["get_task"], {"workspace": key(workspace), "id": key(id)})
    return task_of(found[0]) if found else None


def _place(task: Task) -> Bindings:
    return {"workspace": key(task.workspace), "run": key(task.run), "path": task.path}
