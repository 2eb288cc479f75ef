"""Messages: the parameters of `sendEmail` read into a mail, and a mail made into MIME."""

import binascii
import hashlib
import mimetypes
import re
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from stepwell.errors import StepError
from stepwell.values import Json

MAX_RECIPIENTS = 1000

_ADDRESS = re.compile(r"""[^\s<>@,;:()\[\]\\"]{1,64}@[^\s<>@,;:()\[\]\\"]{1,255}""")
_NAMED = re.compile(r"\s*([^<>]*?)\s*<\s*([^<>]*?)\s*>\s*")
_CONTENT_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTAINERS = ("multipart", "message")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a mail."""

    filename: str
    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail whose every header is safe to write."""

    sender: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    subject: str
    html: str | None
    text: str | None
    attachments: tuple[Attachment, ...]

    @property
    def recipients(self) -> list[str]:
        """The addresses of the envelope, each once."""
        return list(dict.fromkeys(address.addr_spec for address in (*self.to, *self.cc, *self.bcc)))


def read_mail(params: Json, default_sender: str) -> Mail:
    """Read `{from?, to, cc?, bcc?, reply_to?, subject, html?, text?, attachments?}`. Addresses are lists of
    `a@b.c` or `Name <a@b.c>`, or one text with commas.

    Raises:
        StepError: something is not an address, holds a line break, or is not base64.
    """
    mail = Mail(
        sender=_address(params.get("from") or default_sender),
        to=read_addresses(params.get("to")),
        cc=read_addresses(params.get("cc")),
        bcc=read_addresses(params.get("bcc")),
        reply_to=read_addresses(params.get("reply_to")),
        subject=_line("subject", params.get("subject") or ""),
        html=params.get("html"),
        text=params.get("text"),
        attachments=tuple(_attachment(each) for each in params.get("attachments") or ()),
    )
    if not mail.to:
        raise StepError("The mail has no recipient")
    if len(mail.recipients) > MAX_RECIPIENTS:
        raise StepError(f"The mail has more than {MAX_RECIPIENTS} recipients")
    return mail


def read_addresses(value: Json) -> tuple[Address, ...]:
    """Addresses of a list of `a@b.c` or `Name <a@b.c>`, or of one text with commas.

    Raises:
        StepError: one is no address, or holds a line break.
    """
    texts = value.split(",") if isinstance(value, str) else value or ()
    return tuple(_address(text) for text in texts if text.strip())


def message_id(operation_id: str, sender: Address) -> str:
    """The Message-ID of an operation: a repeat has the same one, so that it can be recognised."""
    return f"<{hashlib.sha256(operation_id.encode()).hexdigest()[:32]}@{sender.domain}>"


def build(mail: Mail, identity: str, now_ms: int) -> EmailMessage:
    """The MIME message; blind copies are in the envelope only."""
    message = EmailMessage()
    message["From"] = mail.sender
    for name, addresses in (("To", mail.to), ("Cc", mail.cc), ("Reply-To", mail.reply_to)):
        if addresses:
            message[name] = addresses
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(datetime.fromtimestamp(now_ms // 1000, UTC))
    message["Message-ID"] = identity
    if mail.html is None:
        message.set_content(mail.text or "")
    elif mail.text is None:
        message.set_content(mail.html, subtype="html")
    else:
        message.set_content(mail.text)
        message.add_alternative(mail.html, subtype="html")
    for each in mail.attachments:
        main, _, sub = each.content_type.partition("/")
        message.add_attachment(each.content, maintype=main, subtype=sub, filename=each.filename)
    return message


def _address(text: str) -> Address:
    line = _line("address", text).strip()
    named = _NAMED.fullmatch(line)
    name, bare = (named[1].strip('"'), named[2]) if named else ("", line)
    user, _, domain = bare.partition("@")
    try:
        if _ADDRESS.fullmatch(bare):
            return Address(name, user, domain.encode("idna").decode())
    except UnicodeError:
        pass
    raise StepError(f"Not an e-mail address: {line[:320]!r}")


def _attachment(value: Json) -> Attachment:
    filename = _line("attachment's name", value["filename"])
    try:
        content = b64decode(value["content"], validate=True)
    except (binascii.Error, ValueError):
        raise StepError(f"The content of attachment {filename!r} is not base64") from None
    told = value.get("contentType") or mimetypes.guess_type(filename)[0] or ""
    fit = _CONTENT_TYPE.fullmatch(told) and not told.lower().startswith(_CONTAINERS)
    return Attachment(filename, content, told if fit else "application/octet-stream")


def _line(what: str, text: str) -> str:
    if _CONTROL.search(text):
        raise StepError(f"The {what} of a mail holds a line break or control character")
    return text
