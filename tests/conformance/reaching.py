"""What tests of signals share: events, approvals and broadcasts to store."""

from hashlib import sha256

import msgspec

from conformance.runs import NOW, Story
from stepwell.store import Approval, Broadcast, RunEvent

HASH = sha256(b"token").digest()


def an_event(story: Story, type: str = "paid", **fields: object) -> RunEvent:
    event = RunEvent(id=story.ids.new(), type=type, payload=b'{"n":1}', received_at=NOW)
    return msgspec.structs.replace(event, **fields)


def an_approval(story: Story, run: str, path: str = "ask", **fields: object) -> Approval:
    approval = Approval(
        workspace=story.workspace,
        id=story.ids.new(),
        run=run,
        workflow=story.workflow,
        path=path,
        step=path,
        status="pending",
        reason="Refund?",
        approvers=("ana", "bo"),
        require_all=True,
        context=b'{"amount":9}',
        tokens=(("ana", HASH),),
        expires_at=NOW + 900,
    )
    return msgspec.structs.replace(approval, **fields)


def a_broadcast(story: Story, type: str = "paid", match: bytes | None = b"{}") -> Broadcast:
    return Broadcast(workspace=story.workspace, event=an_event(story, type), match=match)


async def waiting_for(story: Story, type: str) -> list[str]:
    """The runs that wait for events of a type."""
    broadcast = a_broadcast(story, type, None)
    return [run.id for run in await story.store.signals.candidates(broadcast, 100)]
