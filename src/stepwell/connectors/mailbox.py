"""Mailboxes as a source of items: new mails of an IMAP server, over a guarded socket, in a thread of its own."""

import asyncio
import imaplib
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from stepwell.connectors.actions import OpenConnection
from stepwell.connectors.egress import EgressRefused, open_socket
from stepwell.connectors.items import Found, Item
from stepwell.connectors.mail_items import read_headers, read_message
from stepwell.connectors.polling import Look
from stepwell.errors import StepError
from stepwell.values import Json

MAX_MAIL_BYTES = 10 * 1024 * 1024
"""Of a longer mail only the head and this much of the body are read."""
MAX_LOOK_BYTES = 32 * 1024 * 1024
MAX_SESSION_BYTES = 64 * 1024 * 1024
MOST_SCANNED = 500
SESSIONS = 8
SILENCE_S = 20.0

_UID = re.compile(rb"\bUID ([0-9]+)")
_SIZE = re.compile(rb"\bRFC822\.SIZE ([0-9]+)")
_WIDE = re.compile(r"[^\x20-\x7e]+")
_HEAD = "(UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)])"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MailboxServer:
    """Where a mailbox is. `tls`: none, starttls (required, not merely tried) or tls."""

    host: str
    port: int
    tls: str
    username: str
    password: str = field(repr=False)

    @classmethod
    def of(cls, credentials: Mapping[str, str]) -> "MailboxServer":
        """The server of an email_imap connection's credentials."""
        return cls(
            host=credentials["host"],
            port=int(credentials["port"]),
            tls=credentials["tls"],
            username=credentials["username"],
            password=credentials["password"],
        )


class MailboxSource:
    """The source `mailbox`. Params: `mailbox` (default INBOX), `from` and `subject` (texts to be found in them),
    `unseen`, `markSeen`. The state is `{validity, uid}`: the mailbox's UIDVALIDITY, and the last UID that was looked
    at. If the validity is another, the server has numbered its mails anew: what is there then counts as seen."""

    def __init__(self, *, allow_private: bool, tls_context: ssl.SSLContext | None = None) -> None:
        self._allow_private = allow_private
        self._tls_context = tls_context
        self._threads = ThreadPoolExecutor(SESSIONS, thread_name_prefix="mailbox")

    async def look(self, look: Look) -> Found:
        """See polling.Source."""
        return await self._within(look.connection, lambda session: _new_mails(session, look))

    async def settled(self, look: Look, found: Found) -> None:
        """Mails that were dealt with are marked as seen, if that is wanted."""
        if look.subscription.params.get("markSeen"):
            uids = [item.id.partition(".")[2] for item in found.items]
            await self._within(look.connection, lambda session: session.mark(look, uids))

    def close(self) -> None:
        """Let the threads end; those that wait for a server end with its silence."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _trust(self) -> ssl.SSLContext:
        """The machine's certificates, read once, by the first session that needs them: it takes a while."""
        if self._tls_context is None:
            self._tls_context = ssl.create_default_context()
        return self._tls_context

    async def _within(self, connection: OpenConnection | None, work: Callable[["_Session"], T]) -> T:
        """What some work comes to in a session of its own, which ends with it, also when cancelled."""
        if connection is None:
            raise StepError("A mailbox needs a connection", code="CONNECTION_MISSING")
        server = MailboxServer.of(connection.credentials)
        holder: list[_Session] = []
        try:
            sock = await open_socket(server.host, server.port, self._allow_private)
            sock.settimeout(SILENCE_S)
            holder.append(_Session(server, sock, self._trust))
            return await asyncio.get_running_loop().run_in_executor(self._threads, holder[0].run, work)
        except EgressRefused as refusal:
            raise StepError(refusal.sentence(server.host), kind="network") from None
        except (imaplib.IMAP4.error, OSError, ValueError) as error:
            raise _failure(error, server.host) from error
        finally:
            for session in holder:
                session.abandon()


