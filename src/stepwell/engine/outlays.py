"""Outlays: what the walks of an engine spend that the store does not know yet, for budgets over more than one run."""

from typing import Protocol

from stepwell.engine.ports import Held
from stepwell.store import Run


class Spender(Protocol):
    """A walk that has begun a step which costs something."""

    def outstanding(self) -> int:
        """What its steps need that are under way, and what those have cost that it has still to write."""
        ...


class Outlays:
    """The spenders by workspace, each with the key that started its run."""

    def __init__(self) -> None:
        self._spenders: dict[str, dict[Spender, str | None]] = {}

    def join(self, spender: Spender, run: Run) -> None:
        """From now on the walk is asked; joining twice is joining once."""
        self._spenders.setdefault(run.workspace, {})[spender] = run.key

    def leave(self, spender: Spender, run: Run) -> None:
        """The walk has ended, and all it has spent is written. It need not have joined."""
        spenders = self._spenders.get(run.workspace, {})
        spenders.pop(spender, None)
        if not spenders:
            self._spenders.pop(run.workspace, None)

    def beside(self, spender: Spender, run: Run) -> Held:
        """What the others have outstanding."""
        whole = of_key = 0
        for other, key in self._spenders.get(run.workspace, {}).items():
            if other is not spender:
                amount = other.outstanding()
                whole += amount
                of_key += amount if key == run.key else 0
        return Held(whole, of_key)
