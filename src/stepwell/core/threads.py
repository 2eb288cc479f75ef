"""Threads: a run with its retries and restarts, and further runs that were started on it; one goes on by an answer."""

import hashlib
from collections.abc import Callable, Iterator

import msgspec

from stepwell import values
from stepwell.core.approvals import Approvals, Decision
from stepwell.core.signals import Signals
from stepwell.errors import InvalidState, NotFound
from stepwell.states import OPEN, RecordStatus, RunState, WaitsOn
from stepwell.store import Loaded, Record, Run, RunListing, Store
from stepwell.values import Json

NOTHING_PAUSED = "No paused execution on this thread"
MOST_RUNS = 1000  # of a thread that are looked at


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody answers to a run that waits: how a decision goes, and the payload of an event of some type. `by` is
    who; `run` names which run of the thread is meant; `key` makes an event be sent once, however often it is asked
    for."""

    approved: bool
    payload: Callable[[str], Json]
    by: str
    run: str | None = None
    key: str | None = None


class Threads:
    """The use cases on threads. A thread is named by the id of its first run; `end_user` None sees those of everybody;
    with `unowned`, runs of nobody are the user's."""

    def __init__(self, store: Store, signals: Signals, approvals: Approvals) -> None:
        self._store = store
        self._signals = signals
        self._approvals = approvals

    async def newest(self, workspace: str, thread: str, end_user: str | None = None, unowned: bool = False) -> Run:
        """The newest run of a thread. Raises NotFound."""
        return (await self._runs(workspace, thread, end_user, unowned, limit=1))[0]

    async def page(self, wanted: RunListing) -> tuple[list[Run], int]:
        """A page of runs, and how many pass the filter."""
        return await self._store.lists.runs(wanted)

    async def resume(
        self, workspace: str, thread: str, reply: Reply, end_user: str | None = None, unowned: bool = False
    ) -> Run:
        """Answer the newest run of a thread that waits for an event or a decision, or is paused: the event is sent, the
        approval decided, the pause lifted.

        Raises:
            NotFound: no such thread, or no such run on it.
            InvalidState: nothing waits.
        """
        runs = await self._runs(workspace, thread, end_user, unowned, limit=MOST_RUNS)
        if reply.run is not None:
            runs = [run for run in runs if run.id == reply.run]
            if not runs:
                raise NotFound("Execution not found")
        if reply.key is not None and (known := await self._answered(runs, _event_id(thread, reply.key))) is not None:
            return known
        for run in runs:
            if run.state in OPEN and await self._go_on(run, thread, reply):
                return run
        raise InvalidState(NOTHING_PAUSED)

    async def _runs(self, workspace: str, thread: str, end_user: str | None, unowned: bool, *, limit: int) -> list[Run]:
        """The runs of a thread, newest first. Raises NotFound if there is none."""
        wanted = RunListing(workspace=workspace, chain=thread, end_user=end_user, unowned=unowned, limit=limit)
        runs, _ = await self._store.lists.runs(wanted)
        if not runs:
            raise NotFound("Thread not found")
        return runs

    async def _go_on(self, run: Run, thread: str, reply: Reply) -> bool:
        """Answer what a run waits for; False if it waits for nobody."""
        loaded = await self._store.runs.load(run.workspace, run.id)
        if loaded is None:
            return False
        if loaded.run.state is RunState.PAUSED:
            await self._signals.resume(run.workspace, run.id)
            return True
        for record, event in _waiting(loaded):
            if event is not None:
                id = None if reply.key is None else _event_id(thread, reply.key)
                await self._signals.send(run.workspace, run.id, event, reply.payload(event), id)
                return True
            for approval in loaded.approvals:
                if approval.path == record.path and approval.status == "pending":
                    await self._decide(run.workspace, approval.id, approval.approvers, reply)
                    return True
        return False

    async def _decide(self, workspace: str, approval: str, approvers: tuple[str, ...], reply: Reply) -> None:
        decision: Decision = "approve" if reply.approved else "reject"
        approver = reply.by if reply.by in approvers else approvers[0] if len(approvers) == 1 else None
        await self._approvals.decide(workspace, approval, decision, key_name=reply.by, approver=approver)

    async def _answered(self, runs: list[Run], event: str) -> Run | None:
        """The run that has had an event, taken or not."""
        for run in runs:
            loaded = await self._store.runs.load(run.workspace, run.id)
            if loaded is not None and event in _events_of(loaded):
                return run
        return None


def _waiting(loaded: Loaded) -> Iterator[tuple[Record, str | None]]:
    """The records that wait for somebody, and the type of event; in the order in which they began. A wait whose event
    is on its way waits no more."""
    coming = {event.type for event in loaded.events}
    for_somebody = (WaitsOn.EVENT, WaitsOn.APPROVAL, WaitsOn.TASK)
    settled = loaded.run.waits_on in for_somebody  # the walk has seen the events and taken none
    for record in loaded.records:
        if record.status is RecordStatus.WAITING:
            data: Json = values.decode(record.data or b"{}")
            if "event" in data and (settled or data["event"] not in coming):
                yield record, data["event"]
            elif "approval" in data:
                yield record, None


def _events_of(loaded: Loaded) -> Iterator[str]:
    yield from (event.id for event in loaded.events)
    for record in loaded.records:
        if record.output is not None and b'"eventId":"evt_' in record.output:
            output = values.decode(record.output)
            if isinstance(output, dict) and isinstance(output.get("eventId"), str):
                yield output["eventId"].removeprefix("evt_")


def _event_id(thread: str, key: str) -> str:
    """An id that is the same for the same key on a thread."""
    digits = hashlib.blake2b(key.encode(errors="replace"), digest_size=16, key=thread.encode()).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
