"""Every verb on end users, auth configs, links and authorizations, and what connections have of them; each also called
with a foreign workspace."""

from hashlib import sha256

import msgspec
import pytest

from stepwell.ids import TimeOrderedIds
from stepwell.store import AccountLink, AuthConfig, Connection, ConnectionFilter, EndUser, OAuthGrant, Store

NOW = 1_700_000_000_000
TOKEN = sha256(b"token").digest()


def a_user(workspace: str, ids: TimeOrderedIds, username: str = "bob") -> EndUser:
    return EndUser(workspace=workspace, id=ids.new(), username=username)


def a_config(workspace: str, ids: TimeOrderedIds, provider: str = "slack") -> AuthConfig:
    return AuthConfig(
        workspace=workspace,
        id=ids.new(),
        provider=provider,
        name="Our app",
        scheme="OAUTH2",
        sealed=b"\x01\x02",
        updated_at=NOW,
    )


def an_account(workspace: str, ids: TimeOrderedIds, **fields: object) -> Connection:
    account = Connection(
        workspace=workspace,
        id=ids.new(),
        slug=None,
        name="Account",
        provider="slack",
        status="active",
        mode="live",
        is_default=False,
        base_url=None,
        external_account_id=None,
        sealed=b"\x00",
        updated_at=NOW,
    )
    return msgspec.structs.replace(account, **fields)


def a_link(workspace: str, ids: TimeOrderedIds, hash: bytes = TOKEN, expires_at: int = NOW + 10) -> AccountLink:
    return AccountLink(
        hash=hash,
        workspace=workspace,
        connection=ids.new(),
        callback_url="https://app.example/done",
        expires_at=expires_at,
    )


def a_grant(workspace: str, ids: TimeOrderedIds, hash: bytes = TOKEN, expires_at: int = NOW + 10) -> OAuthGrant:
    return OAuthGrant(hash=hash, workspace=workspace, connection=ids.new(), sealed=b"\x01", expires_at=expires_at)


@pytest.fixture
async def user(store: Store, workspace: str, ids: TimeOrderedIds) -> EndUser:
    return await store.accounts.put_user(a_user(workspace, ids))


@pytest.fixture
async def config(store: Store, workspace: str, ids: TimeOrderedIds) -> AuthConfig:
    made = a_config(workspace, ids)
    await store.accounts.put_config(made)
    return made


# End users


async def test_a_user_is_found_by_id_and_by_name_in_its_workspace_only(
    store: Store, workspace: str, foreign: str, user: EndUser
) -> None:
    assert await store.accounts.user(workspace, user.id) == user
    assert await store.accounts.user_named(workspace, "bob") == user
    assert await store.accounts.user(foreign, user.id) is None
    assert await store.accounts.user_named(foreign, "bob") is None


async def test_a_name_is_one_user_however_often_it_is_put(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds, user: EndUser
) -> None:
    again = await store.accounts.put_user(a_user(workspace, ids))
    theirs = await store.accounts.put_user(a_user(foreign, ids))

    assert again == user
    assert theirs.id != user.id


async def test_names_differ_in_case(store: Store, workspace: str, ids: TimeOrderedIds, user: EndUser) -> None:
    other = await store.accounts.put_user(a_user(workspace, ids, "Bob"))

    assert other.id != user.id


async def test_users_are_paged_newest_first_and_counted(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds, user: EndUser
) -> None:
    ann = await store.accounts.put_user(a_user(workspace, ids, "Ann"))
    dan = await store.accounts.put_user(a_user(workspace, ids, "dan"))
    await store.accounts.put_user(a_user(foreign, ids, "ann"))

    assert await store.accounts.users(workspace, search=None, offset=0, limit=2) == ([dan, ann], 3)
    assert await store.accounts.users(workspace, search=None, offset=2, limit=2) == ([user], 3)
    assert await store.accounts.users(workspace, search="AN", offset=0, limit=10) == ([dan, ann], 2)


async def test_a_user_is_switched_off_and_on_in_its_workspace_only(
    store: Store, workspace: str, foreign: str, user: EndUser
) -> None:
    assert not await store.accounts.set_active(foreign, user.id, False)
    assert await store.accounts.set_active(workspace, user.id, False)

    off = await store.accounts.user(workspace, user.id)
    assert off is not None and not off.active

    assert await store.accounts.set_active(workspace, user.id, True)
    assert await store.accounts.user(workspace, user.id) == user


# Auth configs


async def test_an_auth_config_is_found_in_its_workspace_only(
    store: Store, workspace: str, foreign: str, config: AuthConfig
) -> None:
    assert await store.accounts.config(workspace, config.id) == config
    assert await store.accounts.config(foreign, config.id) is None


async def test_an_auth_config_is_written_over(store: Store, workspace: str, config: AuthConfig) -> None:
    changed = msgspec.structs.replace(config, name="Renamed", sealed=b"\x03", updated_at=NOW + 1)

    await store.accounts.put_config(changed)

    assert await store.accounts.config(workspace, config.id) == changed


async def test_auth_configs_are_paged_newest_first_without_credentials(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds, config: AuthConfig
) -> None:
    stripe, slack = a_config(workspace, ids, "stripe"), a_config(workspace, ids)
    for each in (stripe, slack, a_config(foreign, ids)):
        await store.accounts.put_config(each)

    shown = [msgspec.structs.replace(each, sealed=None) for each in (slack, stripe, config)]
    assert await store.accounts.configs(workspace, provider=None, offset=0, limit=10) == (shown, 3)
    assert await store.accounts.configs(workspace, provider="slack", offset=1, limit=10) == ([shown[2]], 2)


