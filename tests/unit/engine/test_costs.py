"""What steps and runs cost, and what budgets do to them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from deaths import Dying, live
from kit import World, effect, transform, wait
from stepwell import cost, values
from stepwell.core.views import run_view
from stepwell.states import RecordStatus, RunState
from stepwell.store import Key, RunFilter
from stepwell.values import Json

CENT = cost.PER_CENT
RETRY = {"maxAttempts": 3, "initialDelayMs": 1000}


def costs(loaded: Any) -> dict[str, int]:
    """Cost by path, of the steps that have one."""
    return {record.path: record.cost for record in loaded.records if record.cost}


async def spent(world: World, subject: str | None = None) -> int:
    """What was spent in the month of now."""
    month = cost.month_of(world.clock.now_ms())
    return await world.store.costs.spent(world.workspace, subject or world.workspace, month)


async def test_three_steps_of_four_tenths_of_a_cent_cost_one_and_a_fifth(world: World) -> None:
    workflow = world.define(*(effect(step, costCents=0.4) for step in "abc"))
    run = await world.start(workflow)
    await world.settle()
    loaded = await world.load(run)
    assert costs(loaded) == {"a": 400_000, "b": 400_000, "c": 400_000}
    assert cost.exact(loaded.run.cost) == "1.2"
    assert cost.cents(loaded.run.cost) == 1


async def test_steps_that_begin_at_the_same_time_are_held_against_the_cap_together(unreplayed: World) -> None:
    world = unreplayed
    arms = [{"name": name, "steps": [effect(name, costCents=30)]} for name in "abc"]
    both = {"id": "all", "type": "parallel", "config": {"branches": arms}}
    run = await world.start(world.define(both, settings={"budgetCents": 70}))
    await world.settle()

    loaded = await world.load(run)

    message = "Budget of 70 cents exceeded: 0 spent, 60 held for steps under way, next step needs 30"
    assert (loaded.run.state, values.decode(loaded.run.error)["message"]) == (RunState.FAILED, message)
    assert cost.cents(loaded.run.cost) == 60


async def test_a_step_that_waits_is_held_against_the_cap_by_the_walk_that_goes_on(unreplayed: World) -> None:
    world = unreplayed
    arms = [
        {"name": "a", "steps": [wait("long", 60_000, costCents=30)]},
        {"name": "b", "steps": [wait("short", 1000), effect("late", costCents=50)]},
    ]
    both = {"id": "all", "type": "parallel", "config": {"branches": arms}}
    run = await world.start(world.define(both, settings={"budgetCents": 70}))
    await world.settle_through(90)

    message = values.decode((await world.load(run)).run.error)["message"]

    assert message == "Budget of 70 cents exceeded: 0 spent, 30 held for steps under way, next step needs 50"


async def test_steps_of_every_kind_cost_what_they_declare(world: World) -> None:
    arms = {"id": "both", "type": "parallel", "config": {"branches": [{"name": "x", "steps": [effect("in")]}]}}
    workflow = world.define(
        transform("pure", x=1) | {"costCents": 1},
        wait("pause", 1000, costCents=2),
        arms | {"costCents": 3},
        {
            "id": "check",
            "type": "condition",
            "config": {"expression": "1 > 0", "then": [transform("yes", x=1)]},
            "costCents": 4,
        },
    )
    run = await world.start(workflow)
    await world.settle_through(2)
    loaded = await world.load(run)
    assert loaded.run.state is RunState.COMPLETED
    assert costs(loaded) == {"pure": CENT, "pause": 2 * CENT, "both": 3 * CENT, "check": 4 * CENT}
    assert loaded.run.cost == 10 * CENT


@pytest.mark.parametrize(
    ("config", "declared", "expected"),
    [
        ({"charge": 7, "price": 5}, {"costCents": 1}, 7),
        ({"price": 5}, {"costCents": 1}, CENT),
        ({"price": 5}, {}, 5),
        ({"charge": 0, "price": 5}, {}, 0),
        ({}, {}, 0),
    ],
)
async def test_what_an_attempt_reports_goes_before_what_is_declared_and_that_before_the_price_list(
    world: World, config: Json, declared: Json, expected: int
) -> None:
    run = await world.start(world.define(effect("a", config, **declared)))
    await world.settle()
    assert (await world.load(run)).run.cost == expected


async def test_failed_attempts_count_what_they_reported_and_nothing_that_is_declared(world: World) -> None:
    workflow = world.define(
        effect("told", {"fail": 2, "charge": 10}, retryConfig=RETRY),
        effect("declared", {"fail": 2}, retryConfig=RETRY, costCents=1),
    )
    run = await world.start(workflow)
    await world.settle_through(30)
    loaded = await world.load(run)
    assert loaded.run.state is RunState.COMPLETED
    assert costs(loaded) == {"told": 30, "declared": CENT}
    assert [step.cost for step in run_view(loaded).steps] == [30, CENT]


async def test_a_step_that_fails_for_good_costs_what_it_reported(world: World) -> None:
    run = await world.start(world.define(effect("a", {"fail": 9, "status": 400, "charge": 10}, costCents=1)))
    await world.settle()
    loaded = await world.load(run)
    assert (loaded.run.state, loaded.run.cost) == (RunState.FAILED, 10)


async def test_skipped_steps_and_those_of_a_mocked_run_cost_nothing(world: World) -> None:
    run = await world.start(world.define(effect("a", costCents=1, when="1 > 2")))
    await world.settle()
    assert (await world.load(run)).run.cost == 0


async def test_what_runs_cost_is_spent_by_workspace_and_key_in_the_month(world: World) -> None:
    key = world.ids.new()
    workflow = world.define(effect("a", costCents=2))
    await world.start(workflow, key=key)
    await world.start(workflow)
    await world.settle()
    assert (await spent(world), await spent(world, key)) == (4 * CENT, 2 * CENT)
    world.clock.jump(32 * 86_400)
    assert await spent(world) == 0


async def test_turns_beside_each_other_are_all_counted(world: World) -> None:
    inner = effect("a", costCents=0.1)
    loop = {"id": "each", "type": "loop", "config": {"collection": list(range(20)), "batchSize": 5, "steps": [inner]}}
    run = await world.start(world.define(loop))
    await world.settle()
    loaded = await world.load(run)
    assert loaded.run.cost == 2 * CENT == sum(record.cost for record in loaded.records) == await spent(world)


WORKFLOW = [
    effect("one", {"fail": 1, "charge": 1}, retryConfig=RETRY),
    transform("pure", x=1) | {"costCents": 1},
    effect("left", costCents=2, needs=["pure"]),
    effect("right", costCents=3, needs=["pure"]),
    wait("pause", 5000, needs=["left", "right"]),
    effect("two", {"charge": 5}, needs=["pause"]),
]


@pytest.mark.parametrize("phase", ["before", "after"])
async def test_a_death_at_a_commit_boundary_counts_every_cost_once(tmp_path: Path, phase: str) -> None:
    at, died = 0, True
    while died:
        at += 1
        world = World(tmp_path / f"{at}.db")
        workflow = world.define(*(step | {"needs": step.get("needs", [])} for step in WORKFLOW))

        async def client(world: World = world, workflow: str = workflow) -> None:
            await world.start(workflow, idempotency_key="once", digest=b"")
            await world.settle_through(30)

        died = await live(world, Dying(at, phase), client)
        await world.boot()
        await client()
        (run,) = await world.store.runs.page(RunFilter(workspace=world.workspace))
        loaded = await world.load(run.id)
        recorded = costs(loaded)
        assert run.state is RunState.COMPLETED
        assert {path: recorded[path] for path in ("pure", "left", "right", "two")} == {
            "pure": CENT,
            "left": 2 * CENT,
            "right": 3 * CENT,
            "two": 5,
        }
        assert (
            recorded["one"] == len(values.decode(next(r.attempts for r in loaded.records if r.path == "one"))) + 1
            or died
        )
        assert run.cost == sum(recorded.values()) == await spent(world)
        await world.store.close()
    assert at > 3


# -- budgets of runs


async def test_a_run_stops_before_the_step_for_which_its_budget_does_not_suffice(unreplayed: World) -> None:
    world = unreplayed
    workflow = world.define(
        effect("a", costCents=480), effect("b", costCents=50), effect("c"), settings={"budgetCents": 500}
    )
    run = await world.start(workflow)
    await world.settle()
    loaded = await world.load(run)
    assert loaded.run.state is RunState.FAILED
    assert values.decode(loaded.run.error or b"null") == {
        "code": "BUDGET_EXCEEDED",
        "message": "Budget of 500 cents exceeded: 480 spent, next step needs 50",
        "details": {"budgetCents": 500, "spentCents": 480, "neededCents": 50},
    }
    assert [record.path for record in loaded.records] == ["a"]
    assert loaded.run.cost == 480 * CENT


@pytest.mark.parametrize(("second", "state"), [(20, "completed"), (20.5, "failed")])
async def test_a_budget_may_be_spent_to_the_last_cent(unreplayed: World, second: float, state: str) -> None:
    world = unreplayed
    steps = (effect("a", costCents=480), effect("b", costCents=second), transform("c", x=1))
    run = await world.start(world.define(*steps, settings={"budgetCents": 500}))
    await world.settle()
    assert (await world.outcome(run))[0] == state


async def test_once_overdrawn_not_even_a_free_step_begins(unreplayed: World) -> None:
    world = unreplayed
    steps = (effect("a", {"charge": 501 * CENT}), transform("b", x=1))
    run = await world.start(world.define(*steps, settings={"budgetCents": 500}))
    await world.settle()
    error = (await world.outcome(run))[1]
    assert error["message"] == "Budget of 500 cents exceeded: 501 spent, next step needs 0"


async def test_what_is_in_flight_beside_a_stop_ends_and_counts(unreplayed: World) -> None:
    world = unreplayed
    workflow = world.define(
        effect("a", costCents=90, needs=[]),
        effect("slow", {"fail": 1}, retryConfig=RETRY, needs=[], costCents=5),
        effect("b", costCents=50, needs=["a"]),
        effect("c", needs=["slow"]),
        settings={"budgetCents": 100},
    )
    run = await world.start(workflow)
    await world.settle()
    assert (await world.outcome(run))[0] == "running"
    world.kill()
    await world.boot()
    await world.settle_through(5)
    loaded = await world.load(run)
    assert loaded.run.state is RunState.FAILED
    assert {record.path: str(record.status) for record in loaded.records} == {"a": "success", "slow": "success"}
    assert loaded.run.cost == 95 * CENT


async def test_neither_a_try_nor_an_error_handling_gets_around_a_budget(unreplayed: World) -> None:
    world = unreplayed
    inner = effect("b", costCents=50, errorHandling={"strategy": "continue"})
    workflow = world.define(
        effect("a", costCents=80),
        {"id": "guard", "type": "try", "config": {"steps": [inner], "catch": [effect("c")]}},
        effect("d"),
        settings={"budgetCents": 100},
    )
    run = await world.start(workflow)
    await world.settle()
    loaded = await world.load(run)
    assert values.decode(loaded.run.error or b"null")["code"] == "BUDGET_EXCEEDED"
    assert all(record.status.final for record in loaded.records)
    assert {record.path: record.status for record in loaded.records} == {
        "a": RecordStatus.SUCCESS,
        "guard": RecordStatus.ERROR,
    }


async def test_turns_of_a_loop_are_held_to_the_budget(unreplayed: World) -> None:
    world = unreplayed
    loop = {
        "id": "each",
        "type": "loop",
        "config": {"collection": list(range(10)), "steps": [effect("a", costCents=3)]},
    }
    run = await world.start(world.define(loop, settings={"budgetCents": 10}))
    await world.settle()
    assert (await world.load(run)).run.cost == 9 * CENT
    assert len(world.ledger.performed) == 3


async def test_a_run_that_asks_is_paused_and_says_why_over_a_restart(unreplayed: World) -> None:
    world = unreplayed
    run = await _asking(world)
    world.kill()
    await world.boot()
    await world.settle()
    view = run_view(await world.load(run))
    assert view.run.state is RunState.PAUSED
    assert view.waiting_for == "The run is paused: Budget of 500 cents exceeded: 480 spent, next step needs 50"


async def test_a_resumed_run_goes_on_without_its_budget(unreplayed: World) -> None:
    world = unreplayed
    run = await _asking(world)
    await _resume(world, run)
    loaded = await world.load(run)
    assert (loaded.run.state, loaded.run.cost, loaded.run.budget) == (RunState.COMPLETED, 1030 * CENT, None)
    assert loaded.run.held is None


async def test_a_run_resumed_with_a_higher_budget_asks_again_when_that_is_spent(unreplayed: World) -> None:
    world = unreplayed
    run = await _asking(world)
    await _resume(world, run, 600 * CENT)
    view = run_view(await world.load(run))
    assert view.run.state is RunState.PAUSED
    assert view.waiting_for == "The run is paused: Budget of 600 cents exceeded: 530 spent, next step needs 500"


async def test_a_run_that_asks_may_be_cancelled(unreplayed: World) -> None:
    world = unreplayed
    run = await _asking(world)
    assert await world.engine.cancel(world.workspace, run)
    view = run_view(await world.load(run))
    assert (view.run.state, view.waiting_for) == (RunState.CANCELLED, None)


async def test_a_retry_begins_at_nothing(unreplayed: World) -> None:
    world = unreplayed
    run = await world.start(world.define(effect("a", costCents=1)))
    await world.settle()
    kept = (await world.load(run)).records
    again = await world.start(world.define(effect("a", costCents=1), effect("b", costCents=2)), records=kept, seq=2)
    await world.settle()
    loaded = await world.load(again)
    assert (loaded.run.cost, costs(loaded)) == (2 * CENT, {"b": 2 * CENT})
    assert await spent(world) == 3 * CENT


# -- monthly budgets


async def test_a_monthly_budget_stops_a_running_run_before_what_costs_something(unreplayed: World) -> None:
    world = unreplayed
    await world.budgets.put(world.workspace, None, 10 * CENT, "stop")
    run = await world.start(world.define(effect("a", costCents=8), transform("b", x=1), effect("c", costCents=8)))
    await world.settle()
    loaded = await world.load(run)
    message = values.decode(loaded.run.error or b"null")["message"]
    assert message == "Monthly budget of the workspace of 10 cents exceeded: 8 spent, next step needs 8"
    assert [record.path for record in loaded.records] == ["a", "b"]


async def test_a_run_excused_from_a_monthly_budget_goes_on(unreplayed: World) -> None:
    world = unreplayed
    await world.budgets.put(world.workspace, None, 10 * CENT, "ask")
    run = await world.start(world.define(effect("a", costCents=8), effect("b", costCents=8), effect("c", costCents=8)))
    await world.settle()
    assert (await world.load(run)).run.state is RunState.PAUSED
    await _resume(world, run)
    assert (await world.load(run)).run.state is RunState.COMPLETED
    assert (await world.load(run)).run.cost == 24 * CENT


async def test_a_monthly_budget_begins_anew_with_the_month(unreplayed: World) -> None:
    world = unreplayed
    await world.budgets.put(world.workspace, None, 10 * CENT, "stop")
    workflow = world.define(effect("a", costCents=8))
    await world.start(workflow)
    await world.settle()
    world.clock.jump(32 * 86_400)
    run = await world.start(workflow)
    await world.settle()
    assert (await world.outcome(run))[0] == "completed"


async def test_runs_side_by_side_are_held_to_a_monthly_budget_together(unreplayed: World) -> None:
    world = unreplayed
    await world.budgets.put(world.workspace, None, 10 * CENT, "stop")
    workflow = world.define(effect("a", costCents=3))
    runs = await asyncio.gather(*(world.start(workflow) for _ in range(20)))
    await world.settle()
    outcomes = [await world.outcome(run) for run in runs]
    assert [state for state, _ in outcomes].count("completed") == 3
    assert await spent(world) == 9 * CENT
    refused = next(told for state, told in outcomes if state == "failed")
    assert refused["details"] == {"budgetCents": 10, "spentCents": 0, "heldCents": 9, "neededCents": 3}


async def test_the_budget_of_a_key_is_not_held_against_what_other_keys_have_under_way(unreplayed: World) -> None:
    world = unreplayed
    mine, other = await _make_key(world), world.ids.new()
    await world.budgets.put(world.workspace, mine, 10 * CENT, "stop")
    workflow = world.define(effect("a", costCents=6))
    runs = [await world.start(workflow, key=key) for key in (other, mine, other, mine)]
    await world.settle()
    assert [(await world.outcome(run))[0] for run in runs] == ["completed", "completed", "completed", "failed"]


async def _make_key(world: World) -> str:
    key = Key(
        workspace=world.workspace,
        id=world.ids.new(),
        hash=b"",
        prefix="",
        name="CI",
        scopes=("runs:write",),
        dialect="loopfour",
        expires_at=None,
    )
    await world.store.keys.create(key)
    return key.id


async def test_what_has_ended_is_not_held_any_more(unreplayed: World) -> None:
    world = unreplayed
    await world.budgets.put(world.workspace, None, 10 * CENT, "stop")
    failing = world.define(effect("a", {"fail": 9, "status": 400}, costCents=6))
    stuck = await world.start(world.define(effect("a", {"hang": True}, costCents=4)))
    await world.start(failing)
    await world.engine.cancel(world.workspace, stuck)
    await world.settle()
    run = await world.start(world.define(effect("a", costCents=10)))
    await world.settle()
    assert (await world.outcome(run))[0] == "completed"


async def test_a_run_without_costs_and_budgets_makes_no_statement_for_them(world: World, tmp_path: Path) -> None:
    statements: list[str] = []
    world.store.database.writer._connection.set_exec_trace(  # type: ignore[attr-defined]
        lambda cursor, sql, bindings: statements.append(sql) or True
    )
    await world.start(world.define(effect("a"), transform("b", x=1)))
    await world.settle()
    assert statements
    assert not any(
        "cost" in sql.split("RETURNING")[0] or "spending" in sql for sql in statements if sql.startswith("UPDATE")
    )


async def _asking(world: World) -> str:
    """A run that has spent 480 of 500 cents and asks."""
    steps = (effect("a", costCents=480), effect("b", costCents=50), effect("c", costCents=500))
    run = await world.start(world.define(*steps, settings={"budgetCents": 500, "overBudget": "ask"}))
    await world.settle()
    return run


async def _resume(world: World, run: str, budget: int | None = None) -> None:
    reached = await world.store.signals.resume(world.workspace, run, world.clock.now_ms(), budget)
    assert reached is not None
    world.engine.reached((reached,))
    await world.settle()


async def test_what_a_task_may_cost_counts_before_what_its_step_declares(unreplayed: World) -> None:
    world = unreplayed
    config = {"template": {"title": "Do it", "budget_cents": 150}}
    step = {"id": "work", "type": "task", "config": config, "costCents": 10}
    run = await world.start(world.define(step, settings={"budgetCents": 100}))
    await world.settle()

    state, error = await world.outcome(run)

    assert (state, error["message"]) == ("failed", "Budget of 100 cents exceeded: 0 spent, next step needs 150")
