"""What a connection keeps sealed: the fields of its credentials, how it says who asks, and the tokens it was given."""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias

import msgspec

from stepwell import values
from stepwell.auth import Vault
from stepwell.errors import Fault, StepError
from stepwell.store import Connection
from stepwell.values import Json

MOST_HEADERS = 20
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_UNFIT = re.compile(r"[\x00-\x1f\x7f]")
_FRAMING = frozenset({"host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer"})

AuthorizationCode: TypeAlias = Literal["authorization_code"]
ClientCredentials: TypeAlias = Literal["client_credentials"]


class Client(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """An OAuth client at a provider; addresses and scopes stand in for the connector's. `callback_urls` are addresses
    whose origins a browser may be sent back to."""

    client_id: str
    client_secret: str | None = None
    scopes: tuple[str, ...] | None = None
    authorize_url: str | None = None
    token_url: str | None = None
    callback_urls: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Client(client_id={self.client_id!r})"


class OAuthKept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", tag="oauth2"):
    """An account connected by OAuth 2. Without a `client` that of the auth config counts."""

    grant: AuthorizationCode | ClientCredentials = "authorization_code"
    client: Client | None = None
    access_token: str | None = None
    refresh_token: str | None = None

    def __repr__(self) -> str:
        return f"OAuthKept(grant={self.grant!r})"


class HeadersKept(msgspec.Struct, frozen=True, kw_only=True, tag="headers"):
    """Headers that are sent in place of what the connector would send; none: nothing says who asks."""

    headers: dict[str, str]

    def __repr__(self) -> str:
        return "HeadersKept(...)"


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """All that is sealed of a connection."""

    credentials: dict[str, str] = {}
    auth: OAuthKept | HeadersKept | None = None
    webhook_secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Kept(...)"

    @property
    def oauth(self) -> OAuthKept | None:
        """How the account was connected by OAuth, if it was."""
        return self.auth if isinstance(self.auth, OAuthKept) else None


def encoded(kept: Kept) -> bytes:
    """What is sealed."""
    return msgspec.json.encode(kept)


def decoded(opened: bytes) -> Kept:
    """What was sealed. Before OAuth it was the fields of the credentials alone."""
    written = values.decode(opened)
    if isinstance(written, dict) and all(isinstance(value, str) for value in written.values()):
        return Kept(credentials=written)
    return msgspec.convert(written, Kept)


def headers_of(auth: Mapping[str, Json]) -> dict[str, str]:
    """The headers of a connection's `auth`, which has no faults: bearer, basic, api_key, headers or none."""
    match auth["type"]:
        case "bearer":
            return {"Authorization": f"Bearer {auth['token']}"}
        case "basic":
            pair = f"{auth['username']}:{auth.get('password') or ''}"
            return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        case "api_key":
            return {auth.get("header") or "X-API-Key": f"{auth.get('prefix') or ''}{auth['key']}"}
        case "headers":
            return dict(auth["headers"])
    return {}


_FIELDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # required, optional
    "bearer": (("token",), ()),
    "basic": (("username",), ("password",)),
    "api_key": (("key",), ("header", "prefix")),
    "headers": ((), ()),
    "none": ((), ()),
}
TYPES = (*_FIELDS, "oauth2")


def auth_faults(auth: Mapping[str, Json], at: str = "auth") -> Iterator[Fault]:
    """What is wrong with an `auth` that is not of OAuth."""
    if auth.get("type") not in _FIELDS:
        yield Fault((at, "type"), f"Expected one of {', '.join(TYPES)}")
        return
    required, optional = _FIELDS[auth["type"]]
    for name in (*required, *optional):
        value = auth.get(name)
        if value in (None, ""):
            if name in required:
                yield Fault((at, name), "Required")
        elif message := _text_fault(value) or (_name_fault(value) if name == "header" else None):
            yield Fault((at, name), message)
    if auth["type"] == "basic" and ":" in str(auth.get("username") or ""):
        yield Fault((at, "username"), "A colon cannot be sent in a user name")
    if auth["type"] == "headers":
        yield from _header_faults(auth.get("headers"), at)


def _header_faults(headers: Json, at: str) -> Iterator[Fault]:
    if not isinstance(headers, dict) or not headers:
        yield Fault((at, "headers"), "Expected an object of at least one header")
        return
    if len(headers) > MOST_HEADERS:
        yield Fault((at, "headers"), f"At most {MOST_HEADERS} headers")
    for name, value in headers.items():
        if message := _name_fault(name) or _text_fault(value):
            yield Fault((at, "headers", name[:100]), message)


def _name_fault(name: str) -> str | None:
    fit = _TOKEN.fullmatch(name) and name.lower() not in _FRAMING
    return None if fit else "Not the name of a header that may be set"


def _text_fault(value: Json) -> str | None:
    if not isinstance(value, str):
        return "Expected string"
    return "Holds a line break or control character" if _UNFIT.search(value) else None


def open_kept(vault: Vault, connection: Connection) -> Kept:
    """All that is kept of a connection. Raises CannotOpen."""
    if connection.sealed is None:
        return Kept()
    return decoded(vault.open(connection.workspace, record_of(connection.id), connection.sealed))


def seal_kept(vault: Vault, connection: Connection, kept: Kept) -> Connection:
    """The connection with something else kept of it."""
    sealed = vault.seal(connection.workspace, record_of(connection.id), encoded(kept))
    return msgspec.structs.replace(connection, sealed=sealed)


def record_of(connection: str) -> str:
    """The name under which a connection's sealed part is sealed."""
    return f"connection:{connection}"


def missing(message: str) -> StepError:
    """The error of a step that has no connection it could use."""
    return StepError(message, code="CONNECTION_MISSING")
