"""Webhook endpoints: where runs are told of, and what was delivered. Source: LoopFour contract 14."""

from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from stepwell import ids
from stepwell.clock import iso
from stepwell.core import EndpointBodies, EndpointChanges, EndpointFields, tries
from stepwell.errors import NotFound
from stepwell.http.dialects.loopfour import endpoints_wire as own
from stepwell.http.dialects.loopfour import requests, show, wire
from stepwell.http.dialects.loopfour.answers import listing, success
from stepwell.http.dialects.loopfour.names import created, cursor, cursor_id, prefixed, time
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.store import Endpoint, EndpointMessage, MessageStatus, Run

_encode = msgspec.json.Encoder(decimal_format="number").encode


async def endpoint_exists(call: AnyCall) -> None:
    """Raise NotFound unless the endpoint of the path exists."""
    await call.core.endpoints.get(call.workspace, _endpoint(call))


async def list_endpoints(call: Call[requests.PageQuery, None]) -> Response:
    """GET /webhook-endpoints."""
    query = call.query
    before = cursor_id(query.cursor, "whe")
    rows = await call.core.endpoints.page(call.workspace, before=before, limit=query.limit + 1)
    return listing(rows, query.limit, _item, lambda row: cursor(ids.created_ms(row.id), f"whe_{row.id}"))


async def create_endpoint(call: Call[None, own.NewEndpoint]) -> Response:
    """POST /webhook-endpoints."""
    body = call.body
    fields = EndpointFields(url=body.url, description=body.description, enabled=body.enabled)
    if body.events is not msgspec.UNSET:
        fields = msgspec.structs.replace(fields, events=tuple(body.events))
    endpoint, secret = await call.core.endpoints.create(call.workspace, fields)
    return success(own.EndpointMade(**_shown(endpoint), secret=secret), 201)


async def get_endpoint(call: Call[None, None]) -> Response:
    """GET /webhook-endpoints/{id}."""
    return success(_item(await call.core.endpoints.get(call.workspace, _endpoint(call))))


async def put_endpoint(call: Call[None, own.EndpointEdit]) -> Response:
    """PUT /webhook-endpoints/{id}."""
    body = call.body
    changes = EndpointChanges(
        url=body.url,
        events=msgspec.UNSET if body.events is msgspec.UNSET else tuple(body.events),
        description=body.description,
        enabled=body.enabled,
    )
    return success(_item(await call.core.endpoints.update(call.workspace, _endpoint(call), changes)))


async def delete_endpoint(call: Call[None, None]) -> Response:
    """DELETE /webhook-endpoints/{id}."""
    id = _endpoint(call)
    await call.core.endpoints.delete(call.workspace, id)
    return success(wire.Deleted(id=f"whe_{id}"))


async def rotate_secret(call: Call[None, None]) -> Response:
    """POST /webhook-endpoints/{id}/rotate-secret."""
    endpoint, secret = await call.core.endpoints.rotate(call.workspace, _endpoint(call))
    until = time(endpoint.old_until)
    return success(own.EndpointRotated(**_shown(endpoint), secret=secret, old_secret_until=until))


async def send_test(call: Call[None, None]) -> Response:
    """POST /webhook-endpoints/{id}/test."""
    message = await call.core.endpoints.test(call.workspace, _endpoint(call))
    return success(
        own.Tested(
            ok=message.status is MessageStatus.DELIVERED,
            response_status=message.response_status,
            duration_ms=tries(message)[-1].duration_ms,
            error=message.error,
            delivery_id=f"dlv_{message.id}",
        )
    )


async def list_deliveries(call: Call[own.EndpointMessagesQuery, None]) -> Response:
    """GET /webhook-endpoints/{id}/deliveries."""
    query = call.query
    rows = await call.core.endpoints.deliveries(
        call.workspace,
        _endpoint(call),
        status=None if query.status is None else MessageStatus(query.status),
        before=cursor_id(query.cursor, "dlv"),
        limit=query.limit + 1,
    )
    return listing(rows, query.limit, _delivery_item, lambda row: cursor(ids.created_ms(row.id), f"dlv_{row.id}"))


async def retry_delivery(call: Call[None, None]) -> Response:
    """POST /webhook-endpoints/{id}/deliveries/{deliveryId}/retry."""
    endpoint, delivery = _endpoint(call), _id(call.params["deliveryId"], "dlv", "Delivery not found")
    return success(_delivery_item(await call.core.endpoints.retry(call.workspace, endpoint, delivery)), 202)


