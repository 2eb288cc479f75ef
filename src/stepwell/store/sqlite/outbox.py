"""The outbox in SQLite: errands of the server, due at a time."""

from typing import Any

import apsw

from stepwell.store.rows import Errand
from stepwell.store.sql import load
from stepwell.store.sqlite.codec import key, text
from stepwell.store.sqlite.database import Database

SQL = load("outbox.sql")


class SqliteOutbox:
    """The verbs on errands; see store.port.Outbox."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, workspace: str, operation: str, due: int, sealed: bytes) -> None:
        bindings = {"workspace": key(workspace), "operation": operation, "due": due, "sealed": sealed}
        await self._database.write(_change, ("put_errand", bindings), size=len(sealed))

    async def put_off(self, workspace: str, operation: str, due: int) -> bool:
        bindings = {"workspace": key(workspace), "operation": operation, "due": due}
        return await self._database.write(_change, ("put_off_errand", bindings))

    async def end(self, workspace: str, operation: str) -> bool:
        bindings = {"workspace": key(workspace), "operation": operation}
        return await self._database.write(_change, ("end_errand", bindings))

    async def due(self, now: int, limit: int) -> list[Errand]:
        found = self._database.read(SQL["due_errands"], {"now": now, "limit": limit})
        return [Errand(text(row[0]), *row[1:]) for row in found]

    async def next(self) -> int | None:
        due: int | None = self._database.read(SQL["next_errand"], {})[0][0]
        return due


def _change(connection: apsw.Connection, wanted: tuple[str, dict[str, Any]]) -> bool:
    connection.execute(SQL[wanted[0]], wanted[1])
    return connection.changes() > 0
