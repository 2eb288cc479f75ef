"""Rotation: everything that is sealed is sealed by the new key, in steps that may stop anywhere."""

from pathlib import Path

import msgspec
import pytest

from stepwell.auth import Vault, check_vault, load_vault
from stepwell.core import Rotation, Workflows, repeats, rotation
from stepwell.core.oauth import grant_record
from stepwell.core.outbox import sealed_for as errand
from stepwell.core.rotation import RECORDS
from stepwell.core.tokens import config_record
from stepwell.events import Events
from stepwell.ids import TimeOrderedIds
from stepwell.store import (
    SEAL_KINDS,
    Answered,
    AuthConfig,
    Connection,
    Endpoint,
    OAuthGrant,
    Secret,
    StoredVariable,
    Trigger,
)
from stepwell.store.sqlite import SqliteStore

CLEAR = b"a-very-secret-value"


class Sealed:
    """A store with one sealed value of every kind."""

    def __init__(self, store: SqliteStore, vault: Vault, workspace: str, ids: TimeOrderedIds) -> None:
        self.store, self.vault, self.workspace, self.ids = store, vault, workspace, ids
        self.rotation = Rotation(store, vault, Events())

    def seal(self, record: str) -> bytes:
        return self.vault.seal(self.workspace, record, CLEAR)

    async def connection(self) -> str:
        id = self.ids.new()
        row = Connection(
            workspace=self.workspace,
            id=id,
            slug=None,
            name="Team",
            provider="slack",
            status="active",
            mode="live",
            is_default=False,
            base_url=None,
            external_account_id=None,
            sealed=self.seal(f"connection:{id}"),
            updated_at=1,
        )
        await self.store.connections.create(row)
        return id

    async def fill(self, workflow: str) -> None:
        """One value of every kind."""
        await self.connection()
        secret = Secret("TOKEN", self.seal(f"secret:{workflow}:TOKEN"), 1)
        await self.store.workflows.put_secret(self.workspace, workflow, secret, replace=False)
        await self.store.outbox.put(self.workspace, "run_1:a", 1, self.seal(errand("run_1:a")))
        config = self.ids.new()
        await self.store.accounts.put_config(
            AuthConfig(
                workspace=self.workspace,
                id=config,
                provider="slack",
                name="App",
                scheme="OAUTH2",
                sealed=self.seal(config_record(config)),
                updated_at=1,
            )
        )
        hash = bytes(range(32))
        await self.store.accounts.put_grant(
            OAuthGrant(
                hash=hash,
                workspace=self.workspace,
                connection=config,
                sealed=self.seal(grant_record(hash.hex())),
                expires_at=10**15,
            )
        )
        trigger = self.ids.new()
        await self.store.triggers.upsert(
            Trigger(
                workspace=self.workspace,
                id=trigger,
                kind="webhook",
                slug="webhook",
                workflow=None,
                config=b"{}",
                updated_at=1,
                instance=True,
            )
        )
        row = await self.store.triggers.get(self.workspace, trigger)
        assert row is not None
        sealed = msgspec.structs.replace(row, sealed=self.seal(f"trigger:{trigger}"), updated_at=2)
        assert await self.store.triggers.save(sealed, seen=row.updated_at)

        endpoint = self.ids.new()
        record = f"endpoint:{endpoint}"
        row = Endpoint(
            workspace=self.workspace,
            id=endpoint,
            url="https://example.com",
            description=None,
            events=("run.failed",),
            enabled=True,
            disabled_reason=None,
            sealed=self.seal(record),
            sealed_old=self.seal(record),
            old_until=10**15,
            updated_at=1,
        )
        await self.store.endpoints.create(row, 100)
        variable = self.ids.new()
        sealed_value = self.seal(f"variable:{variable}")
        await self.store.sources.put_variable(
            StoredVariable(workspace=self.workspace, id=variable, name="KEY", secret=True, sealed=sealed_value)
        )
        answered = Answered(200, self.seal(repeats.sealed_for("deploy", "k")))
        await self.store.sources.put_repeat(self.workspace, "deploy", "k", 1, answered)

    async def opened(self) -> dict[str, list[bytes]]:
        """Every sealed value, opened, by its kind."""
        found: dict[str, list[bytes]] = {}
        for kind in SEAL_KINDS:
            seals = await self.store.seals.page(kind, b"", offset=0, limit=1000)
            found[kind] = [self.vault.open(each.workspace, RECORDS[kind](*each.names), each.sealed) for each in seals]
        return {kind: values for kind, values in found.items() if values}


