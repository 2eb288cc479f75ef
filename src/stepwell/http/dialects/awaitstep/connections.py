"""Connections: the workspace's own target first. Source: AwaitStep contract 4.3."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response

from stepwell.clock import iso
from stepwell.core import ConnectionChanges, ConnectionFields
from stepwell.http.dialects.awaitstep.answers import BadRequest, bare
from stepwell.http.dialects.awaitstep.names import reference
from stepwell.http.dialects.awaitstep.pages import after, listing
from stepwell.http.dialects.awaitstep.wire_runs import Done
from stepwell.http.dialects.awaitstep.wire_workflows import Name, PageQuery
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.ids import created_ms
from stepwell.store import Connection

OWN = "stepwell"


class NewConnection(Struct, rename="camel"):
    """A connection to be made."""

    name: Name
    provider: Name
    credentials: dict[str, Any] = {}


class Changes(Struct, rename="camel"):
    """What is to be changed of a connection; new credentials replace all of the old. With a slug, `conn_<slug>` stands
    for its id; null takes the slug away."""

    name: Name | UnsetType = UNSET
    slug: str | None | UnsetType = UNSET
    credentials: dict[str, Any] | UnsetType = UNSET


class ConnectionRow(Struct, rename="camel"):
    """A connection without its credentials."""

    id: str
    project_id: str
    name: str
    provider: str
    credentials: str
    created_at: str
    updated_at: str


async def list_connections(call: Call[PageQuery, None]) -> Response:
    """GET /api/connections."""
    query = call.query
    own = await call.core.targets.own(call.workspace)
    before = after(query.cursor, "conn")
    first = before is None
    if before == own.id:  # the page before held nothing but that
        before = None
    found = await call.core.connections.page(call.workspace, before=before, limit=query.limit + 2)
    rows = [own] if first else []
    rows += [each for each in found if each.id != own.id]
    return listing(rows[: query.limit + 1], query.limit, _row, "conn", lambda each: each.id)


async def create_connection(call: Call[None, NewConnection]) -> Response:
    """POST /api/connections."""
    body = call.body
    if body.provider == OWN:
        raise BadRequest("The stepwell connection cannot be created")
    fields = ConnectionFields(name=body.name, provider=body.provider, credentials=body.credentials)
    return bare(_row(await call.core.connections.create(call.workspace, fields)), 201)


async def update_connection(call: Call[None, Changes]) -> Response:
    """PATCH /api/connections/{id}."""
    named, body = await _connection(call), call.body
    if named.provider == OWN:
        if body.slug is UNSET or (body.name, body.credentials) != (UNSET, UNSET):
            raise BadRequest("Only the slug of the stepwell connection can be changed")
        return bare(_row(await call.core.targets.set_slug(call.workspace, body.slug)))
    changes = ConnectionChanges(name=body.name, slug=body.slug, credentials=body.credentials)
    return bare(_row(await call.core.connections.update(call.workspace, named.id, changes)))


async def delete_connection(call: Call[None, None]) -> Response:
    """DELETE /api/connections/{id}."""
    named = await _connection(call)
    if named.provider == OWN:
        raise BadRequest("The stepwell connection cannot be deleted")
    await call.core.connections.delete(call.workspace, named.id)
    return bare(Done())


async def _connection(call: AnyCall) -> Connection:
    named = reference("conn", call.params["id"])
    if named == OWN:
        return await call.core.targets.own(call.workspace)
    return await call.core.connections.get(call.workspace, named)


async def _exists(call: AnyCall) -> None:
    await _connection(call)


def _row(connection: Connection) -> ConnectionRow:
    return ConnectionRow(
        id=f"conn_{connection.id}",
        project_id=connection.workspace,
        name=connection.name,
        provider=connection.provider,
        credentials="***",
        created_at=iso(created_ms(connection.id)),
        updated_at=iso(connection.updated_at),
    )


_ROW = (Answer(status=200, data=ConnectionRow),)

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/connections",
        handler=list_connections,
        scope="connections:read",
        rate=Rate.READ,
        summary="List connections, this server first, then newest first",
        answers=(Answer(status=200, data=ConnectionRow, listed=True),),
        query=PageQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="POST",
        path="/api/connections",
        handler=create_connection,
        scope="connections:write",
        rate=Rate.WRITE,
        summary="Make a connection",
        answers=(Answer(status=201, data=ConnectionRow),),
        body=NewConnection,
        errors=("BAD_REQUEST",),
    ),
    Route(
        method="PATCH",
        path="/api/connections/{id}",
        handler=update_connection,
        scope="connections:write",
        rate=Rate.WRITE,
        summary="Change a connection",
        answers=_ROW,
        body=Changes,
        errors=("NOT_FOUND", "BAD_REQUEST"),
        exists=_exists,
    ),
    Route(
        method="DELETE",
        path="/api/connections/{id}",
        handler=delete_connection,
        scope="connections:write",
        rate=Rate.WRITE,
        summary="Remove a connection",
        answers=(Answer(status=200, data=Done),),
        errors=("NOT_FOUND", "BAD_REQUEST"),
        exists=_exists,
    ),
)
