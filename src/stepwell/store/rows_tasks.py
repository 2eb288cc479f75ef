"""Frozen rows of tasks: work that a run hands to workers outside. Values (template, input, output, error) are JSON
text as bytes, costs millionths of a cent, times epoch ms."""

import msgspec

from stepwell.states import TaskStatus


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work; created at the id's own millisecond. `attempts` counts the claims that ended without being
    accepted. Those of loaded runs carry no template, input or description, and no output but an accepted one that the
    step has still to take."""

    workspace: str
    id: str
    run: str
    workflow: str
    path: str
    step: str
    status: TaskStatus
    title: str
    description: str | None = None
    task_type: str | None = None
    template: bytes = b"{}"
    input: bytes = b"{}"
    output: bytes | None = None
    score: int | None = None
    cost: int = 0  # of all claims, as workers reported it
    declared: int = 0  # what a delivery costs whose worker reports nothing
    attempts: int = 0
    max_attempts: int = 2
    auto_accept: bool = False
    min_score: int | None = None  # below it a delivery is not accepted by itself
    max_cost: int | None = None  # above it neither
    worker: str | None = None
    token: bytes | None = None  # the SHA-256 of the claim's token, until the task is open again
    lease_until: int | None = None
    claimed_at: int | None = None  # the last claim
    error: bytes | None = None  # of the last claim that ended
    reject_reason: str | None = None
    approved_by: str | None = None  # None with a time: accepted by itself
    approved_at: int | None = None
    started_at: int | None = None  # the first claim
    completed_at: int | None = None
    updated_at: int = 0

    @property
    def attempt(self) -> int:
        """The number of the claim that counts now: the current one, or the last."""
        held = self.status in (TaskStatus.CLAIMED, TaskStatus.REVIEW, TaskStatus.ACCEPTED)
        return self.attempts + held

    def passes(self, score: int | None, cost: int) -> bool:
        """Whether a delivery with this score, the task having cost so much by then, is accepted by itself."""
        if not self.auto_accept or (self.min_score is not None and (score is None or score < self.min_score)):
            return False
        return self.max_cost is None or cost <= self.max_cost


class TaskClaim(msgspec.Struct, frozen=True, kw_only=True):
    """A worker asks for the oldest open task, of one of these types if any are named."""

    worker: str
    types: tuple[str, ...] | None
    token: bytes  # the SHA-256 of the new claim's token
    lease_until: int
    now: int


class TaskDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker delivers. Without a `cost` the one counts that the step declares."""

    token: bytes
    output: bytes
    cost: int | None
    score: int | None
    now: int


class TaskFailure(msgspec.Struct, frozen=True, kw_only=True):
    """A worker gives up. Unless it is `retryable`, the task fails at once."""

    token: bytes
    message: str
    retryable: bool
    cost: int | None
    now: int


class TaskVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody decides on a delivery; `by` is the key's id."""

    accepted: bool
    by: str
    reason: str | None
    now: int
