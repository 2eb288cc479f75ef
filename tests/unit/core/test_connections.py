"""Connections: what is taken, what is sealed, and which one a step gets."""

import msgspec
import pytest

from stepwell.auth import Vault
from stepwell.clock import FakeClock
from stepwell.connectors import Connectors, OpenConnection
from stepwell.core import ConnectionChanges, ConnectionFields, Connections
from stepwell.errors import AlreadyExists, NotFound, StepError, ValidationFailed
from stepwell.ids import TimeOrderedIds
from stepwell.states import RunState
from stepwell.steps import ChosenConnection, ConnectionNeed
from stepwell.store import Connection, EndUser, Run
from stepwell.store.sqlite import SqliteStore
from stepwell.values import Json

STRIPE = ConnectionNeed(("stripe",))
EMAIL = ConnectionNeed(("resend", "smtp"))


def fields(**changed: Json) -> ConnectionFields:
    base = ConnectionFields(name="Billing", provider="stripe", credentials={"apiKey": "sk_live_1"})
    return msgspec.structs.replace(base, **changed)


@pytest.fixture
def connections(
    store: SqliteStore, vault: Vault, connectors: Connectors, clock: FakeClock, ids: TimeOrderedIds
) -> Connections:
    return Connections(store, vault, connectors, clock, ids)


def a_run(workspace: str, connection: str | None = None, end_user: str | None = None) -> Run:
    return Run(
        workspace=workspace,
        id=workspace,
        workflow=workspace,
        version=1,
        state=RunState.RUNNING,
        trigger="api",
        waits_on=None,
        blocked=None,
        owner=None,
        epoch=1,
        signals=0,
        deaths=0,
        seq=0,
        state_seq=0,
        attempt=1,
        started_at=None,
        ended_at=None,
        restarted_from=None,
        parent=None,
        connection=connection,
        error=None,
        end_user=end_user,
    )


async def set_status(store: SqliteStore, connection: Connection, status: str) -> None:
    await store.connections.save(msgspec.structs.replace(connection, status=status), seen=connection.updated_at)


async def test_a_connection_opens_to_what_was_given(connections: Connections, workspace: str) -> None:
    created = await connections.create(workspace, fields(base_url="http://127.0.0.1:9/stripe"))

    opened = await connections.open(workspace, created.id)

    assert opened == OpenConnection(created.id, "stripe", "live", "http://127.0.0.1:9/stripe", {"apiKey": "sk_live_1"})


async def test_the_store_holds_no_credentials_in_plain_text(connections: Connections, workspace: str) -> None:
    created = await connections.create(workspace, fields())

    assert created.sealed is not None and b"sk_live_1" not in created.sealed
    assert "sk_live_1" not in repr(fields()) + repr(created)


async def test_credentials_moved_to_another_connection_do_not_open(
    connections: Connections, store: SqliteStore, workspace: str
) -> None:
    first = await connections.create(workspace, fields())
    second = await connections.create(workspace, fields())
    moved = msgspec.structs.replace(second, sealed=first.sealed)
    await store.connections.save(moved, seen=second.updated_at)

    with pytest.raises(StepError, match="enter them again") as raised:
        await connections.open(workspace, second.id)

    assert raised.value.code == "CONNECTION_MISSING"


async def test_a_simulator_needs_no_credentials(connections: Connections, workspace: str) -> None:
    created = await connections.create(workspace, fields(mode="simulator", credentials=None))

    assert (created.status, created.mode, created.sealed) == ("active", "simulator", None)
    assert (await connections.open(workspace, created.id)).credentials == {}


