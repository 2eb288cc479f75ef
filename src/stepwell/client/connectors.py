"""Connectors of a server: what steps can use, and adding more by an OpenAPI document."""

from typing import Any
from urllib.parse import quote

import msgspec

from stepwell.client.records import Record
from stepwell.client.transport import Transport


class ActionTitle(Record, frozen=True):
    """An action in a list."""

    name: str
    title: str


class Connector(Record, frozen=True):
    """A connector in a list."""

    name: str
    title: str
    built_in: bool
    actions: list[ActionTitle]


class Action(Record, frozen=True):
    """An action: `params` is the JSON Schema of its parameters, `output` what a simulator answers."""

    name: str
    title: str
    params: dict[str, Any]
    description: str | None = None
    sends: list[str] = []
    output: Any = None


class CredentialField(Record, frozen=True):
    """A field of a connection's credentials."""

    name: str
    title: str
    required: bool
    secret: bool
    type: str = "text"
    choices: list[str] = []
    default: str | None = None


class OAuth(Record, frozen=True):
    """How the provider gives out access tokens."""

    token_url: str
    authorize_url: str | None = None
    scopes: list[str] = []


class SkippedOperation(Record, frozen=True):
    """An operation of the document that is no action, and why."""

    operation: str
    reason: str


class ConnectorDetail(Record, frozen=True):
    """A connector with everything it offers. `document` is the whole answer as it came."""

    name: str
    title: str
    built_in: bool
    protocol: str
    auth: list[str]
    credentials: list[CredentialField]
    actions: list[Action]
    description: str | None = None
    base_url: str | None = None
    oauth: OAuth | None = None
    test: str | None = None
    triggers: list[str] = []
    source: str | None = None
    skipped: list[SkippedOperation] = []
    notes: list[str] = []
    created_at: str | None = None
    updated_at: str | None = None
    document: dict[str, Any] = {}


class Connectors:
    """Add, list, read and remove connectors."""

    def __init__(self, transport: Transport) -> None:
        self._call = transport.call

    def list(self) -> list[Connector]:
        """All connectors by name."""
        return self._call("GET", "/connectors").page(Connector).items

    def get(self, name: str) -> ConnectorDetail:
        """One connector with everything it offers."""
        return _detail(self._call("GET", f"/connectors/{quote(name, safe='')}").data)

    def add(
        self,
        name: str,
        document: Any = None,
        *,
        url: str | None = None,
        base_url: str | None = None,
        replace: bool = False,
    ) -> ConnectorDetail:
        """Make a connector of an OpenAPI document (a JSON value, or the text of a file), or of what `url` gives; with a
        document, `url` says where it came from. An admin key of the first workspace is needed."""
        body = {"name": name, "document": document, "url": url, "baseUrl": base_url, "replace": replace}
        given = {field: value for field, value in body.items() if value is not None}
        return _detail(self._call("POST", "/connectors", given).data)

    def remove(self, name: str) -> None:
        """Remove a connector that was added."""
        self._call("DELETE", f"/connectors/{quote(name, safe='')}")


def _detail(answer: dict[str, Any]) -> ConnectorDetail:
    return msgspec.convert({**answer, "document": answer}, ConnectorDetail)
