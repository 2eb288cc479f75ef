"""Notices: tells people, by e-mail and Slack, that an approval waits for them. Sent from the outbox, each once."""

import html
from collections.abc import Iterable

from stepwell import values
from stepwell.auth import mask_text
from stepwell.clock import Clock, iso
from stepwell.core.approvals import ApprovalLinks
from stepwell.core.connections import Connections
from stepwell.core.outbox import Outbox
from stepwell.definitions import Catalogue
from stepwell.errors import StepError
from stepwell.events import Events
from stepwell.steps import ApprovalWish, Call, ChosenConnection, ConnectionNeed
from stepwell.store import Approval
from stepwell.values import Json

_EMAIL, _SLACK = "sendEmail", "sendMessage"


class Notices:
    """Puts notices of approvals into the outbox. A channel without a connection is told of as an event, and holds
    nothing up: the approval can still be decided."""

    def __init__(
        self,
        outbox: Outbox,
        connections: Connections,
        catalogue: Catalogue,
        links: ApprovalLinks,
        clock: Clock,
        events: Events,
    ) -> None:
        self._outbox = outbox
        self._connections = connections
        self._catalogue = catalogue
        self._links = links
        self._clock = clock
        self._events = events

    async def send(self, approval: Approval, wish: ApprovalWish, to: tuple[str, ...], *, escalated: bool) -> None:
        """Tell approvers, or with `escalated` those who are told later. See engine.Environment."""
        kind = "escalation" if escalated else "notice"
        if (by_mail := wish.notify.get("email")) or escalated:
            addresses = to if escalated or by_mail is True else tuple(_texts(by_mail))
            for number, address in enumerate(each for each in addresses if "@" in each):
                message = self._mail(approval, address, escalated)
                providers = self._catalogue.offering(_EMAIL)
                await self._put(approval, providers, _EMAIL, message, f"{kind}:email:{number}")
        channel = wish.notify.get("slack")
        if isinstance(channel, str):
            message = {"channel": channel, "text": self._text(approval, self._sole(approval))}
            if isinstance(thread := wish.notify.get("slackThreadTs"), str):
                message["threadTs"] = thread
            await self._put(approval, ("slack",), _SLACK, message, f"{kind}:slack")

    def _sole(self, approval: Approval) -> str | None:
        """The approver whose link may be shown to whoever reads: only one who is alone."""
        return approval.approvers[0] if len(approval.approvers) == 1 else None

    def _mail(self, approval: Approval, address: str, escalated: bool) -> dict[str, Json]:
        """To an approver with the own link; to others with that of the only approver, unless they are told later: they
        are to see that somebody decides, not to decide in another's name."""
        approver = address if address in approval.approvers else None if escalated else self._sole(approval)
        text = self._text(approval, approver)
        body = "<br>".join(html.escape(line) for line in text.splitlines())
        subject = f"Approval needed: {mask_text(approval.reason)}"[:200]
        return {"to": [address], "subject": subject.replace("\n", " "), "text": text, "html": f"<p>{body}</p>"}

    def _text(self, approval: Approval, approver: str | None) -> str:
        lines = [mask_text(approval.reason)]
        if approval.context is not None:
            lines.append(mask_text(values.encode(values.decode(approval.context)).decode())[:2000])
        if approval.expires_at is not None:
            lines.append(f"Open until {iso(approval.expires_at)}.")
        if approver is not None:
            lines.append(f"Decide: {self._links.issue(approval.id, approver)[0]}")
        else:
            lines.append(f"To be decided by {', '.join(approval.approvers)} (apr_{approval.id}).")
        return "\n".join(lines)

    async def _put(
        self, approval: Approval, providers: tuple[str, ...], action: str, message: dict[str, Json], name: str
    ) -> None:
        try:
            chosen = await self._connections.choose(approval.workspace, ConnectionNeed(providers), None)
        except StepError as error:
            self._events.emit("approval.not_told", run=approval.run, approval=approval.id, error=error.message)
            return
        now = self._clock.now_ms()
        await self._outbox.put(f"{chosen.provider}.{action}", message, _call(approval, chosen, name, now), now)


def _call(approval: Approval, connection: ChosenConnection, name: str, now: int) -> Call:
    return Call(
        workspace=approval.workspace,
        workflow_id=approval.workflow,
        run_id=approval.run,
        path=approval.path,
        attempt=1,
        operation_id=f"apr_{approval.id}:{name}",
        now_ms=now,
        timeout_s=30.0,
        connection=connection,
        reveal=lambda value: value,
    )


def _texts(given: Json) -> Iterable[str]:
    parts = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else ()
    return (part.strip() for part in parts if isinstance(part, str))
