"""Containers and jumps, as a client sees them. Source: LoopFour contract 5.2, 8.2, 9 and 9.6."""

import pytest

from answering import Answering
from contract.flows import (
    approval,
    attempt,
    begun,
    broken,
    call,
    ended,
    hour,
    loop,
    make,
    parallel,
    pending,
    race,
    ran,
    soon,
    statuses,
)
from live import Api
from stepwell.values import Json


# Flow: contract 8.2
def test_owned_steps_run_only_where_they_are_named_and_in_that_order(api: Api) -> None:
    steps = [
        make("b", x=2),
        {"id": "each", "type": "loop", "config": {"collection": [1], "steps": ["a", "b"]}},
        make("a", x=1),
        make("after", x=3),
    ]

    run = ran(api, *steps)

    assert list(statuses(run)) == ["each", "each[0].a", "each[0].b", "after"]


def test_steps_stand_inline_nested_and_mixed_with_ids(api: Api) -> None:
    choose: Json = {
        "id": "if",
        "type": "condition",
        "config": {"expression": "index == 1", "then": ["yes"], "else": [make("no", x="{{index}}")]},
    }

    run = ran(api, loop("each", choose, "last", collection=["a", "b"]), make("last", x=1), make("yes", x=1))

    assert statuses(run) == {
        "each": "success",
        "each[0].if": "success",
        "each[0].yes": "skipped",
        "each[0].no": "success",
        "each[0].last": "success",
        "each[1].if": "success",
        "each[1].no": "skipped",
        "each[1].yes": "success",
        "each[1].last": "success",
    }


def test_a_step_of_both_branches_of_an_approval_runs_once(api: Api) -> None:
    run = begun(api, approval(then=["yes", "both"], **{"else": ["both"]}), make("yes", x=1), make("both", x=2))
    api.data("POST", f"/approvals/{pending(api, run)['id']}/reject", {})

    assert statuses(ended(api, run)) == {"ask": "success", "yes": "skipped", "both": "success"}


def test_needs_make_a_graph_of_a_body(api: Api) -> None:
    steps = [{**make("b", x="{{steps.a.x}}{{item}}"), "needs": ["a"]}, {**make("a", x="{{index}}"), "needs": []}]

    run = ran(api, loop("each", *steps, collection=["p", "q"]))

    assert list(statuses(run)) == ["each", "each[0].a", "each[0].b", "each[1].a", "each[1].b"]
    assert run["stepResults"][2]["output"] == {"x": "0p"}


def test_a_container_that_when_refuses_is_skipped_with_all_it_holds(api: Api) -> None:
    run = ran(api, {**loop("each", make("a", x=1), collection=[1]), "when": "false"}, make("after", x=1))

    assert statuses(run) == {"each": "skipped", "after": "success"}


def test_a_container_may_fail_and_its_run_go_on(api: Api) -> None:
    handling: Json = {"strategy": "continue", "fallback": {"count": 0}}

    run = ran(
        api,
        {**loop("each", broken("x"), collection=[1]), "errorHandling": handling},
        make("after", seen="{{steps.each.count}}"),
    )

    assert (run["status"], run["output"], statuses(run)["each"]) == ("completed", {"seen": 0}, "error")


# Shown paths: contract 5.2


def test_entries_inside_turns_have_a_path_and_others_only_their_id(api: Api) -> None:
    steps = [
        loop("each", make("a", x="{{item}}"), collection=[1, 2]),
        parallel("fan", [make("b", x=1)], [make("c", x=2)]),
        attempt("careful", make("d", x=3)),
        {"id": "items", "type": "parallel", "config": {"forEachSource": [7], "steps": [make("e", x="{{item}}")]}},
        loop("deep", parallel("inner", [make("f", x=1)]), collection=[1]),
    ]

    run = ran(api, *steps)

    assert [(entry["stepId"], entry.get("path")) for entry in run["stepResults"]] == [
        ("each", None),
        ("a", "each[0].a"),
        ("a", "each[1].a"),
        ("fan", None),
        ("b", None),
        ("c", None),
        ("careful", None),
        ("d", None),
        ("items", None),
        ("e", "items[0].e"),
        ("deep", None),
        ("inner", "deep[0].inner"),
        ("f", "deep[0].inner.f"),
    ]
    assert [step["id"] for step in run["steps"]] == [entry.get("path", entry["stepId"]) for entry in run["stepResults"]]
    logs = api.data("GET", f"/runs/{run['id']}/logs")["logs"]
    assert [entry.get("path") for entry in logs] == [entry.get("path") for entry in run["stepResults"]]


