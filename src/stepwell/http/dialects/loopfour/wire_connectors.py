"""Connectors on the wire: what is sent to add one, and what is told of each."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from stepwell.http.dialects.loopfour.wire import Wire
from stepwell.values import Json

ConnectorName = Annotated[str, Meta(min_length=1, max_length=63)]
Address = Annotated[str, Meta(min_length=1, max_length=2000)]


class NewConnector(Wire):
    """A connector to be made of an OpenAPI document. `document` is the document as JSON, or the text of its file;
    without it, it is got from `url`. A document that comes with its `url` may name its server relative to it."""

    name: ConnectorName
    document: dict[str, Any] | str | UnsetType = UNSET
    url: Address | None = None
    base_url: Address | None = None
    replace: bool = False


class ActionItem(Wire):
    """An action in a list."""

    name: str
    title: str


class ConnectorItem(Wire):
    """A connector in a list."""

    name: str
    title: str
    built_in: bool
    actions: list[ActionItem]


class CredentialItem(Wire):
    """A field of a connection's credentials."""

    name: str
    title: str
    required: bool
    secret: bool
    type: str
    choices: list[str]
    default: str | None


class OAuthItem(Wire):
    """How the provider gives out access tokens."""

    authorize_url: str | None
    token_url: str
    scopes: list[str]


class ActionDetail(Wire):
    """An action: `params` is the JSON Schema of its parameters, `sends` the requests it makes, `output` what a
    simulator answers."""

    name: str
    title: str
    description: str | None
    params: Json
    sends: list[str]
    output: Json


class SkippedItem(Wire):
    """An operation of the document that is no action, and why."""

    operation: str
    reason: str


class ConnectorDetail(Wire):
    """A connector with everything it offers. `auth` are the kinds of what is sent to say who asks."""

    name: str
    title: str
    description: str | None
    built_in: bool
    protocol: str
    base_url: str | None
    auth: list[str]
    oauth: OAuthItem | None
    credentials: list[CredentialItem]
    test: str | None
    actions: list[ActionDetail]
    triggers: list[str]
    source: str | None
    skipped: list[SkippedItem]
    notes: list[str]
    created_at: str | None
    updated_at: str | None


class ConnectorRemoved(Wire):
    """The name of what was removed."""

    name: str
    deleted: bool = True
