"""The states of runs, records and workflows, and which may follow which. SQL repeats it as conditional updates."""

from enum import StrEnum


class RunState(StrEnum):
    """A run's state in the core; dialects rename it."""

    PENDING = "pending"
    RUNNING = "running"
    SUSPENDED = "suspended"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"

    @property
    def final(self) -> bool:
        """No state follows."""
        return self in FINAL


class WaitsOn(StrEnum):
    """What an open run without an owner waits for."""

    RETRY = "retry"
    TIMER = "timer"
    CHILD = "child"
    EVENT = "event"
    APPROVAL = "approval"
    TASK = "task"


class RecordStatus(StrEnum):
    """The status of a record. The last three are final."""

    RUNNING = "running"
    WAITING = "waiting"
    SUCCESS = "success"
    ERROR = "error"
    SKIPPED = "skipped"

    @property
    def final(self) -> bool:
        """The outcome is recorded and will not change."""
        return self not in (RecordStatus.RUNNING, RecordStatus.WAITING)


class WorkflowStatus(StrEnum):
    """Whether a workflow takes new runs: only an active one does."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    ARCHIVED = "archived"


class TaskStatus(StrEnum):
    """What has become of a task that waits for a worker. The last three are final."""

    OPEN = "open"
    CLAIMED = "claimed"
    REVIEW = "review"
    ACCEPTED = "accepted"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """No status follows."""
        return not TASK_TRANSITIONS[self]


FINAL = frozenset({RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED, RunState.TIMED_OUT})
OPEN = frozenset(RunState) - FINAL

_ENDS = {RunState.CANCELLED, RunState.FAILED, RunState.TIMED_OUT}
RUN_TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    RunState.PENDING: frozenset({RunState.RUNNING, RunState.PAUSED, *_ENDS}),
    RunState.RUNNING: frozenset({RunState.SUSPENDED, RunState.PAUSED, RunState.COMPLETED, *_ENDS}),
    RunState.SUSPENDED: frozenset({RunState.RUNNING, RunState.PAUSED, *_ENDS}),
    RunState.PAUSED: frozenset({RunState.PENDING, RunState.RUNNING, RunState.SUSPENDED, *_ENDS}),
    **{state: frozenset() for state in FINAL},
}

WORKFLOW_TRANSITIONS: dict[WorkflowStatus, frozenset[WorkflowStatus]] = {
    WorkflowStatus.DRAFT: frozenset({WorkflowStatus.ACTIVE, WorkflowStatus.ARCHIVED}),
    WorkflowStatus.ACTIVE: frozenset({WorkflowStatus.PAUSED, WorkflowStatus.ARCHIVED}),
    WorkflowStatus.PAUSED: frozenset({WorkflowStatus.ACTIVE, WorkflowStatus.ARCHIVED}),
    WorkflowStatus.ARCHIVED: frozenset(),
}

_TASK_ENDS = {TaskStatus.FAILED, TaskStatus.CANCELLED}
TASK_TRANSITIONS: dict[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.OPEN: frozenset({TaskStatus.CLAIMED, *_TASK_ENDS}),
    TaskStatus.CLAIMED: frozenset({TaskStatus.OPEN, TaskStatus.REVIEW, TaskStatus.ACCEPTED, *_TASK_ENDS}),
    TaskStatus.REVIEW: frozenset({TaskStatus.OPEN, TaskStatus.ACCEPTED, *_TASK_ENDS}),
    TaskStatus.ACCEPTED: frozenset(),
    TaskStatus.FAILED: frozenset(),
    TaskStatus.CANCELLED: frozenset(),
}