def test_a_failure_inside_a_turn_names_the_step_by_its_id(api: Api) -> None:
    run = ran(api, loop("each", broken("x"), collection=[1]))

    assert (run["error"]["code"], run["error"]["stepId"], run["error"]["step"]) == ("CONNECTION_MISSING", "x", "x")
    assert statuses(run) == {"each": "error", "each[0].x": "error"}


def test_a_container_counts_as_one_step_for_the_output_of_the_run(api: Api) -> None:
    assert ran(api, attempt("careful", make("a", x=1)))["output"] == {"ok": True, "error": None, "result": {"x": 1}}


# loop: contract 9.6


def test_a_loop_gives_the_last_output_of_each_turn(api: Api) -> None:
    steps = loop("each", make("a", x="{{item.n}}"), make("b", y="{{steps.a.x}}-{{index}}"), collection="{{input.rows}}")

    run = ran(api, steps, given={"rows": [{"n": 5}, {"n": 6}]})

    assert run["output"] == {
        "results": [{"y": "5-0"}, {"y": "6-1"}],
        "count": 2,
        "currentItem": {"n": 6},
        "currentIndex": 1,
    }


def test_a_loop_names_its_variables(api: Api) -> None:
    steps = loop("each", make("a", x="{{row}}{{i}}"), collection=["p"], itemVariable="row", indexVariable="i")

    assert ran(api, steps)["output"]["results"] == [{"x": "p0"}]


def test_an_empty_collection_has_no_turn(api: Api) -> None:
    run = ran(api, loop("each", make("a", x=1), collection="{{input.rows}}"), given={"rows": []})

    assert run["output"] == {"results": [], "count": 0, "currentItem": None, "currentIndex": None}
    assert statuses(run) == {"each": "success"}


def test_a_collection_is_a_list(api: Api) -> None:
    run = ran(api, loop("each", make("a", x=1), collection="{{input.rows}}"), given={"rows": {"a": 1}})

    assert run["error"] == {
        "code": "TEMPLATE_ERROR",
        "message": "collection: Expected array, received object",
        "stepId": "each",
        "step": "each",
    }


def test_a_for_loop_takes_its_iterations(api: Api) -> None:
    steps = loop("n", make("a", x="{{index}}"), loopType="for", iterations="{{input.times}}")

    assert ran(api, steps, given={"times": 3})["output"]["results"] == [{"x": 0}, {"x": 1}, {"x": 2}]


def test_a_while_loop_looks_before_each_turn_and_sees_the_turn_before(api: Api) -> None:
    steps = loop(
        "w",
        make("page", next="{{steps.page.next | plus: 1}}"),
        loopType="while",
        whileCondition="index == 0 || steps.page.next < 3",
    )

    assert ran(api, steps)["output"]["results"] == [{"next": 1}, {"next": 2}, {"next": 3}]


@pytest.mark.parametrize(
    "condition",
    [
        "item == 2",
        {"left": "{{item}}", "operator": "gte", "right": 2},
        [{"field": "{{item}}", "operator": "eq", "value": 2}],
    ],
)
def test_a_break_condition_is_looked_at_after_each_turn(api: Api, condition: Json) -> None:
    run = ran(api, loop("each", make("a", x="{{item}}"), collection=[1, 2, 3], breakCondition=condition))

    assert run["output"]["results"] == [{"x": 1}, {"x": 2}]


@pytest.mark.parametrize(
    ("config", "turns"),
    [
        ({"collection": list(range(101))}, 0),
        ({"loopType": "for", "iterations": 3, "maxIterations": 2}, 0),
        ({"collection": [1, 2, 3], "maxIterations": 2}, 0),
        ({"loopType": "while", "whileCondition": "true", "maxIterations": 2}, 2),
        ({"loopType": "while", "whileCondition": "true"}, 100),
    ],
)
def test_more_turns_than_allowed_fail_the_loop(api: Api, config: Json, turns: int) -> None:
    run = ran(api, loop("each", make("a", x=1), **config))

    assert (run["error"]["code"], run["error"]["stepId"]) == ("LOOP_LIMIT", "each")
    assert len(run["stepResults"]) == 1 + turns


