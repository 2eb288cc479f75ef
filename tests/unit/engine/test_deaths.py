"""A death at every commit boundary: enumerated, each followed by a new process that must bring the run to its end."""

from pathlib import Path

import pytest

from deaths import Dying, live
from kit import World, effect, transform, wait
from stepwell import values
from stepwell.states import RunState
from stepwell.store import RunFilter
from stepwell.values import Json

RETRY = {"maxAttempts": 3, "initialDelayMs": 1000}

WORKFLOWS: dict[str, list[Json]] = {
    "pure steps": [transform("a", x=1), transform("b", y="{{steps.a.x | plus: 1}}")],
    "effects": [transform("a", x=1), effect("one", {"x": "{{steps.a.x}}"}), effect("two"), transform("b", done=True)],
    "retries": [effect("one", {"fail": 2}, retryConfig=RETRY), transform("b", done=True)],
    "waits": [effect("one"), wait("pause", 5000), effect("two")],
    "branches": [
        {"id": "check", "type": "condition", "config": {"expression": "input.n > 1", "then": ["yes"], "else": ["no"]}},
        effect("yes"),
        effect("no"),
        transform("b", done="{{steps.yes.ok}}"),
    ],
    "needs": [
        effect("left", needs=[]),
        effect("right", needs=[]),
        transform("b", done=True) | {"needs": ["left", "right"]},
    ],
}


@pytest.mark.parametrize("phase", ["before", "after"])
@pytest.mark.parametrize("name", WORKFLOWS)
async def test_a_run_survives_a_death_at_every_commit_boundary(tmp_path: Path, name: str, phase: str) -> None:
    at, died = 0, True
    while died:
        at += 1
        world = World(tmp_path / f"{at}.db")
        workflow = world.define(*WORKFLOWS[name])

        async def client(world: World = world, workflow: str = workflow) -> None:
            await world.start(workflow, {"n": 2}, idempotency_key="once", digest=b"")
            await world.settle_through(30)

        died = await live(world, Dying(at, phase), client)
        await world.boot()
        await client()
        await _check(world, died)
        await world.store.close()
    assert at > 1


async def _check(world: World, died: bool) -> None:
    runs = await world.store.runs.page(RunFilter(workspace=world.workspace))
    assert [run.state for run in runs] == [RunState.COMPLETED]
    loaded = await world.load(runs[0].id)
    assert all(record.status.final for record in loaded.records)
    for record in loaded.records:
        sent = [entry for entry in world.ledger.performed if entry[0] == f"run_{runs[0].id}:{record.path}"]
        failures = values.decode(record.input or b"{}").get("fail", 0)
        if sent:
            assert len({values.encode(config) for _, _, config in sent}) == 1
            assert len(sent) <= 1 + failures + died
    assert loaded.timers == ()


async def test_a_step_that_is_not_idempotent_is_not_repeated_after_a_death(tmp_path: Path) -> None:
    world = World(tmp_path / "stepwell.db")
    workflow = world.define(effect("pay", idempotent=False), transform("b", done=True))

    async def client() -> None:
        await world.start(workflow, idempotency_key="once", digest=b"")
        await world.settle()

    assert await live(world, Dying(1, "before", lambda: world.ledger.performed != []), client)
    assert world.ledger.operations != []
    await world.boot()
    await client()
    run = (await world.store.runs.page(RunFilter(workspace=world.workspace)))[0]
    assert (run.state, values.decode(run.error or b"{}")["code"]) == ("failed", "INTERRUPTED")
    assert len(world.ledger.performed) == 1
    await world.store.close()


async def test_a_run_whose_process_dies_three_times_without_a_result_ends_interrupted(tmp_path: Path) -> None:
    world = World(tmp_path / "stepwell.db")
    workflow = world.define(transform("a", x=1), effect("poison"))
    started: list[str] = []

    async def client() -> None:
        if not started:
            started.append(await world.start(workflow))
        await world.settle()

    for performed in range(3):
        assert await live(
            world, Dying(1, "before", lambda so_far=performed: len(world.ledger.performed) > so_far), client
        )
    await world.boot()
    await world.settle()
    state, error = await world.outcome(started[0])
    assert (state, error["code"], error["path"]) == ("failed", "INTERRUPTED", "poison")
    assert len(world.ledger.performed) == 3
    await world.store.close()


async def test_a_new_result_resets_the_count_of_deaths(tmp_path: Path) -> None:
    world = World(tmp_path / "stepwell.db")
    workflow = world.define(*(effect(f"step-{number}") for number in range(6)))
    started: list[str] = []

    async def client() -> None:
        if not started:
            started.append(await world.start(workflow))
        await world.settle()

    for known in range(5):  # each process gets one more result recorded, and dies over the next
        assert await live(
            world, Dying(1, "before", lambda so_far=known: len(world.ledger.performed) > 2 * so_far + 1), client
        )
    await world.boot()
    await world.settle()
    assert (await world.outcome(started[0]))[0] == "completed"
    await world.store.close()


async def test_a_run_that_processes_died_on_goes_on_after_its_retry_delay(tmp_path: Path) -> None:
    world = World(tmp_path / "stepwell.db")
    workflow = world.define(effect("call", {"fail": 3}, retryConfig=RETRY))
    started: list[str] = []

    async def client() -> None:
        if not started:
            started.append(await world.start(workflow))
        await world.settle()

    for performed in range(2):
        assert await live(
            world, Dying(1, "before", lambda so_far=performed: len(world.ledger.performed) > so_far), client
        )
    await world.boot()
    await world.settle_through(10)
    assert (await world.outcome(started[0]))[0] == "completed"
    await world.store.close()


async def test_a_failed_attempt_that_waits_for_its_retry_counts_as_a_result(tmp_path: Path) -> None:
    world = World(tmp_path / "stepwell.db")
    workflow = world.define(effect("call", {"fail": 9}, retryConfig={"maxAttempts": 2, "initialDelayMs": 1000}))
    started: list[str] = []

    async def client() -> None:
        if not started:
            started.append(await world.start(workflow))
        await world.settle()

    for performed in range(2):  # twice the process dies while the attempt is in flight
        assert await live(
            world, Dying(1, "before", lambda so_far=performed: len(world.ledger.performed) > so_far), client
        )
    await world.boot()
    await client()
    assert (await world.load(started[0])).run.deaths == 0
    await world.settle_through(60)
    assert (await world.outcome(started[0]))[1]["code"] == "STEP_ERROR"
    await world.store.close()
