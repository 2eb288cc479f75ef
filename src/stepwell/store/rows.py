"""Frozen rows that the store takes and gives. Values (input, output, error, data) are JSON text as bytes."""

import msgspec

from stepwell.states import RecordStatus, RunState, WaitsOn, WorkflowStatus
from stepwell.store.rows_costs import OverBudget
from stepwell.store.rows_tasks import Task
from stepwell.store.rows_triggers import Firing


class NewRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be stored. `owner` is the incarnation that walks it at once, None if it must wait to be claimed."""

    workspace: str
    id: str
    workflow: str
    version: int
    trigger: str
    input: bytes
    owner: str | None
    trigger_data: bytes | None = None
    connection: str | None = None
    attempt: int = 1
    restarted_from: str | None = None
    parent: str | None = None
    awaited: bool = False  # its parent waits for it: it is told of the end, and its own end is this one's too
    depth: int = 0  # how many runs are above it
    max_concurrent: int | None = None
    idempotency_key: str | None = None
    digest: bytes = b""  # of input and connection, to tell an equal repeat from a different one
    records: tuple["Record", ...] = ()  # kept from the original run by a retry or restart
    carried: bytes | None = None  # what else such a run takes over; only the engine reads it
    seq: int = 0
    firing: Firing | None = None  # the trigger that starts it: stored with it, and only one run for its key
    arrival: tuple[str, str] | None = None  # route and event id that must belong to the firing's delivery
    end_user: str | None = None
    chain: str | None = None  # the first run of its retries and restarts; None if that is this one
    mock: bool = False  # actions do not leave the server
    budget: int | None = None  # what the run may cost, in millionths of a cent
    over_budget: OverBudget = "stop"
    key: str | None = None  # that starts it


class Started(msgspec.Struct, frozen=True):
    """The answer to a start: `run` is the new run's id, or the id that the idempotency key or the firing's key already
    stands for; empty if that firing started nothing, or if its event arrived before."""

    run: str
    replayed: bool = False
    mismatch: bool = False


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run as stored; created at the id's own millisecond. Rows of lists carry no input, output or trigger data."""

    workspace: str
    id: str
    workflow: str
    version: int
    state: RunState
    trigger: str
    waits_on: WaitsOn | None
    blocked: str | None
    owner: str | None
    epoch: int
    signals: int
    deaths: int
    seq: int
    state_seq: int
    attempt: int
    started_at: int | None
    ended_at: int | None
    restarted_from: str | None
    parent: str | None
    connection: str | None
    error: bytes | None
    depth: int = 0
    fired_by: str | None = None
    end_user: str | None = None
    chain: str | None = None
    mock: bool = False
    cost: int = 0  # so far, in millionths of a cent
    budget: int | None = None  # what it may cost
    over_budget: OverBudget = "stop"
    key: str | None = None  # that started it
    held: bytes | None = None  # the budget that keeps it from further steps, as JSON text
    excused: bool = False  # somebody has let it go on in spite of a monthly budget
    steered_at: int | None = None  # when somebody last paused or resumed it
    input: bytes = b"{}"
    trigger_data: bytes | None = None
    output: bytes | None = None
    carried: bytes | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome, so far, of one path of a run. `attempts` lists the failed attempts that came before the last one."""

    path: str
    step: str
    status: RecordStatus
    attempt: int
    started_seq: int
    ended_seq: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    reused: bool = False
    input: bytes | None = None
    output: bytes | None = None
    error: bytes | None = None
    attempts: bytes | None = None
    data: bytes | None = None
    cost: int = 0  # of all attempts, in millionths of a cent; raised by the charges of commits, never written with it


class Timer(msgspec.Struct, frozen=True):
    """Something due at a time. `kind` is wait, retry, event, approval, escalate or deadline (of a path), or timeout (of
    the run, path empty). An approval that is still pending when its timer fires expires with it."""

    path: str
    kind: str
    due: int


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """What a walk has to write: records, timers and the run's own change, applied as a whole or refused as a whole.

    Refused if the run is final or its epoch is another. With `suspend_at` also if the run's `signals` is another
    number: something reached the run that this walk has not seen.
    """

    workspace: str
    run: str
    epoch: int
    state: RunState
    seq: int
    state_seq: int
    started_at: int | None = None
    records: tuple[Record, ...] = ()
    timers: tuple[Timer, ...] = ()
    closed: tuple[str, ...] = ()  # paths whose timers, waits and pending approvals are over with this commit
    waits: tuple["EventWait", ...] = ()
    approvals: tuple["Approval", ...] = ()
    tasks: tuple[Task, ...] = ()
    most_tasks: int = 10_000  # that are not done in the workspace: beyond it a task is not opened, and its timer stays
    taken: tuple[str, ...] = ()  # events of the run that a step has taken
    cancels: tuple[str, ...] = ()  # awaited child runs that nobody waits for any more
    charges: tuple[tuple[str, int], ...] = ()  # what steps have cost since, by path
    held: bytes | None = None  # a budget keeps the run from further steps
    rests: bool = False  # the walk can do no more for now: what killed processes before is over
    first: bool = False  # no walk has written anything of the run before
    suspend_at: int | None = None
    waits_on: WaitsOn | None = None
    ended_at: int | None = None
    output: bytes | None = None
    error: bytes | None = None


class Committed(msgspec.Struct, frozen=True):
    """The answer to a commit. `unblocked` says that a run held back by a limit may now be claimed; `reached` are other
    runs that it reached: a parent told of an end, a child that was cancelled."""

    applied: bool
    unblocked: bool = False
    signals: int = 0  # of the run, as they are now
    reached: tuple["Reached", ...] = ()
    cost: int | None = None  # of the run by then, if something was charged


class Claim(msgspec.Struct, frozen=True):
    """A run taken, and the epoch to act for. `deaths` counts the processes that died on it without a new result."""

    workspace: str
    run: str
    epoch: int
    deaths: int


class Loaded(msgspec.Struct, frozen=True):
    """A run with its journal, read after it was claimed."""

    run: Run
    records: tuple[Record, ...]
    timers: tuple[Timer, ...]
    events: tuple["RunEvent", ...] = ()  # not taken yet, oldest first
    approvals: tuple["Approval", ...] = ()  # of steps that still wait
    tasks: tuple[Task, ...] = ()  # all of the run's, oldest first, as far as a walk needs them


class Reached(msgspec.Struct, frozen=True):
    """A run that something reached from outside its walk. `owner` is the incarnation that holds it, if any; `ended` is
    the final state, if that is what reached it; `delivered` says of an event that an open wait takes it."""

    workspace: str
    run: str
    owner: str | None
    ended: RunState | None = None
    delivered: bool = False


class RunEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as a run received it; `payload` is JSON text."""

    id: str
    type: str
    payload: bytes
    received_at: int


