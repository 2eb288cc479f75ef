"""A core in the bench's own process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from stepwell.clock import SystemClock
from stepwell.core import Core
from stepwell.events import Events
from stepwell.server import open_core
from stepwell.settings import Engine, Server, Settings


@asynccontextmanager
async def open_bench(folder: Path, *, max_open_runs: int | None = None) -> AsyncIterator[tuple[Core, str]]:
    """The core over a folder, and the first workspace's id."""
    engine = Engine() if max_open_runs is None else Engine(max_open_runs=max_open_runs)
    settings = Settings(server=Server(data=folder), engine=engine)
    async with open_core(settings, Events(), SystemClock()) as opened:
        yield opened
