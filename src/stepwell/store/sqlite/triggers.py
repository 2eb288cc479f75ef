"""Triggers in SQLite: their rows, who names them, when they are due."""

from collections.abc import Sequence
from typing import Any

import apsw

from stepwell.store.rows_triggers import Firing, FiringFilter, Trigger, TriggerFilter
from stepwell.store.sql import load
from stepwell.store.sqlite import firings
from stepwell.store.sqlite.codec import key, key_or_none, listed, listed_keys, text, text_or_none
from stepwell.store.sqlite.database import Database, rows

SQL = load("triggers.sql")
_HIGHEST = b"\xff" * 16


class SqliteTriggers:
    """The verbs on triggers and firings; see store.port_triggers.Triggers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def upsert(self, wanted: Trigger) -> tuple[Trigger, bool]:
        return await self._database.write_anew(_upsert, wanted, size=len(wanted.config))

    async def save(self, changed: Trigger, *, seen: int) -> bool:
        return await self._database.write_anew(_change, ("save_trigger", {**columns(changed), "seen": seen}))

    async def delete(self, workspace: str, trigger: str) -> bool:
        target = {"workspace": key(workspace), "id": key(trigger), "target": trigger}
        return await self._database.write_anew(_delete, target)

    async def arm(self, workspace: str, trigger: str, scheduled_at: int | None, next_at: int | None) -> bool:
        bindings = {"workspace": key(workspace), "id": key(trigger), "scheduled_at": scheduled_at, "next_at": next_at}
        return await self._database.write(_change, ("arm_trigger", bindings))

    async def advance(self, changed: Trigger, *, seen: int | None) -> bool:
        return await self._database.write_anew(_change, ("advance_trigger", {**columns(changed), "seen": seen}))

    async def link(self, workspace: str, workflow: str, targets: tuple[str, ...]) -> None:
        await self._database.write(_link, (key(workspace), key(workflow), targets))

    async def record(self, found: tuple[Firing, ...]) -> None:
        size = sum(len(firing.payload or b"") for firing in found)
        write = self._database.write_anew if any(each.status == "failed" for each in found) else self._database.write
        await write(firings.record, found, size=size)  # ten that failed switch their trigger off

    async def prune_firings(self, before: str, limit: int) -> int:
        return await self._database.write(_prune, {"before": key(before), "limit": limit})

    async def get(self, workspace: str, trigger: str) -> Trigger | None:
        found = self._database.read(SQL["get_trigger"], {"workspace": key(workspace), "id": key(trigger)})
        return _trigger(workspace, found[0]) if found else None

    async def find(self, trigger: str) -> Trigger | None:
        found = self._database.read(SQL["find_trigger"], {"id": key(trigger)})
        return _trigger(text(found[0][-1]), found[0]) if len(found) == 1 else None

    async def page(self, wanted: TriggerFilter) -> tuple[list[Trigger], int]:
        bindings = {
            "workspace": key(wanted.workspace),
            "instances": wanted.instances,
            "end_user": key_or_none(wanted.end_user),
            "ids": listed_keys(wanted.ids),
            "slugs": listed(wanted.slugs),
            "workflows": listed_keys(wanted.workflows),
            "connections": listed_keys(wanted.connections),
            "auth_configs": listed_keys(wanted.auth_configs),
            "statuses": listed(wanted.statuses),
        }
        place = {"before": _HIGHEST if wanted.before is None else key(wanted.before), "offset": wanted.offset}
        found = self._database.read(SQL["list_triggers"], {**bindings, **place, "limit": wanted.limit})
        total: int = self._database.read(SQL["count_triggers"], bindings)[0][0]
        return [_trigger(wanted.workspace, row) for row in found], total

    async def of_workflow(self, workspace: str, workflow: str) -> list[Trigger]:
        return self._all("triggers_of_workflow", workspace, workflow=key(workflow))

    async def of_connection(self, workspace: str, connection: str) -> list[Trigger]:
        return self._all("triggers_of_connection", workspace, connection=key(connection))

    async def hooks(self, workspace: str, *, provider: str | None = None, path: str | None = None) -> list[Trigger]:
        def read() -> list[Trigger]:
            if provider is not None:
                return self._all("hooks_of_provider", workspace, provider=provider)
            return self._all("hooks_of_path", workspace, path=path)

        return self._database.recall(("hooks", workspace, provider, path), read)

    async def linked(self, workspace: str, targets: tuple[str, ...]) -> list[str]:
        found = self._database.read(SQL["linked"], {"workspace": key(workspace), "targets": listed(targets)})
        return [text(row[0]) for row in found]

    async def due(self, now: int, limit: int) -> list[Trigger]:
        found = self._database.read(SQL["due_triggers"], {"now": now, "limit": limit})
        return [_trigger(text(row[-1]), row) for row in found]

    async def next_due(self) -> int | None:
        due: int | None = self._database.read(SQL["next_due"], {})[0][0]
        return due

    async def unarmed(self, after: str | None, limit: int) -> list[Trigger]:
        bindings = {"after": b"" if after is None else key(after), "limit": limit}
        found = self._database.read(SQL["unarmed_triggers"], bindings)
        return [_trigger(text(row[-1]), row) for row in found]

    async def firing(self, workspace: str, firing: str) -> Firing | None:
        return firings.get(self._database, workspace, firing)

    async def fired(self, workspace: str, trigger: str, workflow: str, key: str) -> Firing | None:
        return firings.of_key(self._database, workspace, trigger, workflow, key)

    async def history(self, workspace: str, trigger: str, before: str | None, limit: int) -> list[Firing]:
        return firings.of_trigger(self._database, workspace, trigger, before, limit)

    async def firings(self, wanted: FiringFilter) -> tuple[list[Firing], int]:
        return firings.page(self._database, wanted)

    async def open_runs(self, workspace: str, trigger: str, limit: int) -> list[str]:
        bindings = {"workspace": key(workspace), "trigger": key(trigger), "limit": limit}
        return [text(row[0]) for row in self._database.read(firings.SQL["open_runs_of_trigger"], bindings)]

    async def last_ends(self, workspace: str, trigger: str, limit: int, *, after: str) -> list[str]:
        bindings = {"workspace": key(workspace), "trigger": key(trigger), "after": key(after), "limit": limit}
        return [row[0] for row in self._database.read(firings.SQL["last_ends_of_trigger"], bindings)]

    def _all(self, name: str, workspace: str, **bindings: Any) -> list[Trigger]:
        found = self._database.read(SQL[name], {"workspace": key(workspace), **bindings})
        return [_trigger(workspace, row) for row in found]


def put(connection: apsw.Connection, workspace: str, workflow: str, own: Trigger | None) -> None:
    """Write the trigger of a workflow's document, or that it has none; called in the transaction that saves it."""
    if own is None:
        place = {"workspace": key(workspace), "workflow": key(workflow), "all": 0}
        connection.execute(SQL["delete_of_workflow"], place)
    else:
        connection.execute(SQL["put_trigger"], columns(own))


