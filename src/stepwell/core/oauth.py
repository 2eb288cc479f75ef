"""Connecting accounts by OAuth 2: the way of a browser to the provider and back. Source: RFC 6749, 7636, 9700."""

from typing import Literal, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from stepwell.auth import CannotOpen, Vault
from stepwell.clock import Clock
from stepwell.connectors import Challenge, GrantRefused, TokenEndpoint, authorize_url
from stepwell.core.connections import Connections
from stepwell.core.credentials import Kept, open_kept
from stepwell.core.tokens import AccessTokens, client_of
from stepwell.errors import Fault, InvalidState, StepError, Unauthorized, ValidationFailed
from stepwell.events import Events
from stepwell.store import Connection, OAuthGrant, Store

GRANT_MS = 15 * 60_000
"""So long somebody has to agree at the provider."""
FORGET = 100
CALLBACK = "/oauth/callback"
OVER = "This link is not valid, or was used already. Ask for a new one."
Outcome: TypeAlias = Literal["success", "failed"]


class Authorization(msgspec.Struct, frozen=True):
    """Where the owner of an account agrees, and until when (epoch ms)."""

    url: str
    expires_at: int


class Connected(msgspec.Struct, frozen=True):
    """What came of an authorization: words for people, and where a browser is sent on."""

    connection: str
    outcome: Outcome
    message: str
    onward: str | None = None


class _Asked(msgspec.Struct, frozen=True):
    """What an authorization needs once it comes back."""

    verifier: str
    callback_url: str | None = None


class Authorizations:
    """The use cases of connecting an account by OAuth."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        connections: Connections,
        tokens: AccessTokens,
        endpoint: TokenEndpoint,
        public_url: str,
        clock: Clock,
        events: Events,
    ) -> None:
        self._store = store
        self._vault = vault
        self._connections = connections
        self._tokens = tokens
        self._endpoint = endpoint
        self._public_url = public_url.rstrip("/")
        self._clock = clock
        self._events = events

    @property
    def redirect_uri(self) -> str:
        """The address that an OAuth client is registered with."""
        return self._public_url + CALLBACK

    async def begin(self, workspace: str, reference: str, callback_url: str | None = None) -> Authorization:
        """Let the owner of an account agree at the provider; what was connected before stays until then.

        Raises:
            NotFound.
            InvalidState: the connection is not of an OAuth account, or has no client.
            ValidationFailed: a browser may not be sent back to `callback_url`.
        """
        connection = await self._connections.get(workspace, reference)
        try:
            kept = open_kept(self._vault, connection)
            client = await self._tokens.client(connection, kept)
        except (CannotOpen, StepError) as error:
            raise InvalidState(getattr(error, "message", "The credentials cannot be read; enter them again")) from None
        if kept.oauth is None or kept.oauth.grant != "authorization_code":
            raise InvalidState("Only an account of OAuth with the grant authorization_code is authorized")
        if not client.authorize_url:
            raise InvalidState(f"Nothing says where {client.title} asks its users. Set the client's authorizeUrl.")
        if callback_url is not None:
            await self.check_callback(connection, kept, callback_url)
        challenge = Challenge()
        now = self._clock.now_ms()
        await self._store.accounts.forget_expired(now, FORGET)
        sealed = self._vault.seal(
            workspace, grant_record(challenge.hash.hex()), msgspec.json.encode(_Asked(challenge.verifier, callback_url))
        )
        await self._store.accounts.put_grant(
            OAuthGrant(
                hash=challenge.hash,
                workspace=workspace,
                connection=connection.id,
                sealed=sealed,
                expires_at=now + GRANT_MS,
            )
        )
        return Authorization(authorize_url(client, challenge, self.redirect_uri), now + GRANT_MS)

    async def end(self, state: str, code: str | None, error: str | None, said: str | None) -> Connected:
        """Take what the provider sent a browser back with.

        Raises:
            Unauthorized: the state is none that was given out, was used, or its time is over.
        """
        grant = await self._store.accounts.take_grant(Challenge(state=state, verifier="").hash, self._clock.now_ms())
        if grant is None:
            raise Unauthorized(OVER)
        connection = await self._store.connections.get(grant.workspace, grant.connection)
        if connection is None:
            raise Unauthorized(OVER)
        try:
            asked = msgspec.json.decode(
                self._vault.open(grant.workspace, grant_record(grant.hash.hex()), grant.sealed), type=_Asked
            )
            if error is not None or not code:
                why = said or error or "the provider sent no code"
                return await self._failed(connection, f"Not connected: {_shown(why)}", asked)
            kept = open_kept(self._vault, connection)
            client = await self._tokens.client(connection, kept)
            tokens = await self._endpoint.of_code(
                grant.workspace, client, code, asked.verifier, self.redirect_uri, self._clock.now_ms()
            )
        except CannotOpen:
            raise Unauthorized(OVER) from None
        except (StepError, GrantRefused) as refused:
            return await self._failed(connection, f"Not connected: {refused.message}", asked)
        if await self._tokens.keep(connection, tokens, used=None) is None:
            raise Unauthorized(OVER)
        self._events.emit("connection.authorized", connection=connection.id, provider=connection.provider)
        onward = _onward(asked.callback_url, "success", connection.id)
        return Connected(connection.id, "success", f"{client.title} is connected. You may close this page.", onward)

    async def check_callback(self, connection: Connection, kept: Kept, url: str) -> None:
        """Let a browser be sent back only to this server, or to origins that the OAuth client names.

        Raises:
            ValidationFailed.
        """
        config = None
        if connection.auth_config is not None:
            config = await self._store.accounts.config(connection.workspace, connection.auth_config)
        clients = [client_of(self._vault, config) if config else None, kept.oauth.client if kept.oauth else None]
        allowed = {_origin(self._public_url)}
        allowed |= {_origin(each) for client in clients if client is not None for each in client.callback_urls}
        if (origin := _origin(url)) is None or origin not in allowed:
            why = "Expected an address of this server, or of an origin among the callbackUrls of the auth config"
            raise ValidationFailed("Invalid request", [Fault(("callbackUrl",), why)])

    async def _failed(self, connection: Connection, message: str, asked: _Asked) -> Connected:
        """An account that was connected before stays so."""
        if connection.status == "pending":
            await self._connections.marked(connection, "pending", message)
        self._events.emit("connection.refused", connection=connection.id, provider=connection.provider)
        return Connected(connection.id, "failed", message, _onward(asked.callback_url, "failed", connection.id))


def grant_record(hash: str) -> str:
    """The name under which what an authorization needs is sealed."""
    return f"oauth_grant:{hash}"


def _onward(url: str | None, outcome: Outcome, connection: str) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), ("status", outcome), ("connectedAccountId", connection)]
    return urlunsplit(parts._replace(query=urlencode(query)))


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None of what is no web address, or could be read as another's."""
    if not url.isprintable() or "\\" in url or any(char.isspace() for char in url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80)


def _shown(said: str) -> str:
    return "".join(char for char in said if char.isprintable())[:200]
