"""The inbox: inbound webhooks, stored before they are answered, each event once. Source: LoopFour contract 11."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from stepwell.clock import Clock
from stepwell.core import inbound as requests
from stepwell.core.inbound import InboundRequest
from stepwell.core.listening import Address, Listener, Listening
from stepwell.core.routing import UNVERIFIED, Arrived, Routing, Wishes, place_of
from stepwell.core.starting import StartedRun
from stepwell.engine import Engine
from stepwell.errors import InvalidState, NotFound, Overloaded, Unauthorized
from stepwell.events import Events
from stepwell.ids import Ids, created_ms
from stepwell.settings import Webhooks
from stepwell.store import Delivery, DeliveryFilter, Firing, FiringFilter, Store
from stepwell.triggers import Inbound, Respond, Scheme, body_of, challenge_of, events_of
from stepwell.values import Json

T = TypeVar("T")

BAD_SIGNATURE = "Invalid or missing signature"
HOUR_MS = 3_600_000
MOST_RESULTS = 1000
PAGE = 50
PRUNED_AFTER = 1000  # rejected requests between two looks at how many are kept
PRUNED_AT_ONCE = 2 * PRUNED_AFTER


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a request. `runs` were started; `firings` tell of each workflow. `respond` is what the first trigger
    that took it wants its sender answered, `data` what that may read; `runs` of a duplicate are those of the first."""

    event: str
    triggered: int = 0
    duplicate: bool = False
    challenge: str | None = None
    respond: Respond | None = None
    workspace: str = ""
    runs: tuple[str, ...] = ()
    data: dict[str, Json] = {}


