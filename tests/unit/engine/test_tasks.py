"""Steps of type task: opened, claimed, done, given up, and what deaths and time do to them. Source: AITasker
contract 8."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from deaths import Dying, live
from kit import World, transform, wait
from replay import replay_everything
from stepwell import values
from stepwell.core import Claimed, Tasks
from stepwell.core.waiting import waiting_for
from stepwell.engine import Limits
from stepwell.errors import InvalidState, PayloadTooLarge, ValidationFailed
from stepwell.states import TaskStatus
from stepwell.store import Task
from stepwell.values import Json


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path / "stepwell.db")
    await world.boot()
    yield world
    await replay_everything(world, tmp_path)
    await world.store.close()


def task(step: str = "work", config: Json = None, **fields: Json) -> Json:
    """A task step."""
    return {
        "id": step,
        "type": "task",
        "config": {"template": {"title": "Do {{input.what}}"}, **(config or {})},
        **fields,
    }


def tasks(world: World) -> Tasks:
    return Tasks(world.store, world.engine, world.clock)


async def claim(world: World, **more: Any) -> Claimed:
    claimed = await tasks(world).claim(world.workspace, "w1", **more)
    assert claimed is not None
    return claimed


async def deliver(world: World, claimed: Claimed, output: Json = None, **more: Any) -> Task:
    done = await tasks(world).complete(world.workspace, claimed.task.id, claimed.token, output or {"n": 1}, **more)
    await world.settle()
    return done


async def started(world: World, *steps: Json, **fields: Json) -> str:
    run = await world.start(world.define(*steps, **fields), {"what": "it"})
    await world.settle()
    return run


async def begun() -> None:
    """Let what was just begun come to where it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def the_task(world: World) -> Task:
    (found,), _ = await world.store.tasks.page(world.workspace, status=None, offset=0, limit=10)
    return found


async def test_a_task_holds_its_run_until_its_delivery_is_accepted(world: World) -> None:
    run = await started(world, task(), transform("after", n="{{steps.work.output.n}}"))
    opened = (await world.load(run)).run
    delivered = await deliver(world, await claim(world))
    reviewed = (await world.load(run)).run

    await tasks(world).accept(world.workspace, delivered.id, "by")
    await world.settle()

    assert (str(opened.state), opened.waits_on) == ("suspended", "task")
    assert (str(reviewed.state), delivered.status) == ("suspended", TaskStatus.REVIEW)
    assert await world.outcome(run) == ("completed", {"n": 1})


async def test_a_lease_that_ends_opens_the_task_again_and_uses_up_an_attempt(world: World) -> None:
    run = await started(world, task(retryConfig={"maxAttempts": 2}))
    first = await claim(world, lease_s=30)

    await world.settle_through(31)
    again = await the_task(world)
    with pytest.raises(InvalidState, match="Claim is not held"):
        await deliver(world, first)
    await claim(world, lease_s=30)
    await world.settle_through(31)

    assert (again.status, again.attempts) == (TaskStatus.OPEN, 1)
    state, error = await world.outcome(run)
    assert (state, error["code"], error["message"]) == ("failed", "TASK_FAILED", "The lease ended without a delivery")


async def test_a_heartbeat_outlives_the_timer_of_the_lease_before(world: World) -> None:
    await started(world, task())
    held = await claim(world, lease_s=30)
    world.clock.advance(20)
    await tasks(world).heartbeat(world.workspace, held.task.id, held.token, 30)

    await world.settle_through(20)

    assert (await the_task(world)).status is TaskStatus.CLAIMED


async def test_an_overdue_lease_is_over_for_the_next_worker_though_no_timer_has_fired(world: World) -> None:
    await started(world, task())
    first = await claim(world, lease_s=30)
    world.clock.advance(31)

    second = await claim(world)

    assert (second.task.id, second.task.attempts) == (first.task.id, 1)


