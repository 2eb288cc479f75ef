"""Every verb on firings and on the runs of a trigger, each also called with a foreign workspace."""

import asyncio
from typing import Any

import msgspec

from conformance.runs import Story
from conformance.triggers import a_firing, a_trigger, fire, got, put
from stepwell import ids as id_texts
from stepwell.clock import FakeClock
from stepwell.ids import TimeOrderedIds
from stepwell.states import RunState
from stepwell.store import FiringFilter, Store

LOWEST = id_texts.lowest_at(0)


async def test_a_firing_starts_a_run_in_one_transaction_and_is_counted(
    store: Store, story: Story, workspace: str, ids: TimeOrderedIds, clock: FakeClock
) -> None:
    trigger = await put(store, a_trigger(workspace, ids))

    run, replayed = await fire(story, trigger)

    assert not replayed
    (kept,) = await store.triggers.history(workspace, trigger.id, None, 9)
    assert (kept.run, kept.status) == (run, "started")
    counted = await got(store, trigger)
    assert (counted.fired, counted.last_fired_at) == (1, clock.now_ms())
    found = await store.runs.get(workspace, run)
    assert found is not None
    assert found.fired_by == trigger.id


async def test_twenty_firings_of_one_key_at_once_start_one_run(
    store: Store, story: Story, workspace: str, ids: TimeOrderedIds
) -> None:
    trigger = await put(store, a_trigger(workspace, ids))

    answers = await asyncio.gather(*(fire(story, trigger) for _ in range(20)))

    assert [replayed for _, replayed in answers].count(False) == 1
    assert len({run for run, _ in answers}) == 1
    assert await store.runs.count_open() == 1
    assert (await got(store, trigger)).fired == 1


async def test_one_key_starts_a_run_of_each_workflow(
    store: Store, story: Story, workspace: str, ids: TimeOrderedIds
) -> None:
    trigger = await put(store, a_trigger(workspace, ids))
    beside = msgspec.structs.replace(trigger, workflow=ids.new())

    assert not (await fire(story, trigger))[1]
    assert not (await fire(story, beside))[1]


async def test_a_key_that_was_recorded_starts_nothing(
    store: Store, story: Story, workspace: str, ids: TimeOrderedIds
) -> None:
    trigger = await put(store, a_trigger(workspace, ids))
    await store.triggers.record((a_firing(trigger, ids),))

    assert await fire(story, trigger) == ("", True)


async def test_of_one_key_the_first_record_is_kept(store: Store, workspace: str, ids: TimeOrderedIds) -> None:
    trigger = await put(store, a_trigger(workspace, ids))
    first, second = a_firing(trigger, ids), a_firing(trigger, ids, reason="another")

    await store.triggers.record((first, second))
    await store.triggers.record((second,))

    assert await store.triggers.history(workspace, trigger.id, None, 9) == [first]


async def test_a_firing_is_found_by_its_key(store: Store, workspace: str, foreign: str, ids: TimeOrderedIds) -> None:
    trigger = await put(store, a_trigger(workspace, ids))
    kept = a_firing(trigger, ids)
    await store.triggers.record((kept,))
    workflow = trigger.workflow or ""

    assert await store.triggers.fired(workspace, trigger.id, workflow, "1") == kept
    assert await store.triggers.fired(workspace, trigger.id, workflow, "2") is None
    assert await store.triggers.fired(workspace, trigger.id, ids.new(), "1") is None
    assert await store.triggers.fired(foreign, trigger.id, workflow, "1") is None
    assert await store.triggers.firing(workspace, kept.id) == kept
    assert await store.triggers.firing(foreign, kept.id) is None


async def test_history_is_newest_first_and_pages(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds
) -> None:
    trigger, other = await put(store, a_trigger(workspace, ids)), await put(store, a_trigger(workspace, ids))
    kept = [a_firing(trigger, ids, str(n)) for n in range(5)]
    await store.triggers.record((*kept, a_firing(other, ids)))

    newest = await store.triggers.history(workspace, trigger.id, None, 2)

    assert newest == [kept[4], kept[3]]
    assert await store.triggers.history(workspace, trigger.id, newest[-1].id, 9) == [kept[2], kept[1], kept[0]]
    assert await store.triggers.history(foreign, trigger.id, None, 9) == []


