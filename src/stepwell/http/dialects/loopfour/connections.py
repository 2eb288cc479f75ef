"""Connections: credentials go in and never come out. Source: LoopFour contract 13."""

from collections.abc import Sequence

from starlette.responses import Response

from stepwell import ids
from stepwell.clock import iso
from stepwell.core import ConnectionChanges, ConnectionFields
from stepwell.http.dialects.loopfour import requests, wire
from stepwell.http.dialects.loopfour import wire_connections as wired
from stepwell.http.dialects.loopfour.answers import listing, success
from stepwell.http.dialects.loopfour.names import created, cursor, cursor_id, prefixed, reference, time
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.store import Connection
from stepwell.values import Json


async def connection_exists(call: AnyCall) -> None:
    """Raise NotFound unless the connection of the path exists."""
    await call.core.connections.get(call.workspace, _connection(call))


async def list_connections(call: Call[requests.ConnectionsQuery, None]) -> Response:
    """GET /connections."""
    query = call.query
    rows = await call.core.connections.page(
        call.workspace,
        provider=query.provider,
        status=query.status,
        before=cursor_id(query.cursor, "conn"),
        limit=query.limit + 1,
    )
    return listing(rows, query.limit, _item, lambda row: cursor(ids.created_ms(row.id), f"conn_{row.id}"))


async def create_connection(call: Call[None, wired.NewConnection]) -> Response:
    """POST /connections."""
    body = call.body
    fields = ConnectionFields(
        name=body.name,
        provider=body.provider,
        credentials=body.credentials,
        is_default=body.is_default,
        slug=body.slug,
        mode=body.mode,
        base_url=body.base_url,
        auth=body.auth,
        webhook_secrets=_webhook_secrets(body),
    )
    return success(_item(await call.core.connections.create(call.workspace, fields)), 201)


def _webhook_secrets(body: wired.NewConnection | wired.ConnectionEdit) -> Json:
    """They stand beside the credentials, or among them."""
    among = body.credentials.get("webhookSecrets") if isinstance(body.credentials, dict) else None
    return among if among is not None and not body.webhook_secrets else body.webhook_secrets


async def get_connection(call: Call[None, None]) -> Response:
    """GET /connections/{id}."""
    return success(_item(await call.core.connections.get(call.workspace, _connection(call))))


async def put_connection(call: Call[None, wired.ConnectionEdit]) -> Response:
    """PUT /connections/{id}."""
    body = call.body
    changes = ConnectionChanges(
        name=body.name,
        credentials=body.credentials,
        is_default=body.is_default,
        slug=body.slug,
        mode=body.mode,
        base_url=body.base_url,
        auth=body.auth,
        webhook_secrets=_webhook_secrets(body),
    )
    return success(_item(await call.core.connections.update(call.workspace, _connection(call), changes)))


async def delete_connection(call: Call[None, None]) -> Response:
    """DELETE /connections/{id}."""
    id = await call.core.connections.delete(call.workspace, _connection(call))
    return success(wire.Deleted(id=f"conn_{id}"))


async def test_connection(call: Call[None, None]) -> Response:
    """POST /connections/{id}/test."""
    tested = await call.core.probes.test(call.workspace, _connection(call))
    return success(wired.TestedItem(tested.ok, tested.status, tested.message, iso(tested.checked_at)))


async def authorize_connection(call: Call[None, wired.AuthorizeBody]) -> Response:
    """POST /connections/{id}/authorize."""
    begun = await call.core.authorizations.begin(call.workspace, _connection(call), call.body.callback_url)
    return success(wired.AuthorizationItem(begun.url, iso(begun.expires_at)))


def _connection(call: AnyCall) -> str:
    return reference("conn", call.params["id"])


def _item(row: Connection) -> wired.ConnectionItem:
    return wired.ConnectionItem(
        id=f"conn_{row.id}",
        name=row.name,
        provider=row.provider,
        status=row.status,
        status_reason=row.reason,
        external_account_id=row.external_account_id,
        is_default=row.is_default,
        last_synced_at=time(row.checked_at),
        expires_at=time(row.expires_at),
        slug=row.slug,
        mode=row.mode,
        base_url=row.base_url,
        auth_config_id=prefixed("ac", row.auth_config),
        end_user_id=row.end_user,
        created_at=created(row.id),
        updated_at=iso(row.updated_at),
    )


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/connections",
        handler=list_connections,
        scope="connections:read",
        rate=Rate.READ,
        summary="List connections, newest first",
        answers=(Answer(status=200, data=wired.ConnectionItem, listed=True),),
        query=requests.ConnectionsQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="POST",
        path="/connections",
        handler=create_connection,
        scope="connections:write",
        rate=Rate.WRITE,
        summary="Store credentials for a provider",
        answers=(Answer(status=201, data=wired.ConnectionItem),),
        body=wired.NewConnection,
        errors=("VALIDATION_ERROR", "ALREADY_EXISTS"),
    ),
    Route(
        method="GET",
        path="/connections/{id}",
        handler=get_connection,
        scope="connections:read",
        rate=Rate.READ,
        summary="Read a connection, without its credentials",
        answers=(Answer(status=200, data=wired.ConnectionItem),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="PUT",
        path="/connections/{id}",
        handler=put_connection,
        scope="connections:write",
        rate=Rate.WRITE,
        summary="Change the fields that are sent",
        answers=(Answer(status=200, data=wired.ConnectionItem),),
        body=wired.ConnectionEdit,
        errors=("NOT_FOUND", "VALIDATION_ERROR", "ALREADY_EXISTS"),
        exists=connection_exists,
    ),
    Route(
        method="DELETE",
        path="/connections/{id}",
        handler=delete_connection,
        scope="connections:write",
        rate=Rate.WRITE,
        summary="Remove a connection",
        answers=(Answer(status=200, data=wire.Deleted),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="POST",
        path="/connections/{id}/test",
        handler=test_connection,
        scope="connections:write",
        rate=Rate.WRITE,
        summary="Try a connection with a call that changes nothing",
        answers=(Answer(status=200, data=wired.TestedItem),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="POST",
        path="/connections/{id}/authorize",
        handler=authorize_connection,
        scope="connections:write",
        rate=Rate.WRITE,
        summary="Begin to connect an account by OAuth",
        answers=(Answer(status=200, data=wired.AuthorizationItem),),
        body=wired.AuthorizeBody,
        errors=("NOT_FOUND", "VALIDATION_ERROR", "INVALID_STATE"),
        exists=connection_exists,
    ),
)
