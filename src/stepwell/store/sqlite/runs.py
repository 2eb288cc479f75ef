"""Runs, their records and timers in SQLite: the verbs, and what starts and walks write."""

from collections.abc import Sequence
from typing import Any

import apsw

from stepwell import ids
from stepwell.errors import InvalidState
from stepwell.states import RecordStatus, RunState
from stepwell.store.rows import Claim, Commit, Committed, End, Loaded, NewRun, Reached, Record, Run, RunFilter, Started
from stepwell.store.sql import load
from stepwell.store.sqlite import codec, costs, endpoint_events, firings, run_ends, run_reads, run_waits, task_rows
from stepwell.store.sqlite.codec import Payload, key, key_or_none, pack, text
from stepwell.store.sqlite.database import Database, rows

SQL = load("runs.sql")
IDEMPOTENCY_MS = 24 * 3600 * 1000
SUSPECT_DEATHS = 2  # from here on a run is walked alone when the next process starts


class SqliteRuns:
    """The verbs on runs; see store.port.Runs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last_served = b""  # the workspace whose run was claimed last: the next claim begins behind it

    async def start(self, run: NewRun) -> Started:
        return await self._database.write(_start, run, guarded=False, size=len(run.input) + 500)

    async def commit(self, commit: Commit) -> Committed:
        size = 500 + sum(300 + len(r.input or b"") + len(r.output or b"") for r in commit.records)
        return await self._database.write(_commit, commit, guarded=False, size=size)

    async def end(self, end: End) -> tuple[Reached, ...]:
        return await self._database.write(run_ends.end_run, end)

    async def delete(self, workspace: str, run: str) -> bool:
        return await self._database.write(run_ends.delete, (key(workspace), key(run)))

    async def claim(self, owner: str, limit: int, *, suspects: bool = False) -> list[Claim]:
        if suspects:
            return await self._database.write(_claim_suspect, key(owner))
        claims = await self._database.write(_claim, (key(owner), limit, self._last_served))
        if claims:
            self._last_served = key(claims[-1].workspace)
        return claims

    async def release_dead(self, owner: str, limit: int) -> int:
        return await self._database.write(_release_dead, {"owner": key(owner), "limit": limit})

    async def release_owned(self, owner: str) -> int:
        return await self._database.write(_release_owned, {"owner": key(owner)})

    async def fire_timers(self, now: int, limit: int, timeout_error: bytes) -> list[Reached]:
        return await self._database.write(run_ends.fire_timers, (now, limit, timeout_error))

    async def prune(self, workspace: str, before: str, limit: int) -> int:
        bindings = {"workspace": key(workspace), "before": key(before), "limit": limit}
        return await self._database.write(run_ends.prune, bindings)

    async def nth_newest(self, workspace: str, place: int) -> str | None:
        found = await self._database.read_apart(SQL["nth_newest"], {"workspace": key(workspace), "place": place})
        return text(found[0][0]) if found else None

    async def forget_idempotency_keys(self, now: int, limit: int) -> int:
        bindings = {"expired": now - IDEMPOTENCY_MS, "limit": limit}
        return await self._database.write(run_ends.forget_keys, bindings)

    async def probe(self, now: int) -> None:
        await self._database.write(
            lambda connection, at: connection.execute(SQL["probe"], at), {"now": now}, guarded=False
        )

    async def vacuum(self) -> None:
        await self._database.write(rows, SQL["vacuum"], guarded=False)

    async def next_timer(self) -> int | None:
        due: int | None = self._database.read(SQL["next_timer"], {})[0][0]
        return due

    async def count_open(self) -> int:
        count: int = self._database.read(SQL["count_open"], {})[0][0]
        return count

    async def get(self, workspace: str, run: str) -> Run | None:
        return self._database.snapshot(lambda connection: run_reads.get(connection, workspace, run))

    async def load(self, workspace: str, run: str) -> Loaded | None:
        return self._database.snapshot(lambda connection: run_reads.load(connection, workspace, run))

    async def look(self, workspace: str, run: str) -> Loaded | None:
        return self._database.snapshot(lambda connection: run_reads.look(connection, workspace, run))

    async def state(self, workspace: str, run: str) -> tuple[RunState, int, int, int] | None:
        found = self._database.read(SQL["get_state"], {"workspace": key(workspace), "run": key(run)})
        return (RunState(found[0][0]), *found[0][1:]) if found else None

    async def find_started(self, workspace: str, workflow: str, key: str, digest: bytes, now: int) -> Started | None:
        place = {"workspace": codec.key(workspace), "workflow": codec.key(workflow), "key": key}
        found = self._database.read(SQL["find_idempotency_key"], {**place, "expired": now - IDEMPOTENCY_MS})
        return Started(codec.text(found[0][0]), replayed=True, mismatch=found[0][1] != digest) if found else None

    async def page(self, wanted: RunFilter) -> list[Run]:
        return self._database.snapshot(lambda connection: run_reads.page(connection, wanted))


def _start(connection: apsw.Connection, run: NewRun) -> Started:
    workspace, run_id, workflow = key(run.workspace), key(run.id), key(run.workflow)
    if run.idempotency_key is not None:
        now = ids.created_ms(run.id)
        bindings: dict[str, Any] = {"workspace": workspace, "workflow": workflow, "key": run.idempotency_key}
        bindings |= {"run": run_id, "digest": run.digest, "created_at": now, "expired": now - IDEMPOTENCY_MS}
        connection.execute(SQL["take_idempotency_key"], bindings)
        if not connection.changes():
            existing, digest = rows(connection, SQL["find_idempotency_key"], bindings)[0]
            return Started(text(existing), replayed=True, mismatch=digest != run.digest)
    if run.firing is not None and (fired := firings.take(connection, run.firing, run.arrival)) is not None:
        return Started(fired, replayed=True)
    if run.awaited and run.parent is not None and _has_ended(connection, workspace, run.parent):
        raise InvalidState("The run that would wait for this one has ended")
    blocked = None
    if run.max_concurrent is not None:
        place = {"workspace": workspace, "workflow": workflow}
        if rows(connection, SQL["count_limited"], place)[0][0] >= run.max_concurrent:
            blocked = "concurrency"
    payloads: list[Payload] = []
    row = (
        workspace,
        run_id,
        workflow,
        run.version,
        run.trigger,
        blocked,
        run.max_concurrent is not None,
        None if blocked else key_or_none(run.owner),
        run.seq,
        run.attempt,
        key_or_none(run.restarted_from),
        key_or_none(run.parent),
        run.awaited,
        run.depth,
        key_or_none(run.connection),
        pack(run.input, payloads),
        pack(run.trigger_data, payloads),
        pack(run.carried, payloads),
        None if run.firing is None else key(run.firing.trigger),
        key_or_none(run.end_user),
        key_or_none(run.chain),
        run.mock,
        run.budget,
        None if run.budget is None else run.over_budget,
        key_or_none(run.key),
    )
    connection.execute(SQL["insert_run"], row)
    _put_records(connection, workspace, run_id, run.records, payloads)
    return Started(run.id)


def _has_ended(connection: apsw.Connection, workspace: bytes, run: str) -> bool:
    found = rows(connection, SQL["get_state"], {"workspace": workspace, "run": key(run)})
    return not found or RunState(found[0][0]).final


def _commit(connection: apsw.Connection, commit: Commit) -> Committed:
    workspace, run = key(commit.workspace), key(commit.run)
    payloads: list[Payload] = []
    row: dict[str, Any] = {
        "workspace": workspace,
        "run": run,
        "epoch": commit.epoch,
        "state": commit.state,
        "seq": commit.seq,
        "state_seq": commit.state_seq,
        "started_at": commit.started_at,
    }
    was = endpoint_events.before(connection, workspace, run)
    if commit.ended_at is not None:
        row |= {"ended_at": commit.ended_at, "output": pack(commit.output, payloads), "error": commit.error}
        finished = rows(connection, SQL["finish_run"], row)
        if not finished:
            return Committed(applied=False)
        _put_records(connection, workspace, run, commit.records, payloads)
        cost = _charge(connection, workspace, run, commit)
        endpoint_events.committed(connection, commit, was)
        limited, parent, signals = finished[0]
        alone = commit.first and not signals  # neither a walk nor anybody else left something to settle
        others = [] if alone else run_ends.settle(connection, workspace, run, commit.ended_at)
        if parent is not None:
            others += run_ends.signal(connection, workspace, parent)
        unblocked = bool(limited) and run_ends.free_place(connection, workspace, run)
        return Committed(applied=True, unblocked=unblocked, reached=tuple(others), cost=cost)
    if commit.suspend_at is not None:
        row |= {"signals": commit.suspend_at, "waits_on": commit.waits_on}
        advanced = rows(connection, SQL["suspend_run"], row)
    else:
        row["progress"] = commit.rests or any(r.status is not RecordStatus.RUNNING for r in commit.records)
        advanced = rows(connection, SQL["advance_run"], row)
    if not advanced:
        return Committed(applied=False)
    _put_records(connection, workspace, run, commit.records, payloads)
    cost = _charge(connection, workspace, run, commit)
    endpoint_events.committed(connection, commit, was)
    if commit.closed:  # before what is set anew for the same paths
        run_waits.close(connection, workspace, run, commit.closed, _time(commit))
    for timer in commit.timers:
        bindings = {"workspace": workspace, "run": run, "path": timer.path, "kind": timer.kind, "due": timer.due}
        connection.execute(SQL["put_timer"], bindings)
    if commit.waits or commit.approvals or commit.taken:
        run_waits.put(connection, workspace, run, commit)
    if commit.tasks:
        task_rows.put(connection, commit.tasks, commit.most_tasks)
    reached: list[Reached] = []
    for child in commit.cancels:
        reached += run_ends.cancel_awaited(connection, workspace, run, key(child), _time(commit))
    return Committed(applied=True, signals=advanced[0][0], reached=tuple(reached), cost=cost)


def _charge(connection: apsw.Connection, workspace: bytes, run: bytes, commit: Commit) -> int | None:
    """What a commit says of costs; the run's, if something was charged. Most say nothing."""
    if commit.held is not None:
        costs.hold(connection, workspace, run, commit.held)
    if not commit.charges:
        return None
    return costs.charge_all(connection, workspace, run, commit.charges, commit.ended_at or _time(commit))


