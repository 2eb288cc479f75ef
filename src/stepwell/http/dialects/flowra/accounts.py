"""Connected accounts: the connections of end users. Source: Flowra contract 4.3, 9."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field
from starlette.responses import Response

from stepwell.core import ConnectionChanges
from stepwell.errors import Fault, NotFound, ValidationFailed
from stepwell.http.dialects.flowra import users, wire
from stepwell.http.dialects.flowra.answers import bare, done, projected, single
from stepwell.http.dialects.flowra.names import created, cursor, found, time, wanted
from stepwell.http.dialects.flowra.queries import Ordered, Texts, oldest_first
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.store import AuthConfig, Connection, ConnectionFilter
from stepwell.values import Json

Status = Literal["INITIATED", "ACTIVE", "FAILED", "EXPIRED", "INACTIVE"]
STATUSES: Mapping[str, Status] = {
    "pending": "INITIATED",
    "active": "ACTIVE",
    "error": "FAILED",
    "expired": "EXPIRED",
    "disconnected": "INACTIVE",
}
_STORED: Mapping[str, str] = {shown: stored for stored, shown in STATUSES.items()}


class AccountsQuery(Ordered, kw_only=True):
    """Filters of the list of accounts."""

    toolkit_slugs: Texts | None = None
    statuses: Texts | None = None
    euids: Texts | None = field(name="eUIDs", default=None)
    auth_config_ids: Texts | None = None
    connected_account_ids: Texts | None = None
    sort_by: Literal["createdAt"] = "createdAt"


class NamedConfig(wire.Wire):
    """An auth config, by id."""

    id: str


class AccountState(wire.Wire):
    """What the account's owner says who they are with; `val` holds the fields of the scheme."""

    val: wire.Object | None = None
    auth_scheme: str | None = None


class NewAccountConnection(wire.Wire):
    """How an account is connected."""

    state: AccountState = field(default_factory=AccountState)


class NewAccount(wire.Wire):
    """An account to be connected."""

    auth_config: NamedConfig
    connection: NewAccountConnection = field(default_factory=NewAccountConnection)


class NewLink(wire.Wire):
    """A page to be made at which an account is connected."""

    auth_config_id: str
    callback_url: str | None = None


class AccountEdit(wire.Wire):
    """What is to be changed of an account."""

    display_name: Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\S")]


async def list_accounts(call: Call[AccountsQuery, None]) -> Response:
    """GET /connected_accounts."""
    query = call.query
    only = await users.only(call)
    owners = wanted(query.euids)
    if only is not None:
        owners = (only,) if owners is None or only in owners else ()
    filtered = ConnectionFilter(
        workspace=call.workspace,
        providers=tuple(each.lower() for each in query.toolkit_slugs) if query.toolkit_slugs else None,
        statuses=_stored_statuses(query.statuses),
        end_users=owners,
        auth_configs=wanted(query.auth_config_ids),
        ids=wanted(query.connected_account_ids),
        before=query.before,
        offset=query.start,
        limit=query.limit + 1,
    )
    if query.by_creation:
        rows, total = await _page(call, filtered)
    else:
        rows, total = await oldest_first(query, lambda offset, limit: _page(call, filtered, offset=offset, limit=limit))
    page = rows[: query.limit]
    configs = await _configs_of(call, page)
    return bare(
        wire.AccountPage(
            items=[projected(_item(call, row, configs), query.fields) for row in page],
            next_cursor=cursor(page[-1].id) if len(rows) > query.limit and query.by_creation else None,
            total_pages=ceil(total / query.limit),
            current_page=query.number,
            total_items=total,
        )
    )


async def create_account(call: Call[None, NewAccount]) -> Response:
    """POST /connected_accounts."""
    user = await users.acting(call)
    config = await _config(call, call.body.auth_config.id)
    given = call.body.connection.state
    if given.auth_scheme is not None and given.auth_scheme.upper() != config.scheme:
        fault = Fault(("connection", "state", "authScheme"), f"The auth config is of {config.scheme}")
        raise ValidationFailed("Invalid request", [fault])
    account, authorization = await call.core.accounts.connect(user, config, given.val)
    status = STATUSES[account.status]
    made = wire.ConnectedAccount(
        id=account.id,
        connection_data={"authScheme": config.scheme, "val": {"status": status}},
        status=status,
        redirect_url=None if authorization is None else authorization.url,
    )
    return bare(made, 201)


async def create_link(call: Call[None, NewLink]) -> Response:
    """POST /connected_accounts/link."""
    user = await users.acting(call)
    config = await _config(call, call.body.auth_config_id)
    link = await call.core.accounts.link(user, config, call.body.callback_url)
    return bare(wire.AccountLink(link.url, link.token, time(link.expires_at) or "", link.connection), 201)


async def get_account(call: Call[None, None]) -> Response:
    """GET /connected_accounts/{accountId}."""
    return single("OK", await _shown(call, await account(call)))


async def edit_account(call: Call[None, AccountEdit]) -> Response:
    """PATCH /connected_accounts/{accountId}."""
    stored = await account(call)
    changes = ConnectionChanges(name=call.body.display_name)
    changed = await call.core.connections.update(call.workspace, stored.id, changes)
    return single("Connected account updated", await _shown(call, changed))


