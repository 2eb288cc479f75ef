"""Webhook endpoints on the wire: what is read and what is answered. Source: LoopFour contract 14."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from stepwell.http.dialects.loopfour.requests import Cursor, Limit
from stepwell.http.dialects.loopfour.wire import RunItem, Wire

EventName = Literal["run.started", "run.completed", "run.failed", "run.cancelled", "run.suspended"]
DeliveryStatus = Literal["pending", "delivered", "failed"]
Url = Annotated[str, Meta(min_length=1, max_length=2048, extra_json_schema={"format": "uri"})]
Events = Annotated[list[EventName], Meta(min_length=1)]
Description = Annotated[str, Meta(max_length=1000)]


class EndpointMessagesQuery(Wire):
    """Filters of an endpoint's deliveries."""

    status: DeliveryStatus | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class NewEndpoint(Wire):
    """An endpoint to be made; all events if none are named."""

    url: Url
    events: Events | UnsetType = UNSET
    description: Description | None = None
    enabled: bool = True


class EndpointEdit(Wire):
    """What is to be changed of an endpoint."""

    url: Url | UnsetType = UNSET
    events: Events | UnsetType = UNSET
    description: Description | None | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class EndpointItem(Wire):
    """An endpoint, without its secret. `disabledReason` says why the server has disabled it."""

    id: str
    url: str
    description: str | None
    events: list[str]
    enabled: bool
    disabled_reason: str | None
    failing_since: str | None
    created_at: str
    updated_at: str


class EndpointMade(EndpointItem):
    """An endpoint with its secret, which is answered only when it is made or rotated."""

    secret: str


class EndpointRotated(EndpointMade):
    """An endpoint with its new secret; the one before signs too until the time."""

    old_secret_until: str | None


class TryItem(Wire):
    """One try of a delivery."""

    at: str
    duration_ms: int
    response_status: int | None
    error: str | None


class EndpointMessageItem(Wire):
    """A message to an endpoint. Its id is the header `webhook-id`; a test has no run."""

    id: str
    endpoint_id: str
    type: str
    run_id: str | None
    status: DeliveryStatus
    attempts: int
    next_attempt_at: str | None
    response_status: int | None
    error: str | None
    tries: list[TryItem]
    created_at: str


class Tested(Wire):
    """What came of a test."""

    ok: bool
    response_status: int | None
    duration_ms: int
    error: str | None
    delivery_id: str


class Event(Wire):
    """The body of a message."""

    type: str
    timestamp: str
    data: RunItem
