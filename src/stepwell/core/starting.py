"""Wishes to start runs, and the runs that they ask for."""

import hashlib

import msgspec

from stepwell import values
from stepwell.definitions import Plan
from stepwell.ids import Ids
from stepwell.states import RunState
from stepwell.store import Firing, NewRun, Run, Workflow
from stepwell.values import Json


class StartRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to start a run. `workflow` and `connection` are ids or slugs, without prefixes."""

    workflow: str
    input: Json = {}
    trigger: str = "api"
    connection: str | None = None
    idempotency_key: str | None = None
    trigger_data: Json = None
    parent: Run | None = None  # the run whose step starts this one
    awaited: bool = False  # and waits for it
    id: str | None = None  # of the run, where its input tells it
    firing: Firing | None = None  # the trigger that starts it
    arrival: tuple[str, str] | None = None  # see NewRun
    queued: bool = False  # behind the open runs of its kind
    end_user: str | None = None
    key: str | None = None  # id of the key that asks for it; its budget counts too
    chain: str | None = None
    mock: bool = False
    paused_too: bool = False  # a paused workflow starts it as well


class StartedRun(msgspec.Struct, frozen=True):
    """A run that was started, or that the idempotency key already stood for (`replayed`; `mismatch` if the request was
    another then)."""

    run: str
    workflow: str
    version: int
    state: RunState
    replayed: bool = False
    mismatch: bool = False


def new_run(
    workflow: Workflow, request: StartRequest, plan: Plan, ids: Ids, input: bytes, connection: str | None
) -> NewRun:
    """The run that a wish asks for, with its input as it is stored."""
    return NewRun(
        workspace=workflow.workspace,
        id=request.id or ids.new(),
        workflow=workflow.id,
        version=workflow.version,
        trigger=request.trigger,
        input=input,
        owner=None,
        trigger_data=None if request.trigger_data is None else values.encode(request.trigger_data),
        connection=connection,
        parent=None if request.parent is None else request.parent.id,
        awaited=request.awaited,
        depth=0 if request.parent is None else request.parent.depth + 1,
        max_concurrent=1 if request.queued else plan.settings.max_concurrent_runs,
        idempotency_key=request.idempotency_key,
        digest=b"" if request.idempotency_key is None else digest_of(request),
        firing=request.firing,
        arrival=request.arrival,
        end_user=request.end_user,
        chain=request.chain,
        mock=request.mock,
        budget=plan.settings.budget,
        over_budget=plan.settings.over_budget,
        key=request.key,
    )


def digest_of(request: StartRequest) -> bytes:
    """What tells whether two wishes with one idempotency key are the same."""
    return hashlib.blake2b(values.canonical([request.input, request.connection]), digest_size=16).digest()
