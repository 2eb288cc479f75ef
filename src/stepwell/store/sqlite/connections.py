"""Connections and what their simulators have counted, in SQLite."""

from collections.abc import Sequence
from typing import Any

import apsw

from stepwell import ids
from stepwell.errors import NotFound
from stepwell.store.rows import Connection
from stepwell.store.sql import load
from stepwell.store.sqlite import unique
from stepwell.store.sqlite.codec import key, text
from stepwell.store.sqlite.database import Database

SQL = load("connections.sql")
_HIGHEST = b"\xff" * 16


class SqliteConnections:
    """The verbs on connections; see store.port.Connections."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, connection: Connection) -> None:
        await self._database.write(_put, ("insert_connection", _columns(connection)))

    async def save(self, changed: Connection, *, seen: int) -> bool:
        return await self._database.write(_put, ("save_connection", {**_columns(changed), "seen": seen}))

    async def delete(self, workspace: str, connection: str) -> bool:
        return await self._database.write(_delete, {"workspace": key(workspace), "id": key(connection)})

    async def count(self, workspace: str, connection: str, operation: str, kind: str) -> int:
        bindings = {"workspace": key(workspace), "id": key(connection), "operation": operation, "kind": kind}
        return await self._database.write(_count, bindings)

    async def get(self, workspace: str, reference: str) -> Connection | None:
        scope = {"workspace": key(workspace)}
        uuid = ids.parse(reference)
        rows = self._database.read(SQL["get_connection"], {**scope, "id": key(uuid)}) if uuid else []
        rows = rows or self._database.read(SQL["get_connection_by_slug"], {**scope, "slug": reference})
        return _connection(workspace, rows[0]) if rows else None

    async def page(
        self, workspace: str, *, provider: str | None, status: str | None, before: str | None, limit: int
    ) -> list[Connection]:
        bindings = {
            "workspace": key(workspace),
            "provider": provider,
            "status": status,
            "before": _HIGHEST if before is None else key(before),
            "limit": limit,
        }
        return [_connection(workspace, row) for row in self._database.read(SQL["list_connections"], bindings)]

    async def candidates(self, workspace: str, providers: tuple[str, ...]) -> list[Connection]:
        scope = {"workspace": key(workspace)}
        found = [
            _connection(workspace, row)
            for provider in dict.fromkeys(providers)
            for row in self._database.read(SQL["active_connections"], {**scope, "provider": provider})
        ]
        return sorted(found, key=lambda connection: connection.id)


def _put(connection: apsw.Connection, wanted: tuple[str, dict[str, Any]]) -> bool:
    name, row = wanted
    taken = f"A connection with the slug {row['slug']} already exists"
    applied = unique.execute(connection, SQL[name], row, taken) > 0
    if applied and row["is_default"]:
        connection.execute(SQL["clear_default"], row)
    return applied


def _delete(connection: apsw.Connection, target: dict[str, Any]) -> bool:
    connection.execute(SQL["delete_connection"], target)
    if not connection.changes():
        return False
    connection.execute(SQL["delete_simulations"], target)
    return True


def _count(connection: apsw.Connection, bindings: dict[str, Any]) -> int:
    connection.execute(SQL["count_operation"], bindings)
    rows: list[Any] = connection.execute(SQL["get_number"], bindings).fetchall()
    if not rows:
        raise NotFound("Connection not found")
    number: int = rows[0][0]
    return number


def _columns(connection: Connection) -> dict[str, Any]:
    return {
        "workspace": key(connection.workspace),
        "id": key(connection.id),
        "slug": connection.slug,
        "name": connection.name,
        "provider": connection.provider,
        "status": connection.status,
        "mode": connection.mode,
        "is_default": connection.is_default,
        "base_url": connection.base_url,
        "external_account_id": connection.external_account_id,
        "updated_at": connection.updated_at,
        "sealed": connection.sealed,
    }


def _connection(workspace: str, row: Sequence[Any]) -> Connection:
    return Connection(
        workspace=workspace,
        id=text(row[0]),
        slug=row[1],
        name=row[2],
        provider=row[3],
        status=row[4],
        mode=row[5],
        is_default=bool(row[6]),
        base_url=row[7],
        external_account_id=row[8],
        updated_at=row[9],
        sealed=row[10],
    )
