"""The core: all use cases together, as a dialect is handed them."""

import asyncio
from dataclasses import dataclass

from stepwell.auth import Authenticator
from stepwell.clock import Clock
from stepwell.connectors import Connectors
from stepwell.core.accounts import Accounts
from stepwell.core.approvals import Approvals
from stepwell.core.budgets import Budgets
from stepwell.core.connections import Connections
from stepwell.core.connectors import ConnectorLibrary
from stepwell.core.endpoints import Endpoints
from stepwell.core.entries import Entries
from stepwell.core.firing import Firings
from stepwell.core.functions import Functions
from stepwell.core.hook_setup import HookSetup
from stepwell.core.inbox import Inbox
from stepwell.core.keys import Keys
from stepwell.core.oauth import Authorizations
from stepwell.core.outbox import Outbox
from stepwell.core.polls import Polls
from stepwell.core.probes import Probes
from stepwell.core.repeats import Repeats
from stepwell.core.rotation import Rotation
from stepwell.core.runs import Runs
from stepwell.core.schedules import Schedules
from stepwell.core.scripts import Scripts
from stepwell.core.secrets import Secrets
from stepwell.core.signals import Signals
from stepwell.core.sources import Sources
from stepwell.core.targets import Targets
from stepwell.core.tasks import Tasks
from stepwell.core.threads import Threads
from stepwell.core.triggers import Triggers
from stepwell.core.variables import Variables
from stepwell.core.workflows import Workflows
from stepwell.core.workspaces import Workspaces
from stepwell.engine import Engine
from stepwell.store import Store

LONGEST_DELAY_S = 0.25  # of a write, or of a turn of the event loop, before requests are refused


class LoopLag:
    """How long the event loop takes for a turn, measured only while somebody asks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._measuring = False
        self._last_s = 0.0

    def seconds(self) -> float:
        """The length of the last turn that was measured; begins to measure the current one."""
        if not self._measuring:
            self._measuring = True
            asyncio.get_running_loop().call_soon(self._measured, self._clock.monotonic())
        return self._last_s

    def _measured(self, began: float) -> None:
        self._measuring = False
        self._last_s = self._clock.monotonic() - began


@dataclass(frozen=True, slots=True)
class Core:
    """What can be asked for, and how the server is. `public_url` is where people reach it, without a last slash."""

    workflows: Workflows
    secrets: Secrets
    keys: Keys
    budgets: Budgets
    workspaces: Workspaces
    tasks: Tasks
    targets: Targets
    repeats: Repeats
    sources: Sources
    variables: Variables
    connections: Connections
    accounts: Accounts
    authorizations: Authorizations
    probes: Probes
    rotation: Rotation
    connectors: Connectors
    library: ConnectorLibrary
    runs: Runs
    functions: Functions
    entries: Entries
    signals: Signals
    approvals: Approvals
    threads: Threads
    scripts: Scripts
    triggers: Triggers
    firings: Firings
    schedules: Schedules
    polls: Polls
    hooks: HookSetup
    inbox: Inbox
    outbox: Outbox
    endpoints: Endpoints
    authenticator: Authenticator
    engine: Engine
    store: Store
    lag: LoopLag
    public_url: str

    def overloaded(self) -> bool:
        """Requests should be refused now, before their bodies are decoded."""
        return self.store.oldest_write_age_s() > LONGEST_DELAY_S or self.lag.seconds() > LONGEST_DELAY_S

    def ready(self) -> bool:
        """The store takes writes and the process does not stop."""
        return self.engine.healthy and not self.engine.stopping
