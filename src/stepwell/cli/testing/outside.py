"""What reaches a case's run from outside while it is played: its events, and the decisions on its approvals."""

from collections import Counter
from dataclasses import dataclass

from stepwell.cli.testing.cases import Case, Decision, Event
from stepwell.cli.testing.mocks import step_of
from stepwell.clock import FakeClock
from stepwell.core import Approvals, Signals
from stepwell.errors import StepwellError
from stepwell.store import Approval, Loaded

KEY_NAME = "test"
"""Who decides where a case does not say."""


@dataclass(slots=True)
class _Coming:
    """An event that was not sent yet. When it is due is unknown (None) until the step it comes after is over."""

    event: Event
    due_ms: int | None


class Outside:
    """The events and decisions of one case, each sent once."""

    def __init__(self, case: Case, signals: Signals, approvals: Approvals, clock: FakeClock) -> None:
        self._signals = signals
        self._approvals = approvals
        self._clock = clock
        self._coming = [_Coming(event, None if event.after else event.at_ms) for event in case.events]
        self._decisions = case.approvals
        self._decided: Counter[str] = Counter()  # decisions sent, by approval
        self._next_decision: int | None = None
        self.problems: list[str] = []

    @property
    def next(self) -> int | None:
        """When the next event or decision is due."""
        dues = [coming.due_ms for coming in self._coming if coming.due_ms is not None]
        return min([*dues, *([] if self._next_decision is None else [self._next_decision])], default=None)

    @property
    def left(self) -> list[str]:
        """What was never sent, told line by line."""
        return [f"The event {coming.event.type} was not sent: {_why(coming)}" for coming in self._coming]

    async def act(self, loaded: Loaded) -> bool:
        """Send what is due now; whether there was anything."""
        now = self._clock.now_ms()
        self._place(loaded)
        due = [coming for coming in self._coming if coming.due_ms is not None and coming.due_ms <= now]
        for coming in due:
            self._coming.remove(coming)
            event = coming.event
            await self._signals.send(loaded.run.workspace, loaded.run.id, event.type, event.payload)
        return await self._decide(loaded, now) or bool(due)

    def _place(self, loaded: Loaded) -> None:
        """Events that come after a step are due once it is over."""
        ends = {record.path: record.ended_at for record in loaded.records if record.status.final and record.ended_at}
        ends |= {step_of(path): end for path, end in reversed(ends.items())}
        for coming in self._coming:
            if coming.due_ms is None and coming.event.after in ends:
                coming.due_ms = ends[coming.event.after] + coming.event.at_ms

    async def _decide(self, loaded: Loaded, now: int) -> bool:
        self._next_decision = None
        asked = {record.path: record.started_at or now for record in loaded.records}
        acted = False
        for approval in loaded.approvals:
            given = self._decisions.get(approval.path, self._decisions.get(approval.step, ()))
            done = self._decided[approval.id]
            if approval.status != "pending" or done >= len(given):
                continue
            due = asked[approval.path] + given[done].after_ms
            if due <= now:
                self._decided[approval.id] += 1
                await self._send(approval, given[done])
                acted = True
            else:
                self._next_decision = due if self._next_decision is None else min(due, self._next_decision)
        return acted

    async def _send(self, approval: Approval, decision: Decision) -> None:
        try:
            await self._approvals.decide(
                approval.workspace,
                approval.id,
                "approve" if decision.approve else "reject",
                key_name=KEY_NAME,
                approver=decision.by,
                comment=decision.comment,
            )
        except StepwellError as error:
            who = f" by {decision.by}" if decision.by else ""
            asked = ", ".join(approval.approvers)
            self.problems.append(f"The decision{who} on {approval.path} was refused: {error.message} (asked: {asked})")


def _why(coming: _Coming) -> str:
    if coming.due_ms is None:
        return f"{coming.event.after} never ended"
    return "the run had ended before"
