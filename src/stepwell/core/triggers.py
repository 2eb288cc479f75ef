"""Triggers: the rows behind the triggers of definitions, instances beside them, and when they are armed."""

import secrets
from collections.abc import Awaitable, Callable

import msgspec

from stepwell.auth import Vault
from stepwell.clock import Clock
from stepwell.core.plans import Plans
from stepwell.errors import Fault, InvalidState, NotFound, ValidationFailed
from stepwell.ids import Ids, created_ms
from stepwell.states import WorkflowStatus
from stepwell.store import Store, Trigger, TriggerFilter, Workflow
from stepwell.triggers import compile_schedule
from stepwell.values import Json, decode, encode

Document = dict[str, Json]

ACTIVE, DISABLED, ERROR = "active", "disabled", "error"
CUSTOM = "custom"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """An instance as somebody wants it. `config` is written as the trigger of a definition; `secrets` are of its own;
    `enabled` None leaves an existing one as it is. `own_path` asks for a path of its own, which nobody can guess."""

    slug: str
    config: Document
    workflow: str | None = None
    end_user: str | None = None
    connection: str | None = None
    enabled: bool | None = None
    secrets: tuple[str, ...] = ()
    own_path: bool = False


class Triggers:
    """The use cases on triggers. `switched` is told of every trigger that was switched on or off, or removed, so that a
    hook at a provider can be set up or taken down (`on` False)."""

    def __init__(self, store: Store, plans: Plans, vault: Vault, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._plans = plans
        self._vault = vault
        self._clock = clock
        self._ids = ids
        self.noted: Callable[[int], None] = lambda due: None  # told when something is due
        self.switched: Callable[[Trigger, bool], Awaitable[None]] = _nobody
        self.unconnected: Callable[[str, Document], Awaitable[list[Fault]]] = _no_faults  # what lacks a connection

    # -- triggers of definitions

    def own(self, workflow: Workflow, trigger: Document) -> Trigger | None:
        """The row of a definition's trigger, None if nothing fires it."""
        kind = self._plans.kind_of(trigger)
        if kind is None:
            return None
        now = self._clock.now_ms()
        event = trigger["type"] == "event"
        hook = kind == "webhook" and not event
        row = Trigger(
            workspace=workflow.workspace,
            id=workflow.id,
            kind=kind,
            slug=str(trigger["event"]) if event else kind,
            workflow=workflow.id,
            config=encode(trigger),
            provider=(trigger.get("provider") or CUSTOM) if hook else None,
            path=trigger.get("path") if hook else None,
            status=DISABLED if trigger.get("enabled") is False else ACTIVE,
            updated_at=now,
        )
        return self._armed(row, now) if workflow.status is WorkflowStatus.ACTIVE else row

    async def saved(self, workflow: Workflow, before: Trigger | None) -> None:
        """A workflow was saved: what is due is noted, hooks at providers follow."""
        after = await self._store.triggers.get(workflow.workspace, workflow.id)
        if after is not None and after.next_at is not None:
            self.noted(after.next_at)
        if workflow.status is WorkflowStatus.ACTIVE and _hook(before) != _hook(after):
            if before is not None:
                await self.switched(before, False)
            if after is not None and after.status == ACTIVE:
                await self.switched(after, True)

    async def moved(self, workflow: Workflow) -> None:
        """A workflow was activated, paused or archived: its triggers are armed, or nothing of them is due."""
        on = workflow.status is WorkflowStatus.ACTIVE
        for trigger in await self._store.triggers.of_workflow(workflow.workspace, workflow.id):
            if (
                on and not trigger.instance and trigger.status == ERROR
            ):  # who activates a workflow means its trigger too
                trigger = await self._saved(_enabled(trigger), trigger)
            if on and trigger.status == ACTIVE:
                await self.arm(trigger)
            if trigger.status == ACTIVE:
                await self.switched(trigger, on)

    async def arm(self, trigger: Trigger) -> None:
        """Set what is due next of a trigger that is on, counted from now."""
        armed = self._armed(trigger, self._clock.now_ms())
        await self._store.triggers.arm(trigger.workspace, trigger.id, armed.scheduled_at, armed.next_at)
        if armed.next_at is not None:
            self.noted(armed.next_at)

    async def check_connected(self, workspace: str, trigger: Document) -> None:
        """Raise ValidationFailed if the trigger of a definition needs a connection that is not there."""
        if faults := await self.unconnected(workspace, trigger):
            raise ValidationFailed("Invalid workflow configuration", faults)

    async def of_document(self, workspace: str, workflow: str) -> Trigger | None:
        """The row of a definition's trigger."""
        return await self._store.triggers.get(workspace, workflow)

    # -- instances

    async def upsert(self, workspace: str, wanted: Wanted) -> tuple[Trigger, bool]:
        """Make an instance, or give the one of the same user, slug, account and workflow another config; as stored, and
        whether it is new.

        Raises:
            ValidationFailed: with every fault of the config, below `trigger`.
        """
        self._check(wanted.config)
        now = self._clock.now_ms()
        kind = self._plans.kind_of(wanted.config) or "webhook"
        id = self._ids.new()
        row = Trigger(
            workspace=workspace,
            id=id,
            kind=kind,
            slug=wanted.slug,
            workflow=wanted.workflow,
            instance=True,
            end_user=wanted.end_user,
            connection=wanted.connection,
            config=encode(wanted.config),
            provider=None,
            path=secrets.token_urlsafe(24) if wanted.own_path else None,
            status=DISABLED if wanted.enabled is False else ACTIVE,
            disabled_at=now if wanted.enabled is False else None,
            updated_at=now,
        )
        if await self._may_fire(row):
            row = self._armed(row, now)
        stored, new = await self._store.triggers.upsert(row)
        if wanted.secrets:
            stored = await self._with_secrets(stored, wanted.secrets)
        if wanted.enabled is not None and not new:
            stored = await self.set_status(workspace, stored.id, wanted.enabled)
        elif stored.status == ACTIVE:
            await self.switched(stored, True)
        if stored.next_at is not None:
            self.noted(stored.next_at)
        return stored, new

    async def get(self, workspace: str, trigger: str) -> Trigger:
        """One trigger. Raises NotFound."""
        found = await self._store.triggers.get(workspace, trigger)
        if found is None:
            raise NotFound("Trigger instance not found")
        return found

    async def page(self, wanted: TriggerFilter) -> tuple[list[Trigger], int]:
        """A page of triggers, newest first, and how many pass the filter."""
        return await self._store.triggers.page(wanted)

    async def set_status(self, workspace: str, trigger: str, enabled: bool | None = None) -> Trigger:
        """Switch a trigger on or off, or over if it is not said which.

        Raises:
            NotFound.
            InvalidState: it is to be switched on, and what the server switched it off for still holds.
        """
        while True:
            stored = await self.get(workspace, trigger)
            on = stored.status != ACTIVE if enabled is None else enabled
            if on == (stored.status == ACTIVE) and (on or stored.status == DISABLED):
                return stored
            now = self._clock.now_ms()
            if on:
                await self._recheck(stored)
                changed = _enabled(stored)
                if await self._may_fire(changed):
                    changed = self._armed(changed, now)
            else:
                changed = _disabled(stored, DISABLED, None, now)
            changed = msgspec.structs.replace(changed, updated_at=max(now, stored.updated_at + 1))
            if await self._store.triggers.save(changed, seen=stored.updated_at):
                await self.switched(changed, on)
                if changed.next_at is not None:
                    self.noted(changed.next_at)
                return changed

    async def delete(self, workspace: str, trigger: str) -> None:
        """Remove an instance for good: its address dies, nobody names it any more. Raises NotFound."""
        stored = await self.get(workspace, trigger)
        if not stored.instance or not await self._store.triggers.delete(workspace, trigger):
            raise NotFound("Trigger instance not found")
        await self.switched(stored, False)

    async def delete_of_workflow(self, workspace: str, workflow: str) -> None:
        """Remove all instances of a workflow, and what it names."""
        for trigger in await self._store.triggers.of_workflow(workspace, workflow):
            if trigger.instance:
                await self.delete(workspace, trigger.id)
        await self._store.triggers.link(workspace, workflow, ())

    async def disable_for_connection(self, workspace: str, connection: str, reason: str) -> int:
        """Put the triggers that use a connection into error; how many."""
        count = 0
        for trigger in await self._store.triggers.of_connection(workspace, connection):
            count += await self.fail(trigger, reason)
        return count

    async def fail(self, trigger: Trigger, reason: str) -> bool:
        """Put a trigger that is on into error, for a reason that shows; False if it was not on any more."""
        now = self._clock.now_ms()
        while (stored := await self._store.triggers.get(trigger.workspace, trigger.id)) and stored.status == ACTIVE:
            failed = _disabled(stored, ERROR, reason, now)
            failed = msgspec.structs.replace(failed, updated_at=max(now, stored.updated_at + 1))
            if await self._store.triggers.save(failed, seen=stored.updated_at):
                await self.switched(failed, False)
                return True
        return False

    def secrets_of(self, trigger: Trigger) -> tuple[str, ...]:
        """The secrets that a trigger keeps itself. Raises CannotOpen."""
        if trigger.sealed is None:
            return ()
        return tuple(decode(self._vault.open(trigger.workspace, sealed_for(trigger.id), trigger.sealed)))

    def seal(self, trigger: Trigger, kept: tuple[str, ...]) -> Trigger:
        """The trigger with other secrets of its own."""
        sealed = self._vault.seal(trigger.workspace, sealed_for(trigger.id), encode(list(kept)))
        return msgspec.structs.replace(trigger, sealed=sealed)

    def _armed(self, trigger: Trigger, now: int) -> Trigger:
        """What is due next, counted from now."""
        if trigger.status != ACTIVE or trigger.kind == "webhook":
            return msgspec.structs.replace(trigger, scheduled_at=None, next_at=None)
        if trigger.kind == "poll":
            return msgspec.structs.replace(trigger, scheduled_at=now, next_at=now)
        scheduled = compile_schedule(decode(trigger.config)).after(now, now)
        due = None if scheduled is None else compile_schedule(decode(trigger.config)).due_at(trigger.id, scheduled)
        return msgspec.structs.replace(trigger, scheduled_at=scheduled, next_at=due)

    async def _may_fire(self, trigger: Trigger) -> bool:
        if trigger.workflow is None:
            return True
        workflow = await self._store.workflows.get(trigger.workspace, trigger.workflow)
        return workflow is not None and workflow.status is WorkflowStatus.ACTIVE

    async def _recheck(self, trigger: Trigger) -> None:
        """Raise InvalidState if a trigger that is to be switched on could not fire."""
        if trigger.connection is not None:
            connection = await self._store.connections.get(trigger.workspace, trigger.connection)
            if connection is None:
                raise InvalidState("The connected account no longer exists")
            if connection.status != "active":
                raise InvalidState(f"The connected account is {connection.status}")
        try:
            self._check(decode(trigger.config))
        except ValidationFailed as error:
            raise InvalidState(f"The trigger's config is not valid: {error.faults[0].message}") from None

    def _check(self, config: Document) -> None:
        self._plans.check_trigger(config)

    async def _with_secrets(self, trigger: Trigger, kept: tuple[str, ...]) -> Trigger:
        while True:  # again if somebody else wrote meanwhile: what was asked for must not be lost
            sealed = self.seal(trigger, kept)
            saved = await self._saved(sealed, trigger)
            if saved.sealed == sealed.sealed:
                return saved
            trigger = saved

    async def _saved(self, changed: Trigger, stored: Trigger) -> Trigger:
        changed = msgspec.structs.replace(changed, updated_at=max(self._clock.now_ms(), stored.updated_at + 1))
        if await self._store.triggers.save(changed, seen=stored.updated_at):
            return changed
        return await self.get(stored.workspace, stored.id)


async def _nobody(trigger: Trigger, on: bool) -> None:
    """Nobody keeps hooks at providers."""


async def _no_faults(workspace: str, trigger: Document) -> list[Fault]:
    """Nothing needs a connection."""
    return []


def with_path(trigger: Document, before: Document | None = None) -> Document:
    """A webhook trigger without provider and path keeps the path it had before, or is given one that nobody can
    guess."""
    if trigger.get("type") != "webhook" or trigger.get("provider") not in (None, CUSTOM) or trigger.get("path"):
        return trigger
    had = before.get("path") if before is not None and before.get("type") == "webhook" else None
    return {**trigger, "path": had or secrets.token_urlsafe(24)}


def created_at(trigger: Trigger) -> int:
    """When a trigger was made, in epoch ms."""
    return created_ms(trigger.id)


def _enabled(trigger: Trigger) -> Trigger:
    return msgspec.structs.replace(trigger, status=ACTIVE, reason=None, refused_in_row=0, disabled_at=None)


def _disabled(trigger: Trigger, status: str, reason: str | None, now: int) -> Trigger:
    return msgspec.structs.replace(
        trigger, status=status, reason=reason, scheduled_at=None, next_at=None, disabled_at=now
    )


def _hook(trigger: Trigger | None) -> tuple[str, bytes] | None:
    """What a hook at a provider depends on."""
    return (trigger.slug, trigger.config) if trigger is not None and trigger.status == ACTIVE else None


def sealed_for(trigger: str) -> str:
    """What a trigger's own secrets are sealed for."""
    return f"trigger:{trigger}"