def test_a_batch_of_turns_runs_at_a_time_and_each_has_its_item(api: Api) -> None:
    steps = loop("each", soon("w", 100), make("a", x="{{item}}"), collection=[1, 2, 3, 4], batchSize=2)

    run = ran(api, steps)

    assert run["output"]["results"] == [{"x": 1}, {"x": 2}, {"x": 3}, {"x": 4}]
    begin = {e["path"]: e["startedAt"] for e in run["stepResults"] if e["stepId"] == "w"}
    end = {e["path"]: e["completedAt"] for e in run["stepResults"] if e["stepId"] == "w"}
    assert begin["each[1].w"] < end["each[0].w"] <= begin["each[2].w"]
    assert begin["each[3].w"] < end["each[2].w"]


def test_loops_nest_and_the_nearest_names_count(api: Api) -> None:
    inner = loop("inner", make("a", x="{{row.name}}{{item}}"), collection="{{row.list}}")
    rows = [{"name": "a", "list": [1, 2]}, {"name": "b", "list": [3]}]

    run = ran(api, loop("outer", inner, collection="{{input.rows}}", itemVariable="row"), given={"rows": rows})

    shown = {e["path"]: e["output"]["x"] for e in run["stepResults"] if e["stepId"] == "a"}
    assert shown == {"outer[0].inner[0].a": "a1", "outer[0].inner[1].a": "a2", "outer[1].inner[0].a": "b3"}


def test_each_turn_of_an_effect_has_an_operation_id_of_its_own(api: Api, upstream: Answering) -> None:
    run = ran(api, loop("each", call("send", upstream, method="POST", body={}), collection=[1, 2]))

    keys = [seen.headers["idempotency-key"] for seen in upstream.seen]
    assert keys == [f"{run['id']}:each[0].send", f"{run['id']}:each[1].send"]


# parallel: contract 9.6


def test_branches_see_the_data_from_before_and_give_their_last_outputs(api: Api) -> None:
    branches = [
        [soon("w1"), make("a", x="{{steps.first.x}}", other="{{steps.b.x}}")],
        {"id": "right", "steps": [make("b", x=2)]},
    ]

    run = ran(api, make("first", x=1), parallel("fan", *branches))

    assert run["output"] == {"results": [{"x": 1, "other": None}, {"x": 2}], "errors": [], "completedCount": 2}


def test_wait_all_ends_when_all_have_ended_and_fails_if_one_failed(api: Api) -> None:
    run = ran(api, parallel("fan", {"id": "left", "steps": [broken("x")]}, [soon("w"), make("b", x=2)]))

    assert (run["status"], run["error"]["stepId"]) == ("failed", "x")
    assert statuses(run) == {"fan": "error", "x": "error", "w": "success", "b": "success"}


def test_the_output_of_a_parallel_that_failed_can_be_read(api: Api) -> None:
    fan = parallel("fan", {"id": "left", "steps": [broken("x")]}, [make("b", x=2)])

    run = ran(api, {**fan, "errorHandling": {"strategy": "continue"}}, make("seen", fan="{{steps.fan.output}}"))

    fan_output = run["output"]["fan"]
    (error,) = fan_output["errors"]
    assert (fan_output["results"], fan_output["completedCount"]) == ([None, {"x": 2}], 1)
    assert (error["branch"], error["stepId"], error["code"]) == ("left", "x", "CONNECTION_MISSING")
    assert set(error) == {"branch", "stepId", "code", "message"}


@pytest.mark.parametrize("config", [{"strategy": "fail-fast"}, {"waitForAll": False}])
def test_fail_fast_cancels_the_other_branches(api: Api, config: Json) -> None:
    run = ran(api, parallel("fan", [hour("w")], [soon("s"), broken("x")], **config))

    assert (run["status"], run["error"]["stepId"]) == ("failed", "x")
    assert [e["error"]["code"] for e in run["stepResults"] if e["stepId"] == "w"] == ["CANCELLED"]


def test_a_parallel_runs_its_steps_for_each_item_at_most_so_many_at_a_time(api: Api) -> None:
    config: Json = {
        "forEachSource": "{{input.rows}}",
        "forEachAs": "row",
        "concurrency": 1,
        "steps": [soon("w", 20), make("a", x="{{row}}{{index}}")],
    }

    run = ran(api, {"id": "fan", "type": "parallel", "config": config}, given={"rows": ["p", "q"]})

    assert run["output"]["results"] == [{"x": "p0"}, {"x": "q1"}]
    assert list(statuses(run)) == ["fan", "fan[0].w", "fan[0].a", "fan[1].w", "fan[1].a"]