async def test_who_waits_for_a_task_gets_one_that_opens_again(world: World) -> None:
    await started(world, task(retryConfig={"maxAttempts": 3}))
    held = await claim(world)
    given = await tasks(world).fail(world.workspace, held.task.id, held.token, "no")

    assert given.status is TaskStatus.OPEN
    assert (await claim(world)).task.id == held.task.id


async def test_a_step_has_a_time_limit_however_long_the_lease(world: World) -> None:
    run = await started(world, task(timeoutMs=60_000))
    await claim(world, lease_s=3600)

    await world.settle_through(61)

    state, error = await world.outcome(run)
    assert (state, error["code"], error["message"]) == ("failed", "TASK_FAILED", "The task was not done in time")
    assert (await the_task(world)).status is TaskStatus.FAILED


async def test_who_waits_for_a_task_is_woken_by_one_that_opens(world: World) -> None:
    waiting = asyncio.ensure_future(tasks(world).claim(world.workspace, "w1", wait_s=20))
    await begun()
    await started(world, task())

    claimed = await waiting

    assert claimed is not None
    assert claimed.task.id == (await the_task(world)).id


async def test_who_waits_for_a_task_is_woken_by_the_end_of_a_lease(world: World) -> None:
    await started(world, task())
    held = await claim(world, lease_s=30)
    waiting = asyncio.ensure_future(tasks(world).claim(world.workspace, "w2", wait_s=30))
    await begun()
    world.clock.advance(29)
    world.clock.jump(2)  # the lease is over by the clock on the wall, before the wait is

    await world.settle()
    second = await waiting

    assert second is not None
    assert (second.task.id, second.task.worker, second.task.attempts) == (held.task.id, "w2", 1)


async def test_who_waits_for_a_task_in_vain_is_answered_when_the_time_is_over(world: World) -> None:
    waiting = asyncio.ensure_future(tasks(world).claim(world.workspace, "w1", wait_s=20))
    await begun()

    world.clock.advance(20)

    assert await waiting is None


async def test_a_step_waits_for_room_among_the_tasks_of_its_workspace(world: World, tmp_path: Path) -> None:
    world.kill()
    world.limits = Limits(tasks=1)
    await world.boot()
    first, second = [await started(world, task(config={"autoAccept": True})) for _ in range(2)]
    held = (await world.load(second)).run.waits_on, waiting_for(await world.load(second))
    await deliver(world, await claim(world))
    nothing = await tasks(world).claim(world.workspace, "w1")

    await world.settle_through(31)
    await deliver(world, await claim(world), {"n": 2})

    assert held == ("task", "Step work waits for room among the tasks of its workspace")
    assert nothing is None
    assert [await world.outcome(run) for run in (first, second)] == [("completed", {"n": 1}), ("completed", {"n": 2})]


async def test_tasks_of_a_graph_are_open_beside_each_other(world: World) -> None:
    quick = {"autoAccept": True}
    after = {**transform("c", n="{{steps.b.output.n}}"), "needs": ["a", "b"]}
    run = await started(world, task("a", quick, needs=[]), task("b", quick, needs=[]), after)
    both = [await claim(world), await claim(world)]

    for number, each in enumerate(both):
        await deliver(world, each, {"n": number})

    assert [each.task.step for each in both] == ["a", "b"]
    assert await world.outcome(run) == ("completed", {"n": 1})


async def test_what_is_only_tried_out_is_no_work_for_anybody(world: World) -> None:
    run = await world.start(world.define(task()), {"what": "it"}, mock=True)
    await world.settle()

    output = (await world.outcome(run))[1]
    assert (output["mock"], output["input"]["template"]) == (True, {"title": "Do it"})
    assert await tasks(world).claim(world.workspace, "w1") is None


async def test_the_end_of_a_run_ends_its_tasks(world: World) -> None:
    run = await started(world, task())

    await world.engine.cancel(world.workspace, run)

    assert (await the_task(world)).status is TaskStatus.CANCELLED
    assert await tasks(world).claim(world.workspace, "w1") is None


