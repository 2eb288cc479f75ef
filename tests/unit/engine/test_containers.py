"""Loops, parallels, races and tries on the real engine."""

from typing import Any

import pytest

from kit import World, effect, transform, wait
from stepwell import values
from stepwell.store import RunFilter
from stepwell.values import Json


def loop(step: str, collection: Json, *steps: Json, **config: Json) -> Json:
    return {"id": step, "type": "loop", "config": {"collection": collection, "steps": list(steps), **config}}


def parallel(step: str, *branches: Json, **config: Json) -> Json:
    return {"id": step, "type": "parallel", "config": {"branches": list(branches), **config}}


def race(step: str, *branches: Json) -> Json:
    return {"id": step, "type": "race", "config": {"branches": list(branches)}}


def attempt(step: str, *steps: Json, **lists: Json) -> Json:
    return {"id": step, "type": "try", "config": {"steps": list(steps), **lists}}


def broken(step: str) -> Json:
    return effect(step, {"fail": 9, "status": 400})


async def ran(world: World, *steps: Json, given: Json = None, seconds: float = 0, **fields: Any) -> tuple[str, Json]:
    run = await world.start(world.define(*steps, **fields), given)
    await world.settle_through(seconds)
    return await world.outcome(run)


async def paths(world: World) -> dict[str, str]:
    """The status of every path of the newest run."""
    [run] = [r async for r in newest(world)]
    return {record.path: str(record.status) for record in run.records}


async def newest(world: World):
    for run in await world.store.runs.page(RunFilter(workspace=world.workspace, limit=1)):
        yield await world.load(run.id)


async def test_a_loop_runs_its_steps_for_each_item_and_gives_the_last_output_of_each_turn(world):
    state, output = await ran(
        world,
        loop(
            "each", "{{input.items}}", transform("a", x="{{item}}"), transform("b", y="{{steps.a.output.x}}-{{index}}")
        ),
        given={"items": ["p", "q"]},
    )

    assert (state, output) == (
        "completed",
        {"results": [{"y": "p-0"}, {"y": "q-1"}], "count": 2, "currentItem": "q", "currentIndex": 1},
    )
    assert list(await paths(world)) == ["each", "each[0].a", "each[0].b", "each[1].a", "each[1].b"]


async def test_a_loop_over_nothing_has_no_turn(world):
    state, output = await ran(world, loop("each", "{{input.items}}", transform("a", x=1)), given={"items": []})

    assert output == {"results": [], "count": 0, "currentItem": None, "currentIndex": None}


async def test_more_items_than_allowed_fail_before_the_first_turn(world):
    state, error = await ran(world, loop("each", [1, 2, 3], effect("a"), maxIterations=2))

    assert (state, error["code"], world.ledger.performed) == ("failed", "LOOP_LIMIT", [])


async def test_a_for_loop_counts_and_a_while_loop_sees_the_turn_before(world):
    count = {
        "id": "n",
        "type": "loop",
        "config": {"loopType": "for", "iterations": 3, "steps": [transform("a", i="{{index}}")]},
    }
    page = transform("page", next="{{steps.page.output.next | plus: 1}}")
    pages = {
        "id": "w",
        "type": "loop",
        "config": {"loopType": "while", "whileCondition": "index == 0 || steps.page.output.next < 4", "steps": [page]},
    }
    state, output = await ran(world, count, pages)

    assert [each["next"] for each in output["results"]] == [1, 2, 3, 4]


async def test_a_while_loop_without_an_end_stops_at_its_limit(world):
    endless = {
        "id": "w",
        "type": "loop",
        "config": {"loopType": "while", "whileCondition": "true", "maxIterations": 5, "steps": [transform("a")]},
    }
    state, error = await ran(world, endless)

    assert (state, error["code"], error["stepId"]) == ("failed", "LOOP_LIMIT", "w")


