"""Serving: the services that run over the core, and the order in which all of it starts and stops."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from stepwell import process
from stepwell.clock import Clock, SystemClock
from stepwell.core import Core
from stepwell.events import Events, Sink
from stepwell.http import App, create_app
from stepwell.server import open_core
from stepwell.services import (
    EndpointService,
    InboxService,
    Metrics,
    OutboxService,
    Retention,
    ScheduleService,
    Service,
    Supervisor,
)
from stepwell.settings import Settings


@dataclass(frozen=True, slots=True)
class Parts:
    """A running server without its socket."""

    core: Core
    app: App
    supervisor: Supervisor
    first_workspace: str


@asynccontextmanager
async def running(
    settings: Settings, sinks: tuple[Sink, ...] = (), *, clock: Clock | None = None, bench: bool = False
) -> AsyncIterator[Parts]:
    """A server whose services run, to be given a socket (`serve`) or called as an ASGI app. Stops in good order.

    Raises:
        StartupRefused.
    """
    clock = clock or SystemClock()
    metrics = Metrics()
    events = Events((*sinks, metrics.sink))
    async with open_core(settings, events, clock) as (core, workspace):
        engine = core.engine
        metrics.watch(open_runs=lambda: engine.open_runs, active_runs=lambda: engine.active_runs)

        async def walks(stop: asyncio.Event) -> None:
            await engine.recover()
            await core.signals.resume_broadcasts()
            await engine.run(stop)

        outbox = OutboxService(core.outbox, clock)

        async def errands(stop: asyncio.Event) -> None:
            await core.hooks.recover()
            await outbox.run(stop)

        endpoints = EndpointService(core.endpoints.sender, clock, events)
        schedules = ScheduleService(core.schedules, core.triggers, core.polls, clock, events)
        inbox = InboxService(core.inbox, clock)
        retention = Retention(core.store, engine, clock, events, settings.retention, settings.webhooks)
        services = [
            Service("engine", walks, engine.offer, vital=True),
            Service("timers", engine.timers.run, engine.timers.wake, vital=True),
            Service("outbox", errands, outbox.wake),
            Service("endpoints", endpoints.run, endpoints.wake),
            Service("schedules", schedules.run, schedules.wake),
            Service("inbox", inbox.run, inbox.wake),
            Service("retention", retention.run),
        ]
        supervisor = Supervisor(services, clock, events)
        supervisor.start()
        try:
            yield Parts(core, create_app(core, settings, events, clock, metrics, bench=bench), supervisor, workspace)
        finally:
            events.emit("server.stopping", active=engine.active_runs)
            await engine.drain(settings.engine.shutdown_grace_s)
            await supervisor.stop()
            events.emit("server.stopped")


async def serve(
    settings: Settings,
    sinks: tuple[Sink, ...] = (),
    *,
    bench: bool = False,
    started: Callable[[Parts, int], None] = lambda parts, port: None,
) -> None:
    """Serve until SIGTERM or SIGINT: starts are then answered 503, effects in flight get their grace, everything is
    committed. A second signal ends the process at once.

    Raises:
        StartupRefused.
        SystemExit: 1, if a service failed that the server cannot be without.
    """
    process.allow_open_files()
    listening = process.listen(settings.server.host, settings.server.port)
    stop = asyncio.Event()
    with listening:
        async with running(settings, sinks, bench=bench) as parts:
            process.stop_on_signals(stop)
            server = process.http_server(parts.app)
            serving = asyncio.get_running_loop().create_task(server.serve([listening]))
            process.tune_interpreter()
            started(parts, listening.getsockname()[1])
            ends = [asyncio.ensure_future(event.wait()) for event in (stop, parts.supervisor.failed)]
            await asyncio.wait((serving, *ends), return_when=asyncio.FIRST_COMPLETED)
            grace_s = settings.engine.shutdown_grace_s
            await asyncio.gather(parts.core.engine.drain(grace_s), parts.core.functions.drain(grace_s))
            server.end()
            await serving
            for end in ends:
                end.cancel()
            if parts.supervisor.failed.is_set():
                raise SystemExit(1)  # what failed was told as an event
