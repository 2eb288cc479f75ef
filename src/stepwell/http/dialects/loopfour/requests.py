"""What the dialect reads: queries and bodies. Source: LoopFour contract 1.5, 2-5 and 13."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from stepwell.cost import LARGEST_CENTS
from stepwell.http.dialects.loopfour.wire import ApprovalStatus, ConnectionStatus, TriggerType, Wire, WorkflowStatus
from stepwell.values import Json

Limit = Annotated[int, Meta(ge=1, le=100, description="Items a page.")]
Cursor = Annotated[str, Meta(description="The `meta.cursor` of the page before.")]
Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\S")]
Slug = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
IdempotencyKey = Annotated[str, Meta(min_length=1, max_length=255)]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Comment = Annotated[str, Meta(max_length=2000)]
EventType = Annotated[str, Meta(min_length=1, max_length=255)]
VersionWanted = Annotated[int, Meta(ge=1, le=2**53)] | Literal["latest"]
Mode = Literal["live", "simulator"]
Object = dict[str, Any]

# -- queries


class PageQuery(Wire):
    """Paging alone."""

    limit: Limit = 50
    cursor: Cursor | None = None


class RunsQuery(Wire):
    """Filters of the list of runs."""

    workflow_id: str | None = None
    status: (
        Literal["pending", "running", "suspended", "completed", "failed", "timeout", "timed_out", "cancelled"] | None
    ) = None
    trigger_type: TriggerType | None = None
    created_after: Time | None = None
    created_before: Time | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class WorkflowsQuery(Wire):
    """Filters of the list of workflows."""

    status: WorkflowStatus | None = None
    search: str | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class ConnectionsQuery(Wire):
    """Filters of the list of connections."""

    provider: str | None = None
    status: ConnectionStatus | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class ApprovalsQuery(Wire):
    """Filters of the list of approvals."""

    status: ApprovalStatus | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class TokenQuery(Wire):
    """The token of a link."""

    token: str = ""


class NextQuery(Wire):
    """How many firings of a schedule to tell."""

    count: Annotated[int, Meta(ge=1, le=100)] = 5


# -- request bodies


class StartItem(Wire):
    """One start of a batch."""

    input: Object | UnsetType = UNSET
    connection_id: str | None = None
    idempotency_key: IdempotencyKey | None = None


class RunBody(StartItem):
    """A start. `mode` sync waits for the end, at most `maxExecutionTimeMs`."""

    mode: Literal["async", "sync"] = "async"
    max_execution_time_ms: Annotated[int, Meta(ge=1, le=60_000)] = 30_000


class BatchBody(Wire):
    """Starts, each judged alone."""

    items: Annotated[list[Json], Meta(min_length=1, max_length=500)]


class RetryBody(Wire):
    """Which version to go on with: that of the original if absent. `preview` only tells what would happen."""

    version: VersionWanted | None = None
    preview: bool = False


class RestartBody(Wire):
    """Where to go on, and what to change of the input. `preview` only tells what would happen."""

    from_step_id: Annotated[str, Meta(min_length=1)]
    override_input: Object | None = None
    version: VersionWanted | None = None
    preview: bool = False


class ResumeBody(Wire):
    """What the run may cost from now on in all; without it, a run that asked because of its budget has none."""

    budget_cents: Annotated[int, Meta(ge=0, le=LARGEST_CENTS)] | None = None


class BudgetBody(Wire):
    """What may be spent in a calendar month, and what happens beyond it."""

    amount_cents: Annotated[int, Meta(ge=0, le=LARGEST_CENTS)]
    over_budget: Literal["stop", "ask"] = "stop"


class DecisionBody(Wire):
    """A decision in the name of an approver; the key's name stands for who decided if there is none."""

    comment: Comment | None = None
    approver: Annotated[str, Meta(min_length=1)] | None = None


class LinkDecision(Wire):
    """A decision by a link."""

    decision: Literal["approve", "reject"]
    comment: Comment | None = None


class EventBody(Wire):
    """An event for a run."""

    type: EventType
    payload: Json = {}


class BroadcastBody(EventBody):
    """An event for the runs that pass a filter, or that wait for its type if there is none."""

    match: Object | None = None


class CanvasBody(Wire):
    """What an editor stores."""

    canvas_state: Json
    steps: list[Json] | UnsetType = UNSET


class NewSecret(Wire):
    """A secret."""

    key: Annotated[str, Meta(pattern="^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}$")]
    value: Annotated[str, Meta(min_length=1)]


class SecretValue(Wire):
    """Another value for a secret."""

    value: Annotated[str, Meta(min_length=1)]


class NewKeyBody(Wire):
    """A key to be made."""

    name: Name
    scopes: Annotated[list[str], Meta(min_length=1)]
    expires_at: Time | None = None
    dialect: str = "loopfour"


class NewWorkspace(Wire):
    """A workspace to be made."""

    name: Name
