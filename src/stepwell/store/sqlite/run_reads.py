"""Reads of runs in SQLite: one run, its journal, and lists by seeks into the indexes."""

import heapq
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import apsw

from stepwell import ids
from stepwell.states import FINAL, RecordStatus, RunState, WaitsOn
from stepwell.store.rows import Loaded, Record, Run, RunFilter, Timer
from stepwell.store.sql import load as load_sql
from stepwell.store.sqlite import run_waits, task_rows
from stepwell.store.sqlite.codec import key, reference, text, text_or_none, unpack
from stepwell.store.sqlite.database import rows

SQL = load_sql("runs.sql")
TRIGGERS = ("api", "manual", "schedule", "webhook")
_HIGHEST = b"\xff" * 16
_STATUSES = {str(status): status for status in RecordStatus}


def get(connection: apsw.Connection, workspace: str, run: str) -> Run | None:
    bindings = {"workspace": key(workspace), "run": key(run)}
    found = rows(connection, SQL["get_run"], bindings)
    if not found:
        return None
    listed, columns = found[0][:-4], found[0][-4:]
    return _run(
        workspace, listed, *(_value(connection, bindings["workspace"], bindings["run"], each) for each in columns)
    )


def _run(
    workspace: str,
    row: Sequence[Any],
    given: bytes | None = b"{}",
    trigger_data: bytes | None = None,
    output: bytes | None = None,
    carried: bytes | None = None,
) -> Run:
    return Run(
        workspace=workspace,
        id=text(row[0]),
        workflow=text(row[1]),
        version=row[2],
        state=RunState(row[3]),
        trigger=row[4],
        waits_on=WaitsOn(row[5]) if row[5] else None,
        blocked=row[6],
        owner=text_or_none(row[7]),
        epoch=row[8],
        signals=row[9],
        deaths=row[10],
        seq=row[11],
        state_seq=row[12],
        attempt=row[13],
        started_at=row[14],
        ended_at=row[15],
        restarted_from=text_or_none(row[16]),
        parent=text_or_none(row[17]),
        connection=text_or_none(row[18]),
        error=row[19],
        depth=row[20],
        fired_by=text_or_none(row[21]),
        end_user=text_or_none(row[22]),
        chain=text_or_none(row[23]),
        mock=bool(row[24]),
        cost=row[25],
        budget=row[26],
        over_budget=row[27] or "stop",
        key=text_or_none(row[28]),
        held=row[29],
        excused=bool(row[30]),
        steered_at=row[31],
        input=given or b"{}",
        trigger_data=trigger_data,
        output=output,
        carried=carried,
    )


def load(connection: apsw.Connection, workspace: str, run_id: str) -> Loaded | None:
    run = get(connection, workspace, run_id)
    if run is None:
        return None
    bindings = {"workspace": key(workspace), "run": key(run_id)}

    def value(column: bytes | None) -> bytes | None:
        large = column is not None and reference(column) is not None
        return _value(connection, bindings["workspace"], bindings["run"], column) if large else column

    records = tuple(
        Record(
            path=row[0],
            step=row[1],
            status=_STATUSES[row[2]],
            attempt=row[3],
            started_seq=row[4],
            ended_seq=row[5],
            started_at=row[6],
            ended_at=row[7],
            reused=bool(row[8]),
            input=value(row[9]),
            output=value(row[10]),
            error=value(row[11]),
            attempts=value(row[12]),
            data=value(row[13]),
            cost=row[14],
        )
        for row in connection.execute(SQL["get_records"], bindings)
    )
    return _with_signals(connection, bindings, run, records)


def look(connection: apsw.Connection, workspace: str, run_id: str) -> Loaded | None:
    """The same without what is large: values and records."""
    bindings = {"workspace": key(workspace), "run": key(run_id)}
    found = rows(connection, SQL["get_listed"], bindings)
    return _with_signals(connection, bindings, _run(workspace, found[0]), ()) if found else None


def _with_signals(
    connection: apsw.Connection, bindings: dict[str, bytes], run: Run, records: tuple[Record, ...]
) -> Loaded:
    timers = tuple(Timer(*row) for row in connection.execute(SQL["get_timers"], bindings))
    events = run_waits.events(connection, bindings)
    approvals = run_waits.approvals(connection, run.workspace, bindings)
    return Loaded(run, records, timers, events, approvals, task_rows.of_run(connection, bindings))


def with_input(connection: apsw.Connection, workspace: str, run: bytes) -> Run:
    """A run that exists, as lists show it, and its input."""
    bindings = {"workspace": key(workspace), "run": run}
    given = _value(connection, bindings["workspace"], run, rows(connection, SQL["get_input"], bindings)[0][0])
    return _run(workspace, rows(connection, SQL["get_listed"], bindings)[0], given)


def page(connection: apsw.Connection, wanted: RunFilter) -> list[Run]:
    bindings: dict[str, Any] = {
        "workspace": key(wanted.workspace),
        "before": _upper_bound(wanted),
        "after": b"" if wanted.created_after is None else key(ids.lowest_at(wanted.created_after)),
        "limit": wanted.offset + wanted.limit,
    }
    seeks = list(_seeks(connection, wanted, bindings))
    try:
        merged = heapq.merge(*seeks, reverse=True)
        newest = [run_id for (run_id,) in islice(merged, wanted.offset, wanted.offset + wanted.limit)]
    finally:
        for seek in seeks:
            seek.close()  # most were not read to their end, and would hold the snapshot
    return listed(connection, wanted.workspace, newest)


def listed(connection: apsw.Connection, workspace: str, run_ids: Iterable[bytes]) -> list[Run]:
    """Runs that exist, as lists show them."""
    place = {"workspace": key(workspace)}
    found = [rows(connection, SQL["get_listed"], {**place, "run": run_id}) for run_id in run_ids]
    return [_run(workspace, row[0]) for row in found if row]


def _upper_bound(wanted: RunFilter) -> bytes:
    bounds = [_HIGHEST]
    if wanted.before is not None:
        bounds.append(key(wanted.before))
    if wanted.created_before is not None:
        bounds.append(key(ids.lowest_at(wanted.created_before)))
    return min(bounds)


def _seeks(connection: apsw.Connection, wanted: RunFilter, bindings: dict[str, Any]) -> Iterable[apsw.Cursor]:
    """The newest ids of every (state, trigger) that passes the filter, each by one seek into an index, read lazily."""
    if wanted.workflow is None and not wanted.states and not wanted.triggers and wanted.waiting is None:
        yield connection.execute(SQL["list_all"], bindings)
        return
    suffix = "" if wanted.workflow is None else "_of_workflow"
    workflow = {} if wanted.workflow is None else {"workflow": key(wanted.workflow)}
    for state in wanted.states or tuple(RunState):
        sql = SQL[("list_ended" if state in FINAL else "list_open") + suffix]
        waiting = wanted.waiting if state is RunState.RUNNING else None
        of_state = {**bindings, **workflow, "state": state, "waiting": waiting}
        for trigger in wanted.triggers or TRIGGERS:
            yield connection.execute(sql, {**of_state, "trigger": trigger})


def _value(connection: apsw.Connection, workspace: bytes, run: bytes, column: bytes | None) -> bytes | None:
    digest = reference(column)
    if digest is None:
        return column
    bindings = {"workspace": workspace, "run": run, "digest": digest}
    return unpack(rows(connection, SQL["get_payload"], bindings)[0][0])
