"""Every run that a test of this room completes is replayed from every prefix of its journal."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit import World
from replay import replay_everything


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path / "stepwell.db")
    await world.boot()
    yield world
    await replay_everything(world, tmp_path)
    await world.store.close()


@pytest.fixture
async def unreplayed(tmp_path: Path) -> AsyncIterator[World]:
    """A world whose runs depend on what reaches them, which a journal alone cannot replay."""
    world = World(tmp_path / "stepwell.db")
    await world.boot()
    yield world
    await world.store.close()
