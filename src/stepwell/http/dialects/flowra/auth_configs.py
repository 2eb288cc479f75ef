"""Auth configs: the apps that accounts are connected with. Source: Flowra contract 4.3."""

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta
from starlette.responses import Response

from stepwell.errors import Fault, ValidationFailed
from stepwell.http.dialects.flowra import wire
from stepwell.http.dialects.flowra.accounts import below, toolkit_name
from stepwell.http.dialects.flowra.answers import done, listing, single
from stepwell.http.dialects.flowra.names import created, found, time
from stepwell.http.dialects.flowra.queries import Limit, Ordered, oldest_first
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.store import AuthConfig

_OWN, _MANAGED = "use_custom_auth", "use_provider_managed_auth"
_BESIDE = frozenset({"toolkit"})


class AuthConfigPageQuery(Ordered, kw_only=True):
    """Which page of the auth configs."""

    limit: Limit = 10
    toolkit_slug: str | None = None
    sort_by: Literal["createdAt"] = "createdAt"


class NamedToolkit(wire.Wire):
    """A toolkit, by slug."""

    slug: str


class NewConfig(wire.Wire):
    """The app itself. `credentials` are, for OAUTH2, the client; for other schemes what all accounts share."""

    auth_scheme: str
    type: Annotated[str, Meta(description="use_custom_auth: this server owns no vendor's apps.")] = _OWN
    credentials: wire.Object | None = None
    display_name: str | None = None


class AuthConfigBody(wire.Wire):
    """An auth config to be made."""

    toolkit: NamedToolkit
    auth_config: NewConfig


async def list_configs(call: Call[AuthConfigPageQuery, None]) -> Response:
    """GET /auth_configs."""
    query = call.query
    toolkit = query.toolkit_slug.lower() if query.toolkit_slug is not None else None

    async def read(offset: int, limit: int) -> tuple[list[AuthConfig], int]:
        return await call.core.accounts.configs(
            call.workspace, provider=toolkit, offset=offset, limit=limit, before=query.before
        )

    if query.by_creation:
        rows, total = await read(query.start, query.limit + 1)
    else:
        rows, total = await oldest_first(query, read)
    return listing(query, rows, total, lambda row: _item(call, row), lambda row: row.id)


async def create_config(call: Call[None, AuthConfigBody]) -> Response:
    """POST /auth_configs."""
    given = call.body.auth_config
    if given.type != _OWN:
        own = given.type == _MANAGED
        message = "This server owns no vendor's apps: use use_custom_auth" if own else f"Expected {_OWN}"
        raise ValidationFailed("Invalid request", [Fault(("authConfig", "type"), message)])
    try:
        config = await call.core.accounts.create_config(
            call.workspace,
            call.body.toolkit.slug.lower(),
            given.auth_scheme.upper(),
            given.credentials,
            given.display_name,
        )
    except ValidationFailed as error:
        faults = [below("authConfig", fault, _BESIDE) for fault in error.faults]
        raise ValidationFailed(error.message, faults) from None
    return single("Auth config created", _item(call, config), 201)


async def get_config(call: Call[None, None]) -> Response:
    """GET /auth_configs/{configId}."""
    config = await call.core.accounts.config(call.workspace, found(call.params["configId"], "Auth config"))
    return single("OK", _item(call, config))


async def delete_config(call: Call[None, None]) -> Response:
    """DELETE /auth_configs/{configId}."""
    await call.core.accounts.delete_config(call.workspace, found(call.params["configId"], "Auth config"))
    return done("Auth config deleted")


def _item(call: AnyCall, row: AuthConfig) -> wire.AuthConfigRow:
    return wire.AuthConfigRow(
        id=row.id,
        toolkit=toolkit_name(call, row.provider),
        auth_scheme=row.scheme,
        display_name=row.name,
        project_id=row.workspace,
        created_at=created(row.id),
        updated_at=time(row.updated_at) or "",
    )


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/auth_configs",
        handler=list_configs,
        scope="connections:read",
        rate=Rate.READ,
        summary="List auth configs, newest first",
        answers=(Answer(status=200, data=wire.AuthConfigRow, listed=True),),
        query=AuthConfigPageQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="POST",
        path="/auth_configs",
        handler=create_config,
        scope="connections:write",
        rate=Rate.WRITE,
        summary="Store the app that accounts of a toolkit are connected with",
        answers=(Answer(status=201, data=wire.AuthConfigRow),),
        body=AuthConfigBody,
    ),
    Route(
        method="GET",
        path="/auth_configs/{configId}",
        handler=get_config,
        scope="connections:read",
        rate=Rate.READ,
        summary="Read an auth config, without its secrets",
        answers=(Answer(status=200, data=wire.AuthConfigRow),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="DELETE",
        path="/auth_configs/{configId}",
        handler=delete_config,
        scope="connections:write",
        rate=Rate.WRITE,
        summary="Remove an auth config that no account uses",
        answers=(Answer(status=200, data=None),),
        errors=("NOT_FOUND", "INVALID_STATE"),
    ),
)