class _Imap(imaplib.IMAP4):
    """A client over a socket that is connected already, which reads no more than it may."""

    def __init__(self, sock: socket.socket) -> None:
        self._connected = sock
        self._left = MAX_SESSION_BYTES
        super().__init__()

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return self._connected

    def read(self, size: int) -> bytes:
        self._take(size)
        return super().read(size)

    def readline(self) -> bytes:
        line = super().readline()
        self._take(len(line))
        return line

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise imaplib.IMAP4.error("it sends more than can be read")


class _Session:
    """One session with a server; all of it runs in one thread, except `abandon`."""

    def __init__(self, server: MailboxServer, sock: socket.socket, trust: Callable[[], ssl.SSLContext]) -> None:
        self._server = server
        self._sock = sock
        self._trust = trust
        self._imap: _Imap | None = None

    def run(self, work: Callable[["_Session"], T]) -> T:
        """Log in, do the work, log out."""
        server = self._server
        if server.tls == "tls":
            self._sock = self._trust().wrap_socket(
                self._sock, server_hostname=server.host, do_handshake_on_connect=False
            )
            self._sock.do_handshake()
        imap = self._imap = _Imap(self._sock)
        if server.tls == "starttls":
            imap.host = server.host  # what the certificate must name
            imap.starttls(self._trust())
        _log_in(imap, server)
        result = work(self)
        with suppress(imaplib.IMAP4.error, OSError):  # what was asked for is there
            imap.logout()
        return result

    def abandon(self) -> None:
        """End the connection; a thread that waits for the server stops waiting."""
        for sock in {self._sock, self._imap.sock if self._imap else self._sock}:
            with suppress(OSError):  # it may be closed already
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def select(self, mailbox: str, *, readonly: bool) -> tuple[int, int]:
        """Open a mailbox; its UIDVALIDITY and the UID that the next mail will have."""
        status, said = self._open.select(_quoted(_utf7(mailbox)), readonly)
        if status != "OK":
            raise StepError(f"Mailbox {mailbox} cannot be opened: {_words(said)}", kind="provider")
        validity, following = self._number("UIDVALIDITY"), self._number("UIDNEXT")
        if following is None:
            following = max(self.search(1, unseen=False), default=0) + 1
        return validity or 0, following

    def search(self, start: int, *, unseen: bool) -> list[int]:
        """The UIDs from `start` on, in order."""
        wanted = f"UID {start}:*" + (" UNSEEN" if unseen else "")
        status, said = self._open.uid("SEARCH", wanted)
        if status != "OK":
            raise StepError(f"The mail server cannot search: {_words(said)}", kind="provider", retryable=True)
        texts = b" ".join(part for part in said if isinstance(part, bytes)).split()
        return sorted({int(text) for text in texts if text.isdigit() and int(text) >= start})

    def fetch(self, uids: list[int], what: str) -> dict[int, tuple[int, bytes]]:
        """Size and literal of each mail that is still there."""
        status, said = self._open.uid("FETCH", ",".join(map(str, uids)), what)
        if status != "OK":
            raise StepError(f"The mail server cannot fetch: {_words(said)}", kind="provider", retryable=True)
        found: dict[int, tuple[int, bytes]] = {}
        for at, part in enumerate(said):
            if isinstance(part, tuple):
                after = said[at + 1] if at + 1 < len(said) and isinstance(said[at + 1], bytes) else b""
                told = part[0] + b" " + after
                uid, size = _UID.search(told), _SIZE.search(told)
                if uid:
                    found[int(uid[1])] = (int(size[1]) if size else len(part[1]), part[1])
        return found

    def mark(self, look: Look, uids: list[str]) -> None:
        """Mark mails as seen."""
        self.select(_mailbox(look), readonly=False)
        self._open.uid("STORE", ",".join(uids), "+FLAGS.SILENT", r"(\Seen)")

    @property
    def _open(self) -> _Imap:
        if self._imap is None:
            raise StepError("The mailbox is not open")
        return self._imap

    def _number(self, name: str) -> int | None:
        said = self._open.response(name)[1]
        text = said[-1] if said else None
        return int(text) if isinstance(text, bytes) and text.isdigit() else None


