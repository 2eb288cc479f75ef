"""A real server on a loopback port in a thread of its own, and a client of it."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import requests
import uvicorn

from stepwell.clock import Clock
from stepwell.core import core
from stepwell.events import EVENTS
from stepwell.serving import Parts, running
from stepwell.settings import Settings
from stepwell.values import Json, decode, encode

T = TypeVar("T")

ROOT = Path(__file__).parents[1]
SEEDS = Path(os.environ.get("STEPWELL_SEEDS", ROOT.parent / "shared" / "seeds"))
PATIENCE_S = 10.0
SLOW_S = 5.0
"""Only then the server counts as overloaded: the tests beside these take what there is of processors."""


@dataclass
class LiveServer:
    """A server that listens, in a thread and loop of its own."""

    url: str
    parts: Parts
    loop: asyncio.AbstractEventLoop
    faults: list[dict[str, Any]]

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_S)


@dataclass(frozen=True)
class Api:
    """A client of one workspace. Paths are below `/api/v1`."""

    server: LiveServer
    workspace: str
    key: str

    def __call__(self, method: str, path: str, body: Json = None, **options: Any) -> requests.Response:
        headers = {"x-api-key": self.key, **options.pop("headers", {})}
        if body is not None:
            options["data"] = encode(body)
            headers.setdefault("Content-Type", "application/json")
        return requests.request(
            method, f"{self.server.url}/api/v1{path}", headers=headers, timeout=PATIENCE_S, **options
        )

    def get(self, path: str, **options: Any) -> requests.Response:
        return self("GET", path, **options)

    def post(self, path: str, body: Json = None, **options: Any) -> requests.Response:
        return self("POST", path, body, **options)

    def data(self, method: str, path: str, body: Json = None) -> Json:
        """The data of an answer that is a success."""
        response = self(method, path, body)
        assert response.ok, response.text
        return decode(response.content)["data"]

    def with_scopes(self, *scopes: str) -> "Api":
        """The same workspace with a key of these scopes."""
        made = self.server.call(self.server.parts.core.keys.create(self.workspace, "narrow", scopes))
        return replace(self, key=made.text)

    def workflow(self, document: Json, *, active: bool = True) -> str:
        """The id of a new workflow."""
        id: str = self.data("POST", "/workflows", document)["id"]
        if active:
            self.data("POST", f"/workflows/{id}/activate")
        return id

    def start(self, workflow: str, **body: Json) -> str:
        """The id of a new run."""
        id: str = self.data("POST", f"/workflows/{workflow}/run", body)["runId"]
        return id

    def finish(self, workflow: str, **body: Json) -> Json:
        """A new run, once it is final."""
        return self.final(self.start(workflow, **body))

    def final(self, run: str) -> Json:
        """The run, once it is final."""
        found = self.server.call(self.server.parts.core.runs.finished(self.workspace, run[4:], PATIENCE_S))
        assert found is not None, f"{run} does not end"
        return self.data("GET", f"/runs/{run}")

    def until(self, run: str, holds: Callable[[Json], Any]) -> Json:
        """The run, once something holds of it as it is shown."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds(found := self.data("GET", f"/runs/{run}")):
            assert time.monotonic() < deadline, f"{run} does not come so far: {found}"
            time.sleep(0.005)
        return found


NewApi = Callable[[], Api]


@contextmanager
def live(settings: Settings, clock: Clock | None = None) -> Iterator[LiveServer]:
    """A server in a thread, with the faults it told of; its time is that of the machine if no clock is given."""
    started: Future[LiveServer] = Future()
    stop = asyncio.Event()
    core.LONGEST_DELAY_S = SLOW_S

    async def serve() -> None:
        faults: list[dict[str, Any]] = []

        def sink(name: str, fields: Mapping[str, Any]) -> None:
            if EVENTS[name].level == "error":
                faults.append({"event": name, **fields})

        listening = socket.create_server(("127.0.0.1", 0))
        async with running(settings, (sink,), clock=clock) as parts:
            config = uvicorn.Config(
                parts.app, lifespan="off", log_config=None, access_log=False, server_header=False, date_header=False
            )
            server = _Server(config)
            serving = asyncio.create_task(server.serve([listening]))
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            started.set_result(LiveServer(url, parts, asyncio.get_running_loop(), faults))
            await stop.wait()
            server.should_exit = server.force_exit = True
            await serving

    def thread() -> None:
        try:
            asyncio.run(serve())
        except Exception as error:
            if not started.done():
                started.set_exception(error)
            raise

    serving = threading.Thread(target=thread, daemon=True)
    serving.start()
    server = started.result(PATIENCE_S)
    try:
        yield server
    finally:
        server.loop.call_soon_threadsafe(stop.set)
        serving.join(PATIENCE_S)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def transform(output: Json = None, **fields: Json) -> Json:
    """A workflow of one step that makes an object."""
    step = {"id": "shape", "type": "transform", "config": {"mapping": output or {"seen": "{{input}}"}}}
    return {"name": "Shape", "trigger": {"type": "api"}, "steps": [step], **fields}


def waiting() -> Json:
    """A workflow whose run stays open for an hour."""
    step = {"id": "pause", "type": "wait", "config": {"duration": 3_600_000}}
    return {"name": "Wait", "trigger": {"type": "api"}, "steps": [step]}


def failing() -> Json:
    """A workflow whose second step fails: it finds no connection."""
    steps = [
        {"id": "first", "type": "transform", "config": {"mapping": {"n": 1}}},
        {
            "id": "sync-to-crm",
            "type": "action",
            "action": "stripe.createInvoice",
            "config": {"customerId": "c", "amount": 1},
        },
    ]
    return {"name": "Fail", "trigger": {"type": "api"}, "steps": steps}


def refused(response: requests.Response, status: int, code: str, message: str | None = None) -> Json:
    """The details of an answer that must be this refusal, in the contract's envelope."""
    body = decode(response.content)
    assert (response.status_code, body["success"], body["error"]["code"]) == (status, False, code), response.text
    assert message is None or body["error"]["message"] == message
    return body["error"].get("details")
