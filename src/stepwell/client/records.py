"""What the server answers, as records. Times are ISO 8601 texts, numbers with a fraction are Decimal."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

T = TypeVar("T")


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A record; fields of a newer server that it does not know are ignored."""


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page of a list; `cursor` asks for the next one and is None on the last."""

    items: list[T]
    cursor: str | None


def first(limit: int, fetch: Callable[[int, str | None], Page[T]]) -> list[T]:
    """The first items of a list, from as many pages as it takes; `fetch` gets a page's size and cursor."""
    found: list[T] = []
    cursor: str | None = None
    while len(found) < limit:
        page = fetch(min(limit - len(found), 100), cursor)
        found += page.items
        cursor = page.cursor
        if cursor is None:
            break
    return found


class Failure(Record, frozen=True):
    """Why a run or a step failed. `step_id` is known of a run that a step stopped."""

    code: str
    message: str
    step_id: str | UnsetType = UNSET
    details: Mapping[str, Any] | UnsetType = UNSET


class NextFiring(Record, frozen=True):
    """A time at which a schedule fires: in UTC, and local with its offset."""

    at: str
    local: str


class Schedule(Record, frozen=True):
    """The next times of a schedule. Warnings tell what clocks being set does to them, and why none fires."""

    timezone: str
    next: list[NextFiring]
    warnings: list[str]


class Firing(Record, frozen=True):
    """What came of one time of a schedule. `status` is started, skipped or failed; a reason says why no run is."""

    id: str
    scheduled_at: str | None
    fired_at: str
    status: str
    reason: str | None
    run_id: str | None


class Run(Record, frozen=True):
    """A run in a list."""

    id: str
    workflow_id: str
    status: str
    trigger_type: str
    started_at: str | None
    completed_at: str | None
    duration_ms: int | None
    error: Failure | None
    created_at: str
    cost_cents: int | float = 0


class StepResult(Record, frozen=True):
    """What became of a step. `path` differs from `step_id` inside loops only and is absent elsewhere."""

    step_id: str
    status: str
    started_at: str | None
    completed_at: str | None
    duration_ms: int | None
    input: Any
    output: Any
    attempt: int
    error: Failure | None | UnsetType = UNSET
    path: str | UnsetType = UNSET
    reused: bool | UnsetType = UNSET
    attempts: list[Mapping[str, Any]] | UnsetType = UNSET
    cost_cents: int | float = 0

    @property
    def place(self) -> str:
        """The path of the step in its run."""
        return self.step_id if self.path is UNSET else self.path


class RunDetail(Run, frozen=True, kw_only=True):
    """A run with its steps."""

    input: Any
    output: Any
    step_results: list[StepResult]
    workflow_version: int
    restarted_from_run_id: str | None
    connection_id: str | None
    parent_run_id: str | None
    suspend_reason: str | None
    attempt: int
    waiting_for: str | None = None
    budget_cents: int | float | None = None


class RunLogs(Record, frozen=True):
    """A run's log: its steps with every attempt."""

    run_id: str
    workflow_id: str
    status: str
    logs: list[StepResult]
    error: Failure | None


class Started(Record, frozen=True):
    """A run that was started, or found under its idempotency key (`replayed`)."""

    run_id: str
    status: str
    workflow_id: str
    workflow_version: int
    replayed: bool = False


class Restarted(Record, frozen=True):
    """The run that goes on with another."""

    original_run_id: str
    new_run_id: str
    workflow_id: str
    restart_from_step_id: str | None
    status: str
    created_at: str


class PreviewedStep(Record, frozen=True):
    """A step as a retry or restart would treat it; `path` only inside turns."""

    step_id: str
    type: str
    side_effects: bool
    path: str | None = None

    @property
    def place(self) -> str:
        """The path, or the id where that tells it."""
        return self.path or self.step_id


class RestartPreview(Record, frozen=True):
    """What a retry or restart would keep and run."""

    restart_from_step_id: str | None
    workflow_version: int
    reused: list[PreviewedStep]
    would_run: list[PreviewedStep]


class Approval(Record, frozen=True):
    """A decision that a run waits or waited for."""

    id: str
    run_id: str
    workflow_id: str
    step_id: str
    status: str
    reason: str
    context: Any
    approvers: list[str]
    require_all: bool
    decisions: list[dict[str, Any]]
    expires_at: str | None
    created_at: str


class RunEvent(Record, frozen=True):
    """An event of a run's stream; `id` grows within the run. `run.status` carries a Run, the others a StepResult."""

    id: int
    kind: str
    data: Run | StepResult


class Workflow(Record, frozen=True):
    """A workflow in a list."""

    id: str
    name: str
    description: str | None
    status: str
    version: int
    trigger: Mapping[str, Any]
    created_at: str
    updated_at: str


class WorkflowDetail(Workflow, frozen=True):
    """A workflow with the whole of what the server tells of it, its definition included."""

    slug: str | None
    warnings: list[str]
    document: dict[str, Any]


class Key(Record, frozen=True):
    """An API key without its text."""

    id: str
    prefix: str
    name: str
    scopes: list[str]
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None


class NewKey(Key, frozen=True):
    """A key that was just made. Its text, `key`, is never told again."""

    key: str

    def __repr__(self) -> str:
        return f"NewKey(id={self.id!r}, prefix={self.prefix!r})"


class Budget(Record, frozen=True):
    """What may be spent in a calendar month (UTC), and what was spent in the current one. `over_budget` is stop or
    ask."""

    amount_cents: int | float
    over_budget: str
    month: str
    spent_cents: int | float


class Connection(Record, frozen=True):
    """A connection without its credentials."""

    id: str
    name: str
    provider: str
    status: str
    is_default: bool
    slug: str | None
    mode: str
    base_url: str | None
    created_at: str
    updated_at: str
    status_reason: str | None = None
    last_synced_at: str | None = None
    expires_at: str | None = None
    auth_config_id: str | None = None


class TestedConnection(Record, frozen=True):
    """What a test call came to."""

    __test__ = False  # no test of ours

    ok: bool
    status: str
    message: str
    checked_at: str


class Authorization(Record, frozen=True):
    """Where the owner of an account agrees, and until when."""

    authorize_url: str
    expires_at: str


class VaultStatus(Record, frozen=True):
    """The vault's keys by name, and how many values are still sealed by older ones."""

    key_id: str
    older_key_ids: list[str]
    key_source: str
    remaining: dict[str, int]
    rewrapped: int
    unreadable: int
    done: bool
