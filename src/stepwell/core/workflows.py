"""Workflows: saved, versioned, switched on and off. Source: LoopFour contract 3."""

from collections.abc import Callable, Mapping

import msgspec

from stepwell.clock import Clock
from stepwell.core.plans import Plans
from stepwell.core.triggers import Triggers, with_path
from stepwell.errors import Fault, InvalidStatus, NotFound, SourceOwned, ValidationFailed
from stepwell.ids import Ids
from stepwell.states import WORKFLOW_TRANSITIONS, WorkflowStatus
from stepwell.store import RunCounts, Store, Trigger, Version, Workflow, WorkflowListing
from stepwell.values import Json, decode, encode

_REQUIRED = frozenset({"name", "trigger", "steps"})
_BESIDE = frozenset({"slug", "canvasState"})  # of the workflow, not of its versions
_ANSWERED = frozenset({"id", "status", "version", "createdAt", "updatedAt", "warnings"})  # sent back, not set
_SOURCE = "source"  # what another dialect's steps were made of; set by that dialect only
_OF_SOURCE = ("steps", "output", "inputSchema", "outputSchema")  # made of it
_OF_TRIGGER = frozenset({"id", "url", "state"})  # answered within the trigger, not set
_EDITABLE = frozenset({WorkflowStatus.DRAFT, WorkflowStatus.ACTIVE, WorkflowStatus.PAUSED})
_LONGEST_NAME = 255

Document = dict[str, Json]


class WorkflowDetail(msgspec.Struct, frozen=True):
    """A workflow with its current definition, and what a person should know of it."""

    workflow: Workflow
    document: Document
    warnings: tuple[str, ...]


class VersionDetail(msgspec.Struct, frozen=True):
    """One version; `document` is empty in lists."""

    number: int
    created_at: int
    created_by: str
    current: bool
    document: Document


