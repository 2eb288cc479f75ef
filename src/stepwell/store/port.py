"""What a store offers: verbs on aggregates, one transaction each, the workspace first. Kept by every implementation.

Every verb may raise StoreUnavailable. A verb called with the workspace of another tenant finds nothing.
"""

from typing import Protocol

from stepwell.states import RunState, WorkflowStatus
from stepwell.store.port_connectors import StoredConnectors
from stepwell.store.port_costs import Costs
from stepwell.store.port_endpoints import Endpoints
from stepwell.store.port_invocations import Invocations
from stepwell.store.port_lists import Lists
from stepwell.store.port_seals import Seals
from stepwell.store.port_signals import Signals
from stepwell.store.port_sources import Sources
from stepwell.store.port_tasks import Tasks
from stepwell.store.port_triggers import Accounts, Deliveries, Triggers
from stepwell.store.rows import (
    Claim,
    Commit,
    Committed,
    Connection,
    ConnectionFilter,
    End,
    Errand,
    Key,
    Loaded,
    NewRun,
    Reached,
    Run,
    RunFilter,
    Secret,
    Started,
    Version,
    Workflow,
    Workspace,
)
from stepwell.store.rows_triggers import Trigger


class Runs(Protocol):
    """Runs, their journals and timers."""

    async def start(self, run: NewRun) -> Started:
        """Store a run; if its idempotency key is bound to a run of the last 24 h, that run is the answer.

        Raises:
            InvalidState: it is awaited, and the run that would wait for it has ended.
        """
        ...

    async def commit(self, commit: Commit) -> Committed:
        """Apply what a walk has to write, if it still owns the run."""
        ...

    async def end(self, end: End) -> tuple[Reached, ...]:
        """End a run from outside, if its state is one of `allowed`, with the awaited runs below it; tell its parent.
        The run itself comes first; empty if it was not ended."""
        ...

    async def delete(self, workspace: str, run: str) -> bool:
        """Remove a final run with all that belongs to it; False if there is none."""
        ...

    async def claim(self, owner: str, limit: int, *, suspects: bool = False) -> list[Claim]:
        """Take runs that may go on, oldest first, shared evenly among workspaces. With `suspects` only one, and one
        that two or more processes died on."""
        ...

    async def release_dead(self, owner: str, limit: int) -> int:
        """Let go runs whose owner is another incarnation than this, and count its death against them."""
        ...

    async def release_owned(self, owner: str) -> int:
        """Let go all open runs of an incarnation that stops in good order."""
        ...

    async def fire_timers(self, now: int, limit: int, timeout_error: bytes) -> list[Reached]:
        """Release due timers, each raising its run's signals; a timeout ends its run."""
        ...

    async def next_timer(self) -> int | None:
        """When the next timer is due, in epoch ms."""
        ...

    async def count_open(self) -> int:
        """How many runs are not final, over all workspaces."""
        ...

    async def get(self, workspace: str, run: str) -> Run | None:
        """One run."""
        ...

    async def load(self, workspace: str, run: str) -> Loaded | None:
        """One run with its journal and timers."""
        ...

    async def look(self, workspace: str, run: str) -> Loaded | None:
        """What may have reached a run: as `load`, without records and without the run's values (`input` is `{}`)."""
        ...

    async def state(self, workspace: str, run: str) -> tuple[RunState, int, int, int] | None:
        """State, seq, epoch and signals of a run."""
        ...

    async def find_started(self, workspace: str, workflow: str, key: str, digest: bytes, now: int) -> Started | None:
        """The run an idempotency key stands for now, compared with the digest of a repeated request."""
        ...

    async def page(self, wanted: RunFilter) -> list[Run]:
        """The newest runs that pass a filter, without their values."""
        ...

    async def prune(self, workspace: str, before: str, limit: int) -> int:
        """Remove ended runs whose id is below another, oldest first; how many were removed."""
        ...

    async def nth_newest(self, workspace: str, place: int) -> str | None:
        """The run at a place of a workspace's runs, the newest being at 1; None if there are fewer. May take a second;
        holds nobody up."""
        ...

    async def forget_idempotency_keys(self, now: int, limit: int) -> int:
        """Remove keys older than 24 h; how many were removed."""
        ...

    async def probe(self, now: int) -> None:
        """Write something, to see whether the store can be written."""
        ...

    async def vacuum(self) -> None:
        """Give space that was freed back to the file system, a bounded amount."""
        ...


class Workflows(Protocol):
    """Workflows, their versions and secrets."""

    async def create(self, workflow: Workflow, document: bytes, created_by: str, own: Trigger | None = None) -> None:
        """Store a workflow with its first version and the trigger of its document. Raises AlreadyExists if the slug is
        taken."""
        ...

    async def get(self, workspace: str, reference: str) -> Workflow | None:
        """A workflow by id, or by slug if it has no such id."""
        ...

    async def find(self, reference: str) -> tuple[str, str] | None:
        """Workspace and id of the workflow of an id, or of a slug that no other workflow of the server has."""
        ...

    async def save(
        self, changed: Workflow, document: bytes | None, created_by: str, own: Trigger | None = None, *, seen: int
    ) -> bool:
        """Write an edit of name, slug, description, trigger, canvas and definition, with the document's own trigger, if
        the stored `updated_at` is still `seen`. `changed.version` is one more than the stored one, or the same for a
        draft that never was active (its only version is written over) or without a document (versions stay as they
        are). False if the workflow is not so; raises AlreadyExists if the slug is taken."""
        ...

    async def set_status(
        self, workspace: str, workflow: str, status: WorkflowStatus, allowed: frozenset[WorkflowStatus], now: int
    ) -> bool:
        """Change the status if it is one of `allowed`; the first time it becomes active, `activated` is set. Of a
        workflow that is not active nothing is due any more."""
        ...

    async def page(
        self, workspace: str, *, status: WorkflowStatus | None, search: str | None, before: str | None, limit: int
    ) -> list[Workflow]:
        """Newest first, `before` being the id after which the page starts; archived ones only if asked for by status.
        `search` is a part of the name in any case."""
        ...

    async def version(self, workspace: str, workflow: str, number: int) -> Version | None:
        """One version with its document."""
        ...

    async def versions(self, workspace: str, workflow: str, *, before: int | None, limit: int) -> list[Version]:
        """Versions with numbers below `before`, without documents, newest first."""
        ...

    async def secrets(self, workspace: str, workflow: str) -> list[Secret]:
        """All secrets of a workflow, by name."""
        ...

    async def put_secret(self, workspace: str, workflow: str, secret: Secret, *, replace: bool) -> bool:
        """Store a new secret (False if there is one of that name, or no such workflow), or with `replace` another value
        for one that is there (False if it is not)."""
        ...

    async def delete_secret(self, workspace: str, workflow: str, name: str) -> bool:
        """Remove a secret."""
        ...


