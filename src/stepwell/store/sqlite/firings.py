"""Firings in SQLite: what starts a run writes with it, and what is told of those that started none."""

from collections.abc import Sequence
from typing import Any

import apsw

from stepwell import ids
from stepwell.store.rows_triggers import Firing, FiringFilter
from stepwell.store.sql import load
from stepwell.store.sqlite.codec import key, key_or_none, listed, text, text_or_none
from stepwell.store.sqlite.database import Database, rows

SQL = load("firings.sql")
MOST_REFUSED = 10  # starts in a row; Flowra contract 5.4
_HIGHEST = b"\xff" * 16


def take(connection: apsw.Connection, firing: Firing, arrival: tuple[str, str] | None) -> str | None:
    """Keep the firing that starts a run. None if it does; else the run of the firing that was there before, empty if
    that started none or if the event belongs to another delivery."""
    bindings = _columns(firing)
    if arrival is not None:
        event = {"workspace": bindings["workspace"], "route": arrival[0], "key": arrival[1]}
        if rows(connection, SQL["delivery_of_event"], event) != [(bindings["delivery"],)]:
            return ""
    connection.execute(SQL["insert_firing"], bindings)
    if not connection.changes():
        found = rows(connection, SQL["run_of_firing"], bindings)
        return text(found[0][0]) if found and found[0][0] else ""
    connection.execute(SQL["count_started"], _counted(firing))
    return None


def record(connection: apsw.Connection, firings: Sequence[Firing]) -> None:
    """Keep firings that started nothing, and count those that failed."""
    for firing in firings:
        connection.execute(SQL["insert_firing"], _columns(firing))
        if connection.changes() and firing.status == "failed":
            connection.execute(SQL["count_refused"], {**_counted(firing), "most": MOST_REFUSED})


def get(database: Database, workspace: str, firing: str) -> Firing | None:
    """One firing."""
    found = database.read(SQL["get_firing"], {"workspace": key(workspace), "id": key(firing)})
    return _firing(workspace, found[0]) if found else None


def of_key(database: Database, workspace: str, trigger: str, workflow: str, its_key: str) -> Firing | None:
    """The firing of a key."""
    place = {"workspace": key(workspace), "trigger": key(trigger), "workflow": key(workflow), "key": its_key}
    found = database.read(SQL["firing_of_key"], place)
    return _firing(workspace, found[0]) if found else None


def of_trigger(database: Database, workspace: str, trigger: str, before: str | None, limit: int) -> list[Firing]:
    """The newest firings of a trigger."""
    place = {
        "workspace": key(workspace),
        "trigger": key(trigger),
        "before": _HIGHEST if before is None else key(before),
    }
    found = database.read(SQL["list_firings_of_trigger"], {**place, "limit": limit})
    return [_firing(workspace, row) for row in found]


def page(database: Database, wanted: FiringFilter) -> tuple[list[Firing], int]:
    """A page, and how many there are in all."""
    bindings = {
        "workspace": key(wanted.workspace),
        "workflow": key_or_none(wanted.workflow),
        "delivery": key_or_none(wanted.delivery),
        "end_user": key_or_none(wanted.end_user),
        "triggers": listed(None if wanted.triggers is None else [key(each).hex().upper() for each in wanted.triggers]),
        "sources": listed(wanted.sources),
        "statuses": listed(wanted.statuses),
        "slugs": listed(wanted.slugs),
    }
    place = {"before": _HIGHEST if wanted.before is None else key(wanted.before), "offset": wanted.offset}
    found = database.read(SQL["list_firings"], {**bindings, **place, "limit": wanted.limit})
    total: int = database.read(SQL["count_firings"], bindings)[0][0]
    return [_firing(wanted.workspace, row) for row in found], total


def _counted(firing: Firing) -> dict[str, Any]:
    return {"workspace": key(firing.workspace), "trigger": key(firing.trigger), "at": ids.created_ms(firing.id)}


def _columns(firing: Firing) -> dict[str, Any]:
    return {
        "workspace": key(firing.workspace),
        "id": key(firing.id),
        "trigger": key(firing.trigger),
        "slug": firing.slug,
        "workflow": key_or_none(firing.workflow),
        "key": firing.key,
        "source": firing.source,
        "status": firing.status,
        "reason": firing.reason,
        "run": key_or_none(firing.run),
        "scheduled_at": firing.scheduled_at,
        "delivery": key_or_none(firing.delivery),
        "payload": firing.payload,
        "end_user": key_or_none(firing.end_user),
        "duration_ms": firing.duration_ms,
        "replay_of": key_or_none(firing.replay_of),
    }


def _firing(workspace: str, row: Sequence[Any]) -> Firing:
    return Firing(
        workspace=workspace,
        id=text(row[0]),
        trigger=text(row[1]),
        slug=row[2],
        workflow=text_or_none(row[3]),
        key=row[4],
        source=row[5],
        status=row[6],
        reason=row[7],
        run=text_or_none(row[8]),
        scheduled_at=row[9],
        delivery=text_or_none(row[10]),
        payload=row[11],
        end_user=text_or_none(row[12]),
        duration_ms=row[13],
        replay_of=text_or_none(row[14]),
    )