class EventWait(msgspec.Struct, frozen=True):
    """A path of a run waits for events of a type."""

    path: str
    type: str


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that a run waits for. `decisions` is a JSON list of `{approver, decision, comment, at}` (times in
    epoch ms); `tokens` the SHA-256 of each approver's token, which is forgotten once it is used. Rows of lists and of
    loaded runs carry no tokens."""

    workspace: str
    id: str
    run: str
    workflow: str
    path: str
    step: str
    status: str  # pending, approved, rejected, expired or cancelled
    reason: str
    approvers: tuple[str, ...]
    require_all: bool
    context: bytes | None = None
    decisions: bytes = b"[]"
    tokens: tuple[tuple[str, bytes], ...] = ()  # approver, hash
    expires_at: int | None = None


class Broadcast(msgspec.Struct, frozen=True, kw_only=True):
    """An event for many runs, handed out in pages: to those after `cursor`. `match` is the filter as JSON text, None
    for all that wait for the type."""

    workspace: str
    event: RunEvent
    match: bytes | None
    cursor: str | None = None
    delivered: int = 0


class End(msgspec.Struct, frozen=True, kw_only=True):
    """An end that comes from outside the walk: cancel or run timeout. Open records are closed with the error."""

    workspace: str
    run: str
    state: RunState
    now: int
    error: bytes | None  # of the run
    record_error: bytes  # of each open record
    allowed: frozenset[RunState]


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs a list shows, newest first. `before` is the id after which the page starts."""

    workspace: str
    workflow: str | None = None
    states: tuple[RunState, ...] = ()
    triggers: tuple[str, ...] = ()
    waiting: bool | None = None  # of running ones only those that wait, but for a retry; or only the others
    created_after: int | None = None
    created_before: int | None = None
    before: str | None = None
    offset: int = 0  # how many come before the page
    limit: int = 50


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow with as much of its definition as lists show. `activated` says that it was active once, so that edits
    make versions. `updated_at` rises with every change, so it also tells whether a row is still as it was read. Rows of
    lists carry no canvas."""

    workspace: str
    id: str
    slug: str | None
    name: str
    status: WorkflowStatus
    version: int
    activated: bool
    updated_at: int
    description: str | None = None
    trigger: bytes = b'{"type":"api"}'
    canvas: bytes | None = None


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable copy of a definition."""

    number: int
    created_at: int
    created_by: str
    document: bytes = b""


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """An API key, of which only the SHA-256 is stored."""

    workspace: str
    id: str
    hash: bytes
    prefix: str
    name: str
    scopes: tuple[str, ...]
    dialect: str
    expires_at: int | None = None
    last_used_at: int | None = None
    revoked_at: int | None = None


class Workspace(msgspec.Struct, frozen=True):
    """A tenant. `settings` is JSON text that only its owner reads; while `paused_at` is set it starts no runs. Times
    are epoch ms; `updated_at` is None as long as nothing was changed."""

    id: str
    name: str
    settings: bytes = b"{}"
    paused_at: int | None = None
    updated_at: int | None = None


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection with its credentials sealed; rows of lists carry none."""

    workspace: str
    id: str
    slug: str | None
    name: str
    provider: str
    status: str
    mode: str
    is_default: bool
    base_url: str | None
    external_account_id: str | None
    sealed: bytes | None
    updated_at: int
    end_user: str | None = None  # whose account it is; None: the workspace's
    auth_config: str | None = None
    reason: str | None = None  # why it is not active
    expires_at: int | None = None  # of its access token, in epoch ms
    checked_at: int | None = None  # the last test call or refresh


class ConnectionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which connections a list shows, newest first. Values of one field are alternatives, fields all hold. `before` is
    the id after which the page starts."""

    workspace: str
    providers: tuple[str, ...] | None = None
    statuses: tuple[str, ...] | None = None
    end_users: tuple[str, ...] | None = None
    auth_configs: tuple[str, ...] | None = None
    ids: tuple[str, ...] | None = None
    before: str | None = None
    offset: int = 0
    limit: int = 50


class Secret(msgspec.Struct, frozen=True):
    """A workflow's secret, sealed."""

    name: str
    sealed: bytes
    updated_at: int


class Errand(msgspec.Struct, frozen=True):
    """Something the server is to do at a time, under an operation id; `sealed` says what."""

    workspace: str
    operation: str
    due: int
    attempts: int
    sealed: bytes
