"""Whether a run may begin a step, as far as its budgets go."""

from collections.abc import Mapping

from stepwell import cost, values
from stepwell.definitions import Kind, Step
from stepwell.engine.gear import Gear
from stepwell.engine.journal import Journal
from stepwell.engine.outcomes import Halted
from stepwell.engine.ports import Held, Overdraft
from stepwell.states import RecordStatus
from stepwell.steps import Price, PricedType
from stepwell.values import Json

BUDGET_EXCEEDED = "BUDGET_EXCEEDED"
FREE = Price()


class Overdrawn(Halted):
    """A budget does not suffice for the next step: none starts any more, and when those in flight have ended, so does
    the run."""


class Spending:
    """The budgets of one walk. While there are none, asking costs next to nothing."""

    def __init__(self, journal: Journal, gear: Gear, steps: Mapping[str, Step]) -> None:
        self._journal = journal
        self._gear = gear
        self._steps = steps
        self._admitted: dict[str, int] = {}  # by path: what steps need of which nothing may be recorded yet

    def unlimited(self) -> bool:
        """No budget has a say."""
        ledger = self._journal.ledger
        return ledger.budget is None and ledger.held is None and not self._gear.environment.has_budgets(self._workspace)

    async def admit(self, step: Step, path: str) -> None:
        """A step is about to begin that has not begun before; `begun` is called once it has, or has not.

        Raises:
            Overdrawn: it must not, and no other one may.
            Halted: somebody is asked first; the run is paused with this walk's end.
        """
        ledger = self._journal.ledger
        if ledger.stops:
            raise Overdrawn
        price = price_of(step)
        held = 0 if price == FREE else self._under_way()
        self._admitted[path] = price.estimate  # at once: while this is judged, others ask
        overdraft = self._of_run(price, held) or await self._of_month(price, held)
        if overdraft is None:
            if ledger.held is not None:  # meanwhile it suffices
                ledger.hold(None)
            return
        ledger.hold(values.encode(as_json(overdraft)))
        self._gear.events.emit("run.over_budget", run=self._journal.run.id, action=overdraft.action)
        if overdraft.action == "stop":
            raise Overdrawn
        self._journal.paused = True
        raise Halted

    def begun(self, path: str) -> None:
        """From here on the journal tells of the step, if it began."""
        self._admitted.pop(path, None)

    def outstanding(self) -> int:
        """See outlays.Spender."""
        return self._journal.ledger.unwritten + self._under_way()

    def leave(self) -> None:
        """The walk has ended."""
        self._gear.outlays.leave(self, self._journal.run)

    def end(self) -> bytes:
        """The run ends by a budget: containers that its last steps stood in end with it. The run's error."""
        held = self._journal.value(self._journal.ledger.held)
        error = values.encode({name: held[name] for name in ("code", "message", "details")})
        now = self._gear.clock.now_ms()
        for path in self._journal.unfinished():
            record = self._journal.get(path)
            if record is not None:
                self._journal.write(path, record.step, RecordStatus.ERROR, now, error=error)
        return error

    @property
    def _workspace(self) -> str:
        return self._journal.run.workspace

    def _of_run(self, price: Price, held: int) -> Overdraft | None:
        """The run's own budget also keeps it from free steps once it is overdrawn."""
        ledger = self._journal.ledger
        budget, spent = ledger.budget, ledger.spent
        if budget is None:
            return None
        if spent + held + price.estimate <= budget and (spent < budget or price == FREE):
            return None
        return Overdraft("run", budget, spent, price.estimate, self._journal.run.over_budget, held)

    def _under_way(self) -> int:
        """What the steps need that have begun and not ended."""
        needed = dict(self._admitted)
        for path in self._journal.unfinished():
            record = self._journal.get(path)
            step = None if record is None else self._steps.get(record.step)
            if step is not None:
                needed[path] = price_of(step).estimate
        return sum(needed.values())

    async def _of_month(self, price: Price, held: int) -> Overdraft | None:
        """A monthly budget keeps runs only from what costs something."""
        if price == FREE or not self._gear.environment.has_budgets(self._workspace):
            return None
        ledger, run, outlays = self._journal.ledger, self._journal.run, self._gear.outlays
        outlays.join(self, run)
        others = outlays.beside(self, run)
        whole = Held(others.workspace + held, others.key + held)
        found = await self._gear.environment.overdraft(run, ledger.unwritten, whole, price.estimate)
        return None if found is not None and found.action == "ask" and ledger.excused else found


def price_of(step: Step) -> Price:
    """What is known of a step's cost before it begins: what its definition declares, else what its type knows."""
    priced = step.type.price(step.program) if isinstance(step.type, PricedType) else FREE
    if step.type.kind is Kind.TASK:  # its worker may report another cost than it declares
        return Price(priced.estimate or step.cost or 0, metered=True)
    return priced if step.cost is None else Price(step.cost)


def as_json(overdraft: Overdraft) -> dict[str, Json]:
    """An overdraft as a run keeps it: `of` and `action`, and what becomes the run's error if it stops."""
    whose = {"run": "Budget", "workspace": "Monthly budget of the workspace", "key": "Monthly budget of the key"}
    budget, spent, needed = (cost.exact(each) for each in (overdraft.budget, overdraft.spent, overdraft.needed))
    held = f"{cost.exact(overdraft.held)} held for steps under way, " if overdraft.held else ""
    return {
        "of": overdraft.of,
        "action": overdraft.action,
        "code": BUDGET_EXCEEDED,
        "message": f"{whose[overdraft.of]} of {budget} cents exceeded: {spent} spent, {held}next step needs {needed}",
        "details": {
            "budgetCents": cost.number(overdraft.budget),
            "spentCents": cost.number(overdraft.spent),
            "neededCents": cost.number(overdraft.needed),
            **({"heldCents": cost.number(overdraft.held)} if overdraft.held else {}),
        },
    }
