"""Mails as items: a message as it was received, turned into JSON of bounded size, whatever it is made of."""

import email
import email.policy
from collections.abc import Callable
from datetime import UTC
from email.message import EmailMessage
from email.utils import getaddresses, parsedate_to_datetime
from functools import partial
from typing import TypeVar

from stepwell.values import Json

LONGEST_TEXT = 262_144
LONGEST_HEADER = 4096
MOST_ADDRESSES, MOST_PARTS, MOST_ATTACHMENTS = 200, 200, 100

T = TypeVar("T")


def read_message(raw: bytes) -> dict[str, Json]:
    """`{messageId, from, to, cc, subject, date, text, html, attachments}`. `from` is `{name, address}` or null, `to`
    and `cc` are lists of such; `date` is ISO 8601 in UTC; of attachments name, type and size in bytes are told. What
    cannot be read is null."""
    return _shown(_parsed(raw))


def header(message: EmailMessage, name: str) -> str | None:
    """The first header of that name, decoded, without the spaces around it."""
    value = _tried(lambda: message[name])
    text = _tried(lambda: " ".join(str(value).split())) if value is not None else None
    return text[:LONGEST_HEADER] if text else None


def read_headers(raw: bytes) -> tuple[str, str]:
    """`From` and `Subject` of a message's head, decoded, in lower case."""
    message = _parsed(raw)
    return (header(message, "from") or "").casefold(), (header(message, "subject") or "").casefold()


def _parsed(raw: bytes) -> EmailMessage:
    """The message, an empty one if it cannot be parsed at all."""
    return _tried(lambda: email.message_from_bytes(raw, policy=email.policy.default)) or EmailMessage()


def _shown(message: EmailMessage) -> dict[str, Json]:
    senders = _addresses(message, "from")
    return {
        "messageId": header(message, "message-id"),
        "from": senders[0] if senders else None,
        "to": _addresses(message, "to"),
        "cc": _addresses(message, "cc"),
        "subject": header(message, "subject"),
        "date": _date(header(message, "date")),
        "text": _body(message, "plain"),
        "html": _body(message, "html"),
        "attachments": _attachments(message),
    }


def _addresses(message: EmailMessage, name: str) -> list[Json]:
    text = header(message, name)
    pairs = _tried(lambda: getaddresses([text])) if text else None
    return [{"name": shown or None, "address": address} for shown, address in (pairs or [])[:MOST_ADDRESSES] if address]


def _date(text: str | None) -> str | None:
    moment = _tried(lambda: parsedate_to_datetime(text)) if text else None
    if moment is None:
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return _tried(lambda: aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def _body(message: EmailMessage, kind: str) -> str | None:
    part = _tried(lambda: message.get_body((kind,)))
    if part is None:
        return None
    text = _tried(lambda: part.get_content())
    if not isinstance(text, str):  # of a character set that nobody knows
        raw = _tried(lambda: part.get_payload(decode=True))
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else None
    return None if text is None else _sound(text[:LONGEST_TEXT])


def _attachments(message: EmailMessage) -> list[Json]:
    found: list[Json] = []
    for number, part in enumerate(_tried(lambda: list(message.walk())) or []):
        if number >= MOST_PARTS or len(found) >= MOST_ATTACHMENTS:
            break
        name = _tried(part.get_filename)
        if name is None and _tried(part.get_content_disposition) != "attachment":
            continue
        content = None if part.is_multipart() else _tried(partial(part.get_payload, decode=True))
        found.append(
            {
                "name": _sound(name[:255]) if name else None,
                "contentType": _tried(part.get_content_type),
                "size": len(content) if isinstance(content, bytes) else None,
            }
        )
    return found


def _sound(text: str) -> str:
    """The text without lone surrogates, which the parser leaves where bytes are of no known character set."""
    return text.encode("utf-8", "replace").decode()


def _tried(read: Callable[[], T]) -> T | None:
    """What a part of a message says, None if it cannot be read."""
    try:
        return read()
    except Exception:  # noqa: BLE001 - on hostile mail the parser of the standard library raises whatever it likes
        return None
