"""External users: the people whom a project's workflows act for. Source: Flowra contract 4.3."""

from collections.abc import Sequence

from starlette.responses import Response

from stepwell.http.dialects.flowra import wire
from stepwell.http.dialects.flowra.answers import listing, single
from stepwell.http.dialects.flowra.names import created, found
from stepwell.http.dialects.flowra.queries import Page
from stepwell.http.dialects.flowra.users import checked
from stepwell.http.routes import Answer, Call, Rate, Route
from stepwell.store import EndUser


class UsersQuery(Page, kw_only=True):
    """Which page of the users, and a text that their names hold."""

    q: str | None = None


class NewUser(wire.Wire):
    """A user to be made."""

    username: str


async def list_users(call: Call[UsersQuery, None]) -> Response:
    """GET /external-users."""
    query = call.query
    rows, total = await call.core.accounts.users(
        call.workspace, search=query.q, offset=query.start, limit=query.limit + 1
    )
    return listing(query, rows, total, _item, lambda row: row.id)


async def create_user(call: Call[None, NewUser]) -> Response:
    """POST /external-users."""
    name = checked(call.body.username, "username")
    user, new = await call.core.accounts.create_user(call.workspace, name)
    return single("User created" if new else "OK", _item(user), 201 if new else 200)


async def get_by_name(call: Call[None, None]) -> Response:
    """GET /external-users/username/{name}."""
    user = await call.core.accounts.user_named(call.workspace, call.params["name"])
    return single("OK", None if user is None else _item(user))


async def toggle_active(call: Call[None, None]) -> Response:
    """PUT /external-users/{userId}/toggle-active."""
    user = await call.core.accounts.set_active(call.workspace, found(call.params["userId"], "User"))
    return single("User activated" if user.active else "User deactivated", _item(user))


def _item(user: EndUser) -> wire.ExternalUser:
    return wire.ExternalUser(
        id=user.id,
        username=user.username,
        is_active=user.active,
        is_default=user.id == user.workspace,
        project_id=user.workspace,
        created_at=created(user.id),
    )


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/external-users",
        handler=list_users,
        scope="connections:read",
        rate=Rate.READ,
        summary="List end users, newest first",
        answers=(Answer(status=200, data=wire.ExternalUser, listed=True),),
        query=UsersQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="POST",
        path="/external-users",
        handler=create_user,
        scope="connections:write",
        rate=Rate.WRITE,
        summary="Make an end user, or find the one of that name",
        answers=(Answer(status=201, data=wire.ExternalUser), Answer(status=200, data=wire.ExternalUser)),
        body=NewUser,
    ),
    Route(
        method="GET",
        path="/external-users/username/{name}",
        handler=get_by_name,
        scope="connections:read",
        rate=Rate.READ,
        summary="Find an end user by name; null if there is none",
        answers=(Answer(status=200, data=wire.ExternalUser, nullable=True),),
    ),
    Route(
        method="PUT",
        path="/external-users/{userId}/toggle-active",
        handler=toggle_active,
        scope="connections:write",
        rate=Rate.WRITE,
        summary="Switch an end user on or off",
        answers=(Answer(status=200, data=wire.ExternalUser),),
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
    ),
)
