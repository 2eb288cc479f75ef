"""Connections: the credentials that steps use. They go in and never come out."""

from collections.abc import Mapping, Sequence
from typing import Any

from stepwell.client.errors import ApiError
from stepwell.client.records import Authorization, Connection, Page, TestedConnection
from stepwell.client.transport import Transport


class Connections:
    """Make, list, change, try and remove connections."""

    def __init__(self, transport: Transport) -> None:
        self._call = transport.call

    def list(self, *, provider: str | None = None, limit: int = 50, cursor: str | None = None) -> Page[Connection]:
        """Connections, newest first."""
        query = {"provider": provider, "limit": limit, "cursor": cursor}
        return self._call("GET", "/connections", query=query).page(Connection)

    def apply(
        self,
        slug: str,
        name: str,
        provider: str,
        credentials: Mapping[str, Any],
        *,
        base_url: str | None = None,
        is_default: bool = False,
        webhook_secrets: Sequence[str] | None = None,
    ) -> Connection:
        """Make the connection with this slug, or give the one that has it these credentials. `webhook_secrets` are what
        the provider signs its webhooks with, at most two; None leaves them as they are."""
        body: dict[str, Any] = {"name": name, "credentials": credentials, "baseUrl": base_url, "isDefault": is_default}
        if webhook_secrets is not None:
            body["webhookSecrets"] = list(webhook_secrets)
        try:
            return self._call("PUT", f"/connections/conn_{slug}", body).one(Connection)
        except ApiError as error:
            if error.code != "NOT_FOUND":
                raise
        return self._call("POST", "/connections", {**body, "provider": provider, "slug": slug}).one(Connection)

    def create(self, name: str, provider: str, **fields: Any) -> Connection:
        """Make a connection. `fields` are the other ones of the body, as the wire names them: `credentials`, `auth`,
        `slug`, `mode`, `baseUrl`, `isDefault`."""
        return self._call("POST", "/connections", {"name": name, "provider": provider, **fields}).one(Connection)

    def get(self, connection: str) -> Connection:
        """One connection."""
        return self._call("GET", f"/connections/{connection}").one(Connection)

    def test(self, connection: str) -> TestedConnection:
        """Try a connection with a call that changes nothing."""
        return self._call("POST", f"/connections/{connection}/test").one(TestedConnection)

    def authorize(self, connection: str, *, callback_url: str | None = None) -> Authorization:
        """Begin to connect an account by OAuth: where its owner agrees."""
        body = {"callbackUrl": callback_url} if callback_url is not None else {}
        return self._call("POST", f"/connections/{connection}/authorize", body).one(Authorization)

    def delete(self, connection: str) -> None:
        """Remove a connection."""
        self._call("DELETE", f"/connections/{connection}")
