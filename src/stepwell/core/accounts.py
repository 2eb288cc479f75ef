"""Accounts: end users of a workspace, the apps their accounts are connected with, and the accounts themselves."""

import hashlib
import re
import secrets
from collections.abc import Mapping

import msgspec

from stepwell import ids as uuids
from stepwell import values
from stepwell.auth import CannotOpen, Vault
from stepwell.clock import Clock
from stepwell.connectors import Connector, Connectors
from stepwell.core.checks import refuse
from stepwell.core.connecting import ConnectionChanges, ConnectionFields
from stepwell.core.connections import Connections
from stepwell.core.credentials import open_kept
from stepwell.core.oauth import FORGET, Authorization, Authorizations
from stepwell.core.schemes import asked, camel, config_faults, state
from stepwell.core.selection import DEFAULT_USER
from stepwell.core.tokens import config_record
from stepwell.errors import Fault, Forbidden, InvalidState, NotFound, Unauthorized, ValidationFailed
from stepwell.ids import Ids
from stepwell.store import AccountLink, AuthConfig, Connection, ConnectionFilter, EndUser, Store
from stepwell.values import Json

LINK_MS = 30 * 60_000
_USERNAME = re.compile(r"[A-Za-z0-9._@-]{1,128}")
LINK_OVER = "This link is not valid, or was used already. Ask for a new one."


class Link(msgspec.Struct, frozen=True):
    """A page at which an account is connected once; `expires_at` in epoch ms."""

    url: str
    token: str
    expires_at: int
    connection: str


class LinkPage(msgspec.Struct, frozen=True):
    """What the page of a link shows: the provider, and the fields it asks for (none of OAuth)."""

    title: str
    scheme: str
    fields: tuple[tuple[str, str, bool], ...]  # name, title, secret


