"""Secrets of workflows: sealed, named, opened for a run."""

import pytest

from stepwell.auth import Markers, Vault
from stepwell.clock import FakeClock
from stepwell.connectors import Connectors
from stepwell.core import (
    ApprovalLinks,
    Connections,
    Notices,
    Outbox,
    Plans,
    RunEnvironment,
    SecretName,
    Secrets,
    Workflows,
)
from stepwell.errors import AlreadyExists, NotFound, StepError, ValidationFailed
from stepwell.events import Events
from stepwell.ids import TimeOrderedIds
from stepwell.store.sqlite import SqliteStore


@pytest.fixture
def secrets(store: SqliteStore, vault: Vault, clock: FakeClock) -> Secrets:
    return Secrets(store, vault, clock)


@pytest.fixture
async def workflow(workflows: Workflows, workspace: str) -> str:
    body = {"name": "Orders", "slug": "orders", "trigger": {"type": "api"}, "steps": []}
    return (await workflows.create(workspace, body, "key-1")).workflow.id


@pytest.fixture
def environment(
    store: SqliteStore,
    plans: Plans,
    secrets: Secrets,
    vault: Vault,
    connectors: Connectors,
    clock: FakeClock,
    ids: TimeOrderedIds,
) -> RunEnvironment:
    connections = Connections(store, vault, connectors, clock, ids)
    links = ApprovalLinks(vault, "http://stepwell.test")
    outbox = Outbox(store, vault, None, clock, Events())  # type: ignore[arg-type]
    notices = Notices(outbox, connections, connectors, links, clock, Events())
    return RunEnvironment(plans, secrets, Markers(vault), connections, links, notices)


async def test_a_secret_is_opened_only_as_asked(secrets: Secrets, workspace: str, workflow: str) -> None:
    await secrets.create(workspace, "orders", "TOKEN", "tok-123")
    await secrets.create(workspace, workflow, "OTHER", "oth-123")

    assert await secrets.open(workspace, workflow, {"TOKEN", "MISSING"}) == {"TOKEN": "tok-123"}


async def test_secrets_are_listed_by_name_without_values(
    secrets: Secrets, workspace: str, workflow: str, clock: FakeClock
) -> None:
    for name in ("B", "A"):
        await secrets.create(workspace, workflow, name, "s3cret")

    assert await secrets.names(workspace, "orders") == [
        SecretName("A", clock.now_ms()),
        SecretName("B", clock.now_ms()),
    ]


async def test_the_store_holds_no_secret_in_plain_text(
    store: SqliteStore, secrets: Secrets, workspace: str, workflow: str
) -> None:
    await secrets.create(workspace, workflow, "TOKEN", "tok-123")

    assert b"tok-123" not in (await store.workflows.secrets(workspace, workflow))[0].sealed


async def test_a_secret_that_exists_is_replaced_not_created(secrets: Secrets, workspace: str, workflow: str) -> None:
    await secrets.create(workspace, workflow, "TOKEN", "tok-123")

    with pytest.raises(AlreadyExists, match="Secret already exists: TOKEN"):
        await secrets.create(workspace, workflow, "TOKEN", "tok-456")
    await secrets.replace(workspace, workflow, "TOKEN", "tok-789")

    assert await secrets.open(workspace, workflow, {"TOKEN"}) == {"TOKEN": "tok-789"}


async def test_a_missing_secret_is_neither_replaced_nor_deleted(
    secrets: Secrets, workspace: str, workflow: str
) -> None:
    with pytest.raises(NotFound, match="Secret not found"):
        await secrets.replace(workspace, workflow, "TOKEN", "tok-123")
    with pytest.raises(NotFound, match="Secret not found"):
        await secrets.delete(workspace, workflow, "TOKEN")


async def test_a_deleted_secret_is_gone(secrets: Secrets, workspace: str, workflow: str) -> None:
    await secrets.create(workspace, workflow, "TOKEN", "tok-123")

    await secrets.delete(workspace, workflow, "TOKEN")

    assert await secrets.names(workspace, workflow) == []


@pytest.mark.parametrize(
    ("name", "value", "fields"),
    [
        ("TOKEN", "abc", ["value"]),
        ("TOKEN", "  a b  ", ["value"]),
        ("TOKEN", "", ["value"]),
        ("TOKEN", "x" * 65_537, ["value"]),
        ("no blank", "tok-123", ["key"]),
        ("x" * 129, "abc", ["key", "value"]),
    ],
)
async def test_an_unfit_name_or_value_is_refused(
    secrets: Secrets, workspace: str, workflow: str, name: str, value: str, fields: list[str]
) -> None:
    with pytest.raises(ValidationFailed, match="Invalid request") as raised:
        await secrets.create(workspace, workflow, name, value)

    assert [fault.field for fault in raised.value.faults] == fields


async def test_secrets_of_a_foreign_workflow_are_not_found(secrets: Secrets, foreign: str, workflow: str) -> None:
    for call in (
        secrets.create(foreign, workflow, "TOKEN", "tok-123"),
        secrets.replace(foreign, workflow, "TOKEN", "tok-123"),
        secrets.names(foreign, "orders"),
        secrets.delete(foreign, workflow, "TOKEN"),
    ):
        with pytest.raises(NotFound, match="Workflow not found"):
            await call


async def test_a_run_gets_markers_that_open_to_the_secrets(
    environment: RunEnvironment, secrets: Secrets, workspace: str, workflow: str
) -> None:
    await secrets.create(workspace, workflow, "TOKEN", "tok-123")

    box = await environment.secrets(workspace, workflow, frozenset({"TOKEN"}))

    assert "tok-123" not in box.markers["TOKEN"]
    assert box.reveal({"auth": box.markers["TOKEN"]}) == {"auth": "tok-123"}
    assert box.hide("say tok-123") == f"say {box.markers['TOKEN']}"


async def test_a_run_without_one_of_its_secrets_fails(
    environment: RunEnvironment, secrets: Secrets, workspace: str, workflow: str
) -> None:
    await secrets.create(workspace, workflow, "TOKEN", "tok-123")

    with pytest.raises(StepError, match="Secret not found: A") as raised:
        await environment.secrets(workspace, workflow, frozenset({"TOKEN", "B", "A"}))

    assert raised.value.code == "SECRET_MISSING"


async def test_a_secret_sealed_with_another_key_fails_the_run(
    environment: RunEnvironment, store: SqliteStore, clock: FakeClock, workspace: str, workflow: str
) -> None:
    await Secrets(store, Vault(bytes(32)), clock).create(workspace, workflow, "TOKEN", "tok-123")

    with pytest.raises(StepError, match="cannot be read") as raised:
        await environment.secrets(workspace, workflow, frozenset({"TOKEN"}))

    assert raised.value.code == "SECRET_MISSING"
