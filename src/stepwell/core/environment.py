"""What the engine asks for around a run, answered by the use cases."""

from stepwell.auth import CannotOpen, Markers
from stepwell.core.approvals import ApprovalLinks
from stepwell.core.budgets import Budgets
from stepwell.core.connections import Connections
from stepwell.core.notices import Notices
from stepwell.core.plans import Plans
from stepwell.core.runs import Runs
from stepwell.core.secrets import Secrets
from stepwell.core.starting import StartRequest
from stepwell.definitions import Plan
from stepwell.engine.ports import ChildEnd, Held, NoSecrets, Overdraft, SecretBox
from stepwell.errors import StepError, StepwellError, StoreUnavailable, ValidationFailed
from stepwell.steps import ApprovalWish, ChildWish, ChosenConnection, ConnectionNeed
from stepwell.store import Approval, Run

MAX_DEPTH = 25  # of runs below runs; LoopFour contract 9


class RunEnvironment:
    """The port `engine.Environment`."""

    def __init__(
        self,
        plans: Plans,
        secrets: Secrets,
        markers: Markers,
        connections: Connections,
        links: ApprovalLinks,
        notices: Notices,
        budgets: Budgets | None = None,
    ) -> None:
        self._plans = plans
        self._secrets = secrets
        self._markers = markers
        self._connections = connections
        self._links = links
        self._notices = notices
        self._budgets = budgets
        self.runs: Runs | None = None  # set once there are runs: they need the engine, which needs this

    async def plan(self, workspace: str, workflow: str, version: int) -> Plan:
        """See engine.Environment."""
        return await self._plans.get(workspace, workflow, version)

    async def secrets(self, workspace: str, workflow: str, names: frozenset[str]) -> SecretBox:
        """See engine.Environment."""
        if not names:
            return NoSecrets()
        try:
            values = await self._secrets.open(workspace, workflow, names)
        except CannotOpen:
            raise StepError("A secret cannot be read; enter it again", code="SECRET_MISSING") from None
        if missing := sorted(names - values.keys()):
            raise StepError(f"Secret not found: {missing[0]}", code="SECRET_MISSING")
        return self._markers.box(workspace, workflow, values)

    async def choose_connection(self, run: Run, need: ConnectionNeed) -> ChosenConnection:
        """See engine.Environment."""
        return await self._connections.choose(run.workspace, need, run)

    async def username(self, run: Run) -> str | None:
        """See engine.Environment."""
        return None if run.end_user is None else await self._connections.username(run.workspace, run.end_user)

    def approval_link(self, approval: str, approver: str) -> tuple[str, bytes]:
        """See engine.Environment."""
        return self._links.issue(approval, approver)

    async def notify(self, approval: Approval, wish: ApprovalWish, to: tuple[str, ...], *, escalated: bool) -> None:
        """See engine.Environment."""
        await self._notices.send(approval, wish, to, escalated=escalated)

    async def start_child(self, parent: Run, path: str, wish: ChildWish) -> tuple[str, bool]:
        """See engine.Environment."""
        if parent.depth >= MAX_DEPTH:
            raise _child_refused(f"Subworkflows are nested deeper than {MAX_DEPTH}")
        if self.runs is None:
            raise _child_refused("Runs cannot be started here")
        request = StartRequest(
            workflow=wish.workflow.removeprefix("wf_"),
            input=wish.input,
            connection=parent.connection,
            idempotency_key=wish.idempotency_key or f"{parent.id}:{path}"[-255:],
            parent=parent,
            awaited=wish.wait,
            end_user=parent.end_user,
            mock=parent.mock,
            key=parent.key,
        )
        try:
            started = await self.runs.start(parent.workspace, request)
        except StoreUnavailable:
            raise
        except ValidationFailed as error:
            faults = "; ".join(f"{fault.field}: {fault.message}" for fault in error.faults[:5])
            raise _child_refused(f"{error.message}: {faults}") from None
        except StepwellError as error:
            raise _child_refused(error.message) from None
        return started.run, started.replayed and wish.idempotency_key is not None

    async def child_end(self, workspace: str, run: str) -> ChildEnd | None:
        """See engine.Environment."""
        return None if self.runs is None else await self.runs.end_of(workspace, run)

    def has_budgets(self, workspace: str) -> bool:
        """See engine.Environment."""
        return self._budgets is not None and self._budgets.any(workspace)

    async def overdraft(self, run: Run, unwritten: int, held: Held, needed: int) -> Overdraft | None:
        """See engine.Environment."""
        return None if self._budgets is None else await self._budgets.overdraft(run, unwritten, held, needed)


def _child_refused(why: str) -> StepError:
    return StepError(why, code="SUBWORKFLOW_FAILED")
