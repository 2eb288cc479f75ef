"""Connectors that were made from documents, in SQLite."""

import zlib
from collections.abc import Sequence
from typing import Any

import apsw

from stepwell.store.rows_connectors import StoredConnector
from stepwell.store.sql import load
from stepwell.store.sqlite.database import Database

SQL = load("connectors.sql")


class SqliteConnectors:
    """The verbs on connectors; see store.port_connectors.StoredConnectors."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, connector: StoredConnector, *, replace: bool) -> bool:
        manifest = zlib.compress(connector.manifest, 1)
        row = {
            "name": connector.name,
            "title": connector.title,
            "source": connector.source,
            "manifest": manifest,
            "skipped": zlib.compress(connector.skipped),
            "now": connector.updated_at,
        }
        wanted = ("replace_connector" if replace else "insert_connector", row)
        return await self._database.write(_change, wanted, size=len(manifest))

    async def delete(self, name: str) -> bool:
        return await self._database.write(_change, ("delete_connector", {"name": name}))

    async def get(self, name: str) -> StoredConnector | None:
        rows = self._database.read(SQL["get_connector"], {"name": name})
        return _connector(rows[0]) if rows else None

    async def all(self) -> list[StoredConnector]:
        return [_connector(row) for row in self._database.read(SQL["list_connectors"], {})]


def _change(connection: apsw.Connection, wanted: tuple[str, dict[str, Any]]) -> bool:
    name, bindings = wanted
    connection.execute(SQL[name], bindings)
    return connection.changes() > 0


def _connector(row: Sequence[Any]) -> StoredConnector:
    return StoredConnector(
        name=row[0],
        title=row[1],
        source=row[2],
        manifest=zlib.decompress(row[3]),
        skipped=zlib.decompress(row[4]),
        created_at=row[5],
        updated_at=row[6],
    )