def _event(type: str, at: int, run: Run) -> bytes:
    return _encode(own.Event(type=type, timestamp=iso(at), data=show.item(run)))


def _test(endpoint: str, at: int) -> bytes:
    data = {"endpointId": f"whe_{endpoint}"}
    return _encode({"type": "endpoint.test", "timestamp": iso(at), "data": data})


BODIES = EndpointBodies(event=_event, test=_test)
"""How the dialect words what endpoints are told."""


def _endpoint(call: AnyCall) -> str:
    return _id(call.params["id"], "whe", "Webhook endpoint not found")


def _id(text: str, prefix: str, missing: str) -> str:
    found = ids.parse(text.removeprefix(f"{prefix}_"))
    if found is None:
        raise NotFound(missing)
    return found


def _item(row: Endpoint) -> own.EndpointItem:
    return own.EndpointItem(**_shown(row))


def _shown(row: Endpoint) -> dict[str, Any]:
    return {
        "id": f"whe_{row.id}",
        "url": row.url,
        "description": row.description,
        "events": list(row.events),
        "enabled": row.enabled,
        "disabled_reason": row.disabled_reason,
        "failing_since": time(row.failing_since),
        "created_at": created(row.id),
        "updated_at": iso(row.updated_at),
    }


def _delivery_item(row: EndpointMessage) -> own.EndpointMessageItem:
    return own.EndpointMessageItem(
        id=f"dlv_{row.id}",
        endpoint_id=f"whe_{row.endpoint}",
        type=row.type,
        run_id=prefixed("run", row.run),
        status=row.status.value,
        attempts=row.attempts,
        next_attempt_at=time(row.due),
        response_status=row.response_status,
        error=row.error,
        tries=[
            own.TryItem(at=iso(each.at), duration_ms=each.duration_ms, response_status=each.status, error=each.error)
            for each in tries(row)
        ],
        created_at=created(row.id),
    )


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/webhook-endpoints",
        handler=list_endpoints,
        scope="workflows:read",
        rate=Rate.READ,
        summary="List webhook endpoints, newest first",
        answers=(Answer(status=200, data=own.EndpointItem, listed=True),),
        query=requests.PageQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="POST",
        path="/webhook-endpoints",
        handler=create_endpoint,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Let an address be told of runs; the secret is answered once",
        answers=(Answer(status=201, data=own.EndpointMade),),
        body=own.NewEndpoint,
        errors=("VALIDATION_ERROR", "INVALID_STATE"),
    ),
    Route(
        method="GET",
        path="/webhook-endpoints/{id}",
        handler=get_endpoint,
        scope="workflows:read",
        rate=Rate.READ,
        summary="Read a webhook endpoint, without its secret",
        answers=(Answer(status=200, data=own.EndpointItem),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="PUT",
        path="/webhook-endpoints/{id}",
        handler=put_endpoint,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Change the fields that are sent; enabling clears the reason it was disabled for",
        answers=(Answer(status=200, data=own.EndpointItem),),
        body=own.EndpointEdit,
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        exists=endpoint_exists,
    ),
    Route(
        method="DELETE",
        path="/webhook-endpoints/{id}",
        handler=delete_endpoint,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Remove a webhook endpoint with its deliveries",
        answers=(Answer(status=200, data=wire.Deleted),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="POST",
        path="/webhook-endpoints/{id}/rotate-secret",
        handler=rotate_secret,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Give it a new secret; the old one signs too for 24 hours",
        answers=(Answer(status=200, data=own.EndpointRotated),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="POST",
        path="/webhook-endpoints/{id}/test",
        handler=send_test,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Send a signed test now, and answer with what the receiver said",
        answers=(Answer(status=200, data=own.Tested),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="GET",
        path="/webhook-endpoints/{id}/deliveries",
        handler=list_deliveries,
        scope="workflows:read",
        rate=Rate.READ,
        summary="List what an endpoint was or is to be sent, newest first",
        answers=(Answer(status=200, data=own.EndpointMessageItem, listed=True),),
        query=own.EndpointMessagesQuery,
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        exists=endpoint_exists,
    ),
    Route(
        method="POST",
        path="/webhook-endpoints/{id}/deliveries/{deliveryId}/retry",
        handler=retry_delivery,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Send a delivery again now, whatever became of it",
        answers=(Answer(status=202, data=own.EndpointMessageItem),),
        errors=("NOT_FOUND", "INVALID_STATE"),
    ),
)