async def test_an_auth_config_is_removed_in_its_workspace_only(
    store: Store, workspace: str, foreign: str, config: AuthConfig
) -> None:
    assert not await store.accounts.delete_config(foreign, config.id)
    assert await store.accounts.delete_config(workspace, config.id)
    assert not await store.accounts.delete_config(workspace, config.id)
    assert await store.accounts.config(workspace, config.id) is None


# Links and authorizations


async def test_a_link_is_taken_once(store: Store, workspace: str, ids: TimeOrderedIds) -> None:
    link = a_link(workspace, ids)
    await store.accounts.put_link(link)

    assert await store.accounts.link_of(TOKEN, NOW) == link
    assert await store.accounts.take_link(TOKEN, NOW) == link
    assert await store.accounts.take_link(TOKEN, NOW) is None
    assert await store.accounts.link_of(TOKEN, NOW) is None


async def test_a_link_is_nothing_once_its_time_is_over(store: Store, workspace: str, ids: TimeOrderedIds) -> None:
    await store.accounts.put_link(a_link(workspace, ids))

    assert await store.accounts.link_of(TOKEN, NOW + 10) is None
    assert await store.accounts.take_link(TOKEN, NOW + 10) is None


async def test_an_authorization_is_taken_once_and_in_time(store: Store, workspace: str, ids: TimeOrderedIds) -> None:
    grant = a_grant(workspace, ids)
    await store.accounts.put_grant(grant)

    assert await store.accounts.take_grant(TOKEN, NOW + 10) is None
    assert await store.accounts.take_grant(TOKEN, NOW + 9) == grant
    assert await store.accounts.take_grant(TOKEN, NOW + 9) is None


async def test_what_is_over_is_forgotten_in_bounded_steps(store: Store, workspace: str, ids: TimeOrderedIds) -> None:
    for number in range(3):
        hash = sha256(bytes([number])).digest()
        await store.accounts.put_link(a_link(workspace, ids, hash, NOW + number))
        await store.accounts.put_grant(a_grant(workspace, ids, hash, NOW + number))

    assert await store.accounts.forget_expired(NOW + 1, 1) == 2
    assert await store.accounts.forget_expired(NOW + 1, 10) == 2
    assert await store.accounts.forget_expired(NOW + 1, 10) == 0
    assert await store.accounts.take_link(sha256(b"\x02").digest(), NOW) is not None


# Connections of users


async def test_a_connection_keeps_whose_it_is_and_how_it_fares(
    store: Store, workspace: str, ids: TimeOrderedIds, user: EndUser, config: AuthConfig
) -> None:
    account = an_account(
        workspace,
        ids,
        status="expired",
        end_user=user.id,
        auth_config=config.id,
        reason="The provider no longer accepts the refresh token",
        expires_at=NOW + 1000,
        checked_at=NOW,
    )

    await store.connections.create(account)

    assert await store.connections.get(workspace, account.id) == account


async def test_a_save_writes_health_and_expiry_but_not_the_owner(
    store: Store, workspace: str, ids: TimeOrderedIds, user: EndUser
) -> None:
    account = an_account(workspace, ids, end_user=user.id)
    await store.connections.create(account)
    changed = msgspec.structs.replace(
        account, status="error", reason="Refused", expires_at=NOW, checked_at=NOW, updated_at=NOW + 1
    )

    await store.connections.save(msgspec.structs.replace(changed, end_user=None), seen=NOW)

    assert await store.connections.get(workspace, account.id) == changed


async def test_connections_are_listed_by_user_auth_config_status_provider_and_id(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds, user: EndUser, config: AuthConfig
) -> None:
    of_nobody = an_account(workspace, ids)
    of_bob = an_account(workspace, ids, end_user=user.id, auth_config=config.id)
    expired = an_account(workspace, ids, end_user=user.id, status="expired", provider="stripe")
    theirs = an_account(foreign, ids, end_user=user.id, auth_config=config.id)
    for account in (of_nobody, of_bob, expired, theirs):
        await store.connections.create(account)

    async def find(**fields: object) -> tuple[list[str], int]:
        base = ConnectionFilter(workspace=workspace)
        found, total = await store.connections.page(msgspec.structs.replace(base, **fields))
        return [each.id for each in found], total

    assert await find(end_users=(user.id,)) == ([expired.id, of_bob.id], 2)
    assert await find(auth_configs=(config.id,)) == ([of_bob.id], 1)
    assert await find(statuses=("active", "pending")) == ([of_bob.id, of_nobody.id], 2)
    assert await find(providers=("stripe", "hubspot")) == ([expired.id], 1)
    assert await find(ids=(of_nobody.id, theirs.id)) == ([of_nobody.id], 1)
    assert await find(ids=()) == ([], 0)
    assert await find(offset=1, limit=1) == ([of_bob.id], 3)


async def test_the_candidates_are_one_users_or_nobodys(
    store: Store, workspace: str, ids: TimeOrderedIds, user: EndUser
) -> None:
    of_nobody, of_bob = an_account(workspace, ids), an_account(workspace, ids, end_user=user.id)
    for account in (of_nobody, of_bob):
        await store.connections.create(account)

    assert [each.id for each in await store.connections.candidates(workspace, ("slack",))] == [of_nobody.id]
    assert [each.id for each in await store.connections.candidates(workspace, ("slack",), user.id)] == [of_bob.id]


async def test_a_new_default_ends_the_former_one_of_the_same_user_only(
    store: Store, workspace: str, ids: TimeOrderedIds, user: EndUser
) -> None:
    of_nobody = an_account(workspace, ids, is_default=True)
    former, new = (an_account(workspace, ids, is_default=True, end_user=user.id) for _ in range(2))

    for account in (of_nobody, former, new):
        await store.connections.create(account)

    found = [await store.connections.get(workspace, account.id) for account in (of_nobody, former, new)]
    assert [each.is_default for each in found if each] == [True, False, True]
