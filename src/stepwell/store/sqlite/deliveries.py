"""Inbound requests in SQLite, and which events they brought."""

from collections.abc import Sequence
from typing import Any

import apsw
import msgspec

from stepwell import ids
from stepwell.store.rows_triggers import Delivery, DeliveryFilter
from stepwell.store.sql import load
from stepwell.store.sqlite.codec import key, key_or_none, text, text_or_none
from stepwell.store.sqlite.database import Database, rows

SQL = load("deliveries.sql")
_HIGHEST = b"\xff" * 16


class SqliteDeliveries:
    """The verbs on deliveries; see store.port_triggers.Deliveries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def receive(self, delivery: Delivery, route: str, keys: tuple[str, ...], *, since: int) -> str | None:
        wanted = (delivery, route, keys, since)
        return await self._database.write(_receive, wanted, guarded=False, size=len(delivery.body) + 500)

    async def close(self, workspace: str, delivery: str, expected: int) -> bool:
        bindings = {"workspace": key(workspace), "id": key(delivery), "expected": expected}
        return bool(await self._database.write(_change, ("close_delivery", bindings), guarded=False))

    async def settle(self, workspace: str, delivery: str, status: str, reason: str | None) -> None:
        bindings = {"workspace": key(workspace), "id": key(delivery), "status": status, "reason": reason}
        await self._database.write(_change, ("settle_delivery", bindings), guarded=False)

    async def prune(self, before: str, limit: int) -> int:
        return await self._database.write(_change, ("prune_deliveries", {"before": key(before), "limit": limit}))

    async def prune_rejected(self, workspace: str, keep: int, limit: int) -> int:
        place = {"workspace": key(workspace), "keep": keep, "limit": limit}
        statuses = ("rejected", "duplicate")
        return sum(
            [await self._database.write(_change, ("prune_rejected", {**place, "status": each})) for each in statuses]
        )

    async def forget_keys(self, before: int, limit: int) -> int:
        return await self._database.write(_change, ("forget_events", {"before": before, "limit": limit}))

    async def get(self, workspace: str, delivery: str) -> Delivery | None:
        found = self._database.read(SQL["get_delivery"], {"workspace": key(workspace), "id": key(delivery)})
        return _delivery(workspace, found[0]) if found else None

    async def page(self, wanted: DeliveryFilter) -> list[Delivery]:
        bindings = {
            "workspace": key(wanted.workspace),
            "provider": wanted.provider,
            "status": wanted.status,
            "workflow": key_or_none(wanted.workflow),
            "before": _HIGHEST if wanted.before is None else key(wanted.before),
            "limit": wanted.limit,
        }
        return [_delivery(wanted.workspace, row) for row in self._database.read(SQL["list_deliveries"], bindings)]

    async def keys_of(self, workspace: str, route: str, delivery: str) -> tuple[str, ...]:
        bindings = {"workspace": key(workspace), "route": route, "delivery": key(delivery)}
        return tuple(row[0] for row in self._database.read(SQL["events_of_delivery"], bindings))

    async def pending(self, before: str, limit: int) -> list[Delivery]:
        found = self._database.read(SQL["pending_deliveries"], {"before": key(before), "limit": limit})
        return [_delivery(text(row[-1]), row) for row in found]


def _receive(connection: apsw.Connection, wanted: tuple[Delivery, str, tuple[str, ...], int]) -> str | None:
    """An event that arrived before keeps its delivery; a delivery that brings none of its own is a duplicate."""
    delivery, route, events, since = wanted
    workspace, id = key(delivery.workspace), key(delivery.id)
    event: dict[str, Any] = {"workspace": workspace, "route": route, "delivery": id, "since": since}
    event["at"] = ids.created_ms(delivery.id)
    new = 0
    for each in events:
        connection.execute(SQL["take_arrival"], {**event, "key": each})
        new += connection.changes()
    first = None
    if events and not new:
        first = text(rows(connection, SQL["holder_of_event"], {**event, "key": events[0]})[0][0])
        delivery = msgspec.structs.replace(delivery, status="duplicate", duplicate_of=first, pending=False)
    connection.execute(SQL["insert_delivery"], _columns(delivery))
    return first


def _change(connection: apsw.Connection, wanted: tuple[str, dict[str, Any]]) -> int:
    connection.execute(SQL[wanted[0]], wanted[1])
    return connection.changes()


def _columns(delivery: Delivery) -> dict[str, Any]:
    return {
        "workspace": key(delivery.workspace),
        "id": key(delivery.id),
        "status": delivery.status,
        "reason": delivery.reason,
        "provider": delivery.provider,
        "trigger": key_or_none(delivery.trigger),
        "pending": delivery.pending,
        "event_type": delivery.event_type,
        "duplicate_of": key_or_none(delivery.duplicate_of),
        "method": delivery.method,
        "path": delivery.path,
        "query": delivery.query,
        "headers": delivery.headers,
        "body": delivery.body,
    }


def _delivery(workspace: str, row: Sequence[Any]) -> Delivery:
    return Delivery(
        workspace=workspace,
        id=text(row[0]),
        status=row[1],
        provider=row[2],
        method=row[3],
        path=row[4],
        query=row[5],
        headers=row[6],
        reason=row[7],
        trigger=text_or_none(row[8]),
        pending=bool(row[9]),
        event_type=row[10],
        duplicate_of=text_or_none(row[11]),
        body=row[12] if len(row) > 12 else b"",
    )
