"""What surrounds a case's runs: plans, secrets, connections, people and other workflows, as the case gives them."""

from stepwell import values
from stepwell.auth import Markers, Vault
from stepwell.cli.testing.cases import Case
from stepwell.cli.testing.mocks import STAND_IN, Mocks, Notes
from stepwell.clock import FakeClock
from stepwell.core import ApprovalLinks
from stepwell.definitions import Plan
from stepwell.engine import Engine
from stepwell.engine.ports import ChildEnd, Held, Overdraft, SecretBox
from stepwell.errors import StepError, ValidationFailed
from stepwell.ids import Ids
from stepwell.steps import ApprovalWish, ChildWish, ChosenConnection, ConnectionNeed
from stepwell.store import Approval, NewRun, Run, Store
from stepwell.values import Json


class Surroundings:
    """The port `engine.Environment` of one case. `engine` is set once there is one."""

    engine: Engine

    def __init__(
        self, case: Case, store: Store, clock: FakeClock, ids: Ids, links: ApprovalLinks, notes: Notes
    ) -> None:
        self.workflow = ids.new()
        self.notified: list[Json] = []
        self._case = case
        self._store = store
        self._ids = ids
        self._links = links
        self._notes = notes
        self._own = Mocks(case.mocks, notes)
        self._markers = Markers(Vault(bytes(32)))
        self._plans = {self.workflow: case.plan}
        self._mocks: dict[str, Mocks] = {}  # of runs that steps have started
        self._children: dict[tuple[str, str], str] = {}

    def mocks(self, run: str) -> Mocks:
        """The mocks of a run."""
        return self._mocks.get(run, self._own)

    async def plan(self, workspace: str, workflow: str, version: int) -> Plan:
        """See engine.Environment."""
        return self._plans[workflow]

    async def secrets(self, workspace: str, workflow: str, names: frozenset[str]) -> SecretBox:
        """See engine.Environment: the secrets of the case."""
        if missing := sorted(names - self._case.secrets.keys()):
            hint = f"Add to the case:  secrets: {{{missing[0]}: ...}}"
            self._notes.problems.append(f"The workflow uses the secret {missing[0]}. {hint}")
            raise StepError(f"Secret not found: {missing[0]}", code="SECRET_MISSING")
        return self._markers.box(workspace, workflow, self._case.secrets)

    async def choose_connection(self, run: Run, need: ConnectionNeed) -> ChosenConnection:
        """See engine.Environment: a connection that leads nowhere; its steps have mocks."""
        return ChosenConnection(f"test-{need.providers[0]}", need.providers[0])

    async def username(self, run: Run) -> str | None:
        """See engine.Environment: a case acts for nobody."""
        return None

    def approval_link(self, approval: str, approver: str) -> tuple[str, bytes]:
        """See engine.Environment."""
        return self._links.issue(approval, approver)

    async def notify(self, approval: Approval, wish: ApprovalWish, to: tuple[str, ...], *, escalated: bool) -> None:
        """See engine.Environment: nobody is told, but `expect.notified` may look at who would be."""
        notice = {"step": approval.path, "to": list(to), "escalated": escalated}
        if notice not in self.notified:
            self.notified.append(notice)

    async def start_child(self, parent: Run, path: str, wish: ChildWish) -> tuple[str, bool]:
        """See engine.Environment: a run of the definition that the case names, or of one that comes to what a mock
        says."""
        bare = wish.workflow.removeprefix("wf_")
        places = [(parent.id, path), *([(bare, wish.idempotency_key)] if wish.idempotency_key else [])]
        known = next((self._children[place] for place in places if place in self._children), None)
        if known is not None:
            return known, places[0] not in self._children
        plan, mocks = self._child(parent, path, bare)
        run, workflow = self._ids.new(), self._ids.new()
        self._plans[workflow] = plan
        self._mocks[run] = mocks
        self._children |= dict.fromkeys(places, run)
        new = NewRun(
            workspace=parent.workspace,
            id=run,
            workflow=workflow,
            version=1,
            trigger="api",
            input=values.encode(_given(plan, wish)),
            owner=None,
            parent=parent.id,
            awaited=wish.wait,
            depth=parent.depth + 1,
        )
        await self.engine.start(new, plan)
        return run, False

    async def child_end(self, workspace: str, run: str) -> ChildEnd | None:
        """See engine.Environment."""
        loaded = await self._store.runs.load(workspace, run)
        if loaded is None or not loaded.run.state.final:
            return None
        ended = loaded.run
        return ChildEnd(ended.state, ended.output, ended.error, (ended.ended_at or 0) - (ended.started_at or 0))

    def has_budgets(self, workspace: str) -> bool:
        """See engine.Environment: a case spends nobody's money."""
        return False

    async def overdraft(self, run: Run, unwritten: int, held: Held, needed: int) -> Overdraft | None:
        """See engine.Environment."""
        return None

    def _child(self, parent: Run, path: str, workflow: str) -> tuple[Plan, Mocks]:
        """The plan of a run that a step starts, and the mocks of its steps."""
        of_step = self.mocks(parent.id).of(path)
        if of_step is not None:
            return self._case.stand_in, Mocks({STAND_IN: of_step[1]}, self._notes, f"mocks.{of_step[0]}")
        child = self._case.subworkflows.get(workflow)
        if child is None:
            hint = f"subworkflows: {{{workflow}: {{output: ...}}}}"
            raise self._notes.problem(
                f"{path} (subworkflow) starts {workflow}, for which the case has no mock. Add to the case:  {hint}  "
                "(or error: ..., or workflow: FILE)"
            )
        return child.plan, Mocks(child.mocks, self._notes, f"subworkflows.{workflow}")


def _given(plan: Plan, wish: ChildWish) -> dict[str, Json]:
    if plan.input_schema is None:
        return wish.input
    try:
        return plan.input_schema.apply(wish.input)
    except ValidationFailed as error:
        told = f"{error.message}: {error.faults[0].field}: {error.faults[0].message}"
        raise StepError(told, code="SUBWORKFLOW_FAILED") from None
