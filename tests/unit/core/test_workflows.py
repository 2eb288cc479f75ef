"""Workflows: what is stored, when a version is made, and which status may follow which."""

import asyncio
from decimal import Decimal

import msgspec
import pytest

from stepwell.clock import FakeClock
from stepwell.connectors import Connectors
from stepwell.core import Plans, Triggers, WorkflowDetail, Workflows
from stepwell.errors import AlreadyExists, InvalidStatus, NotFound, ValidationFailed
from stepwell.ids import TimeOrderedIds
from stepwell.states import WorkflowStatus
from stepwell.steps import STEP_TYPES
from stepwell.store.sqlite import SqliteStore
from stepwell.values import Json

UNSET = msgspec.UNSET


def a_step(**mapping: Json) -> Json:
    return {"id": "shape", "type": "transform", "config": {"mapping": mapping}}


def a_body(**fields: Json) -> dict[str, Json]:
    return {"name": "Orders", "trigger": {"type": "api"}, "steps": [a_step(total="{{input.a}}")]} | fields


@pytest.fixture
async def draft(workflows: Workflows, workspace: str) -> WorkflowDetail:
    body = a_body(slug="orders", description="Takes orders", canvasState={"zoom": Decimal("1.50")})
    return await workflows.create(workspace, body, "key-1")


@pytest.fixture
async def active(workflows: Workflows, workspace: str, draft: WorkflowDetail) -> WorkflowDetail:
    return await workflows.activate(workspace, draft.workflow.id)


def numbers(detail: WorkflowDetail) -> tuple[WorkflowStatus, int]:
    return detail.workflow.status, detail.workflow.version


async def test_a_created_workflow_is_a_draft_of_version_1(
    workflows: Workflows, workspace: str, draft: WorkflowDetail
) -> None:
    assert numbers(draft) == (WorkflowStatus.DRAFT, 1)
    assert (draft.workflow.name, draft.workflow.description) == ("Orders", "Takes orders")
    assert draft.document == a_body(description="Takes orders")
    assert draft.workflow.canvas == b'{"zoom":1.50}'


@pytest.mark.parametrize("reference", ["id", "orders"])
async def test_a_workflow_is_got_as_it_was_created(
    workflows: Workflows, workspace: str, draft: WorkflowDetail, reference: str
) -> None:
    assert await workflows.get(workspace, draft.workflow.id if reference == "id" else reference) == draft


async def test_a_workflow_with_faults_is_not_stored(workflows: Workflows, workspace: str) -> None:
    with pytest.raises(ValidationFailed, match="Invalid workflow configuration") as raised:
        await workflows.create(workspace, a_body(name=None, slug="no blanks", steps=[{"type": "wait"}]), "key-1")

    assert {"name", "slug", "steps[0].id"} <= {fault.field for fault in raised.value.faults}
    assert await workflows.page(workspace) == []


async def test_a_taken_slug_is_refused(workflows: Workflows, workspace: str, draft: WorkflowDetail) -> None:
    with pytest.raises(AlreadyExists, match="orders"):
        await workflows.create(workspace, a_body(slug="orders"), "key-1")


async def test_unknown_fields_are_kept_and_warned_of(workflows: Workflows, workspace: str) -> None:
    created = await workflows.create(workspace, a_body(colour="red"), "key-1")

    assert created.document["colour"] == "red"
    assert created.warnings == ("Unknown field: colour",)
    assert (await workflows.get(workspace, created.workflow.id)).warnings == created.warnings


async def test_what_is_only_answered_is_not_taken_from_a_body(workflows: Workflows, workspace: str) -> None:
    created = await workflows.create(workspace, a_body(id="wf_1", status="active", version=9, warnings=[]), "key-1")

    assert numbers(created) == (WorkflowStatus.DRAFT, 1)
    assert created.document == a_body()


async def test_an_update_replaces_what_is_sent_and_removes_what_is_null(
    workflows: Workflows, workspace: str, draft: WorkflowDetail
) -> None:
    changes = {"name": "Better", "description": None, "slug": None, "canvasState": None}

    updated = await workflows.update(workspace, "orders", changes, "key-2")

    assert updated.document == a_body(name="Better")
    assert (updated.workflow.name, updated.workflow.slug, updated.workflow.canvas) == ("Better", None, None)
    assert await workflows.get(workspace, draft.workflow.id) == updated


async def test_a_required_field_cannot_be_removed(workflows: Workflows, workspace: str, draft: WorkflowDetail) -> None:
    with pytest.raises(ValidationFailed):
        await workflows.update(workspace, "orders", {"steps": None}, "key-1")

    assert await workflows.get(workspace, "orders") == draft