def disarm(connection: apsw.Connection, workspace: bytes, workflow: bytes) -> None:
    """Nothing of a workflow is due any more; called in the transaction that stops it."""
    connection.execute(SQL["disarm_workflow"], {"workspace": workspace, "workflow": workflow})


def _upsert(connection: apsw.Connection, wanted: Trigger) -> tuple[Trigger, bool]:
    stored = _trigger(wanted.workspace, rows(connection, SQL["upsert_trigger"], columns(wanted))[0])
    return stored, stored.id == wanted.id


def _delete(connection: apsw.Connection, target: dict[str, Any]) -> bool:
    connection.execute(SQL["unlink_target"], target)
    connection.execute(SQL["delete_trigger"], target)
    return connection.changes() > 0


def _link(connection: apsw.Connection, wanted: tuple[bytes, bytes, tuple[str, ...]]) -> None:
    workspace, workflow, targets = wanted
    place = {"workspace": workspace, "workflow": workflow}
    connection.execute(SQL["unlink_workflow"], place)
    for target in targets:
        connection.execute(SQL["link"], {**place, "target": target})


def _change(connection: apsw.Connection, wanted: tuple[str, dict[str, Any]]) -> bool:
    connection.execute(SQL[wanted[0]], wanted[1])
    return connection.changes() > 0


def _prune(connection: apsw.Connection, bindings: dict[str, Any]) -> int:
    connection.execute(firings.SQL["prune_firings"], bindings)
    return connection.changes()


def columns(trigger: Trigger) -> dict[str, Any]:
    """The columns of a row by name."""
    return {
        "workspace": key(trigger.workspace),
        "id": key(trigger.id),
        "kind": trigger.kind,
        "slug": trigger.slug,
        "workflow": key_or_none(trigger.workflow),
        "end_user": key_or_none(trigger.end_user),
        "connection": key_or_none(trigger.connection),
        "config": trigger.config,
        "provider": trigger.provider,
        "path": trigger.path,
        "sealed": trigger.sealed,
        "status": trigger.status,
        "reason": trigger.reason,
        "scheduled_at": trigger.scheduled_at,
        "next_at": trigger.next_at,
        "cursor": trigger.cursor,
        "refused_in_row": trigger.refused_in_row,
        "disabled_at": trigger.disabled_at,
        "updated_at": trigger.updated_at,
    }


def _trigger(workspace: str, row: Sequence[Any]) -> Trigger:
    return Trigger(
        workspace=workspace,
        id=text(row[0]),
        kind=row[1],
        slug=row[2],
        workflow=text_or_none(row[3]),
        instance=bool(row[4]),
        end_user=text_or_none(row[5]),
        connection=text_or_none(row[6]),
        config=row[7],
        provider=row[8],
        path=row[9],
        sealed=row[10],
        status=row[11],
        reason=row[12],
        scheduled_at=row[13],
        next_at=row[14],
        cursor=row[15],
        fired=row[16],
        refused=row[17],
        refused_in_row=row[18],
        last_fired_at=row[19],
        disabled_at=row[20],
        updated_at=row[21],
    )
