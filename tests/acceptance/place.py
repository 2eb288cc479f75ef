"""A data directory and an address, where one server follows the other."""

import asyncio
from pathlib import Path

from acceptance.load import SETTINGS, Api
from acceptance.processes import ServerProcess, free_port


class Place:
    """Servers of one data directory, and a client of whichever runs."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        self.servers: list[ServerProcess] = []
        self.api = Api(f"http://127.0.0.1:{self.port}")

    async def serve(self, **settings: str) -> ServerProcess:
        """A server that is ready."""
        server = ServerProcess(self.data, SETTINGS | settings, self.port)
        self.servers.append(server)
        return await asyncio.to_thread(server.wait_ready)

    def close(self) -> None:
        """End the servers that still run."""
        for server in self.servers:
            server.__exit__(None, None, None)

    @property
    def wal(self) -> Path:
        """The log of SQLite, which holds what was committed last."""
        return self.data / "stepwell.db-wal"
