"""Restart and retry inside loops, branches, parallel arms and tries."""

import pytest

from kit import World, effect, transform
from stepwell import values
from stepwell.engine import carried, restart
from stepwell.store import NewRun
from stepwell.values import Json


@pytest.fixture
async def world(unreplayed: World) -> World:
    return unreplayed


def loop(step: str, collection: Json, *steps: Json, **config: Json) -> Json:
    return {"id": step, "type": "loop", "config": {"collection": collection, "steps": list(steps), **config}}


async def first(world: World, *steps: Json, given: Json = None) -> str:
    run = await world.start(world.define(*steps), given)
    await world.settle()
    return run


async def again(world: World, run: str, named: str | None = None, override: Json = None) -> str:
    """Restart from a step or, without one, retry; the new run, settled. The ledger then tells only of it."""
    world.ledger.performed.clear()
    loaded = await world.load(run)
    plan = world.plans[loaded.run.workflow, 1]
    if named is None:
        start = restart.stopping_step(plan, loaded.records, values.decode(loaded.run.error or b"{}"))
    else:
        start = restart.resolve(plan, loaded.records, named)
    assert start is not None
    kept = restart.keep(plan, loaded.records, start, carried.decode(loaded.run.carried), same_operations=named is None)
    new = NewRun(
        workspace=world.workspace,
        id=world.ids.new(),
        workflow=loaded.run.workflow,
        version=1,
        trigger="api",
        input=values.encode(values.decode(loaded.run.input) | (override or {})),
        owner=None,
        restarted_from=run,
        records=kept.records,
        carried=carried.encode(kept.carried),
        seq=kept.seq,
    )
    await world.engine.start(new, plan)
    await world.settle()
    return new.id


def did(world: World) -> list[str]:
    return [operation.partition(":")[2] for operation in world.ledger.operations]


async def reused(world: World, run: str) -> list[str]:
    return [record.path for record in (await world.load(run)).records if record.reused]


SENDS = loop("each", "{{input.items}}", effect("a"), effect("b", {"value": {"got": "{{item}}"}}), effect("c"))


async def test_a_restart_inside_a_loop_keeps_earlier_turns_and_earlier_steps_of_its_own(world):
    run = await first(world, effect("before"), SENDS, effect("after"), given={"items": [1, 2, 3]})
    new = await again(world, run, "each[1].b")

    assert did(world) == ["each[1].b", "each[1].c", "each[2].a", "each[2].b", "each[2].c", "after"]
    assert await reused(world, new) == ["before", "each[0].a", "each[0].b", "each[0].c", "each[1].a"]
    assert (await world.outcome(new))[0] == "completed"


async def test_an_edited_input_changes_the_items_of_the_turns_that_run(world):
    run = await first(world, SENDS, given={"items": [1, 2, 3]})
    new = await again(world, run, "each[1].b", {"items": [7, 8, 9, 10]})

    [output] = [values.decode(r.output) for r in (await world.load(new)).records if r.path == "each"]
    assert output["count"] == 4
    seen = [config["value"]["got"] for operation, _, config in world.ledger.performed if operation.endswith(".b")]
    assert seen == [8, 9, 10]


async def test_a_plain_id_means_the_first_turn_that_failed_and_else_the_first(world):
    fails = loop("each", [0, 9, 9], effect("x", {"fail": "{{item}}", "status": 400}))
    run = await first(world, fails)
    assert restart.resolve(
        world.plans[(await world.load(run)).run.workflow, 1], (await world.load(run)).records, "x"
    ) == ("each[1].x")

    fine = await first(world, SENDS, given={"items": [1, 2]})
    await again(world, fine, "b")
    assert did(world)[0] == "each[0].b"


async def test_a_retry_goes_on_in_the_turn_that_failed(world):
    fails = loop("each", "{{input.items}}", effect("a"), effect("x", {"fail": "{{item}}", "status": 400}))
    run = await first(world, fails, effect("after"), given={"items": [0, 9, 0]})
    new = await again(world, run)

    assert did(world) == ["each[1].x"]
    fixed = await again(world, new, "each[1].x", {"items": [0, 0, 0]})
    assert did(world) == ["each[1].x", "each[2].a", "each[2].x", "after"]
    assert (await world.outcome(fixed))[0] == "completed"


