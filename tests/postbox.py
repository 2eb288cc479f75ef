"""A real IMAP server (pymap) in a process of its own, with a mailbox that tests put mails into."""

import imaplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

START_S = 20.0
USER, PASSWORD = "demouser", "demopass"


@dataclass(frozen=True)
class Postbox:
    """The server, with some mails in INBOX from the start."""

    port: int

    @property
    def credentials(self) -> dict[str, str]:
        """Of a connection of the provider email_imap."""
        return {
            "host": "127.0.0.1",
            "port": str(self.port),
            "tls": "none",
            "username": USER,
            "password": PASSWORD,
        }

    def put(self, raw: bytes, mailbox: str = "INBOX", flags: str = "") -> None:
        """Let a mail arrive."""
        with self._session() as session:
            said = session.append(mailbox, flags, imaplib.Time2Internaldate(time.time()), raw.replace(b"\n", b"\r\n"))
        assert said[0] == "OK", said

    def seen(self) -> list[bool]:
        """Of each mail in INBOX, whether it is marked as seen."""
        with self._session() as session:
            session.select("INBOX", readonly=True)
            _, found = session.fetch("1:*", "(FLAGS)")
        return [b"\\Seen" in line for line in found if isinstance(line, bytes)]

    @contextmanager
    def _session(self) -> Iterator[imaplib.IMAP4]:
        session = imaplib.IMAP4("127.0.0.1", self.port, timeout=START_S)
        try:
            session.login(USER, PASSWORD)
            yield session
        finally:
            with suppress(imaplib.IMAP4.error, OSError):
                session.logout()


@contextmanager
def postbox(*options: str) -> Iterator[Postbox]:
    """The server, with further options of pymap's command line; without TLS if there are none."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command: Sequence[str] = [
        str(Path(sys.executable).with_name("pymap")),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--no-service", "managesieve", "--no-service", "admin"),
        *(options or ("--no-tls",)),
        *("dict", "--demo-data"),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process)
            yield Postbox(port)
        finally:
            process.terminate()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, "pymap does not start"
            time.sleep(0.02)
