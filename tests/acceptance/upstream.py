"""A loopback HTTP server that workflows call: it writes down every request and fails in the ways real ones do."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from acceptance.processes import free_port

PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived. `at` is in epoch ms."""

    path: str
    key: str | None
    body: Any
    at: float


class Upstream:
    """Creates charges; a repeated `Idempotency-Key` gets the first answer again. A path's first segment is its mode:

    `/charge` works, `/flaky` answers 503 to every third request, `/error` answers 500, `/slow` waits for `release`,
    `/lost` closes the connection when the work is done, `/twice` sends its answer again on `answer_again`.
    Every answer takes `latency_s`.
    """

    def __init__(self, port: int = 0, *, latency_s: float = 0) -> None:
        self.latency_s = latency_s
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.seen: list[Seen] = []
        self.release = asyncio.Event()
        self._arrived = asyncio.Condition()
        self._charges: dict[str | None, str] = {}
        self._answered: list[tuple[asyncio.Transport, bytes]] = []  # in the mode twice
        self._flaky = 0
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_route("*", "/{mode}/{rest:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release.set()
        assert self._runner is not None
        await self._runner.cleanup()

    def at(self, path: str) -> list[Seen]:
        """The requests to one path."""
        return [each for each in self.seen if each.path == path]

    def repeats(self, path: str) -> Counter[str | None]:
        """How often each key came to one path."""
        return Counter(each.key for each in self.at(path))

    def keys_of_one(self, path: str) -> set[int]:
        """How many keys each effect of one path had, whatever it was sent for."""
        keys: dict[Any, set[str | None]] = {}
        for each in self.at(path):
            keys.setdefault(each.body["of"], set()).add(each.key)
        return {len(each) for each in keys.values()}

    async def until(self, true: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
        """Wait until the requests that have arrived make something true; it is asked after each request."""
        async with asyncio.timeout(timeout_s), self._arrived:
            await self._arrived.wait_for(true)

    def answer_again(self) -> None:
        """Send every answer of the mode twice once more, on the connection that had asked for it."""
        for transport, answer in self._answered:
            transport.write(answer)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        key = request.headers.get("Idempotency-Key")
        self.seen.append(Seen(request.path, key, json.loads(body) if body else None, time.time() * 1000))
        async with self._arrived:
            self._arrived.notify_all()
        await asyncio.sleep(self.latency_s)
        mode = request.match_info["mode"]
        if mode == "error":
            return web.json_response({"error": {"message": "The bank is closed"}}, status=500)
        if mode == "flaky":
            self._flaky += 1
            if self._flaky % 3 == 0:
                return web.json_response({"error": {"message": "Too busy"}}, status=503)
        if mode == "slow":
            await self.release.wait()
        answer = json.dumps({"id": self._charges.setdefault(key, f"ch_{len(self._charges)}"), "key": key})
        if request.transport is not None and mode == "lost":
            request.transport.abort()
        if request.transport is not None and mode == "twice":
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
            self._answered.append((request.transport, (head + answer).encode()))
        return web.Response(text=answer, content_type="application/json")
