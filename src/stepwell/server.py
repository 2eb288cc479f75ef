"""The server: the one place where the parts are chosen and wired, and the order in which they start and stop."""

import asyncio
import gc
import os
import resource
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial

import uvicorn

from stepwell import __version__
from stepwell.auth import Authenticator, Markers, Vault, check_vault, load_vault
from stepwell.clock import Clock, SystemClock
from stepwell.connectors import (
    ConnectorActions,
    Connectors,
    EventSources,
    FeedSource,
    GuardedHttp,
    JsonSource,
    MailboxSource,
    Postgres,
    SmtpMail,
    Source,
    TokenEndpoint,
    load_manifests,
)
from stepwell.core import (
    AccessTokens,
    Accounts,
    ApprovalLinks,
    Approvals,
    Authorizations,
    Connections,
    ConnectorLibrary,
    Core,
    Endpoints,
    EndpointSender,
    EventConnections,
    Firings,
    HookSetup,
    Inbox,
    Keys,
    Listening,
    LoopLag,
    Notices,
    Outbox,
    Plans,
    Polls,
    Probes,
    ProviderHooks,
    Rotation,
    Routing,
    RunEnvironment,
    Runs,
    Schedules,
    Scripts,
    Secrets,
    Signals,
    Threads,
    Triggers,
    Workflows,
    Workspaces,
    ensure_first_workspace,
)
from stepwell.definitions import Bounds
from stepwell.engine import Engine, Limits
from stepwell.errors import StartupRefused
from stepwell.events import Events, Sink
from stepwell.http import App, create_app
from stepwell.http.dialects.loopfour.endpoints import BODIES
from stepwell.ids import TimeOrderedIds
from stepwell.sandbox import Sandbox
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
from stepwell.steps import STEP_TYPES, Ports
from stepwell.store import Store
from stepwell.store.sqlite import FILE_NAME, DirectoryLock, SqliteStore

BACKLOG = 2048
OPEN_FILES = 65_536
RESIDENT_RUNS = 256


@dataclass(frozen=True, slots=True)
class Parts:
    """A running server without its socket."""

    core: Core
    app: App
    supervisor: Supervisor
    first_workspace: str


@asynccontextmanager
async def open_core(
    settings: Settings, events: Events, clock: Clock, *, vault: Vault | None = None
) -> AsyncIterator[tuple[Core, str]]:
    """The core over the data directory, which is held exclusively, and the first workspace's id. Nothing runs yet.

    Raises:
        StartupRefused: the directory is in use, or its file or key is not fit; the message names the remedy.
    """
    data = settings.server.data
    lock = DirectoryLock(data)
    try:
        store = SqliteStore(data / FILE_NAME)
        try:
            if store.database.migrated:
                events.emit("store.migrated", versions=store.database.migrated)
            async with _over(
                store,
                settings,
                events,
                clock,
                vault or load_vault(settings.vault.key, data, settings.vault.previous_key or ()),
            ) as opened:
                yield opened
        finally:
            await store.close()
    finally:
        lock.release()


