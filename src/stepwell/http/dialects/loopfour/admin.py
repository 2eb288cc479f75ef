"""Keys and workspaces. Source: LoopFour contract 2."""

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from stepwell import ids
from stepwell.clock import parse_iso
from stepwell.errors import Fault, ValidationFailed
from stepwell.http.dialects.loopfour import requests, wire
from stepwell.http.dialects.loopfour.answers import listing, success
from stepwell.http.dialects.loopfour.names import created, cursor, cursor_id, time
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.store import Key, Workspace


async def list_keys(call: Call[requests.PageQuery, None]) -> Response:
    """GET /admin/keys."""
    query = call.query
    before = cursor_id(query.cursor, "key")
    rows = await call.core.keys.page(call.workspace, before=before, limit=query.limit + 1)
    return listing(rows, query.limit, _key, lambda row: cursor(ids.created_ms(row.id), f"key_{row.id}"))


async def create_key(call: Call[None, requests.NewKeyBody]) -> Response:
    """POST /admin/keys."""
    body = call.body
    expires_at = None if body.expires_at is None else parse_iso(body.expires_at)
    if body.expires_at is not None and expires_at is None:
        raise ValidationFailed("Invalid request", [Fault(("expiresAt",), "Expected an ISO 8601 time")])
    made = await call.core.keys.create(
        call.workspace, body.name, body.scopes, expires_at=expires_at, dialect=body.dialect
    )
    return success(wire.KeyMade(key=made.text, **_key_fields(made.key)), 201)


async def revoke_key(call: Call[None, None]) -> Response:
    """DELETE /admin/keys/{id}."""
    id = call.params["id"].removeprefix("key_")
    await call.core.keys.revoke(call.workspace, id)
    return success(wire.Deleted(id=f"key_{id.lower()}"))


async def may_create_workspaces(call: AnyCall) -> None:
    """Raise Forbidden unless the key is of the first workspace."""
    call.core.workspaces.check_may_create(call.workspace)


async def list_workspaces(call: Call[requests.PageQuery, None]) -> Response:
    """GET /admin/workspaces."""
    query = call.query
    before = cursor_id(query.cursor, "ws")
    rows = await call.core.workspaces.page(call.workspace, before=before, limit=query.limit + 1)
    return listing(rows, query.limit, _workspace, lambda row: cursor(ids.created_ms(row.id), f"ws_{row.id}"))


async def create_workspace(call: Call[None, requests.NewWorkspace]) -> Response:
    """POST /admin/workspaces."""
    return success(_workspace(await call.core.workspaces.create(call.workspace, call.body.name)), 201)


async def get_workspace(call: Call[None, None]) -> Response:
    """GET /admin/workspaces/{id}."""
    id = call.params["id"].removeprefix("ws_")
    return success(_workspace(await call.core.workspaces.get(call.workspace, id)))


def _key(key: Key) -> wire.KeyItem:
    return wire.KeyItem(**_key_fields(key))


def _key_fields(key: Key) -> dict[str, Any]:
    return {
        "id": f"key_{key.id}",
        "prefix": key.prefix,
        "name": key.name,
        "scopes": list(key.scopes),
        "dialect": key.dialect,
        "created_at": created(key.id),
        "expires_at": time(key.expires_at),
        "last_used_at": time(key.last_used_at),
        "revoked_at": time(key.revoked_at),
    }


def _workspace(workspace: Workspace) -> wire.WorkspaceItem:
    return wire.WorkspaceItem(id=f"ws_{workspace.id}", name=workspace.name, created_at=created(workspace.id))


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/admin/keys",
        handler=list_keys,
        scope="admin",
        rate=Rate.READ,
        summary="List the workspace's keys, newest first",
        answers=(Answer(status=200, data=wire.KeyItem, listed=True),),
        query=requests.PageQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="POST",
        path="/admin/keys",
        handler=create_key,
        scope="admin",
        rate=Rate.WRITE,
        summary="Make a key; its text is shown this once",
        answers=(Answer(status=201, data=wire.KeyMade),),
        body=requests.NewKeyBody,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="DELETE",
        path="/admin/keys/{id}",
        handler=revoke_key,
        scope="admin",
        rate=Rate.WRITE,
        summary="Revoke a key at once",
        answers=(Answer(status=200, data=wire.Deleted),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="GET",
        path="/admin/workspaces",
        handler=list_workspaces,
        scope="admin",
        rate=Rate.READ,
        summary="List workspaces, newest first; only its own to a key of another workspace than the first",
        answers=(Answer(status=200, data=wire.WorkspaceItem, listed=True),),
        query=requests.PageQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="POST",
        path="/admin/workspaces",
        handler=create_workspace,
        scope="admin",
        rate=Rate.WRITE,
        summary="Make a workspace; for keys of the first workspace",
        answers=(Answer(status=201, data=wire.WorkspaceItem),),
        body=requests.NewWorkspace,
        errors=("VALIDATION_ERROR",),
        exists=may_create_workspaces,
    ),
    Route(
        method="GET",
        path="/admin/workspaces/{id}",
        handler=get_workspace,
        scope="admin",
        rate=Rate.READ,
        summary="Read a workspace",
        answers=(Answer(status=200, data=wire.WorkspaceItem),),
        errors=("NOT_FOUND",),
    ),
)