@pytest.mark.parametrize(
    ("changed", "faulty"),
    [
        ({"credentials": None}, ["credentials"]),
        ({"credentials": {}}, ["credentials.apiKey"]),
        ({"credentials": "sk"}, ["credentials"]),
        ({"provider": "nobody"}, ["provider"]),
        ({"name": "", "slug": "a b", "mode": "dry", "base_url": "ftp://x"}, ["name", "slug", "mode", "baseUrl"]),
        ({"name": "n" * 256}, ["name"]),
        ({"base_url": "http://user:pw@host"}, ["baseUrl"]),
        ({"base_url": "http://host:99999"}, ["baseUrl"]),
    ],
)
async def test_all_faults_of_a_connection_are_listed(
    connections: Connections, workspace: str, changed: dict[str, Json], faulty: list[str]
) -> None:
    with pytest.raises(ValidationFailed, match="Invalid request") as raised:
        await connections.create(workspace, fields(**changed))

    assert [fault.field for fault in raised.value.faults] == faulty
    assert await connections.page(workspace) == []


async def test_a_taken_slug_is_refused(connections: Connections, workspace: str) -> None:
    await connections.create(workspace, fields(slug="billing"))

    with pytest.raises(AlreadyExists, match="billing"):
        await connections.create(workspace, fields(slug="billing"))


async def test_an_update_changes_only_what_is_given(connections: Connections, workspace: str, clock: FakeClock) -> None:
    created = await connections.create(workspace, fields(slug="billing", base_url="http://127.0.0.1:9"))
    clock.advance(1)

    updated = await connections.update(workspace, "billing", ConnectionChanges(name="Main", is_default=True, slug=None))

    assert updated == msgspec.structs.replace(
        created, name="Main", is_default=True, slug=None, updated_at=clock.now_ms()
    )
    assert (await connections.open(workspace, created.id)).credentials == {"apiKey": "sk_live_1"}


async def test_new_credentials_replace_the_old(connections: Connections, workspace: str) -> None:
    created = await connections.create(workspace, fields())

    await connections.update(workspace, created.id, ConnectionChanges(credentials={"apiKey": "sk_live_2"}))

    assert (await connections.open(workspace, created.id)).credentials == {"apiKey": "sk_live_2"}


async def test_a_simulator_without_credentials_does_not_go_live(connections: Connections, workspace: str) -> None:
    created = await connections.create(workspace, fields(mode="simulator", credentials=None))

    with pytest.raises(ValidationFailed) as raised:
        await connections.update(workspace, created.id, ConnectionChanges(mode="live"))

    assert [fault.field for fault in raised.value.faults] == ["credentials"]


async def test_a_deleted_connection_is_gone(connections: Connections, workspace: str) -> None:
    created = await connections.create(workspace, fields(slug="billing"))

    assert await connections.delete(workspace, "billing") == created.id

    with pytest.raises(NotFound, match="Connection not found"):
        await connections.get(workspace, created.id)
    with pytest.raises(StepError, match="no longer exists"):
        await connections.open(workspace, created.id)


async def test_a_foreign_connection_is_not_found(connections: Connections, workspace: str, foreign: str) -> None:
    created = await connections.create(workspace, fields())

    for call in (
        connections.get(foreign, created.id),
        connections.update(foreign, created.id, ConnectionChanges(name="x")),
        connections.delete(foreign, created.id),
    ):
        with pytest.raises(NotFound):
            await call
    with pytest.raises(StepError):
        await connections.open(foreign, created.id)
    with pytest.raises(StepError):
        await connections.choose(foreign, STRIPE, None)


async def test_the_runs_connection_comes_before_the_named_one(connections: Connections, workspace: str) -> None:
    of_run = await connections.create(workspace, fields())
    await connections.create(workspace, fields(slug="named", is_default=True))

    chosen = await connections.choose(workspace, ConnectionNeed(("stripe",), "conn_named"), a_run(workspace, of_run.id))

    assert chosen == ChosenConnection(of_run.id, "stripe")


async def test_a_run_connection_of_another_provider_is_passed_over(connections: Connections, workspace: str) -> None:
    of_run = await connections.create(workspace, fields(provider="slack", credentials={"botToken": "xoxb-1"}))
    stripe = await connections.create(workspace, fields())

    assert await connections.choose(workspace, STRIPE, a_run(workspace, of_run.id)) == ChosenConnection(
        stripe.id, "stripe"
    )