@asynccontextmanager
async def _over(
    store: Store, settings: Settings, events: Events, clock: Clock, vault: Vault
) -> AsyncIterator[tuple[Core, str]]:
    await check_vault(vault, store.keys)
    ids = TimeOrderedIds(clock)
    workspace = (await ensure_first_workspace(store, ids)).id
    connectors = Connectors(load_manifests())
    bounds = Bounds(settings.limits.steps, settings.limits.nesting, settings.limits.turns)
    plans = Plans(store.workflows, STEP_TYPES, connectors, bounds, connectors)
    secrets = Secrets(store, vault, clock)
    http = GuardedHttp(allow_private=settings.egress.allow_private, user_agent=f"Stepwell/{__version__}")
    endpoint = TokenEndpoint(http)
    tokens = AccessTokens(store, vault, connectors, endpoint, clock, events)
    connections = Connections(store, vault, connectors, clock, ids, tokens)
    mail = SmtpMail(clock, allow_private=settings.egress.allow_private)
    postgres = Postgres(allow_private=settings.egress.allow_private)
    actions = ConnectorActions(connectors, http, mail, connections.open, store.connections, clock, postgres)
    outbox = Outbox(store, vault, actions, clock, events)
    sender = EndpointSender(store, vault, http, BODIES, clock, events)
    public_url = settings.server.public_url or f"http://127.0.0.1:{settings.server.port}"
    links = ApprovalLinks(vault, public_url)
    notices = Notices(outbox, connections, connectors, links, clock, events)
    environment = RunEnvironment(plans, secrets, Markers(vault), connections, links, notices)
    limits = Limits(
        settings.engine.max_active_runs,
        settings.engine.max_open_runs,
        settings.limits.step_output_bytes,
        RESIDENT_RUNS,
    )
    sandbox = Sandbox()
    engine = Engine(store.runs, environment, Ports(http, actions, outbox, sandbox), clock, ids, events, limits)
    runs = environment.runs = Runs(store, engine, plans, ids, clock, settings.limits.input_bytes)
    triggers = Triggers(store, plans, vault, clock, ids)
    firings = Firings(store, runs, ids, clock)
    schedules = Schedules(store, triggers, firings, engine, clock, events)
    mailboxes = MailboxSource(allow_private=settings.egress.allow_private)
    own_sources: dict[str, Source] = {"feed": FeedSource(http), "json": JsonSource(http), "mailbox": mailboxes}
    sources = EventSources(connectors, actions, own_sources)
    event_connections = EventConnections(store, connections, connectors)
    polls = Polls(store, sources, connectors, event_connections, firings, clock, events)
    provider_hooks = ProviderHooks(connectors, event_connections, actions, public_url, clock, ids, events)
    hooks = HookSetup(store, triggers, provider_hooks, outbox, clock, ids, events)
    triggers.switched = hooks.switched
    triggers.unconnected = event_connections.faults
    listening = Listening(store, triggers, connections, secrets, connectors, public_url)
    routing = Routing(store, plans, firings, runs, clock, ids)
    inbox = Inbox(store, listening, routing, engine, clock, ids, events, settings.webhooks)
    connections.ended = tokens.ended = triggers.disable_for_connection
    authorizations = Authorizations(store, vault, connections, tokens, endpoint, public_url, clock, events)
    accounts = Accounts(store, vault, connectors, connections, authorizations, public_url, clock, ids)
    any_status = partial(connections.open, any_status=True)
    trying = ConnectorActions(connectors, http, mail, any_status, store.connections, clock, postgres)
    workspaces = Workspaces(store, ids, workspace)
    library = ConnectorLibrary(store, connectors, http, workspaces.check_may_create, clock, events)
    await library.load()
    authenticator = Authenticator(store.keys, clock, admin_key=settings.admin.key, admin_workspace=workspace)
    signals = Signals(store, engine, ids, clock)
    approvals = Approvals(store, engine, links, clock)
    try:
        yield (
            Core(
                workflows=Workflows(store, plans, triggers, clock, ids),
                secrets=secrets,
                keys=Keys(store, clock, ids, authenticator),
                workspaces=workspaces,
                connections=connections,
                accounts=accounts,
                authorizations=authorizations,
                rotation=Rotation(store, vault, events),
                probes=Probes(connections, connectors, trying, mail, clock, ids),
                connectors=connectors,
                library=library,
                runs=runs,
                signals=signals,
                approvals=approvals,
                threads=Threads(store, signals, approvals),
                scripts=Scripts(sandbox),
                triggers=triggers,
                firings=firings,
                schedules=schedules,
                polls=polls,
                hooks=hooks,
                inbox=inbox,
                outbox=outbox,
                endpoints=Endpoints(store, vault, sender, clock, ids),
                authenticator=authenticator,
                engine=engine,
                store=store,
                lag=LoopLag(clock),
                public_url=public_url,
            ),
            workspace,
        )
    finally:
        mailboxes.close()
        await sandbox.close()
        await tokens.finish()
        await http.close()


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
    _allow_open_files()
    listening = _listen(settings.server.host, settings.server.port)
    stop = asyncio.Event()
    with listening:
        async with running(settings, sinks, bench=bench) as parts:
            _stop_on_signals(stop)
            server = _http_server(parts.app)
            serving = asyncio.get_running_loop().create_task(server.serve([listening]))
            tune_interpreter()
            started(parts, listening.getsockname()[1])
            ends = [asyncio.ensure_future(event.wait()) for event in (stop, parts.supervisor.failed)]
            await asyncio.wait((serving, *ends), return_when=asyncio.FIRST_COMPLETED)
            await parts.core.engine.drain(settings.engine.shutdown_grace_s)
            server.end()
            await serving
            for end in ends:
                end.cancel()
            if parts.supervisor.failed.is_set():
                raise SystemExit(1)  # what failed was told as an event


def _http_server(app: App) -> "_Server":
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
    return _Server(config)


class _Server(uvicorn.Server):
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


def _stop_on_signals(stop: asyncio.Event) -> None:
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
    gc.set_threshold(50_000, 20, 50)


def _allow_open_files() -> None:
    """Each active run may hold a connection of its own, and so may each client: take as many files as we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listen(host: str, port: int) -> socket.socket:
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
