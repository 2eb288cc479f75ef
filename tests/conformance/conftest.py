"""The stores that every conformance test runs on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from conformance.runs import Story
from stepwell.clock import FakeClock
from stepwell.ids import TimeOrderedIds
from stepwell.store import Store, Workspace
from stepwell.store.sqlite import FILE_NAME, SqliteStore


@pytest.fixture
def clock() -> FakeClock:
    """The time of a test."""
    return FakeClock()


@pytest.fixture
def ids(clock: FakeClock) -> TimeOrderedIds:
    """New ids at the test's time."""
    return TimeOrderedIds(clock)


@pytest.fixture(params=["sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store of each kind."""
    opened = SqliteStore(tmp_path / FILE_NAME)
    yield opened
    await opened.close()


@pytest.fixture
async def workspace(store: Store, ids: TimeOrderedIds) -> str:
    """The workspace that owns what a test stores."""
    return await _workspace(store, ids, "Ours")


@pytest.fixture
async def foreign(store: Store, ids: TimeOrderedIds) -> str:
    """Another workspace, which must see nothing of the first."""
    return await _workspace(store, ids, "Theirs")


async def _workspace(store: Store, ids: TimeOrderedIds, name: str) -> str:
    workspace = Workspace(ids.new(), name)
    await store.keys.create_workspace(workspace)
    return workspace.id


@pytest.fixture
def story(store: Store, workspace: str, ids: TimeOrderedIds) -> Story:
    """Runs in the first workspace."""
    return Story(store, ids, workspace)


@pytest.fixture
def theirs(store: Store, foreign: str, ids: TimeOrderedIds) -> Story:
    """Runs in the other workspace."""
    return Story(store, ids, foreign)
