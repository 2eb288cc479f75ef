"""The process: its socket and HTTP server, its signals, its files and its garbage."""

import asyncio
import gc
import os
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import uvicorn

from stepwell.errors import StartupRefused

BACKLOG = 2048
OPEN_FILES = 65_536


def http_server(app: Callable[..., Awaitable[None]]) -> "HttpServer":
    """A server of an ASGI application, to be given a socket."""
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
        backlog=BACKLOG,
    )
    return HttpServer(config)


class HttpServer(uvicorn.Server):
    """uvicorn, with the signals left to us and without its ten wake-ups a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Stop serving once the requests in flight are answered."""
        self.should_exit = True
        self._ended.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._ended.wait()


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set the event on SIGTERM or SIGINT; a second one ends the process at once."""

    def received() -> None:
        if stop.is_set():
            os._exit(1)  # asked twice: what is committed is safe, the rest is as after any death
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, received)


def tune_interpreter() -> None:
    """Collect garbage seldom, and never what is there from the start; called once everything is loaded. Pauses of full
    collections showed as the slowest percent of answers, and young ones cost an eighth of the engine's speed."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(150_000, 20, 50)


def allow_open_files() -> None:
    """Each active run may hold a connection of its own, and so may each client: take as many files as we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises StartupRefused if the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        cause = getattr(error, "strerror", None) or str(error)
        raise StartupRefused(f"Cannot listen on {host}:{port}: {cause}. Choose another --port or --host.") from error
    return listening