async def test_a_run_whose_connection_is_gone_gets_no_other(connections: Connections, workspace: str) -> None:
    of_run = await connections.create(workspace, fields())
    await connections.create(workspace, fields())
    await connections.delete(workspace, of_run.id)

    with pytest.raises(StepError, match="no longer exists"):
        await connections.choose(workspace, STRIPE, a_run(workspace, of_run.id))


@pytest.mark.parametrize("named", ["id", "conn_id", "conn_billing", "billing"])
async def test_a_step_names_a_connection_by_id_or_slug_with_or_without_prefix(
    connections: Connections, workspace: str, named: str
) -> None:
    wanted = await connections.create(workspace, fields(slug="billing"))
    await connections.create(workspace, fields(is_default=True))

    need = ConnectionNeed(("stripe",), named.replace("id", wanted.id))

    assert (await connections.choose(workspace, need, None)).id == wanted.id


async def test_a_slug_may_begin_like_the_prefix(connections: Connections, workspace: str) -> None:
    wanted = await connections.create(workspace, fields(slug="conn_main"))

    for named in ("conn_main", "conn_conn_main"):
        assert (await connections.choose(workspace, ConnectionNeed(("stripe",), named), None)).id == wanted.id


async def test_the_default_connection_comes_before_an_older_one(connections: Connections, workspace: str) -> None:
    await connections.create(workspace, fields())
    default = await connections.create(workspace, fields(is_default=True))

    assert (await connections.choose(workspace, STRIPE, None)).id == default.id


async def test_the_only_active_connection_is_taken(
    connections: Connections, store: SqliteStore, workspace: str
) -> None:
    expired = await connections.create(workspace, fields(is_default=True))
    await set_status(store, expired, "expired")
    only = await connections.create(workspace, fields())

    assert (await connections.choose(workspace, STRIPE, None)).id == only.id


async def test_a_mail_step_takes_the_only_connection_of_any_mail_provider(
    connections: Connections, workspace: str
) -> None:
    await connections.create(workspace, fields())
    resend = await connections.create(
        workspace, fields(provider="resend", credentials={"apiKey": "re_123", "from": "a@example.com"})
    )

    assert await connections.choose(workspace, EMAIL, None) == ChosenConnection(resend.id, "resend")


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("conn_nobody", "Connection not found: conn_nobody"),
        ("talk", "Connection Billing is of slack, the step needs one of stripe"),
        ("expired", "Connection Billing is not active. Current status: expired"),
        (None, "Several connections for stripe"),
    ],
)
async def test_without_a_fitting_connection_the_step_fails_and_says_why(
    connections: Connections, store: SqliteStore, workspace: str, named: str | None, message: str
) -> None:
    for _ in range(2):
        await connections.create(workspace, fields())
    await connections.create(workspace, fields(slug="talk", provider="slack", credentials={"botToken": "xoxb-1"}))
    await set_status(store, await connections.create(workspace, fields(slug="expired")), "expired")

    with pytest.raises(StepError, match=message) as raised:
        await connections.choose(workspace, ConnectionNeed(("stripe",), named), None)

    assert (raised.value.code, raised.value.retryable) == ("CONNECTION_MISSING", False)


async def test_without_any_connection_the_step_fails_and_says_so(connections: Connections, workspace: str) -> None:
    with pytest.raises(StepError, match="No active connection for resend or smtp. Create one."):
        await connections.choose(workspace, EMAIL, None)


async def test_a_connection_that_is_not_active_does_not_open(
    connections: Connections, store: SqliteStore, workspace: str
) -> None:
    created = await connections.create(workspace, fields())
    await set_status(store, created, "disconnected")

    with pytest.raises(StepError, match="not active"):
        await connections.open(workspace, created.id)


# Runs of end users: Flowra contract 5.5


@pytest.fixture
async def bob(store: SqliteStore, workspace: str, ids: TimeOrderedIds) -> str:
    return (await store.accounts.put_user(EndUser(workspace=workspace, id=ids.new(), username="bob"))).id


@pytest.fixture
async def eve(store: SqliteStore, workspace: str, ids: TimeOrderedIds) -> str:
    return (await store.accounts.put_user(EndUser(workspace=workspace, id=ids.new(), username="eve"))).id


