"""The engine: the door through which every run is started, taken, walked and ended."""

import asyncio
import random as randomness
from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec

from stepwell import values
from stepwell.clock import Clock
from stepwell.definitions import Plan
from stepwell.engine.attempts import INTERRUPTED
from stepwell.engine.gear import Gear, Limits, Seats
from stepwell.engine.journal import Journal, Refused
from stepwell.engine.newborn import newborn
from stepwell.engine.outage import Outage
from stepwell.engine.outcomes import Halted
from stepwell.engine.outlays import Outlays
from stepwell.engine.ports import Environment, NoSecrets
from stepwell.engine.timers import Timers
from stepwell.engine.walk import Finished, Walk
from stepwell.engine.watch import Watchers
from stepwell.errors import NotFound, Overloaded, StepError, StoreUnavailable, ValidationFailed
from stepwell.events import Events
from stepwell.ids import Ids
from stepwell.states import OPEN, RunState
from stepwell.steps import Ports
from stepwell.store import Claim, End, Loaded, NewRun, Reached, Runs, Started

CLAIM_PAGE = 100
RELEASE_PAGE = 2000
DEATHS_TO_FAIL = 3
SUSPECT_ALONE_S = 10.0  # so long a run that processes died on has the process for itself


class Engine:
    """Walks runs over one store, as one incarnation of one process."""

    def __init__(
        self,
        store: Runs,
        environment: Environment,
        ports: Ports,
        clock: Clock,
        ids: Ids,
        events: Events,
        limits: Limits | None = None,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        self.id = ids.new()
        self.watchers = Watchers()  # of callers: what was committed
        self._store = store
        self._environment = environment
        self._clock = clock
        self._events = events
        self._limits = limits or Limits()
        self._active: dict[str, asyncio.Task[None]] = {}
        self._open = 0
        self._alone = True  # until recovery has seen to the runs that processes died on
        self._stopping = False
        self.started = asyncio.Event()  # a run was started; whoever waits for that clears it
        self._work = asyncio.Event()  # something may be claimed, or it is time to stop
        self._signals = Watchers()  # of walks: what reached their runs
        self._gear = Gear(
            environment=environment,
            ports=ports,
            clock=clock,
            events=events,
            limits=self._limits,
            random=random,
            stopping=lambda: self._stopping,
            signals=self._signals,
            ids=ids,
            seats=Seats(self._limits.resident_runs),
            outlays=Outlays(),
        )
        self._outage = Outage(store, clock, events, self._work.set)
        self.timers = Timers(store, clock, events, self.reached, self._outage.note)

    # -- what callers ask for

    @property
    def open_runs(self) -> int:
        """How many runs are not final."""
        return self._open

    @property
    def active_runs(self) -> int:
        """How many runs are being walked."""
        return len(self._active)

    @property
    def healthy(self) -> bool:
        """The store takes what is written."""
        return not self._outage.lasts

    @property
    def stopping(self) -> bool:
        """No run is taken any more."""
        return self._stopping

    def admit(self) -> None:
        """Refuse what cannot be taken now.

        Raises:
            Overloaded: too many runs are open, or the process stops.
        """
        if self._stopping:
            raise Overloaded("The server is stopping", retry_after_s=5)
        if self._open >= self._limits.max_open_runs:
            raise Overloaded(retry_after_s=5)

    async def start(self, new: NewRun, plan: Plan) -> Started:
        """Store a run and set it going. When this returns, the run is on disk.

        A run started here is born owned and walked at once, if there is room; should the start be refused, so is what
        the walk writes. `new.owner` is set here.

        Raises:
            Overloaded, StoreUnavailable.
        """
        self.admit()
        born_owned = not self._alone and len(self._active) < self._limits.max_active_runs and new.max_concurrent is None
        claim = None
        if born_owned:
            new = msgspec.structs.replace(new, owner=self.id)
            claim = Claim(new.workspace, new.id, epoch=1, deaths=0)
            self._walk(claim, newborn(new), plan)
        self._open += 1  # before it is stored: its walk may end it before this goes on
        try:
            started = await self._store.start(new)
        except Exception as error:
            self._not_started(new.id)
            if isinstance(error, StoreUnavailable):
                self._outage.note(error)
            raise
        if started.replayed:
            self._not_started(new.id)
            return started
        self.started.set()
        if not born_owned:
            self._work.set()
        return started

    async def cancel(self, workspace: str, run: str) -> bool:
        """End an open run as cancelled; False if it is final or unknown. Stored before this returns."""
        error = StepError("The run was cancelled", code="CANCELLED").as_json()
        end = End(
            workspace=workspace,
            run=run,
            state=RunState.CANCELLED,
            now=self._clock.now_ms(),
            error=None,
            record_error=values.encode(error),
            allowed=OPEN,
        )
        reached = await self._store.end(end)
        self.reached(reached)
        return bool(reached)

    def reached(self, runs: Iterable[Reached]) -> None:
        """Runs that something has reached, as the store tells: wake those who walk or watch them, or claim them."""
        for each in runs:
            if each.ended is not None:
                self._ended(each.run, each.ended)
            elif each.owner is None:
                self._work.set()
                self.watchers.wake(each.run)
            else:
                self._signals.wake(each.run)

    def offer(self) -> None:
        """A hint that a run may be claimed."""
        self._work.set()

    # -- services

    async def recover(self) -> None:
        """Take stock at start: let go the runs of processes that are gone; walk alone those that died repeatedly."""
        self._open += await self._store.count_open()  # first, before a timer that fires ends one of them
        released = 0
        while page := await self._store.release_dead(self.id, RELEASE_PAGE):
            released += page
        if released:
            self._events.emit("recovery.released", count=released)
        while not self._stopping and (claims := await self._store.claim(self.id, 1, suspects=True)):
            await self._take(claims[0])
            if task := self._active.get(claims[0].run):
                await asyncio.wait((task,), timeout=SUSPECT_ALONE_S)
        self._alone = False
        self._work.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Claim runs while there is room, until told to stop (`stop` set, then `offer`)."""
        while not stop.is_set():
            await self._work.wait()
            self._work.clear()
            if stop.is_set():
                return
            try:
                if self._outage.lasts:
                    for claim in await self._outage.probe(stop):
                        await self._take(claim)
                await self.claim()
            except StoreUnavailable as error:
                self._outage.note(error)
                self._work.set()

    async def claim(self) -> int:
        """Claim and walk what there is room for; how many were taken."""
        taken = 0
        while not self._stopping and (room := self._limits.max_active_runs - len(self._active)) > 0:
            claims = await self._store.claim(self.id, min(room, CLAIM_PAGE))
            for claim in claims:
                await self._take(claim)
            taken += len(claims)
            if len(claims) < min(room, CLAIM_PAGE):
                break
        return taken

    def stop_walking(self) -> None:
        """Refuse starts; walks end before their next step, effects in flight may end."""
        self._stopping = True
        self._outage.give_up()
        for run in self._active:
            self._signals.wake(run)

    async def drain(self, grace_s: float) -> None:
        """Wait for the walks to end, at most `grace_s` seconds, then end them; let go of all runs, if the store can be
        written: else the next process does, as after a death."""
        self.stop_walking()
        if self._active:
            await asyncio.wait(self._active.values(), timeout=grace_s)
        walks = list(self._active.values())
        for task in walks:
            task.cancel()
        await asyncio.gather(*walks, return_exceptions=True)
        with suppress(StoreUnavailable):
            await self._store.release_owned(self.id)

    async def idle(self) -> None:
        """Wait until nothing is being walked; for tests and the command line."""
        while self._active:
            await asyncio.wait(self._active.values())

    # -- one run

    async def _take(self, claim: Claim) -> None:
        """Walk a run that was claimed, or hold it until the store can be used again."""
        try:
            await self._walk_claimed(claim)
        except StoreUnavailable as error:
            self._outage.hold(claim, error)
        except Exception as error:  # noqa: BLE001 - a run that cannot even be loaded must not take the others down
            await self._crashed(claim, error)

    async def _walk_claimed(self, claim: Claim) -> None:
        """Reads the journal after the claim has committed."""
        loaded = await self._store.load(claim.workspace, claim.run)
        if loaded is None or loaded.run.epoch != claim.epoch or loaded.run.state.final:
            return
        if claim.deaths >= DEATHS_TO_FAIL:
            await self._interrupt(claim, loaded)
            return
        try:
            plan = await self._environment.plan(claim.workspace, loaded.run.workflow, loaded.run.version)
        except (NotFound, ValidationFailed) as error:
            await self._give_up(claim, f"Version {loaded.run.version} cannot be run by this server: {error.message}")
            return
        self._walk(claim, loaded, plan)

    def _walk(self, claim: Claim, loaded: Loaded, plan: Plan) -> None:
        self._active[claim.run] = asyncio.get_running_loop().create_task(self._guarded(claim, loaded, plan))

    async def _guarded(self, claim: Claim, loaded: Loaded, plan: Plan) -> None:
        journal = Journal(self._store, loaded, claim.epoch, self._committed, self._outage)
        try:
            await self._walk_to_end(journal, plan)
        except (Refused, Halted):
            pass  # another walk owns the run, it has ended, or the process stops: all of that is in the store
        except StoreUnavailable as error:
            self._outage.hold(claim, error)
        except Exception as error:  # noqa: BLE001 - a fault in one walk must not take the others down
            with suppress(Refused, StoreUnavailable):
                await journal.flush()  # what effects have answered so far
            await self._crashed(claim, error)
        finally:
            if self._active.get(claim.run) is asyncio.current_task():
                self._leave(claim.run)

    async def _walk_to_end(self, journal: Journal, plan: Plan) -> None:
        run = journal.run
        self._events.emit("run.started", run=run.id, workflow=run.workflow, epoch=run.epoch)
        try:
            secrets = (
                await self._environment.secrets(run.workspace, run.workflow, plan.secrets)
                if plan.secrets
                else NoSecrets()
            )
        except StepError as error:
            journal.begin(self._clock.now_ms())
            failed = Finished(RunState.FAILED, None, values.encode(error.as_json()))
            while not await self._finish(journal, failed):
                if journal.paused and await journal.suspend():
                    return
            return
        walk = Walk(journal, plan, secrets, self._gear)
        try:
            while (finished := await walk.run()) is not None:
                if await self._finish(journal, finished):
                    return
        finally:
            walk.leave()
        self._events.emit("run.suspended", run=run.id)

    async def _finish(self, journal: Journal, finished: Finished) -> bool:
        """End the run; False if it is paused meanwhile."""
        now = self._clock.now_ms()
        committed = await journal.finish(finished.state, now, finished.output, finished.error)
        if committed is None:
            return False
        run, duration = journal.run.id, now - (journal.started_at or now)
        self._open -= 1
        self._events.emit("run.finished", run=run, state=str(finished.state), duration_ms=duration)
        if committed.unblocked:
            self._work.set()
        return True

    async def _interrupt(self, claim: Claim, loaded: Loaded) -> None:
        """End a run whose process died three times without a new result."""
        last = max(loaded.records, key=lambda record: (not record.status.final, record.started_seq), default=None)
        where = f" at {last.path}" if last else " before its first step"
        message = f"The server process ended {claim.deaths} times in a row while walking this run, the last time{where}"
        self._events.emit("recovery.interrupted", run=claim.run, deaths=claim.deaths)
        await self._give_up(claim, message, {"stepId": last.step, "path": last.path} if last else {})

    async def _give_up(self, claim: Claim, message: str, place: dict[str, str] | None = None) -> None:
        """End a run that cannot be walked."""
        error = values.encode(StepError(message, code=INTERRUPTED).as_json() | (place or {}))
        end = End(
            workspace=claim.workspace,
            run=claim.run,
            state=RunState.FAILED,
            now=self._clock.now_ms(),
            error=error,
            record_error=error,
            allowed=OPEN,
        )
        self.reached(await self._store.end(end))

    async def _crashed(self, claim: Claim, error: Exception) -> None:
        """A fault of the server ended a walk, and would end the next: the run fails, for a person to see and retry."""
        self._events.emit("run.crashed", run=claim.run, error=repr(error))
        try:
            await self._give_up(claim, "Internal error while walking the run")
        except StoreUnavailable as unavailable:
            self._outage.hold(claim, unavailable)

    def _committed(self, run: str, next_due: int | None, reached: Iterable[Reached]) -> None:
        self.watchers.wake(run)
        if next_due is not None:
            self.timers.note(next_due)
        self.reached(reached)

    def _ended(self, run: str, state: RunState) -> None:
        """A run was ended from outside: stop its walk, whose commits are refused from now on."""
        self._open -= 1
        self._drop(run)
        self._events.emit("run.finished", run=run, state=str(state), duration_ms=0)
        self.watchers.wake(run)
        self._work.set()

    def _not_started(self, run: str) -> None:
        """A run was not stored: it is not open, and what walks it ends."""
        self._open -= 1
        self._drop(run)

    def _drop(self, run: str) -> None:
        task = self._active.get(run)
        if task is not None:
            self._leave(run)
            if task is not asyncio.current_task():  # a walk that ended its run itself
                task.cancel()

    def _leave(self, run: str) -> None:
        """A walk leaves the active ones; if that makes room, more may be claimed."""
        del self._active[run]
        if len(self._active) == self._limits.max_active_runs - 1:
            self._work.set()
