"""The ledger of a walk: what its run has cost, what may be spent, and what keeps it from further steps."""

from typing import Any

from stepwell import values
from stepwell.store import Commit, Committed, Run


class Ledger:
    """Costs of one run: those that are stored, and those that this walk has still to write.

    Others add to the stored cost too, so what is written are the additions; each goes into one commit only.
    """

    __slots__ = ("_flying", "_in_flight", "_new", "_seen", "_stored", "_unsaid", "budget", "excused", "held", "stops")

    def __init__(self, run: Run) -> None:
        self._stored = self._seen = run.cost
        self._new: dict[str, int] = {}
        self._flying = 0  # of commits that are not answered yet
        self._in_flight = 0  # how many those are
        self._unsaid = False  # `held` has still to be written
        self.budget = run.budget
        self.excused = run.excused
        self.held = run.held
        self.stops = _stops(run.held)  # for good: nobody can let the run go on

    def __bool__(self) -> bool:
        """There is something to write."""
        return bool(self._new) or self._unsaid

    @property
    def spent(self) -> int:
        """What the run has cost so far."""
        return self._stored + self.unwritten

    @property
    def unwritten(self) -> int:
        """How much of that the store does not know."""
        return self._flying + sum(self._new.values())

    def charge(self, path: str, amount: int) -> None:
        """A step has cost an amount; with the next commit."""
        if amount:
            self._new[path] = self._new.get(path, 0) + amount

    def hold(self, held: bytes | None) -> None:
        """A budget keeps the run from further steps; with the next commit, or with that which pauses it if somebody is
        asked. None if it does not any more."""
        self.held = held
        self.stops = _stops(held)
        self._unsaid = held is not None

    def see(self, run: Run) -> None:
        """What a look at the store found. While a commit flies it is not known whether the look saw it."""
        self._seen = max(self._seen, run.cost)
        if not self._in_flight:
            self._stored = max(self._stored, self._seen)
        self.budget, self.excused = run.budget, run.excused
        if not self._unsaid and run.held != self.held:
            self.held, self.stops = run.held, _stops(run.held)

    def send(self, *, pauses: bool) -> dict[str, Any]:
        """Fields of the next commit, if it has any; then `answered` is told of its answer. `pauses` says whether it
        pauses the run."""
        held = self.held if self._unsaid and (self.stops or pauses) else None
        if not self._new and held is None:
            return {}
        charges, self._new = tuple(self._new.items()), {}
        self._unsaid = self._unsaid and held is None
        self._in_flight += 1
        self._flying += sum(amount for _, amount in charges)
        return {"charges": charges, "held": held}

    def answered(self, commit: Commit, committed: Committed | None) -> None:
        """A commit was applied, or refused, or has failed (None): then its additions are to be written by another."""
        if not commit.charges and commit.held is None:
            return
        self._in_flight -= 1
        self._flying -= sum(amount for _, amount in commit.charges)
        if committed is not None and committed.applied:
            self._stored = max(self._stored, committed.cost or 0)
        else:
            for path, amount in commit.charges:
                self.charge(path, amount)
            self._unsaid = self._unsaid or commit.held is not None
        if not self._in_flight:
            self._stored = max(self._stored, self._seen)


def _stops(held: bytes | None) -> bool:
    return held is not None and values.decode(held)["action"] == "stop"


class Bill:
    """What one attempt costs: what it reports itself goes before what its definition declares, and that before what the
    catalogue knows of prices."""

    __slots__ = ("_listed", "_reported", "waived")

    def __init__(self) -> None:
        self._reported: int | None = None
        self._listed = 0
        self.waived = False  # nothing was really done

    def charge(self, amount: int) -> None:
        """The attempt reports an amount."""
        self._reported = (self._reported or 0) + max(0, amount)

    def list_price(self, amount: int) -> None:
        """The catalogue tells a price."""
        self._listed += max(0, amount)

    def of_success(self, declared: int | None) -> int:
        """What an attempt costs that has succeeded."""
        if self.waived:
            return 0
        if self._reported is not None:
            return self._reported
        return self._listed if declared is None else declared

    def of_failure(self) -> int:
        """What one costs that has failed: nothing that is only declared."""
        return self._listed if self._reported is None else self._reported