async def test_a_break_ends_its_loop_and_a_break_condition_too(world):
    stop = {"id": "stop", "type": "break", "config": {"condition": "item == 2"}}
    state, output = await ran(
        world,
        loop("a", [1, 2, 3], transform("t", x="{{item}}"), attempt("inner", stop), transform("u", y="{{item}}")),
        loop("b", [1, 2, 3], transform("v", x="{{item}}"), breakCondition="item == 2"),
        output={"a": "{{steps.a.output.count}}", "b": "{{steps.b.output.results}}"},
    )

    assert (state, output) == ("completed", {"a": 2, "b": [{"x": 1}, {"x": 2}]})


async def test_an_end_inside_a_loop_completes_the_run(world):
    state, output = await ran(world, loop("a", [1, 2], effect("x"), {"id": "e", "type": "end"}), effect("never"))

    assert state == "completed"
    assert len(world.ledger.performed) == 1


async def test_a_failure_inside_a_loop_fails_the_run_at_the_path_of_its_step(world):
    state, error = await ran(world, loop("each", [1, 2], effect("x", {"fail": "{{index | times: 9}}", "status": 400})))

    assert (state, error["stepId"], error["path"]) == ("failed", "x", "each[1].x")
    assert (await paths(world))["each"] == "error"


async def test_a_batch_of_turns_runs_at_a_time(world):
    state, output = await ran(world, loop("each", [1, 2, 3, 4, 5], wait("w", 1000), batchSize=3), seconds=3)
    run = [r async for r in newest(world)][0]

    assert (state, output["count"], run.run.ended_at - run.run.started_at) == ("completed", 5, 2000)


async def test_loops_nest_and_inner_steps_see_both_items(world):
    inner = loop("inner", "{{outer.list}}", transform("t", v="{{outer.name}}{{item}}{{i}}"), indexVariable="i")
    state, output = await ran(
        world,
        {
            "id": "o",
            "type": "loop",
            "config": {"collection": "{{input.rows}}", "itemVariable": "outer", "steps": [inner]},
        },
        given={"rows": [{"name": "a", "list": [1]}, {"name": "b", "list": [2, 3]}]},
        output={"last": "{{steps.t.output.v}}"},
    )

    assert output == {"last": "b31"}
    assert "o[1].inner[1].t" in await paths(world)


async def test_branches_run_beside_each_other_and_see_nothing_of_each_other_before(world):
    state, output = await ran(
        world,
        parallel(
            "fan",
            [wait("w1", 1000), transform("a", x=1)],
            {"id": "right", "steps": [wait("w2", 1000), transform("b", x=2)]},
        ),
        seconds=2,
    )
    run = [r async for r in newest(world)][0]

    assert (state, output) == ("completed", {"results": [{"x": 1}, {"x": 2}], "errors": [], "completedCount": 2})
    assert run.run.ended_at - run.run.started_at == 1000
    assert list(await paths(world)) == ["fan", "fan.w1", "fan.w2", "fan.a", "fan.b"]


async def test_wait_all_lets_all_branches_end_and_then_fails(world):
    fan = parallel("fan", [broken("x")], [wait("w", 1000), transform("b", x=2)])
    fan["errorHandling"] = {"strategy": "continue"}
    state, output = await ran(world, fan, transform("after", seen="{{steps.fan.output}}"), seconds=2)

    assert output["seen"] == {
        "results": [None, {"x": 2}],
        "errors": [{"branch": 0, "stepId": "x", "code": "STEP_ERROR", "message": "Service unavailable"}],
        "completedCount": 1,
    }


async def test_fail_fast_cancels_the_other_branches(world):
    state, error = await ran(
        world, parallel("fan", [wait("w", 9000), effect("late")], [broken("x")], strategy="fail-fast")
    )

    assert (state, error["path"]) == ("failed", "fan.x")
    assert await paths(world) == {"fan": "error", "fan.w": "error", "fan.x": "error"}
    assert await world.store.runs.next_timer() is None


async def test_a_parallel_for_each_item_keeps_to_its_concurrency(world):
    each = {
        "id": "fan",
        "type": "parallel",
        "config": {
            "forEachSource": "{{input.rows}}",
            "forEachAs": "row",
            "concurrency": 2,
            "steps": [wait("w", 1000), transform("t", v="{{row}}{{index}}")],
        },
    }
    state, output = await ran(world, each, given={"rows": ["a", "b", "c", "d", "e"]}, seconds=9)
    run = [r async for r in newest(world)][0]

    assert [each["v"] for each in output["results"]] == ["a0", "b1", "c2", "d3", "e4"]
    assert run.run.ended_at - run.run.started_at == 3000


