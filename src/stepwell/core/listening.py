"""Listening: which triggers an inbound request is for, and whether it proves to them who sent it."""

import re
from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from stepwell.auth import CannotOpen
from stepwell.core.connections import Connections
from stepwell.core.secrets import Secrets
from stepwell.core.triggers import Triggers
from stepwell.errors import NotFound
from stepwell.states import WorkflowStatus
from stepwell.store import Store, Trigger
from stepwell.triggers import EventCatalogue, Hook, Inbound, Unverified, compile_hook, default_hook, scheme_of_provider
from stepwell.values import Json, decode

CUSTOM = "custom"
KEPT_HOOKS = 2000

_PROVIDER = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request arrived: at a provider's address of a workspace, at a path of its own, or at a trigger's."""

    workspace: str
    provider: str
    path: str | None = None
    trigger: str | None = None

    @property
    def route(self) -> str:
        """What event ids are told apart by."""
        if self.trigger is not None:
            return f"t:{self.trigger}"
        return f"{CUSTOM}:{self.path}" if self.path is not None else f"provider:{self.provider}"


@dataclass(frozen=True, slots=True)
class Listener:
    """A trigger with its hook compiled. `trigger` is None for what holds of a provider that nobody listens to."""

    trigger: Trigger | None
    hook: Hook


class Listening:
    """Finds the triggers of an address, and verifies requests for them."""

    def __init__(
        self,
        store: Store,
        triggers: Triggers,
        connections: Connections,
        secrets: Secrets,
        events: EventCatalogue,
        public_url: str,
    ) -> None:
        self._store = store
        self._triggers = triggers
        self._connections = connections
        self._secrets = secrets
        self._events = events
        self._base = f"{public_url}/webhooks"
        self._hooks: OrderedDict[tuple[str, bytes], Hook] = OrderedDict()

    # -- addresses

    async def only_workspace(self) -> str:
        """The workspace of a server that has one. Raises NotFound if there are several."""
        found = await self._store.keys.workspaces()
        if len(found) != 1:
            raise NotFound("Webhook not found")
        return found[0].id

    async def of_trigger(self, trigger: str) -> Address:
        """The address that a trigger has by its id. Raises NotFound."""
        found = await self._store.triggers.find(trigger)
        if found is None or found.kind != "webhook":
            raise NotFound("Webhook not found")
        return Address(workspace=found.workspace, provider=_provider(found), trigger=found.id)

    def url(self, workspace: str, trigger: str, config: dict[str, Json]) -> str | None:
        """Where a webhook trigger's requests are to be sent; None of a trigger that none arrive for."""
        kind = config.get("type")
        if kind == "event" and self._events.event_kind(str(config.get("event"))) == "webhook":
            return f"{self._base}/t/trg_{trigger}"
        if kind != "webhook":
            return None
        provider, path = config.get("provider"), config.get("path")
        if provider not in (None, CUSTOM):
            return f"{self._base}/{provider}/ws_{workspace}"
        if path is not None:
            return f"{self._base}/{CUSTOM}/ws_{workspace}/{quote(str(path), safe='')}"
        return f"{self._base}/t/trg_{trigger}"

    def called(self, path: str, query: str) -> str:
        """The address that a sender called, as it is known outside."""
        return f"{self._base}{path.removeprefix('/webhooks')}{'?' if query else ''}{query}"

    # -- who listens

    async def at(self, address: Address) -> list[Listener]:
        """Everything that listens at an address, whatever its status; what holds of the provider if nothing does.

        Raises:
            NotFound: there is no such address.
        """
        found = [row for row in await self._rows(address) if not await self._archived(row)]
        if found:
            return [Listener(row, self._hook(row)) for row in found]
        provider = address.provider
        if address.path is not None or address.trigger is not None or scheme_of_provider(provider) is None:
            raise NotFound("Webhook not found")
        if await self._store.keys.workspace(address.workspace) is None:
            raise NotFound("Webhook not found")
        return [Listener(None, default_hook(provider))]

    async def why_not(self, address: Address, listener: Listener, inbound: Inbound, now_ms: int) -> str | None:
        """Why a request does not prove to a listener who sent it; None if it does, or need not."""
        hook = listener.hook
        if not hook.verifies(secret_path=address.path is not None):
            return None
        if hook.scheme is None:
            return "No signature scheme is set"
        try:
            secrets = await self._secrets_of(address, listener)
            hook.scheme.verify(inbound, secrets, now_ms)
        except CannotOpen:
            return "The secret cannot be read; enter it again"
        except Unverified as why:
            return str(why)
        return None

    async def _rows(self, address: Address) -> list[Trigger]:
        if address.trigger is not None:
            row = await self._store.triggers.get(address.workspace, address.trigger)
            return [row] if row is not None and row.kind == "webhook" else []
        if address.path is not None:
            return await self._store.triggers.hooks(address.workspace, path=address.path)
        if not _PROVIDER.fullmatch(address.provider) or address.provider == CUSTOM:
            return []
        return await self._store.triggers.hooks(address.workspace, provider=address.provider)

    async def _archived(self, trigger: Trigger) -> bool:
        """Whether nothing can come of a trigger any more."""
        if trigger.workflow is None:
            return False
        workflow = await self._store.workflows.get(trigger.workspace, trigger.workflow)
        return workflow is None or workflow.status is WorkflowStatus.ARCHIVED

    def _hook(self, trigger: Trigger) -> Hook:
        """The trigger's config compiled, from a bounded cache."""
        key = (trigger.id, trigger.config)
        hook = self._hooks.get(key)
        if hook is None:
            config = decode(trigger.config)
            if config.get("type") == "event":
                config = self._events.hook_config(config)
            hook = self._hooks[key] = compile_hook(config)
            if len(self._hooks) > KEPT_HOOKS:
                self._hooks.popitem(last=False)
        return hook

    async def _secrets_of(self, address: Address, listener: Listener) -> list[str]:
        """The secrets that count: those that the trigger names or keeps; else those of its provider's connections."""
        trigger, hook = listener.trigger, listener.hook
        own = list(hook.public_keys)
        if trigger is not None:
            own += self._triggers.secrets_of(trigger)
            if hook.secret_names and trigger.workflow is not None:
                opened = await self._secrets.open(trigger.workspace, trigger.workflow, hook.secret_names)
                return [*own, *(opened[name] for name in hook.secret_names if name in opened)]
        if own or address.path is not None or address.trigger is not None:
            return own
        of_provider = await self._connections.webhook_secrets(address.workspace, address.provider)
        return [secret for kept in of_provider.values() for secret in kept]


def _provider(trigger: Trigger) -> str:
    """Whose requests a trigger takes, as deliveries are listed by."""
    connector, dot, _ = trigger.slug.partition(".")
    return connector if dot else trigger.provider or CUSTOM
