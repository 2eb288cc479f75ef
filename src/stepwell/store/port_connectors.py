"""What a store offers for connectors that were made from documents: they are the server's, of no workspace."""

from typing import Protocol

from stepwell.store.rows_connectors import StoredConnector


class StoredConnectors(Protocol):
    """Connectors by name."""

    async def put(self, connector: StoredConnector, *, replace: bool) -> bool:
        """Store a connector. With `replace` in place of one of its name, whose `created_at` stays; without, False if
        there is one."""
        ...

    async def get(self, name: str) -> StoredConnector | None:
        """One connector."""
        ...

    async def all(self) -> list[StoredConnector]:
        """All connectors, by name."""
        ...

    async def delete(self, name: str) -> bool:
        """Remove a connector; False if there is none."""
        ...
