"""A store on a file, a fake clock, and what the use cases need besides."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stepwell.auth import Vault
from stepwell.clock import FakeClock
from stepwell.connectors import Connectors, load_manifests
from stepwell.core import Plans, Triggers, Workflows, ensure_first_workspace
from stepwell.ids import TimeOrderedIds
from stepwell.steps import STEP_TYPES
from stepwell.store import Workspace
from stepwell.store.sqlite import FILE_NAME, SqliteStore
from unit.core.town import Town


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ids(clock: FakeClock) -> TimeOrderedIds:
    return TimeOrderedIds(clock)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / FILE_NAME)
    yield opened
    await opened.close()


@pytest.fixture
async def workspace(store: SqliteStore, ids: TimeOrderedIds) -> str:
    return (await ensure_first_workspace(store, ids)).id


@pytest.fixture
async def foreign(store: SqliteStore, workspace: str, ids: TimeOrderedIds) -> str:
    other = Workspace(ids.new(), "Theirs")
    await store.keys.create_workspace(other)
    return other.id


@pytest.fixture
def vault() -> Vault:
    return Vault(bytes(range(32)))


@pytest.fixture(scope="session")
def connectors() -> Connectors:
    return Connectors(load_manifests())


@pytest.fixture
def plans(store: SqliteStore, connectors: Connectors) -> Plans:
    return Plans(store.workflows, STEP_TYPES, connectors)


@pytest.fixture
def triggers(store: SqliteStore, plans: Plans, vault: Vault, clock: FakeClock, ids: TimeOrderedIds) -> Triggers:
    return Triggers(store, plans, vault, clock, ids)


@pytest.fixture
def workflows(store: SqliteStore, plans: Plans, triggers: Triggers, clock: FakeClock, ids: TimeOrderedIds) -> Workflows:
    return Workflows(store, plans, triggers, clock, ids)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """A town at 22:13:20."""
    town = Town(tmp_path / "stepwell.db")
    town.clock.jump(20 - town.clock.now_ms() // 1000 % 60)
    await town.open()
    yield town
    town.kill()
