"""Counted lists of workflows and runs in SQLite."""

from typing import Any

from stepwell.states import RunState
from stepwell.store.rows import Run, RunFilter, Workflow
from stepwell.store.rows_lists import Activity, RunCounts, RunListing, WorkflowListing
from stepwell.store.sql import load
from stepwell.store.sqlite import run_reads
from stepwell.store.sqlite.codec import key, key_or_none, listed, listed_keys, text
from stepwell.store.sqlite.database import Database
from stepwell.store.sqlite.workflows import workflow_row

SQL = load("lists.sql")
DAY_MS = 86_400_000
_HIGHEST = b"\xff" * 16


class SqliteLists:
    """The verbs on counted lists; see store.port_lists.Lists."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def workflows(self, wanted: WorkflowListing) -> tuple[list[Workflow], int]:
        bindings = {
            "workspace": key(wanted.workspace),
            "statuses": listed(wanted.statuses),
            "search": None if wanted.search is None else wanted.search.casefold(),
        }
        total: int = self._database.read(SQL["count_workflows"], bindings)[0][0]
        place: dict[str, Any] = {"before": key_or_none(wanted.before), "by": wanted.order}
        place |= {"ascending": wanted.ascending, "limit": wanted.limit, "offset": wanted.offset}
        rows = self._database.read(SQL["browse_workflows"], {**bindings, **place})
        return [workflow_row(wanted.workspace, row) for row in rows], total

    async def runs(self, wanted: RunListing) -> tuple[list[Run], int]:
        bindings = {
            "workspace": key(wanted.workspace),
            "workflows": listed_keys(wanted.workflows),
            "end_user": key_or_none(wanted.end_user),
            "unowned": wanted.unowned,
            "chain": key_or_none(wanted.chain),
            "states": listed(wanted.states or tuple(RunState)),
        }
        if wanted.chain is not None:
            return self._of_chain(wanted, bindings)
        before = _HIGHEST if wanted.before is None else key(wanted.before)
        place: dict[str, Any] = {"before": before, "by": wanted.order}
        place |= {"ascending": wanted.ascending, "limit": wanted.limit, "offset": wanted.offset}
        total = await self._count(wanted, bindings)
        newest_first = wanted.order == "created" and not wanted.ascending
        at_most_one = wanted.workflows is None or len(wanted.workflows) == 1
        if newest_first and wanted.end_user is None and at_most_one:
            return self._database.snapshot(lambda connection: run_reads.page(connection, _filter(wanted))), total
        if newest_first and wanted.end_user is not None and not wanted.unowned:
            found = self._database.read(SQL["user_runs"], {**bindings, **place})
        else:
            found = await self._database.read_apart(SQL["ordered_runs"], {**bindings, **place})
        return self._listed(wanted.workspace, [row[0] for row in found]), total

    async def counts(self, workspace: str, workflow: str) -> RunCounts:
        bindings = {"workspace": key(workspace), "workflow": key(workflow)}
        found = await self._database.read_apart(SQL["count_by_state"], bindings)
        numbers = {row[0]: row[1] for row in found}
        newest = max((row[2] for row in found), default=None)
        completed = numbers.get(RunState.COMPLETED, 0)
        all, open = sum(numbers.values()), numbers.get("open", 0)
        return RunCounts(all, completed, all - completed - open, open, None if newest is None else text(newest))

    async def activity(self, workspace: str, now: int) -> Activity:
        place = {"workspace": key(workspace)}
        day, month = (_since(now - days * DAY_MS) for days in (1, 30))
        runs, failed = (await self._database.read_apart(SQL["recent_runs"], {**place, "since": day}))[0]
        spent = (await self._database.read_apart(SQL["recent_cost"], {**place, "since": month}))[0][0]
        newest = self._database.read(SQL["newest_run"], place)
        return Activity(runs, failed, spent, text(newest[0][0]) if newest else None)

    def _of_chain(self, wanted: RunListing, bindings: dict[str, Any]) -> tuple[list[Run], int]:
        """A chain is short: it is read whole."""
        ids = [row[0] for row in self._database.read(SQL["chain_runs"], bindings)]
        runs = self._listed(wanted.workspace, sorted(ids, reverse=not wanted.ascending))
        if wanted.order != "created":
            times = {run.id: (run.ended_at if wanted.order == "updated" else None) or run.started_at for run in runs}
            runs.sort(key=lambda run: (times[run.id] or 0) * (1 if wanted.ascending else -1))
            runs.sort(key=lambda run: times[run.id] is None)
        total = len(runs)
        if wanted.before is not None:
            runs = [run for run in runs if run.id < wanted.before]
        return runs[wanted.offset : wanted.offset + wanted.limit], total

    async def _count(self, wanted: RunListing, bindings: dict[str, Any]) -> int:
        if wanted.end_user is not None:
            name = "count_any_runs" if wanted.unowned else "count_user_runs"
        elif wanted.workflows is None:
            name = "count_runs" if wanted.states else "count_all_runs"
        elif len(wanted.workflows) == 1:
            name, bindings = "count_runs_of_workflow", {**bindings, "workflow": key(wanted.workflows[0])}
        else:
            name = "count_any_runs"
        total: int = (await self._database.read_apart(SQL[name], bindings))[0][0]
        return total

    def _listed(self, workspace: str, ids: list[bytes]) -> list[Run]:
        return self._database.snapshot(lambda connection: run_reads.listed(connection, workspace, ids))


def _since(time_ms: int) -> bytes:
    """The lowest id of what was created at a time or later."""
    return max(0, time_ms).to_bytes(6, "big") + bytes(10)


def _filter(wanted: RunListing) -> RunFilter:
    return RunFilter(
        workspace=wanted.workspace,
        workflow=wanted.workflows[0] if wanted.workflows else None,
        states=wanted.states,
        before=wanted.before,
        offset=wanted.offset,
        limit=wanted.limit,
    )
