"""Auth configs: the apps that accounts of providers are connected with. Their credentials go in and never come out."""

from collections.abc import Sequence

from starlette.responses import Response

from stepwell import ids
from stepwell.clock import iso
from stepwell.errors import Fault, ValidationFailed
from stepwell.http.dialects.loopfour import wire
from stepwell.http.dialects.loopfour import wire_connections as wired
from stepwell.http.dialects.loopfour.answers import listing, success
from stepwell.http.dialects.loopfour.names import created, cursor, cursor_id
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.store import AuthConfig

_NAMES = {"toolkit": ("provider",), "authScheme": ("scheme",), "displayName": ("name",)}


async def list_auth_configs(call: Call[wired.AuthConfigsQuery, None]) -> Response:
    """GET /auth-configs."""
    query = call.query
    rows, _ = await call.core.accounts.configs(
        call.workspace, provider=query.provider, before=cursor_id(query.cursor, "ac"), limit=query.limit + 1
    )
    return listing(rows, query.limit, _item, lambda row: cursor(ids.created_ms(row.id), f"ac_{row.id}"))


async def create_auth_config(call: Call[None, wired.NewAuthConfig]) -> Response:
    """POST /auth-configs."""
    body = call.body
    try:
        made = await call.core.accounts.create_config(
            call.workspace, body.provider, body.scheme, body.credentials, body.name
        )
    except ValidationFailed as error:
        raise ValidationFailed(error.message, [_named(fault) for fault in error.faults]) from None
    return success(_item(made), 201)


async def get_auth_config(call: Call[None, None]) -> Response:
    """GET /auth-configs/{id}."""
    return success(_item(await call.core.accounts.config(call.workspace, _config(call))))


async def delete_auth_config(call: Call[None, None]) -> Response:
    """DELETE /auth-configs/{id}."""
    config = await call.core.accounts.config(call.workspace, _config(call))
    await call.core.accounts.delete_config(call.workspace, config.id)
    return success(wire.Deleted(id=f"ac_{config.id}"))


def _config(call: AnyCall) -> str:
    return call.params["id"].removeprefix("ac_")


def _named(fault: Fault) -> Fault:
    """The fault in the words of this dialect."""
    return Fault(_NAMES.get(str(fault.path[0]), fault.path) if fault.path else (), fault.message)


def _item(row: AuthConfig) -> wired.AuthConfigItem:
    return wired.AuthConfigItem(
        id=f"ac_{row.id}",
        name=row.name,
        provider=row.provider,
        scheme=row.scheme,
        created_at=created(row.id),
        updated_at=iso(row.updated_at),
    )


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/auth-configs",
        handler=list_auth_configs,
        scope="connections:read",
        rate=Rate.READ,
        summary="List auth configs, newest first",
        answers=(Answer(status=200, data=wired.AuthConfigItem, listed=True),),
        query=wired.AuthConfigsQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="POST",
        path="/auth-configs",
        handler=create_auth_config,
        scope="connections:write",
        rate=Rate.WRITE,
        summary="Store the app that accounts of a provider are connected with",
        answers=(Answer(status=201, data=wired.AuthConfigItem),),
        body=wired.NewAuthConfig,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="GET",
        path="/auth-configs/{id}",
        handler=get_auth_config,
        scope="connections:read",
        rate=Rate.READ,
        summary="Read an auth config, without its credentials",
        answers=(Answer(status=200, data=wired.AuthConfigItem),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="DELETE",
        path="/auth-configs/{id}",
        handler=delete_auth_config,
        scope="connections:write",
        rate=Rate.WRITE,
        summary="Remove an auth config that no account uses",
        answers=(Answer(status=200, data=wire.Deleted),),
        errors=("NOT_FOUND", "INVALID_STATE"),
    ),
)
