"""What the dialect answers, as structs. Source: LoopFour contract 2-5 and 13."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from stepwell.values import Json

Object = dict[str, Any]
RunStatus = Literal["pending", "running", "suspended", "completed", "failed", "timeout", "cancelled"]
StepStatus = Literal["running", "waiting", "completed", "failed", "skipped"]
WorkflowStatus = Literal["draft", "active", "paused", "archived"]
TriggerType = Literal["api", "webhook", "schedule", "manual"]
ApprovalStatus = Literal["pending", "approved", "rejected", "expired", "cancelled"]
ConnectionStatus = Literal["active", "pending", "error", "expired", "disconnected"]
ResultStatus = Annotated[str, Meta(extra_json_schema={"enum": ["running", "waiting", "success", "error", "skipped"]})]


class Wire(msgspec.Struct, rename="camel"):
    """Fields in camelCase."""


# -- runs


class Failure(Wire):
    """Why a run in a list failed."""

    code: str
    message: str


class RunFailure(Failure):
    """Why a run failed, and at which step."""

    step_id: str | UnsetType = UNSET
    step: str | UnsetType = UNSET
    details: Json | UnsetType = UNSET


class StepFailure(Failure):
    """Why a step failed."""

    details: Json | UnsetType = UNSET


class RunItem(Wire):
    """A run in a list."""

    id: str
    workflow_id: str
    status: RunStatus
    trigger_type: str
    started_at: str | None
    completed_at: str | None
    duration_ms: int | None
    error: Failure | None
    created_at: str
    cost_cents: float | UnsetType = UNSET  # of a run that has cost something


class StepResult(Wire):
    """What became of a step."""

    step_id: str
    status: ResultStatus
    started_at: str | None
    completed_at: str | None
    duration_ms: int | None
    input: Raw
    output: Raw
    attempt: int
    cost_cents: float
    error: StepFailure | UnsetType = UNSET
    path: str | UnsetType = UNSET
    reused: bool | UnsetType = UNSET


class StepState(Wire):
    """The same fact as `StepResult`, as the other page words it."""

    id: str
    status: StepStatus
    output: Raw


class AttemptEntry(Wire):
    """One attempt of a step."""

    attempt: int
    started_at: str | None
    completed_at: str | None
    error: StepFailure | None


class LogEntry(Wire):
    """A step in a run's log."""

    step_id: str
    status: ResultStatus
    started_at: str | None
    completed_at: str | None
    duration_ms: int | None
    input: Raw
    output: Raw
    error: StepFailure | None
    attempt: int
    path: str | UnsetType = UNSET
    reused: bool | UnsetType = UNSET
    attempts: list[AttemptEntry] | UnsetType = UNSET
    logs: list[str] | UnsetType = UNSET


class RunDetail(Wire):
    """Everything about a run."""

    id: str
    workflow_id: str
    status: RunStatus
    trigger_type: str
    input: Raw
    output: Raw
    step_results: list[StepResult]
    steps: list[StepState]
    workflow_version: int
    restarted_from_run_id: str | None
    connection_id: str | None
    parent_run_id: str | None
    suspend_reason: Literal["approval", "event", "paused"] | None
    attempt: int
    started_at: str | None
    completed_at: str | None
    duration_ms: int | None
    error: RunFailure | None
    created_at: str
    cost_cents: float
    budget_cents: float | UnsetType = UNSET
    waiting_for: str | None | UnsetType = UNSET


class SyncRun(RunDetail, kw_only=True):
    """A run that ended while its start waited."""

    run_id: str
    vendor_run_id: str = msgspec.field(name="run_id")


class RunLogs(Wire):
    """A run's log."""

    run_id: str
    workflow_id: str
    status: RunStatus
    logs: list[LogEntry]
    started_at: str | None
    completed_at: str | None
    duration_ms: int | None
    error: RunFailure | None


