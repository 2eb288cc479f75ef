"""Connecting: what a caller says of a connection, checked, becomes what is kept of it."""

from collections.abc import Mapping

import msgspec

from stepwell.connectors import Connector, Connectors
from stepwell.core.checks import base_url_faults, name_faults, slug_faults
from stepwell.core.credentials import TYPES, Client, HeadersKept, Kept, OAuthKept, auth_faults, headers_of
from stepwell.errors import Fault, ValidationFailed
from stepwell.store import AuthConfig
from stepwell.values import Json

LIVE, SIMULATOR = "live", "simulator"
ACTIVE, PENDING = "active", "pending"
GRANTS = ("authorization_code", "client_credentials")
MOST_SECRETS, LONGEST_SECRET = 10, 1000


class ConnectionFields(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller says of a new connection. `credentials` may be absent from a simulator, and where `auth` says who
    asks: `{type: oauth2 | bearer | basic | api_key | headers | none, ...}`."""

    name: str
    provider: str
    credentials: Json = None
    is_default: bool = False
    slug: str | None = None
    mode: str = LIVE
    base_url: str | None = None
    auth: Json = None
    webhook_secrets: Json = None
    end_user: str | None = None
    auth_config: str | None = None
    external_account_id: str | None = None

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
    auth: Json | msgspec.UnsetType = msgspec.UNSET
    webhook_secrets: Json | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return "ConnectionChanges(...)"


def connection_faults(connectors: Connectors, fields: ConnectionFields, kept: Kept | None) -> list[Fault]:
    """All that is wrong with a connection. `kept` is what it has already, None of a new one."""
    faults = name_faults(fields.name)
    faults += _credential_faults(connectors, fields, kept)
    faults += slug_faults(fields.slug)
    if fields.mode not in (LIVE, SIMULATOR):
        faults.append(Fault(("mode",), f"Expected {LIVE} or {SIMULATOR}"))
    faults += base_url_faults(fields.base_url)
    faults += _webhook_secret_faults(fields.webhook_secrets)
    return faults


def kept_of(connectors: Connectors, fields: ConnectionFields, before: Kept) -> tuple[Kept, str | None]:
    """What is kept of a connection whose fields have no faults, and its new status; None if that stays as it is."""
    kept, status = before, None
    connector = connectors.get(fields.provider)
    if fields.credentials is not None or fields.auth is not None:
        auth = None if fields.auth is None else _auth_of(fields.auth)
        if fields.auth is None and before.oauth is not None:
            auth = before.auth  # the fields beside an account that was connected, such as its shop
        optional = frozenset() if auth is None or connector is None else _sent_fields(connector)
        given = before.credentials if fields.credentials is None else fields.credentials
        credentials = connectors.credentials(fields.provider, given, optional)
        kept = msgspec.structs.replace(before, credentials=credentials, auth=auth)
        status = _status(kept, before, fields.mode)
    if fields.webhook_secrets is not None:
        kept = msgspec.structs.replace(kept, webhook_secrets=tuple(fields.webhook_secrets))
    return kept, status


def oauth_faults(
    connectors: Connectors, provider: str, auth: Mapping[str, Json], config: AuthConfig | None
) -> list[Fault]:
    """What is wrong with an `auth` of type oauth2; `config` is the auth config that it names, if there is one."""
    connector = connectors.get(provider)
    rules = None if connector is None else connector.manifest.oauth
    imported = bool(auth.get("accessToken"))
    faults: list[Fault] = []
    if (named := auth.get("authConfigId")) is not None:
        if config is None:
            faults.append(Fault(("auth", "authConfigId"), f"Auth config not found: {str(named)[:100]}"))
        elif config.provider != provider or config.scheme != "OAUTH2":
            faults.append(Fault(("auth", "authConfigId"), f"Expected an OAUTH2 auth config of {provider}"))
    elif not (imported or "clientId" in auth or (connector and "clientId" in connector.manifest.credentials)):
        faults.append(Fault(("auth", "clientId"), "Required, unless authConfigId names an auth config"))
    if auth.get("grant", GRANTS[0]) not in GRANTS:
        faults.append(Fault(("auth", "grant"), f"Expected {' or '.join(GRANTS)}"))
    faults += client_faults(auth, "auth")
    if rules is None and named is None and not imported:
        faults += [
            Fault(("auth", name), f"Required: the connector {provider} does not say")
            for name in ("tokenUrl", "authorizeUrl")
            if not auth.get(name) and (name == "tokenUrl" or auth.get("grant") != GRANTS[1])
        ]
    return faults


def client_faults(given: Mapping[str, Json], at: str) -> list[Fault]:
    """What is wrong with the fields of an OAuth client, as far as they are there."""
    faults = [
        Fault((at, name), "Expected a text of 1 to 2000 printable characters")
        for name in ("clientId", "clientSecret", "accessToken", "refreshToken")
        if (value := given.get(name)) is not None and not _is_credential(value)
    ]
    for name, fit in (("scopes", _is_scope), ("callbackUrls", _is_url)):
        value = given.get(name)
        if value is not None and not (isinstance(value, list) and len(value) <= 100 and all(map(fit, value))):
            faults.append(Fault((at, name), f"Expected a list of {'scopes' if name == 'scopes' else 'http(s) URLs'}"))
    for name in ("authorizeUrl", "tokenUrl"):
        value = given.get(name)
        if value is not None and not _is_url(value):
            faults.append(Fault((at, name), "Expected an http or https URL without credentials"))
    return faults


def client_from(given: Mapping[str, Json]) -> Client | None:
    """The OAuth client that is written, if there is one."""
    return msgspec.convert(dict(given), Client) if given.get("clientId") else None


def _auth_of(auth: Mapping[str, Json]) -> OAuthKept | HeadersKept:
    if auth["type"] != "oauth2":
        return HeadersKept(headers=headers_of(auth))
    return OAuthKept(
        grant=auth.get("grant", GRANTS[0]),
        client=client_from(auth),
        access_token=auth.get("accessToken"),
        refresh_token=auth.get("refreshToken"),
    )


def _status(kept: Kept, before: Kept, mode: str) -> str | None:
    """Where new credentials leave a connection: an account must first be connected."""
    oauth = kept.oauth
    if oauth is None or mode == SIMULATOR or oauth.grant == GRANTS[1] or oauth.access_token is not None:
        return None if oauth is not None and oauth is before.auth else ACTIVE
    return None if oauth is before.auth else PENDING


def _sent_fields(connector: Connector) -> frozenset[str]:
    """The fields that the connector sends to say who asks, which an `auth` stands in for."""
    names = {name for auth in connector.manifest.auths for name in _fields(auth)}
    return frozenset(names | {"clientId", "clientSecret"})


def _fields(auth: Json) -> list[str]:
    names = [getattr(auth, "field", None), getattr(auth, "username", None), getattr(auth, "password", None)]
    return [name for name in names if name]


def _credential_faults(connectors: Connectors, fields: ConnectionFields, kept: Kept | None) -> list[Fault]:
    connector = connectors.get(fields.provider)
    if connector is None:
        return [Fault(("provider",), f"Unknown provider: {fields.provider}"[:300])]
    faults: list[Fault] = []
    oauth = kept is not None and kept.oauth is not None
    if fields.auth is not None:
        if not isinstance(fields.auth, dict) or fields.auth.get("type") not in TYPES:
            return [Fault(("auth", "type"), f"Expected one of {', '.join(TYPES)}")]
        oauth = fields.auth["type"] == "oauth2"
        faults += [] if oauth else auth_faults(fields.auth)
    if fields.credentials is None and fields.auth is None:
        wanted = any(each.required for each in connector.manifest.credentials.values())
        needed = fields.mode != SIMULATOR and kept is None and wanted
        return [*faults, Fault(("credentials",), "Required")] if needed else faults
    given = fields.credentials if fields.credentials is not None else kept.credentials if kept else {}
    stands_in = fields.auth is not None or oauth
    try:
        connectors.credentials(fields.provider, given, _sent_fields(connector) if stands_in else frozenset())
    except ValidationFailed as error:
        faults += error.faults
    return faults


def _webhook_secret_faults(secrets: Json) -> list[Fault]:
    if secrets is None:
        return []
    fit = isinstance(secrets, list) and len(secrets) <= MOST_SECRETS
    if fit and all(isinstance(each, str) and 0 < len(each) <= LONGEST_SECRET for each in secrets):
        return []
    return [Fault(("webhookSecrets",), f"Expected a list of at most {MOST_SECRETS} texts")]


def _is_credential(value: Json) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 2000 and value.isprintable()


def _is_scope(value: Json) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 300 and value.isprintable() and " " not in value


def _is_url(value: Json) -> bool:
    if not isinstance(value, str) or len(value) > 2000 or not value.isprintable() or " " in value:
        return False
    return not base_url_faults(value.partition("?")[0].partition("#")[0])