class Accounts:
    """The use cases on end users, auth configs and connected accounts. Ids are uuids."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        connectors: Connectors,
        connections: Connections,
        authorizations: Authorizations,
        public_url: str,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._store = store.accounts
        self._connection = store.connections.get
        self._vault = vault
        self._connectors = connectors
        self._connections = connections
        self._authorizations = authorizations
        self._public_url = public_url.rstrip("/")
        self._clock = clock
        self._ids = ids

    # -- end users

    async def acting(self, workspace: str, username: str | None) -> EndUser:
        """The user whom a caller acts for, made on first use; without a name the default one.

        Raises:
            ValidationFailed: the name is not fit.
            Forbidden: the user is switched off.
        """
        user, _ = await self.create_user(workspace, username or DEFAULT_USER)
        if not user.active:
            raise Forbidden(f"User {user.username} is not active")
        return user

    async def create_user(self, workspace: str, username: str) -> tuple[EndUser, bool]:
        """The user of a name, and whether it is new. Raises ValidationFailed."""
        if not _USERNAME.fullmatch(username):
            refuse([Fault(("username",), "1 to 128 letters, digits and . _ @ -")])
        if (found := await self.user_named(workspace, username)) is not None:
            return found, False
        id = workspace if username == DEFAULT_USER else self._ids.new()
        made = await self._store.put_user(EndUser(workspace=workspace, id=id, username=username))
        return made, made.id == id

    async def user_named(self, workspace: str, username: str) -> EndUser | None:
        """The user of a name, if there is one."""
        return await self._store.user_named(workspace, username)

    async def user(self, workspace: str, id: str) -> EndUser:
        """One user. Raises NotFound."""
        found = await self._store.user(workspace, id)
        if found is None and id == workspace:
            found, _ = await self.create_user(workspace, DEFAULT_USER)
        if found is None:
            raise NotFound("User not found")
        return found

    async def users(
        self, workspace: str, *, search: str | None = None, offset: int = 0, limit: int = 50
    ) -> tuple[list[EndUser], int]:
        """A page of users, newest first, and how many there are in all."""
        return await self._store.users(workspace, search=search, offset=offset, limit=limit)

    async def set_active(self, workspace: str, id: str, active: bool | None = None) -> EndUser:
        """Switch a user on or off, or over if it is not said which.

        Raises:
            NotFound.
            ValidationFailed: it is the default user, who stays on.
        """
        user = await self.user(workspace, id)
        wanted = not user.active if active is None else active
        if user.id == workspace and not wanted:
            refuse([Fault(("active",), "The default user cannot be switched off")])
        await self._store.set_active(workspace, id, wanted)
        return msgspec.structs.replace(user, active=wanted)

    # -- auth configs

    async def create_config(
        self, workspace: str, provider: str, scheme: str, credentials: Json = None, name: str | None = None
    ) -> AuthConfig:
        """Store the app that accounts of a provider are connected with. `credentials` are, for OAUTH2, the client
        (`clientId`, `clientSecret`, `scopes`, `authorizeUrl`, `tokenUrl`, `callbackUrls`; also in snake case); for
        the others fields that all accounts share.

        Raises:
            ValidationFailed: all faults are listed.
        """
        connector = self._connectors.get(provider)
        title = connector.manifest.title if connector else provider
        config = AuthConfig(
            workspace=workspace,
            id=self._ids.new(),
            provider=provider,
            name=name or title,
            scheme=scheme,
            sealed=None,
            updated_at=self._clock.now_ms(),
        )
        given = camel(credentials) if scheme == "OAUTH2" else credentials
        refuse(config_faults(connector, config, given))
        sealed = self._vault.seal(workspace, config_record(config.id), values.encode(given or {}))
        config = msgspec.structs.replace(config, sealed=sealed)
        await self._store.put_config(config)
        return config

    async def config(self, workspace: str, id: str) -> AuthConfig:
        """One auth config. Raises NotFound."""
        uuid = uuids.parse(id)
        found = await self._store.config(workspace, uuid) if uuid else None
        if found is None:
            raise NotFound("Auth config not found")
        return found

    async def configs(
        self,
        workspace: str,
        *,
        provider: str | None = None,
        offset: int = 0,
        limit: int = 50,
        before: str | None = None,
    ) -> tuple[list[AuthConfig], int]:
        """A page of auth configs, newest first, after the one with the id `before`, and how many there are in all."""
        return await self._store.configs(workspace, provider=provider, offset=offset, limit=limit, before=before)

    async def delete_config(self, workspace: str, id: str) -> None:
        """Remove an auth config.

        Raises:
            NotFound.
            InvalidState: accounts are connected with it.
        """
        config = await self.config(workspace, id)
        _, used = await self._connections.find(
            ConnectionFilter(workspace=workspace, auth_configs=(config.id,), limit=1)
        )
        if used:
            raise InvalidState(f"{used} connected accounts use this auth config; delete them first")
        await self._store.delete_config(workspace, config.id)

    # -- connected accounts

    async def connect(
        self, user: EndUser, config: AuthConfig, val: Json = None, name: str | None = None
    ) -> tuple[Connection, Authorization | None]:
        """Connect an account of a user. Keys and passwords are in `val`, and the account is active at once; one of
        OAuth is `pending`, unless `val` brings an `access_token`, and its owner is sent to a page.

        Raises:
            ValidationFailed: all faults are listed, below `connection.state.val`.
        """
        connector = self._connectors.get(config.provider)
        if connector is None:
            raise ValidationFailed("Invalid request", [Fault(("authConfig", "id"), "Its connector no longer exists")])
        if val is not None and not isinstance(val, dict):
            raise ValidationFailed("Invalid request", [Fault(("connection", "state", "val"), "Expected object")])
        credentials, auth = state(connector, config.scheme, {**self._shared(config), **(val or {})})
        fields = ConnectionFields(
            name=name or f"{connector.manifest.title} of {user.username}"[:255],
            provider=config.provider,
            credentials=credentials,
            auth=None if auth is None else {**auth, **_named(config)},
            end_user=user.id,
            auth_config=config.id,
        )
        try:
            connection = await self._connections.create(user.workspace, fields)
        except ValidationFailed as error:
            raise ValidationFailed(error.message, [_below(fault) for fault in error.faults]) from None
        if connection.status != "pending":
            return connection, None
        return connection, await self._authorizations.begin(user.workspace, connection.id)

    async def link(
        self, user: EndUser, config: AuthConfig, callback_url: str | None = None, name: str | None = None
    ) -> Link:
        """Make a pending account of a user, and a page at which somebody without a key connects it, once, within 30
        minutes.

        Raises:
            ValidationFailed: a browser may not be sent back to `callback_url`, or the connector no longer exists.
        """
        connector = self._connectors.get(config.provider)
        if connector is None:
            raise ValidationFailed("Invalid request", [Fault(("authConfigId",), "Its connector no longer exists")])
        connection = await self._connections.pending(
            user.workspace,
            name=name or f"{connector.manifest.title} of {user.username}"[:255],
            config=config,
            end_user=user.id,
        )
        try:
            if callback_url is not None:
                kept = open_kept(self._vault, connection)
                await self._authorizations.check_callback(connection, kept, callback_url)
        except ValidationFailed:
            await self._connections.delete(user.workspace, connection.id)
            raise
        token = secrets.token_urlsafe(32)
        now = self._clock.now_ms()
        await self._store.forget_expired(now, FORGET)
        await self._store.put_link(
            AccountLink(
                hash=_hash(token),
                workspace=user.workspace,
                connection=connection.id,
                callback_url=callback_url,
                expires_at=now + LINK_MS,
            )
        )
        return Link(f"{self._public_url}/connect?token={token}", token, now + LINK_MS, connection.id)

    async def page_of_link(self, token: str) -> LinkPage:
        """What the page of a link asks for; changes nothing. Raises Unauthorized."""
        _, config, connector = await self._linked(await self._store.link_of(_hash(token), self._clock.now_ms()))
        fields = () if config.scheme == "OAUTH2" else asked(connector, config.scheme, self._shared(config))
        return LinkPage(connector.manifest.title, config.scheme, fields)

    async def take_link(self, token: str, given: Mapping[str, Json]) -> Authorization | str | None:
        """Connect the account of a link, which is used up if it can be: the page of the provider to go to, or else the
        address a browser is sent back to, if there is one.

        Raises:
            Unauthorized: the link is none, was used, or its time is over.
            ValidationFailed: what was given is not fit.
        """
        now = self._clock.now_ms()
        connection, config, connector = await self._linked(await self._store.link_of(_hash(token), now))
        changes = None
        if config.scheme != "OAUTH2":
            credentials, auth = state(connector, config.scheme, {**given, **self._shared(config)})
            changes = ConnectionChanges(
                credentials=msgspec.UNSET if credentials is None else credentials,
                auth=msgspec.UNSET if auth is None else auth,
            )
            self._connections.changed(connection, changes)
        link = await self._store.take_link(_hash(token), now)
        if link is None:
            raise Unauthorized(LINK_OVER)
        if changes is None:
            return await self._authorizations.begin(link.workspace, link.connection, link.callback_url)
        await self._connections.update(link.workspace, link.connection, changes)
        return link.callback_url

    async def _linked(self, link: AccountLink | None) -> tuple[Connection, AuthConfig, Connector]:
        connection = None if link is None else await self._connection(link.workspace, link.connection)
        config = None
        if connection is not None and connection.auth_config is not None:
            config = await self._store.config(connection.workspace, connection.auth_config)
        connector = self._connectors.get(config.provider) if config else None
        if connection is None or config is None or connector is None:
            raise Unauthorized(LINK_OVER)
        return connection, config, connector

    def _shared(self, config: AuthConfig) -> dict[str, Json]:
        """What all accounts of an auth config share; of OAuth nothing, for it is the client's."""
        if config.sealed is None or config.scheme == "OAUTH2":
            return {}
        try:
            shared = values.decode(self._vault.open(config.workspace, config_record(config.id), config.sealed))
        except CannotOpen:
            raise InvalidState("The credentials of the auth config cannot be read; enter them again") from None
        return shared if isinstance(shared, dict) else {}


def _named(config: AuthConfig) -> dict[str, Json]:
    return {"authConfigId": config.id} if config.scheme == "OAUTH2" else {}


def _below(fault: Fault) -> Fault:
    """The fault at the place where a caller of connected accounts wrote the value."""
    if fault.path and fault.path[0] in ("credentials", "auth"):
        return Fault(("connection", "state", "val", *fault.path[1:]), fault.message)
    return fault


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
