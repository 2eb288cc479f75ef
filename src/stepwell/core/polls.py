"""Polls: what is new at a provider, once for every item. Fired by the scheduler, like everything that is due."""

import asyncio
import hashlib
from collections.abc import Iterable

import msgspec

from stepwell.clock import Clock
from stepwell.connectors import EventSources, Found, Item, Look, OpenConnection
from stepwell.core.event_connections import INVALID, EventConnections, Unusable
from stepwell.core.firing import Fire, Firings, run_input
from stepwell.errors import Overloaded, StepError, StoreUnavailable, ValidationFailed
from stepwell.events import Events
from stepwell.store import Store, Trigger
from stepwell.triggers import EventCatalogue, EventSpec, Subscription, compile_event
from stepwell.values import InvalidJson, Json, canonical, decode, encode

LONGEST_POLL_S = 30.0
MOST_FAILURES = 10
LONGEST_DELAY_MS = 3_600_000
BUSY_DELAY_MS = 5000
DEFAULT_INTERVAL_S = 300
MOST_SEEN = 2000
LONGEST_REASON = 500


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """How far a poll has come, kept with its trigger. `of` tells for which event, parameters and connection; with
    others it counts for nothing. `seen` are the hashes of the ids that were dealt with, the newest last; `state` is the
    source's own, None before the first look."""

    of: str
    seen: tuple[str, ...] = ()
    state: Json = None
    failures: int = 0


class Polls:
    """Looks for new items and fires one run each, oldest first.

    An item's id is the key of its firing, and the cursor is moved on after the firings, if nobody else has moved it: a
    poll that is cut off, or made twice, starts nothing twice and leaves nothing out.
    """

    def __init__(
        self,
        store: Store,
        sources: EventSources,
        catalogue: EventCatalogue,
        accounts: EventConnections,
        firings: Firings,
        clock: Clock,
        events: Events,
    ) -> None:
        self._store = store
        self._sources = sources
        self._catalogue = catalogue
        self._accounts = accounts
        self._firings = firings
        self._clock = clock
        self._events = events

    async def poll(self, trigger: Trigger) -> None:
        """Poll a trigger that is due, and note when it is due next. What goes wrong at the provider is noted on the
        trigger; tried again after twice the time each, and ten times in a row put the trigger into error.

        Raises:
            StoreUnavailable: nothing is noted; it is due still.
        """
        spec = self._catalogue.event(trigger.slug)
        cursor = _stored(trigger)
        interval_s = DEFAULT_INTERVAL_S if spec is None else spec.interval_s
        try:
            if spec is None:
                raise Unusable(f"{INVALID}: no connector offers {trigger.slug} any more")
            subscription = _subscription(trigger, spec)
            interval_s = subscription.interval_s
            named = trigger.connection or subscription.connection
            connection = await self._accounts.open(trigger.workspace, spec, named)
            of = _of(subscription, connection)
            cursor = cursor if cursor.of == of else Cursor(of=of)
            cursor = await self._round(trigger, subscription, connection, cursor)
        except StoreUnavailable:
            raise
        except Overloaded as busy:
            await self._again(trigger, cursor, max(BUSY_DELAY_MS, busy.retry_after_s * 1000))
        except Unusable as off:
            await self._switch_off(trigger, cursor, str(off))
        except StepError as error:
            await self._failed(trigger, cursor, interval_s, error)
        except Exception as error:  # noqa: BLE001 - one trigger must not hold the others up; it is told of
            self._events.emit("poll.fault", trigger=trigger.id, error=repr(error)[:LONGEST_REASON])
            await self._failed(trigger, cursor, interval_s, StepError("The server could not read what is there"))
        else:
            await self._advance(trigger, cursor, self._clock.now_ms() + interval_s * 1000)

    async def _round(
        self, trigger: Trigger, subscription: Subscription, connection: OpenConnection | None, cursor: Cursor
    ) -> Cursor:
        """One look with its firings; the cursor after them."""
        workflows = await self._firings.workflows_of(trigger)
        if not workflows:
            return cursor
        look = Look(
            workspace=trigger.workspace,
            trigger=trigger.id,
            subscription=subscription,
            connection=connection,
            state=cursor.state,
            limit=subscription.most_items,
            now_ms=self._clock.now_ms(),
            timeout_s=LONGEST_POLL_S - 1,
        )
        found = await self._within_time(look)
        new = _new(found.items, cursor)
        if cursor.state is None and subscription.first == "skip":
            return _after(cursor, found, found.items, whole=True)
        taken = new[: subscription.most_items]
        fired: list[Item] = []
        try:
            for item in taken:
                await self._fire(trigger, subscription, workflows, f"{cursor.of}:{item.id}", item.data)
                fired.append(item)
        except Overloaded:
            if not fired:
                raise
            return _after(cursor, found, fired, whole=False)
        whole = len(taken) == len(new)
        if whole:
            await self._settle(trigger, look, found)
        self._events.emit("poll.done", trigger=trigger.id, found=len(found.items), new=len(fired))
        return _after(cursor, found, fired, whole=whole)

    async def _within_time(self, look: Look) -> Found:
        try:
            async with asyncio.timeout(LONGEST_POLL_S):
                return await self._sources.look(look)
        except TimeoutError:
            raise StepError("The provider takes too long to answer", kind="timeout", retryable=True) from None

    async def _settle(self, trigger: Trigger, look: Look, found: Found) -> None:
        """What remains at the provider is done if it can be: the runs are started already."""
        try:
            async with asyncio.timeout(LONGEST_POLL_S):
                await self._sources.settled(look, found)
        except (StepError, TimeoutError) as error:
            said = error.message if isinstance(error, StepError) else "it takes too long"
            self._events.emit("poll.failed", trigger=trigger.id, failures=0, error=said[:LONGEST_REASON])

    async def _fire(
        self, trigger: Trigger, subscription: Subscription, workflows: list[str], key: str, data: Json
    ) -> None:
        if subscription.filter is not None and not subscription.filter.matches(data):
            return
        for workflow in workflows:
            await self._firings.fire(
                Fire(
                    trigger=trigger,
                    workflow=workflow,
                    key=key,
                    source="poll",
                    input=run_input(trigger, data, self._clock.now_ms()),
                    trigger_data={"event": trigger.slug, "item": data},
                    payload=data,
                )
            )

    async def _failed(self, trigger: Trigger, cursor: Cursor, interval_s: int, error: StepError) -> None:
        failures = cursor.failures + 1
        reason = f"poll_failed: {error.message}"[:LONGEST_REASON]
        self._events.emit("poll.failed", trigger=trigger.id, failures=failures, error=error.message[:LONGEST_REASON])
        cursor = msgspec.structs.replace(cursor, failures=failures)
        if failures >= MOST_FAILURES:
            await self._switch_off(trigger, cursor, reason)
            return
        usual = interval_s * 1000
        delay = max(usual, min(usual * 2**failures, LONGEST_DELAY_MS), error.retry_after_ms or 0)
        await self._advance(trigger, cursor, self._clock.now_ms() + delay, reason)

    async def _again(self, trigger: Trigger, cursor: Cursor, delay_ms: int) -> None:
        await self._advance(trigger, cursor, self._clock.now_ms() + delay_ms, trigger.reason)

    async def _switch_off(self, trigger: Trigger, cursor: Cursor, reason: str) -> None:
        off = msgspec.structs.replace(
            trigger,
            status="error",
            reason=reason[:LONGEST_REASON],
            scheduled_at=None,
            next_at=None,
            cursor=encode(msgspec.structs.asdict(msgspec.structs.replace(cursor, failures=0))),
            disabled_at=self._clock.now_ms(),
        )
        await self._store.triggers.advance(off, seen=trigger.next_at)

    async def _advance(self, trigger: Trigger, cursor: Cursor, next_at: int, reason: str | None = None) -> None:
        """Move on, unless somebody has changed meanwhile when the trigger is due."""
        moved = msgspec.structs.replace(
            trigger, cursor=encode(msgspec.structs.asdict(cursor)), scheduled_at=next_at, next_at=next_at, reason=reason
        )
        await self._store.triggers.advance(moved, seen=trigger.next_at)


