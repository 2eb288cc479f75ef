"""Connections: what is taken, what is sealed, and which one a step gets."""

import msgspec
import pytest

from stepwell.auth import Vault
from stepwell.clock import FakeClock
from stepwell.connectors import Connectors, OpenConnection
from stepwell.core import ConnectionChanges, ConnectionFields, Connections
from stepwell.errors import AlreadyExists, NotFound, StepError, ValidationFailed
from stepwell.ids import TimeOrderedIds
from stepwell.steps import ChosenConnection, ConnectionNeed
from stepwell.store import Connection
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

    chosen = await connections.choose(workspace, ConnectionNeed(("stripe",), "conn_named"), of_run.id)

    assert chosen == ChosenConnection(of_run.id, "stripe")


async def test_a_run_connection_of_another_provider_is_passed_over(connections: Connections, workspace: str) -> None:
    of_run = await connections.create(workspace, fields(provider="slack", credentials={"botToken": "xoxb-1"}))
    stripe = await connections.create(workspace, fields())

    assert await connections.choose(workspace, STRIPE, of_run.id) == ChosenConnection(stripe.id, "stripe")


async def test_a_run_whose_connection_is_gone_gets_no_other(connections: Connections, workspace: str) -> None:
    of_run = await connections.create(workspace, fields())
    await connections.create(workspace, fields())
    await connections.delete(workspace, of_run.id)

    with pytest.raises(StepError, match="no longer exists"):
        await connections.choose(workspace, STRIPE, of_run.id)


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
