import asyncio
import datetime
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stepwell.clock import FakeClock
from stepwell.connectors import MailServer, OpenConnection, SmtpMail, read_mail
from stepwell.errors import StepError
from stepwell.values import Json
from unit.connectors.servers import Act

CLOCK = FakeClock(1_700_000_000_000)


class Catcher:
    """Keeps what arrives; answers per SMTP command may be set."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.refuse_recipient: dict[str, str] = {}
        self.data_answer = "250 kept"
        self.on_data: Callable[[SMTP], None] = lambda server: None

    def message(self) -> EmailMessage:
        content = self.envelopes[-1].content
        assert isinstance(content, bytes)
        message = message_from_bytes(content.replace(b"\r\n", b"\n"), policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if address in self.refuse_recipient:
            return self.refuse_recipient[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.envelopes.append(envelope)
        self.on_data(server)
        return self.data_answer


Start = Callable[..., MailServer]


@pytest.fixture
def catcher() -> Catcher:
    return Catcher()


@pytest.fixture
def start(catcher: Catcher, unused_tcp_port: int) -> Iterator[Start]:
    """Start the catcher; the answer is the server to send to."""
    controllers: list[Controller] = []

    def begin(
        tls: str = "none", username: str | None = None, password: str | None = None, **options: Any
    ) -> MailServer:
        controller = Controller(catcher, hostname="127.0.0.1", port=unused_tcp_port, **options)
        controller.start()
        controllers.append(controller)
        return MailServer("127.0.0.1", unused_tcp_port, tls, "Shop <shop@example.com>", username, password)

    yield begin
    for controller in controllers:
        controller.stop()


async def send(mail: SmtpMail, server: MailServer, operation: str = "run:send", **params: Json) -> str:
    given = {"to": ["ana@example.com"], "subject": "Hello", "text": "Hi"} | params
    return (await mail.send(server, read_mail(given, server.sender), operation, 5.0)).message_id


async def failure(mail: SmtpMail, server: MailServer, timeout_s: float = 5.0, **params: Json) -> StepError:
    given = {"to": ["ana@example.com"], "subject": "Hello", "text": "Hi"} | params
    with pytest.raises(StepError) as error:
        await mail.send(server, read_mail(given, server.sender), "run:send", timeout_s)
    return error.value


async def test_a_mail_arrives_with_its_headers_and_text(mail: SmtpMail, start: Start, catcher: Catcher) -> None:
    identity = await send(
        mail,
        start(),
        to=["Ana <ana@example.com>", "bo@example.com"],
        cc=["cy@example.com"],
        reply_to=["help@example.com"],
        subject="Grüße, Order #1",
        text="Hi Ana\n",
    )

    message = catcher.message()
    assert message["From"] == "Shop <shop@example.com>"
    assert message["To"] == "Ana <ana@example.com>, bo@example.com"
    assert message["Cc"] == "cy@example.com"
    assert message["Reply-To"] == "help@example.com"
    assert message["Subject"] == "Grüße, Order #1"
    assert message["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    assert message["Message-ID"] == identity
    assert message.get_content() == "Hi Ana\n"
    assert catcher.envelopes[0].rcpt_tos == ["ana@example.com", "bo@example.com", "cy@example.com"]


async def test_the_action_sends_from_the_connections_sender(act: Act, start: Start, catcher: Catcher) -> None:
    server = start()
    credentials = {"host": server.host, "port": str(server.port), "tls": "none", "from": "Shop <shop@example.com>"}
    connection = OpenConnection("c1", "smtp", "live", None, credentials)

    output = await act(connection, "smtp.sendEmail", {"to": "ana@example.com", "subject": "Hi", "text": "x"})

    assert output == {"messageId": catcher.message()["Message-ID"], "status": "sent"}
    assert catcher.message()["From"] == "Shop <shop@example.com>"


async def test_the_action_tells_which_recipients_were_refused(act: Act, start: Start, catcher: Catcher) -> None:
    catcher.refuse_recipient["bo@example.com"] = "550 No such user"
    server = start()
    credentials = {"host": server.host, "port": str(server.port), "tls": "none", "from": "shop@example.com"}
    connection = OpenConnection("c1", "smtp", "live", None, credentials)

    output = await act(connection, "smtp.sendEmail", {"to": "ana@example.com, bo@example.com", "subject": "Hi"})

    assert output["rejected"] == ["bo@example.com"]


async def test_blind_copies_are_in_the_envelope_only(mail: SmtpMail, start: Start, catcher: Catcher) -> None:
    await send(mail, start(), bcc=["secret@example.com"])

    assert catcher.envelopes[0].rcpt_tos == ["ana@example.com", "secret@example.com"]
    assert b"secret@example.com" not in bytes(catcher.message())


async def test_html_and_text_are_alternatives(mail: SmtpMail, start: Start, catcher: Catcher) -> None:
    await send(mail, start(), text="plain", html="<p>rich</p>")

    plain, rich = catcher.message().iter_parts()
    assert (plain.get_content_type(), rich.get_content_type()) == ("text/plain", "text/html")


async def test_html_alone_is_sent_as_html(mail: SmtpMail, start: Start, catcher: Catcher) -> None:
    await send(mail, start(), text=None, html="<p>Total: $4860</p>")

    assert catcher.message().get_content_type() == "text/html"
    assert catcher.message().get_content() == "<p>Total: $4860</p>\n"


async def test_attachments_keep_name_type_and_bytes(mail: SmtpMail, start: Start, catcher: Catcher) -> None:
    content = bytes(range(256))
    await send(
        mail,
        start(),
        attachments=[
            {"filename": "a.bin", "content": b64encode(content).decode(), "contentType": "application/x-own"},
            {"filename": "b.pdf", "content": b64encode(b"%PDF").decode()},
            {"filename": "c", "content": "", "contentType": "multipart/mixed"},
        ],
    )

    parts = list(catcher.message().iter_attachments())
    assert [(part.get_filename(), part.get_content_type()) for part in parts] == [
        ("a.bin", "application/x-own"),
        ("b.pdf", "application/pdf"),
        ("c", "application/octet-stream"),
    ]
    assert parts[0].get_content() == content


async def test_the_message_id_follows_from_the_operation(mail: SmtpMail, start: Start) -> None:
    server = start()
    first = await send(mail, server, operation="run_1:send")
    again = await send(mail, server, operation="run_1:send")
    other = await send(mail, server, operation="run_2:send")

    assert first == again != other
    assert first.endswith("@example.com>")


async def test_a_line_of_one_dot_does_not_end_the_mail(mail: SmtpMail, start: Start, catcher: Catcher) -> None:
    await send(mail, start(), text="one\n.\ntwo\n")

    assert catcher.message().get_content() == "one\n.\ntwo\n"


async def test_loopback_is_refused_unless_private_addresses_are_allowed(start: Start, catcher: Catcher) -> None:
    error = await failure(SmtpMail(CLOCK, allow_private=False), start())

    assert error.message == (
        "Connection to 127.0.0.1 refused: it is a loopback address; "
        "the server setting STEPWELL_EGRESS_ALLOW_PRIVATE allows it"
    )
    assert (error.kind, error.retryable, error.outcome_unknown) == ("network", False, False)
    assert catcher.envelopes == []


async def test_no_server_is_a_network_error_that_did_nothing(mail: SmtpMail, unused_tcp_port: int) -> None:
    error = await failure(mail, MailServer("127.0.0.1", unused_tcp_port, "none", "shop@example.com"))

    assert (error.kind, error.retryable, error.outcome_unknown) == ("network", True, False)


@pytest.mark.parametrize(("answer", "retryable"), [("450 Mailbox busy", True), ("550 No such user", False)])
async def test_a_refused_recipient_is_retried_by_its_code(
    mail: SmtpMail, start: Start, catcher: Catcher, answer: str, retryable: bool
) -> None:
    catcher.refuse_recipient["ana@example.com"] = answer

    error = await failure(mail, start())

    assert error.message == f"Mail server answered {answer[:3]}: ana@example.com: {answer[4:]}"
    assert (error.kind, error.retryable, error.outcome_unknown) == ("provider", retryable, False)


@pytest.mark.parametrize(("answer", "retryable"), [("451 Try later", True), ("554 Spam", False)])
async def test_a_refused_message_is_retried_by_its_code(
    mail: SmtpMail, start: Start, catcher: Catcher, answer: str, retryable: bool
) -> None:
    catcher.data_answer = answer

    error = await failure(mail, start())

    assert error.message == f"Mail server answered {answer[:3]}: {answer[4:]}"
    assert (error.kind, error.retryable) == ("provider", retryable)


async def test_a_recipient_refused_among_others_is_told(mail: SmtpMail, start: Start, catcher: Catcher) -> None:
    catcher.refuse_recipient["bo@example.com"] = "550 No such user"
    server = start()
    to_both = read_mail({"to": ["ana@example.com", "bo@example.com"], "subject": "Hi"}, server.sender)

    sent = await mail.send(server, to_both, "run:send", 5.0)

    assert sent.rejected == ("bo@example.com",)
    assert catcher.envelopes[0].rcpt_tos == ["ana@example.com"]


async def test_a_connection_lost_after_the_message_has_an_unknown_outcome(
    mail: SmtpMail, start: Start, catcher: Catcher
) -> None:
    catcher.on_data = lambda server: server.transport.abort()

    error = await failure(mail, start())

    assert error.message == "Connection to 127.0.0.1 lost"
    assert (error.kind, error.retryable, error.outcome_unknown) == ("network", True, True)


async def test_a_server_that_never_greets_is_a_connection_timeout(mail: SmtpMail) -> None:
    done = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        error = await failure(mail, MailServer("127.0.0.1", port, "none", "shop@example.com"), timeout_s=0.2)
        done.set()

    assert (error.message, error.kind, error.retryable) == ("Connection timeout", "timeout", True)
    assert not error.outcome_unknown


async def test_starttls_is_required_where_it_is_asked_for(mail: SmtpMail, start: Start, catcher: Catcher) -> None:
    error = await failure(mail, start(tls="starttls"))

    assert "STARTTLS" in error.message
    assert catcher.envelopes == []


async def test_wrong_credentials_are_refused_for_good(mail: SmtpMail, start: Start) -> None:
    server = start(
        username="ana",
        password="wrong-password",
        authenticator=lambda *_: AuthResult(success=False, handled=False),
        auth_require_tls=False,
    )

    error = await failure(mail, server)

    assert (error.kind, error.retryable) == ("provider", False)
    assert "535" in error.message


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return pem


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_starttls_encrypts_before_the_credentials_are_sent(
    start: Start, catcher: Catcher, certificate: Path
) -> None:
    mail = SmtpMail(CLOCK, allow_private=True, tls_context=ssl.create_default_context(cafile=str(certificate)))
    server = start(
        tls="starttls",
        username="ana",
        password="pass-word",
        tls_context=server_context(certificate),
        authenticator=lambda *_: AuthResult(success=True),
        auth_required=True,
        auth_require_tls=True,
    )

    await send(mail, server)

    assert len(catcher.envelopes) == 1


async def test_a_certificate_nobody_vouches_for_is_refused(
    mail: SmtpMail, start: Start, catcher: Catcher, certificate: Path
) -> None:
    error = await failure(mail, start(tls="starttls", tls_context=server_context(certificate)))

    assert (error.message, error.retryable) == ("The certificate of 127.0.0.1 is not valid", False)
    assert catcher.envelopes == []


async def test_a_check_logs_in_and_sends_nothing(mail: SmtpMail, start: Start, catcher: Catcher) -> None:
    seen: list[str] = []

    def login(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        seen.append(data.login.decode())
        return AuthResult(success=data.password == b"right", handled=False)

    options = {"authenticator": login, "auth_require_tls": False}
    server = start(username="ann", password="right", **options)

    await mail.check(server, 5.0)

    assert seen == ["ann"] and catcher.envelopes == []


async def test_a_check_with_a_wrong_password_is_refused_for_good(mail: SmtpMail, start: Start) -> None:
    def login(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=False, handled=False)

    server = start(username="ann", password="wrong", authenticator=login, auth_require_tls=False)

    with pytest.raises(StepError, match="535") as error:
        await mail.check(server, 5.0)

    assert not error.value.retryable
