"""Clients of a server that may be gone at any moment: they repeat a start until it is acknowledged."""

import asyncio
import io
import itertools
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

from stepwell.clock import iso
from stepwell.values import encode

ADMIN_KEY = "wfk_admin-key-of-the-acceptance-tests"
SETTINGS = {
    "STEPWELL_ADMIN_KEY": ADMIN_KEY,
    "STEPWELL_EGRESS_ALLOW_PRIVATE": "true",
    "STEPWELL_LOG_LEVEL": "warning",
    **{f"STEPWELL_RATE_LIMIT_{kind}": "0" for kind in ("READ", "WRITE", "EXECUTE", "WEBHOOKS")},
}
PATIENCE_S = 30.0
LOOK_S = 0.02
AT_ONCE = 16  # requests in flight when many are made

T = TypeVar("T")
GONE = (aiohttp.ClientError, TimeoutError, ConnectionError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def busy(self) -> bool:
        """Refused for now, and said when to come again."""
        return self.status == 503 and self.headers.get("Retry-After", "").isdigit()


class Api:
    """The HTTP API at one address, asked with the admin's key. Paths are below `/api/v1`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers={"x-api-key": ADMIN_KEY})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def ask(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, timeout_s: float = PATIENCE_S
    ) -> Answer:
        """One request. Raises what `GONE` lists if there is no answer."""
        async with self._session.request(
            method,
            f"{self.url}/api/v1{path}",
            data=None if body is None else io.BytesIO(encode(body)),
            headers={"Content-Type": "application/json"} | ({} if key is None else {"Idempotency-Key": key}),
            timeout=aiohttp.ClientTimeout(timeout_s),
        ) as answer:
            return Answer(answer.status, answer.headers, await answer.json())

    async def whole(self, method: str, path: str, body: Any = None) -> Any:
        """The body of a success."""
        answer = await self.ask(method, path, body)
        assert answer.status < 300, f"{method} {path}: {answer}"
        return answer.body

    async def data(self, method: str, path: str, body: Any = None) -> Any:
        """The data of a success."""
        return (await self.whole(method, path, body))["data"]

    async def publish(self, name: str, *steps: Any, **fields: Any) -> str:
        """The id of a new active workflow."""
        document = {"name": name, "trigger": {"type": "api"}, "steps": steps, **fields}
        id: str = (await self.data("POST", "/workflows", document))["id"]
        await self.data("POST", f"/workflows/{id}/activate")
        return id

    async def start(self, workflow: str, given: Any = None, *, key: str | None = None, impatient: bool = False) -> str:
        """The id of a run. With a key, the start is repeated until it is acknowledged; an impatient client gives up
        its first request almost at once."""
        for attempt in itertools.count():
            try:
                timeout_s = 0.003 if impatient and attempt == 0 else 5.0
                body = {"input": given or {}}
                answer = await self.ask("POST", f"/workflows/{workflow}/run", body, key=key, timeout_s=timeout_s)
            except GONE:
                if key is None:
                    raise
            else:
                if answer.status == 202:
                    run: str = answer.body["data"]["runId"]
                    return run
                assert key is not None and answer.busy, f"start refused: {answer}"
            await asyncio.sleep(LOOK_S)
        raise AssertionError

    async def run(self, run: str) -> Any:
        """Everything about a run."""
        return await self.data("GET", f"/runs/{run}")

    async def final(self, run: str, timeout_s: float = PATIENCE_S) -> Any:
        """A run once it is final."""

        async def ended() -> Any:
            found = await self.run(run)
            return found if found["completedAt"] else None

        return await until(ended, f"the end of {run}", timeout_s)

    async def listed(self, **filters: str) -> list[Any]:
        """All runs, page by page."""
        return [run async for run in self._pages(filters)]

    async def ended_before(self, now_ms: int) -> bool:
        """Whether no run that was created before a time is open."""
        for status in ("pending", "running", "suspended"):
            filters = {"status": status, "createdBefore": iso(now_ms), "limit": "1"}
            if (await self.whole("GET", f"/runs?{_query(filters)}"))["data"]:
                return False
        return True

    async def all_ended(self, timeout_s: float = PATIENCE_S) -> None:
        """Wait until no run is open that was created before now."""
        now_ms = int(time.time() * 1000) + 1
        await until(lambda: self.ended_before(now_ms), "the end of all runs", timeout_s)

    async def ready(self) -> bool:
        """Whether the server says that it takes requests."""
        async with self._session.get(f"{self.url}/readyz", timeout=aiohttp.ClientTimeout(5)) as answer:
            return answer.status == 200

    async def unready(self) -> bool:
        """Whether the server says that it takes none."""
        return not await self.ready()

    async def refused(self, workflow: str, given: Any = None) -> Answer | None:
        """The answer to a start without a key, if it is not taken."""
        answer = await self.ask("POST", f"/workflows/{workflow}/run", {"input": given or {}})
        return None if answer.status == 202 else answer

    async def call(self, function: str, payload: Any) -> Answer:
        """The answer of a function."""
        async with self._session.post(f"{self.url}/fn/{function}", data=encode(payload)) as answer:
            return Answer(answer.status, answer.headers, await answer.json())

    async def begin_call(self, function: str, payload: Any) -> Callable[[], Awaitable[bytes]]:
        """Send a call on a connection of its own; what is returned waits for the body of its answer."""
        host, _, port = self.url.rpartition("/")[2].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        body = encode(payload)
        head = (
            f"POST /fn/{function} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()

        async def answered() -> bytes:
            whole = await reader.read()
            writer.close()
            return whole.partition(b"\r\n\r\n")[2]

        return answered

    async def told(self, function: str, message: str) -> bool:
        """Whether a call is refused for now with a message."""
        answer = await self.call(function, 0)
        return answer.busy and bool(answer.body["message"] == message)

    async def _pages(self, filters: Mapping[str, str]) -> AsyncIterator[Any]:
        cursor: dict[str, str] = {}
        while True:
            page = await self.whole("GET", f"/runs?{_query({'limit': '100', **filters, **cursor})}")
            for run in page["data"]:
                yield run
            if not page["meta"]["hasMore"]:
                return
            cursor = {"cursor": page["meta"]["cursor"]}


class Load:
    """Clients that start runs one after the other, each under a key of its own, until told to stop."""

    def __init__(self, api: Api, workflows: Sequence[str], chance: random.Random) -> None:
        self.acknowledged: dict[str, tuple[str, str]] = {}  # key: run, workflow
        self.doubled: list[str] = []  # keys that were acknowledged with two runs
        self._api = api
        self._workflows = workflows
        self._chance = chance
        self._stop = False

    def stop(self) -> None:
        """Each client still has its last start acknowledged, then ends."""
        self._stop = True

    async def run(self, clients: int) -> None:
        """Serve until told to stop."""
        async with asyncio.TaskGroup() as group:
            for client in range(clients):
                group.create_task(self._client(client))

    async def _client(self, client: int) -> None:
        chance = self._chance
        for number in itertools.count():
            if self._stop:
                return
            key, workflow = f"client-{client}-{number}", chance.choice(self._workflows)
            starts = 2 if chance.random() < 0.2 else 1
            for _ in range(starts):
                given = {"key": key, "n": number}
                run = await self._api.start(workflow, given, key=key, impatient=chance.random() < 0.1)
                if self.acknowledged.setdefault(key, (run, workflow))[0] != run:
                    self.doubled.append(key)
            await asyncio.sleep(chance.uniform(0, 0.05))  # a client thinks


async def until(found: Callable[[], Awaitable[T]], what: str, timeout_s: float = PATIENCE_S) -> T:
    """Look again and again until something true is found; no answer counts as nothing found."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            if result := await found():
                return result
        except GONE:
            pass
        assert time.monotonic() < end, f"{what} did not happen within {timeout_s:.0f} s"
        await asyncio.sleep(LOOK_S)


async def many(work: Iterable[Awaitable[T]]) -> list[T]:
    """Do all of it, a bounded number at once."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(each: Awaitable[T]) -> T:
        async with places:
            return await each

    return await asyncio.gather(*(one(each) for each in work))


def transform(step: str, **mapping: Any) -> Any:
    """A transform step."""
    return {"id": step, "type": "transform", "config": {"mapping": mapping}}


def wait(step: str, ms: int) -> Any:
    """A wait step."""
    return {"id": step, "type": "wait", "config": {"duration": ms}}


def api_step(step: str, url: str, *, attempts: int = 1, careful: bool = True, **fields: Any) -> Any:
    """A POST that says whose it is; a careful one is not repeated when its outcome is unknown."""
    config = {"url": url, "method": "POST", "body": {"of": "{{input.key}}", "step": step}}
    retry = {"maxAttempts": attempts, "initialDelayMs": 50, "maxDelayMs": 200}
    return {
        "id": step,
        "type": "api",
        "config": config if careful else config | {"retryNonIdempotent": True},
        "retryConfig": retry,
        **fields,
    }


def _query(filters: Mapping[str, str]) -> str:
    return "&".join(f"{name}={value}" for name, value in filters.items())