async def chosen(connections: Connections, run: Run, named: str | None = None) -> str:
    return (await connections.choose(run.workspace, ConnectionNeed(("stripe",), named), run)).id


async def test_a_users_run_takes_the_triggers_account_first(connections: Connections, workspace: str, bob: str) -> None:
    of_trigger = await connections.create(workspace, fields(end_user=bob))
    await connections.create(workspace, fields(end_user=bob))

    assert await chosen(connections, a_run(workspace, of_trigger.id, bob)) == of_trigger.id


async def test_a_triggers_account_of_another_provider_is_passed_over(
    connections: Connections, workspace: str, bob: str
) -> None:
    slack = fields(provider="slack", credentials={"botToken": "xoxb-1"}, end_user=bob)
    of_trigger = await connections.create(workspace, slack)
    own = await connections.create(workspace, fields(end_user=bob))

    assert await chosen(connections, a_run(workspace, of_trigger.id, bob)) == own.id


async def test_then_the_users_newest_active_account(
    connections: Connections, store: SqliteStore, workspace: str, bob: str
) -> None:
    await connections.create(workspace, fields(end_user=bob))
    newer = await connections.create(workspace, fields(end_user=bob))
    await set_status(store, await connections.create(workspace, fields(end_user=bob)), "expired")
    await connections.create(workspace, fields(slug="pinned"))

    assert await chosen(connections, a_run(workspace, end_user=bob), "pinned") == newer.id


async def test_the_users_own_default_comes_before_the_newest(
    connections: Connections, workspace: str, bob: str
) -> None:
    default = await connections.create(workspace, fields(end_user=bob, is_default=True))
    await connections.create(workspace, fields(end_user=bob))

    assert await chosen(connections, a_run(workspace, end_user=bob)) == default.id


async def test_then_the_connection_pinned_in_the_workflow(connections: Connections, workspace: str, bob: str) -> None:
    pinned = await connections.create(workspace, fields(slug="pinned"))

    assert await chosen(connections, a_run(workspace, end_user=bob), "pinned") == pinned.id


async def test_another_users_account_is_never_taken_even_if_it_is_named(
    connections: Connections, workspace: str, bob: str, eve: str
) -> None:
    hers = await connections.create(workspace, fields(end_user=eve, slug="hers"))
    default_users = await connections.create(workspace, fields(end_user=workspace, slug="default-users"))

    for run, named in (
        (a_run(workspace, hers.id, bob), None),
        (a_run(workspace, default_users.id, bob), None),
        (a_run(workspace, end_user=bob), "hers"),
        (a_run(workspace, end_user=bob), "default-users"),
    ):
        with pytest.raises(StepError, match="^No active stripe account for user bob$") as raised:
            await chosen(connections, run, named)
        assert raised.value.code == "CONNECTION_MISSING"


async def test_a_users_run_takes_no_workspace_connection_that_nothing_names(
    connections: Connections, workspace: str, bob: str
) -> None:
    await connections.create(workspace, fields(is_default=True))

    with pytest.raises(StepError, match="No active stripe account for user bob"):
        await chosen(connections, a_run(workspace, end_user=bob))


async def test_what_belongs_to_nobody_is_the_default_users(connections: Connections, workspace: str) -> None:
    made = await connections.create(workspace, fields())

    assert await chosen(connections, a_run(workspace, end_user=workspace)) == made.id


async def test_the_default_user_is_named_as_such(connections: Connections, workspace: str) -> None:
    with pytest.raises(StepError, match="for user project_default_user"):
        await chosen(connections, a_run(workspace, end_user=workspace))


async def test_a_run_of_nobody_takes_a_users_account_only_if_it_is_named(
    connections: Connections, workspace: str, bob: str
) -> None:
    his = await connections.create(workspace, fields(end_user=bob, is_default=True, slug="his"))

    with pytest.raises(StepError, match="Create one"):
        await chosen(connections, a_run(workspace))
    assert await chosen(connections, a_run(workspace), "his") == his.id


