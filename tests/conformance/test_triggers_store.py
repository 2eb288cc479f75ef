"""Every verb on triggers, each also called with a foreign workspace."""

import asyncio
from typing import Any

import msgspec
import pytest

from conformance.runs import NOW
from conformance.triggers import a_firing, a_trigger, got, put
from stepwell.ids import TimeOrderedIds
from stepwell.states import WorkflowStatus
from stepwell.store import Store, TriggerFilter, Workflow

# -- instances


async def test_a_trigger_is_read_as_it_was_stored(store: Store, workspace: str, ids: TimeOrderedIds) -> None:
    trigger = a_trigger(
        workspace,
        ids,
        end_user=ids.new(),
        connection=ids.new(),
        path="secret-path",
        sealed=b"sealed",
        cursor=b"{}",
    )

    assert await store.triggers.upsert(trigger) == (trigger, True)
    assert await store.triggers.get(workspace, trigger.id) == trigger
    assert await store.triggers.find(trigger.id) == trigger


async def test_another_workspace_reads_no_trigger(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds
) -> None:
    trigger = await put(store, a_trigger(workspace, ids, connection=ids.new()))

    assert await store.triggers.get(foreign, trigger.id) is None
    assert await store.triggers.of_workflow(foreign, trigger.workflow or "") == []
    assert await store.triggers.of_connection(foreign, trigger.connection or "") == []
    assert await store.triggers.page(TriggerFilter(workspace=foreign)) == ([], 0)


async def test_twenty_upserts_at_once_make_one_trigger(store: Store, workspace: str, ids: TimeOrderedIds) -> None:
    wanted = a_trigger(workspace, ids)
    same = [msgspec.structs.replace(wanted, id=ids.new()) for _ in range(20)]

    answers = await asyncio.gather(*(store.triggers.upsert(each) for each in same))

    assert [new for _, new in answers].count(True) == 1
    assert len({stored.id for stored, _ in answers}) == 1
    assert (await store.triggers.page(TriggerFilter(workspace=workspace)))[1] == 1


@pytest.mark.parametrize("part", ["end_user", "connection", "workflow", "slug"])
async def test_another_part_of_the_identity_is_another_trigger(
    store: Store, workspace: str, ids: TimeOrderedIds, part: str
) -> None:
    first = await put(store, a_trigger(workspace, ids))
    changed = msgspec.structs.replace(first, id=ids.new(), **{part: ids.new()})

    assert (await store.triggers.upsert(changed))[1]


async def test_the_same_identity_in_another_workspace_is_another_trigger(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds
) -> None:
    first = await put(store, a_trigger(workspace, ids))

    assert (await store.triggers.upsert(msgspec.structs.replace(first, id=ids.new(), workspace=foreign)))[1]


async def test_an_upsert_changes_the_config_and_keeps_the_status(
    store: Store, workspace: str, ids: TimeOrderedIds
) -> None:
    first = await put(store, a_trigger(workspace, ids, status="disabled", next_at=None, scheduled_at=None))

    stored, new = await store.triggers.upsert(
        msgspec.structs.replace(first, id=ids.new(), config=b'{"type":"schedule"}', status="active", next_at=NOW + 9)
    )

    assert not new
    assert (stored.id, stored.config, stored.status) == (first.id, b'{"type":"schedule"}', "disabled")
    assert stored.next_at is None
    assert stored.updated_at > first.updated_at


async def test_a_save_that_saw_an_older_row_is_refused(store: Store, workspace: str, ids: TimeOrderedIds) -> None:
    first = await put(store, a_trigger(workspace, ids))
    changed = msgspec.structs.replace(first, status="disabled", updated_at=NOW + 1)

    assert await store.triggers.save(changed, seen=NOW)
    assert not await store.triggers.save(changed, seen=NOW)


async def test_another_workspace_neither_saves_nor_deletes_a_trigger(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds
) -> None:
    trigger = await put(store, a_trigger(workspace, ids))
    theirs = msgspec.structs.replace(trigger, workspace=foreign)

    assert not await store.triggers.save(theirs, seen=NOW)
    assert not await store.triggers.advance(theirs, seen=trigger.next_at)
    assert not await store.triggers.arm(foreign, trigger.id, NOW, NOW)
    assert not await store.triggers.delete(foreign, trigger.id)

    assert await got(store, trigger) == trigger


async def test_a_deleted_trigger_is_gone_with_its_links_and_leaves_its_firings(
    store: Store, workspace: str, ids: TimeOrderedIds
) -> None:
    trigger = await put(store, a_trigger(workspace, ids))
    await store.triggers.link(workspace, ids.new(), (trigger.id,))
    await store.triggers.record((a_firing(trigger, ids),))

    assert await store.triggers.delete(workspace, trigger.id)

    assert await store.triggers.get(workspace, trigger.id) is None
    assert await store.triggers.linked(workspace, (trigger.id,)) == []
    assert len(await store.triggers.history(workspace, trigger.id, None, 9)) == 1


async def test_a_workflow_names_what_it_was_linked_to_last(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds
) -> None:
    workflow = ids.new()
    await store.triggers.link(workspace, workflow, ("a", "b"))
    await store.triggers.link(workspace, workflow, ("b", "c"))

    assert await store.triggers.linked(workspace, ("a",)) == []
    assert await store.triggers.linked(workspace, ("b", "c")) == [workflow]
    assert await store.triggers.linked(foreign, ("b",)) == []