async def test_what_is_delivered_while_the_run_is_paused_counts_when_it_goes_on(world: World) -> None:
    run = await started(world, task(config={"autoAccept": True}))
    held = await claim(world)
    await world.store.signals.pause(world.workspace, run, world.clock.now_ms())
    await deliver(world, held)
    paused = (await world.load(run)).run.state

    reached = await world.store.signals.resume(world.workspace, run, world.clock.now_ms())
    assert reached is not None
    world.engine.reached((reached,))
    await world.settle()

    assert str(paused) == "paused"
    assert await world.outcome(run) == ("completed", {"n": 1})


async def test_what_a_worker_reports_is_what_the_run_costs_and_else_what_is_declared(world: World) -> None:
    run = await started(world, task("a", {"autoAccept": True}), task("b", {"autoAccept": True}, costCents=7))
    await deliver(world, await claim(world), cost=1_200_000)
    await deliver(world, await claim(world))

    loaded = await world.load(run)

    assert loaded.run.cost == 8_200_000
    assert {record.path: record.cost for record in loaded.records} == {"a": 1_200_000, "b": 7_000_000}


async def test_a_delivery_that_fails_the_step_costs_what_was_reported(world: World) -> None:
    run = await started(world, task())
    held = await claim(world)

    await tasks(world).fail(world.workspace, held.task.id, held.token, "no", retryable=False, cost=500_000)
    await world.settle()

    assert (await world.load(run)).run.cost == 500_000


async def test_outputs_are_bounded_and_leases_too(world: World) -> None:
    await started(world, task())
    held = await claim(world)

    with pytest.raises(PayloadTooLarge):
        await deliver(world, held, {"x": "x" * 262_144})
    with pytest.raises(ValidationFailed):
        await claim(world, lease_s=29)


async def test_a_pause_gives_no_open_task_up(world: World) -> None:
    run = await started(
        world, task(needs=[]), wait("short", 120_000, needs=[]), transform("after", n=1) | {"needs": ["short"]}
    )
    await world.store.signals.pause(world.workspace, run, world.clock.now_ms())
    await world.settle_through(121)

    reached = await world.store.signals.resume(world.workspace, run, world.clock.now_ms())
    assert reached is not None
    world.engine.reached((reached,))
    await world.settle()

    assert (await the_task(world)).status is TaskStatus.OPEN
    assert {record.path: str(record.status) for record in (await world.load(run)).records} == {
        "work": "waiting",
        "short": "success",
        "after": "success",
    }


@pytest.mark.parametrize("phase", ["before", "after"])
@pytest.mark.parametrize("at", range(1, 9))
async def test_a_death_at_any_commit_loses_no_task_and_no_delivery(tmp_path: Path, at: int, phase: str) -> None:
    world = World(tmp_path / "stepwell.db")
    workflow = world.define(task(config={"autoAccept": True}, retryConfig={"maxAttempts": 20}), transform("after", n=1))
    begun: list[str] = []

    async def story() -> None:
        known = world.store.database.read("SELECT id FROM runs", {})
        if not known:
            begun.append(await world.start(workflow, {"what": "it"}))
        await world.settle()
        while (held := await tasks(world).claim(world.workspace, "w1")) is not None:
            await deliver(world, held, cost=1_000_000)
        await world.settle_through(400)  # a claim whose worker never heard of it
        while (held := await tasks(world).claim(world.workspace, "w1")) is not None:
            await deliver(world, held, cost=1_000_000)
        await world.settle()

    dying = Dying(at, phase)
    if await live(world, dying, story):
        await live(world, Dying(0, "before"), story)

    await world.boot()
    runs = world.store.database.read("SELECT state, cost FROM runs", {})
    rows = world.store.database.read("SELECT status, output FROM tasks", {})
    await world.store.close()
    assert runs == [("completed", 1_000_000)]
    assert [(status, values.decode(output)) for status, output in rows] == [("accepted", {"n": 1})]
