"""The store on one SQLite file."""

from pathlib import Path

from stepwell.store.sqlite.accounts import SqliteAccounts
from stepwell.store.sqlite.connections import SqliteConnections
from stepwell.store.sqlite.connectors import SqliteConnectors
from stepwell.store.sqlite.costs import SqliteCosts
from stepwell.store.sqlite.database import FILE_NAME, Database, DirectoryLock, backup, check, connect, migrate
from stepwell.store.sqlite.deliveries import SqliteDeliveries
from stepwell.store.sqlite.endpoints import SqliteEndpoints
from stepwell.store.sqlite.invocations import SqliteInvocations
from stepwell.store.sqlite.keys import SqliteKeys
from stepwell.store.sqlite.lists import SqliteLists
from stepwell.store.sqlite.outbox import SqliteOutbox
from stepwell.store.sqlite.runs import SqliteRuns
from stepwell.store.sqlite.seals import SqliteSeals
from stepwell.store.sqlite.signals import SqliteSignals
from stepwell.store.sqlite.sources import SqliteSources
from stepwell.store.sqlite.tasks import SqliteTasks
from stepwell.store.sqlite.triggers import SqliteTriggers
from stepwell.store.sqlite.workflows import SqliteWorkflows
from stepwell.store.sqlite.writer import Boundary, Death

__all__ = [
    "FILE_NAME",
    "Boundary",
    "Database",
    "Death",
    "DirectoryLock",
    "SqliteStore",
    "backup",
    "check",
    "connect",
    "migrate",
]


class SqliteStore:
    """See store.port.Store. Holds no lock on the directory: that is the server's (DirectoryLock)."""

    def __init__(self, path: Path, *, inline: bool = False, boundary: Boundary | None = None) -> None:
        self.database = Database(path, inline=inline, boundary=boundary)
        self.runs = SqliteRuns(self.database)
        self.signals = SqliteSignals(self.database)
        self.workflows = SqliteWorkflows(self.database)
        self.keys = SqliteKeys(self.database)
        self.connections = SqliteConnections(self.database)
        self.connectors = SqliteConnectors(self.database)
        self.costs = SqliteCosts(self.database)
        self.tasks = SqliteTasks(self.database)
        self.sources = SqliteSources(self.database)
        self.outbox = SqliteOutbox(self.database)
        self.endpoints = SqliteEndpoints(self.database)
        self.triggers = SqliteTriggers(self.database)
        self.deliveries = SqliteDeliveries(self.database)
        self.accounts = SqliteAccounts(self.database)
        self.seals = SqliteSeals(self.database)
        self.lists = SqliteLists(self.database)
        self.invocations = SqliteInvocations(self.database)

    def oldest_write_age_s(self) -> float:
        return self.database.writer.oldest_age_s()

    async def close(self) -> None:
        self.database.close()