@pytest.fixture
async def sealed(store: SqliteStore, workspace: str, ids: TimeOrderedIds, tmp_path: Path) -> Sealed:
    vault = load_vault(None, tmp_path / "keys")
    await check_vault(vault, store.keys)
    return Sealed(store, vault, workspace, ids)


@pytest.fixture
async def workflow(workflows: Workflows, workspace: str) -> str:
    body = {"name": "Flow", "trigger": {"type": "api"}, "steps": []}
    return (await workflows.create(workspace, body, "key-1")).workflow.id


async def test_a_rotation_reaches_every_kind_of_sealed_value(sealed: Sealed, workflow: str, tmp_path: Path) -> None:
    await sealed.fill(workflow)
    before = sealed.vault.key_id

    first = await sealed.rotation.step(begin=True)
    last = await sealed.rotation.step(begin=False)

    assert first.rewrapped == len(SEAL_KINDS) and first.remaining == {}
    assert last.ended and last.key_id != before and last.older_ids == ()
    assert len((tmp_path / "keys" / "vault.key").read_text().splitlines()) == 1
    assert await sealed.opened() == {kind: [CLEAR] for kind in SEAL_KINDS}


async def test_the_older_key_is_kept_until_nothing_needs_it(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "BATCH", 2)
    monkeypatch.setattr(rotation, "BATCHES", 1)
    for _ in range(5):
        await sealed.connection()

    steps = [await sealed.rotation.step(begin=True)]
    while not steps[-1].ended:
        steps.append(await sealed.rotation.step(begin=False))

    assert [step.rewrapped for step in steps] == [2, 2, 1, 0]
    assert [len(step.older_ids) for step in steps] == [1, 1, 1, 0]


async def test_an_interrupted_rotation_goes_on_with_the_key_it_made(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rotation, "BATCH", 2)
    monkeypatch.setattr(rotation, "BATCHES", 1)
    for _ in range(5):
        await sealed.connection()
    made = (await sealed.rotation.step(begin=True)).key_id
    again = load_vault(None, tmp_path / "keys")
    await check_vault(again, sealed.store.keys)
    sealed.vault, sealed.rotation = again, Rotation(sealed.store, again, Events())

    status = await sealed.rotation.step(begin=True)
    while not status.ended:
        status = await sealed.rotation.step(begin=False)

    assert status.key_id == made
    assert await sealed.opened() == {"connections": [CLEAR] * 5}


async def test_a_damaged_value_is_told_and_holds_nothing_up(sealed: Sealed) -> None:
    await sealed.connection()
    damaged = await sealed.connection()
    row = await sealed.store.connections.get(sealed.workspace, damaged)
    assert row is not None and row.sealed is not None
    broken = msgspec.structs.replace(row, sealed=row.sealed[:-70] + bytes(70), updated_at=2)
    await sealed.store.connections.save(broken, seen=1)
    lost = msgspec.structs.replace(row, id=sealed.ids.new(), sealed=Vault(bytes(32)).seal("w", "r", b"x"))
    await sealed.store.connections.create(lost)

    first = await sealed.rotation.step(begin=True)
    last = await sealed.rotation.step(begin=False)

    assert (first.rewrapped, last.unreadable, last.remaining) == (1, 2, {"connections": 2})
    assert last.ended


async def test_values_that_change_meanwhile_are_not_written_over(sealed: Sealed) -> None:
    id = await sealed.connection()
    seals = await sealed.store.seals.page("connections", b"", offset=0, limit=10)
    row = await sealed.store.connections.get(sealed.workspace, id)
    assert row is not None
    newer = msgspec.structs.replace(row, sealed=b"newer", updated_at=2)
    await sealed.store.connections.save(newer, seen=1)

    assert await sealed.store.seals.replace(((seals[0], b"older"),)) == 0

    kept = await sealed.store.connections.get(sealed.workspace, id)
    assert kept is not None and kept.sealed == b"newer"


async def test_with_a_key_of_the_settings_everything_moves_to_it_and_none_is_made(
    store: SqliteStore, workspace: str, ids: TimeOrderedIds, tmp_path: Path
) -> None:
    former, key = bytes(32), bytes(range(32))
    before = Vault(former)
    await check_vault(before, store.keys)
    await Sealed(store, before, workspace, ids).connection()
    vault = load_vault(key, tmp_path / "keys", (former,))
    await check_vault(vault, store.keys)
    sealed = Sealed(store, vault, workspace, ids)

    status = await sealed.rotation.step(begin=True)

    assert status.ended and status.key_id == Vault(key).key_id and not status.in_file
    sealed.vault = Vault(key)
    await check_vault(sealed.vault, store.keys)
    assert await sealed.opened() == {"connections": [CLEAR]}
