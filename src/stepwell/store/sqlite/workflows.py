"""Workflows, their versions and secrets in SQLite."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import apsw

from stepwell import ids
from stepwell.states import WorkflowStatus
from stepwell.store.rows import Secret, Version, Workflow
from stepwell.store.rows_triggers import Trigger
from stepwell.store.sql import load
from stepwell.store.sqlite import triggers, unique
from stepwell.store.sqlite.codec import key, text
from stepwell.store.sqlite.database import Database

SQL = load("workflows.sql")
MAX_FOUND = 1000
_HIGHEST = b"\xff" * 16

T = TypeVar("T")
A = TypeVar("A")


class SqliteWorkflows:
    """The verbs on workflows; see store.port.Workflows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._places: dict[str, tuple[str, str]] = {}  # by reference, as `find` tells them
        self._found: dict[tuple[str, str], Workflow] = {}  # by workspace and reference; nobody else writes the file

    async def _write(self, run: Callable[[apsw.Connection, A], T], argument: A, *, size: int = 0) -> T:
        try:
            return await self._database.write(run, argument, size=size)
        finally:
            self._places.clear()
            self._found.clear()  # before whoever asked for the change is answered
            self._database.forget()

    async def create(self, workflow: Workflow, document: bytes, created_by: str, own: Trigger | None = None) -> None:
        row = {**_columns(workflow), "document": document, "created_by": created_by, "own": own}
        await self._write(_create, row, size=len(document))

    async def save(
        self, changed: Workflow, document: bytes | None, created_by: str, own: Trigger | None = None, *, seen: int
    ) -> bool:
        row = {**_columns(changed), "document": document, "created_by": created_by, "seen": seen, "own": own}
        return await self._write(_save, row, size=len(document or b""))

    async def set_status(
        self, workspace: str, workflow: str, status: WorkflowStatus, allowed: frozenset[WorkflowStatus], now: int
    ) -> bool:
        bindings = {"workspace": key(workspace), "id": key(workflow), "status": status, "now": now}
        return await self._write(_set_status, (bindings, allowed))

    async def put_secret(self, workspace: str, workflow: str, secret: Secret, *, replace: bool) -> bool:
        bindings = {"workspace": key(workspace), "id": key(workflow), "name": secret.name, "sealed": secret.sealed}
        name = "replace_secret" if replace else "insert_secret"
        return await self._write(_change, (name, {**bindings, "updated_at": secret.updated_at}))

    async def delete_secret(self, workspace: str, workflow: str, name: str) -> bool:
        bindings = {"workspace": key(workspace), "id": key(workflow), "name": name}
        return await self._write(_change, ("delete_secret", bindings))

    async def get(self, workspace: str, reference: str) -> Workflow | None:
        found = self._found.get((workspace, reference))
        if found is None and (found := self._read(workspace, reference)) is not None:
            if len(self._found) >= MAX_FOUND:
                self._found.clear()
            self._found[workspace, reference] = found
        return found

    async def find(self, reference: str) -> tuple[str, str] | None:
        if (known := self._places.get(reference)) is not None:
            return known
        uuid = ids.parse(reference)
        rows = self._database.read(SQL["find_workflow"], {"id": key(uuid)}) if uuid else []
        rows = rows or self._database.read(SQL["find_workflow_by_slug"], {"slug": reference})
        if len(rows) != 1:
            return None
        if len(self._places) >= MAX_FOUND:
            self._places.clear()
        found = self._places[reference] = (text(rows[0][0]), text(rows[0][1]))
        return found

    def _read(self, workspace: str, reference: str) -> Workflow | None:
        scope = {"workspace": key(workspace)}
        uuid = ids.parse(reference)
        rows = self._database.read(SQL["get_workflow"], {**scope, "id": key(uuid)}) if uuid else []
        rows = rows or self._database.read(SQL["get_workflow_by_slug"], {**scope, "slug": reference})
        return workflow_row(workspace, rows[0]) if rows else None

    async def page(
        self, workspace: str, *, status: WorkflowStatus | None, search: str | None, before: str | None, limit: int
    ) -> list[Workflow]:
        bindings = {
            "workspace": key(workspace),
            "status": status,
            "search": None if search is None else search.casefold(),
            "before": _HIGHEST if before is None else key(before),
            "limit": limit,
        }
        return [workflow_row(workspace, row) for row in self._database.read(SQL["list_workflows"], bindings)]

    async def version(self, workspace: str, workflow: str, number: int) -> Version | None:
        bindings = {"workspace": key(workspace), "id": key(workflow), "number": number}
        rows = self._database.read(SQL["get_version"], bindings)
        return (
            Version(number=rows[0][0], created_at=rows[0][1], created_by=rows[0][2], document=rows[0][3])
            if rows
            else None
        )

    async def versions(self, workspace: str, workflow: str, *, before: int | None, limit: int) -> list[Version]:
        bindings = {"workspace": key(workspace), "id": key(workflow), "limit": limit}
        rows = self._database.read(SQL["list_versions"], {**bindings, "before": 2**62 if before is None else before})
        return [Version(number=row[0], created_at=row[1], created_by=row[2]) for row in rows]

    async def secrets(self, workspace: str, workflow: str) -> list[Secret]:
        def read() -> list[Secret]:
            rows = self._database.read(SQL["list_secrets"], {"workspace": key(workspace), "id": key(workflow)})
            return [Secret(*row) for row in rows]

        return self._database.recall(("secrets", workspace, workflow), read)


