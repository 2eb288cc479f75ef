"""Approvals: what people are asked, and what they decide, with a key or by a link. Source: LoopFour contract 10."""

import hashlib
import hmac
from typing import Literal

import msgspec

from stepwell import values
from stepwell.auth import Vault, mask_encoded, mask_text
from stepwell.clock import Clock
from stepwell.engine import Engine
from stepwell.errors import Fault, Forbidden, InvalidState, NotFound, Unauthorized, ValidationFailed
from stepwell.store import Approval, Store
from stepwell.values import Json

Decision = Literal["approve", "reject"]
"""What somebody decides; recorded in this word."""

DECIDED = "Approval already decided"
BAD_TOKEN = "This link is not valid, or was used already"


class ApprovalLinks:
    """The links by which approvers decide without a key. A token is worked out, never stored: only its hash is."""

    def __init__(self, vault: Vault, public_url: str) -> None:
        """`public_url` is where people reach the server, without a slash at its end."""
        self._vault = vault
        self._base = f"{public_url}/api/v1/approvals"

    def issue(self, approval: str, approver: str) -> tuple[str, bytes]:
        """The link of an approver, and the hash to be stored among the approval's tokens; the same every time."""
        token = self._vault.approval_token(approval, approver)
        return f"{self._base}/apr_{approval}/decide?token={token}", hash_token(token)

    def fits(self, token: str, approval: str, approver: str) -> bool:
        """Whether a token is the one of an approver, compared in constant time."""
        expected = self._vault.approval_token(approval, approver)
        return hmac.compare_digest(expected.encode(), token.encode(errors="replace"))


class Approvals:
    """The use cases on approvals."""

    def __init__(self, store: Store, engine: Engine, links: ApprovalLinks, clock: Clock) -> None:
        self._store = store.signals
        self._engine = engine
        self.links = links  # of approvers
        self._clock = clock

    async def page(
        self, workspace: str, *, status: str | None = None, before: str | None = None, limit: int = 50
    ) -> list[Approval]:
        """Approvals, of one status or all, newest first, after the one with the id `before`."""
        rows = await self._store.approvals(workspace, status=status, before=before, limit=limit)
        return [_shown(row) for row in rows]

    async def get(self, workspace: str, approval: str) -> Approval:
        """One approval. Raises NotFound."""
        return _shown(await self._found(workspace, approval))

    async def decide(
        self,
        workspace: str,
        approval: str,
        decision: Decision,
        *,
        key_name: str,
        approver: str | None = None,
        comment: str | None = None,
    ) -> Approval:
        """Decide with a key, in the name of an approver; without one the key's name stands for who decided.

        Raises:
            NotFound, Forbidden (not an approver), ValidationFailed (an approver must be named), InvalidState (decided).
        """
        found = await self._found(workspace, approval)
        if approver is not None and approver not in found.approvers:
            raise Forbidden("Access denied to this resource")
        if approver is None and found.require_all and len(found.approvers) > 1:
            raise ValidationFailed("Invalid request", [Fault(("approver",), "Required")])
        while True:
            decided = self._decided(found, approver or key_name, decision, comment)
            if decided is None:
                raise InvalidState(DECIDED)
            if await self._write(decided, found):
                return _shown(decided)
            found = await self._found(workspace, approval)  # somebody else was first; perhaps there is more to decide

    async def asked_by_token(self, approval: str, token: str) -> tuple[Approval, str]:
        """What the holder of a token is asked, and who that is. Changes nothing.

        Raises:
            Unauthorized: the token is another's, was used, or its approval has ended.
        """
        found, approver = await self._of_token(approval, token)
        return _shown(found), approver

    async def decide_by_token(self, approval: str, token: str, decision: Decision, comment: str | None) -> Approval:
        """Decide by a link, once.

        Raises:
            Unauthorized: the token is another's, was used, or its approval has ended.
        """
        while True:
            found, approver = await self._of_token(approval, token)
            decided = self._decided(found, approver, decision, comment)
            if decided is None:
                raise Unauthorized(BAD_TOKEN)
            if await self._write(decided, found):
                return _shown(decided)

    async def _found(self, workspace: str, approval: str) -> Approval:
        found = await self._store.approval(workspace, approval)
        if found is None:
            raise NotFound("Approval not found")
        return found

    async def _of_token(self, approval: str, token: str) -> tuple[Approval, str]:
        found = await self._store.approval_of_token(hash_token(token))
        if found is None or found[0].id != approval or not self.links.fits(token, approval, found[1]):
            raise Unauthorized(BAD_TOKEN)
        return found

    def _decided(self, approval: Approval, approver: str, decision: Decision, comment: str | None) -> Approval | None:
        """The approval with one decision more; None if it is decided already, or by this approver."""
        decisions: list[dict[str, Json]] = values.decode(approval.decisions)
        if approval.status != "pending" or any(each["approver"] == approver for each in decisions):
            return None
        decisions.append({"approver": approver, "decision": decision, "comment": comment, "at": self._clock.now_ms()})
        return msgspec.structs.replace(
            approval,
            status=_status(approval, decisions),
            decisions=values.encode(decisions),
            tokens=tuple(token for token in approval.tokens if token[0] != approver),
        )

    async def _write(self, decided: Approval, found: Approval) -> bool:
        reached = await self._store.decide(decided, found.decisions)
        if reached is None:
            return False
        if decided.status != "pending":
            self._engine.reached((reached,))
        return True


def hash_token(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode(errors="replace")).digest()


def _status(approval: Approval, decisions: list[dict[str, Json]]) -> str:
    """One rejection rejects; one approval approves, unless all approvers must approve."""
    if any(each["decision"] == "reject" for each in decisions):
        return "rejected"
    approved = {each["approver"] for each in decisions}
    if approval.require_all and len(approval.approvers) > 1 and not approved.issuperset(approval.approvers):
        return "pending"
    return "approved"


def _shown(approval: Approval) -> Approval:
    """An approval as it may be shown."""
    context = None if approval.context is None else mask_encoded(approval.context)
    return msgspec.structs.replace(approval, reason=mask_text(approval.reason), context=context, tokens=())
