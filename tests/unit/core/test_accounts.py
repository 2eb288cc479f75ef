"""End users and the accounts that are connected for them. Source: Flowra contract 1, 2, 4.3."""

from collections.abc import AsyncIterator

import pytest

from stepwell.auth import Vault
from stepwell.clock import FakeClock
from stepwell.connectors import Connectors, GuardedHttp, TokenEndpoint
from stepwell.core import AccessTokens, Accounts, Authorizations, Connections
from stepwell.errors import Forbidden, InvalidState, NotFound, Unauthorized, ValidationFailed
from stepwell.events import Events
from stepwell.ids import TimeOrderedIds
from stepwell.store.sqlite import SqliteStore
from stepwell.values import Json

URL = "https://flows.example"
CLIENT = {"client_id": "c", "client_secret": "s", "callback_urls": ["https://app.example"]}


@pytest.fixture
async def connections(
    store: SqliteStore, vault: Vault, connectors: Connectors, clock: FakeClock, ids: TimeOrderedIds
) -> Connections:
    return Connections(store, vault, connectors, clock, ids)


@pytest.fixture
async def accounts(
    store: SqliteStore,
    vault: Vault,
    connectors: Connectors,
    connections: Connections,
    clock: FakeClock,
    ids: TimeOrderedIds,
) -> AsyncIterator[Accounts]:
    http = GuardedHttp(allow_private=False)
    endpoint, events = TokenEndpoint(http), Events()
    tokens = AccessTokens(store, vault, connectors, endpoint, clock, events)
    authorizations = Authorizations(store, vault, connections, tokens, endpoint, URL, clock, events)
    yield Accounts(store, vault, connectors, connections, authorizations, URL, clock, ids)
    await http.close()


@pytest.mark.parametrize("name", ["bob", "Bob", "a", "x" * 128, "bob@example.com", "a.b_c-d"])
async def test_a_new_name_makes_a_user_once(accounts: Accounts, workspace: str, name: str) -> None:
    first, again = await accounts.acting(workspace, name), await accounts.acting(workspace, name)

    assert first == again and first.username == name and first.id != workspace


@pytest.mark.parametrize("name", ["x" * 129, "a b", "a/b", "é", "a\n", "a+b"])
async def test_an_unfit_name_is_refused(accounts: Accounts, workspace: str, name: str) -> None:
    with pytest.raises(ValidationFailed):
        await accounts.acting(workspace, name)


async def test_without_a_name_the_default_user_acts(accounts: Accounts, workspace: str) -> None:
    user = await accounts.acting(workspace, None)

    assert (user.id, user.username) == (workspace, "project_default_user")
    assert await accounts.acting(workspace, "project_default_user") == user


async def test_the_default_user_cannot_be_switched_off(accounts: Accounts, workspace: str) -> None:
    for active in (False, None):
        with pytest.raises(ValidationFailed):
            await accounts.set_active(workspace, workspace, active)

    assert (await accounts.set_active(workspace, workspace, True)).active


async def test_a_user_who_is_switched_off_does_not_act(accounts: Accounts, workspace: str) -> None:
    bob = await accounts.acting(workspace, "bob")

    assert not (await accounts.set_active(workspace, bob.id)).active
    with pytest.raises(Forbidden, match="bob"):
        await accounts.acting(workspace, "bob")
    assert (await accounts.set_active(workspace, bob.id)).active


async def test_another_workspaces_user_is_unknown(accounts: Accounts, workspace: str, foreign: str) -> None:
    bob = await accounts.acting(workspace, "bob")

    with pytest.raises(NotFound):
        await accounts.user(foreign, bob.id)
    with pytest.raises(NotFound):
        await accounts.set_active(foreign, bob.id)


@pytest.mark.parametrize(
    ("provider", "scheme", "val", "credentials", "headers"),
    [
        ("stripe", "API_KEY", {"api_key": "sk_1"}, {"apiKey": "sk_1"}, None),
        ("stripe", "API_KEY", {"apiKey": "sk_1"}, {"apiKey": "sk_1"}, None),
        ("slack", "BEARER_TOKEN", {"token": "xoxb"}, {"botToken": "xoxb"}, None),
        ("resend", "API_KEY", {"key": "re_1", "from": "a@b.example"}, {"apiKey": "re_1", "from": "a@b.example"}, None),
        ("slack", "BASIC", {"username": "u", "password": "p"}, {}, {"Authorization": "Basic dTpw"}),
        ("slack", "HEADERS", {"headers": {"X-A": "1"}}, {}, {"X-A": "1"}),
        ("slack", "NO_AUTH", {}, {}, {}),
    ],
)
async def test_each_scheme_is_active_at_once(
    accounts: Accounts,
    connections: Connections,
    workspace: str,
    provider: str,
    scheme: str,
    val: Json,
    credentials: Json,
    headers: Json,
) -> None:
    bob = await accounts.acting(workspace, "bob")
    config = await accounts.create_config(workspace, provider, scheme)

    account, authorization = await accounts.connect(bob, config, val)

    opened = await connections.open(workspace, account.id)
    assert (account.status, account.end_user, account.auth_config) == ("active", bob.id, config.id)
    assert authorization is None
    assert (dict(opened.credentials), opened.headers) == (credentials, headers)


