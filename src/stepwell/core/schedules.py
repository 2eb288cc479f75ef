"""Schedules: what is due is fired, once for every instant; what was missed is caught up, or told of. Source: LoopFour
contract 12."""

import asyncio
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from stepwell.clock import Clock, iso
from stepwell.core.firing import Fire, Firings, run_input
from stepwell.core.triggers import Triggers
from stepwell.engine import Engine
from stepwell.errors import Fault, NotFound, Overloaded, ValidationFailed
from stepwell.events import Events
from stepwell.ids import lowest_at
from stepwell.states import RunState, WorkflowStatus
from stepwell.store import Firing, Store, Trigger
from stepwell.triggers import Schedule, Upcoming, compile_schedule
from stepwell.values import Json, decode

PAGE = 100
LATE_MS = 60_000  # what is due longer than this was missed, even if the process lives: the machine slept, or could not
LEASE_MS = 600_000  # for a poll that is handed over
MOST_WAITING = 100  # runs of a trigger; LoopFour contract 12
INVALID, FAILURES = "invalid_config", "too_many_failures"
_FAILED = (RunState.FAILED, RunState.TIMED_OUT)


class Schedules:
    """Fires schedules that are due. The instant is the key of the firing, and what is due next is moved on afterwards,
    if nobody else has moved it: whoever dies between leaves nothing out and starts nothing twice."""

    def __init__(
        self, store: Store, triggers: Triggers, firings: Firings, engine: Engine, clock: Clock, events: Events
    ) -> None:
        self._store = store
        self._triggers = triggers
        self._firings = firings
        self._engine = engine
        self._clock = clock
        self._events = events
        self._since = clock.now_ms()  # what was due until then was missed

    async def begin(self) -> None:
        """Arm what a death left unarmed; called once, when the service starts."""
        self._since = self._clock.now_ms()
        after: str | None = None
        while page := await self._store.triggers.unarmed(after, PAGE):
            for trigger in page:
                try:
                    await self._triggers.arm(trigger)
                except (ValidationFailed, ValueError) as error:
                    await self._stop(trigger, INVALID, str(error))
            after = page[-1].id

    async def next(self) -> int | None:
        """When a schedule or poll is due next, in epoch ms."""
        return await self._store.triggers.next_due()

    async def due(self) -> list[Trigger]:
        """A page of schedules and polls that are due."""
        return await self._store.triggers.due(self._clock.now_ms(), PAGE)

    async def lease(self, trigger: Trigger) -> Trigger | None:
        """Take a poll that is due, for a time in which it is nobody else's; None if it is not to be had."""
        leased = msgspec.structs.replace(trigger, next_at=self._clock.now_ms() + LEASE_MS)
        return leased if await self._store.triggers.advance(leased, seen=trigger.next_at) else None

    async def run(self, due: Sequence[Trigger]) -> None:
        """Fire schedules that are due, each for itself.

        Raises:
            Overloaded, StoreUnavailable: some are due still.
        """
        ended = await asyncio.gather(*(self._run(trigger) for trigger in due), return_exceptions=True)
        for error in ended:
            if isinstance(error, BaseException):
                raise error

    async def preview(self, workspace: str, reference: str, count: int) -> Upcoming:
        """When the schedule of a workflow fires next, whether it is on or not.

        Raises:
            NotFound.
            ValidationFailed: it has no schedule.
        """
        trigger, status = await self._own(workspace, reference)
        now = self._clock.now_ms()
        shown = _compiled(trigger.config).preview(now, trigger.scheduled_at or now, count)
        if trigger.status != "active":
            return shown._replace(warnings=(f"The schedule does not fire: it is {_off(trigger)}.", *shown.warnings))
        if status is not WorkflowStatus.ACTIVE:
            return shown._replace(warnings=(f"The schedule does not fire: the workflow is {status}.", *shown.warnings))
        return shown

    async def history(self, workspace: str, reference: str, before: str | None, limit: int) -> list[Firing]:
        """What came of the instants of a workflow's schedule, newest first. Raises as `preview` does."""
        trigger, _ = await self._own(workspace, reference)
        return await self._store.triggers.history(workspace, trigger.id, before, limit)

    async def _own(self, workspace: str, reference: str) -> tuple[Trigger, WorkflowStatus]:
        workflow = await self._store.workflows.get(workspace, reference)
        if workflow is None:
            raise NotFound("Workflow not found")
        trigger = await self._store.triggers.get(workspace, workflow.id)
        if trigger is None or trigger.kind != "schedule":
            raise ValidationFailed("Invalid request", [Fault(("trigger",), "The workflow has no schedule")])
        return trigger, workflow.status

    # -- one schedule that is due

    async def _run(self, trigger: Trigger) -> None:
        try:
            schedule = _compiled(trigger.config)
        except (ValidationFailed, ValueError) as error:
            await self._stop(trigger, INVALID, str(error))
            return
        try:
            last = await self._fire_due(trigger, schedule)
        except Overloaded:
            raise
        except Exception as error:  # noqa: BLE001 - one schedule must not hold the others up; it is told of
            self._events.emit("schedule.fault", trigger=trigger.id, error=repr(error))
            last = self._clock.now_ms()
            for workflow in (trigger.workflow,) if trigger.workflow is not None else ():
                wish = _wish(trigger, workflow, trigger.scheduled_at or last)
                await self._firings.skip(wish, "A fault of the server; its log tells more", failed=True)
        if last is not None:
            await self._advance(trigger, schedule, last)

    async def _fire_due(self, trigger: Trigger, schedule: Schedule) -> int | None:
        """Fire what is due. The last instant that is done with; None if the trigger is off now."""
        first = trigger.scheduled_at or trigger.next_at or self._clock.now_ms()
        instants, dropped, last = self._judge(trigger, schedule, first)
        if dropped is not None:
            await self._note_missed(trigger, schedule, first, dropped)
        for number, at in enumerate(instants):
            if await self._failed_too_often(trigger, schedule, at):
                return None
            await self._fire(trigger, schedule, at, trigger.fired + number + 1)
        return last

    def _judge(self, trigger: Trigger, schedule: Schedule, first: int) -> tuple[list[int], int | None, int]:
        """The instants to fire; the last of those that are dropped, if there are such; the last that is due."""
        now = self._clock.now_ms()
        late = trigger.next_at is not None and now - trigger.next_at > LATE_MS
        begin = now if late else self._since
        wanted = {"none": 0, "last": 1, "all": schedule.catch_up_limit}[schedule.catch_up]
        missed = [
            at for at in schedule.newest(first, min(begin, now), wanted + 2) if schedule.due_at(trigger.id, at) <= begin
        ]  # one more than wanted tells what is dropped, another may not be done yet for jitter
        caught_up, dropped = missed[len(missed) - wanted :] if wanted < len(missed) else missed, None
        if wanted < len(missed):
            dropped = missed[len(missed) - wanted - 1]
        since = missed[-1] if missed else first - 1
        on_time = [at for at in schedule.between(since, now, first) if schedule.due_at(trigger.id, at) <= now]
        instants = [*caught_up, *on_time]
        return instants, dropped, instants[-1] if instants else since

    async def _note_missed(self, trigger: Trigger, schedule: Schedule, first: int, last: int) -> None:
        """Keep that instants were left out: one firing for all of them."""
        workflows = await self._firings.workflows_of(trigger)
        for workflow in workflows:
            since = first
            if await self._store.triggers.fired(trigger.workspace, trigger.id, workflow, str(first)) is not None:
                since = schedule.after(first, first) or last + 1  # it had its run; only moving on was cut off
            if since > last:
                continue
            which = iso(since) if since == last else f"{iso(since)} to {iso(last)}"
            key = str(since) if since == last else f"{since}-{last}"
            wish = Fire(trigger=trigger, workflow=workflow, key=key, source="schedule", input=None, scheduled_at=since)
            reason = f"Missed while the server could not fire it: {which} (catchUp: {schedule.catch_up})"
            await self._firings.skip(wish, reason)
        self._events.emit("schedule.missed", trigger=trigger.id, first=iso(first), last=iso(last))

    async def _failed_too_often(self, trigger: Trigger, schedule: Schedule, at: int) -> bool:
        """Whether so many runs have failed in a row, since the trigger was switched on or changed, that it is switched
        off now."""
        most = schedule.pause_after
        if most is None:
            return False
        since = lowest_at(trigger.updated_at)
        ends = await self._store.triggers.last_ends(trigger.workspace, trigger.id, most, after=since)
        if len(ends) < most or any(state not in _FAILED for state in ends):
            return False
        reason = f"The last {most} runs failed (pauseAfterFailures): the schedule is off until it is switched on again"
        for workflow in await self._firings.workflows_of(trigger):
            await self._firings.skip(_wish(trigger, workflow, at), reason)
        await self._stop(trigger, FAILURES, f"{most} runs failed in a row")
        return True

    # -- one instant

    async def _fire(self, trigger: Trigger, schedule: Schedule, at: int, count: int) -> None:
        workflows = await self._firings.workflows_of(trigger)
        refusal = None
        if schedule.overlap != "allow":
            fired = [
                await self._store.triggers.fired(trigger.workspace, trigger.id, workflow, str(at))
                for workflow in workflows
            ]
            workflows = [workflow for workflow, known in zip(workflows, fired, strict=True) if known is None]
            refusal = await self._overlapping(trigger, schedule, {known.run for known in fired if known})
        for workflow in workflows:
            wish = _wish(trigger, workflow, at, queued=schedule.overlap == "queue")
            if refusal is not None:
                await self._firings.skip(wish, refusal)
                continue
            run = self._firings.run_id()
            told = await self._input(trigger, schedule, workflow, run, at, count)
            await self._firings.fire(msgspec.structs.replace(wish, run=run, input=told))

    async def _input(self, trigger: Trigger, schedule: Schedule, workflow: str, run: str, at: int, count: int) -> Json:
        now = self._clock.now_ms()
        if trigger.end_user is not None:  # else it is the workflow's own, of its definition or beside that
            return run_input(trigger, {}, now, at)
        row = await self._store.workflows.get(trigger.workspace, workflow)
        following = schedule.after(at, at)
        return {
            "timestamp": iso(now),
            "runId": f"run_{run}",
            "scheduleName": None if row is None else row.name,
            "scheduledAt": iso(at),
            "nextRunAt": None if following is None else iso(following),
            "runCount": count,
        }

    async def _overlapping(self, trigger: Trigger, schedule: Schedule, own: set[str | None]) -> str | None:
        """Make room for a run beside those that are open; why it is not to start, if it is not. `own` are the runs of
        this very instant, started before a death."""
        open_runs = await self._others(trigger, own)
        if schedule.overlap == "skip" and open_runs:
            return f"run_{open_runs[0]} of an earlier time is still open (overlap: skip)"
        if schedule.overlap == "queue" and len(open_runs) > MOST_WAITING:
            return f"{MOST_WAITING} runs wait already (overlap: queue)"
        while schedule.overlap == "cancel" and open_runs:
            for run in open_runs:
                await self._engine.cancel(trigger.workspace, run)
            open_runs = await self._others(trigger, own)
        return None

    async def _others(self, trigger: Trigger, own: set[str | None]) -> list[str]:
        limit = MOST_WAITING + 1 + len(own)
        found = await self._store.triggers.open_runs(trigger.workspace, trigger.id, limit)
        return [run for run in found if run not in own]

    async def _advance(self, trigger: Trigger, schedule: Schedule, last: int) -> None:
        following = schedule.after(last, trigger.scheduled_at or last)
        due = None if following is None else schedule.due_at(trigger.id, following)
        changed = msgspec.structs.replace(trigger, scheduled_at=following, next_at=due)
        await self._store.triggers.advance(changed, seen=trigger.next_at)

    async def _stop(self, trigger: Trigger, reason: str, why: str) -> None:
        if await self._triggers.fail(trigger, reason):
            self._events.emit("schedule.stopped", trigger=trigger.id, reason=reason, error=why)


@lru_cache(maxsize=2000)
def _compiled(config: bytes) -> Schedule:
    """The schedule of a trigger; compiling takes as long as all else that a firing needs."""
    return compile_schedule(decode(config))


def _wish(trigger: Trigger, workflow: str, at: int, *, queued: bool = False) -> Fire:
    """A firing of an instant, without its input."""
    return Fire(
        trigger=trigger,
        workflow=workflow,
        key=str(at),
        source="schedule",
        input=None,
        scheduled_at=at,
        queued=queued,
    )


def _off(trigger: Trigger) -> str:
    return "disabled" if trigger.status == "disabled" else f"switched off ({trigger.reason})"
