"""Monthly budgets of the workspace and of its keys: set, read, and asked before runs and steps begin."""

from typing import Literal

import msgspec

from stepwell import cost
from stepwell import ids as uuids
from stepwell.clock import Clock
from stepwell.engine.ports import Held, Overdraft
from stepwell.errors import BudgetExceeded, NotFound
from stepwell.store import Budget, OverBudget, Run, Store


class MonthlyBudget(msgspec.Struct, frozen=True):
    """A budget and what was spent of it in the current month; amounts in millionths of a cent, month as yyyymm."""

    amount: int
    action: OverBudget
    month: int
    spent: int


class Budgets:
    """The use cases on budgets, which are kept in memory: most workspaces have none, and then nothing is read. `key` is
    a key's id, None means the workspace itself."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store.costs
        self._clock = clock
        self._known: dict[str, dict[str, Budget]] = {}

    async def load(self) -> None:
        """Read all budgets, once, at start."""
        for budget in await self._store.budgets():
            self._known.setdefault(budget.workspace, {})[budget.subject] = budget

    def any(self, workspace: str) -> bool:
        """Whether the workspace or a key of it has a budget."""
        return workspace in self._known

    async def get(self, workspace: str, key: str | None = None) -> MonthlyBudget:
        """A budget as it stands. Raises NotFound: there is none, or no such key."""
        subject = await self._subject(workspace, key)
        budget = self._known.get(workspace, {}).get(subject)
        if budget is None:
            raise NotFound("Budget not found")
        month = cost.month_of(self._clock.now_ms())
        spent = await self._store.spent(workspace, subject, month)
        return MonthlyBudget(budget.amount, budget.action, month, spent)

    async def put(self, workspace: str, key: str | None, amount: int, action: OverBudget) -> MonthlyBudget:
        """Set a budget; it counts from now on, with what was spent before in this month. Raises NotFound."""
        subject = await self._subject(workspace, key)
        budget = Budget(workspace, subject, amount, action)
        await self._store.put_budget(budget)
        self._known.setdefault(workspace, {})[subject] = budget
        return await self.get(workspace, key)

    async def check_key(self, workspace: str, key: str | None) -> None:
        """Raise NotFound unless there is such a key."""
        await self._subject(workspace, key)

    async def delete(self, workspace: str, key: str | None = None) -> None:
        """Remove a budget. Raises NotFound."""
        subject = await self._subject(workspace, key)
        if not await self._store.delete_budget(workspace, subject):
            raise NotFound("Budget not found")
        known = self._known.get(workspace, {})
        known.pop(subject, None)
        if not known:
            self._known.pop(workspace, None)

    async def spent(self, workspace: str, key: str | None = None) -> int:
        """What was spent in the current month, whether or not there is a budget."""
        return await self._store.spent(workspace, key or workspace, cost.month_of(self._clock.now_ms()))

    async def check_start(self, workspace: str, key: str | None) -> None:
        """A run is about to be started.

        Raises:
            BudgetExceeded: a budget that stops is spent.
        """
        for budget in self._of(workspace, key):
            if budget.action == "stop":
                month = cost.month_of(self._clock.now_ms())
                spent = await self._store.spent(workspace, budget.subject, month)
                if spent >= budget.amount:
                    raise _exceeded(budget, month, spent)

    async def overdraft(self, run: Run, unwritten: int, held: Held, needed: int) -> Overdraft | None:
        """See engine.Environment. One that stops goes before one that asks."""
        found: Overdraft | None = None
        for budget in self._of(run.workspace, run.key):
            month = cost.month_of(self._clock.now_ms())
            spent = await self._store.spent(run.workspace, budget.subject, month) + unwritten
            of: Literal["workspace", "key"] = "workspace" if budget.subject == budget.workspace else "key"
            beside = held.workspace if of == "workspace" else held.key
            if spent >= budget.amount or spent + beside + needed > budget.amount:
                overdraft = Overdraft(of, budget.amount, spent, needed, budget.action, beside)
                if budget.action == "stop":
                    return overdraft
                found = found or overdraft
        return found

    def _of(self, workspace: str, key: str | None) -> list[Budget]:
        known = self._known.get(workspace)
        if known is None:
            return []
        return [known[subject] for subject in (workspace, key) if subject in known]

    async def _subject(self, workspace: str, key: str | None) -> str:
        if key is None:
            return workspace
        id = uuids.parse(key)
        if id is None or not await self._store.has_key(workspace, id):
            raise NotFound("Key not found")
        return id


def _exceeded(budget: Budget, month: int, spent: int) -> BudgetExceeded:
    whose = "the workspace" if budget.subject == budget.workspace else f"the key key_{budget.subject}"
    message = (
        f"Monthly budget of {whose} of {cost.exact(budget.amount)} cents exceeded: {cost.exact(spent)} spent in "
        f"{cost.month_name(month)}; it begins anew on {cost.next_month(month)}"
    )
    return BudgetExceeded(message)
