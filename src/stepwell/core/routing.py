"""Routing: which workflows the events of a delivery start, and which not and why."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from stepwell.clock import Clock
from stepwell.core.firing import Fire, Firings, run_input
from stepwell.core.listening import Address, Listener
from stepwell.core.plans import Plans
from stepwell.core.runs import Runs
from stepwell.core.starting import StartedRun, StartRequest
from stepwell.errors import NotFound
from stepwell.ids import Ids
from stepwell.states import WorkflowStatus
from stepwell.store import Delivery, Firing, Store, Trigger
from stepwell.triggers import Event, Inbound
from stepwell.values import Json

Place: TypeAlias = tuple[str, str | None, int]
"""Trigger, workflow, and which of the delivery's events."""

UNVERIFIED = "Not verified: "  # how the reason begins where a request did not prove itself to one of several triggers


@dataclass(frozen=True, slots=True)
class Arrived:
    """A delivery, its events with the keys by which they are told from others, and who it is for. `refused` are
    listeners to which it did not prove who sent it, and why."""

    row: Delivery
    address: Address
    inbound: Inbound
    events: tuple[Event, ...]
    keys: tuple[str, ...]
    heard: list[Listener]
    refused: list[tuple[Listener, str]]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be fired, and what is not and why."""

    fires: list[Fire] = field(default_factory=list)
    skips: list[tuple[Fire, str]] = field(default_factory=list)


class Routing:
    """Makes firings of deliveries."""

    def __init__(self, store: Store, plans: Plans, firings: Firings, runs: Runs, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._plans = plans
        self._firings = firings
        self._runs = runs
        self._clock = clock
        self._ids = ids

    async def wishes(
        self, arrived: Arrived, *, replay: str | None = None, replayed: Mapping[Place, str] | None = None
    ) -> Wishes:
        """What a delivery asks for. A `replay` has keys of its own and goes past what is known of its events;
        `replayed` are the ids of the earlier firings. Events that stand twice in it count once."""
        wishes = Wishes()
        listed = [(listener, "") for listener in arrived.heard]
        listed += [(listener, f"{UNVERIFIED}{why}") for listener, why in arrived.refused]
        for listener, unverified in listed:
            trigger = listener.trigger
            if trigger is None:
                continue
            for workflow in await self._firings.workflows_of(trigger):
                whole = await self._reads_body(trigger, workflow)
                for key, (place, event) in _once(arrived).items():
                    reason = unverified or listener.hook.refusal(event)
                    wish = Fire(
                        trigger=trigger,
                        workflow=workflow,
                        key=f"{replay or arrived.row.id}:{place}",
                        source="webhook",
                        input=run_input(trigger, event.body, self._clock.now_ms()),
                        trigger_data=_trigger_data(arrived.inbound, event.body if whole else None),
                        delivery=arrived.row.id,
                        arrival=None if replay else (arrived.address.route, key),
                        replay_of=(replayed or {}).get((trigger.id, workflow, place)),
                    )
                    if reason:
                        wishes.skips.append((wish, reason))
                    else:
                        wishes.fires.append(wish)
        return wishes

    async def skip(self, wishes: Wishes) -> list[Firing]:
        """Record what is not fired."""
        return await asyncio.gather(*(self._firings.skip(wish, why) for wish, why in wishes.skips))

    def fire(self, wishes: Wishes) -> "list[asyncio.Future[Firing]]":
        """Fire the rest: handed to the store in the turn of the loop that follows, in order."""
        return [asyncio.ensure_future(self._firings.fire(wish)) for wish in wishes.fires]

    async def fire_one(self, wish: Fire) -> Firing:
        """Fire one of them."""
        return await self._firings.fire(wish)

    async def start(
        self, row: Delivery, inbound: Inbound, events: tuple[Event, ...], workflow: str
    ) -> list[StartedRun]:
        """Start runs of a workflow, whatever it listens to: one for each event of a stored delivery.

        Raises:
            NotFound, InvalidStatus, ValidationFailed, PayloadTooLarge, Overloaded.
        """
        found = await self._store.workflows.get(row.workspace, workflow)
        if found is None:
            raise NotFound("Workflow not found")
        by_hand = self._ids.new()
        started = []
        for place, event in enumerate(events):
            run = self._ids.new()
            firing = Firing(
                workspace=row.workspace,
                id=self._ids.new(),
                trigger=found.id,
                slug="webhook",
                workflow=found.id,
                key=f"start:{by_hand}:{place}",
                source="webhook",
                run=run,
                delivery=row.id,
            )
            request = StartRequest(
                workflow=found.id,
                input=event.body,
                trigger="webhook",
                trigger_data=_trigger_data(inbound, event.body),
                id=run,
                firing=firing,
            )
            started.append(await self._runs.start(row.workspace, request))
        return started

    async def _reads_body(self, trigger: Trigger, workflow: str) -> bool:
        """Whether the run's input is something else than the body, so that `trigger.body` is kept beside it."""
        if trigger.instance:
            return True
        row = await self._store.workflows.get(trigger.workspace, workflow)
        if row is None or row.status is not WorkflowStatus.ACTIVE:
            return False
        return (await self._plans.get(row.workspace, row.id, row.version)).input_schema is not None


def place_of(firing: Firing) -> Place:
    """What a firing of a delivery was for."""
    return firing.trigger, firing.workflow, int(firing.key.rpartition(":")[2])


def _once(arrived: Arrived) -> dict[str, tuple[int, Event]]:
    """The events by key, with their places."""
    found: dict[str, tuple[int, Event]] = {}
    for place, (key, event) in enumerate(zip(arrived.keys, arrived.events, strict=True)):
        if key:
            found.setdefault(key, (place, event))
    return found


def _trigger_data(inbound: Inbound, body: Json) -> dict[str, Json]:
    """What `trigger.*` has besides its type; the body is the run's input unless it is given."""
    data: dict[str, Json] = {"headers": dict(inbound.headers), "query": dict(inbound.query)}
    return data if body is None else {**data, "body": body}
