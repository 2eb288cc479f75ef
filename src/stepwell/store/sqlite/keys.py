"""Workspaces and API keys in SQLite."""

from collections.abc import Sequence
from typing import Any

import apsw

from stepwell.store.rows import Key, Workspace
from stepwell.store.sql import load
from stepwell.store.sqlite import unique
from stepwell.store.sqlite.codec import key as pack
from stepwell.store.sqlite.codec import text
from stepwell.store.sqlite.database import Database

SQL = load("keys.sql")
_HIGHEST = b"\xff" * 16


class SqliteKeys:
    """The verbs on workspaces and keys; see store.port.Keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_workspace(self, workspace: Workspace) -> None:
        bindings = {"id": pack(workspace.id), "name": workspace.name, "settings": workspace.settings}
        await self._database.write(_change, ("insert_workspace", bindings))

    async def switch_workspace(self, workspace: str, now: int, *, paused: bool) -> bool:
        return await self._database.write(
            _change, ("switch_workspace", {"id": pack(workspace), "now": now, "paused": paused})
        )

    async def paused_workspaces(self) -> list[str]:
        return [text(id) for (id,) in self._database.read(SQL["paused_workspaces"], {})]

    async def create(self, key: Key) -> None:
        await self._database.write(_create, key)

    async def revoke(self, workspace: str, key: str, now: int) -> bool:
        bindings = {"workspace": pack(workspace), "id": pack(key), "now": now}
        return await self._database.write(_change, ("revoke_key", bindings))

    async def touch(self, workspace: str, key: str, now: int) -> None:
        bindings = {"workspace": pack(workspace), "id": pack(key), "now": now}
        await self._database.write(_change, ("touch_key", bindings))

    async def vault_probe(self, sealed: bytes) -> bytes:
        return await self._database.write(_vault_probe, {"probe": sealed})

    async def workspace(self, workspace: str) -> Workspace | None:
        rows = self._database.read(SQL["get_workspace"], {"id": pack(workspace)})
        return _workspace(rows[0]) if rows else None

    async def workspaces(self) -> list[Workspace]:
        return [_workspace(row) for row in self._database.read(SQL["list_workspaces"], {})]

    async def find(self, hash: bytes) -> Key | None:
        rows = self._database.read(SQL["find_key"], {"hash": hash})
        return _key(rows[0]) if rows else None

    async def page(self, workspace: str, *, before: str | None, limit: int) -> list[Key]:
        bindings = {
            "workspace": pack(workspace),
            "before": _HIGHEST if before is None else pack(before),
            "limit": limit,
        }
        return [_key(row) for row in self._database.read(SQL["list_keys"], bindings)]


def _create(connection: apsw.Connection, key: Key) -> None:
    row = {
        "workspace": pack(key.workspace),
        "id": pack(key.id),
        "hash": key.hash,
        "prefix": key.prefix,
        "name": key.name,
        "scopes": " ".join(key.scopes),
        "dialect": key.dialect,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }
    unique.execute(connection, SQL["insert_key"], row, "This key already exists")


def _vault_probe(connection: apsw.Connection, bindings: dict[str, Any]) -> bytes:
    connection.execute(SQL["keep_probe"], bindings)
    probe: Any = connection.execute(SQL["get_probe"]).fetchall()[0][0]
    return bytes(probe)


def _change(connection: apsw.Connection, wanted: tuple[str, dict[str, Any]]) -> bool:
    name, bindings = wanted
    connection.execute(SQL[name], bindings)
    return connection.changes() > 0


def _workspace(row: Sequence[Any]) -> Workspace:
    settings = row[2] if isinstance(row[2], bytes) else row[2].encode()  # the default of an old row is text
    return Workspace(text(row[0]), row[1], settings, row[3], row[4])


def _key(row: Sequence[Any]) -> Key:
    return Key(
        workspace=text(row[0]),
        id=text(row[1]),
        hash=row[2],
        prefix=row[3],
        name=row[4],
        scopes=tuple(row[5].split()),
        dialect=row[6],
        expires_at=row[7],
        last_used_at=row[8],
        revoked_at=row[9],
    )
