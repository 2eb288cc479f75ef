"""Connections and what their simulators have counted, in SQLite."""

from collections.abc import Sequence
from typing import Any

import apsw

from stepwell import ids
from stepwell.errors import NotFound
from stepwell.store.rows import Connection, ConnectionFilter
from stepwell.store.sql import load
from stepwell.store.sqlite import unique
from stepwell.store.sqlite.codec import key, key_or_none, listed, listed_keys, text, text_or_none
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

    async def page(self, wanted: ConnectionFilter) -> tuple[list[Connection], int]:
        bindings = {
            "workspace": key(wanted.workspace),
            "providers": listed(wanted.providers),
            "statuses": listed(wanted.statuses),
            "end_users": listed_keys(wanted.end_users),
            "auth_configs": listed_keys(wanted.auth_configs),
            "ids": listed_keys(wanted.ids),
        }
        place = {"before": _HIGHEST if wanted.before is None else key(wanted.before), "offset": wanted.offset}
        found = self._database.read(SQL["list_connections"], {**bindings, **place, "limit": wanted.limit})
        total: int = self._database.read(SQL["count_connections"], bindings)[0][0]
        return [_connection(wanted.workspace, row) for row in found], total

    async def candidates(
        self, workspace: str, providers: tuple[str, ...], end_user: str | None = None
    ) -> list[Connection]:
        scope = {"workspace": key(workspace), "end_user": key_or_none(end_user)}
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
        "end_user": key_or_none(connection.end_user),
        "auth_config": key_or_none(connection.auth_config),
        "reason": connection.reason,
        "expires_at": connection.expires_at,
        "checked_at": connection.checked_at,
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
        end_user=text_or_none(row[11]),
        auth_config=text_or_none(row[12]),
        reason=row[13],
        expires_at=row[14],
        checked_at=row[15],
    )