def _subscription(trigger: Trigger, spec: EventSpec) -> Subscription:
    try:
        return compile_event(decode(trigger.config), spec)
    except (ValidationFailed, KeyError, TypeError, ValueError):
        raise Unusable(f"{INVALID}: the trigger's config does not fit {spec.name} any more") from None


def _stored(trigger: Trigger) -> Cursor:
    try:
        return msgspec.convert(decode(trigger.cursor), Cursor) if trigger.cursor else Cursor(of="")
    except (InvalidJson, msgspec.ValidationError):
        return Cursor(of="")


def _of(subscription: Subscription, connection: OpenConnection | None) -> str:
    """What tells the items of these parameters and this account from those of others."""
    account = None if connection is None else connection.id
    told = canonical({"event": subscription.event, "params": subscription.params, "connection": account})
    return hashlib.sha256(told).hexdigest()[:16]


def _new(items: Iterable[Item], cursor: Cursor) -> list[Item]:
    seen = frozenset(cursor.seen)
    return [item for item in items if _mark(item) not in seen]


def _after(cursor: Cursor, found: Found, dealt: Iterable[Item], *, whole: bool) -> Cursor:
    """The cursor once items were dealt with. Only if that was all of them, the source may go on from there."""
    here = {_mark(item) for item in found.items}
    known = [mark for mark in cursor.seen if mark not in here]  # of items that are not listed any more
    listed = [mark for mark in cursor.seen if mark in here] + [_mark(item) for item in dealt]
    seen = [*known[-max(0, MOST_SEEN - len(listed)) :], *dict.fromkeys(listed)] if len(listed) < MOST_SEEN else listed
    state = (found.state or {}) if whole else cursor.state
    return Cursor(of=cursor.of, seen=tuple(seen), state=state, failures=0)


def _mark(item: Item) -> str:
    return hashlib.blake2b(item.id.encode(), digest_size=8).hexdigest()