async def test_lists_of_firings_filter_and_count(
    store: Store, story: Story, workspace: str, foreign: str, ids: TimeOrderedIds
) -> None:
    trigger, other = await put(store, a_trigger(workspace, ids)), await put(store, a_trigger(workspace, ids, slug="b"))
    skipped, failed = a_firing(trigger, ids), a_firing(other, ids, status="failed", source="poll")
    await store.triggers.record((skipped, failed))

    async def page(**fields: Any) -> list[str]:
        found, total = await store.triggers.firings(FiringFilter(workspace=workspace, **fields))
        assert total == len(found)
        return [firing.id for firing in found]

    assert await page() == [failed.id, skipped.id]
    assert await page(triggers=(trigger.id,)) == [skipped.id]
    assert await page(workflow=other.workflow) == [failed.id]
    assert await page(statuses=("failed",)) == [failed.id]
    assert await page(sources=("schedule",)) == [skipped.id]
    assert await page(slugs=("b",)) == [failed.id]
    assert await store.triggers.firings(FiringFilter(workspace=foreign)) == ([], 0)


async def test_ten_refusals_in_a_row_put_a_trigger_into_error(
    store: Store, workspace: str, ids: TimeOrderedIds
) -> None:
    trigger = await put(store, a_trigger(workspace, ids))

    await store.triggers.record(tuple(a_firing(trigger, ids, str(n), status="failed") for n in range(9)))
    assert (await got(store, trigger)).status == "active"
    await store.triggers.record((a_firing(trigger, ids, "9", status="failed"),))

    failed = await got(store, trigger)
    assert (failed.status, failed.reason, failed.next_at) == ("error", "too_many_failures", None)
    assert (failed.refused, failed.refused_in_row) == (10, 10)


async def test_a_start_between_ends_the_row_of_refusals(
    store: Store, story: Story, workspace: str, ids: TimeOrderedIds
) -> None:
    trigger = await put(store, a_trigger(workspace, ids))

    await store.triggers.record(tuple(a_firing(trigger, ids, str(n), status="failed") for n in range(9)))
    await fire(story, trigger, "between")
    await store.triggers.record((a_firing(trigger, ids, "9", status="failed"),))

    assert (await got(store, trigger)).status == "active"


async def test_open_runs_of_a_trigger_are_told_oldest_first(
    store: Store, story: Story, workspace: str, foreign: str, ids: TimeOrderedIds
) -> None:
    trigger, other = await put(store, a_trigger(workspace, ids)), await put(store, a_trigger(workspace, ids))
    runs = [(await fire(story, trigger, str(n), owner=story.owner))[0] for n in range(3)]
    await fire(story, other)
    await story.finish(runs[1])

    assert await store.triggers.open_runs(workspace, trigger.id, 9) == [runs[0], runs[2]]
    assert await store.triggers.open_runs(workspace, trigger.id, 1) == [runs[0]]
    assert await store.triggers.open_runs(foreign, trigger.id, 9) == []


async def test_the_last_ends_of_a_trigger_are_told_newest_first(
    store: Store, story: Story, workspace: str, foreign: str, ids: TimeOrderedIds
) -> None:
    trigger = await put(store, a_trigger(workspace, ids))
    states = [RunState.COMPLETED, RunState.FAILED, RunState.RUNNING, RunState.CANCELLED]
    runs = []
    for number, state in enumerate(states):
        run, _ = await fire(story, trigger, str(number), owner=story.owner)
        runs.append(run)
        if state.final:
            await story.finish(run, state=state)

    assert await store.triggers.last_ends(workspace, trigger.id, 9, after=LOWEST) == [
        "cancelled",
        "failed",
        "completed",
    ]
    assert await store.triggers.last_ends(workspace, trigger.id, 1, after=LOWEST) == ["cancelled"]
    assert await store.triggers.last_ends(workspace, trigger.id, 9, after=runs[0]) == ["cancelled", "failed"]
    assert await store.triggers.last_ends(foreign, trigger.id, 9, after=LOWEST) == []


async def test_old_firings_are_removed_in_batches(store: Store, workspace: str, ids: TimeOrderedIds) -> None:
    trigger = await put(store, a_trigger(workspace, ids))
    kept = [a_firing(trigger, ids, str(n)) for n in range(5)]
    await store.triggers.record(tuple(kept))

    assert await store.triggers.prune_firings(kept[3].id, 2) == 2
    assert await store.triggers.prune_firings(kept[3].id, 9) == 1
    assert [each.id for each in await store.triggers.history(workspace, trigger.id, None, 9)] == [
        kept[4].id,
        kept[3].id,
    ]