class Started(Wire):
    """The answer to a start; `run_id` only in sync mode."""

    run_id: str
    status: RunStatus
    workflow_id: str
    workflow_version: int
    vendor_run_id: str | UnsetType = msgspec.field(name="run_id", default=UNSET)


class BatchResult(Wire):
    """What became of one item of a batch."""

    index: int
    success: bool
    run_id: str | UnsetType = UNSET
    status: RunStatus | UnsetType = UNSET
    replayed: bool | UnsetType = UNSET
    error: Json | UnsetType = UNSET


class BatchStarted(Wire):
    """The answer to a batch."""

    accepted: int
    rejected: int
    results: list[BatchResult]


class Cancelled(Wire):
    """The answer to a cancel."""

    id: str
    status: Literal["cancelled"]
    message: str


class Restarted(Wire):
    """The answer to a retry or restart."""

    original_run_id: str
    new_run_id: str
    workflow_id: str
    restart_from_step_id: str | None
    status: RunStatus
    created_at: str


class PreviewedStep(Wire):
    """A step as a restart would treat it. `path` is there inside turns, where `[*]` stands for turns to come."""

    step_id: str
    type: str
    side_effects: bool
    path: str | UnsetType = UNSET


class RestartPreview(Wire):
    """What a retry or restart would keep and run; nothing was changed."""

    restart_from_step_id: str | None
    workflow_version: int
    reused: list[PreviewedStep]
    would_run: list[PreviewedStep]


class Deleted(Wire):
    """Something is gone."""

    id: str
    deleted: bool = True


class BudgetItem(Wire):
    """What may be spent in a calendar month (UTC), and what was spent in the current one."""

    amount_cents: float
    over_budget: Literal["stop", "ask"]
    month: str
    spent_cents: float


class Held(Wire):
    """The answer to a pause or resume."""

    id: str
    status: RunStatus


class EventAccepted(Wire):
    """The answer to an event; `delivered` is how many runs have it."""

    event_id: str
    delivered: int


# -- approvals


class DecisionItem(Wire):
    """What somebody decided."""

    approver: str
    decision: Literal["approve", "reject"]
    comment: str | None
    at: str


class ApprovalItem(Wire):
    """A decision that a run waits for, or has waited for."""

    id: str
    run_id: str
    workflow_id: str
    step_id: str
    status: ApprovalStatus
    reason: str
    context: Raw
    approvers: list[str]
    require_all: bool
    decisions: list[DecisionItem]
    expires_at: str | None
    created_at: str


# -- workflows


class WorkflowItem(Wire):
    """A workflow in a list."""

    id: str
    name: str
    description: str | None
    status: str
    version: int
    trigger: Object
    created_at: str
    updated_at: str


class Definition(Wire):
    """The fields of a definition; unknown ones are answered as they were sent."""

    name: str
    description: str | None
    trigger: Object
    steps: list[Json]
    input_schema: Json
    output_schema: Json
    output: Json
    variables: Json
    settings: Json


class WorkflowDetail(Definition):
    """A workflow with its definition."""

    id: str
    status: str
    version: int
    created_at: str
    updated_at: str
    slug: str | None
    canvas_state: Json
    warnings: list[str]


class VersionItem(Wire):
    """A version in a list. `createdBy` is the id of a key."""

    version: int
    created_at: str
    created_by: str
    current: bool


class VersionDetail(Definition):
    """A version with its definition."""

    workflow_id: str
    version: int
    created_at: str
    created_by: str
    current: bool


class SecretItem(Wire):
    """A secret's name; its value is never answered."""

    key: str
    updated_at: str


class SecretDeleted(Wire):
    """A secret is gone."""

    key: str
    deleted: bool = True


# -- keys, workspaces, connections


class KeyItem(Wire):
    """A key; its text is answered only when it is made."""

    id: str
    prefix: str
    name: str
    scopes: list[str]
    dialect: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None


class KeyMade(KeyItem):
    """A key with its text."""

    key: str


class WorkspaceItem(Wire):
    """A workspace."""

    id: str
    name: str
    created_at: str
