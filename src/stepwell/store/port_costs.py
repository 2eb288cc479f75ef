"""What a store offers of budgets and spending; see store.port for the rules of all verbs. What is spent is raised by
the commits of runs."""

from typing import Protocol

from stepwell.store.rows_costs import Budget


class Costs(Protocol):
    """Monthly budgets, and what was spent."""

    async def budgets(self) -> list[Budget]:
        """The budgets of all workspaces."""
        ...

    async def put_budget(self, budget: Budget) -> None:
        """Set a budget, in place of one of the same subject."""
        ...

    async def delete_budget(self, workspace: str, subject: str) -> bool:
        """Remove a budget; False if there is none."""
        ...

    async def has_key(self, workspace: str, key: str) -> bool:
        """Whether the workspace has such a key, revoked ones included."""
        ...

    async def spent(self, workspace: str, subject: str, month: int) -> int:
        """What was spent in a month (yyyymm), 0 if nothing was."""
        ...