class Workflows:
    """The use cases on workflows. A reference is an id or a slug; `created_by` is the id of the key that asks.

    Every one that names a workflow raises NotFound if the workspace has none of that reference.
    """

    def __init__(self, store: Store, plans: Plans, triggers: Triggers, clock: Clock, ids: Ids) -> None:
        self._store = store.workflows
        self._lists = store.lists
        self._rows = store.triggers
        self._plans = plans
        self._triggers = triggers
        self._clock = clock
        self._ids = ids

    async def create(
        self, workspace: str, body: Document, created_by: str, source: Document | None = None
    ) -> WorkflowDetail:
        """Store a draft. `body` is the definition, with `slug` and `canvasState` if there are such; `source` what its
        steps were made of, `{"dialect": ..., ...}`, if they were written in another dialect.

        Raises:
            ValidationFailed: with every fault of the definition.
            AlreadyExists: the slug is taken.
        """
        whole = _cleaned(_from(body, source))
        plan = self._plans.compile(whole)
        workflow = Workflow(
            workspace=workspace,
            id=self._ids.new(),
            slug=None,
            name="",
            status=WorkflowStatus.DRAFT,
            version=1,
            activated=False,
            updated_at=self._clock.now_ms(),
        )
        workflow = _shown(workflow, whole)
        own = self._triggers.own(workflow, whole["trigger"])
        await self._store.create(workflow, encode(_definition(whole)), created_by, own)
        return WorkflowDetail(workflow, _definition(whole), plan.warnings)

    async def get(self, workspace: str, reference: str) -> WorkflowDetail:
        """A workflow with its current definition."""
        workflow = await self.row(workspace, reference)
        return await self._detail(workflow)

    async def row(self, workspace: str, reference: str) -> Workflow:
        """A workflow without its definition."""
        workflow = await self._store.get(workspace, reference)
        if workflow is None:
            raise NotFound("Workflow not found")
        return workflow

    async def page(
        self,
        workspace: str,
        *,
        status: WorkflowStatus | None = None,
        search: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Workflow]:
        """Workflows, newest first, after the one with the id `before`; archived ones only if asked for."""
        return await self._store.page(workspace, status=status, search=search, before=before, limit=limit)

    async def update(
        self, workspace: str, reference: str, changes: Document, created_by: str, source: Document | None = None
    ) -> WorkflowDetail:
        """Replace the top-level fields that are given; null removes one. Of a workflow that was active once, a changed
        definition becomes a new version. `source` are changes to what the steps were made of, see `create`.

        Raises:
            InvalidStatus: it is archived.
            SourceOwned: steps that were made of a source are to be changed without it.
            ValidationFailed: with every fault of the whole.
            AlreadyExists: the slug is taken.
        """

        def changed(whole: Document) -> Document:
            own = whole.get(_SOURCE)
            edited = {**whole, **_from(changes, own if source is None else {**(own or {}), **source})}
            if source is None and _SOURCE in whole and any(edited.get(name) != whole.get(name) for name in _OF_SOURCE):
                dialect = str(whole[_SOURCE].get("dialect"))
                raise SourceOwned(f"The steps of this workflow are written in {dialect.capitalize()}; edit them there")
            return edited

        return await self._edit(workspace, reference, changed, created_by)

    async def revise(
        self,
        workspace: str,
        reference: str,
        change: Callable[[Document], Document],
        created_by: str,
        *,
        archived: bool = False,
    ) -> WorkflowDetail:
        """Make another definition of what it is, source included; `change` is asked again if somebody else wrote
        meanwhile, and may raise. One that is put away is only changed with `archived`.

        Raises:
            InvalidStatus, ValidationFailed, AlreadyExists: as `update` does.
        """
        return await self._edit(workspace, reference, change, created_by, archived=archived)

    async def set_canvas(
        self, workspace: str, reference: str, canvas: Json, steps: Json | msgspec.UnsetType, created_by: str
    ) -> WorkflowDetail:
        """Store what an editor wants to remember, and the steps if they are given. Raises as `update` does."""
        changes = {"canvasState": canvas} | ({} if steps is msgspec.UNSET else {"steps": steps})
        return await self.update(workspace, reference, changes, created_by)

    async def activate(self, workspace: str, reference: str) -> WorkflowDetail:
        """Let it take runs.

        Raises:
            InvalidStatus: it is archived.
            ValidationFailed: this server no longer knows something that it uses, or its trigger lacks a connection.
        """
        detail = await self.get(workspace, reference)
        self._plans.compile(detail.document)
        await self._triggers.check_connected(workspace, detail.document["trigger"])
        return await self._move(detail, WorkflowStatus.ACTIVE, "activated")

    async def pause(self, workspace: str, reference: str) -> WorkflowDetail:
        """Take no new runs; runs in progress go on. Raises InvalidStatus unless it is active or paused."""
        return await self._move(await self.get(workspace, reference), WorkflowStatus.PAUSED, "paused")

    async def resume(self, workspace: str, reference: str) -> WorkflowDetail:
        """The same as `activate`."""
        return await self.activate(workspace, reference)

    async def archive(self, workspace: str, reference: str) -> WorkflowDetail:
        """Put it away for good; runs in progress go on."""
        return await self._move(await self.get(workspace, reference), WorkflowStatus.ARCHIVED, "archived")

    async def versions(
        self, workspace: str, reference: str, *, before: int | None = None, limit: int = 50
    ) -> list[VersionDetail]:
        """The versions with numbers below `before`, newest first, without documents."""
        workflow = await self.row(workspace, reference)
        listed = await self._store.versions(workspace, workflow.id, before=before, limit=limit)
        return [_version(workflow, version, {}) for version in listed]

    async def version(self, workspace: str, reference: str, number: int) -> VersionDetail:
        """One version. Raises NotFound also if there is none of that number."""
        workflow = await self.row(workspace, reference)
        version = await self._version(workflow, number)
        return _version(workflow, version, decode(version.document))

    async def step_types(self, workspace: str, reference: str, number: int) -> dict[str, str]:
        """The type of each step of a version by its id; none if this server no longer knows something that it uses."""
        workflow = await self.row(workspace, reference)
        version = await self._version(workflow, number)
        try:
            if workflow.activated:
                plan = await self._plans.get(workspace, workflow.id, number)
            else:
                plan = self._plans.compile(decode(version.document))
        except ValidationFailed:
            return {}
        return {id: step.type.name for id, step in plan.steps.items()}

    def faults(self, body: Document) -> list[Fault]:
        """Every fault of a definition that is not to be stored yet."""
        try:
            self._plans.compile(_cleaned(body))
        except ValidationFailed as error:
            return error.faults
        return []

    async def listing(self, wanted: WorkflowListing) -> tuple[list[Workflow], int]:
        """A page of workflows in an order, and how many pass the filter."""
        return await self._lists.workflows(wanted)

    async def counts(self, workspace: str, workflow: str) -> RunCounts:
        """How many runs a workflow has had."""
        return await self._lists.counts(workspace, workflow)

    async def restore(self, workspace: str, reference: str, number: int, created_by: str) -> WorkflowDetail:
        """Copy a version into a new one; slug and canvas stay.

        Raises:
            NotFound: no such version.
            InvalidStatus: the workflow is archived.
            ValidationFailed: this server no longer knows something that the version uses.
        """
        old = (await self.version(workspace, reference, number)).document

        def restored(whole: Document) -> Document:
            return {**old, **{name: whole[name] for name in _BESIDE if name in whole}}

        return await self._edit(workspace, reference, restored, created_by, always=True)

    async def duplicate(self, workspace: str, reference: str, created_by: str) -> WorkflowDetail:
        """A draft of the same definition, without secrets and slug."""
        detail = await self.get(workspace, reference)
        whole = _whole(detail)
        whole.pop("slug", None)
        name = f"Copy of {detail.workflow.name}"[:_LONGEST_NAME]
        return await self.create(workspace, {**whole, "name": name}, created_by, whole.get(_SOURCE))

    async def _edit(
        self,
        workspace: str,
        reference: str,
        change: Callable[[Document], Document],
        created_by: str,
        *,
        always: bool = False,
        archived: bool = False,
    ) -> WorkflowDetail:
        """Read, change and write; again if somebody else wrote meanwhile. Without a change nothing is written, unless
        `always`."""
        while True:
            stored = await self.row(workspace, reference)
            if stored.status not in _EDITABLE and not archived:
                raise _wrong_status("edited", _EDITABLE, stored)
            current = await self._version(stored, stored.version)
            before_edit = decode(current.document)
            edited = change(_whole(WorkflowDetail(stored, before_edit, ())))
            whole = _cleaned(edited, before_edit["trigger"])
            plan = self._plans.compile(whole)
            definition = _definition(whole)
            document = encode(definition)
            rewritten = always or document != current.document
            changed = _shown(stored, whole)
            if rewritten and stored.activated:
                changed = msgspec.structs.replace(changed, version=stored.version + 1)
            if not rewritten and changed == stored:
                return WorkflowDetail(stored, definition, plan.warnings)
            changed = msgspec.structs.replace(changed, updated_at=max(self._clock.now_ms(), stored.updated_at + 1))
            before = await self._rows.get(workspace, stored.id)
            own = _kept(self._triggers.own(changed, whole["trigger"]), before)
            if await self._store.save(
                changed, document if rewritten else None, created_by, own, seen=stored.updated_at
            ):
                await self._triggers.saved(changed, before)
                return WorkflowDetail(changed, definition, plan.warnings)

    async def _move(self, detail: WorkflowDetail, target: WorkflowStatus, done: str) -> WorkflowDetail:
        workflow = detail.workflow
        if workflow.status is target:
            return detail
        allowed = frozenset(status for status, following in WORKFLOW_TRANSITIONS.items() if target in following)
        now = self._clock.now_ms()
        await self._store.set_status(workflow.workspace, workflow.id, target, allowed, now)
        moved = await self.get(workflow.workspace, workflow.id)
        if moved.workflow.status is not target:
            raise _wrong_status(done, allowed, moved.workflow)
        await self._triggers.moved(moved.workflow)
        return moved

    async def _detail(self, workflow: Workflow) -> WorkflowDetail:
        version = await self._version(workflow, workflow.version)
        document = decode(version.document)
        return WorkflowDetail(workflow, document, await self._warnings(workflow, document))

    async def _warnings(self, workflow: Workflow, document: Document) -> tuple[str, ...]:
        """What the plan warns of; the faults of a definition that an older server took."""
        try:
            if workflow.activated:
                return (await self._plans.get(workflow.workspace, workflow.id, workflow.version)).warnings
            return self._plans.compile(document).warnings
        except ValidationFailed as error:
            return tuple(f"{fault.field}: {fault.message}" for fault in error.faults)

    async def _version(self, workflow: Workflow, number: int) -> Version:
        version = await self._store.version(workflow.workspace, workflow.id, number)
        if version is None:
            raise NotFound("Version not found")
        return version


