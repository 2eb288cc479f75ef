"""Mail: messages handed to an SMTP server over a guarded socket."""

import asyncio
import re
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiosmtplib

from stepwell.clock import Clock
from stepwell.connectors.egress import EgressRefused, open_socket
from stepwell.connectors.message import Mail, build, message_id
from stepwell.errors import StepError

QUIT_S = 2.0

_HOSTNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. `tls`: none, starttls (required, not merely tried) or tls."""

    host: str
    port: int
    tls: str
    sender: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, credentials: Mapping[str, str]) -> "MailServer":
        """The server of an smtp connection's credentials (LoopFour contract 13)."""
        return cls(
            host=credentials["host"],
            port=int(credentials["port"]),
            tls=credentials["tls"],
            sender=credentials["from"],
            username=credentials.get("username"),
            password=credentials.get("password"),
        )


@dataclass(frozen=True, slots=True)
class Sent:
    """A mail the server has taken; `rejected` are the recipients it refused among others it took."""

    message_id: str
    rejected: tuple[str, ...] = ()


class SmtpMail:
    """Sends mails, a connection each."""

    def __init__(self, clock: Clock, *, allow_private: bool, tls_context: ssl.SSLContext | None = None) -> None:
        self._clock = clock
        self._allow_private = allow_private
        self._tls_context = tls_context or ssl.create_default_context()
        name = socket.gethostname()
        self._local_name = name if _HOSTNAME.fullmatch(name) else "localhost"

    async def send(self, server: MailServer, mail: Mail, operation_id: str, timeout_s: float) -> Sent:
        """Send a mail. Its Message-ID follows from the operation id.

        Raises:
            StepError: kind network or timeout (`outcome_unknown` if the message had begun to be sent), kind provider
                if the server refuses (retryable if it says that this is for now), or the egress guard's refusal.
        """
        identity = message_id(operation_id, mail.sender)
        message = build(mail, identity, self._clock.now_ms())
        session: _Session | None = None
        try:
            async with asyncio.timeout(timeout_s):
                session = await self._open(server)
                sender, recipients = mail.sender.addr_spec, mail.recipients
                rejected, _ = await session.send_message(message, sender=sender, recipients=recipients)
            await session.say_goodbye()
        except EgressRefused as refusal:
            raise StepError(refusal.sentence(server.host), kind="network") from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise _failure(error, server.host, session is not None and session.data_begun) from error
        finally:
            if session is not None:
                session.close()
        return Sent(identity, tuple(rejected))

    async def check(self, server: MailServer, timeout_s: float) -> None:
        """Connect and log in, and send nothing.

        Raises:
            StepError: as `send` does.
        """
        session: _Session | None = None
        try:
            async with asyncio.timeout(timeout_s):
                session = await self._open(server)
                await session.noop()
            await session.say_goodbye()
        except EgressRefused as refusal:
            raise StepError(refusal.sentence(server.host), kind="network") from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise _failure(error, server.host, data_begun=False) from error
        finally:
            if session is not None:
                session.close()

    async def _open(self, server: MailServer) -> "_Session":
        sock = await open_socket(server.host, server.port, self._allow_private)
        session = _Session(
            sock=sock,
            hostname=server.host,
            local_hostname=self._local_name,
            username=server.username,
            password=server.password,
            use_tls=server.tls == "tls",
            start_tls=server.tls == "starttls",
            tls_context=self._tls_context,
            timeout=None,
        )
        try:
            await session.connect()
        except BaseException:  # also when cancelled: until connected, the socket may have no other owner
            sock.close()
            raise
        return session


class _Session(aiosmtplib.SMTP):
    """A connection that knows whether a message has begun to be sent."""

    data_begun = False

    async def data(self, message: str | bytes, /, **options: Any) -> aiosmtplib.SMTPResponse:
        self.data_begun = True
        return await super().data(message, **options)

    async def say_goodbye(self) -> None:
        """QUIT; what was sent stays sent whatever comes back."""
        with suppress(aiosmtplib.SMTPException, OSError):
            await self.quit(timeout=QUIT_S)


def _failure(error: Exception, host: str, data_begun: bool) -> StepError:
    """What a failed sending is for the step. SMTP codes of 4xx are for now, 5xx for good."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _refusal(error.code, error.message)
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        first = error.recipients[0]
        code = min(each.code for each in error.recipients)
        return _refusal(code, f"{first.recipient}: {first.message}")
    if isinstance(error, TimeoutError):
        message = "Request timeout" if data_begun else "Connection timeout"
        return StepError(message, kind="timeout", retryable=True, outcome_unknown=data_begun)
    if isinstance(error, ssl.SSLCertVerificationError) or isinstance(error.__cause__, ssl.SSLCertVerificationError):
        return StepError(f"The certificate of {host} is not valid", kind="network")
    if isinstance(error, OSError):
        message = f"Connection to {host} lost" if data_begun else f"Connection to {host} failed"
        return StepError(message, kind="network", retryable=True, outcome_unknown=data_begun)
    return StepError(f"Mail server {host}: {error}", kind="provider")


def _refusal(code: int, said: str) -> StepError:
    message = f"Mail server answered {code}: {' '.join(said.split())}"
    return StepError(message, kind="provider", retryable=400 <= code < 500)
