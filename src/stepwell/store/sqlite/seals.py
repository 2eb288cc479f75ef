"""Sealed values of all tables, in SQLite."""

from collections.abc import Callable
from typing import Any

import apsw

from stepwell.store.port_seals import Seal, SealKind
from stepwell.store.sql import load
from stepwell.store.sqlite.codec import key, text
from stepwell.store.sqlite.database import Database

SQL = load("seals.sql")
_Pair = tuple[Callable[[Any], str], Callable[[str], Any]]
_ID: _Pair = (text, key)
_TEXT: _Pair = (str, str)
_HASH: _Pair = (bytes.hex, bytes.fromhex)
_NAMES: dict[str, tuple[_Pair, ...]] = {
    "secrets": (_ID, _TEXT),
    "outbox": (_TEXT,),
    "oauth_grants": (_HASH,),
    "repeats": (_TEXT, _TEXT),
}


class SqliteSeals:
    """The verbs on sealed values; see store.port_seals.Seals."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, kind: SealKind, head: bytes, *, offset: int, limit: int) -> list[Seal]:
        found = self._database.read(SQL[f"of_{kind}"], {"head": head, "offset": offset, "limit": limit})
        read = [shown for shown, _ in _NAMES.get(kind, (_ID,))]
        return [
            Seal(kind, text(row[0]), tuple(show(value) for show, value in zip(read, row[1:-1], strict=True)), row[-1])
            for row in found
        ]

    async def replace(self, changed: tuple[tuple[Seal, bytes], ...]) -> int:
        return await self._database.write_anew(_replace, changed, size=sum(len(new) for _, new in changed))

    async def counts(self, head: bytes) -> dict[SealKind, int]:
        return {kind: count for kind, count in self._database.read(SQL["count_seals"], {"head": head}) if count}

    async def replace_probe(self, old: bytes, new: bytes) -> bool:
        return await self._database.write(_replace_probe, {"old": old, "new": new})


def _replace(connection: apsw.Connection, changed: tuple[tuple[Seal, bytes], ...]) -> int:
    count = 0
    for seal, new in changed:
        kept = [packed(name) for (_, packed), name in zip(_NAMES.get(seal.kind, (_ID,)), seal.names, strict=True)]
        bindings = {"workspace": key(seal.workspace), "old": seal.sealed, "new": new}
        connection.execute(SQL[f"put_{seal.kind}"], bindings | dict(zip("ab", kept, strict=False)))
        count += connection.changes()
    return count


def _replace_probe(connection: apsw.Connection, bindings: dict[str, Any]) -> bool:
    connection.execute(SQL["put_probe"], bindings)
    return connection.changes() > 0
