"""The command: what is started, in which order, and when it ends."""

import asyncio
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stepwell.cli.demo.aitasker import tell_aitasker
from stepwell.cli.demo.approval import tell_approval
from stepwell.cli.demo.awaitstep import tell_awaitstep
from stepwell.cli.demo.story import Scene, tell
from stepwell.cli.demo.stripe import StripeServer
from stepwell.cli.demo.triggers import tell_triggers
from stepwell.cli.options import settings_of
from stepwell.cli.output import out, say
from stepwell.cli.serving import address, run
from stepwell.errors import StartupRefused
from stepwell.services import log_sink
from stepwell.serving import Parts, serve
from stepwell.settings import Settings

PATIENCE_S = 60.0  # so long the demo waits for a person to decide before it does so itself


class Story(StrEnum):
    """What can be shown."""

    ORDER = "order"
    APPROVAL = "approval"
    TRIGGERS = "triggers"
    AITASKER = "aitasker"
    AWAITSTEP = "awaitstep"


_STORIES: dict[Story, Callable[[Scene], None]] = {
    Story.ORDER: tell,
    Story.APPROVAL: tell_approval,
    Story.TRIGGERS: tell_triggers,
    Story.AITASKER: tell_aitasker,
    Story.AWAITSTEP: tell_awaitstep,
}


def demo(
    story: Annotated[
        Story,
        typer.Argument(
            help="order: invoice and mail. approval: a decision, an event, a restart inside a loop. triggers: webhook, "
            "schedule, trigger instance. aitasker: nodes, outside workers, costs. awaitstep: graphs, events, functions."
        ),
    ] = Story.ORDER,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the server; 0 takes a free one.")] = 3000,
    exit: Annotated[bool, typer.Option("--exit", help="Stop after the run instead of leaving the server up.")] = False,
    data: Annotated[
        Path | None, typer.Option("--data", help="Data directory to keep.  [default: a temporary one]")
    ] = None,
) -> None:
    """Start a server and show a workflow, every step as it happens: one order with an invoice over HTTP and a mail over
    SMTP; or (`approval`) an order over a limit that waits for a person and an event, and is restarted inside its loop;
    or (`triggers`) workflows that start by themselves; or (`aitasker`) nodes whose work outside workers do, at a cost;
    or (`awaitstep`) a graph that is deployed and waits for an event, and a function that is called.

    Nothing leaves this machine: the provider and the mail server run on loopback, which workflows may reach in the
    demo only.
    """
    with _directory(data) as directory:
        settings = settings_of(
            directory,
            server__host="127.0.0.1",
            server__port=port,
            egress__allow_private=True,
            admin__key=secrets.token_urlsafe(24),
        )
        run(_perform(settings, _STORIES[story], exit=exit, kept=data is not None))


@contextmanager
def _directory(data: Path | None) -> Iterator[Path]:
    if data is not None:
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="stepwell-demo-") as made:
        yield Path(made)


async def _perform(settings: Settings, telling_of: Callable[[Scene], None], *, exit: bool, kept: bool) -> None:
    """Serve while the story is told; it is told in a thread, as a client of the server."""
    try:
        from stepwell.cli.demo.mailbox import Mailbox  # noqa: PLC0415 - its driver is optional
    except ImportError:
        raise StartupRefused("The demo needs its mail server: pip install 'stepwell[demo]'") from None
    loop = asyncio.get_running_loop()
    telling: asyncio.Future[None] | None = None

    async with StripeServer() as stripe, Mailbox() as mailbox:

        def started(parts: Parts, port: int) -> None:
            nonlocal telling
            patience_s = 0.0 if exit or not out.is_terminal else PATIENCE_S
            data, key = settings.server.data, str(settings.admin.key)
            scene = Scene(address(settings, port), key, data, kept, stripe, mailbox, patience_s)
            telling = loop.run_in_executor(None, telling_of, scene)
            telling.add_done_callback(told)

        def told(telling: "asyncio.Future[None]") -> None:
            if exit or telling.exception() is not None:
                os.kill(os.getpid(), signal.SIGTERM)  # the server's own way to stop
            else:
                say("\nThe server is up. Ctrl-C stops it.")
                sys.stdout.flush()

        warnings = log_sink("warning", stream=sys.stderr)
        await serve(settings, (warnings,), started=started)
        if telling is not None:
            await telling