async def delete_account(call: Call[None, None]) -> Response:
    """DELETE /connected_accounts/{accountId}."""
    stored = await account(call)
    await call.core.connections.delete(call.workspace, stored.id)
    return done("Connected account deleted")


async def account(call: AnyCall) -> Connection:
    """The account that the path names. Raises NotFound, also for one of another user than the header's."""
    only = await users.only(call)
    id = found(call.params["accountId"], "Connected account")
    stored = await call.core.store.connections.get(call.workspace, id)
    if stored is None or not users.owned(stored.end_user, only, call.workspace):
        raise NotFound("Connected account not found")
    return stored


async def account_exists(call: AnyCall) -> None:
    """The same, where only the refusal counts."""
    await account(call)


async def _config(call: AnyCall, id: str) -> AuthConfig:
    return await call.core.accounts.config(call.workspace, found(id, "Auth config"))


async def _page(call: AnyCall, filtered: ConnectionFilter, **place: int) -> tuple[list[Connection], int]:
    return await call.core.connections.find(msgspec.structs.replace(filtered, **place))


def _stored_statuses(statuses: list[str] | None) -> tuple[str, ...] | None:
    if not statuses:
        return None
    unknown = [each for each in statuses if each.upper() not in _STORED]
    if unknown:
        fault = Fault(("statuses",), f"Unknown status: {unknown[0][:100]}. Known: {', '.join(_STORED)}")
        raise ValidationFailed("Invalid request", [fault])
    return tuple(_STORED[each.upper()] for each in statuses)


async def _configs_of(call: AnyCall, rows: Sequence[Connection]) -> dict[str, AuthConfig | None]:
    """The auth configs of accounts, by id, each read once."""
    return {
        id: await call.core.store.accounts.config(call.workspace, id)
        for id in {row.auth_config for row in rows if row.auth_config is not None}
    }


async def _shown(call: AnyCall, row: Connection) -> wire.AccountItem:
    return _item(call, row, await _configs_of(call, [row]))


def _item(call: AnyCall, row: Connection, configs: Mapping[str, AuthConfig | None]) -> wire.AccountItem:
    config = configs.get(row.auth_config) if row.auth_config is not None else None
    return wire.AccountItem(
        id=row.id,
        toolkit=toolkit_name(call, row.provider),
        auth_config=wire.AuthConfigName(row.auth_config, config.scheme if config is not None else None),
        display_name=row.name,
        label=row.name,
        euid=row.end_user or call.workspace,
        status=STATUSES[row.status],
        status_reason=row.reason,
        is_disabled=row.status == "disconnected",
        created_at=created(row.id),
        updated_at=time(row.updated_at) or "",
    )


def toolkit_name(call: AnyCall, slug: str) -> wire.ToolkitName:
    """A toolkit by its slug; one that is gone is named by it."""
    connector = call.core.connectors.get(slug)
    return wire.ToolkitName(slug, connector.manifest.title if connector is not None else slug)


def below(place: str, fault: Fault, unless: frozenset[Json]) -> Fault:
    """A fault below another field of the request, unless its own first one is of some."""
    return fault if fault.path and fault.path[0] in unless else Fault((place, *fault.path), fault.message)


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/connected_accounts",
        handler=list_accounts,
        scope="connections:read",
        rate=Rate.READ,
        summary="List connected accounts, newest first",
        answers=(Answer(status=200, data=wire.AccountPage, bare=True),),
        query=AccountsQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="POST",
        path="/connected_accounts",
        handler=create_account,
        scope="connections:write",
        rate=Rate.WRITE,
        summary="Connect an account of a user",
        answers=(Answer(status=201, data=wire.ConnectedAccount, bare=True),),
        body=NewAccount,
        errors=("NOT_FOUND", "INVALID_STATE"),
    ),
    Route(
        method="POST",
        path="/connected_accounts/link",
        handler=create_link,
        scope="connections:write",
        rate=Rate.WRITE,
        summary="Make a page at which somebody connects an account, once, within 30 minutes",
        answers=(Answer(status=201, data=wire.AccountLink, bare=True),),
        body=NewLink,
        errors=("NOT_FOUND", "INVALID_STATE"),
    ),
    Route(
        method="GET",
        path="/connected_accounts/{accountId}",
        handler=get_account,
        scope="connections:read",
        rate=Rate.READ,
        summary="Read a connected account, without its credentials",
        answers=(Answer(status=200, data=wire.AccountItem),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="PATCH",
        path="/connected_accounts/{accountId}",
        handler=edit_account,
        scope="connections:write",
        rate=Rate.WRITE,
        summary="Give a connected account another name",
        answers=(Answer(status=200, data=wire.AccountItem),),
        body=AccountEdit,
        errors=("NOT_FOUND",),
        exists=account_exists,
    ),
    Route(
        method="DELETE",
        path="/connected_accounts/{accountId}",
        handler=delete_account,
        scope="connections:write",
        rate=Rate.WRITE,
        summary="Remove a connected account; the triggers that use it stop",
        answers=(Answer(status=200, data=None),),
        errors=("NOT_FOUND",),
    ),
)
