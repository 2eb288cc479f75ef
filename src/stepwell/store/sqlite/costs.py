"""Costs and budgets in SQLite: what other writers add to runs inside their transactions, and the verbs on budgets."""

from collections.abc import Iterable
from typing import Any

import apsw
import msgspec

from stepwell.cost import month_of
from stepwell.store.rows_costs import Budget
from stepwell.store.sql import load
from stepwell.store.sqlite.codec import key, text
from stepwell.store.sqlite.codec import key as pack
from stepwell.store.sqlite.database import Database, rows

SQL = load("costs.sql")


class SqliteCosts:
    """The verbs on budgets and spending; see store.port_costs.Costs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def budgets(self) -> list[Budget]:
        found = self._database.read(SQL["list_budgets"], {})
        return [Budget(text(workspace), text(subject), *rest) for workspace, subject, *rest in found]

    async def put_budget(self, budget: Budget) -> None:
        row = {"workspace": key(budget.workspace), "subject": key(budget.subject)}
        await self._database.write(_change, ("put_budget", row | {"amount": budget.amount, "action": budget.action}))

    async def delete_budget(self, workspace: str, subject: str) -> bool:
        return await self._database.write(
            _change, ("delete_budget", {"workspace": key(workspace), "subject": key(subject)})
        )

    async def has_key(self, workspace: str, key: str) -> bool:
        return bool(self._database.read(SQL["has_key"], {"workspace": pack(workspace), "id": pack(key)}))

    async def spent(self, workspace: str, subject: str, month: int) -> int:
        bindings = {"workspace": key(workspace), "subject": key(subject), "month": month}
        found = self._database.read(SQL["get_spending"], bindings)
        return found[0][0] if found else 0


def charge(connection: apsw.Connection, workspace: bytes, run: bytes, path: str, amount: int, now: int) -> None:
    """Add an amount to what a step has cost, to its run and to what the workspace and the run's key have spent in the
    month of `now` (epoch ms), inside a transaction. The record of the path is there already."""
    charge_all(connection, workspace, run, ((path, amount),), now)


def charge_all(
    connection: apsw.Connection, workspace: bytes, run: bytes, charges: Iterable[tuple[str, int]], now: int
) -> int:
    """The same for several steps of a run; what the run has cost by then."""
    target: dict[str, Any] = {"workspace": workspace, "run": run}
    total = 0
    for path, amount in charges:
        connection.execute(SQL["charge_record"], {**target, "path": path, "amount": amount})
        total += amount
    found = rows(connection, SQL["charge_run"], {**target, "amount": total})
    if not found:
        return 0
    started_by, cost = found[0]
    month = month_of(now)
    for subject in (workspace, started_by):
        if subject is not None and total:
            spending = {"workspace": workspace, "subject": subject, "month": month, "amount": total}
            connection.execute(SQL["add_spending"], spending)
    return int(cost)


def hold(connection: apsw.Connection, workspace: bytes, run: bytes, held: bytes) -> None:
    """Note which budget keeps a run from further steps."""
    connection.execute(SQL["hold_run"], {"workspace": workspace, "run": run, "held": held})


def release(connection: apsw.Connection, workspace: bytes, run: bytes, budget: int | None) -> None:
    """A paused run is about to be resumed: one that a budget has held goes on without it, or with the one given."""
    target: dict[str, Any] = {"workspace": workspace, "run": run}
    found = rows(connection, SQL["get_held"], target)
    if not found:
        return
    held = msgspec.json.decode(found[0][0]) if found[0][0] is not None else {}
    asks = held.get("action") == "ask"
    of_run = held.get("of") == "run"
    if asks:
        connection.execute(SQL["release_held"], {**target, "excused": not of_run})
    if budget is not None or (asks and of_run):
        connection.execute(SQL["set_run_budget"], {**target, "budget": budget})


def _change(connection: apsw.Connection, wanted: tuple[str, dict[str, Any]]) -> bool:
    name, bindings = wanted
    connection.execute(SQL[name], bindings)
    return connection.changes() > 0
