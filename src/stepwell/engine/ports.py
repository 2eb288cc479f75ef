"""What the engine asks of the use cases above it: plans, secrets and the choice of a connection."""

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from stepwell.definitions import Plan
from stepwell.states import RunState
from stepwell.steps import ApprovalWish, ChildWish, ChosenConnection, ConnectionNeed
from stepwell.store import Approval, OverBudget, Run
from stepwell.values import Json


class SecretBox(Protocol):
    """The secrets of one workflow, opened for one walk."""

    markers: Mapping[str, str]  # name -> the marker that stands for it in recorded values

    def reveal(self, value: Json) -> Json:
        """A copy of the value with genuine markers replaced by the secrets."""
        ...

    def hide(self, value: Json) -> Json:
        """A copy of the value with secrets replaced by their markers."""
        ...


class NoSecrets:
    """The box of a workflow that uses none."""

    markers: Mapping[str, str] = {}

    def reveal(self, value: Json) -> Json:
        return value

    def hide(self, value: Json) -> Json:
        return value


class ChildEnd(msgspec.Struct, frozen=True):
    """How a run that a step started has ended. `output` and `error` are JSON text."""

    state: RunState
    output: bytes | None
    error: bytes | None
    duration_ms: int


class Overdraft(msgspec.Struct, frozen=True):
    """A budget that does not suffice for a step that is about to begin; amounts in millionths of a cent. `held` is what
    steps need that have begun."""

    of: Literal["run", "workspace", "key"]
    budget: int
    spent: int
    needed: int
    action: OverBudget
    held: int = 0


class Held(msgspec.Struct, frozen=True):
    """What is about to be spent, in millionths of a cent: in a whole workspace, and by runs of one key of it."""

    workspace: int
    key: int


class Environment(Protocol):
    """What surrounds a run."""

    def approval_link(self, approval: str, approver: str) -> tuple[str, bytes]:
        """The address at which an approver decides without a key, and the SHA-256 of the token in it. Always the same
        for the same approval and approver."""
        ...

    async def notify(self, approval: Approval, wish: ApprovalWish, to: tuple[str, ...], *, escalated: bool) -> None:
        """Tell people, through the channels they wish, that an approval waits for them; sent later and once, however
        often this is called."""
        ...

    async def start_child(self, parent: Run, path: str, wish: ChildWish) -> tuple[str, bool]:
        """Start the run that a step asks for; its id, and whether its idempotency key stood for it already.

        However often a path asks, it gets the same run. Raises StepError SUBWORKFLOW_FAILED.
        """
        ...

    async def child_end(self, workspace: str, run: str) -> ChildEnd | None:
        """How a run has ended; None if it has not."""
        ...

    async def plan(self, workspace: str, workflow: str, version: int) -> Plan:
        """The compiled version; cached."""
        ...

    async def secrets(self, workspace: str, workflow: str, names: frozenset[str]) -> SecretBox:
        """The secrets of a workflow. Raises StepError SECRET_MISSING naming the first that does not exist."""
        ...

    async def choose_connection(self, run: Run, need: ConnectionNeed) -> ChosenConnection:
        """The connection for a step, by the rules of the LoopFour contract 13 and, if the run acts for an end user, of
        the Flowra contract 5.5. Raises StepError CONNECTION_MISSING."""
        ...

    async def username(self, run: Run) -> str | None:
        """The name of the end user whom a run acts for, if it acts for one."""
        ...

    def has_budgets(self, workspace: str) -> bool:
        """Whether the workspace or a key of it may have a monthly budget; asked before every step."""
        ...

    async def overdraft(self, run: Run, unwritten: int, held: Held, needed: int) -> Overdraft | None:
        """The monthly budget, of the workspace or of the key that started the run, that does not suffice for a step
        that will need so much or more; `unwritten` is what the run has spent that the store does not know, and `held`
        what it and others are about to spend."""
        ...
