"""Signals: events for one run or many, pauses; stored before they are answered. Source: LoopFour contract 5.8, 10."""

import msgspec

from stepwell import values
from stepwell.clock import Clock
from stepwell.engine import Engine
from stepwell.errors import InvalidState, NotFound
from stepwell.ids import Ids
from stepwell.states import RunState
from stepwell.store import Broadcast, Reached, Run, RunEvent, Store
from stepwell.triggers import compile_filter
from stepwell.values import Json

PAGE = 100
BROADCASTS = 1000  # that are gone on with at start, at a time


class Sent(msgspec.Struct, frozen=True):
    """An event that a run has, and whether a wait was open for it when it was kept."""

    id: str
    delivered: bool


class Signals:
    """The use cases on signals. Every method takes the caller's workspace first."""

    def __init__(self, store: Store, engine: Engine, ids: Ids, clock: Clock) -> None:
        self._store = store
        self._engine = engine
        self._ids = ids
        self._clock = clock
        self._under_way: set[str] = set()  # broadcasts that are being handed out

    async def send(
        self, workspace: str, run: str, type: str, payload: Json, id: str | None = None, most: int | None = None
    ) -> Sent:
        """Keep an event for an open run. With an `id` it is sent once: again, it is told what became of it, even if the
        run has ended. With `most`, a run that keeps so many already takes no more. Raises NotFound, InvalidState."""
        event = self._event(type, payload)
        if id is not None:
            event = msgspec.structs.replace(event, id=id)
        reached = await self._store.signals.send(workspace, run, event, most, once=id is not None)
        await self._tell(workspace, run, reached, "Can only send events to runs that have not ended")
        return Sent(event.id, reached is not None and reached.delivered)

    async def broadcast(self, workspace: str, type: str, payload: Json, match: Json = None) -> tuple[str, int]:
        """Keep an event for every open run that passes the filter `match`, over `{id, workflowId, triggerType, input}`;
        without one, for the runs that wait for its type now. The event's id, and how many runs have it.

        Should the process end meanwhile, the next one goes on with it.

        Raises:
            ValidationFailed: the filter has faults.
        """
        if match is not None:
            compile_filter(match, ("match",))
        written = None if match is None else values.encode(match)
        broadcast = Broadcast(workspace=workspace, event=self._event(type, payload), match=written)
        self._under_way.add(broadcast.event.id)  # before it can be found by `resume_broadcasts`
        try:
            await self._store.signals.begin(broadcast)
            return broadcast.event.id, await self._hand_out(broadcast)
        finally:
            self._under_way.discard(broadcast.event.id)

    async def resume_broadcasts(self) -> int:
        """Hand out what an earlier process did not come to the end of; how many broadcasts. Called once, at start."""
        resumed = 0
        while True:
            page = await self._store.signals.broadcasts(BROADCASTS)
            left = [broadcast for broadcast in page if broadcast.event.id not in self._under_way]
            for broadcast in left:
                await self._hand_out(broadcast)
            resumed += len(left)
            if len(page) < BROADCASTS or not left:
                return resumed

    async def pause(self, workspace: str, run: str) -> RunState:
        """Let a run start no further step; what is in flight may end. Its state then. Raises NotFound, InvalidState."""
        reached = await self._store.signals.pause(workspace, run, self._clock.now_ms())
        await self._tell(workspace, run, reached, "Can only pause runs that have not ended")
        return RunState.PAUSED

    async def resume(self, workspace: str, run: str, budget: int | None = None) -> RunState:
        """Let a paused run go on; its state then. One that asked because of a budget goes on without it, or with the
        one that is given. Raises NotFound, InvalidState."""
        reached = await self._store.signals.resume(workspace, run, self._clock.now_ms(), budget)
        await self._tell(workspace, run, reached, "Can only resume paused runs")
        state = await self._store.runs.state(workspace, run)
        return state[0] if state else RunState.RUNNING

    async def _tell(self, workspace: str, run: str, reached: Reached | None, refusal: str) -> None:
        """Tell the engine of a run that was reached; refuse the call if it was not."""
        if reached is not None:
            self._engine.reached((reached,))
        elif await self._store.runs.state(workspace, run) is None:
            raise NotFound("Run not found")
        else:
            raise InvalidState(refusal)

    def _event(self, type: str, payload: Json) -> RunEvent:
        return RunEvent(id=self._ids.new(), type=type, payload=values.encode(payload), received_at=self._clock.now_ms())

    async def _hand_out(self, broadcast: Broadcast) -> int:
        """All pages that are left; how many runs it has reached, those of earlier pages included."""
        wanted = None if broadcast.match is None else compile_filter(values.decode(broadcast.match))
        while True:
            page = await self._store.signals.candidates(broadcast, PAGE)
            runs = tuple(run.id for run in page if wanted is None or wanted.matches(_filtered(run)))
            cursor = page[-1].id if len(page) == PAGE else None
            reached = await self._store.signals.hand_out(broadcast, runs, cursor)
            self._engine.reached(reached)
            delivered = broadcast.delivered + len(reached)
            if cursor is None:
                return delivered
            broadcast = msgspec.structs.replace(broadcast, cursor=cursor, delivered=delivered)


def _filtered(run: Run) -> Json:
    """What the filter of a broadcast sees of a run."""
    return {
        "id": f"run_{run.id}",
        "workflowId": f"wf_{run.workflow}",
        "triggerType": run.trigger,
        "input": values.decode(run.input),
    }
