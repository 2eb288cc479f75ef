"""Tasks as they are stored, claimed, done and closed."""

import asyncio
from typing import Any

import msgspec
import pytest

from conformance.runs import NOW, Story, a_record
from stepwell.ids import TimeOrderedIds
from stepwell.states import RecordStatus, RunState, TaskStatus, WaitsOn
from stepwell.store import Store, Task, TaskClaim, TaskDelivery, TaskFailure, TaskVerdict, Timer

WAITING = a_record("work", RecordStatus.WAITING)
TOKEN = b"t" * 32


async def opened(story: Story, ids: TimeOrderedIds, run: str | None = None, **fields: Any) -> Task:
    """A task whose run waits for it."""
    run = run or await story.born()
    task = Task(
        workspace=story.workspace,
        id=ids.new(),
        run=run,
        workflow=ids.new(),
        path="work",
        step="work",
        status=TaskStatus.OPEN,
        title="Do it",
        updated_at=NOW,
    )
    task = msgspec.structs.replace(task, **fields)
    record = msgspec.structs.replace(WAITING, path=task.path, step=task.step)
    await story.write(
        run, state=RunState.SUSPENDED, suspend_at=0, waits_on=WaitsOn.TASK, records=(record,), tasks=(task,)
    )
    return task


def a_claim(**fields: Any) -> TaskClaim:
    return msgspec.structs.replace(
        TaskClaim(worker="w", types=None, token=TOKEN, lease_until=NOW + 60_000, now=NOW + 1), **fields
    )


def a_delivery(**fields: Any) -> TaskDelivery:
    return msgspec.structs.replace(
        TaskDelivery(token=TOKEN, output=b'{"n":1}', cost=5, score=None, now=NOW + 2), **fields
    )


async def test_a_task_is_stored_with_its_commit_and_read_as_it_was(
    store: Store, story: Story, ids: TimeOrderedIds
) -> None:
    task = await opened(story, ids, description="more", task_type="t", template=b'{"title":"Do it"}', min_score=3)

    assert await store.tasks.get(story.workspace, task.id) == task
    shown = msgspec.structs.replace(task, description=None, template=b"{}")
    assert (await story.load(task.run)).tasks == (shown,)
    assert await store.tasks.page(story.workspace, status=TaskStatus.OPEN, offset=0, limit=5) == ([task], 1)
    assert await store.tasks.page(story.workspace, status=TaskStatus.REVIEW, offset=0, limit=5) == ([], 0)


async def test_the_oldest_open_task_of_the_wanted_types_is_claimed(
    store: Store, story: Story, ids: TimeOrderedIds
) -> None:
    older = await opened(story, ids, task_type="a")
    newer = await opened(story, ids, task_type="b")

    claimed = [(await store.tasks.claim(story.workspace, a_claim(types=types))).task for types in (("b",), None, None)]

    assert [task.id if task else None for task in claimed] == [newer.id, older.id, None]


async def test_of_many_claims_at_once_each_task_goes_to_one(store: Store, story: Story, ids: TimeOrderedIds) -> None:
    tasks = [await opened(story, ids) for _ in range(5)]

    changes = await asyncio.gather(*(store.tasks.claim(story.workspace, a_claim()) for _ in range(20)))

    assert sorted(change.task.id for change in changes if change.task) == sorted(task.id for task in tasks)


async def test_a_claim_sets_the_timer_of_its_lease(store: Store, story: Story, ids: TimeOrderedIds) -> None:
    task = await opened(story, ids)

    await store.tasks.claim(story.workspace, a_claim())
    held = (await story.load(task.run)).timers
    await store.tasks.complete(story.workspace, task.id, a_delivery())

    assert held == (Timer("work", "lease", NOW + 60_000),)
    assert (await story.load(task.run)).timers == ()


@pytest.mark.parametrize(("score", "status"), [(None, TaskStatus.REVIEW), (3, TaskStatus.ACCEPTED)])
async def test_a_delivery_is_reviewed_or_accepted_and_costs_its_run(
    store: Store, story: Story, ids: TimeOrderedIds, score: int | None, status: TaskStatus
) -> None:
    task = await opened(story, ids, auto_accept=True, min_score=3)
    await store.tasks.claim(story.workspace, a_claim())

    change = await store.tasks.complete(story.workspace, task.id, a_delivery(score=score))

    assert change.changed and change.task is not None
    assert (change.task.status, change.task.cost) == (status, 5)
    assert [reached.run for reached in change.reached] == ([task.run] if status is TaskStatus.ACCEPTED else [])
    assert (await story.load(task.run)).run.cost == 5


