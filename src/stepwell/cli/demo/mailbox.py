"""A mail server on loopback that keeps what it is sent."""

import asyncio
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import Self

from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass(frozen=True, slots=True)
class Mail:
    """A message as it arrived: the envelope's addresses, and the message itself."""

    sender: str
    recipients: list[str]
    message: EmailMessage

    @property
    def text(self) -> str:
        """The body, HTML if it has no other."""
        body = self.message.get_body(("html", "plain"))
        return "" if body is None else str(body.get_content()).strip()


class Mailbox:
    """Listens on a free port of loopback while the block lasts; `received` is what arrived."""

    def __init__(self) -> None:
        self.received: list[Mail] = []
        self.host, self.port = "127.0.0.1", 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self, hostname="localhost", ident="Stepwell demo", loop=loop), self.host, 0
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - its protocol
        """Keep a message; called by the mail protocol."""
        content = envelope.content
        raw = content if isinstance(content, bytes) else str(content).encode()
        message = message_from_bytes(raw, _class=EmailMessage, policy=default)
        self.received.append(Mail(str(envelope.mail_from), [str(to) for to in envelope.rcpt_tos], message))
        return "250 Kept"
