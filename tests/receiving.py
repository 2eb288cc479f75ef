"""A receiver of webhooks on loopback: its paths answer as their names say, and it keeps what came."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

from live import PATIENCE_S, Api
from stepwell.values import Json


@dataclass(frozen=True)
class Got:
    """A message as it arrived; names of headers in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        """What a receiver with this secret reads; raises if it was not signed with it."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """The server. `/ok` takes a message, `/gone` answers 410, `/moved` sends to `/ok`, `/broken` answers 500,
    `/once` answers 500 to its first, `/slow` waits for `release`."""

    url: str
    got: list[Got] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def at(self, path: str) -> list[Got]:
        return [each for each in self.got if each.path == path]

    def until(self, count: int, path: str = "/ok") -> list[Got]:
        """What came on a path, once it is so much."""
        wait_for(lambda: len(self.at(path)) >= count, f"{count} messages on {path}")
        return self.at(path)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver in a thread of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            before = len(receiver.at(self.path))
            receiver.got.append(Got(self.path, headers, self.rfile.read(int(headers["content-length"]))))
            if self.path == "/slow":
                receiver.release.wait(PATIENCE_S)
            statuses = {"/gone": 410, "/moved": 302, "/broken": 500, "/once": 200 if before else 500}
            with suppress(ConnectionError):
                self.send_response(statuses.get(self.path, 200))
                if self.path == "/moved":
                    self.send_header("Location", f"{receiver.url}/ok")
                self.send_header("Content-Length", "0")
                self.end_headers()

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield receiver
    finally:
        receiver.release.set()
        server.shutdown()
        server.server_close()


def listen(api: Api, url: str, *events: str) -> Json:
    """A new endpoint, with its secret."""
    return api.data("POST", "/webhook-endpoints", {"url": url, **({"events": list(events)} if events else {})})


def deliveries(api: Api, endpoint: Json, holds: Callable[[Json], bool] = lambda found: True) -> Json:
    """The deliveries of an endpoint, once something holds of them."""
    found: Json = None

    def look() -> bool:
        nonlocal found
        found = api.data("GET", f"/webhook-endpoints/{endpoint['id']}/deliveries")
        return holds(found)

    wait_for(look, "deliveries")
    return found


def tried(count: int) -> Callable[[Json], bool]:
    """Whether every delivery was tried, and there are so many."""
    return lambda found: len(found) >= count and all(each["attempts"] for each in found)


def wait_for(true: Callable[[], bool], what: str) -> None:
    """Look again and again."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.005)
