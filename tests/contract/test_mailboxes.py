"""Mailboxes: which servers may be reached, how they are trusted, and what hostile ones can do."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from postbox import Postbox, postbox
from stepwell.connectors import Look, MailboxSource, OpenConnection
from stepwell.errors import StepError
from stepwell.triggers import Subscription
from stepwell.values import Json

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def look(credentials: dict[str, str], state: Json = None, **params: Json) -> Look:
    subscription = Subscription(
        event="email_imap.new_mail",
        params=params,
        connection=None,
        interval_s=300,
        first="emit",
        most_items=100,
        filter=None,
    )
    return Look(
        workspace="w",
        trigger="t",
        subscription=subscription,
        connection=OpenConnection("c", "email_imap", "live", None, credentials),
        state=state,
        limit=2,
        now_ms=0,
        timeout_s=10,
    )


@pytest.fixture
def source() -> Iterator[MailboxSource]:
    made = MailboxSource(allow_private=True)
    yield made
    made.close()


@asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[dict[str, str]]:
    """A server that says what it is told to; the credentials for it."""
    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield {"host": "127.0.0.1", "port": str(port), "tls": "none", "username": "u", "password": "p"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody has signed, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-out", str(cert), "-keyout", str(key)),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


@pytest.fixture(scope="module")
def secure(certificate: tuple[Path, Path]) -> Iterator[Postbox]:
    cert, key = certificate
    with postbox("--cert", str(cert), "--key", str(key)) as box:
        yield box


async def test_a_look_takes_so_many_mails_and_the_next_goes_on_there(source: MailboxSource) -> None:
    with postbox() as box:
        first = await source.look(look(box.credentials))
        second = await source.look(look(box.credentials, first.state))
        third = await source.look(look(box.credentials, second.state))

    assert [len(found.items) for found in (first, second, third)] == [2, 2, 0]
    assert len({item.id for item in first.items + second.items}) == 4


async def test_a_private_address_is_not_reached_unless_that_is_allowed() -> None:
    guarded = MailboxSource(allow_private=False)

    with pytest.raises(StepError, match="refused: it is a loopback address"):
        await guarded.look(look({"host": "127.0.0.1", "port": "143", "tls": "none", "username": "u", "password": "p"}))

    guarded.close()


async def test_encryption_is_begun_before_the_password_is_sent(secure: Postbox, certificate: tuple[Path, Path]) -> None:
    trusting = MailboxSource(allow_private=True, tls_context=ssl.create_default_context(cafile=str(certificate[0])))

    found = await trusting.look(look({**secure.credentials, "tls": "starttls"}))

    assert len(found.items) == 2
    trusting.close()


async def test_a_certificate_that_nobody_trusts_is_refused(source: MailboxSource, secure: Postbox) -> None:
    with pytest.raises(StepError, match="The certificate of 127.0.0.1 is not valid"):
        await source.look(look({**secure.credentials, "tls": "starttls"}))


async def test_a_server_without_encryption_gets_no_password(source: MailboxSource) -> None:
    said: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK [CAPABILITY IMAP4rev1] hello\r\n")
        while line := await reader.readline():
            said.append(line)
            tag = line.split()[0]
            writer.write(b"* CAPABILITY IMAP4rev1\r\n" + tag + b" OK\r\n")
        writer.close()

    async with server(talk) as credentials:
        with pytest.raises(StepError, match="Mail server"):
            await source.look(look({**credentials, "tls": "starttls"}))

    assert not any(b"LOGIN" in line for line in said)


async def test_a_server_that_announces_too_much_is_cut_off(source: MailboxSource) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK hello\r\n")
        await reader.readline()
        writer.write(b"* OK {9999999999}\r\n")
        await reader.read()
        writer.close()

    async with server(talk) as credentials:
        with pytest.raises(StepError, match="it sends more than can be read"):
            await source.look(look(credentials))


async def test_a_look_that_is_cancelled_lets_go_of_a_silent_server(source: MailboxSource) -> None:
    left = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        left.set()

    async with server(talk) as credentials:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await source.look(look(credentials))
        async with asyncio.timeout(5):
            await left.wait()


async def test_a_server_that_speaks_another_protocol_is_a_failure(source: MailboxSource) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with server(talk) as credentials:
        with pytest.raises(StepError):
            await source.look(look(credentials))
