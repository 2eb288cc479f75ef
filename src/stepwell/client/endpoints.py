"""Webhook endpoints: addresses that are told of runs, and what they were sent."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from stepwell.client.records import Page, Record
from stepwell.client.transport import Transport


class Endpoint(Record, frozen=True):
    """An endpoint without its secret. `disabled_reason` says why the server has disabled it."""

    id: str
    url: str
    description: str | None
    events: list[str]
    enabled: bool
    disabled_reason: str | None
    failing_since: str | None
    created_at: str
    updated_at: str


class NewEndpoint(Endpoint, frozen=True):
    """An endpoint that was just made or whose secret was just rotated. The secret is never told again."""

    secret: str
    old_secret_until: str | None = None

    def __repr__(self) -> str:
        return f"NewEndpoint(id={self.id!r}, url={self.url!r})"


class DeliveryTry(Record, frozen=True):
    """One try of a delivery."""

    at: str
    duration_ms: int
    response_status: int | None
    error: str | None


class Delivery(Record, frozen=True):
    """A message to an endpoint; its id is the header `webhook-id`."""

    id: str
    endpoint_id: str
    type: str
    run_id: str | None
    status: str
    attempts: int
    next_attempt_at: str | None
    response_status: int | None
    error: str | None
    tries: list[DeliveryTry]
    created_at: str


class EndpointTest(Record, frozen=True):
    """What came of a test."""

    ok: bool
    response_status: int | None
    duration_ms: int
    error: str | None
    delivery_id: str


class Endpoints:
    """The calls on webhook endpoints."""

    def __init__(self, transport: Transport) -> None:
        self._call = transport.call

    def create(
        self,
        url: str,
        events: Sequence[str] | None = None,
        *,
        description: str | None = None,
        enabled: bool = True,
    ) -> NewEndpoint:
        """Let an address be told of these events of runs, of all if none are named. Keep the secret."""
        body: dict[str, Any] = {"url": url, "description": description, "enabled": enabled}
        if events is not None:
            body["events"] = list(events)
        return self._call("POST", "/webhook-endpoints", body).one(NewEndpoint)

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Endpoint]:
        """Endpoints, newest first."""
        return self._call("GET", "/webhook-endpoints", query={"limit": limit, "cursor": cursor}).page(Endpoint)

    def get(self, endpoint: str) -> Endpoint:
        """One endpoint."""
        return self._call("GET", _path(endpoint)).one(Endpoint)

    def update(self, endpoint: str, **changes: Any) -> Endpoint:
        """Change some of `url`, `events`, `description` and `enabled`. Enabling one that the server has disabled
        lets it begin anew."""
        return self._call("PUT", _path(endpoint), changes).one(Endpoint)

    def delete(self, endpoint: str) -> None:
        """Remove an endpoint with its deliveries."""
        self._call("DELETE", _path(endpoint))

    def rotate_secret(self, endpoint: str) -> NewEndpoint:
        """Give an endpoint a new secret; the old one signs too for 24 hours."""
        return self._call("POST", _path(endpoint, "/rotate-secret")).one(NewEndpoint)

    def test(self, endpoint: str) -> EndpointTest:
        """Send a signed test now."""
        return self._call("POST", _path(endpoint, "/test")).one(EndpointTest)

    def deliveries(
        self, endpoint: str, *, status: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Delivery]:
        """What an endpoint was or is to be sent, newest first."""
        query = {"status": status, "limit": limit, "cursor": cursor}
        return self._call("GET", _path(endpoint, "/deliveries"), query=query).page(Delivery)

    def retry(self, endpoint: str, delivery: str) -> Delivery:
        """Send a delivery again now, under its id and with its body."""
        return self._call("POST", _path(endpoint, f"/deliveries/{quote(delivery, safe='')}/retry")).one(Delivery)


def _path(endpoint: str, rest: str = "") -> str:
    return f"/webhook-endpoints/{quote(endpoint, safe='')}{rest}"
