"""What the tests of failures share: a place for servers, and an upstream that their workflows call."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from acceptance.place import Place
from acceptance.upstream import Upstream


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path)
    async with place.api:
        yield place
    place.close()
