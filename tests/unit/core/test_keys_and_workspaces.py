"""Keys and workspaces: how they are made and ended."""

import pytest

from stepwell.auth import SCOPES, Authenticator
from stepwell.clock import FakeClock
from stepwell.core import Keys, Workspaces, ensure_first_workspace
from stepwell.errors import Forbidden, NotFound, Unauthorized, ValidationFailed
from stepwell.ids import TimeOrderedIds
from stepwell.store.sqlite import SqliteStore


@pytest.fixture
def authenticator(store: SqliteStore, clock: FakeClock) -> Authenticator:
    return Authenticator(store.keys, clock)


@pytest.fixture
def keys(store: SqliteStore, clock: FakeClock, ids: TimeOrderedIds, authenticator: Authenticator) -> Keys:
    return Keys(store, clock, ids, authenticator)


@pytest.fixture
def workspaces(store: SqliteStore, ids: TimeOrderedIds, workspace: str) -> Workspaces:
    return Workspaces(store, ids, workspace, FakeClock())


async def test_a_new_key_lets_in_with_its_scopes(keys: Keys, authenticator: Authenticator, workspace: str) -> None:
    made = await keys.create(workspace, "CI", ["runs:read", "runs:read"])

    principal = await authenticator.authenticate(made.text)

    assert (principal.workspace, principal.key_id, principal.scopes) == (workspace, made.key.id, {"runs:read"})
    assert (made.text[:8], made.key.scopes) == (made.key.prefix, ("runs:read",))


async def test_the_text_of_a_key_is_neither_stored_nor_in_a_repr(
    keys: Keys, store: SqliteStore, workspace: str
) -> None:
    made = await keys.create(workspace, "CI", ["admin"])

    assert made.text not in repr(made) + repr(await store.keys.page(workspace, before=None, limit=9))


async def test_an_admin_key_has_every_scope(keys: Keys, authenticator: Authenticator, workspace: str) -> None:
    made = await keys.create(workspace, "Boss", ["admin"])

    assert (await authenticator.authenticate(made.text)).scopes == SCOPES


async def test_a_revoked_key_stops_at_once(keys: Keys, authenticator: Authenticator, workspace: str) -> None:
    made = await keys.create(workspace, "CI", ["runs:read"])
    await authenticator.authenticate(made.text)

    await keys.revoke(workspace, made.key.id)

    with pytest.raises(Unauthorized):
        await authenticator.authenticate(made.text)


async def test_a_key_of_another_workspace_or_none_is_not_revoked(
    keys: Keys, authenticator: Authenticator, workspace: str, foreign: str
) -> None:
    made = await keys.create(workspace, "CI", ["runs:read"])

    for owner, key in ((foreign, made.key.id), (workspace, "nonsense")):
        with pytest.raises(NotFound, match="Key not found"):
            await keys.revoke(owner, key)

    await authenticator.authenticate(made.text)


async def test_all_faults_of_a_key_are_listed(keys: Keys, workspace: str, clock: FakeClock) -> None:
    with pytest.raises(ValidationFailed) as raised:
        await keys.create(workspace, " ", ["runs:read", "runs:fly"], expires_at=clock.now_ms())

    assert [(fault.field, fault.message) for fault in raised.value.faults] == [
        ("name", "Required"),
        ("scopes[1]", "Unknown scope: runs:fly"),
        ("expiresAt", "Must be in the future"),
    ]


@pytest.mark.parametrize(("scopes", "dialect", "field"), [([], "loopfour", "scopes"), (["admin"], "latin", "dialect")])
async def test_a_key_needs_a_scope_and_a_dialect(
    keys: Keys, workspace: str, scopes: list[str], dialect: str, field: str
) -> None:
    with pytest.raises(ValidationFailed) as raised:
        await keys.create(workspace, "CI", scopes, dialect=dialect)

    assert [fault.field for fault in raised.value.faults] == [field]


async def test_keys_are_paged_newest_first(keys: Keys, workspace: str) -> None:
    made = [(await keys.create(workspace, name, ["admin"])).key for name in "abc"]

    first = await keys.page(workspace, limit=2)

    assert [*first, *await keys.page(workspace, before=first[-1].id)] == made[::-1]


async def test_the_first_workspace_is_made_once(store: SqliteStore, ids: TimeOrderedIds) -> None:
    first = await ensure_first_workspace(store, ids)

    assert first.name == "Default"
    assert await ensure_first_workspace(store, ids) == first
    assert await store.keys.workspaces() == [first]


async def test_workspaces_are_paged_newest_first(workspaces: Workspaces, workspace: str) -> None:
    made = [await workspaces.create(workspace, name) for name in "abc"]

    first = await workspaces.page(workspace, limit=2)

    assert first == [made[2], made[1]]
    assert [found.id for found in await workspaces.page(workspace, before=made[1].id)] == [made[0].id, workspace]


async def test_a_workspace_is_got_by_id(workspaces: Workspaces, workspace: str, ids: TimeOrderedIds) -> None:
    made = await workspaces.create(workspace, "Acme")

    assert await workspaces.get(workspace, made.id) == made
    for unknown in (ids.new(), "nonsense"):
        with pytest.raises(NotFound, match="Workspace not found"):
            await workspaces.get(workspace, unknown)


async def test_a_workspace_needs_a_name(workspaces: Workspaces, workspace: str) -> None:
    with pytest.raises(ValidationFailed):
        await workspaces.create(workspace, "")


async def test_another_workspace_than_the_first_sees_only_itself_and_makes_none(
    workspaces: Workspaces, workspace: str, foreign: str
) -> None:
    assert [found.id for found in await workspaces.page(foreign)] == [foreign]
    assert (await workspaces.get(foreign, foreign)).id == foreign
    with pytest.raises(NotFound, match="Workspace not found"):
        await workspaces.get(foreign, workspace)
    with pytest.raises(Forbidden, match="Access denied to this resource"):
        await workspaces.create(foreign, "Mine")