def _create(connection: apsw.Connection, row: dict[str, Any]) -> None:
    unique.execute(connection, SQL["insert_workflow"], row, _taken(row))
    connection.execute(SQL["insert_version"], row)
    _put_trigger(connection, row)


def _save(connection: apsw.Connection, row: dict[str, Any]) -> bool:
    if not unique.execute(connection, SQL["save_workflow"], row, _taken(row)):
        return False
    if row["document"] is not None:
        connection.execute(SQL["overwrite_version"], row)
        if not connection.changes():
            connection.execute(SQL["insert_version"], row)
        _put_trigger(connection, row)
    return True


def _put_trigger(connection: apsw.Connection, row: dict[str, Any]) -> None:
    triggers.put(connection, text(row["workspace"]), text(row["id"]), row["own"])


def _taken(row: dict[str, Any]) -> str:
    return f"A workflow with the slug {row['slug']} already exists"


def _set_status(connection: apsw.Connection, wanted: tuple[dict[str, Any], frozenset[WorkflowStatus]]) -> bool:
    bindings, allowed = wanted
    rows = connection.execute(SQL["get_workflow"], bindings).fetchall()
    if not rows or rows[0][5] not in allowed:
        return False
    connection.execute(SQL["set_status"], bindings)
    if bindings["status"] is not WorkflowStatus.ACTIVE:
        triggers.disarm(connection, bindings["workspace"], bindings["id"])
    return True


def _change(connection: apsw.Connection, wanted: tuple[str, dict[str, Any]]) -> bool:
    name, bindings = wanted
    connection.execute(SQL[name], bindings)
    return connection.changes() > 0


def _columns(workflow: Workflow) -> dict[str, Any]:
    return {
        "workspace": key(workflow.workspace),
        "id": key(workflow.id),
        "slug": workflow.slug,
        "name": workflow.name,
        "folded": workflow.name.casefold(),
        "description": workflow.description,
        "trigger": workflow.trigger,
        "status": workflow.status,
        "version": workflow.version,
        "activated": workflow.activated,
        "updated_at": workflow.updated_at,
        "canvas": workflow.canvas,
    }


def workflow_row(workspace: str, row: Sequence[Any]) -> Workflow:
    """A workflow as its statements give it, the canvas last if at all."""
    return Workflow(
        workspace=workspace,
        id=text(row[0]),
        slug=row[1],
        name=row[2],
        description=row[3],
        trigger=row[4],
        status=WorkflowStatus(row[5]),
        version=row[6],
        activated=bool(row[7]),
        updated_at=row[8],
        canvas=row[9] if len(row) > 9 else None,
    )