async def test_a_parallel_over_its_time_fails_and_ends_its_branches(world):
    state, error = await ran(world, parallel("fan", [wait("w", 9000)], timeoutMs=500), seconds=1)

    assert (state, error["code"], error["message"]) == ("failed", "STEP_ERROR", "The step took longer than 500 ms")
    assert await paths(world) == {"fan": "error", "fan.w": "error"}


async def test_an_end_in_a_branch_completes_only_the_branch(world):
    state, output = await ran(
        world,
        parallel("fan", [transform("a", x=1), {"id": "e", "type": "end"}, effect("never")], [effect("b")]),
        transform("t", ok=True),
    )

    assert (state, output, len(world.ledger.performed)) == ("completed", {"ok": True}, 1)


async def test_the_first_to_settle_wins_a_race_and_the_others_are_cancelled(world):
    state, output = await ran(
        world,
        race(
            "r",
            {"id": "slow", "steps": [wait("w1", 2000), effect("a")]},
            {"id": "quick", "steps": [wait("w2", 1000), transform("b", x=2)]},
        ),
        seconds=9,
    )

    assert (state, output) == ("completed", {"branch": "quick", "value": {"x": 2}})
    assert (await paths(world))["r.w1"] == "error"
    assert world.ledger.performed == []


async def test_a_race_is_won_by_failing_first_too(world):
    state, error = await ran(world, race("r", [wait("w", 2000)], [broken("x")]), seconds=9)

    assert (state, error["path"]) == ("failed", "r.x")


async def test_a_failure_is_caught_and_the_error_is_seen(world):
    state, output = await ran(
        world,
        attempt(
            "t",
            broken("x"),
            effect("never"),
            catch=[transform("c", why="{{error.message}} of {{error.stepId}}")],
            **{"finally": [transform("f", x=1)]},
        ),
    )

    assert (state, output) == (
        "completed",
        {
            "ok": False,
            "error": {"code": "STEP_ERROR", "message": "Service unavailable", "stepId": "x"},
            "result": {"why": "Service unavailable of x"},
        },
    )
    assert (await paths(world))["t.f"] == "success"


async def test_without_a_failure_catch_is_not_run_but_finally_is(world):
    state, output = await ran(
        world, attempt("t", transform("a", x=1), catch=[effect("c")], **{"finally": [effect("f")]})
    )

    assert output == {"ok": True, "error": None, "result": {"x": 1}}
    assert world.ledger.operations[0].endswith(":t.f")


async def test_without_catch_the_error_goes_on_after_finally(world):
    state, error = await ran(world, attempt("t", broken("x"), **{"finally": [effect("f")]}))

    assert (state, error["path"]) == ("failed", "t.x")
    assert len(world.ledger.performed) == 2


@pytest.mark.parametrize("fields", [{"batchSize": 1}, {"batchSize": 4}])
async def test_a_container_goes_on_after_a_crash_without_repeating_what_is_recorded(world, fields):
    run = await world.start(
        world.define(loop("each", [1, 2, 3, 4], effect("a"), wait("w", 1000), effect("b"), **fields))
    )
    await world.settle_through(1)
    world.kill()
    await world.boot()
    await world.settle_through(9)

    state, output = await world.outcome(run)
    assert (state, output["count"], len(world.ledger.operations)) == ("completed", 4, len(set(world.ledger.operations)))


async def test_a_thousand_turns_leave_two_records_each(world, tmp_path):
    state, output = await ran(
        world,
        loop("each", list(range(1000)), transform("a", x="{{item}}"), transform("b", y="{{item}}"), maxIterations=1000),
    )
    run = [r async for r in newest(world)][0]

    assert (state, output["count"], len(run.records)) == ("completed", 1000, 2001)
    assert values.decode(run.records[-1].output) == {"y": 999}
    await world.store.runs.delete(world.workspace, run.run.id)  # too long to be replayed from every prefix