class Inbox:
    """The use cases on deliveries."""

    def __init__(
        self,
        store: Store,
        listening: Listening,
        routing: Routing,
        engine: Engine,
        clock: Clock,
        ids: Ids,
        events: Events,
        settings: Webhooks,
    ) -> None:
        self._store = store
        self._deliveries = store.deliveries
        self.listening = listening
        self._routing = routing
        self._engine = engine
        self._clock = clock
        self._ids = ids
        self._events = events
        self._settings = settings
        self._under_way: dict[str, asyncio.Event] = {}  # deliveries whose runs are being started here
        self._rejected = 0
        self.left = asyncio.Event()  # a delivery is stored whose runs could not all be started

    # -- what arrives

    async def receive(self, address: Address, request: InboundRequest) -> Received:
        """Take a request: when this returns, it is on disk, with the runs that it starts.

        Raises:
            NotFound: nothing listens there; nothing is stored.
            Unauthorized: it does not prove who sent it; it is stored as rejected.
            Overloaded, StoreUnavailable: it is to be sent again.
        """
        self._engine.admit()
        listeners = await self.listening.at(address)
        inbound = requests.read(request, self.listening.called(request.path, request.query))
        row = requests.stored(self._ids.new(), address, request, listeners)
        heard, refused = await self._verified(address, listeners, inbound, self._clock.now_ms())
        if not heard:
            await self._reject(row, address, refused[0][1])
            raise Unauthorized(BAD_SIGNATURE)
        body = body_of(inbound.headers, inbound.body)
        dialect = _dialect(heard)
        challenge = challenge_of(dialect, body)
        if challenge is not None:
            row = msgspec.structs.replace(row, status="ignored", pending=False, reason="Slack asked for its challenge")
            await self._keep(row, address, ())
            return Received(event=row.id, challenge=challenge)
        events = events_of(inbound, body, dialect)
        row = msgspec.structs.replace(row, event_type=events[0].type if events else None)
        shown = requests.masked(inbound, listeners)
        return await self._take(Arrived(row, address, shown, events, requests.keys_of(row.id, events), heard, refused))

    async def _take(self, arrived: Arrived) -> Received:
        """Store a delivery and start its runs: all of it is handed to the store in one turn of the loop, so that it is
        written together."""
        wishes = await self._routing.wishes(arrived)
        row, count = arrived.row, len(wishes.fires)
        if not count:
            row = msgspec.structs.replace(row, status="ignored", pending=False, reason=_why_none(arrived, wishes))
        with self._way(row.id):
            receiving = asyncio.ensure_future(self._keep(row, arrived.address, arrived.keys))
            firing = self._routing.fire(wishes)
            closing = [asyncio.ensure_future(self._deliveries.close(row.workspace, row.id, count))] if count else []
            first = await _outcome(receiving)
            rest = [await _outcome(each) for each in firing]
            closed = [await _outcome(each) for each in closing]  # whatever failed before: no task is left behind
            if isinstance(first, BaseException):
                raise first
            if isinstance(first, str):
                return await self._again(arrived, wishes, first)
            for each in (*rest, *closed):
                if isinstance(each, BaseException):
                    self.left.set()
                    raise each
            fired = [each.result() for each in firing]
            await self._settle(row, wishes, fired, settled=not count or closing[0].result())
        return self._received(arrived, wishes, fired)

    async def _again(self, arrived: Arrived, wishes: Wishes, first: str) -> Received:
        """Answer a request whose events all arrived before. If the runs of the first could not be started then, they
        are started now."""
        workspace = arrived.row.workspace
        while (waited := self._under_way.get(first)) is not None:
            await waited.wait()
        earlier = await self._deliveries.get(workspace, first)
        if earlier is not None and earlier.pending:
            await self._route_again(earlier)
        respond = _responding(arrived, wishes)
        runs: tuple[str, ...] = ()
        if respond is not None:
            runs = tuple(each.run for each in await self._results(workspace, first) if each.run)
        return Received(
            event=first,
            duplicate=True,
            respond=respond,
            workspace=workspace,
            runs=runs,
            data=_told(arrived),
        )

    async def resume(self, *, before: str | None = None) -> int:
        """Start the runs that stored deliveries still miss; how many deliveries there were. Those that are on their way
        now are left alone.

        Raises:
            Overloaded, StoreUnavailable: some are still left.
        """
        bound = before or self._ids.new()
        count, seen = 0, ""
        while page := await self._deliveries.pending(bound, PAGE):
            page = [row for row in page if row.id not in self._under_way and row.id > seen]
            if not page:
                break
            for row in page:
                await self._resumed(row)
                seen = row.id
            count += len(page)
        return count

    async def _resumed(self, row: Delivery) -> None:
        try:
            await self._route_again(row)
        except Overloaded:
            raise
        except Exception as error:  # noqa: BLE001 - one delivery that cannot be routed does not hold up the others
            self._events.emit("inbox.unrouted", workspace=row.workspace, delivery=row.id, error=repr(error))
            await self._deliveries.settle(row.workspace, row.id, "processed", "A fault of the server; replay it")

    async def _route_again(self, row: Delivery) -> list[Firing]:
        """Start what a stored delivery still misses. What it proved when it came, it proves again; its own events are
        those that no other delivery has brought before."""
        with self._way(row.id):
            arrived = await self._stored(row, created_ms(row.id))
            owned = frozenset(await self._deliveries.keys_of(row.workspace, arrived.address.route, row.id))
            keys = tuple(key if key in owned else "" for key in arrived.keys)
            arrived = dataclasses.replace(arrived, keys=keys)
            wishes = await self._routing.wishes(arrived)
            # One after the other: those that were started before would, for a moment, take the others' room.
            fired = [await self._routing.fire_one(wish) for wish in wishes.fires]
            await self._settle(row, wishes, fired)
            return fired

    # -- what is asked of deliveries

    async def page(self, wanted: DeliveryFilter) -> list[Delivery]:
        """A page of deliveries, newest first, without bodies."""
        return await self._deliveries.page(wanted)

    async def get(self, workspace: str, delivery: str) -> tuple[Delivery, list[Firing]]:
        """A delivery, whole, and what came of it. Raises NotFound."""
        row = await self._get(workspace, delivery)
        return row, await self._results(workspace, delivery)

    def read(self, row: Delivery) -> Inbound:
        """A stored request as it was read."""
        return requests.read_again(row, self.listening.called(row.path, row.query))

    async def replay(self, workspace: str, delivery: str, *, trigger: str | None = None) -> list[Firing]:
        """Route a stored delivery again, past what is known of its events: for one trigger, or for all that listen
        there now. What is fired of it.

        Raises:
            NotFound: there is no such delivery.
            InvalidState: it was rejected.
            Overloaded.
        """
        row = await self._vouched(workspace, delivery, "replayed")
        self._engine.admit()
        results = await self._results(workspace, delivery)
        arrived = await self._stored(row, None)
        unverified = {each.trigger for each in results if (each.reason or "").startswith(UNVERIFIED)}
        heard = [
            each
            for each in arrived.heard
            if each.trigger is None or (each.trigger.id not in unverified and trigger in (None, each.trigger.id))
        ]
        arrived = dataclasses.replace(arrived, heard=heard)
        replayed = {
            place_of(each): each.id
            for each in reversed(results)
            if not each.replay_of and each.key.startswith(delivery)
        }
        wishes = await self._routing.wishes(arrived, replay=f"replay:{self._ids.new()}", replayed=replayed)
        fired = [await each for each in self._routing.fire(wishes)]
        return [*fired, *await self._routing.skip(wishes)]

    async def start(self, workspace: str, delivery: str, workflow: str) -> list[StartedRun]:
        """Start runs of a workflow on a stored delivery, one for each event in it, whatever the workflow listens to.

        Raises:
            NotFound: there is no such delivery or workflow.
            InvalidState: the delivery was rejected.
            InvalidStatus, ValidationFailed, PayloadTooLarge, Overloaded.
        """
        row = await self._vouched(workspace, delivery, "used")
        inbound = requests.read_again(row, "")
        events = events_of(inbound, body_of(inbound.headers, inbound.body), None)
        return await self._routing.start(row, inbound, events, workflow)

    async def _vouched(self, workspace: str, delivery: str, done: str) -> Delivery:
        row = await self._get(workspace, delivery)
        if row.status == "rejected":
            raise InvalidState(f"A rejected delivery cannot be {done}")
        return row

    async def _get(self, workspace: str, delivery: str) -> Delivery:
        row = await self._deliveries.get(workspace, delivery)
        if row is None:
            raise NotFound("Delivery not found")
        return row

    async def _results(self, workspace: str, delivery: str) -> list[Firing]:
        """Oldest first."""
        wanted = FiringFilter(workspace=workspace, delivery=delivery, limit=MOST_RESULTS)
        return (await self._store.triggers.firings(wanted))[0][::-1]

    # -- parts of the above

    async def _verified(
        self, address: Address, listeners: list[Listener], inbound: Inbound, now_ms: int
    ) -> tuple[list[Listener], list[tuple[Listener, str]]]:
        heard, refused = [], []
        for listener in listeners:
            why = await self.listening.why_not(address, listener, inbound, now_ms)
            if why is None:
                heard.append(listener)
            else:
                refused.append((listener, why))
        return heard, refused

    async def _reject(self, row: Delivery, address: Address, why: str) -> None:
        """Keep a request that nobody vouches for, and not too many of them."""
        await self._keep(requests.rejected(row, why), address, ())
        self._rejected += 1
        if self._rejected >= PRUNED_AFTER:
            self._rejected = 0
            await self._deliveries.prune_rejected(row.workspace, self._settings.keep_rejected, PRUNED_AT_ONCE)

    async def _keep(self, row: Delivery, address: Address, keys: tuple[str, ...]) -> str | None:
        self._engine.started.set()  # something is stored that grows old; retention looks after it
        since = created_ms(row.id) - self._settings.dedupe_hours * HOUR_MS
        return await self._deliveries.receive(row, address.route, keys, since=since)

    async def _settle(self, row: Delivery, wishes: Wishes, fired: list[Firing], *, settled: bool = False) -> None:
        """Note what came of a delivery whose runs are all started, or refused for good."""
        if wishes.skips:
            await self._routing.skip(wishes)
        if not settled:
            taken = any(each.run or each.status == "failed" for each in fired)
            reasons = {each.reason for each in fired if each.reason} | {why for _, why in wishes.skips}
            reason = reasons.pop() if len(reasons) == 1 and not taken else None
            status = "processed" if taken else "ignored"
            await self._deliveries.settle(row.workspace, row.id, status, reason)

    def _received(self, arrived: Arrived, wishes: Wishes, fired: list[Firing]) -> Received:
        respond = _responding(arrived, wishes)
        return Received(
            event=arrived.row.id,
            triggered=sum(each.status == "started" for each in fired),
            respond=respond,
            workspace=arrived.row.workspace,
            runs=tuple(each.run for each in fired if each.run),
            data={} if respond is None else _told(arrived),
        )

    async def _stored(self, row: Delivery, verified_at: int | None) -> Arrived:
        """A stored delivery as it arrived; whoever listens there now hears it if it proves itself, or at once if it is
        not asked to."""
        inbound = requests.read_again(row, self.listening.called(row.path, row.query))
        address = requests.address_of(row)
        try:
            heard = await self.listening.at(address)
        except NotFound:
            heard = []
        refused: list[tuple[Listener, str]] = []
        if verified_at is not None:
            heard, refused = await self._verified(address, heard, inbound, verified_at)
        events = events_of(inbound, body_of(inbound.headers, inbound.body), _dialect(heard))
        return Arrived(row, address, inbound, events, requests.keys_of(row.id, events), heard, refused)

    @contextmanager
    def _way(self, delivery: str) -> Iterator[None]:
        """While a delivery's runs are being started, those who bring the same events wait."""
        event = self._under_way[delivery] = asyncio.Event()
        try:
            yield
        finally:
            self._under_way.pop(delivery, None)
            event.set()


