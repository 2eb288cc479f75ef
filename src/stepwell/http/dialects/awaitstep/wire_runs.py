"""What is sent and answered of runs. The fields of a run stand in the order of AwaitStep contract 6."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from stepwell.http.dialects.awaitstep.names import EVENT_TYPE, WaitWord
from stepwell.values import Json

MOST_LISTED = 100
RunWord = Literal["queued", "running", "paused", "waiting", "complete", "errored", "terminated"]

TRIGGER_BODY: Json = {
    "type": "object",
    "required": ["connectionId"],
    "properties": {
        "connectionId": {"type": "string", "description": "Where the workflow is deployed."},
        "params": {
            "type": "object",
            "description": "What the run reads as event.payload, 100 KB at most; or {instanceId, eventType, payload}, "
            "an event for a run.",
        },
        "mode": {"enum": ["start"], "description": "Start a run, whatever `params` holds."},
    },
}


class RunsQuery(Struct, rename="camel"):
    """Which runs a list shows."""

    limit: Annotated[int, Meta(ge=1, le=MOST_LISTED)] = 50
    cursor: str | None = None
    status: RunWord | None = None


class AllRunsQuery(RunsQuery, rename="camel"):
    """Which runs of the workspace a list shows."""

    workflow_id: str | None = None


class StartBody(Struct):
    """What a run is started with, where no connection is named."""

    input: dict[str, Json] = {}


class EventBody(Struct, rename="camel"):
    """An event for one run."""

    event_type: Annotated[str, Meta(pattern=EVENT_TYPE)]
    payload: Any = None


class ErrorDetail(Struct, rename="camel"):
    """Why a run or a node failed."""

    name: str
    message: str
    code: str
    node_id: str | None
    attempts: int | None


class Waiting(Struct, rename="camel", kw_only=True):
    """What a run waits for, and at which node."""

    type: WaitWord
    node_id: str
    event_type: str | UnsetType = UNSET
    run_id: str | UnsetType = UNSET
    until: str | UnsetType = UNSET


class NodeRow(Struct, rename="camel", kw_only=True):
    """What became of one node in a run; `output` is JSON."""

    node_id: str
    name: str
    type: str
    status: str
    attempts: int
    started_at: str | None
    completed_at: str | None
    output: Any
    error: ErrorDetail | None


class RunRow(Struct, rename="camel", kw_only=True):
    """A run. `steps` only where one run is read, `pausedBy` only of one that somebody paused."""

    id: str
    instance_id: str
    workflow_id: str
    version_id: str
    connection_id: str | None
    status: str
    paused_by: Literal["manual"] | UnsetType = UNSET
    output: Any
    output_json: str | None
    error: str | None
    error_detail: ErrorDetail | None
    waiting_for: list[Waiting]
    params: Raw
    started_at: str | None
    completed_at: str | None
    created_at: str
    updated_at: str
    steps: list[NodeRow] | UnsetType = UNSET


class Instance(Struct, rename="camel"):
    """The run that took an event."""

    instance_id: str


class Delivered(Struct, rename="camel"):
    """The run that took an event, and whether a wait was open for it; otherwise it is kept for the next one."""

    instance_id: str
    delivered: bool


class Done(Struct):
    """Nothing more to tell."""

    ok: bool = True