async def test_a_draft_that_never_was_active_keeps_version_1(
    workflows: Workflows, workspace: str, draft: WorkflowDetail
) -> None:
    updated = await workflows.update(workspace, "orders", {"name": "Better"}, "key-1")

    assert numbers(updated) == (WorkflowStatus.DRAFT, 1)
    assert (await workflows.version(workspace, "orders", 1)).document["name"] == "Better"


@pytest.mark.parametrize("paused", [False, True])
async def test_an_edit_of_a_workflow_that_was_active_makes_a_version(
    workflows: Workflows, workspace: str, active: WorkflowDetail, paused: bool
) -> None:
    if paused:
        await workflows.pause(workspace, "orders")

    updated = await workflows.update(workspace, "orders", {"name": "Better"}, "key-2")

    assert updated.workflow.version == 2
    assert (await workflows.version(workspace, "orders", 1)).document["name"] == "Orders"
    listed = await workflows.versions(workspace, "orders")
    assert [(version.number, version.current, version.created_by) for version in listed] == [
        (2, True, "key-2"),
        (1, False, "key-1"),
    ]


async def test_an_update_that_changes_nothing_writes_nothing(
    workflows: Workflows, workspace: str, active: WorkflowDetail, clock: FakeClock
) -> None:
    clock.advance(5)

    assert await workflows.update(workspace, "orders", a_body(), "key-1") == active


async def test_true_and_one_are_different_values_in_an_update(
    workflows: Workflows, workspace: str, active: WorkflowDetail
) -> None:
    first = await workflows.update(workspace, "orders", {"variables": {"a": 1}}, "key-1")
    second = await workflows.update(workspace, "orders", {"variables": {"a": True}}, "key-1")

    assert (first.workflow.version, second.workflow.version) == (2, 3)


async def test_a_change_of_slug_or_canvas_makes_no_version(
    workflows: Workflows, workspace: str, active: WorkflowDetail, clock: FakeClock
) -> None:
    renamed = await workflows.update(workspace, "orders", {"slug": "sales"}, "key-1")
    drawn = await workflows.set_canvas(workspace, "sales", {"zoom": 2}, UNSET, "key-1")

    assert (renamed.workflow.version, drawn.workflow.version) == (1, 1)
    assert await workflows.get(workspace, "sales") == drawn
    assert drawn.workflow.canvas == b'{"zoom":2}'


async def test_a_canvas_with_steps_is_an_edit(workflows: Workflows, workspace: str, active: WorkflowDetail) -> None:
    drawn = await workflows.set_canvas(workspace, "orders", None, [a_step(b="1")], "key-1")

    assert (drawn.workflow.version, drawn.workflow.canvas) == (2, None)
    assert drawn.document["steps"] == [a_step(b="1")]


async def test_two_edits_at_once_lose_nothing(workflows: Workflows, workspace: str, active: WorkflowDetail) -> None:
    await asyncio.gather(
        workflows.update(workspace, "orders", {"name": "Better"}, "key-1"),
        workflows.update(workspace, "orders", {"description": "Other"}, "key-1"),
    )

    both = await workflows.get(workspace, "orders")
    assert (both.document["name"], both.document["description"], both.workflow.version) == ("Better", "Other", 3)


async def test_every_change_raises_the_time_of_change(
    workflows: Workflows, workspace: str, draft: WorkflowDetail, clock: FakeClock
) -> None:
    clock.jump(-60)

    updated = await workflows.update(workspace, "orders", {"name": "Better"}, "key-1")

    assert updated.workflow.updated_at == draft.workflow.updated_at + 1


async def test_the_lifecycle_goes_from_draft_to_archived(
    workflows: Workflows, workspace: str, draft: WorkflowDetail
) -> None:
    steps = [workflows.activate, workflows.pause, workflows.resume, workflows.archive]

    statuses = [(await step(workspace, "orders")).workflow.status.value for step in steps]

    assert statuses == ["active", "paused", "active", "archived"]


async def test_a_repeated_transition_changes_nothing(
    workflows: Workflows, workspace: str, active: WorkflowDetail, clock: FakeClock
) -> None:
    clock.advance(5)

    assert await workflows.activate(workspace, "orders") == active


async def test_a_forbidden_transition_is_refused(workflows: Workflows, workspace: str, draft: WorkflowDetail) -> None:
    with pytest.raises(InvalidStatus, match="Workflow must be active to be paused. Current status: draft"):
        await workflows.pause(workspace, "orders")

    assert (await workflows.get(workspace, "orders")).workflow.status is WorkflowStatus.DRAFT


async def test_an_archived_workflow_stays_as_it_is(workflows: Workflows, workspace: str, draft: WorkflowDetail) -> None:
    archived = await workflows.archive(workspace, "orders")

    edited = "Workflow must be draft, active or paused to be edited. Current status: archived"
    with pytest.raises(InvalidStatus, match=edited):
        await workflows.update(workspace, "orders", {"steps": "not checked before the status"}, "key-1")
    with pytest.raises(InvalidStatus, match="Workflow must be draft or paused to be activated"):
        await workflows.activate(workspace, "orders")

    assert await workflows.get(workspace, "orders") == archived


