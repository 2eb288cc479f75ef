"""Polling: one look for items at a provider, whatever the event's source is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from stepwell.connectors.actions import SIMULATOR, OpenConnection
from stepwell.connectors.catalogue import Connectors
from stepwell.connectors.credentials import masking
from stepwell.connectors.events import Event, Poll
from stepwell.connectors.items import Found, Item, distinct, identity, newest
from stepwell.errors import StepError
from stepwell.steps.ports import Actions, Call, ChosenConnection
from stepwell.triggers import Subscription
from stepwell.values import Json, map_strings


@dataclass(frozen=True, slots=True)
class Look:
    """One look of a trigger. `state` is what the last look that was dealt with wholly gave, None before the first."""

    workspace: str
    trigger: str
    subscription: Subscription
    connection: OpenConnection | None
    state: Json
    limit: int
    now_ms: int
    timeout_s: float

    @property
    def emits(self) -> bool:
        """Whether this is a first look whose items count."""
        return self.state is None and self.subscription.first == "emit"


class Source(Protocol):
    """A way to look for items that is the program's own."""

    async def look(self, look: Look) -> Found:
        """The items that are there, oldest first; those that were seen before may be among them.

        Raises:
            StepError.
        """
        ...

    async def settled(self, look: Look, found: Found) -> None:
        """The items were dealt with: what remains to be done with them. Raises StepError."""
        ...


class EventSources:
    """Looks for the items of polled events. Credentials in what is found or in a failure show as `[secret]`."""

    def __init__(self, connectors: Connectors, actions: Actions, sources: Mapping[str, Source]) -> None:
        """`sources` are the program's own by name: feed, json, mailbox."""
        self._connectors = connectors
        self._actions = actions
        self._sources = sources

    async def look(self, look: Look) -> Found:
        """What is there, oldest first, each id once.

        Raises:
            StepError: kind timeout, network, http or provider.
        """
        event = self._connectors.find_event(look.subscription.event)
        if event is None or event.poll is None:
            raise StepError(f"Unknown event: {look.subscription.event}")
        if event.poll.source == "call":
            return await self._call(event, event.poll, look)
        if look.connection is not None and look.connection.mode == SIMULATOR:
            return Found((), look.state or {})
        mask = self._mask(look.connection)
        try:
            found = await self._sources[event.poll.source].look(look)
        except StepError as error:
            error.message = mask(error.message)
            raise
        items = distinct(Item(item.id, map_strings(item.data, mask)) for item in found.items)
        return Found(items, found.state)

    async def settled(self, look: Look, found: Found) -> None:
        """The items were dealt with. Raises StepError."""
        event = self._connectors.find_event(look.subscription.event)
        source = self._sources.get(event.poll.source) if event and event.poll else None
        if source is not None and found.items:
            await source.settled(look, found)

    async def _call(self, event: Event, poll: Poll, look: Look) -> Found:
        if poll.call is None or poll.items is None or poll.id is None:
            raise StepError(f"{event.spec.name} does not say how it is polled")
        kept = (look.state or {}).get("cursor")
        scope = event.scope(look.subscription.params, cursor=kept)
        answer = await self._actions.perform(poll.call.action, poll.call.params.render(scope), _call_of(look))
        scope = {**scope, "answer": answer}
        listed = poll.items.render(scope)
        if listed is not None and not isinstance(listed, list):
            raise StepError(f"{event.spec.name}: the answer holds no list of items", kind="provider")
        listed = newest(listed or [], poll.newest_first)
        items = [Item(identity(poll.id.render({**scope, "item": item}), item), item) for item in listed]
        state = {} if poll.cursor is None else {"cursor": poll.cursor.render(scope) or kept}
        return Found(distinct(items), state)

    def _mask(self, connection: OpenConnection | None) -> Callable[[str], str]:
        connector = None if connection is None else self._connectors.get(connection.provider)
        if connection is None or connector is None:
            return lambda text: text
        return masking(connector.manifest, connection.credentials)


def _call_of(look: Look) -> Call:
    connection = look.connection
    return Call(
        workspace=look.workspace,
        workflow_id="",
        run_id="",
        path="",
        attempt=1,
        operation_id=f"trg_{look.trigger}:{look.now_ms}",
        now_ms=look.now_ms,
        timeout_s=look.timeout_s,
        connection=None if connection is None else ChosenConnection(connection.id, connection.provider),
        reveal=lambda value: value,
    )
