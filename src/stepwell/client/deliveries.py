"""Inbound deliveries: webhooks that arrived, and what came of them."""

from typing import Any, TypeAlias
from urllib.parse import quote

from stepwell.client.records import Page, Record
from stepwell.client.transport import Transport

Runs: TypeAlias = list[str]  # `list` is a method below


class InboundDelivery(Record, frozen=True):
    """A delivery in a list. `reason` tells why it started nothing."""

    id: str
    provider: str
    status: str
    reason: str | None
    event_type: str | None
    method: str
    path: str
    duplicate_of: str | None
    received_at: str


class InboundResult(Record, frozen=True):
    """What a delivery came to for one workflow."""

    workflow_id: str | None
    trigger_id: str
    status: str
    run_id: str | None
    reason: str | None
    replay_of: str | None
    created_at: str


class InboundDetail(InboundDelivery, frozen=True):
    """A delivery, whole. `raw_body` is the body as text."""

    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    raw_body: str
    results: list[InboundResult]


class Deliveries:
    """List, read and repeat what arrived."""

    def __init__(self, transport: Transport) -> None:
        self._call = transport.call

    def list(
        self,
        *,
        provider: str | None = None,
        status: str | None = None,
        workflow: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[InboundDelivery]:
        """Deliveries, newest first."""
        query = {"provider": provider, "status": status, "workflowId": workflow, "limit": limit, "cursor": cursor}
        return self._call("GET", "/webhook-deliveries", query=query).page(InboundDelivery)

    def get(self, delivery: str) -> InboundDetail:
        """One delivery with what came of it."""
        return self._call("GET", _path(delivery)).one(InboundDetail)

    def replay(self, delivery: str) -> int:
        """Route it again, past the check for repeated events; how many runs were started."""
        triggered: int = self._call("POST", f"{_path(delivery)}/replay").data["workflowsTriggered"]
        return triggered

    def start(self, delivery: str, workflow: str) -> Runs:
        """Start a workflow on it, whatever the workflow listens to; the runs, one for each event in it."""
        runs: Runs = self._call("POST", f"{_path(delivery)}/start", {"workflowId": workflow}).data["runIds"]
        return runs


def _path(delivery: str) -> str:
    return f"/webhook-deliveries/{quote(delivery, safe='')}"
