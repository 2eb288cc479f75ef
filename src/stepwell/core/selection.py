"""Selection: which connection a step gets. Source: LoopFour contract 13; for runs of end users Flowra contract 5.5."""

from stepwell.core.credentials import missing
from stepwell.steps import ConnectionNeed
from stepwell.store import Connection, Run, Store

DEFAULT_USER = "project_default_user"
"""The end user of a workspace for whom runs act if they name nobody. Its id is the workspace's."""


async def select(store: Store, workspace: str, need: ConnectionNeed, run: Run | None) -> Connection:
    """The connection for a step.

    Of a run without end user: the run's if it is of a fitting provider, then the one the step names, then the default
    one, then the only active one; an end user's only if it is named. Of a run with one: the run's, then the user's
    default or newest active one, then the one the step names; never another user's.

    Raises:
        StepError: CONNECTION_MISSING; the message says what to do.
    """
    if run is not None and run.end_user is not None:
        return await _of_user(store, need, run, run.end_user)
    chosen = await _of_run(store, workspace, need, run.connection if run else None)
    chosen = chosen or await _named(store, workspace, need)
    if chosen is None:
        chosen = _only(need, await store.connections.candidates(workspace, need.providers))
    return require_active(chosen)


def require_active(connection: Connection) -> Connection:
    """The connection, if it can be used.

    Raises:
        StepError: CONNECTION_MISSING.
    """
    if connection.status != "active":
        why = f". {connection.reason}" if connection.reason else ""
        raise missing(f"Connection {connection.name} is not active. Current status: {connection.status}{why}")
    return connection


async def _of_user(store: Store, need: ConnectionNeed, run: Run, user: str) -> Connection:
    chosen = await _of_run(store, run.workspace, need, run.connection)
    if chosen is not None and chosen.end_user in (None, user):
        return require_active(chosen)
    own = await store.connections.candidates(run.workspace, need.providers, user)
    if not own and user == run.workspace:  # what was made for nobody is the default user's
        own = await store.connections.candidates(run.workspace, need.providers)
    if own:
        return next((each for each in own if each.is_default), own[-1])
    pinned = None if need.named is None else await _find(store, run.workspace, need.named)
    if pinned is not None and pinned.provider in need.providers and pinned.end_user in (None, user):
        return require_active(pinned)
    raise missing(f"No active {_providers(need)} account for user {await username(store, run.workspace, user)}")


async def username(store: Store, workspace: str, user: str) -> str:
    """The name of an end user; the id of one that is gone."""
    if user == workspace:
        return DEFAULT_USER
    found = await store.accounts.user(workspace, user)
    return user if found is None else found.username


async def _of_run(store: Store, workspace: str, need: ConnectionNeed, reference: str | None) -> Connection | None:
    if reference is None:
        return None
    connection = await store.connections.get(workspace, reference)
    if connection is None:  # its provider is unknown now: taking another could reach a wrong account
        raise missing("The connection that the run was started with no longer exists")
    return connection if connection.provider in need.providers else None


async def _named(store: Store, workspace: str, need: ConnectionNeed) -> Connection | None:
    if need.named is None:
        return None
    connection = await _find(store, workspace, need.named)
    if connection is None:
        raise missing(f"Connection not found: {need.named[:200]}")
    if connection.provider not in need.providers:
        raise missing(
            f"Connection {connection.name} is of {connection.provider}, the step needs one of {_providers(need)}"
        )
    return connection


async def _find(store: Store, workspace: str, named: str) -> Connection | None:
    found = await store.connections.get(workspace, named.removeprefix("conn_"))
    return found or await store.connections.get(workspace, named)  # a slug may itself begin with conn_


def _only(need: ConnectionNeed, candidates: list[Connection]) -> Connection:
    defaults = [connection for connection in candidates if connection.is_default]
    for group in (defaults, candidates):
        if len(group) == 1:
            return group[0]
    if not candidates:
        raise missing(f"No active connection for {_providers(need)}. Create one.")
    raise missing(
        f"Several connections for {_providers(need)}. Name one in the step's `connection`, or make one the default."
    )


def _providers(need: ConnectionNeed) -> str:
    return " or ".join(need.providers)
