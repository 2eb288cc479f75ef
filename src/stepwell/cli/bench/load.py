"""A load generator over keep-alive connections on loopback, thin enough to leave the machine to the server."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import msgspec


@dataclass(frozen=True, slots=True)
class Answered:
    """What a load came to: requests a second, latencies in ms, and how many answers had another status than 2xx."""

    rate: float
    p50_ms: float
    p99_ms: float
    failed: int


class Connection(asyncio.Protocol):
    """One keep-alive connection that sends a request as soon as the one before is answered."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._buffer = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        end = head_end + 4 + length
        if len(self._buffer) < end or self._answer is None:
            return
        body, self._buffer = self._buffer[head_end + 4 : end], self._buffer[end:]
        answer, self._answer = self._answer, None
        answer.set_result((int(head[9:12]), body))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("the server closed the connection"))

    def ask(self, request: bytes) -> "asyncio.Future[tuple[int, bytes]]":
        """Send a request; its status and body."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


async def connect(port: int) -> Connection:
    """A connection to a server on loopback."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return connection


def request(method: str, path: str, key: str = "", body: object = None) -> bytes:
    """An HTTP/1.1 request as bytes."""
    content = b"" if body is None else msgspec.json.encode(body)
    head = f"{method} {path} HTTP/1.1\r\nhost: bench\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(content)}\r\n\r\n".encode() + content


async def load(port: int, make: Callable[[int], bytes], count: int, connections: int) -> Answered:
    """Send `count` requests over so many connections, each as fast as it is answered."""
    numbers = iter(range(count))
    latencies: list[float] = []
    failed = 0

    async def send(connection: Connection) -> None:
        nonlocal failed
        for number in numbers:
            began = time.perf_counter()
            status, _ = await connection.ask(make(number))
            latencies.append((time.perf_counter() - began) * 1000)
            failed += not 200 <= status < 300

    open_ones = [await connect(port) for _ in range(connections)]
    began = time.perf_counter()
    await asyncio.gather(*map(send, open_ones))
    took = time.perf_counter() - began
    for connection in open_ones:
        connection.close()
    latencies.sort()
    return Answered(count / took, latencies[count // 2], latencies[count * 99 // 100], failed)
