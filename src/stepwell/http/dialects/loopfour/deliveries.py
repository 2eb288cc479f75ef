"""Inbound deliveries: what arrived, what came of it, and again. Source: LoopFour contract 11.5."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from stepwell import ids
from stepwell.errors import Fault, NotFound, ValidationFailed
from stepwell.http.dialects.loopfour import requests, wire
from stepwell.http.dialects.loopfour.answers import listing, success
from stepwell.http.dialects.loopfour.names import created, cursor, cursor_id, prefixed, reference
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.store import Delivery, DeliveryFilter, Firing
from stepwell.triggers import body_of
from stepwell.values import Json

FiringStatus = Annotated[str, Meta(extra_json_schema={"enum": ["started", "skipped", "failed"]})]
DeliveryStatus = Literal["processed", "duplicate", "rejected", "ignored"]


class DeliveriesQuery(wire.Wire):
    """Filters of the list of deliveries."""

    provider: str | None = None
    status: DeliveryStatus | None = None
    workflow_id: str | None = None
    limit: requests.Limit = 50
    cursor: requests.Cursor | None = None


class StartBody(wire.Wire):
    """Which workflow is to run on a delivery."""

    workflow_id: str


class DeliveryItem(wire.Wire):
    """A delivery in a list. `reason` tells why it started nothing."""

    id: str
    event_id: str
    provider: str
    status: DeliveryStatus
    reason: str | None
    event_type: str | None
    method: str
    path: str
    duplicate_of: str | None
    received_at: str


class DeliveryResult(wire.Wire):
    """What a delivery came to for one workflow: a run, or the reason why there is none."""

    workflow_id: str | None
    trigger_id: str
    status: FiringStatus
    run_id: str | None
    reason: str | None
    replay_of: str | None
    created_at: str


class DeliveryDetail(DeliveryItem):
    """A delivery, whole. Header names are in lower case; credentials in headers are masked. `raw_body` is the body as
    text."""

    query: dict[str, str]
    headers: dict[str, str]
    body: Json
    raw_body: str
    results: list[DeliveryResult]


class Replayed(wire.Wire):
    """How many runs a replay has started."""

    event_id: str
    workflows_triggered: int


class StartedOn(wire.Wire):
    """The runs that were started on a delivery, one for each event in it."""

    event_id: str
    workflow_id: str
    run_id: str | UnsetType
    run_ids: list[str]


async def delivery_exists(call: AnyCall) -> None:
    """Raise NotFound unless the delivery of the path exists."""
    await call.core.inbox.get(call.workspace, _delivery(call))


async def list_deliveries(call: Call[DeliveriesQuery, None]) -> Response:
    """GET /webhook-deliveries."""
    query = call.query
    workflow = None
    if query.workflow_id is not None:
        workflow = await _workflow(call, query.workflow_id)
        if workflow is None:
            return listing([], query.limit, _item, _place)
    wanted = DeliveryFilter(
        workspace=call.workspace,
        provider=query.provider,
        status=query.status,
        workflow=workflow,
        before=cursor_id(query.cursor, "evt"),
        limit=query.limit + 1,
    )
    return listing(await call.core.inbox.page(wanted), query.limit, _item, _place)


async def get_delivery(call: Call[None, None]) -> Response:
    """GET /webhook-deliveries/{id}."""
    row, results = await call.core.inbox.get(call.workspace, _delivery(call))
    inbound = call.core.inbox.read(row)
    return success(
        DeliveryDetail(
            **_fields(row),
            query=dict(inbound.query),
            headers=dict(inbound.headers),
            body=body_of(inbound.headers, row.body),
            raw_body=row.body.decode("utf-8", "replace"),
            results=[_result(each) for each in results],
        )
    )


async def replay_delivery(call: Call[None, None]) -> Response:
    """POST /webhook-deliveries/{id}/replay."""
    id = _delivery(call)
    fired = await call.core.inbox.replay(call.workspace, id)
    triggered = sum(each.status == "started" for each in fired)
    return success(Replayed(event_id=f"evt_{id}", workflows_triggered=triggered), 202)


async def start_on_delivery(call: Call[None, StartBody]) -> Response:
    """POST /webhook-deliveries/{id}/start."""
    await delivery_exists(call)
    id = _delivery(call)
    workflow = await _workflow(call, call.body.workflow_id)
    if workflow is None:
        raise ValidationFailed("Invalid request", [Fault(("workflowId",), "Workflow not found")])
    started = await call.core.inbox.start(call.workspace, id, workflow)
    runs = [f"run_{each.run}" for each in started]
    first = runs[0] if runs else UNSET
    return success(StartedOn(event_id=f"evt_{id}", workflow_id=f"wf_{workflow}", run_id=first, run_ids=runs), 202)


def _delivery(call: AnyCall) -> str:
    found = ids.parse(call.params["id"].removeprefix("evt_"))
    if found is None:
        raise NotFound("Delivery not found")
    return found


async def _workflow(call: AnyCall, text: str) -> str | None:
    """The id of a workflow that is named by id or slug."""
    try:
        return (await call.core.workflows.row(call.workspace, reference("wf", text))).id
    except NotFound:
        return None


def _place(row: Delivery) -> str:
    return cursor(ids.created_ms(row.id), f"evt_{row.id}")


def _item(row: Delivery) -> DeliveryItem:
    return DeliveryItem(**_fields(row))


def _fields(row: Delivery) -> dict[str, Any]:
    return {
        "id": f"evt_{row.id}",
        "event_id": f"evt_{row.id}",
        "provider": row.provider,
        "status": row.status,
        "reason": row.reason,
        "event_type": row.event_type,
        "method": row.method,
        "path": row.path,
        "duplicate_of": prefixed("evt", row.duplicate_of),
        "received_at": created(row.id),
    }


def _result(firing: Firing) -> DeliveryResult:
    return DeliveryResult(
        workflow_id=prefixed("wf", firing.workflow),
        trigger_id=f"trg_{firing.trigger}",
        status=firing.status,
        run_id=prefixed("run", firing.run),
        reason=firing.reason,
        replay_of=firing.replay_of,
        created_at=created(firing.id),
    )


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/webhook-deliveries",
        handler=list_deliveries,
        scope="runs:read",
        rate=Rate.READ,
        summary="List inbound deliveries, newest first",
        answers=(Answer(status=200, data=DeliveryItem, listed=True),),
        query=DeliveriesQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="GET",
        path="/webhook-deliveries/{id}",
        handler=get_delivery,
        scope="runs:read",
        rate=Rate.READ,
        summary="Read a delivery with what came of it",
        answers=(Answer(status=200, data=DeliveryDetail),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="POST",
        path="/webhook-deliveries/{id}/replay",
        handler=replay_delivery,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="Route a stored delivery again, past the check for repeated events",
        answers=(Answer(status=202, data=Replayed),),
        errors=("NOT_FOUND", "INVALID_STATE"),
        sheds=True,
    ),
    Route(
        method="POST",
        path="/webhook-deliveries/{id}/start",
        handler=start_on_delivery,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="Start a workflow on a stored delivery, whatever it listens to",
        answers=(Answer(status=202, data=StartedOn),),
        body=StartBody,
        errors=("NOT_FOUND", "VALIDATION_ERROR", "INVALID_STATE", "INVALID_STATUS"),
        exists=delivery_exists,
        sheds=True,
    ),
)
