"""The log of triggers, and deliveries sent again. Source: Flowra contract 6."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from starlette.responses import Response

from stepwell.errors import Fault, InvalidState, NotFound, StepwellError, ValidationFailed
from stepwell.http.dialects.flowra import tools, users, wire
from stepwell.http.dialects.flowra.answers import listing, single
from stepwell.http.dialects.flowra.names import created, found, wanted
from stepwell.http.dialects.flowra.queries import PageQuery, Texts, oldest_first
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.store import Invocation, InvocationFilter
from stepwell.triggers import body_of, events_of
from stepwell.values import Json, decode

Source = Literal["connected_webhook", "local_webhook", "poll_scheduler"]
Status = Literal["success", "error", "skipped"]
_STATUSES: dict[str, Status] = {"started": "success", "failed": "error", "skipped": "skipped"}
_STORED = {shown: stored for stored, shown in _STATUSES.items()}
_SOURCES = {"poll_scheduler": ("schedule", "poll"), "connected_webhook": ("webhook",), "local_webhook": ("webhook",)}
_PROVIDED = {"connected_webhook": True, "local_webhook": False}
_GONE = "The payload of this delivery is no longer kept"


class LogsQuery(PageQuery, kw_only=True):
    """Filters of the log."""

    tool_slug: Texts | None = None
    source: Source | None = None
    trigger_id: Texts | None = None
    status: Status | None = None
    sort_by: Literal["createdAt"] = "createdAt"


async def list_logs(call: Call[LogsQuery, None]) -> Response:
    """GET /trigger_instances/invocation-logs."""
    query = call.query
    slugs = query.tool_slug
    if query.q is not None:
        slugs = [*(slugs or ()), query.q]
    filtered = InvocationFilter(
        workspace=call.workspace,
        triggers=wanted(query.trigger_id),
        slugs=tuple(tools.stored_slug(call.core.connectors, each) for each in slugs) if slugs else None,
        sources=_SOURCES.get(query.source or ""),
        provided=_PROVIDED.get(query.source or ""),
        statuses=None if query.status is None else (_STORED[query.status],),
        end_user=await users.only(call),
        before=query.before,
        offset=query.start,
        limit=query.limit + 1,
    )
    if query.by_creation:
        rows, total = await _page(call, filtered)
    else:
        rows, total = await oldest_first(query, lambda offset, limit: _page(call, filtered, offset=offset, limit=limit))
    payloads = await _payloads(call, rows[: query.limit])
    return listing(query, rows, total, lambda row: _log(row, payloads[row.id], call.workspace), lambda row: row.id)


async def replay(call: Call[None, None]) -> Response:
    """POST /trigger_instances/invocation-logs/{logId}/replay-webhook."""
    log = found(call.params["logId"], "Invocation log")
    firing = await call.core.store.triggers.firing(call.workspace, log)
    only = await users.only(call)
    if firing is None or not users.owned(firing.end_user, only, call.workspace):
        raise await _without_firing(call, log, only)
    if firing.source != "webhook":
        raise ValidationFailed("Invalid request", [Fault(("logId",), "Only webhooks can be replayed")])
    trigger = await call.core.store.triggers.get(call.workspace, firing.trigger)
    if trigger is None:
        raise InvalidState("The trigger was deleted")
    if trigger.status != "active":
        raise InvalidState("The trigger is disabled")
    if firing.delivery is None:
        raise InvalidState(_GONE)
    try:
        fired = await call.core.inbox.replay(call.workspace, firing.delivery, trigger=trigger.id)
    except NotFound:
        raise InvalidState(_GONE) from None
    again = next((each for each in fired if each.replay_of == firing.id), None)
    if again is None:
        again = next((each for each in fired if each.workflow == firing.workflow), None)
    if again is None:
        raise InvalidState("The workflow no longer listens to this trigger")
    return single("Webhook replayed", wire.ReplayedLog(again.id, again.run, again.run), 201)


async def _without_firing(call: AnyCall, log: str, only: str | None) -> StepwellError:
    """Why something that never was fired cannot be replayed."""
    delivery = await call.core.store.deliveries.get(call.workspace, log)
    trigger = delivery and delivery.trigger and await call.core.store.triggers.get(call.workspace, delivery.trigger)
    if not trigger or not users.owned(trigger.end_user, only, call.workspace):
        return NotFound("Invocation log not found")
    if delivery is not None and delivery.status == "rejected":
        return InvalidState("A delivery that was rejected cannot be replayed")
    return InvalidState("No workflow listens to this trigger")


async def _page(call: AnyCall, filtered: InvocationFilter, **place: int) -> tuple[list[Invocation], int]:
    return await call.core.store.invocations.page(msgspec.structs.replace(filtered, **place))


async def _payloads(call: AnyCall, rows: Sequence[Invocation]) -> dict[str, Json]:
    """What happened, by the id of a row; a delivery is read once, one that was purged or rejected is null."""
    bodies: dict[str, list[dict[str, Json]]] = {}
    payloads: dict[str, Json] = {}
    for row in rows:
        if row.delivery is not None:
            if row.delivery not in bodies:
                bodies[row.delivery] = await _bodies(call, row.delivery)
            events, place = bodies[row.delivery], row.place or 0
            payloads[row.id] = events[place] if place < len(events) else None
        else:
            payloads[row.id] = {} if row.payload is None else decode(row.payload)
    return payloads


async def _bodies(call: AnyCall, delivery: str) -> list[dict[str, Json]]:
    """The events of a delivery, none if it was purged or proved nothing."""
    row = await call.core.store.deliveries.get(call.workspace, delivery)
    if row is None or row.status == "rejected":
        return []
    inbound = call.core.inbox.read(row)
    return [event.body for event in events_of(inbound, body_of(inbound.headers, inbound.body), None)]


def _log(row: Invocation, payload: Json, workspace: str) -> wire.InvocationLog:
    return wire.InvocationLog(
        id=row.id,
        trigger_id=row.trigger,
        tool_slug=tools.shown_slug(row.slug),
        source=_source(row),
        status=_STATUSES[row.status],
        payload=payload,
        error=row.reason if row.status != "started" else None,
        workflow_id=row.workflow,
        execution_id=row.run if row.status == "started" else None,
        thread_id=row.run if row.status == "started" else None,
        euid=row.end_user or workspace,
        duration_ms=row.duration_ms,
        replay_of=row.replay_of,
        created_at=created(row.id),
    )


def _source(row: Invocation) -> Source:
    if row.source != "webhook":
        return "poll_scheduler"
    return "local_webhook" if row.slug == tools.WEBHOOK else "connected_webhook"


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/trigger_instances/invocation-logs",
        handler=list_logs,
        scope="runs:read",
        rate=Rate.READ,
        summary="List what triggers were called on for, newest first",
        answers=(Answer(status=200, data=wire.InvocationLog, listed=True),),
        query=LogsQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="POST",
        path="/trigger_instances/invocation-logs/{logId}/replay-webhook",
        handler=replay,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="Send a stored webhook through matching again",
        answers=(Answer(status=201, data=wire.ReplayedLog),),
        errors=("NOT_FOUND", "INVALID_STATE", "VALIDATION_ERROR"),
        sheds=True,
    ),
)