def _new_mails(session: _Session, look: Look) -> Found:
    params, state = look.subscription.params, look.state or {}
    mailbox = _mailbox(look)
    validity, following = session.select(mailbox, readonly=True)
    if state.get("validity") != validity and not look.emits:
        return Found((), {"validity": validity, "uid": following - 1})
    last = int(state.get("uid", 0))
    uids = session.search(last + 1, unseen=bool(params.get("unseen")))[:MOST_SCANNED]
    if not uids:
        return Found((), {"validity": validity, "uid": max(last, following - 1)})
    heads = session.fetch(uids, _HEAD)
    fits = _matching(params)
    items: list[Item] = []
    left = MAX_LOOK_BYTES
    for uid in uids:
        size, head = heads.get(uid, (0, b""))
        if uid in heads and fits(head):
            left -= min(size, MAX_MAIL_BYTES)
            if len(items) == look.limit or (items and left < 0):
                break
            if (item := _item(session, mailbox, validity, uid, size)) is not None:
                items.append(item)
        last = uid
    return Found(tuple(items), {"validity": validity, "uid": last})


def _item(session: _Session, mailbox: str, validity: int, uid: int, size: int) -> Item | None:
    """A mail as it shows; None if it was removed meanwhile."""
    part = f"<0.{MAX_MAIL_BYTES}>" if size > MAX_MAIL_BYTES else ""
    fetched = session.fetch([uid], f"(UID BODY.PEEK[]{part})")
    if uid not in fetched:
        return None
    message = read_message(fetched[uid][1])
    return Item(f"{validity}.{uid}", {**message, "mailbox": mailbox, "uid": uid, "truncated": bool(part)})


def _matching(params: Mapping[str, Json]) -> Callable[[bytes], bool]:
    """Whether a mail's head holds the texts that are looked for, however the server would have compared them."""
    sender, subject = (str(params.get(name) or "").casefold() for name in ("from", "subject"))
    if not sender and not subject:
        return lambda head: True

    def fits(head: bytes) -> bool:
        by, about = read_headers(head)
        return sender in by and subject in about

    return fits


def _mailbox(look: Look) -> str:
    return str(look.subscription.params.get("mailbox") or "INBOX")


def _log_in(imap: _Imap, server: MailboxServer) -> None:
    """LOGIN takes ASCII only."""
    if server.username.isascii() and server.password.isascii():
        imap.login(_quoted(server.username), server.password)  # imaplib quotes the password itself, and only that
    else:
        imap.authenticate("PLAIN", lambda challenge: f"\0{server.username}\0{server.password}".encode())


def _quoted(text: str) -> str:
    """A quoted string of the protocol."""
    if any(char in text for char in "\r\n\0"):
        raise ValueError("a name holds a line break")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _utf7(name: str) -> str:
    """A mailbox's name in modified UTF-7. Source: RFC 3501, 5.1.3."""
    return _WIDE.sub(lambda found: f"&{_base64(found[0])}-", name.replace("&", "&-"))


def _base64(text: str) -> str:
    return b64encode(text.encode("utf-16-be")).decode().rstrip("=").replace("/", ",")


def _words(said: Sequence[object]) -> str:
    text = b" ".join(part for part in said if isinstance(part, bytes))
    return " ".join(text.decode("ascii", "replace").split())[:300]


def _failure(error: Exception, host: str) -> StepError:
    """What a failed session is."""
    if isinstance(error, TimeoutError):
        return StepError(f"Mail server {host} does not answer", kind="timeout", retryable=True)
    if isinstance(error, ssl.SSLCertVerificationError):
        return StepError(f"The certificate of {host} is not valid", kind="network")
    if isinstance(error, OSError):
        return StepError(f"Connection to {host} failed", kind="network", retryable=True)
    again = isinstance(error, imaplib.IMAP4.abort)  # of the connection, not of a command
    return StepError(f"Mail server {host}: {' '.join(str(error).split())[:300]}", kind="provider", retryable=again)