@pytest.mark.parametrize("delivery", [a_delivery(token=b"x" * 32), a_delivery(now=NOW + 60_000)])
async def test_a_token_that_holds_no_claim_delivers_nothing(
    store: Store, story: Story, ids: TimeOrderedIds, delivery: TaskDelivery
) -> None:
    task = await opened(story, ids)
    await store.tasks.claim(story.workspace, a_claim())

    change = await store.tasks.complete(story.workspace, task.id, delivery)

    assert (change.changed, change.task and change.task.status) == (False, TaskStatus.CLAIMED)


async def test_a_claim_that_ends_without_a_result_opens_the_task_or_fails_it(
    store: Store, story: Story, ids: TimeOrderedIds
) -> None:
    task = await opened(story, ids, max_attempts=2)
    failure = TaskFailure(token=TOKEN, message="no", retryable=True, cost=None, now=NOW + 2)
    found = []
    for _ in range(2):
        await store.tasks.claim(story.workspace, a_claim())
        found.append((await store.tasks.fail(story.workspace, task.id, failure)).task)

    assert [(each.status, each.attempts) for each in found if each] == [(TaskStatus.OPEN, 1), (TaskStatus.FAILED, 2)]


async def test_only_a_reviewed_delivery_is_decided_and_once(store: Store, story: Story, ids: TimeOrderedIds) -> None:
    task = await opened(story, ids)
    verdict = TaskVerdict(accepted=True, by="k", reason=None, now=NOW + 3)
    early = await store.tasks.decide(story.workspace, task.id, verdict)
    await store.tasks.claim(story.workspace, a_claim())
    await store.tasks.complete(story.workspace, task.id, a_delivery())

    decided = [await store.tasks.decide(story.workspace, task.id, verdict) for _ in range(2)]

    assert [early.changed, *(change.changed for change in decided)] == [False, True, False]
    assert decided[0].task is not None
    assert (decided[0].task.approved_by, decided[0].task.approved_at) == ("k", NOW + 3)


async def test_what_a_path_or_run_leaves_is_cancelled(store: Store, story: Story, ids: TimeOrderedIds) -> None:
    closed, ended = await opened(story, ids), await opened(story, ids)

    await story.write(closed.run, closed=("work",))
    await store.runs.end(story.ending(ended.run))

    found = [await store.tasks.get(story.workspace, task.id) for task in (closed, ended)]
    assert [task.status for task in found if task] == [TaskStatus.CANCELLED, TaskStatus.CANCELLED]


async def test_a_loaded_run_brings_the_output_that_its_step_has_still_to_take(
    store: Store, story: Story, ids: TimeOrderedIds
) -> None:
    task = await opened(story, ids, auto_accept=True)
    await store.tasks.claim(story.workspace, a_claim())
    await store.tasks.complete(story.workspace, task.id, a_delivery())
    before = (await story.load(task.run)).tasks[0].output

    await story.write(task.run, records=(a_record("work"),))

    assert (before, (await story.load(task.run)).tasks[0].output) == (b'{"n":1}', None)


async def test_beyond_the_most_of_a_workspace_no_task_is_opened_and_its_timer_stays(
    store: Store, story: Story, ids: TimeOrderedIds, theirs: Story
) -> None:
    await opened(theirs, ids)
    first = await opened(story, ids)
    run = await story.born()
    second = msgspec.structs.replace(first, id=ids.new(), run=run)
    looks = Timer("work", "room", NOW + 9)

    await story.write(run, tasks=(second,), most_tasks=1, timers=(looks,))
    full = ((await story.load(run)).tasks, (await story.load(run)).timers)
    await story.runs.end(story.ending(first.run))
    await story.write(run, tasks=(second,), most_tasks=1, timers=(looks,))

    assert full == ((), (looks,))
    assert ([task.id for task in (await story.load(run)).tasks], (await story.load(run)).timers) == ([second.id], ())


async def test_the_time_of_a_step_ends_its_task_as_failed(store: Store, story: Story, ids: TimeOrderedIds) -> None:
    task = await opened(story, ids)
    await story.write(task.run, timers=(Timer("work", "deadline", NOW + 7),))

    await story.runs.fire_timers(NOW + 7, 10, b"{}")

    found = await store.tasks.get(story.workspace, task.id)
    assert found is not None
    assert (found.status, found.completed_at) == (TaskStatus.FAILED, NOW + 7)


async def test_a_foreign_workspace_finds_nothing(store: Store, story: Story, ids: TimeOrderedIds, foreign: str) -> None:
    task = await opened(story, ids)
    await store.tasks.claim(story.workspace, a_claim())

    assert await store.tasks.get(foreign, task.id) is None
    assert await store.tasks.page(foreign, status=None, offset=0, limit=5) == ([], 0)
    assert (await store.tasks.claim(foreign, a_claim())).task is None
    assert not await store.tasks.heartbeat(foreign, task.id, TOKEN, NOW + 90_000, NOW + 1)
    assert (await store.tasks.complete(foreign, task.id, a_delivery())).task is None
