"""Outbound endpoints and their messages in SQLite."""

from collections.abc import Callable, Sequence
from typing import Any

import apsw
import msgspec

from stepwell.store.rows import Run
from stepwell.store.rows_endpoints import Endpoint, EndpointMessage, MessageStatus
from stepwell.store.sql import load
from stepwell.store.sqlite.codec import key, key_or_none, text, text_or_none
from stepwell.store.sqlite.database import Database, rows
from stepwell.store.sqlite.file_connection import FileConnection

SQL = load("endpoints.sql")
_HIGHEST = b"\xff" * 16

_encode = msgspec.json.Encoder().encode
_run = msgspec.json.Decoder(Run).decode


class SqliteEndpoints:
    """The verbs on endpoints; see store.port_endpoints.Endpoints."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, endpoint: Endpoint, most: int) -> bool:
        return await self._database.write(_create, (endpoint, most))

    async def get(self, workspace: str, endpoint: str) -> Endpoint | None:
        found = self._database.read(SQL["get_endpoint"], {"workspace": key(workspace), "id": key(endpoint)})
        return _endpoint(workspace, found[0]) if found else None

    async def page(self, workspace: str, *, before: str | None, limit: int) -> list[Endpoint]:
        bindings = {"workspace": key(workspace), "before": _before(before), "limit": limit}
        return [_endpoint(workspace, row) for row in self._database.read(SQL["list_endpoints"], bindings)]

    async def save(self, changed: Endpoint, *, seen: int) -> bool:
        return await self._database.write(_change_endpoint, ("save_endpoint", {**_columns(changed), "seen": seen}))

    async def disable(self, workspace: str, endpoint: str, reason: str, now: int) -> bool:
        bindings = {"workspace": key(workspace), "id": key(endpoint), "reason": reason, "now": now}
        return await self._database.write(_change_endpoint, ("disable_endpoint", bindings))

    async def delete(self, workspace: str, endpoint: str) -> bool:
        bindings = {"workspace": key(workspace), "id": key(endpoint)}
        return await self._database.write(_change_endpoint, ("delete_endpoint", bindings))

    async def put(self, message: EndpointMessage) -> None:
        await self._database.write(_changes, ("insert_message", _message_columns(message)))

    async def message(self, workspace: str, endpoint: str, message: str) -> EndpointMessage | None:
        found = self._database.read(SQL["get_message"], _place(workspace, endpoint, message))
        return _message(found[0]) if found else None

    async def messages(
        self, workspace: str, endpoint: str, *, status: MessageStatus | None, before: str | None, limit: int
    ) -> list[EndpointMessage]:
        bindings: dict[str, Any] = {
            "workspace": key(workspace),
            "endpoint": key(endpoint),
            "before": _before(before),
            "limit": limit,
        }
        name = "list_messages"
        if status is not None:
            name = "list_messages_of_status"
            bindings["status"] = status
        return [_message(row) for row in self._database.read(SQL[name], bindings)]

    async def requeue(self, workspace: str, endpoint: str, message: str, now: int) -> bool:
        bindings = {**_place(workspace, endpoint, message), "now": now}
        return await self._database.write(_requeue, bindings)

    async def record(self, tried: EndpointMessage, now: int, *, succeeded: bool | None) -> int | None:
        return await self._database.write(_record, (tried, now, succeeded), size=len(tried.body or b"") + 500)

    async def drop_messages(self, workspace: str, endpoint: str, limit: int) -> int:
        bindings = {"workspace": key(workspace), "endpoint": key(endpoint), "limit": limit}
        return await self._database.write(_changes, ("drop_messages", bindings))

    async def prune_messages(self, workspace: str, before: str, limit: int) -> int:
        bindings = {"workspace": key(workspace), "before": key(before), "limit": limit}
        return await self._database.write(_changes, ("prune_messages", bindings))

    async def due_endpoints(self, now: int, after: str | None, limit: int) -> list[str]:
        bindings = {"now": now, "after": b"" if after is None else key(after), "limit": limit}
        return [text(endpoint) for (endpoint,) in self._database.read(SQL["due_endpoints"], bindings)]

    async def due_messages(self, endpoint: str, now: int, limit: int) -> list[EndpointMessage]:
        bindings = {"endpoint": key(endpoint), "now": now, "limit": limit}
        return [_message(row) for row in self._database.read(SQL["due_messages"], bindings)]

    async def next(self, after: int) -> int | None:
        due: int | None = self._database.read(SQL["next_message"], {"after": after})[0][0]
        return due

    def watch(self, emitted: Callable[[], None]) -> None:
        self._database.writer.emitted = emitted


def _create(connection: apsw.Connection, wanted: tuple[Endpoint, int]) -> bool:
    endpoint, most = wanted
    row = _columns(endpoint)
    if rows(connection, SQL["count_endpoints"], {"workspace": row["workspace"]})[0][0] >= most:
        return False
    return _change_endpoint(connection, ("insert_endpoint", row))


def _change_endpoint(connection: apsw.Connection, wanted: tuple[str, dict[str, Any]]) -> bool:
    assert isinstance(connection, FileConnection)
    connection.forget_listeners()
    return _changes(connection, wanted) > 0


def _changes(connection: apsw.Connection, wanted: tuple[str, dict[str, Any]]) -> int:
    connection.execute(SQL[wanted[0]], wanted[1])
    return connection.changes()


def _requeue(connection: apsw.Connection, bindings: dict[str, Any]) -> bool:
    assert isinstance(connection, FileConnection)
    connection.emitted = True
    return _changes(connection, ("requeue_message", bindings)) > 0


def _record(connection: apsw.Connection, wanted: tuple[EndpointMessage, int, bool | None]) -> int | None:
    tried, now, succeeded = wanted
    row = _message_columns(tried)
    place = {"workspace": row["workspace"], "endpoint": row["endpoint"]}
    written = {name: row[name] for name in _RECORDED}
    connection.execute(SQL["record_try"], written)
    if succeeded is None:
        return None
    if succeeded:
        connection.execute(SQL["endpoint_succeeded"], place)
        return None
    found = rows(connection, SQL["endpoint_failed"], {**place, "now": now})
    return found[0][0] if found else None


_RECORDED = (
    "workspace", "id", "endpoint", "status", "attempts", "due", "response_status", "error", "body", "tries",
)  # fmt: skip


def _place(workspace: str, endpoint: str, message: str) -> dict[str, Any]:
    return {"workspace": key(workspace), "endpoint": key(endpoint), "id": key(message)}


def _before(id: str | None) -> bytes:
    return _HIGHEST if id is None else key(id)


def _columns(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "workspace": key(endpoint.workspace),
        "id": key(endpoint.id),
        "url": endpoint.url,
        "description": endpoint.description,
        "events": " ".join(endpoint.events),
        "enabled": endpoint.enabled,
        "disabled_reason": endpoint.disabled_reason,
        "sealed": endpoint.sealed,
        "sealed_old": endpoint.sealed_old,
        "old_until": endpoint.old_until,
        "updated_at": endpoint.updated_at,
    }


def _endpoint(workspace: str, row: Sequence[Any]) -> Endpoint:
    return Endpoint(
        workspace=workspace,
        id=text(row[0]),
        url=row[1],
        description=row[2],
        events=tuple(row[3].split()),
        enabled=bool(row[4]),
        disabled_reason=row[5],
        failing_since=row[6],
        sealed=row[7],
        sealed_old=row[8],
        old_until=row[9],
        updated_at=row[10],
    )


def _message_columns(message: EndpointMessage) -> dict[str, Any]:
    return {
        "workspace": key(message.workspace),
        "id": key(message.id),
        "endpoint": key(message.endpoint),
        "type": message.type,
        "run": key_or_none(message.run),
        "at": message.at,
        "status": message.status,
        "attempts": message.attempts,
        "due": message.due,
        "response_status": message.response_status,
        "error": message.error,
        "subject": None if message.subject is None else _encode(message.subject),
        "body": message.body,
        "tries": message.tries,
    }


def _message(row: Sequence[Any]) -> EndpointMessage:
    return EndpointMessage(
        workspace=text(row[0]),
        id=text(row[1]),
        endpoint=text(row[2]),
        type=row[3],
        run=text_or_none(row[4]),
        at=row[5],
        status=MessageStatus(row[6]),
        attempts=row[7],
        due=row[8],
        response_status=row[9],
        error=row[10],
        subject=None if row[11] is None else _run(row[11]),
        body=row[12],
        tries=row[13],
    )
