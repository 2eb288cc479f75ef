"""Connections: credentials kept sealed, and the choice of one for a step. Source: LoopFour contract 13."""

from collections.abc import Mapping

import msgspec

from stepwell import ids as uuids
from stepwell.auth import CannotOpen, Vault
from stepwell.clock import Clock
from stepwell.connectors import Connectors, OpenConnection
from stepwell.core.checks import refuse
from stepwell.core.connecting import (
    ACTIVE,
    LIVE,
    PENDING,
    SIMULATOR,
    ConnectionChanges,
    ConnectionFields,
    connection_faults,
    kept_of,
    oauth_faults,
)
from stepwell.core.credentials import HeadersKept, Kept, OAuthKept, missing, open_kept, seal_kept
from stepwell.core.selection import require_active, select, username
from stepwell.core.tokens import AccessTokens, Ended
from stepwell.errors import NotFound
from stepwell.ids import Ids
from stepwell.steps import ChosenConnection, ConnectionNeed
from stepwell.store import AuthConfig, Connection, ConnectionFilter, Run, Store
from stepwell.values import Json

STATUSES = (ACTIVE, PENDING, "error", "expired", "disconnected")
ACCOUNT_DELETED = "connected_account_deleted"


class Connections:
    """The use cases on connections. A reference is an id or a slug.

    Every one that names a connection raises NotFound if the workspace has none of that reference.
    """

    def __init__(
        self,
        store: Store,
        vault: Vault,
        connectors: Connectors,
        clock: Clock,
        ids: Ids,
        tokens: AccessTokens | None = None,
    ) -> None:
        """`tokens` may be absent where no connection is opened for an OAuth account."""
        self._all = store
        self._store = store.connections
        self._vault = vault
        self._connectors = connectors
        self._clock = clock
        self._ids = ids
        self._tokens = tokens
        self.ended: Ended = _nobody  # told when a connection is removed

    async def create(self, workspace: str, fields: ConnectionFields) -> Connection:
        """Store a connection, its credentials sealed. One whose account must first be connected is `pending`.

        Raises:
            ValidationFailed: an unknown provider, or fields that are missing or not fit; all of them are listed.
            AlreadyExists: the slug is taken.
        """
        config = await self._config(workspace, fields.auth)
        self._check(fields, None, config)
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
            external_account_id=fields.external_account_id,
            sealed=None,
            updated_at=self._clock.now_ms(),
            end_user=fields.end_user,
            auth_config=config.id if config else fields.auth_config,
        )
        connection = self._keeping(connection, fields, Kept())
        await self._store.create(connection)
        return connection

    async def pending(self, workspace: str, name: str, config: AuthConfig, end_user: str) -> Connection:
        """Store a connection whose owner is still to bring its credentials, by a link."""
        oauth = config.scheme == "OAUTH2"
        connection = Connection(
            workspace=workspace,
            id=self._ids.new(),
            slug=None,
            name=name,
            provider=config.provider,
            status=PENDING,
            mode=LIVE,
            is_default=False,
            base_url=None,
            external_account_id=None,
            sealed=None,
            updated_at=self._clock.now_ms(),
            end_user=end_user,
            auth_config=config.id,
        )
        connection = seal_kept(self._vault, connection, Kept(auth=OAuthKept() if oauth else None))
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
        wanted = ConnectionFilter(
            workspace=workspace,
            providers=None if provider is None else (provider,),
            statuses=None if status is None else (status,),
            before=before,
            limit=limit,
        )
        return (await self.find(wanted))[0]

    async def find(self, wanted: ConnectionFilter) -> tuple[list[Connection], int]:
        """A page of connections, newest first, and how many pass the filter in all."""
        return await self._store.page(wanted)

    async def update(self, workspace: str, reference: str, changes: ConnectionChanges) -> Connection:
        """Change a connection; raises as `create` does. New credentials make one that had failed active again."""
        config = await self._config(workspace, None if changes.auth is msgspec.UNSET else changes.auth)
        while True:
            stored = await self.get(workspace, reference)
            changed = self.changed(stored, changes, config)
            if isinstance(changes.auth, dict):
                changed = msgspec.structs.replace(changed, auth_config=config.id if config else None)
            now = max(self._clock.now_ms(), stored.updated_at + 1)
            changed = msgspec.structs.replace(changed, updated_at=now)
            if await self._store.save(changed, seen=stored.updated_at):
                return changed

    def changed(self, stored: Connection, changes: ConnectionChanges, config: AuthConfig | None = None) -> Connection:
        """A connection as it would be with the changes; raises as `update` does."""
        given = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not msgspec.UNSET}
        sealed = {name: given.pop(name, None) for name in ("credentials", "auth", "webhook_secrets")}
        changed = msgspec.structs.replace(stored, **given)
        fields = ConnectionFields(
            name=changed.name,
            provider=changed.provider,
            slug=changed.slug,
            mode=changed.mode,
            base_url=changed.base_url,
            **sealed,
        )
        kept = self._kept(stored)
        self._check(fields, kept if stored.sealed is not None else None, config)
        return self._keeping(changed, fields, kept)

    async def delete(self, workspace: str, reference: str) -> str:
        """Remove a connection with its simulator's counts, and switch off the triggers that use it; its id."""
        connection = await self.get(workspace, reference)
        if await self._store.delete(workspace, connection.id):
            await self.ended(workspace, connection.id, ACCOUNT_DELETED)
        return connection.id

    async def marked(self, connection: Connection, status: str, reason: str | None) -> Connection:
        """Note what a test call told of a connection, unless it has changed since."""
        # Read anew: what is sealed may have been wrapped by another key while the provider was asked.
        stored = await self.get(connection.workspace, connection.id)
        if stored.updated_at != connection.updated_at:
            return stored
        now = self._clock.now_ms()
        changed = msgspec.structs.replace(
            stored, status=status, reason=reason, checked_at=now, updated_at=max(now, stored.updated_at + 1)
        )
        if await self._store.save(changed, seen=stored.updated_at):
            return changed
        return await self.get(stored.workspace, stored.id)

    async def webhook_secrets(self, workspace: str, provider: str) -> dict[str, tuple[str, ...]]:
        """The secrets by which a provider signs what it sends: those of its connections that are in use, by id."""
        wanted = ConnectionFilter(workspace=workspace, providers=(provider,), limit=1000)
        found: dict[str, tuple[str, ...]] = {}
        for shown in (await self._store.page(wanted))[0]:
            connection = await self._store.get(workspace, shown.id)
            if connection is None or connection.status == "disconnected":
                continue
            try:
                kept = open_kept(self._vault, connection)
            except CannotOpen:
                continue  # it signs nothing that could be checked; its own use tells of it
            if kept.webhook_secrets:
                found[connection.id] = kept.webhook_secrets
        return found

    async def open(self, workspace: str, connection: str, *, any_status: bool = False) -> OpenConnection:
        """A connection unsealed for one call of a step, with an access token that lives if it is of an OAuth account.
        With `any_status` also one that is not active, to try it.

        Raises:
            StepError: CONNECTION_MISSING, if it is gone, not active, or cannot be opened; a retryable one if a token
                cannot be asked for now.
        """
        stored = await self._store.get(workspace, connection)
        if stored is None:
            raise missing("The connection of this step no longer exists")
        if not any_status:
            require_active(stored)
        return await self._opened(stored, None)

    async def choose(self, workspace: str, need: ConnectionNeed, run: Run | None) -> ChosenConnection:
        """The connection for a step of a run, or for the server's own use; see `selection.select`.

        Raises:
            StepError: CONNECTION_MISSING; the message says what to do.
        """
        chosen = await select(self._all, workspace, need, run)
        return ChosenConnection(chosen.id, chosen.provider)

    async def username(self, workspace: str, user: str) -> str:
        """The name of an end user; the id of one that is gone."""
        return await username(self._all, workspace, user)

    async def _opened(self, stored: Connection, rejected: str | None) -> OpenConnection:
        try:
            kept = open_kept(self._vault, stored)
            if kept.oauth is not None and stored.mode != SIMULATOR:
                if self._tokens is None:
                    raise missing("Accounts connected by OAuth cannot be opened here")
                stored, kept = await self._tokens.fresh(stored, rejected=rejected)
        except CannotOpen:
            raise missing(f"The credentials of connection {stored.name} cannot be read; enter them again") from None
        credentials, headers = dict(kept.credentials), None
        if isinstance(kept.auth, HeadersKept):
            headers = kept.auth.headers
        elif kept.oauth is not None and (token := kept.oauth.access_token) is not None:
            connector = self._connectors.get(stored.provider)
            field = connector.manifest.token_field if connector else None
            if field is None:
                headers = {"Authorization": f"Bearer {token}"}
            else:
                credentials[field] = token

            async def renew() -> OpenConnection:
                return await self._opened(stored, token)

            return OpenConnection(stored.id, stored.provider, stored.mode, stored.base_url, credentials, headers, renew)
        return OpenConnection(stored.id, stored.provider, stored.mode, stored.base_url, credentials, headers)

    async def _config(self, workspace: str, auth: Json) -> AuthConfig | None:
        """The auth config that an `auth` names, if there is one."""
        named = auth.get("authConfigId") if isinstance(auth, Mapping) else None
        uuid = uuids.parse(named.removeprefix("ac_")) if isinstance(named, str) else None
        return await self._all.accounts.config(workspace, uuid) if uuid else None

    def _check(self, fields: ConnectionFields, kept: Kept | None, config: AuthConfig | None) -> None:
        faults = connection_faults(self._connectors, fields, kept)
        if isinstance(fields.auth, dict) and fields.auth.get("type") == "oauth2":
            faults += oauth_faults(self._connectors, fields.provider, fields.auth, config)
        refuse(faults)

    def _keeping(self, connection: Connection, fields: ConnectionFields, before: Kept) -> Connection:
        """The connection with what its new fields change of what is kept, and of its status."""
        kept, status = kept_of(self._connectors, fields, before)
        if kept is not before:
            connection = seal_kept(self._vault, connection, kept)
        if status is None:
            return connection
        return msgspec.structs.replace(connection, status=status, reason=None, expires_at=None)

    def _kept(self, stored: Connection) -> Kept:
        """What is kept of a connection; what cannot be read counts as nothing, and stays unless it is replaced."""
        try:
            return open_kept(self._vault, stored)
        except CannotOpen:
            return Kept()


async def _nobody(workspace: str, connection: str, reason: str) -> int:
    """Nothing uses connections by itself."""
    return 0