async def test_a_restart_of_a_turn_that_never_ran_runs_nothing_before_it(world):
    run = await first(world, SENDS, given={"items": []})
    await again(world, run, "each[2].c", {"items": [1, 2, 3, 4]})

    assert did(world) == ["each[2].c", "each[3].a", "each[3].b", "each[3].c"]


async def test_a_restart_in_one_arm_keeps_the_other_arms(world):
    fan: Json = {"id": "fan", "type": "parallel", "config": {"branches": [[effect("a"), effect("b")], [effect("c")]]}}
    run = await first(world, fan, effect("after"))
    await again(world, run, "b")

    assert did(world) == ["fan.b", "after"]


async def test_a_restart_in_one_item_of_a_parallel_keeps_the_others(world):
    config = {"forEachSource": [1, 2, 3], "steps": [effect("a"), effect("b")]}
    run = await first(world, {"id": "fan", "type": "parallel", "config": config})
    await again(world, run, "fan[1].b")

    assert did(world) == ["fan[1].b"]


async def test_a_retry_runs_all_arms_that_failed_and_keeps_those_that_did_not(world):
    config = {"forEachSource": "{{input.fail}}", "steps": [effect("a", {"fail": "{{item}}", "status": 400})]}
    run = await first(world, {"id": "fan", "type": "parallel", "config": config}, given={"fail": [0, 9, 9]})
    await again(world, run)

    assert did(world) == ["fan[1].a", "fan[2].a"]


TRIED: Json = {
    "id": "t",
    "type": "try",
    "config": {
        "steps": [effect("a"), effect("x", {"fail": 9, "status": 400})],
        "catch": [effect("c", {"value": {"why": "{{error.message}}"}})],
        "finally": [effect("f")],
    },
}


async def test_a_restart_in_catch_keeps_the_failure_that_led_there(world):
    run = await first(world, TRIED, effect("after"))
    new = await again(world, run, "c")

    assert did(world) == ["t.c", "t.f", "after"]
    assert world.ledger.performed[0][2] == {"value": {"why": "Service unavailable"}}
    assert await reused(world, new) == ["t.a", "t.x"]


@pytest.mark.parametrize(("named", "runs"), [("a", ["t.a", "t.x", "t.c", "t.f"]), ("f", ["t.f"])])
async def test_a_restart_in_the_tried_steps_and_in_finally(world, named, runs):
    run = await first(world, TRIED)
    await again(world, run, named)

    assert did(world) == runs


async def test_a_restart_in_a_branch_inside_a_loop_takes_that_branch(world):
    choose: Json = {
        "id": "q",
        "type": "condition",
        "config": {"expression": "item > 1", "then": [effect("big")], "else": [effect("small")]},
    }
    run = await first(world, loop("each", [1, 1], effect("a"), choose))
    await again(world, run, "each[0].big")

    assert did(world) == ["each[0].big", "each[1].a", "each[1].small"]


async def test_a_restart_deep_in_nested_containers(world):
    inner: Json = {
        "id": "fan",
        "type": "parallel",
        "config": {"branches": [[loop("in", [1, 2], effect("x"))], [effect("y")]]},
    }
    run = await first(world, loop("out", [1, 2], inner, effect("z")))
    await again(world, run, "out[0].fan.in[1].x")

    assert did(world)[:2] == ["out[0].fan.in[1].x", "out[0].z"]
    assert "out[1].fan.in[0].x" in did(world)


async def test_restarts_can_be_chained(world):
    run = await first(world, SENDS, transform("t", n="{{steps.each.output.count}}"), given={"items": [1, 2, 3]})
    second = await again(world, run, "each[2].a")
    third = await again(world, second, "each[1].c")

    assert did(world) == ["each[1].c", "each[2].a", "each[2].b", "each[2].c"]
    assert await world.outcome(third) == ("completed", {"n": 3})


@pytest.mark.parametrize("named", ["nothing", "each.b", "each[x].b", "each[0]", "b[0]", "", "each[0].each[0].b"])
async def test_a_path_that_is_none_of_the_plan_is_no_step(world, named):
    run = await first(world, SENDS, given={"items": [1]})
    loaded = await world.load(run)

    assert restart.resolve(world.plans[loaded.run.workflow, 1], loaded.records, named) is None
