"""`stepwell serve`: the server in the foreground, on uvloop."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Annotated, Any

import typer
import uvloop
from rich.markup import escape

from stepwell import __version__
from stepwell.cli.options import ConfigOption, DataOption, settings_of
from stepwell.cli.output import out
from stepwell.services import log_sink
from stepwell.serving import Parts
from stepwell.serving import serve as serve_forever
from stepwell.settings import Settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.  [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.  [default: 3000]")] = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Run the server until Ctrl-C or SIGTERM.

    Every setting can be given as STEPWELL_<SECTION>_<NAME> or in stepwell.toml; `stepwell check` lists them.
    """
    settings = settings_of(data, config, server__host=host, server__port=port)
    sink = log_sink(settings.log.level, settings.log.format)

    def started(parts: Parts, listening: int) -> None:
        url = address(settings, listening)
        sink("server.started", {"version": __version__, "url": url, "data": str(settings.server.data)})
        if sys.stdout.isatty():
            _greet(settings, url)

    run(serve_forever(settings, (sink,), started=started))


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def address(settings: Settings, port: int) -> str:
    """Where clients on this machine reach a server that listens on `port`."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.server.host, settings.server.host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host and not host.startswith("[") else f"http://{host}:{port}"


def _greet(settings: Settings, url: str) -> None:
    out.print(f"\n[bold]Stepwell {__version__}[/] listens on [cyan]{url}[/]. Ctrl-C stops it.", highlight=False)
    if settings.admin.key is None:
        command = f"stepwell key create --data {escape(str(settings.server.data))}"
        hint = f"No key yet? Stop the server, run [cyan]{command}[/], start it again; or set STEPWELL_ADMIN_KEY."
        out.print(hint, highlight=False, soft_wrap=True)
    out.print()