async def test_what_all_accounts_share_is_the_auth_configs(
    accounts: Accounts, connections: Connections, workspace: str
) -> None:
    bob = await accounts.acting(workspace, "bob")
    config = await accounts.create_config(workspace, "resend", "API_KEY", {"from": "shop@example.com"})

    account, _ = await accounts.connect(bob, config, {"api_key": "re_1"})

    opened = await connections.open(workspace, account.id)
    assert opened.credentials == {"apiKey": "re_1", "from": "shop@example.com"}


async def test_a_missing_key_is_told_where_the_caller_wrote_it(accounts: Accounts, workspace: str) -> None:
    bob = await accounts.acting(workspace, "bob")
    config = await accounts.create_config(workspace, "stripe", "API_KEY")

    with pytest.raises(ValidationFailed) as raised:
        await accounts.connect(bob, config, {})

    assert [fault.field for fault in raised.value.faults] == ["connection.state.val.apiKey"]


async def test_an_oauth_account_is_pending_with_a_page_to_go_to(accounts: Accounts, workspace: str) -> None:
    bob = await accounts.acting(workspace, "bob")
    config = await accounts.create_config(workspace, "github", "OAUTH2", CLIENT)

    account, authorization = await accounts.connect(bob, config)

    assert account.status == "pending" and authorization is not None
    assert authorization.url.startswith("https://github.com/login/oauth/authorize?")


async def test_a_link_counts_for_thirty_minutes(accounts: Accounts, clock: FakeClock, workspace: str) -> None:
    bob = await accounts.acting(workspace, "bob")
    config = await accounts.create_config(workspace, "slack", "BEARER_TOKEN")
    link = await accounts.link(bob, config)
    assert link.expires_at == clock.now_ms() + 30 * 60_000
    await accounts.page_of_link(link.token)

    clock.advance(30 * 60)

    with pytest.raises(Unauthorized):
        await accounts.page_of_link(link.token)
    with pytest.raises(Unauthorized):
        await accounts.take_link(link.token, {"botToken": "xoxb"})


async def test_a_link_to_an_origin_that_is_not_named_is_refused_and_leaves_nothing(
    accounts: Accounts, connections: Connections, workspace: str
) -> None:
    bob = await accounts.acting(workspace, "bob")
    config = await accounts.create_config(workspace, "github", "OAUTH2", CLIENT)

    with pytest.raises(ValidationFailed):
        await accounts.link(bob, config, "https://evil.example/")

    assert await connections.page(workspace) == []
    assert (await accounts.link(bob, config, "https://app.example/done")).url.startswith(f"{URL}/connect?token=")


async def test_whoever_fills_in_a_link_cannot_change_what_is_shared(
    accounts: Accounts, connections: Connections, workspace: str
) -> None:
    bob = await accounts.acting(workspace, "bob")
    config = await accounts.create_config(workspace, "resend", "API_KEY", {"from": "shop@example.com"})
    link = await accounts.link(bob, config)

    await accounts.take_link(link.token, {"apiKey": "re_1", "from": "evil@example.com"})

    assert (await connections.open(workspace, link.connection)).credentials["from"] == "shop@example.com"


async def test_an_auth_config_that_accounts_use_stays(
    accounts: Accounts, connections: Connections, workspace: str
) -> None:
    bob = await accounts.acting(workspace, "bob")
    config = await accounts.create_config(workspace, "slack", "BEARER_TOKEN")
    account, _ = await accounts.connect(bob, config, {"token": "xoxb"})

    with pytest.raises(InvalidState, match="1 connected"):
        await accounts.delete_config(workspace, config.id)

    await connections.delete(workspace, account.id)
    await accounts.delete_config(workspace, config.id)
    with pytest.raises(NotFound):
        await accounts.config(workspace, config.id)