def test_a_parallel_over_its_time_fails(api: Api) -> None:
    run = ran(api, parallel("fan", [hour("w")], timeoutMs=50))

    assert (run["error"]["code"], run["error"]["stepId"]) == ("STEP_ERROR", "fan")
    (fan, w) = run["stepResults"]
    assert (fan["error"]["details"]["kind"], w["error"]["code"]) == ("timeout", "CANCELLED")


# try, race, break, end: contract 9


def test_a_caught_failure_is_seen_in_catch_and_in_the_output(api: Api) -> None:
    steps = attempt("t", broken("x"), catch=[make("c", why="{{error.code}} {{error.stepId}}")])

    run = ran(api, steps)

    assert (run["status"], run["output"]["ok"]) == ("completed", False)
    assert run["output"]["result"] == {"why": "CONNECTION_MISSING x"}
    assert set(run["output"]["error"]) == {"code", "message", "stepId"}
    assert run["error"] is None


def test_finally_runs_in_any_case_and_without_catch_the_error_goes_on_after_it(api: Api) -> None:
    good = ran(api, attempt("t", make("a", x=1), **{"finally": [make("f", x=2)]}))
    bad = ran(api, attempt("t", broken("x"), **{"finally": [make("f", x=2)]}))

    assert (good["output"], statuses(good)["f"]) == ({"ok": True, "error": None, "result": {"x": 1}}, "success")
    assert (bad["status"], bad["error"]["stepId"], statuses(bad)["f"]) == ("failed", "x", "success")


def test_a_failure_in_catch_goes_on_after_finally(api: Api) -> None:
    run = ran(api, attempt("t", broken("x"), catch=[broken("y")], **{"finally": [make("f", x=2)]}))

    assert (run["error"]["stepId"], statuses(run)) == (
        "y",
        {"t": "error", "x": "error", "y": "error", "f": "success"},
    )


def test_the_first_to_settle_wins_a_race_and_the_others_are_cancelled(api: Api) -> None:
    run = ran(api, race("r", {"id": "slow", "steps": [hour("w")]}, {"id": "quick", "steps": [make("a", x=1)]}))

    assert run["output"] == {"branch": "quick", "value": {"x": 1}}
    assert [e["error"]["code"] for e in run["stepResults"] if e["stepId"] == "w"] == ["CANCELLED"]


def test_a_branch_without_an_id_is_told_by_its_place(api: Api) -> None:
    assert ran(api, race("r", [hour("w")], [make("a", x=1)]))["output"]["branch"] == 1


def test_a_race_is_lost_by_who_fails_first(api: Api) -> None:
    run = ran(api, race("r", [hour("w")], [broken("x")]))

    assert (run["status"], run["error"]["stepId"]) == ("failed", "x")


def test_a_break_ends_its_loop_and_has_no_output(api: Api) -> None:
    stop = {"id": "stop", "type": "break", "config": {"condition": "item == 2"}}

    run = ran(api, loop("each", make("a", x="{{item}}"), stop, make("b", y=1), collection=[1, 2, 3]), make("z", x=9))

    assert statuses(run) == {
        "each": "success",
        "each[0].a": "success",
        "each[0].stop": "skipped",
        "each[0].b": "success",
        "each[1].a": "success",
        "each[1].stop": "success",
        "z": "success",
    }
    assert run["stepResults"][0]["output"]["count"] == 2
    assert run["stepResults"][5]["output"] is None


def test_a_break_in_a_branch_or_a_try_ends_the_loop_around(api: Api) -> None:
    choose: Json = {
        "id": "if",
        "type": "condition",
        "config": {"expression": "item == 1", "then": [attempt("t", {"id": "stop", "type": "break"})]},
    }

    assert ran(api, loop("each", choose, make("b", x=1), collection=[1, 2]))["output"]["count"] == 1


def test_an_end_completes_the_run(api: Api) -> None:
    run = ran(
        api,
        loop(
            "each", make("a", x=1), {"id": "e", "type": "end", "config": {"condition": "item == 1"}}, collection=[1, 2]
        ),
        broken("never"),
    )

    assert run["status"] == "completed"
    assert statuses(run) == {"each": "success", "each[0].a": "success", "each[0].e": "success"}


def test_an_end_in_an_arm_completes_the_arm(api: Api) -> None:
    run = ran(api, parallel("fan", [make("a", x=1), {"id": "e", "type": "end"}, broken("never")]), make("z", x=2))

    assert (run["status"], run["output"], "never" in statuses(run)) == ("completed", {"x": 2}, False)
