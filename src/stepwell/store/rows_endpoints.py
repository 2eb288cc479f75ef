"""Frozen rows of outbound endpoints and the messages that they are sent."""

from enum import StrEnum

import msgspec

from stepwell.store.rows import Run


class MessageStatus(StrEnum):
    """What has become of a message."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An address outside that is told of runs. Its secrets are sealed; the old one signs too until `old_until`."""

    workspace: str
    id: str
    url: str
    description: str | None
    events: tuple[str, ...]
    enabled: bool
    disabled_reason: str | None  # if the server disabled it
    sealed: bytes
    sealed_old: bytes | None = None
    old_until: int | None = None
    failing_since: int | None = None
    updated_at: int

    def __repr__(self) -> str:
        return f"Endpoint(id={self.id!r}, enabled={self.enabled})"


class EndpointMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one endpoint. `subject` is the run as it was then, until the body is made of it; a test has no run.
    `tries` is a JSON list of `{at, durationMs, status, error}`. Rows of lists carry neither subject nor body."""

    workspace: str
    id: str
    endpoint: str
    type: str
    at: int
    run: str | None = None
    status: MessageStatus = MessageStatus.PENDING
    attempts: int = 0
    due: int | None = None
    response_status: int | None = None
    error: str | None = None
    subject: Run | None = None
    body: bytes | None = None
    tries: bytes = b"[]"