async def test_a_deleted_connection_is_told_of(connections: Connections, workspace: str) -> None:
    told: list[tuple[str, str, str]] = []

    async def ended(workspace: str, connection: str, reason: str) -> int:
        told.append((workspace, connection, reason))
        return 0

    connections.ended = ended
    created = await connections.create(workspace, fields())

    await connections.delete(workspace, created.id)

    assert told == [(workspace, created.id, "connected_account_deleted")]


@pytest.mark.parametrize(
    ("auth", "headers"),
    [
        ({"type": "bearer", "token": "t-1234"}, {"Authorization": "Bearer t-1234"}),
        ({"type": "basic", "username": "ann", "password": "p:1"}, {"Authorization": "Basic YW5uOnA6MQ=="}),
        ({"type": "api_key", "key": "k-1"}, {"X-API-Key": "k-1"}),
        ({"type": "api_key", "key": "k-1", "header": "X-Token", "prefix": "Key "}, {"X-Token": "Key k-1"}),
        ({"type": "headers", "headers": {"X-A": "1", "X-B": "2"}}, {"X-A": "1", "X-B": "2"}),
        ({"type": "none"}, {}),
    ],
)
async def test_an_auth_says_what_is_sent_in_place_of_the_connectors(
    connections: Connections, workspace: str, auth: Json, headers: Json
) -> None:
    created = await connections.create(workspace, fields(credentials=None, auth=auth))

    opened = await connections.open(workspace, created.id)

    assert opened.headers == headers


@pytest.mark.parametrize(
    ("auth", "path"),
    [
        ({"type": "bearer"}, ("auth", "token")),
        ({"type": "bearer", "token": "a\r\nX-Evil: 1"}, ("auth", "token")),
        ({"type": "basic", "username": "a:b"}, ("auth", "username")),
        ({"type": "api_key", "key": "k", "header": "Content-Length"}, ("auth", "header")),
        ({"type": "headers", "headers": {}}, ("auth", "headers")),
        ({"type": "headers", "headers": {"X A": "1"}}, ("auth", "headers", "X A")),
    ],
)
async def test_an_unfit_auth_is_refused(connections: Connections, workspace: str, auth: Json, path: Json) -> None:
    with pytest.raises(ValidationFailed) as raised:
        await connections.create(workspace, fields(credentials=None, auth=auth))

    assert path in [fault.path for fault in raised.value.faults]


async def test_new_credentials_make_a_failed_connection_active(
    connections: Connections, store: SqliteStore, workspace: str
) -> None:
    created = await connections.create(workspace, fields())
    failed = msgspec.structs.replace(created, status="error", reason="Refused", updated_at=created.updated_at + 1)
    await store.connections.save(failed, seen=created.updated_at)

    renamed = await connections.update(workspace, created.id, ConnectionChanges(name="Renamed"))
    mended = await connections.update(workspace, created.id, ConnectionChanges(credentials={"apiKey": "sk_2"}))

    assert (renamed.status, renamed.reason) == ("error", "Refused")
    assert (mended.status, mended.reason) == ("active", None)


async def test_webhook_secrets_are_sealed_and_kept_when_credentials_change(
    connections: Connections, workspace: str
) -> None:
    created = await connections.create(workspace, fields(webhook_secrets=["whsec_1"]))
    changed = await connections.update(workspace, created.id, ConnectionChanges(credentials={"apiKey": "sk_2"}))

    assert changed.sealed is not None and b"whsec_1" not in changed.sealed
    assert await connections.webhook_secrets(workspace, "stripe") == {created.id: ("whsec_1",)}


async def test_credentials_of_an_older_version_still_open(
    connections: Connections, store: SqliteStore, vault: Vault, workspace: str
) -> None:
    created = await connections.create(workspace, fields())
    older = vault.seal(workspace, f"connection:{created.id}", b'{"apiKey":"sk_old"}')
    await store.connections.save(msgspec.structs.replace(created, sealed=older), seen=created.updated_at)

    assert (await connections.open(workspace, created.id)).credentials == {"apiKey": "sk_old"}
