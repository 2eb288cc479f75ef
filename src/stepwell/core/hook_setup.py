"""Hooks at providers: set up when a trigger is switched on, taken down when it is switched off; both as errands that
are tried until they are done."""

import secrets
from collections.abc import Callable

import msgspec

from stepwell.clock import Clock
from stepwell.core.event_connections import Unusable
from stepwell.core.outbox import Outbox
from stepwell.core.provider_hooks import Hooked, ProviderHooks, meant
from stepwell.core.triggers import ACTIVE, ERROR, Triggers
from stepwell.errors import StepError
from stepwell.events import Events
from stepwell.ids import Ids
from stepwell.states import WorkflowStatus
from stepwell.store import Store, Trigger, TriggerFilter
from stepwell.values import InvalidJson, Json, decode, encode

CHORE = "hook"
LONGEST_REASON = 500
_PAGE = 200


class HookSetup:
    """Keeps the hooks at providers as the triggers are. An errand goes by what holds when it is done, so that it may
    be done twice, or late, or after another."""

    def __init__(
        self,
        store: Store,
        triggers: Triggers,
        providers: ProviderHooks,
        outbox: Outbox,
        clock: Clock,
        ids: Ids,
        events: Events,
    ) -> None:
        self._store = store
        self._triggers = triggers
        self._providers = providers
        self._outbox = outbox
        self._clock = clock
        self._ids = ids
        self._events = events
        outbox.chores[CHORE] = self._perform

    async def switched(self, trigger: Trigger, on: bool) -> None:
        """A trigger was switched on or off, changed or removed: see that its hook follows."""
        if trigger.kind != "webhook" or not self._providers.needed(trigger.slug):
            return
        await self._put(trigger.workspace, trigger.id, None if on else _kept(trigger) or meant(trigger))

    async def recover(self) -> int:
        """See after triggers whose hooks are not as they should be, as a death may have left them; how many. Called
        once at start."""
        count = 0
        for workspace in await self._store.keys.workspaces():
            before: str | None = None
            while True:
                wanted = TriggerFilter(workspace=workspace.id, slugs=self._providers.slugs, before=before, limit=_PAGE)
                page, _ = await self._store.triggers.page(wanted)
                for trigger in page:
                    live = await self._is_live(trigger)
                    if live != (_kept(trigger) is not None and trigger.sealed is not None):
                        await self.switched(trigger, live)
                        count += 1
                if len(page) < _PAGE:
                    break
                before = page[-1].id
        return count

    async def _put(self, workspace: str, trigger: str, left: Hooked | None) -> None:
        """An errand for a trigger: to take down a hook that was left, or to give the trigger what it needs."""
        body = {"trigger": trigger, "left": None if left is None else msgspec.structs.asdict(left)}
        operation = f"hook:{trigger}:{self._ids.new()}"
        await self._outbox.put_chore(workspace, CHORE, operation, body, self._clock.now_ms())

    async def _perform(self, workspace: str, body: Json, last: bool) -> None:
        """One errand. Raises StepError if it is to be tried again."""
        row = await self._store.triggers.get(workspace, body["trigger"])
        live = row is not None and await self._is_live(row)
        if body["left"] is not None:
            await self._take_down(workspace, body["trigger"], row, msgspec.convert(body["left"], Hooked), live, last)
        elif row is not None and live:
            try:
                await self._see_to(row)
            except (StepError, Unusable) as error:
                await self._failed(row, error, last)

    async def _take_down(
        self, workspace: str, trigger: str, row: Trigger | None, left: Hooked, live: bool, last: bool
    ) -> None:
        """Remove a hook, unless the trigger wants it again by now. One that cannot be removed is told of."""
        kept = None if row is None else _kept(row)
        if row is not None and live and await self._wants(row, left):
            return
        if kept is not None and not live and left.setup is None:
            left = kept  # it was made after the errand was given
        try:
            await self._providers.remove(workspace, trigger, left)
        except (StepError, Unusable) as error:
            again = _again(error, last)
            self._tell(trigger, error, again=again)
            if again:
                raise
        if row is not None:
            await self._change(row, lambda now: _without(now, left))

    async def _wants(self, trigger: Trigger, left: Hooked) -> bool:
        """Whether a hook is the one that a trigger wants, or is replaced by the errand that makes that one."""
        try:
            return left.setup is None or left.of == (await self._providers.wanted(trigger)).of
        except (StepError, Unusable):
            return False

    async def _see_to(self, trigger: Trigger) -> None:
        """Give a trigger the hook that it wants, unless it has it."""
        wanted, kept = await self._providers.wanted(trigger), _kept(trigger)
        if kept is not None and kept.of == wanted.of and trigger.sealed is not None:
            return
        if kept is not None and kept.of != wanted.of:
            await self._put(trigger.workspace, trigger.id, kept)
        await self._set_up(trigger, wanted)

    async def _is_live(self, trigger: Trigger) -> bool:
        if trigger.status != ACTIVE:
            return False
        if trigger.workflow is None:
            return True
        workflow = await self._store.workflows.get(trigger.workspace, trigger.workflow)
        return workflow is not None and workflow.status is WorkflowStatus.ACTIVE

    async def _set_up(self, trigger: Trigger, wanted: Hooked) -> None:
        """Make the hook, with a fresh secret that is kept first."""
        secret = secrets.token_urlsafe(32)
        sealed = await self._change(trigger, lambda now: self._triggers.seal(now, (secret,)))
        if sealed is None:
            return  # it was removed meanwhile
        made = await self._providers.make(trigger.workspace, trigger.id, wanted, secret)
        changed = await self._change(sealed, lambda now: _with(now, made) if _same(now, sealed) else None)
        if changed is None:  # it was changed or removed meanwhile: nobody else knows of this one
            await self._put(trigger.workspace, trigger.id, made)

    async def _failed(self, trigger: Trigger, error: StepError | Unusable, last: bool) -> None:
        """Tell of a setup that failed, on the trigger too; raise it again if there is another try."""
        again = _again(error, last)
        message = self._tell(trigger.id, error, again=again)
        reason = message if isinstance(error, Unusable) else f"setup_failed: {message}"
        await self._change(trigger, lambda now: self._with_reason(now, reason[:LONGEST_REASON], again))
        if again:
            raise error

    def _tell(self, trigger: str, error: StepError | Unusable, *, again: bool) -> str:
        message = error.message if isinstance(error, StepError) else str(error)
        self._events.emit("hook.failed", trigger=trigger, error=message[:LONGEST_REASON], again=again)
        return message

    def _with_reason(self, trigger: Trigger, reason: str, again: bool) -> Trigger | None:
        if trigger.status != ACTIVE:
            return None
        if again:
            return msgspec.structs.replace(trigger, reason=reason)
        return msgspec.structs.replace(trigger, status=ERROR, reason=reason, disabled_at=self._clock.now_ms())

    async def _change(self, trigger: Trigger, change: Callable[[Trigger], Trigger | None]) -> Trigger | None:
        """Change a trigger as it is by now; None if it is gone, or was not to be changed as it is."""
        while (stored := await self._store.triggers.get(trigger.workspace, trigger.id)) is not None:
            changed = change(stored)
            if changed is None:
                return None
            changed = msgspec.structs.replace(changed, updated_at=max(self._clock.now_ms(), stored.updated_at + 1))
            if await self._store.triggers.save(changed, seen=stored.updated_at):
                return changed
        return None


def _kept(trigger: Trigger) -> Hooked | None:
    """The hook that was set up for a trigger."""
    try:
        return msgspec.convert(decode(trigger.cursor), Hooked) if trigger.cursor else None
    except (InvalidJson, msgspec.ValidationError):
        return None


def _with(trigger: Trigger, made: Hooked) -> Trigger:
    return msgspec.structs.replace(trigger, cursor=encode(msgspec.structs.asdict(made)), reason=None)


def _without(trigger: Trigger, old: Hooked) -> Trigger | None:
    """The trigger without a hook that was taken down; None if it has another by now."""
    return msgspec.structs.replace(trigger, cursor=None) if _kept(trigger) == old else None


def _again(error: StepError | Unusable, last: bool) -> bool:
    return isinstance(error, StepError) and error.retryable and not last


def _same(one: Trigger, other: Trigger) -> bool:
    return (one.slug, one.config, one.connection) == (other.slug, other.config, other.connection)
