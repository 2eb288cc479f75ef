"""Hooks at providers: one is made, found or removed by the actions of its connector."""

import hashlib
from typing import Any

import msgspec

from stepwell.clock import Clock
from stepwell.connectors import Connectors, Event, EventCall
from stepwell.core.event_connections import EventConnections
from stepwell.errors import StepError
from stepwell.events import Events
from stepwell.expressions import Scope
from stepwell.ids import Ids
from stepwell.steps import Actions, Call, ChosenConnection
from stepwell.store import Trigger
from stepwell.values import Json, canonical, decode

TIMEOUT_S = 30.0
_GONE = frozenset({404, 410})


class Hooked(msgspec.Struct, frozen=True, kw_only=True):
    """A hook at a provider: of which event, with which parameters and connection. Kept as the cursor of its trigger
    once it is set up; `setup` is what the teardown needs, None where it is not known whether the hook was made."""

    slug: str
    params: dict[str, Json]
    connection: str | None
    setup: dict[str, Json] | None = None

    @property
    def of(self) -> str:
        """Equal for hooks that stand for each other."""
        told = {"slug": self.slug, "params": self.params, "connection": self.connection}
        return hashlib.sha256(canonical(told)).hexdigest()


class ProviderHooks:
    """Makes and removes the hooks that lead to triggers. Everything raises StepError if the provider cannot be asked or
    refuses, and Unusable if the connection is not what it should be."""

    def __init__(
        self,
        connectors: Connectors,
        accounts: EventConnections,
        actions: Actions,
        public_url: str,
        clock: Clock,
        ids: Ids,
        events: Events,
    ) -> None:
        self._connectors = connectors
        self._accounts = accounts
        self._actions = actions
        self._base = f"{public_url}/webhooks/t"
        self._clock = clock
        self._ids = ids
        self._events = events

    @property
    def slugs(self) -> tuple[str, ...]:
        """The events that need a hook at their provider."""
        return tuple(spec.name for spec in self._connectors.events() if self.needed(spec.name))

    def needed(self, slug: str) -> bool:
        """Whether an event needs a hook at its provider."""
        event = self._connectors.find_event(slug)
        return event is not None and event.hook is not None and event.hook.setup is not None

    async def wanted(self, trigger: Trigger) -> Hooked:
        """The hook that a trigger is to have, its connection chosen."""
        hook = meant(trigger)
        found = await self._accounts.find(trigger.workspace, self._event(hook).spec, hook.connection)
        return msgspec.structs.replace(hook, connection=None if found is None else found.id)

    async def make(self, workspace: str, trigger: str, wanted: Hooked, secret: str) -> Hooked:
        """A hook, in place of any that leads to the trigger's address already; as it is to be kept."""
        event = self._event(wanted)
        if event.hook is None or event.hook.setup is None:
            return wanted
        await self.remove(workspace, trigger, wanted)
        setup = event.hook.setup
        scope = event.scope(wanted.params, webhook={"url": self._url(trigger), "secret": secret})
        answer = await self._act(workspace, trigger, wanted, setup, scope)
        self._events.emit("hook.set_up", trigger=trigger, slug=wanted.slug)
        return msgspec.structs.replace(wanted, setup=setup.keep.render({**scope, "answer": answer}))

    async def remove(self, workspace: str, trigger: str, old: Hooked) -> None:
        """Remove a hook; where it is not known, whatever leads to the trigger's address at the provider."""
        event = self._event(old)
        hook = event.hook
        if hook is None or hook.teardown is None:
            return
        scope = event.scope(old.params, webhook={"url": self._url(trigger)})
        for setup in await self._known(workspace, trigger, old, scope):
            try:
                await self._act(workspace, trigger, old, hook.teardown, {**scope, "setup": setup})
            except StepError as error:
                if error.http_status not in _GONE:
                    raise
            self._events.emit("hook.taken_down", trigger=trigger, slug=old.slug)

    async def _known(self, workspace: str, trigger: str, old: Hooked, scope: Scope) -> list[Json]:
        """What the teardown needs of each hook to be removed."""
        hook = self._event(old).hook
        if old.setup is not None:
            return [old.setup]
        if hook is None or hook.existing is None:
            return []
        answer = await self._act(workspace, trigger, old, hook.existing.call, scope)
        listed = hook.existing.items.render({**scope, "answer": answer}) or []
        seen = [{**scope, "item": item} for item in listed]
        return [hook.existing.call.keep.render(each) for each in seen if hook.existing.when.evaluate(each)]

    async def _act(self, workspace: str, trigger: str, hooked: Hooked, call: EventCall, scope: Scope) -> Json:
        found = await self._accounts.find(workspace, self._event(hooked).spec, hooked.connection)
        return await self._actions.perform(
            call.action,
            call.params.render(scope),
            Call(
                workspace=workspace,
                workflow_id="",
                run_id="",
                path="",
                attempt=1,
                operation_id=f"hook:{trigger}:{self._ids.new()}",
                now_ms=self._clock.now_ms(),
                timeout_s=TIMEOUT_S,
                connection=None if found is None else ChosenConnection(found.id, found.provider),
                reveal=lambda value: value,
            ),
        )

    def _event(self, hooked: Hooked) -> Event:
        event = self._connectors.find_event(hooked.slug)
        if event is None:
            raise StepError(f"No connector offers {hooked.slug} any more")
        return event

    def _url(self, trigger: str) -> str:
        return f"{self._base}/trg_{trigger}"


def meant(trigger: Trigger) -> Hooked:
    """The hook that a trigger's config speaks of; the connection as it is named there."""
    config: dict[str, Any] = decode(trigger.config)
    connection = trigger.connection or config.get("connection")
    return Hooked(slug=trigger.slug, params=config.get("params") or {}, connection=connection)
