"""What is sent and answered of tasks and workspaces. Source: AITasker contract 4.3, 8.3, 10."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from stepwell.values import Json

Object = dict[str, Json]
TaskWord = Literal["open", "claimed", "review", "accepted", "failed", "cancelled"]
Lease = Annotated[int, Meta(ge=30, le=3600)]
Token = Annotated[str, Meta(min_length=1, max_length=200)]
Cents = Annotated[int, Meta(ge=0, le=10**12)]


class TasksQuery(Struct):
    """Which tasks a list shows."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    offset: Annotated[int, Meta(ge=0, le=10**9)] = 0
    status: TaskWord | None = None


class PageQuery(Struct):
    """Which page of a list is shown."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    offset: Annotated[int, Meta(ge=0, le=10**9)] = 0


class ClaimBody(Struct):
    """A worker asks for work: of these types if any are named, and waits for some for a while."""

    worker_id: Annotated[str, Meta(min_length=1, max_length=200)]
    task_types: Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=100)] | None = None
    lease_seconds: Lease = 300
    wait_seconds: Annotated[float, Meta(ge=0, le=30)] = 0


class HeartbeatBody(Struct):
    """A worker holds its task for longer."""

    claim_token: Token
    lease_seconds: Lease = 300


class CompleteBody(Struct):
    """What a worker delivers, what it cost, and how good it thinks it is."""

    claim_token: Token
    output_data: Object
    cost_cents: Cents | None = None
    score: Annotated[int, Meta(ge=0, le=100)] | None = None


class FailBody(Struct):
    """A worker gives a task up."""

    claim_token: Token
    error_message: Annotated[str, Meta(min_length=1, max_length=2000)]
    retryable: bool = True
    cost_cents: Cents | None = None


class RejectBody(Struct):
    """Why a delivery is refused."""

    reason: Annotated[str, Meta(max_length=2000)] | None = None


class TaskPlace(Struct):
    """The node that a task is the work of."""

    run_id: str
    workflow_id: str
    node_id: str


class Task(Struct, kw_only=True):
    """A task; the last fields only a claim answers."""

    id: str
    workspace_id: str
    hired_agent_id: str
    skill_slug: str | None
    title: str
    description: str | None
    schedule_type: str = "once"
    trigger: TaskPlace
    status: TaskWord
    priority: str = "normal"
    output_data: Object | None
    proposed_actions: Object
    approval_level: Literal["auto", "manual"]
    approved_by: str | None
    approved_at: str | None
    cost_usd: float
    started_at: str | None
    completed_at: str | None
    created_at: str
    claim_token: str | UnsetType = UNSET
    lease_expires_at: str | UnsetType = UNSET
    input_data: Object | UnsetType = UNSET
    task_template: Object | UnsetType = UNSET


class Held(Struct):
    """Until when a claim holds."""

    lease_expires_at: str


class NewWorkspace(Struct):
    """A workspace to be made."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    settings: Object | None = None


class Metrics(Struct):
    """What a workspace has done lately."""

    runs_24h: int
    failed_24h: int
    cost_cents_30d: int


class Agent(Struct, kw_only=True):
    """The pool of workers of a workspace, as the one agent that it has hired."""

    id: str
    user_id: str
    agent_type: str = "worker_pool"
    display_name: str = "Worker pool"
    status: Literal["active", "paused"]
    tier: str = "self_hosted"
    stripe_subscription_id: None = None
    config: Object
    hired_at: str
    paused_at: str | None
    cancelled_at: None = None
    created_at: str
    updated_at: str
    persona_name: str = "Worker pool"


class Credential(Struct):
    """A provider that the workspace has a connection of."""

    provider: str
    status: str
    connected_at: str


class Workspace(Struct, kw_only=True):
    """A workspace with its pool of workers; `api_key` is there only when it was just made."""

    id: str
    hired_agent_id: str
    user_id: str
    name: str
    status: Literal["active", "paused"]
    settings: Object
    metrics_cache: Metrics
    last_active_at: str | None
    created_at: str
    updated_at: str
    hired_agent: Agent
    integration_credentials: list[Credential]
    api_key: str | UnsetType = UNSET


class AgentWithWorkspace(Agent, kw_only=True):
    """An agent with its workspace."""

    workspace: Workspace
