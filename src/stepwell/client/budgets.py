"""Monthly budgets of the workspace and of its keys; an admin key is needed."""

from stepwell.client.records import Budget
from stepwell.client.transport import Transport


class Budgets:
    """Read, set and remove budgets. `key` is a key's id; without it the workspace's budget is meant."""

    def __init__(self, transport: Transport) -> None:
        self._call = transport.call

    def get(self, key: str | None = None) -> Budget:
        """A budget, and what was spent of it in the current month."""
        return self._call("GET", _path(key)).one(Budget)

    def set(self, amount_cents: int, *, over_budget: str = "stop", key: str | None = None) -> Budget:
        """Set what may be spent in a calendar month (UTC). `over_budget` is stop or ask."""
        return self._call("PUT", _path(key), {"amountCents": amount_cents, "overBudget": over_budget}).one(Budget)

    def clear(self, key: str | None = None) -> None:
        """Remove a budget."""
        self._call("DELETE", _path(key))


def _path(key: str | None) -> str:
    return "/admin/budget" if key is None else f"/admin/keys/{key}/budget"
