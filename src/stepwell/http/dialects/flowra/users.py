"""Whom a request acts for: the header `x-username`. Source: Flowra contract 2."""

import re

from stepwell.core import Core
from stepwell.errors import Fault, NotFound, ValidationFailed
from stepwell.http.routes import AnyCall
from stepwell.store import EndUser

_NAME = re.compile(r"[A-Za-z0-9._@-]{1,128}", re.ASCII)


async def named(call: AnyCall) -> EndUser | None:
    """The user that the header names, made if there is none of that name; None without the header.

    Raises:
        ValidationFailed: it is no name.
        Forbidden: the user is switched off.
    """
    given = call.headers.get(b"x-username")
    if given is None:
        return None
    return await call.core.accounts.acting(call.workspace, checked(given.decode("latin-1"), "x-username"))


async def acting(call: AnyCall) -> EndUser:
    """The user whom something is made for: the one that is named, else the workspace's default user."""
    return await named(call) or await call.core.accounts.acting(call.workspace, None)


async def only(call: AnyCall) -> str | None:
    """The id of the user whose rows alone exist for the request; None: those of all users do."""
    user = await named(call)
    return None if user is None else user.id


def owned(owner: str | None, only: str | None, workspace: str) -> bool:
    """Whether something of an owner exists for a request; what is nobody's is the default user's."""
    return only is None or (owner or workspace) == only


async def name_of(core: Core, workspace: str, user: str | None) -> str:
    """The name of a user by id; what is nobody's is the default user's."""
    try:
        return (await core.accounts.user(workspace, user or workspace)).username
    except NotFound:
        return ""


def checked(name: str, *field: str) -> str:
    """A name as it may be. Raises ValidationFailed for the field."""
    if not _NAME.fullmatch(name):
        fault = Fault(field, "Expected 1 to 128 letters, digits, dots, underscores, hyphens or @")
        raise ValidationFailed("Invalid request", [fault])
    return name
