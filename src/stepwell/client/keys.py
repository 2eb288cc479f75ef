"""API keys of the workspace; an admin key is needed."""

from collections.abc import Sequence

from stepwell.client.records import Key, NewKey, Page
from stepwell.client.transport import Transport


class Keys:
    """Make, list and revoke keys."""

    def __init__(self, transport: Transport) -> None:
        self._call = transport.call

    def create(
        self, name: str, scopes: Sequence[str], *, expires_at: str | None = None, dialect: str = "loopfour"
    ) -> NewKey:
        """A new key; its text is told this once. `expires_at` is an ISO 8601 time; scopes are those of the dialect."""
        body = {"name": name, "scopes": list(scopes), "expiresAt": expires_at, "dialect": dialect}
        return self._call("POST", "/admin/keys", body).one(NewKey)

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Key]:
        """Keys, revoked ones included, newest first."""
        return self._call("GET", "/admin/keys", query={"limit": limit, "cursor": cursor}).page(Key)

    def revoke(self, key: str) -> None:
        """End a key's life at once."""
        self._call("DELETE", f"/admin/keys/{key}")