async def _outcome(future: Awaitable[T]) -> T | BaseException:
    """What a future came to."""
    try:
        return await future
    except Exception as error:  # noqa: BLE001 - raised again by who asked
        return error


def _responding(arrived: Arrived, wishes: Wishes) -> Respond | None:
    """How the first trigger that meant an event wants its sender answered."""
    meant = {wish.trigger.id for wish in wishes.fires}
    for listener in arrived.heard:
        if listener.trigger is not None and listener.trigger.id in meant and listener.hook.respond is not None:
            return listener.hook.respond
    return None


def _told(arrived: Arrived) -> dict[str, Json]:
    """What an answer may read of a request."""
    inbound, events = arrived.inbound, arrived.events
    body = events[0].body if len(events) == 1 else [event.body for event in events]
    trigger = {"type": "webhook", "body": body, "headers": dict(inbound.headers), "query": dict(inbound.query)}
    return {"trigger": trigger, "eventType": arrived.row.event_type}


def _dialect(heard: list[Listener]) -> Scheme | None:
    """Whose way of naming events a request follows: the first that any listener knows, as some may know none."""
    return next((each.hook.dialect for each in heard if each.hook.dialect is not None), None)


def _why_none(arrived: Arrived, wishes: Wishes) -> str:
    """Why a delivery starts nothing."""
    reasons = {why for _, why in wishes.skips}
    if len(reasons) == 1:
        return reasons.pop()
    if reasons:
        return "No workflow is meant by it"
    return "It holds no event" if not arrived.events else "No active workflow listens to it"
