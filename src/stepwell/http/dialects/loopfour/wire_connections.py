"""What is read and shown of connections and auth configs. Source: LoopFour contract 13."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from stepwell.http.dialects.loopfour.requests import Cursor, Limit, Mode, Name, Object, Slug
from stepwell.http.dialects.loopfour.wire import Wire

Scheme = Literal["API_KEY", "BEARER_TOKEN", "BASIC", "OAUTH2", "NO_AUTH", "HEADERS"]
WebhookSecrets = Annotated[list[str], Meta(max_length=10)]
Url = Annotated[str, Meta(max_length=2000)]

# -- read


class NewConnection(Wire):
    """A connection to be made. `credentials` are required unless `mode` is simulator, or `auth` says who asks:
    `{type: oauth2 | bearer | basic | api_key | headers | none, ...}`."""

    name: Name
    provider: str
    credentials: Object | None = None
    is_default: bool = False
    slug: Slug | None = None
    mode: Mode = "live"
    base_url: str | None = None
    auth: Object | None = None
    webhook_secrets: WebhookSecrets | None = None


class ConnectionEdit(Wire):
    """What is to be changed of a connection."""

    name: Name | UnsetType = UNSET
    credentials: Object | UnsetType = UNSET
    is_default: bool | UnsetType = UNSET
    slug: Slug | None | UnsetType = UNSET
    mode: Mode | UnsetType = UNSET
    base_url: str | None | UnsetType = UNSET
    auth: Object | UnsetType = UNSET
    webhook_secrets: WebhookSecrets | UnsetType = UNSET


class AuthorizeBody(Wire):
    """Where a browser is sent once the account is connected."""

    callback_url: Url | None = None


class AuthConfigsQuery(Wire):
    """Filters of the list of auth configs."""

    provider: str | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class NewAuthConfig(Wire):
    """An app that accounts of a provider are connected with. `credentials` of OAUTH2: `clientId`, `clientSecret`,
    `scopes`, `authorizeUrl`, `tokenUrl`, `callbackUrls`."""

    provider: str
    scheme: Scheme
    credentials: dict[str, Any] | None = None
    name: Name | None = None


# -- shown


class ConnectionItem(Wire):
    """A connection, without its credentials."""

    id: str
    name: str
    provider: str
    status: str
    status_reason: str | None
    external_account_id: str | None
    is_default: bool
    last_synced_at: str | None
    expires_at: str | None
    slug: str | None
    mode: str
    base_url: str | None
    auth_config_id: str | None
    end_user_id: str | None
    created_at: str
    updated_at: str


class TestedItem(Wire):
    """What a test call came to."""

    __test__ = False  # no test of ours

    ok: bool
    status: str
    message: str
    checked_at: str


class AuthorizationItem(Wire):
    """Where the owner of an account agrees, and until when."""

    authorize_url: str
    expires_at: str


class AuthConfigItem(Wire):
    """An auth config, without its credentials."""

    id: str
    name: str
    provider: str
    scheme: str
    created_at: str
    updated_at: str
