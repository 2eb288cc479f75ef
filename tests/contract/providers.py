"""Loopback providers for event triggers: a feed or JSON address, and a GitHub that keeps hooks."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from answering import Seen
from live import PATIENCE_S, Api
from stepwell.store import FiringFilter, Trigger
from stepwell.values import Json, decode

Reply = tuple[int, dict[str, str], bytes]
Answer = Callable[[Seen], Reply]


@contextmanager
def provider(answer: Answer) -> Iterator[str]:
    """A server in a thread of its own that answers as a function says; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, extra, body = answer(Seen(self.command, self.path, headers, self.rfile.read(length)))
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Place:
    """An address whose content changes. `etag` makes it answer 304 to those who know it, `retry_after` says in seconds
    when it wants to be asked again."""

    body: bytes = b""
    etag: str | None = None
    retry_after: int | None = None
    status: int = 200
    url: str = ""
    seen: list[Seen] = field(default_factory=list)

    def answer(self, seen: Seen) -> Reply:
        self.seen.append(seen)
        headers = {"ETag": self.etag} if self.etag else {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if self.etag and seen.headers.get("if-none-match") == self.etag:
            return 304, headers, b""
        return self.status, headers, self.body


@dataclass
class GitHub:
    """The part of GitHub that keeps the hooks of repositories. `failing` statuses are used up by setups one by one,
    `refusing` by teardowns; with `lost` the next hook is made, but the answer is an error."""

    url: str = ""
    hooks: dict[str, dict[int, Json]] = field(default_factory=dict)
    failing: list[int] = field(default_factory=list)
    refusing: list[int] = field(default_factory=list)
    lost: bool = False
    made: int = 0
    seen: list[Seen] = field(default_factory=list)

    def answer(self, seen: Seen) -> Reply:
        self.seen.append(seen)
        repository, _, rest = seen.path.partition("?")[0].removeprefix("/repos/").partition("/hooks")
        hooks = self.hooks.setdefault(repository, {})
        if seen.method == "GET":
            return _json(200, list(hooks.values()))
        if seen.method == "DELETE" and self.refusing:
            return _json(self.refusing.pop(0), {"message": "Not now"})
        if seen.method == "DELETE":
            return (204, {}, b"") if hooks.pop(int(rest.strip("/")), None) else _json(404, {"message": "Not Found"})
        if self.failing:
            return _json(self.failing.pop(0), {"message": "Try again"})
        self.made += 1
        hooks[self.made] = {"id": self.made, **json.loads(seen.body)}
        if self.lost:
            self.lost = False
            return _json(502, {"message": "Bad gateway"})
        return _json(201, hooks[self.made])

    @property
    def all(self) -> list[Json]:
        """Every hook of every repository."""
        return [hook for hooks in self.hooks.values() for hook in hooks.values()]


def _json(status: int, value: Json) -> Reply:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()


def on_event(event: str, **fields: Json) -> Json:
    """A workflow that shows what an event gave it."""
    step = {"id": "shape", "type": "transform", "config": {"mapping": {"seen": "{{input}}", "by": "{{trigger.event}}"}}}
    return {"name": "On event", "trigger": {"type": "event", "event": event, **fields}, "steps": [step]}


def row(api: Api, workflow: str) -> Trigger:
    """The trigger of a workflow as it is stored."""
    found = api.server.call(api.server.parts.core.store.triggers.get(api.workspace, workflow.removeprefix("wf_")))
    assert found is not None
    return found


def trigger_when(api: Api, workflow: str, holds: Callable[[Trigger], object]) -> Trigger:
    """The trigger of a workflow, once something holds of it."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds(found := row(api, workflow)):
        assert time.monotonic() < deadline, f"the trigger does not come so far: {found}"
        time.sleep(0.005)
    return found


def has_looked(trigger: Trigger) -> bool:
    """Whether the first look was dealt with."""
    return trigger.cursor is not None and decode(trigger.cursor)["state"] is not None


def poll(api: Api, workflow: str, trigger: Trigger | None = None) -> Trigger:
    """The trigger after one more poll, of the trigger as it is or as it was."""
    api.server.call(api.server.parts.core.polls.poll(trigger or row(api, workflow)))
    return row(api, workflow)


def inputs(api: Api, workflow: str) -> list[Json]:
    """The inputs of a workflow's runs, oldest first."""
    runs = api.data("GET", f"/runs?workflowId={workflow}&limit=100")
    return [api.data("GET", f"/runs/{run['id']}")["input"] for run in reversed(runs)]


def firings(api: Api, workflow: str) -> list[tuple[str, str | None]]:
    """Status and reason of what came of a workflow's trigger, oldest first."""
    wanted = FiringFilter(workspace=api.workspace, triggers=(workflow.removeprefix("wf_"),), limit=100)
    found, _ = api.server.call(api.server.parts.core.store.triggers.firings(wanted))
    return [(each.status, each.reason) for each in reversed(found)]
