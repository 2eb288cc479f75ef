"""Firing: one trigger, one workflow, one thing that happened; a run comes of it, once, or the reason why none does."""

import msgspec

from stepwell.clock import Clock, iso
from stepwell.core.runs import Runs
from stepwell.core.starting import StartRequest
from stepwell.errors import BudgetExceeded, InvalidStatus, NotFound, PayloadTooLarge, StepwellError, ValidationFailed
from stepwell.ids import Ids
from stepwell.states import WorkflowStatus
from stepwell.store import Firing, Store, Trigger
from stepwell.values import Json, decode, encode

LONGEST_REASON = 1000


class Fire(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to start a run by a trigger. `key` tells this firing from others of the same trigger and workflow: however
    often it is wished for, it happens once. `input` is the run's, made by `run_input`; `payload` what happened, kept
    with the firing if no delivery holds it. `run` is the id of the run, where its input tells it."""

    trigger: Trigger
    workflow: str
    key: str
    source: str  # schedule, webhook or poll
    input: Json
    trigger_data: dict[str, Json] = {}
    scheduled_at: int | None = None
    delivery: str | None = None
    arrival: tuple[str, str] | None = None  # route and event id: starts nothing if the event is another delivery's
    payload: Json = None
    replay_of: str | None = None
    queued: bool = False
    run: str | None = None


class Firings:
    """Starts the runs that triggers ask for, and keeps why one was not started."""

    def __init__(self, store: Store, runs: Runs, ids: Ids, clock: Clock) -> None:
        self._store = store
        self._runs = runs
        self._ids = ids
        self._clock = clock

    async def fire(self, wish: Fire) -> Firing:
        """Start the run, or record why not. The answer's `status` is started, skipped or failed; one whose key was
        known already is `skipped` with the earlier run, and nothing is recorded of it.

        Nothing is awaited before the start is handed to the store if workflow and plan are at hand: what was handed to
        it before, in the same turn of the loop, is written before it.

        Raises:
            Overloaded, StoreUnavailable: nothing has happened; it is to be fired again later.
        """
        trigger = wish.trigger
        began = self._clock.monotonic()
        firing = self._firing(wish)
        if trigger.status != "active":
            return await self._refused(firing, "skipped", f"The trigger is {_off(trigger)}", began)
        request = StartRequest(
            workflow=wish.workflow,
            input=wish.input,
            trigger="schedule" if trigger.kind == "schedule" else "webhook",
            trigger_data=wish.trigger_data or None,
            connection=None if trigger.end_user is not None else trigger.connection,
            id=firing.run,
            firing=firing,
            arrival=wish.arrival,
            queued=wish.queued,
            end_user=trigger.end_user,
        )
        try:
            started = await self._runs.start(trigger.workspace, request)
        except (BudgetExceeded, InvalidStatus, NotFound) as error:
            return await self._refused(firing, "skipped", error.message, began)
        except (ValidationFailed, PayloadTooLarge) as error:
            return await self._refused(firing, "failed", _words(error), began)
        if started.replayed:
            return msgspec.structs.replace(
                firing, status="skipped", reason="It was fired before", run=started.run or None
            )
        return firing

    async def skip(self, wish: Fire, reason: str, *, failed: bool = False) -> Firing:
        """Record that a firing starts nothing, and why."""
        return await self._refused(self._firing(wish), "failed" if failed else "skipped", reason, None)

    async def workflows_of(self, trigger: Trigger) -> list[str]:
        """The active workflows that a trigger starts: its own, or those that name an instance without one."""
        if trigger.workflow is not None:
            return [trigger.workflow]
        named = await self._store.triggers.linked(trigger.workspace, (trigger.id, trigger.slug))
        rows = [await self._store.workflows.get(trigger.workspace, each) for each in named]
        return [row.id for row in rows if row is not None and row.status is WorkflowStatus.ACTIVE]

    def run_id(self) -> str:
        """An id for a run whose input tells it."""
        return self._ids.new()

    def _firing(self, wish: Fire) -> Firing:
        id = self._ids.new()
        return Firing(
            workspace=wish.trigger.workspace,
            id=id,
            trigger=wish.trigger.id,
            slug=wish.trigger.slug,
            workflow=wish.workflow,
            key=wish.key,
            source=wish.source,
            run=wish.run or self._ids.new(),
            scheduled_at=wish.scheduled_at,
            delivery=wish.delivery,
            payload=None if wish.payload is None else encode(wish.payload),
            end_user=wish.trigger.end_user,
            replay_of=wish.replay_of,
        )

    async def _refused(self, firing: Firing, status: str, reason: str, began: float | None) -> Firing:
        took = 0 if began is None else round((self._clock.monotonic() - began) * 1000)
        refused = msgspec.structs.replace(
            firing, status=status, reason=reason[:LONGEST_REASON], run=None, duration_ms=took
        )
        await self._store.triggers.record((refused,))
        return refused


def run_input(trigger: Trigger, payload: Json, now_ms: int, scheduled_at: int | None = None) -> Json:
    """The input of a run that a trigger starts: the payload itself, or for an instance what the Flowra contract 5.5
    says: its own `input`, then `trigger` and `payload`."""
    if not trigger.instance:
        return payload
    slug = trigger.slug.replace(".", "_")  # as that dialect writes the slug of a connector's event
    told: dict[str, Json] = {"id": trigger.id, "slug": slug, "type": trigger.kind, "firedAt": iso(now_ms)}
    if scheduled_at is not None:
        told["scheduledFor"] = iso(scheduled_at)
    own = decode(trigger.config).get("input")
    return {**(own if isinstance(own, dict) else {}), "trigger": told, "payload": payload}


def _off(trigger: Trigger) -> str:
    return "disabled" if trigger.status == "disabled" else f"switched off: {trigger.reason}"


def _words(error: StepwellError) -> str:
    faults = error.faults[:5] if isinstance(error, ValidationFailed) else []
    return "; ".join([error.message, *(f"{fault.field}: {fault.message}" for fault in faults)])