def _time(commit: Commit) -> int:
    """When a commit was made, as its newest record tells."""
    times = [record.ended_at or record.started_at or 0 for record in commit.records]
    return max(times, default=commit.started_at or 0)


def _put_records(
    connection: apsw.Connection, workspace: bytes, run: bytes, records: Sequence[Record], payloads: list[Payload]
) -> None:
    written = [
        (
            workspace,
            run,
            record.path,
            record.step,
            record.status,
            record.attempt,
            record.started_seq,
            record.ended_seq,
            record.started_at,
            record.ended_at,
            record.reused,
            pack(record.input, payloads),
            pack(record.output, payloads),
            pack(record.error, payloads),
            pack(record.attempts, payloads),
            pack(record.data, payloads),
        )
        for record in records
    ]
    if written:
        connection.executemany(SQL["put_record"], written)
    for payload in payloads:
        bindings = {"workspace": workspace, "run": run, "digest": payload.digest, "data": payload.data}
        connection.execute(SQL["put_payload"], bindings)


def _claim(connection: apsw.Connection, wanted: tuple[bytes, int, bytes]) -> list[Claim]:
    """Rounds over the workspaces with ready runs, until there is no room or nothing left; what one does not need of its
    share goes to the others in the next round."""
    owner, limit, last_served = wanted
    ready = [row[0] for row in rows(connection, SQL["ready_workspaces"])]
    ready.sort(key=lambda workspace: (workspace <= last_served, workspace))
    claims: list[Claim] = []
    while ready and len(claims) < limit:
        share = max(1, (limit - len(claims)) // len(ready))
        hungry = []
        for workspace in ready[: limit - len(claims)]:
            bindings = {"owner": owner, "workspace": workspace, "limit": share}
            taken = rows(connection, SQL["claim_ready"], bindings)
            claims.extend(_claimed(row) for row in taken)
            if len(taken) == share:
                hungry.append(workspace)
        ready = hungry
    return claims


def _claim_suspect(connection: apsw.Connection, owner: bytes) -> list[Claim]:
    bindings = {"owner": owner, "suspect": SUSPECT_DEATHS}
    return [_claimed(row) for row in rows(connection, SQL["claim_suspect"], bindings)]


def _claimed(row: tuple[bytes, bytes, int, int]) -> Claim:
    return Claim(text(row[0]), text(row[1]), row[2], row[3])


def _release_dead(connection: apsw.Connection, bindings: dict[str, Any]) -> int:
    connection.execute(SQL["release_dead"], bindings)
    return connection.changes()


def _release_owned(connection: apsw.Connection, bindings: dict[str, Any]) -> int:
    connection.execute(SQL["release_owned"], bindings)
    return connection.changes()