class Keys(Protocol):
    """Workspaces and API keys."""

    async def create_workspace(self, workspace: Workspace) -> None:
        """Store a workspace."""
        ...

    async def workspace(self, workspace: str) -> Workspace | None:
        """One workspace."""
        ...

    async def switch_workspace(self, workspace: str, now: int, *, paused: bool) -> bool:
        """Let a workspace start no runs, or let it start them again; False if it is so already."""
        ...

    async def paused_workspaces(self) -> list[str]:
        """The workspaces that start no runs."""
        ...

    async def workspaces(self) -> list[Workspace]:
        """All workspaces, oldest first."""
        ...

    async def create(self, key: Key) -> None:
        """Store a key. Raises AlreadyExists if its text is another key's."""
        ...

    async def find(self, hash: bytes) -> Key | None:
        """The key with that SHA-256, whatever its state."""
        ...

    async def page(self, workspace: str, *, before: str | None, limit: int) -> list[Key]:
        """Keys of a workspace, revoked ones included, newest first."""
        ...

    async def revoke(self, workspace: str, key: str, now: int) -> bool:
        """End a key's life, if it has not ended; False if there is no such key."""
        ...

    async def touch(self, workspace: str, key: str, now: int) -> None:
        """Note that a key was used."""
        ...

    async def vault_probe(self, sealed: bytes) -> bytes:
        """The value that the first vault key has sealed: this one, if there is none yet."""
        ...


class Connections(Protocol):
    """Connections and what their simulators have counted."""

    async def create(self, connection: Connection) -> None:
        """Store a connection. Raises AlreadyExists if the slug is taken. A default one ends the former default's."""
        ...

    async def save(self, changed: Connection, *, seen: int) -> bool:
        """Write an edit (the provider stays), if the stored `updated_at` is still `seen`; else False. Raises
        AlreadyExists if the slug is taken. A default one ends the former default's of the same user."""
        ...

    async def get(self, workspace: str, reference: str) -> Connection | None:
        """A connection by id, or by slug if there is no such id."""
        ...

    async def page(self, wanted: ConnectionFilter) -> tuple[list[Connection], int]:
        """A page of connections, newest first, without credentials, and how many pass the filter in all."""
        ...

    async def delete(self, workspace: str, connection: str) -> bool:
        """Remove a connection with its simulator's counts."""
        ...

    async def candidates(
        self, workspace: str, providers: tuple[str, ...], end_user: str | None = None
    ) -> list[Connection]:
        """The active connections of any of the providers that are this user's, or nobody's, oldest first, without
        credentials."""
        ...

    async def count(self, workspace: str, connection: str, operation: str, kind: str) -> int:
        """The number of an operation among those of its kind on a connection, from 1; the same each time it is asked.
        Raises NotFound if there is no such connection."""
        ...


class Outbox(Protocol):
    """What the server is to do later on its own account."""

    async def put(self, workspace: str, operation: str, due: int, sealed: bytes) -> None:
        """Keep an errand; of one operation only the first."""
        ...

    async def put_off(self, workspace: str, operation: str, due: int) -> bool:
        """Count a failed attempt and set the next."""
        ...

    async def end(self, workspace: str, operation: str) -> bool:
        """Forget an errand that is done or given up."""
        ...

    async def due(self, now: int, limit: int) -> list[Errand]:
        """Errands of all workspaces whose time has come, the longest due first."""
        ...

    async def next(self) -> int | None:
        """When the next errand is due, in epoch ms."""
        ...


class Store(Protocol):
    """One store."""

    @property
    def runs(self) -> Runs: ...

    @property
    def signals(self) -> Signals: ...

    @property
    def workflows(self) -> Workflows: ...

    @property
    def keys(self) -> Keys: ...

    @property
    def connections(self) -> Connections: ...

    @property
    def costs(self) -> Costs: ...
    @property
    def tasks(self) -> Tasks: ...
    @property
    def sources(self) -> Sources: ...

    @property
    def outbox(self) -> Outbox: ...

    @property
    def endpoints(self) -> Endpoints: ...

    @property
    def connectors(self) -> StoredConnectors: ...

    @property
    def triggers(self) -> Triggers: ...

    @property
    def deliveries(self) -> Deliveries: ...

    @property
    def accounts(self) -> Accounts: ...

    @property
    def seals(self) -> Seals: ...

    @property
    def lists(self) -> Lists: ...

    @property
    def invocations(self) -> Invocations: ...

    def oldest_write_age_s(self) -> float:
        """How long the oldest write has waited to be committed."""
        ...

    async def close(self) -> None:
        """Finish what is queued and close."""
        ...
