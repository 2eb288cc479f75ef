"""The server: the one place where the parts are chosen and wired."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from stepwell import __version__
from stepwell.auth import Authenticator, Markers, Vault, check_vault, load_vault
from stepwell.clock import Clock
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
    Budgets,
    Connections,
    ConnectorLibrary,
    Core,
    Endpoints,
    EndpointSender,
    Entries,
    EventConnections,
    Firings,
    FunctionHost,
    Functions,
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
    Repeats,
    Rotation,
    Routing,
    RunEnvironment,
    Runs,
    Schedules,
    Scripts,
    Secrets,
    Signals,
    Sources,
    Targets,
    Tasks,
    Threads,
    Triggers,
    Variables,
    Workflows,
    Workspaces,
    ensure_first_workspace,
)
from stepwell.definitions import Bounds
from stepwell.engine import Engine, Limits
from stepwell.events import Events
from stepwell.http.dialects.loopfour.endpoints import BODIES
from stepwell.ids import TimeOrderedIds
from stepwell.sandbox import Sandbox
from stepwell.settings import Settings
from stepwell.steps import STEP_TYPES, Ports
from stepwell.store import Store
from stepwell.store.sqlite import FILE_NAME, DirectoryLock, SqliteStore

RESIDENT_RUNS = 256


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


@dataclass(frozen=True, slots=True)
class _Ground:
    """What every part stands on."""

    store: Store
    vault: Vault
    settings: Settings
    clock: Clock
    ids: TimeOrderedIds
    events: Events
    public_url: str


@dataclass(frozen=True, slots=True)
class _Outside:
    """What reaches the world outside."""

    connectors: Connectors
    http: GuardedHttp
    endpoint: TokenEndpoint
    tokens: AccessTokens
    connections: Connections
    mail: SmtpMail
    actions: ConnectorActions
    trying: ConnectorActions  # with connections of any status
    outbox: Outbox
    mailboxes: MailboxSource


@dataclass(frozen=True, slots=True)
class _Performing:
    """What runs are made of and walked by."""

    plans: Plans
    secrets: Secrets
    links: ApprovalLinks
    sandbox: Sandbox
    engine: Engine
    runs: Runs
    budgets: Budgets
    functions: Functions


@dataclass(frozen=True, slots=True)
class _Starting:
    """What starts runs by itself."""

    triggers: Triggers
    firings: Firings
    schedules: Schedules
    polls: Polls
    hooks: HookSetup
    inbox: Inbox


@asynccontextmanager
async def _over(
    store: Store, settings: Settings, events: Events, clock: Clock, vault: Vault
) -> AsyncIterator[tuple[Core, str]]:
    await check_vault(vault, store.keys)
    ids = TimeOrderedIds(clock)
    workspace = (await ensure_first_workspace(store, ids)).id
    public_url = settings.server.public_url or f"http://127.0.0.1:{settings.server.port}"
    ground = _Ground(store, vault, settings, clock, ids, events, public_url)
    outside = _outside(ground)
    performing = _performing(ground, outside)
    starting = _starting(ground, outside, performing)
    outside.connections.ended = outside.tokens.ended = starting.triggers.disable_for_connection
    core = _core(ground, outside, performing, starting, workspace)
    await core.library.load()
    await core.budgets.load()
    try:
        yield core, workspace
    finally:
        outside.mailboxes.close()
        await performing.sandbox.close()
        await outside.tokens.finish()
        await outside.http.close()


def _outside(ground: _Ground) -> _Outside:
    store, vault, clock = ground.store, ground.vault, ground.clock
    allow_private = ground.settings.egress.allow_private
    connectors = Connectors(load_manifests())
    http = GuardedHttp(allow_private=allow_private, user_agent=f"Stepwell/{__version__}")
    endpoint = TokenEndpoint(http)
    tokens = AccessTokens(store, vault, connectors, endpoint, clock, ground.events)
    connections = Connections(store, vault, connectors, clock, ground.ids, tokens)
    mail = SmtpMail(clock, allow_private=allow_private)
    postgres = Postgres(allow_private=allow_private)
    actions = ConnectorActions(connectors, http, mail, connections.open, store.connections, clock, postgres)
    any_status = partial(connections.open, any_status=True)
    trying = ConnectorActions(connectors, http, mail, any_status, store.connections, clock, postgres)
    outbox = Outbox(store, vault, actions, clock, ground.events)
    mailboxes = MailboxSource(allow_private=allow_private)
    return _Outside(connectors, http, endpoint, tokens, connections, mail, actions, trying, outbox, mailboxes)


def _performing(ground: _Ground, outside: _Outside) -> _Performing:
    store, settings, clock = ground.store, ground.settings, ground.clock
    bounds = Bounds(settings.limits.steps, settings.limits.nesting, settings.limits.turns)
    plans = Plans(store.workflows, STEP_TYPES, outside.connectors, bounds, outside.connectors)
    secrets = Secrets(store, ground.vault, clock)
    links = ApprovalLinks(ground.vault, ground.public_url)
    notices = Notices(outside.outbox, outside.connections, outside.connectors, links, clock, ground.events)
    markers = Markers(ground.vault)
    budgets = Budgets(store, clock)
    environment = RunEnvironment(plans, secrets, markers, outside.connections, links, notices, budgets)
    limits = Limits(
        settings.engine.max_active_runs,
        settings.engine.max_open_runs,
        settings.limits.step_output_bytes,
        RESIDENT_RUNS,
    )
    sandbox = Sandbox()
    functions = Functions(store, plans, secrets, markers, sandbox, clock, ground.events)
    ports = Ports(outside.http, outside.actions, outside.outbox, sandbox, functions)
    engine = Engine(store.runs, environment, ports, clock, ground.ids, ground.events, limits)
    runs = environment.runs = Runs(store, engine, plans, ground.ids, clock, settings.limits.input_bytes, budgets)
    functions.host_of = FunctionHost(ports, runs, clock, ground.ids).of
    return _Performing(plans, secrets, links, sandbox, engine, runs, budgets, functions)


def _starting(ground: _Ground, outside: _Outside, performing: _Performing) -> _Starting:
    store, clock, ids, events = ground.store, ground.clock, ground.ids, ground.events
    connectors, actions = outside.connectors, outside.actions
    triggers = Triggers(store, performing.plans, ground.vault, clock, ids)
    firings = Firings(store, performing.runs, ids, clock)
    schedules = Schedules(store, triggers, firings, performing.engine, clock, events)
    own_sources: dict[str, Source] = {
        "feed": FeedSource(outside.http),
        "json": JsonSource(outside.http),
        "mailbox": outside.mailboxes,
    }
    accounts = EventConnections(store, outside.connections, connectors)
    sources = EventSources(connectors, actions, own_sources)
    polls = Polls(store, sources, connectors, accounts, firings, clock, events)
    provider_hooks = ProviderHooks(connectors, accounts, actions, ground.public_url, clock, ids, events)
    hooks = HookSetup(store, triggers, provider_hooks, outside.outbox, clock, ids, events)
    triggers.switched = hooks.switched
    triggers.unconnected = accounts.faults
    listening = Listening(store, triggers, outside.connections, performing.secrets, connectors, ground.public_url)
    routing = Routing(store, performing.plans, firings, performing.runs, clock, ids)
    inbox = Inbox(store, listening, routing, performing.engine, clock, ids, events, ground.settings.webhooks)
    return _Starting(triggers, firings, schedules, polls, hooks, inbox)


def _core(ground: _Ground, outside: _Outside, performing: _Performing, starting: _Starting, workspace: str) -> Core:
    store, vault, clock, ids, events = ground.store, ground.vault, ground.clock, ground.ids, ground.events
    connectors, connections, engine, url = outside.connectors, outside.connections, performing.engine, ground.public_url
    authenticator = Authenticator(store.keys, clock, admin_key=ground.settings.admin.key, admin_workspace=workspace)
    authorizations = Authorizations(store, vault, connections, outside.tokens, outside.endpoint, url, clock, events)
    workspaces = Workspaces(store, ids, workspace, clock)
    performing.runs.takes_runs = workspaces.check_takes_runs
    signals = Signals(store, engine, ids, clock)
    approvals = Approvals(store, engine, performing.links, clock)
    sender = EndpointSender(store, vault, outside.http, BODIES, clock, events)
    workflows = Workflows(store, performing.plans, starting.triggers, clock, ids)
    variables = Variables(store, vault, clock, ids)
    return Core(
        workflows=workflows,
        secrets=performing.secrets,
        keys=Keys(store, clock, ids, authenticator),
        budgets=performing.budgets,
        workspaces=workspaces,
        tasks=Tasks(store, engine, clock),
        targets=Targets(store, clock, ids),
        repeats=Repeats(store, vault, clock),
        sources=Sources(store, workflows, performing.secrets, variables, clock, ids),
        variables=variables,
        connections=connections,
        accounts=Accounts(store, vault, connectors, connections, authorizations, url, clock, ids),
        authorizations=authorizations,
        rotation=Rotation(store, vault, events),
        probes=Probes(connections, connectors, outside.trying, outside.mail, clock, ids),
        connectors=connectors,
        library=ConnectorLibrary(store, connectors, outside.http, workspaces.check_may_create, clock, events),
        runs=performing.runs,
        functions=performing.functions,
        entries=Entries(store, performing.plans, performing.secrets),
        signals=signals,
        approvals=approvals,
        threads=Threads(store, signals, approvals),
        scripts=Scripts(performing.sandbox),
        triggers=starting.triggers,
        firings=starting.firings,
        schedules=starting.schedules,
        polls=starting.polls,
        hooks=starting.hooks,
        inbox=starting.inbox,
        outbox=outside.outbox,
        endpoints=Endpoints(store, vault, sender, clock, ids),
        authenticator=authenticator,
        engine=engine,
        store=store,
        lag=LoopLag(clock),
        public_url=url,
    )