def _cleaned(body: Document, trigger_before: Document | None = None) -> Document:
    """The body without what is only answered and without nulls, which stand for absent fields; a webhook has a path."""
    whole = {
        name: value
        for name, value in body.items()
        if name not in _ANSWERED and (value is not None or name in _REQUIRED)
    }
    trigger = whole.get("trigger")
    if isinstance(trigger, dict):
        set_ = {name: value for name, value in trigger.items() if name not in _OF_TRIGGER}
        whole["trigger"] = with_path(set_, trigger_before)
    return whole


def _from(body: Document, source: Document | None) -> Document:
    """The body with this source, whatever it says itself."""
    rest = {name: value for name, value in body.items() if name != _SOURCE}
    return rest if source is None else {**rest, _SOURCE: source}


def _kept(own: Trigger | None, before: Trigger | None) -> Trigger | None:
    """A trigger whose config has not changed goes on where it is; else it begins anew, its secrets kept."""
    if own is None or before is None or own.slug != before.slug:
        return own
    if own.config != before.config:
        return msgspec.structs.replace(own, sealed=before.sealed, cursor=before.cursor)
    return msgspec.structs.replace(before, updated_at=max(own.updated_at, before.updated_at + 1))


def _definition(whole: Document) -> Document:
    return {name: value for name, value in whole.items() if name not in _BESIDE}


def _whole(detail: WorkflowDetail) -> Document:
    """The definition with what is kept beside it."""
    beside: dict[str, Json] = {}
    if detail.workflow.slug is not None:
        beside["slug"] = detail.workflow.slug
    if detail.workflow.canvas is not None:
        beside["canvasState"] = decode(detail.workflow.canvas)
    return {**detail.document, **beside}


def _shown(workflow: Workflow, whole: Document) -> Workflow:
    """The row with what it shows of a definition."""
    return msgspec.structs.replace(
        workflow,
        slug=whole.get("slug"),
        name=whole["name"],
        description=whole.get("description"),
        trigger=encode(whole["trigger"]),
        canvas=encode(whole["canvasState"]) if "canvasState" in whole else None,
    )


def _version(workflow: Workflow, version: Version, document: Mapping[str, Json]) -> VersionDetail:
    current = version.number == workflow.version
    return VersionDetail(version.number, version.created_at, version.created_by, current, dict(document))


def _wrong_status(done: str, allowed: frozenset[WorkflowStatus], workflow: Workflow) -> InvalidStatus:
    names = [status.value for status in WorkflowStatus if status in allowed]
    wanted = " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return InvalidStatus(f"Workflow must be {wanted} to be {done}. Current status: {workflow.status}")