async def test_archived_workflows_are_listed_only_when_asked_for(
    workflows: Workflows, workspace: str, draft: WorkflowDetail
) -> None:
    await workflows.archive(workspace, "orders")

    assert await workflows.page(workspace) == []
    assert [row.id for row in await workflows.page(workspace, status=WorkflowStatus.ARCHIVED)] == [draft.workflow.id]


async def test_a_restored_version_is_copied_into_a_new_one(
    workflows: Workflows, workspace: str, active: WorkflowDetail
) -> None:
    await workflows.update(workspace, "orders", {"name": "Better", "slug": "sales"}, "key-1")

    restored = await workflows.restore(workspace, "sales", 1, "key-3")

    assert (restored.workflow.version, restored.workflow.name, restored.workflow.slug) == (3, "Orders", "sales")
    assert restored.document == active.document
    assert restored.workflow.canvas == active.workflow.canvas


async def test_restoring_the_current_version_makes_a_new_one_too(
    workflows: Workflows, workspace: str, active: WorkflowDetail
) -> None:
    assert (await workflows.restore(workspace, "orders", 1, "key-1")).workflow.version == 2


async def test_an_unknown_version_is_not_found(workflows: Workflows, workspace: str, active: WorkflowDetail) -> None:
    for number in (0, 2, -1):
        with pytest.raises(NotFound, match="Version not found"):
            await workflows.restore(workspace, "orders", number, "key-1")


async def test_a_duplicate_is_a_draft_without_slug(
    workflows: Workflows, workspace: str, active: WorkflowDetail
) -> None:
    copy = await workflows.duplicate(workspace, "orders", "key-1")

    assert numbers(copy) == (WorkflowStatus.DRAFT, 1)
    assert (copy.workflow.name, copy.workflow.slug) == ("Copy of Orders", None)
    assert copy.document == active.document | {"name": "Copy of Orders"}
    assert copy.workflow.canvas == active.workflow.canvas


async def test_the_name_of_a_duplicate_stays_within_its_limit(workflows: Workflows, workspace: str) -> None:
    created = await workflows.create(workspace, a_body(name="n" * 255), "key-1")

    copy = await workflows.duplicate(workspace, created.workflow.id, "key-1")

    assert copy.workflow.name == "Copy of " + "n" * 247


async def test_a_foreign_workflow_is_not_found(workflows: Workflows, foreign: str, active: WorkflowDetail) -> None:
    reference = active.workflow.id
    for call in (
        workflows.get(foreign, reference),
        workflows.update(foreign, reference, {}, "key-1"),
        workflows.activate(foreign, reference),
        workflows.versions(foreign, "orders"),
        workflows.version(foreign, reference, 1),
        workflows.restore(foreign, reference, 1, "key-1"),
        workflows.duplicate(foreign, reference, "key-1"),
    ):
        with pytest.raises(NotFound, match="Workflow not found"):
            await call


async def test_a_plan_is_compiled_once_per_version(plans: Plans, workspace: str, active: WorkflowDetail) -> None:
    first = await plans.get(workspace, active.workflow.id, 1)

    assert await plans.get(workspace, active.workflow.id, 1) is first


async def test_a_plan_of_an_unknown_version_or_workspace_is_not_found(
    plans: Plans, workspace: str, foreign: str, active: WorkflowDetail
) -> None:
    await plans.get(workspace, active.workflow.id, 1)

    for owner, number in ((workspace, 2), (foreign, 1)):
        with pytest.raises(NotFound):
            await plans.get(owner, active.workflow.id, number)


async def test_the_plans_used_last_are_kept(
    store: SqliteStore, workflows: Workflows, workspace: str, connectors: Connectors
) -> None:
    small = Plans(store.workflows, STEP_TYPES, connectors, limit=2)
    created = [(await workflows.create(workspace, a_body(), "key-1")).workflow.id for _ in range(3)]

    first, second = [await small.get(workspace, id, 1) for id in created[:2]]
    await small.get(workspace, created[0], 1)
    await small.get(workspace, created[2], 1)

    assert await small.get(workspace, created[0], 1) is first
    assert await small.get(workspace, created[1], 1) is not second


async def test_a_definition_that_this_server_no_longer_takes_is_shown_with_its_faults(
    store: SqliteStore,
    workspace: str,
    active: WorkflowDetail,
    connectors: Connectors,
    triggers: Triggers,
    clock: FakeClock,
    ids: TimeOrderedIds,
) -> None:
    poorer = Plans(store.workflows, {}, connectors)
    workflows = Workflows(store, poorer, triggers, clock, ids)

    shown = await workflows.get(workspace, "orders")

    assert shown.document == active.document
    assert shown.warnings == ("steps[0].type: Unknown step type: transform",)
