"""The log of triggers in SQLite."""

from collections.abc import Sequence
from typing import Any

from stepwell.store.rows_invocations import Invocation, InvocationFilter
from stepwell.store.sql import load
from stepwell.store.sqlite.codec import key, key_or_none, listed, listed_keys, text, text_or_none
from stepwell.store.sqlite.database import Database

SQL = load("invocations.sql")
_HIGHEST = b"\xff" * 16


class SqliteInvocations:
    """The verbs on the log of triggers; see store.port_invocations.Invocations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, wanted: InvocationFilter) -> tuple[list[Invocation], int]:
        bindings = {
            "workspace": key(wanted.workspace),
            "triggers": listed_keys(wanted.triggers),
            "slugs": listed(wanted.slugs),
            "sources": listed(wanted.sources),
            "provided": wanted.provided,
            "statuses": listed(wanted.statuses),
            "end_user": key_or_none(wanted.end_user),
        }
        place = {
            "before": _HIGHEST if wanted.before is None else key(wanted.before),
            "offset": wanted.offset,
            "limit": wanted.limit,
        }
        total: int = (await self._database.read_apart(SQL["count_invocations"], bindings))[0][0]
        found = await self._database.read_apart(SQL["list_invocations"], {**bindings, **place}) if wanted.limit else []
        return [_invocation(row) for row in found], total


def _invocation(row: Sequence[Any]) -> Invocation:
    return Invocation(
        id=text(row[0]),
        trigger=text(row[1]),
        slug=row[2],
        source=row[3],
        status=row[4],
        reason=row[5],
        workflow=text_or_none(row[6]),
        run=text_or_none(row[7]),
        delivery=text_or_none(row[8]),
        place=_place(row[9]) if row[8] is not None else None,
        payload=row[10],
        end_user=text_or_none(row[11]),
        duration_ms=row[12],
        replay_of=text_or_none(row[13]),
    )


def _place(firing_key: str | None) -> int | None:
    """Which of a delivery's events a firing was for: the end of its key."""
    end = "" if firing_key is None else firing_key.rpartition(":")[2]
    return int(end) if end.isdigit() else None
