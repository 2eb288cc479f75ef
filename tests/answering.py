"""A loopback HTTP server that workflows call: it answers as it is told and keeps what it saw."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Seen:
    """A request as it arrived; names of headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answering:
    """The server. `statuses` are used up one by one, then it is 200; `body` is what every answer says, as JSON;
    `delay_s` is how long each takes."""

    url: str
    statuses: list[int] = field(default_factory=list)
    body: bytes = b"{}"
    delay_s: float = 0
    seen: list[Seen] = field(default_factory=list)


@contextmanager
def answering() -> Iterator[Answering]:
    """A server in a thread of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            leaving.wait(told.delay_s)
            told.seen.append(Seen(self.command, self.path, headers, self.rfile.read(length)))
            self.send_response(told.statuses.pop(0) if told.statuses else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(told.body)))
            with suppress(ConnectionError):  # who asked may have left
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(told.body)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    leaving = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told = Answering(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield told
    finally:
        leaving.set()
        server.shutdown()
        server.server_close()
