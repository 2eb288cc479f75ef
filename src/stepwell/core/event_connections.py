"""Which connection an event trigger uses: its own account, the one it names, or the only or default one."""

from stepwell.connectors import OpenConnection
from stepwell.core.connections import Connections
from stepwell.errors import Fault, StepError
from stepwell.steps import ConnectionNeed
from stepwell.store import Connection, Store
from stepwell.triggers import EventCatalogue, EventSpec
from stepwell.values import Json

DELETED, EXPIRED, INVALID = "connected_account_deleted", "connected_account_expired", "invalid_config"


class Unusable(Exception):
    """A trigger cannot go on as it is: it goes into error for this reason."""


class EventConnections:
    """Finds the connections of event triggers."""

    def __init__(self, store: Store, connections: Connections, catalogue: EventCatalogue) -> None:
        self._store = store.connections
        self._connections = connections
        self._catalogue = catalogue

    async def find(self, workspace: str, spec: EventSpec, named: str | None) -> Connection | None:
        """The connection for an event; `named` is an id or slug. None if the event needs none and none is named.

        Raises:
            Unusable: the named one is gone, expired, or of another provider.
            StepError: CONNECTION_MISSING, if there is none to choose.
        """
        if spec.connection == "none" or (named is None and spec.connection == "optional"):
            return None
        if named is None:
            named = (await self._connections.choose(workspace, ConnectionNeed((spec.provider,)), None)).id
        stored = await self._store.get(workspace, named.removeprefix("conn_"))
        stored = stored or await self._store.get(workspace, named)  # a slug may begin with conn_
        if stored is None:
            raise Unusable(DELETED)
        if stored.status == "expired":
            raise Unusable(EXPIRED)
        if stored.provider != spec.provider:
            raise Unusable(f"{INVALID}: connection {stored.name} is of {stored.provider}, not of {spec.provider}")
        return stored

    async def open(self, workspace: str, spec: EventSpec, named: str | None) -> OpenConnection | None:
        """The connection opened. Raises as `find` does, and StepError if it cannot be used now."""
        found = await self.find(workspace, spec, named)
        if found is None:
            return None
        try:
            return await self._connections.open(workspace, found.id)
        except StepError:
            await self.find(workspace, spec, found.id)  # it may have expired just now
            raise

    async def faults(self, workspace: str, trigger: dict[str, Json]) -> list[Fault]:
        """Why an event trigger of a definition could not fire now, for want of a connection."""
        spec = self._catalogue.event(str(trigger.get("event"))) if trigger.get("type") == "event" else None
        if spec is None:
            return []
        try:
            found = await self.find(workspace, spec, trigger.get("connection"))
            if found is not None and found.status != "active":
                return [_fault(f"Connection {found.name} is not active. Current status: {found.status}")]
        except StepError as error:
            return [_fault(error.message)]
        except Unusable as unusable:
            return [_fault(_WORDS.get(str(unusable), str(unusable)))]
        return []


_WORDS = {DELETED: "Connection not found", EXPIRED: "The connection has expired; connect it again"}


def _fault(message: str) -> Fault:
    return Fault(("trigger", "connection"), message)
