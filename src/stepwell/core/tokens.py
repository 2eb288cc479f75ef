"""Access tokens: asked for when they are needed, kept sealed, and asked for once however many steps want the same."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from stepwell import values
from stepwell.auth import CannotOpen, Vault
from stepwell.clock import Clock
from stepwell.connectors import Connectors, GrantRefused, OAuth, OAuthClient, TokenEndpoint, Tokens, endpoint_url
from stepwell.core.credentials import Client, Kept, OAuthKept, missing, open_kept, seal_kept
from stepwell.errors import StepError
from stepwell.events import Events
from stepwell.store import AuthConfig, Connection, Store

MARGIN_MS = 60_000
"""So long before its end a token is renewed: the request that carries it must still arrive."""
_GENERAL = OAuth(token_url="")  # of a connector that says nothing of OAuth: the client says where
EXPIRED, ACCOUNT_EXPIRED = "expired", "connected_account_expired"
_NO_REFRESH = "The access token has ended, and the provider gave no refresh token. Connect the account again."

Ended: TypeAlias = Callable[[str, str, str], Awaitable[int]]
"""Told that a connection can no longer be used: workspace, connection, reason."""


class AccessTokens:
    """Gives connections of OAuth accounts a token that the provider takes."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        connectors: Connectors,
        endpoint: TokenEndpoint,
        clock: Clock,
        events: Events,
    ) -> None:
        self._store = store
        self._vault = vault
        self._connectors = connectors
        self._endpoint = endpoint
        self._clock = clock
        self._events = events
        self._asking: dict[str, asyncio.Task[tuple[Connection, Kept]]] = {}
        self.ended: Ended = _nobody

    async def fresh(self, connection: Connection, *, rejected: str | None = None) -> tuple[Connection, Kept]:
        """The connection with a token that is not about to end and is not the one that the provider has rejected.

        Raises:
            StepError: CONNECTION_MISSING if the account must be connected again; a retryable one if the provider
                cannot be reached now.
        """
        kept = open_kept(self._vault, connection)
        if not self._wanting(connection, kept, rejected):
            return connection, kept
        asking = self._asking.get(connection.id)
        if asking is None:
            renewal = self._renew(connection.workspace, connection.id, rejected)
            asking = self._asking[connection.id] = asyncio.get_running_loop().create_task(renewal)
            asking.add_done_callback(lambda done: self._asked(connection.id, done))
        try:
            # A step whose time is up must not take the answer with it: the provider may have changed the refresh token.
            return await asyncio.shield(asking)
        except StepError as error:
            if error.retryable and rejected is None and self._lives(connection, kept):
                return connection, kept
            raise

    async def finish(self) -> None:
        """Wait for what is being asked, so that no new refresh token is lost."""
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    async def client(self, connection: Connection, kept: Kept) -> OAuthClient:
        """As whom tokens of a connection are asked for: its auth config's client, else its own.

        Raises:
            StepError: CONNECTION_MISSING, if there is none or nothing says where to ask.
        """
        config = None
        if connection.auth_config is not None:
            config = await self._store.accounts.config(connection.workspace, connection.auth_config)
        of_config = None if config is None else client_of(self._vault, config)
        client = (kept.oauth.client if kept.oauth else None) or of_config or _client_in(kept.credentials)
        connector = self._connectors.get(connection.provider)
        if client is None or connector is None:
            raise missing(f"Connection {connection.name} has no OAuth client. Give it one, or an auth config.")
        manifest = connector.manifest
        rules = manifest.oauth or _GENERAL
        fields = {
            name: value
            for name, value in kept.credentials.items()
            if name in manifest.credentials and not manifest.credentials[name].secret
        }
        token_url = client.token_url or endpoint_url(rules.token_url, fields)
        if not token_url:
            raise missing(f"Nothing says where {manifest.title} gives out tokens. Set the client's tokenUrl.")
        return OAuthClient(
            manifest.title,
            rules,
            token_url,
            client.authorize_url or endpoint_url(rules.authorize_url, fields),
            client.client_id,
            client.client_secret,
            rules.scopes if client.scopes is None else client.scopes,
        )

    async def keep(self, connection: Connection, tokens: Tokens, *, used: str | None) -> tuple[Connection, Kept] | None:
        """Store tokens with all that changes with them, in one write; None if the connection has gone, or has been
        given other credentials than the ones whose refresh token was `used`."""
        while stored := await self._store.connections.get(connection.workspace, connection.id):
            kept = open_kept(self._vault, stored)
            if kept.oauth is None or (used is not None and kept.oauth.refresh_token != used):
                return None
            oauth = msgspec.structs.replace(
                kept.oauth,
                access_token=tokens.access_token,
                refresh_token=tokens.refresh_token or kept.oauth.refresh_token,
            )
            kept = msgspec.structs.replace(kept, auth=oauth)
            now = self._clock.now_ms()
            changed = msgspec.structs.replace(
                seal_kept(self._vault, stored, kept),
                status="active",
                reason=None,
                expires_at=tokens.expires_at,
                checked_at=now,
                updated_at=max(now, stored.updated_at + 1),
            )
            if await self._store.connections.save(changed, seen=stored.updated_at):
                return changed, kept
        return None

    async def expire(self, connection: Connection, reason: str) -> None:
        """The account must be connected again; triggers that use it are switched off."""
        while stored := await self._store.connections.get(connection.workspace, connection.id):
            if stored.status == EXPIRED or not self._same_account(stored, connection):
                return
            now = self._clock.now_ms()
            changed = msgspec.structs.replace(
                stored, status=EXPIRED, reason=reason, checked_at=now, updated_at=max(now, stored.updated_at + 1)
            )
            if await self._store.connections.save(changed, seen=stored.updated_at):
                self._events.emit("connection.expired", connection=stored.id, provider=stored.provider)
                await self.ended(stored.workspace, stored.id, ACCOUNT_EXPIRED)
                return

    def _same_account(self, one: Connection, other: Connection) -> bool:
        """Whether the same refresh token is kept of both; how it is sealed may differ."""
        first, second = open_kept(self._vault, one).oauth, open_kept(self._vault, other).oauth
        return first is not None and second is not None and first.refresh_token == second.refresh_token

    def _wanting(self, connection: Connection, kept: Kept, rejected: str | None) -> bool:
        """Whether another token must be asked for."""
        oauth = kept.oauth
        if oauth is None:
            return False
        if oauth.access_token is None or oauth.access_token == rejected:
            return True
        margin = MARGIN_MS if _renewable(oauth) else 0
        return connection.expires_at is not None and connection.expires_at - margin <= self._clock.now_ms()

    def _lives(self, connection: Connection, kept: Kept) -> bool:
        token = kept.oauth and kept.oauth.access_token
        return bool(token) and (connection.expires_at is None or connection.expires_at > self._clock.now_ms())

    async def _renew(self, workspace: str, id: str, rejected: str | None) -> tuple[Connection, Kept]:
        connection = await self._store.connections.get(workspace, id)
        if connection is None:
            raise missing("The connection of this step no longer exists")
        kept = open_kept(self._vault, connection)
        if connection.status not in ("active", "error") or kept.oauth is None:
            raise missing(f"Connection {connection.name} is not active. Current status: {connection.status}")
        if not self._wanting(connection, kept, rejected):
            return connection, kept  # somebody else has asked since
        if not _renewable(kept.oauth):
            await self.expire(connection, _NO_REFRESH)
            raise missing(f"Connection {connection.name} has expired. {_NO_REFRESH}")
        try:
            tokens = await self._ask(connection, kept, kept.oauth)
        except GrantRefused as refused:
            await self.expire(connection, refused.message)
            raise missing(f"Connection {connection.name} has expired. {refused.message}") from None
        renewed = await self.keep(connection, tokens, used=kept.oauth.refresh_token)
        if renewed is None:
            raise missing(f"The credentials of connection {connection.name} were changed meanwhile")
        self._events.emit("connection.refreshed", connection=id, provider=connection.provider)
        return renewed

    async def _ask(self, connection: Connection, kept: Kept, oauth: OAuthKept) -> Tokens:
        client = await self.client(connection, kept)
        now = self._clock.now_ms()
        if oauth.grant == "client_credentials":
            return await self._endpoint.of_client(connection.workspace, client, now)
        return await self._endpoint.of_refresh(connection.workspace, client, oauth.refresh_token or "", now)

    def _asked(self, id: str, done: asyncio.Task[tuple[Connection, Kept]]) -> None:
        del self._asking[id]
        if not done.cancelled():
            done.exception()  # read: those who waited may be gone


def client_of(vault: Vault, config: AuthConfig) -> Client | None:
    """The OAuth client of an auth config, if it is of one.

    Raises:
        StepError: CONNECTION_MISSING, if it cannot be read.
    """
    if config.sealed is None or config.scheme != "OAUTH2":
        return None
    try:
        return msgspec.convert(
            values.decode(vault.open(config.workspace, config_record(config.id), config.sealed)), Client
        )
    except CannotOpen:
        raise missing(f"The credentials of auth config {config.name} cannot be read; enter them again") from None


def config_record(config: str) -> str:
    """The name under which an auth config's credentials are sealed."""
    return f"auth_config:{config}"


def _client_in(credentials: dict[str, str]) -> Client | None:
    if "clientId" not in credentials:
        return None
    return Client(client_id=credentials["clientId"], client_secret=credentials.get("clientSecret"))


def _renewable(oauth: OAuthKept) -> bool:
    return oauth.grant == "client_credentials" or oauth.refresh_token is not None


async def _nobody(workspace: str, connection: str, reason: str) -> int:
    """Nothing uses connections by itself."""
    return 0
