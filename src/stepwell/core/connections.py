"""Connections: credentials kept sealed, and the choice of one for a step. Source: LoopFour contract 13."""

import msgspec

from stepwell.auth import CannotOpen, Vault
from stepwell.clock import Clock
from stepwell.connectors import Connectors, OpenConnection
from stepwell.core.checks import base_url_faults, name_faults, refuse, slug_faults
from stepwell.errors import Fault, NotFound, StepError, ValidationFailed
from stepwell.ids import Ids
from stepwell.steps import ChosenConnection, ConnectionNeed
from stepwell.store import Connection, Store
from stepwell.values import Json, decode, encode

LIVE, SIMULATOR = "live", "simulator"
ACTIVE = "active"
STATUSES = (ACTIVE, "pending", "error", "expired", "disconnected")


class ConnectionFields(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller says of a new connection. `credentials` may be absent from a simulator."""

    name: str
    provider: str
    credentials: Json = None
    is_default: bool = False
    slug: str | None = None
    mode: str = LIVE
    base_url: str | None = None

    def __repr__(self) -> str:
        return f"ConnectionFields(name={self.name!r}, provider={self.provider!r})"


class ConnectionChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller changes of a connection; fields that are not set stay. New credentials replace all of the old."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    credentials: Json | msgspec.UnsetType = msgspec.UNSET
    is_default: bool | msgspec.UnsetType = msgspec.UNSET
    slug: str | None | msgspec.UnsetType = msgspec.UNSET
    mode: str | msgspec.UnsetType = msgspec.UNSET
    base_url: str | None | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return "ConnectionChanges(...)"


class Connections:
    """The use cases on connections. A reference is an id or a slug.

    Every one that names a connection raises NotFound if the workspace has none of that reference.
    """

    def __init__(self, store: Store, vault: Vault, connectors: Connectors, clock: Clock, ids: Ids) -> None:
        self._store = store.connections
        self._vault = vault
        self._connectors = connectors
        self._clock = clock
        self._ids = ids

    async def create(self, workspace: str, fields: ConnectionFields) -> Connection:
        """Store a connection, its credentials sealed.

        Raises:
            ValidationFailed: an unknown provider, or fields that are missing or not fit; all of them are listed.
            AlreadyExists: the slug is taken.
        """
        self._check(fields)
        connection = Connection(
            workspace=workspace,
            id=self._ids.new(),
            slug=fields.slug,
            name=fields.name,
            provider=fields.provider,
            status=ACTIVE,
            mode=fields.mode,
            is_default=fields.is_default,
            base_url=fields.base_url,
            external_account_id=None,
            sealed=None,
            updated_at=self._clock.now_ms(),
        )
        connection = self._with_credentials(connection, fields.credentials)
        await self._store.create(connection)
        return connection

    async def get(self, workspace: str, reference: str) -> Connection:
        """One connection, its credentials sealed."""
        connection = await self._store.get(workspace, reference)
        if connection is None:
            raise NotFound("Connection not found")
        return connection

    async def page(
        self,
        workspace: str,
        *,
        provider: str | None = None,
        status: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Connection]:
        """Connections, newest first, after the one with the id `before`."""
        return await self._store.page(workspace, provider=provider, status=status, before=before, limit=limit)

    async def update(self, workspace: str, reference: str, changes: ConnectionChanges) -> Connection:
        """Change a connection; raises as `create` does."""
        while True:
            stored = await self.get(workspace, reference)
            given = {
                name: value for name, value in msgspec.structs.asdict(changes).items() if value is not msgspec.UNSET
            }
            credentials = given.pop("credentials", None)
            changed = msgspec.structs.replace(stored, **given)
            fields = ConnectionFields(
                name=changed.name,
                provider=changed.provider,
                credentials=credentials,
                slug=changed.slug,
                mode=changed.mode,
                base_url=changed.base_url,
            )
            self._check(fields, kept=stored.sealed is not None)
            changed = self._with_credentials(changed, credentials)
            now = max(self._clock.now_ms(), stored.updated_at + 1)
            changed = msgspec.structs.replace(changed, updated_at=now)
            if await self._store.save(changed, seen=stored.updated_at):
                return changed

    async def delete(self, workspace: str, reference: str) -> str:
        """Remove a connection with its simulator's counts; its id."""
        connection = await self.get(workspace, reference)
        await self._store.delete(workspace, connection.id)
        return connection.id

    async def open(self, workspace: str, connection: str) -> OpenConnection:
        """A connection unsealed for one call of a step.

        Raises:
            StepError: CONNECTION_MISSING, if it is gone, not active, or cannot be opened.
        """
        stored = await self._store.get(workspace, connection)
        if stored is None:
            raise _missing("The connection of this step no longer exists")
        _require_active(stored)
        try:
            return OpenConnection(stored.id, stored.provider, stored.mode, stored.base_url, self._credentials(stored))
        except CannotOpen:
            raise _missing(f"The credentials of connection {stored.name} cannot be read; enter them again") from None

    async def choose(self, workspace: str, need: ConnectionNeed, run_connection: str | None) -> ChosenConnection:
        """The connection for a step: the run's if it is of a fitting provider, then the one the step names, then the
        default one, then the only active one.

        Raises:
            StepError: CONNECTION_MISSING; the message says what to do.
        """
        named = await self._of_run(workspace, need, run_connection) or await self._named(workspace, need)
        if named is None:
            named = _only(need, await self._store.candidates(workspace, need.providers))
        _require_active(named)
        return ChosenConnection(named.id, named.provider)

    async def _of_run(self, workspace: str, need: ConnectionNeed, run_connection: str | None) -> Connection | None:
        if run_connection is None:
            return None
        connection = await self._store.get(workspace, run_connection)
        if connection is None:  # its provider is unknown now: taking another could reach a wrong account
            raise _missing("The connection that the run was started with no longer exists")
        return connection if connection.provider in need.providers else None

    async def _named(self, workspace: str, need: ConnectionNeed) -> Connection | None:
        if need.named is None:
            return None
        connection = await self._store.get(workspace, need.named.removeprefix("conn_"))
        connection = connection or await self._store.get(workspace, need.named)  # a slug may itself begin with conn_
        if connection is None:
            raise _missing(f"Connection not found: {need.named[:200]}")
        if connection.provider not in need.providers:
            wanted = " or ".join(need.providers)
            raise _missing(f"Connection {connection.name} is of {connection.provider}, the step needs one of {wanted}")
        return connection

    def _check(self, fields: ConnectionFields, *, kept: bool = False) -> None:
        """Raise for all faults. `kept` says that the connection has credentials already."""
        faults = name_faults(fields.name)
        faults += self._credential_faults(fields, kept)
        faults += slug_faults(fields.slug)
        if fields.mode not in (LIVE, SIMULATOR):
            faults.append(Fault(("mode",), f"Expected {LIVE} or {SIMULATOR}"))
        faults += base_url_faults(fields.base_url)
        refuse(faults)

    def _credential_faults(self, fields: ConnectionFields, kept: bool) -> list[Fault]:
        if fields.provider not in self._connectors.connectors():
            return [Fault(("provider",), f"Unknown provider: {fields.provider}"[:300])]
        if fields.credentials is None:
            needed = fields.mode != SIMULATOR and not kept
            return [Fault(("credentials",), "Required")] if needed else []
        try:
            self._connectors.credentials(fields.provider, fields.credentials)
        except ValidationFailed as error:
            return error.faults
        return []

    def _with_credentials(self, connection: Connection, credentials: Json) -> Connection:
        if credentials is None:
            return connection
        fit = self._connectors.credentials(connection.provider, credentials)
        sealed = self._vault.seal(connection.workspace, _record(connection), encode(fit))
        return msgspec.structs.replace(connection, sealed=sealed)

    def _credentials(self, connection: Connection) -> dict[str, str]:
        if connection.sealed is None:
            return {}
        opened: dict[str, str] = decode(self._vault.open(connection.workspace, _record(connection), connection.sealed))
        return opened


def _only(need: ConnectionNeed, candidates: list[Connection]) -> Connection:
    defaults = [connection for connection in candidates if connection.is_default]
    for group in (defaults, candidates):
        if len(group) == 1:
            return group[0]
    providers = " or ".join(need.providers)
    if not candidates:
        raise _missing(f"No active connection for {providers}. Create one.")
    raise _missing(
        f"Several connections for {providers}. Name one in the step's `connection`, or make one the default."
    )


def _require_active(connection: Connection) -> None:
    if connection.status != ACTIVE:
        raise _missing(f"Connection {connection.name} is not active. Current status: {connection.status}")


def _missing(message: str) -> StepError:
    return StepError(message, code="CONNECTION_MISSING")


def _record(connection: Connection) -> str:
    return f"connection:{connection.id}"
