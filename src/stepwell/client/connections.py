"""Connections: the credentials that steps use. They go in and never come out."""

from collections.abc import Mapping
from typing import Any

from stepwell.client.errors import ApiError
from stepwell.client.records import Connection, Page
from stepwell.client.transport import Transport


class Connections:
    """Make, list, change and remove connections."""

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
    ) -> Connection:
        """Make the connection with this slug, or give the one that has it these credentials."""
        body = {"name": name, "credentials": credentials, "baseUrl": base_url, "isDefault": is_default}
        try:
            return self._call("PUT", f"/connections/conn_{slug}", body).one(Connection)
        except ApiError as error:
            if error.code != "NOT_FOUND":
                raise
        return self._call("POST", "/connections", {**body, "provider": provider, "slug": slug}).one(Connection)

    def delete(self, connection: str) -> None:
        """Remove a connection."""
        self._call("DELETE", f"/connections/{connection}")
