"""Approvals: decisions that runs wait for."""

from urllib.parse import quote

from stepwell.client.records import Approval, Page
from stepwell.client.transport import Transport


class Approvals:
    """List and decide approvals."""

    def __init__(self, transport: Transport) -> None:
        self._call = transport.call

    def list(self, *, status: str | None = None, limit: int = 50, cursor: str | None = None) -> Page[Approval]:
        """Approvals, newest first."""
        query = {"status": status, "limit": limit, "cursor": cursor}
        return self._call("GET", "/approvals", query=query).page(Approval)

    def get(self, approval: str) -> Approval:
        """One approval."""
        return self._call("GET", f"/approvals/{quote(approval, safe='')}").one(Approval)

    def approve(self, approval: str, *, approver: str | None = None, comment: str | None = None) -> Approval:
        """Approve, in the name of an approver or of the key."""
        return self._decide(approval, "approve", approver, comment)

    def reject(self, approval: str, *, approver: str | None = None, comment: str | None = None) -> Approval:
        """Reject, in the name of an approver or of the key."""
        return self._decide(approval, "reject", approver, comment)

    def _decide(self, approval: str, decision: str, approver: str | None, comment: str | None) -> Approval:
        given = {name: value for name, value in {"approver": approver, "comment": comment}.items() if value is not None}
        return self._call("POST", f"/approvals/{quote(approval, safe='')}/{decision}", given).one(Approval)