@pytest.mark.parametrize(("field", "value"), [("provider", "stripe"), ("path", "orders")])
async def test_hooks_are_those_of_a_provider_or_path_whatever_their_status(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds, field: str, value: str
) -> None:
    hook = await put(store, a_trigger(workspace, ids, kind="webhook", **{field: value}))
    off = await put(store, a_trigger(workspace, ids, kind="webhook", status="disabled", **{field: value}))
    await put(store, a_trigger(workspace, ids, kind="webhook", **{field: "other"}))

    where: dict[str, Any] = {field: value}
    assert await store.triggers.hooks(workspace, **where) == [hook, off]
    assert await store.triggers.hooks(foreign, **where) == []


async def test_a_page_filters_and_counts(store: Store, workspace: str, ids: TimeOrderedIds) -> None:
    one = await put(store, a_trigger(workspace, ids, slug="a.b", connection=ids.new()))
    two = await put(store, a_trigger(workspace, ids, status="disabled"))

    async def page(**fields: Any) -> list[str]:
        found, total = await store.triggers.page(TriggerFilter(workspace=workspace, **fields))
        assert total == len(found)
        return [trigger.id for trigger in found]

    assert await page() == [two.id, one.id]
    assert await page(ids=(one.id,)) == [one.id]
    assert await page(slugs=("a.b", "c")) == [one.id]
    assert await page(statuses=("disabled",)) == [two.id]
    assert await page(workflows=(two.workflow or "",)) == [two.id]
    assert await page(connections=(one.connection or "",)) == [one.id]
    assert await page(instances=False) == []


# -- times


async def test_the_longest_due_comes_first_and_a_page_at_a_time(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds
) -> None:
    late = await put(store, a_trigger(workspace, ids, next_at=NOW + 2))
    later = await put(store, a_trigger(foreign, ids, next_at=NOW + 1))
    await put(store, a_trigger(workspace, ids, next_at=NOW + 3))

    assert await store.triggers.next_due() == NOW + 1
    assert await store.triggers.due(NOW + 2, 9) == [later, late]
    assert await store.triggers.due(NOW + 2, 1) == [later]


async def test_what_is_off_or_unarmed_is_not_due(store: Store, workspace: str, ids: TimeOrderedIds) -> None:
    await put(store, a_trigger(workspace, ids, status="error"))
    await put(store, a_trigger(workspace, ids, next_at=None))

    assert (await store.triggers.due(NOW + 99, 9), await store.triggers.next_due()) == ([], None)


async def test_a_trigger_is_advanced_once_from_what_was_seen(store: Store, workspace: str, ids: TimeOrderedIds) -> None:
    trigger = await put(store, a_trigger(workspace, ids))
    moved = msgspec.structs.replace(trigger, scheduled_at=NOW + 60, next_at=NOW + 65, cursor=b"[1]")

    answers = await asyncio.gather(*(store.triggers.advance(moved, seen=trigger.next_at) for _ in range(5)))

    assert sorted(answers) == [False, False, False, False, True]
    assert await got(store, trigger) == moved


async def test_a_trigger_that_was_switched_off_is_not_advanced(
    store: Store, workspace: str, ids: TimeOrderedIds
) -> None:
    trigger = await put(store, a_trigger(workspace, ids))
    off = msgspec.structs.replace(trigger, status="disabled", updated_at=NOW + 1)
    await store.triggers.save(off, seen=NOW)

    assert not await store.triggers.advance(trigger, seen=trigger.next_at)


async def test_arming_sets_both_times_of_an_active_trigger(store: Store, workspace: str, ids: TimeOrderedIds) -> None:
    on = await put(store, a_trigger(workspace, ids, scheduled_at=None, next_at=None))
    off = await put(store, a_trigger(workspace, ids, status="disabled", next_at=None))

    assert await store.triggers.arm(workspace, on.id, NOW, NOW + 1)
    assert not await store.triggers.arm(workspace, off.id, NOW, NOW + 1)

    armed = await got(store, on)
    assert (armed.scheduled_at, armed.next_at) == (NOW, NOW + 1)


def a_workflow(workspace: str, ids: TimeOrderedIds, status: WorkflowStatus) -> Workflow:
    return Workflow(
        workspace=workspace,
        id=ids.new(),
        slug=None,
        name="Tick",
        status=status,
        version=1,
        activated=True,
        updated_at=NOW,
        trigger=b"{}",
    )


async def test_unarmed_are_active_schedules_and_polls_of_active_workflows(
    store: Store, workspace: str, ids: TimeOrderedIds
) -> None:
    async def unarmed(status: WorkflowStatus = WorkflowStatus.ACTIVE, **fields: Any) -> str:
        workflow = a_workflow(workspace, ids, status)
        await store.workflows.create(workflow, b"{}", "test")
        wanted = a_trigger(workspace, ids, **{"workflow": workflow.id, "next_at": None, **fields})
        return (await put(store, wanted)).id

    schedule, poll = await unarmed(), await unarmed(kind="poll")
    free = await unarmed(workflow=None)
    await unarmed(kind="webhook")
    await unarmed(next_at=NOW)
    await unarmed(status=WorkflowStatus.PAUSED)

    assert [each.id for each in await store.triggers.unarmed(None, 9)] == [schedule, poll, free]
    assert [each.id for each in await store.triggers.unarmed(schedule, 1)] == [poll]


async def test_a_paused_workflow_is_disarmed_with_its_status(store: Store, workspace: str, ids: TimeOrderedIds) -> None:
    workflow = a_workflow(workspace, ids, WorkflowStatus.ACTIVE)
    own = a_trigger(workspace, ids, id=workflow.id, workflow=workflow.id, instance=False)
    await store.workflows.create(workflow, b"{}", "test", own)
    assert await store.triggers.next_due() == own.next_at

    every = frozenset(WorkflowStatus)
    await store.workflows.set_status(workspace, workflow.id, WorkflowStatus.PAUSED, every, NOW + 1)

    assert await store.triggers.next_due() is None
