"""What is sent and answered of runs. The fields of a run stand in the order of the page. Source: AITasker contract 4.1,
5."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from stepwell.values import Json

Object = dict[str, Json]
RunWord = Literal["pending", "running", "waiting", "paused", "completed", "failed", "cancelled"]


class Trigger(Struct):
    """What a run is started with."""

    trigger_payload: Object | None = None


class RunsQuery(Struct):
    """Which runs a list shows."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    offset: Annotated[int, Meta(ge=0, le=10**9)] = 0
    status: RunWord | None = None


class NodeRun(Struct, kw_only=True):
    """What became of one node in a run."""

    id: str
    workflow_run_id: str
    workflow_node_id: str
    status: str
    created_at: str
    task_id: str | None
    input_data: Object
    output_data: Object
    started_at: str | None
    completed_at: str | None


class WorkflowRun(Struct, kw_only=True):
    """A run with what became of its nodes."""

    id: str
    workflow_id: str
    status: str
    created_at: str
    triggered_by: str | None
    trigger_payload: Object
    started_at: str | None
    completed_at: str | None
    error_message: str | None
    total_cost_cents: int
    node_runs: list[NodeRun]


class NodeCost(Struct, kw_only=True):
    """What one node of a run has cost; `cost_exact` is the same as decimal text, not rounded."""

    workflow_node_id: str
    node_run_id: str
    cost_cents: int
    cost_exact: str
    attempts: int
    retry_count: int


class RunCosts(Struct, kw_only=True):
    """What a run has cost so far, and may cost."""

    total_cost_cents: int
    max_budget_cents: int | None
    nodes: list[NodeCost]
