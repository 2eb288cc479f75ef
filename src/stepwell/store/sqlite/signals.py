"""What reaches runs from outside, in SQLite: events, pauses, decisions."""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Any

import apsw
import msgspec

from stepwell.errors import InvalidState
from stepwell.states import OPEN
from stepwell.store.rows import Approval, Broadcast, Reached, Run, RunEvent
from stepwell.store.sql import load
from stepwell.store.sqlite import costs, endpoint_events, run_ends, run_reads, run_waits
from stepwell.store.sqlite.codec import key, key_or_none, text, text_or_none
from stepwell.store.sqlite.database import Database, rows

SQL = load("signals.sql")
_HIGHEST = b"\xff" * 16


class SqliteSignals:
    """The verbs on signals; see store.port.Signals."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def send(
        self, workspace: str, run: str, event: RunEvent, most: int | None = None, *, once: bool = False
    ) -> Reached | None:
        return await self._database.write(_send, (key(workspace), key(run), event, most, once), size=len(event.payload))

    async def pause(self, workspace: str, run: str, now: int) -> Reached | None:
        return await self._database.write(_pause, (workspace, run, now))

    async def resume(self, workspace: str, run: str, now: int, budget: int | None = None) -> Reached | None:
        return await self._database.write(_resume, (workspace, run, budget, now))

    async def approval(self, workspace: str, approval: str) -> Approval | None:
        return self._database.snapshot(lambda connection: _approval(connection, key(workspace), key(approval)))

    async def approval_of_token(self, hash: bytes) -> tuple[Approval, str] | None:
        return self._database.snapshot(lambda connection: _of_token(connection, hash))

    async def approvals(self, workspace: str, *, status: str | None, before: str | None, limit: int) -> list[Approval]:
        bindings: dict[str, Any] = {
            "workspace": key(workspace),
            "before": _HIGHEST if before is None else key(before),
            "limit": limit,
        }
        name = "list_approvals"
        if status is not None:
            name = "list_approvals_of_status"
            bindings["status"] = status
        return [run_waits.approval(workspace, row) for row in self._database.read(SQL[name], bindings)]

    async def decide(self, decided: Approval, seen: bytes) -> Reached | None:
        return await self._database.write(_decide, (decided, seen))

    async def begin(self, broadcast: Broadcast) -> None:
        event = broadcast.event
        row = {"workspace": key(broadcast.workspace), "match": broadcast.match, **_event_row(event)}
        await self._database.write(_insert_broadcast, row, size=len(event.payload))

    async def candidates(self, broadcast: Broadcast, limit: int) -> list[Run]:
        return self._database.snapshot(lambda connection: _candidates(connection, broadcast, limit))

    async def hand_out(self, broadcast: Broadcast, runs: tuple[str, ...], cursor: str | None) -> tuple[Reached, ...]:
        size = len(runs) * (200 + len(broadcast.event.payload))
        return await self._database.write(_hand_out, (broadcast, runs, cursor), size=size)

    async def broadcasts(self, limit: int) -> list[Broadcast]:
        return [_broadcast(row) for row in self._database.read(SQL["list_broadcasts"], {"limit": limit})]


def _send(connection: apsw.Connection, wanted: tuple[bytes, bytes, RunEvent, int | None, bool]) -> Reached | None:
    workspace, run, event, most, once = wanted
    target = {"workspace": workspace, "run": run}
    if once:
        for (delivered,) in rows(connection, SQL["sent_event"], {**target, "id": key(event.id)}):
            return Reached(text(workspace), text(run), None, delivered=bool(delivered))
    if most is not None:
        bindings = {**target, "id": key(event.id), "most": most}
        if rows(connection, SQL["events_full"], bindings)[0][0] >= most:
            raise InvalidState("Event buffer is full")
    reached = run_ends.signal(connection, workspace, run)
    if not reached:
        return None
    delivered = bool(rows(connection, SQL["takes_event"], {**target, "type": event.type})[0][0])
    connection.execute(SQL["insert_event"], {**target, **_event_row(event)})
    if once:
        connection.execute(SQL["insert_sent_event"], {**target, "id": key(event.id), "delivered": delivered})
    return msgspec.structs.replace(reached[0], delivered=delivered)


def _pause(connection: apsw.Connection, target: tuple[str, str, int]) -> Reached | None:
    workspace, run, now = target
    bindings = {"workspace": key(workspace), "run": key(run)}
    owners = rows(connection, SQL["pause_run"], {**bindings, "now": now})
    if owners:
        endpoint_events.paused(connection, bindings["workspace"], bindings["run"], now)
    else:
        owners = rows(connection, SQL["paused_owner"], bindings)
    return Reached(workspace, run, text_or_none(owners[0][0])) if owners else None


def _resume(connection: apsw.Connection, wanted: tuple[str, str, int | None, int]) -> Reached | None:
    workspace, run, budget, now = wanted
    target = {"workspace": key(workspace), "run": key(run)}
    costs.release(connection, target["workspace"], target["run"], budget)
    owners = rows(connection, SQL["resume_run"], {**target, "now": now})
    return Reached(workspace, run, text_or_none(owners[0][0])) if owners else None


def _approval(connection: apsw.Connection, workspace: bytes, id: bytes) -> Approval | None:
    bindings = {"workspace": workspace, "id": id}
    found = rows(connection, SQL["get_approval"], bindings)
    return run_waits.approval(text(workspace), found[0], run_waits.tokens(connection, bindings)) if found else None


def _of_token(connection: apsw.Connection, hash: bytes) -> tuple[Approval, str] | None:
    for workspace, id, approver in rows(connection, SQL["find_token"], {"hash": hash}):
        approval = _approval(connection, workspace, id)
        return None if approval is None else (approval, approver)
    return None


def _decide(connection: apsw.Connection, wanted: tuple[Approval, bytes]) -> Reached | None:
    decided, seen = wanted
    workspace = key(decided.workspace)
    target = {"workspace": workspace, "id": key(decided.id)}
    row = {**target, "status": decided.status, "decisions": decided.decisions, "seen": seen}
    written = rows(connection, SQL["decide_approval"], row)
    if not written:
        return None
    connection.execute(SQL["delete_tokens"], target)
    run = written[0][0]
    if decided.status == "pending":
        run_waits.put_tokens(connection, decided)
        owner = rows(connection, SQL["get_owner"], {"workspace": workspace, "run": run})[0][0]
        return Reached(decided.workspace, text(run), text_or_none(owner))
    reached = run_ends.signal(connection, workspace, run)
    return reached[0] if reached else Reached(decided.workspace, text(run), None)


def _insert_broadcast(connection: apsw.Connection, row: dict[str, Any]) -> None:
    connection.execute(SQL["insert_broadcast"], row)


def _candidates(connection: apsw.Connection, broadcast: Broadcast, limit: int) -> list[Run]:
    bindings: dict[str, Any] = {
        "workspace": key(broadcast.workspace),
        "after": b"" if broadcast.cursor is None else key(broadcast.cursor),
        "limit": limit,
    }
    if broadcast.match is None:
        found = rows(connection, SQL["waiting_after"], {**bindings, "type": broadcast.event.type})
    else:
        with ExitStack() as open_seeks:
            seeks = []
            for seek in _open_after(connection, bindings):
                open_seeks.callback(seek.close)  # most are not read to their end, and would hold the snapshot
                seeks.append(seek)
            found = list(islice(heapq.merge(*seeks), limit))
    return [run_reads.with_input(connection, broadcast.workspace, run) for (run,) in found]


def _open_after(connection: apsw.Connection, bindings: dict[str, Any]) -> Iterator[apsw.Cursor]:
    for state in OPEN:
        for trigger in run_reads.TRIGGERS:
            yield connection.execute(SQL["open_after"], {**bindings, "state": state, "trigger": trigger})


def _hand_out(
    connection: apsw.Connection, wanted: tuple[Broadcast, tuple[str, ...], str | None]
) -> tuple[Reached, ...]:
    broadcast, runs, cursor = wanted
    workspace = key(broadcast.workspace)
    place = {"workspace": workspace, "id": key(broadcast.event.id)}
    if not rows(connection, SQL["broadcast_at"], {**place, "cursor": key_or_none(broadcast.cursor)}):
        return ()  # it has come further meanwhile, or to its end
    event = _event_row(broadcast.event)
    reached: list[Reached] = []
    for run in map(key, runs):
        if signalled := run_ends.signal(connection, workspace, run):
            connection.execute(SQL["insert_event"], {"workspace": workspace, "run": run, **event})
            reached += signalled
    if cursor is None:
        connection.execute(SQL["delete_broadcast"], place)
    else:
        connection.execute(SQL["advance_broadcast"], {**place, "cursor": key(cursor), "delivered": len(reached)})
    return tuple(reached)


def _event_row(event: RunEvent) -> dict[str, Any]:
    return {"id": key(event.id), "type": event.type, "payload": event.payload, "received_at": event.received_at}


def _broadcast(row: Sequence[Any]) -> Broadcast:
    return Broadcast(
        workspace=text(row[0]),
        event=RunEvent(id=text(row[1]), type=row[2], payload=row[3], received_at=row[4]),
        match=row[5],
        cursor=text_or_none(row[6]),
        delivered=row[7],
    )
