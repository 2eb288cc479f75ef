"""Steps that hold, repeat, branch off or wait, as a client sees them. Source: LoopFour contract 5, 8.2, 9 and 10."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
import requests

from answering import Answering, answering
from live import Api, refused
from stepwell.clock import SystemClock, iso
from stepwell.values import Json, decode

ANA, BO = "ana@example.com", "bo@example.com"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture
def upstream() -> Iterator[Answering]:
    with answering() as server:
        yield server


def flow(*steps: Json, **fields: Json) -> Json:
    return {"name": "Flow", "trigger": {"type": "api"}, "steps": list(steps), **fields}


def make(step: str, **mapping: Json) -> Json:
    return {"id": step, "type": "transform", "config": {"mapping": mapping}}


def call(step: str, upstream: Answering, path: str = "", **config: Json) -> Json:
    return {"id": step, "type": "api", "config": {"url": f"{upstream.url}{path or f'/{step}'}", **config}}


def broken(step: str) -> Json:
    """A step that fails: its workspace has no such connection."""
    return {"id": step, "type": "slack", "config": {"channel": "#a", "text": "t"}}


def hour(step: str) -> Json:
    return {"id": step, "type": "wait", "config": {"duration": 1, "unit": "hours"}}


def soon(step: str, millis: int = 30) -> Json:
    return {"id": step, "type": "wait", "config": {"duration": millis}}


def loop(step: str, *steps: Json, **config: Json) -> Json:
    return {"id": step, "type": "loop", "config": {"steps": list(steps), **config}}


def parallel(step: str, *branches: Json, **config: Json) -> Json:
    return {"id": step, "type": "parallel", "config": {"branches": list(branches), **config}}


def race(step: str, *branches: Json) -> Json:
    return {"id": step, "type": "race", "config": {"branches": list(branches)}}


def attempt(step: str, *steps: Json, **lists: Json) -> Json:
    return {"id": step, "type": "try", "config": {"steps": list(steps), **lists}}


def approval(step: str = "ask", **config: Json) -> Json:
    return {"id": step, "type": "approval", "config": {"approvers": [ANA, BO], "reason": "Refund?", **config}}


def event(step: str = "wait", **config: Json) -> Json:
    return {"id": step, "type": "wait_for_event", "config": {"eventType": "paid", **config}}


def sub(workflow: str, step: str = "sub", **config: Json) -> Json:
    return {"id": step, "type": "subworkflow", "config": {"workflowId": workflow, **config}}


def ran(api: Api, *steps: Json, given: Json = None, **fields: Json) -> Json:
    """A run of these steps, once it is final."""
    return ended(api, begun(api, *steps, given=given, **fields))


def begun(api: Api, *steps: Json, given: Json = None, **fields: Json) -> str:
    return api.start(api.workflow(flow(*steps, **fields)), input=given or {})


def suspended(api: Api, run: str) -> Json:
    return api.until(run, lambda found: found["status"] == "suspended")


def statuses(run: Json) -> dict[str, str]:
    """The status of each entry by its path, or id where it has none."""
    return {entry.get("path", entry["stepId"]): entry["status"] for entry in run["stepResults"]}


def called(upstream: Answering) -> list[str]:
    return [seen.path for seen in upstream.seen]


def pending(api: Api, run: str) -> Json:
    """The approval that a run waits for, once it waits for one."""
    api.until(run, lambda _: _asked(api, run))
    suspended(api, run)
    (row,) = _asked(api, run)
    return row


def ended(api: Api, run: str) -> Json:
    """The run once it is final, though it is or was suspended."""
    return api.until(run, lambda found: found["completedAt"] is not None)


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


# subworkflow: contract 9


def test_a_subworkflow_gives_the_output_of_its_run(api: Api) -> None:
    child = api.workflow(flow(make("a", sum="{{input.x | plus: 1}}"), soon("w", 10), output={"sum": "{{steps.a.sum}}"}))

    run = ran(api, sub(child, inputMapping={"x": "{{input.n}}"}), given={"n": 4})

    output = run["output"]
    shown = api.data("GET", f"/runs/{output['runId']}")
    assert set(output) == {"result", "runId", "status", "durationMs", "reusedExistingRun"}
    assert (output["result"], output["status"], output["reusedExistingRun"]) == ({"sum": 5}, "completed", False)
    assert output["durationMs"] == shown["durationMs"] >= 10
    assert (shown["parentRunId"], shown["triggerType"], shown["input"]) == (run["id"], "api", {"x": 4})


def test_a_workflow_is_named_by_id_or_slug(api: Api) -> None:
    id = api.workflow(flow(make("a", x=1), slug="part"))

    for name in (id, id.removeprefix("wf_"), "wf_part", "part"):
        assert ran(api, sub(name))["output"]["result"] == {"x": 1}, name


def test_without_waiting_the_result_is_null(api: Api) -> None:
    child = api.workflow(flow(hour("w")))

    output = ran(api, sub(child, waitForCompletion=False))["output"]

    assert (output["result"], output["status"]) == (None, "pending")
    assert api.data("GET", f"/runs/{output['runId']}")["status"] in ("pending", "running")


def test_while_a_subworkflow_is_waited_for_the_run_is_running(api: Api) -> None:
    run = begun(api, sub(api.workflow(flow(hour("w")))))

    shown = api.until(run, lambda found: "waits for the run" in (found["waitingFor"] or ""))

    assert (shown["status"], shown["suspendReason"]) == ("running", None)
    assert [entry["status"] for entry in shown["stepResults"]] == ["waiting"]


def test_a_subworkflow_that_fails_fails_its_step(api: Api) -> None:
    run = ran(api, sub(api.workflow(flow(broken("x")))))

    error = run["stepResults"][0]["error"]
    assert (run["error"]["code"], run["error"]["stepId"]) == ("SUBWORKFLOW_FAILED", "sub")
    assert "No active connection" in error["message"] or "connection" in error["message"].lower()


@pytest.mark.parametrize(
    "workflow", ["nothing", "wf_01890000-0000-7000-8000-000000000000", "{{input.missing | default: 'x'}}"]
)
def test_a_workflow_that_does_not_exist_fails_the_step(api: Api, workflow: str) -> None:
    assert ran(api, sub(workflow))["error"]["code"] == "SUBWORKFLOW_FAILED"


def test_the_input_of_a_subworkflow_is_checked(api: Api) -> None:
    schema = {"type": "object", "required": ["x"], "properties": {"x": {"type": "number"}}}

    error = ran(api, sub(api.workflow(flow(make("a", x=1), inputSchema=schema))))["error"]

    assert (error["code"], error["message"]) == ("SUBWORKFLOW_FAILED", "Input validation failed: x: Required")


def test_a_run_with_the_same_key_is_used_again(api: Api) -> None:
    child = api.workflow(flow(make("a", x="{{runId}}")))
    parent = api.workflow(flow(sub(child, idempotencyKey="{{input.key}}")))

    first, again, other = (api.finish(parent, input={"key": key})["output"] for key in ("k", "k", "l"))

    assert (first["reusedExistingRun"], again["reusedExistingRun"]) == (False, True)
    assert first["runId"] == again["runId"] != other["runId"]
    assert again["result"] == first["result"]


def test_a_subworkflow_over_its_time_is_cancelled(api: Api) -> None:
    run = ran(api, sub(api.workflow(flow(hour("w"))), timeoutMinutes=0.001))

    (child,) = [each for each in api.data("GET", "/runs") if each["id"] != run["id"]]
    assert (run["error"]["code"], child["status"]) == ("STEP_ERROR", "cancelled")


def test_a_cancel_reaches_the_run_that_is_waited_for(api: Api) -> None:
    run = begun(api, sub(api.workflow(flow(hour("w")))))
    api.until(run, lambda found: "waits for the run" in (found["waitingFor"] or ""))

    api.data("POST", f"/runs/{run}/cancel")

    assert [each["status"] for each in api.data("GET", "/runs")] == ["cancelled", "cancelled"]


def test_subworkflows_are_at_most_25_deep(api: Api) -> None:
    id = api.workflow(flow(make("a", x=1), slug="self"))
    api.data("PUT", f"/workflows/{id}", {"steps": [sub("wf_self")]})

    run = api.finish(id)

    assert run["error"]["code"] == "SUBWORKFLOW_FAILED"
    assert len(api.data("GET", "/runs?limit=100")) in (25, 26)


# wait_for_event: contract 9 and 10


def test_an_event_ends_the_wait(api: Api) -> None:
    run = begun(api, event())
    shown = suspended(api, run)

    told = api.data("POST", f"/runs/{run}/events", {"type": "paid", "payload": {"amount": decode("9.90")}})
    output = ended(api, run)["output"]

    assert (shown["suspendReason"], shown["stepResults"][0]["status"]) == ("event", "waiting")
    assert shown["waitingFor"] == "Step wait waits for an event of type paid"
    assert re.fullmatch(TIME, output.pop("receivedAt"))
    assert output == {
        "type": "paid",
        "payload": {"amount": decode("9.90")},
        "eventId": told["eventId"],
        "timedOut": False,
    }


def test_only_an_event_of_the_type_that_matches_ends_the_wait(api: Api) -> None:
    run = begun(api, event(match={"order.id": "{{input.order}}", "amount": {"$gte": 10}}), given={"order": 7})
    suspended(api, run)
    for type, order, amount in (("lost", 7, 10), ("paid", 8, 10), ("paid", 7, 9), ("paid", 7, 11)):
        api.data("POST", f"/runs/{run}/events", {"type": type, "payload": {"order": {"id": order}, "amount": amount}})

    assert ended(api, run)["output"]["payload"]["amount"] == 11


def test_an_event_that_comes_early_is_kept_and_taken_once_oldest_first(api: Api) -> None:
    run = begun(api, event("gate", eventType="go"), event("one"), event("two"))
    suspended(api, run)
    for number in range(2):
        api.data("POST", f"/runs/{run}/events", {"type": "paid", "payload": {"n": number}})
    assert statuses(suspended(api, run)) == {"gate": "waiting"}
    api.data("POST", f"/runs/{run}/events", {"type": "go"})

    outputs = [entry["output"]["payload"] for entry in ended(api, run)["stepResults"]]

    assert outputs == [{}, {"n": 0}, {"n": 1}]


def test_without_an_event_in_time_the_run_fails_or_goes_on(api: Api) -> None:
    failed = ran(api, event(timeoutMs=20))
    went_on = ran(api, event(timeoutMs=20, timeoutAction="continue"))

    assert (failed["status"], failed["error"]["code"]) == ("failed", "EVENT_TIMEOUT")
    assert went_on["output"] == {
        "type": "paid",
        "payload": None,
        "eventId": None,
        "receivedAt": None,
        "timedOut": True,
    }


def test_an_event_of_all_runs_reaches_those_that_wait_for_its_type(api: Api) -> None:
    waiting = [begun(api, event()) for _ in range(2)]
    other = begun(api, event(eventType="shipped"))
    for run in (*waiting, other):
        suspended(api, run)

    told = api.data("POST", "/events", {"type": "paid", "payload": {"n": 1}})

    assert told["delivered"] == 2
    assert [ended(api, run)["output"]["payload"] for run in waiting] == [{"n": 1}, {"n": 1}]
    assert api.data("GET", f"/runs/{other}")["status"] == "suspended"


def test_arms_of_a_parallel_wait_for_events_of_their_own(api: Api) -> None:
    config: Json = {"forEachSource": ["a", "b"], "steps": [event(match={"who": "{{item}}"})]}
    run = begun(api, {"id": "fan", "type": "parallel", "config": config})
    api.until(run, lambda found: [e["status"] for e in found["stepResults"]] == ["running", "waiting", "waiting"])

    for who in ("b", "a"):
        api.data("POST", f"/runs/{run}/events", {"type": "paid", "payload": {"who": who}})

    assert [each["payload"]["who"] for each in ended(api, run)["output"]["results"]] == ["a", "b"]


# approval: contract 9.3 and 10


def test_an_approval_holds_the_run_until_it_is_given(api: Api) -> None:
    run = begun(api, make("first", amount=120), approval(context={"amount": "{{steps.first.amount}}"}))
    row = pending(api, run)
    shown = api.data("GET", f"/runs/{run}")

    decided = api.data("POST", f"/approvals/{row['id']}/approve", {"approver": BO, "comment": "Fine"})
    output = ended(api, run)["output"]

    assert (shown["status"], shown["suspendReason"]) == ("suspended", "approval")
    assert (row["stepId"], row["reason"], row["context"]) == ("ask", "Refund?", {"amount": 120})
    assert output == {
        "approved": True,
        "approvedBy": BO,
        "approvedAt": decided["decisions"][0]["at"],
        "comment": "Fine",
        "timedOut": False,
        "decisions": decided["decisions"],
    }


def test_the_time_of_an_approval_is_a_day_unless_it_says_another(api: Api) -> None:
    def left_h(**config: Json) -> int:
        row = pending(api, begun(api, approval(**config)))
        return round((_epoch_ms(row["expiresAt"]) - SystemClock().now_ms()) / 3_600_000)

    assert [left_h(), left_h(timeoutHours=5), left_h(timeout="7d"), left_h(timeoutMs=7_200_000)] == [24, 5, 168, 2]


def test_a_rejection_can_be_branched_on(api: Api) -> None:
    run = begun(api, approval(then=[make("yes", x=1)], **{"else": [make("no", x="{{steps.ask.comment}}")]}))

    api.data("POST", f"/approvals/{pending(api, run)['id']}/reject", {"comment": "Too much"})
    shown = ended(api, run)

    assert statuses(shown) == {"ask": "success", "yes": "skipped", "no": "success"}
    ask = shown["stepResults"][0]["output"]
    assert (ask["approved"], ask["approvedBy"], ask["approvedAt"], ask["comment"]) == (False, None, None, "Too much")
    assert shown["output"] == {"x": "Too much"}


def test_a_rejection_can_fail_the_run(api: Api) -> None:
    run = begun(api, approval(onReject="fail"))

    api.data("POST", f"/approvals/{pending(api, run)['id']}/reject", {"approver": ANA})

    assert ended(api, run)["error"]["code"] == "APPROVAL_REJECTED"


@pytest.mark.parametrize(
    ("action", "status", "approved"),
    [
        (None, "completed", False),
        ("reject", "completed", False),
        ("approve", "completed", True),
        ("fail", "failed", None),
    ],
)
def test_nobody_decides_in_time(api: Api, action: str | None, status: str, approved: bool | None) -> None:
    config: Json = {} if action is None else {"timeoutAction": action}

    run = ran(api, approval(timeoutMs=20, **config))

    assert run["status"] == status
    assert [row["status"] for row in api.data("GET", "/approvals")] == ["expired"]
    if approved is None:
        assert run["error"]["code"] == "APPROVAL_TIMEOUT"
    else:
        assert (run["output"]["approved"], run["output"]["timedOut"]) == (approved, True)


def test_where_all_must_approve_the_run_waits_for_the_last(api: Api) -> None:
    run = begun(api, approval(requireAll=True))
    row = pending(api, run)

    api.data("POST", f"/approvals/{row['id']}/approve", {"approver": ANA})
    assert suspended(api, run)["waitingFor"].startswith(f"Step ask waits for an approval by {BO} until")
    api.data("POST", f"/approvals/{row['id']}/approve", {"approver": BO})

    decisions = ended(api, run)["output"]["decisions"]
    assert [(each["approver"], each["decision"]) for each in decisions] == [(ANA, "approve"), (BO, "approve")]


def test_a_cancel_ends_the_approval(api: Api) -> None:
    run = begun(api, approval())
    row = pending(api, run)

    api.data("POST", f"/runs/{run}/cancel")

    assert api.data("GET", f"/approvals/{row['id']}")["status"] == "cancelled"
    refused(api.post(f"/approvals/{row['id']}/approve", {}), 400, "INVALID_STATE", "Approval already decided")


def test_a_lone_approver_is_told_by_slack_and_decides_by_the_link(api: Api, upstream: Answering) -> None:
    upstream.body = b'{"ok": true, "ts": "1.2", "channel": "C1"}'
    connection = {"name": "s", "provider": "slack", "credentials": {"botToken": "xoxb-1"}, "baseUrl": upstream.url}
    api.data("POST", "/connections", connection)
    run = begun(api, approval(approvers=ANA, notifyChannels={"slack": "#sign", "slackThreadTs": "1.1"}))
    pending(api, run)
    api.until(run, lambda _: upstream.seen)

    message = decode(upstream.seen[0].body)
    link = re.search(r"/api/v1/approvals/\S+/decide\?token=\S+", message["text"])
    assert link is not None
    assert (message["channel"], message["thread_ts"]) == ("#sign", "1.1")
    answer = requests.post(f"{api.server.url}{link[0]}", json={"decision": "approve"}, timeout=10)

    assert answer.status_code == 200
    assert ended(api, run)["output"]["approvedBy"] == ANA


def test_after_half_the_time_others_are_told_without_a_link(api: Api, upstream: Answering) -> None:
    upstream.body = b'{"id": "m1"}'
    credentials = {"apiKey": "re_123", "from": "a@example.com"}
    api.data(
        "POST",
        "/connections",
        {"name": "r", "provider": "resend", "credentials": credentials, "baseUrl": upstream.url},
    )
    run = begun(api, approval(notifyChannels=["email"], escalateTo="boss@example.com", timeoutMs=1000))
    begin = SystemClock().now_ms()
    api.until(run, lambda _: len(upstream.seen) == 3)

    mails = {decode(seen.body)["to"][0]: decode(seen.body)["text"] for seen in upstream.seen}
    assert list(mails)[2] == "boss@example.com"
    assert SystemClock().now_ms() - begin >= 450
    assert {who: "/decide?token=" in text for who, text in mails.items()} == {
        ANA: True,
        BO: True,
        "boss@example.com": False,
    }
    api.data("POST", f"/runs/{run}/cancel")


def test_an_approval_in_a_turn_names_its_step(api: Api) -> None:
    run = begun(api, loop("each", approval(reason="Send {{item}}?"), collection=["a", "b"]))

    reasons = []
    for _ in range(2):
        row = pending(api, run)
        reasons.append((row["stepId"], row["reason"]))
        api.data("POST", f"/approvals/{row['id']}/approve", {})

    assert [each["approved"] for each in ended(api, run)["output"]["results"]] == [True, True]
    assert reasons == [("ask", "Send a?"), ("ask", "Send b?")]


# Pause and resume: contract 5.5 and 5.8


def test_a_pause_lets_the_step_in_flight_end_and_then_holds_the_run(api: Api, upstream: Answering) -> None:
    upstream.delay_s = 0.2
    run = begun(api, loop("each", call("send", upstream), collection=[1, 2]))
    api.until(run, lambda found: "running" in statuses(found).values() and "each[0].send" in statuses(found))

    api.data("POST", f"/runs/{run}/pause")
    shown = api.until(run, lambda found: statuses(found).get("each[0].send") == "success")

    assert (shown["status"], shown["suspendReason"], shown["waitingFor"]) == (
        "suspended",
        "paused",
        "The run is paused",
    )
    assert called(upstream) == ["/send"]
    upstream.delay_s = 0
    api.data("POST", f"/runs/{run}/resume")
    assert ended(api, run)["output"]["count"] == 2
    assert called(upstream) == ["/send", "/send"]


def test_what_comes_while_a_run_is_paused_counts_when_it_is_resumed(api: Api) -> None:
    run = begun(api, event(), make("after", x=1))
    suspended(api, run)
    api.data("POST", f"/runs/{run}/pause")
    api.data("POST", f"/runs/{run}/events", {"type": "paid"})

    assert api.data("GET", f"/runs/{run}")["suspendReason"] == "paused"
    api.data("POST", f"/runs/{run}/resume")
    assert ended(api, run)["output"] == {"x": 1}


def test_a_run_resumed_before_its_event_waits_on(api: Api) -> None:
    run = begun(api, event())
    suspended(api, run)
    api.data("POST", f"/runs/{run}/pause")
    api.data("POST", f"/runs/{run}/resume")

    shown = api.until(run, lambda found: found["suspendReason"] == "event")

    assert (shown["status"], len(shown["stepResults"])) == ("suspended", 1)


def test_suspended_runs_are_listed_by_status(api: Api) -> None:
    run = begun(api, approval())
    suspended(api, run)
    begun(api, hour("w"))

    assert [each["id"] for each in api.data("GET", "/runs?status=suspended")] == [run]


@pytest.mark.parametrize("verb", ["retry", "restart"])
def test_a_suspended_run_is_neither_retried_nor_restarted(api: Api, verb: str) -> None:
    run = begun(api, approval())
    suspended(api, run)

    refused(api.post(f"/runs/{run}/{verb}", {"fromStepId": "ask"}), 400, "INVALID_STATE")


# Retry and restart: contract 5.7


def test_a_retry_goes_on_in_the_turn_that_failed(api: Api, upstream: Answering) -> None:
    upstream.statuses = [200, 200, 200, 400]
    steps = loop("each", call("get", upstream), call("send", upstream), collection=[1, 2, 3])
    failed = ran(api, make("first", x=1), steps)

    answer = api.post(f"/runs/{failed['id']}/retry")
    data = answer.json()["data"]
    run = ended(api, data["newRunId"])

    assert (answer.status_code, data["restartFromStepId"]) == (202, "each[1].send")
    assert (run["status"], run["output"]["count"], run["attempt"]) == ("completed", 3, 2)
    assert called(upstream)[4:] == ["/send", "/get", "/send"]
    reused = [entry.get("path", entry["stepId"]) for entry in run["stepResults"] if entry.get("reused")]
    assert reused == ["first", "each[0].get", "each[0].send", "each[1].get"]


def test_a_restart_inside_a_loop_keeps_what_was_before(api: Api, upstream: Answering) -> None:
    steps = loop(
        "each",
        call("get", upstream, "/get/{{item}}"),
        call("send", upstream, "/send/{{item}}"),
        collection="{{input.rows}}",
    )
    done = ran(api, steps, given={"rows": [1, 2, 3]})
    upstream.seen.clear()

    body = {"fromStepId": "each[1].send", "overrideInput": {"rows": [7, 8, 9]}}
    data = api.data("POST", f"/runs/{done['id']}/restart", body)
    run = ended(api, data["newRunId"])

    assert data["restartFromStepId"] == "each[1].send"
    assert called(upstream) == ["/send/8", "/get/9", "/send/9"]
    kept, original = run["stepResults"][0], done["stepResults"][1]
    assert {entry.get("path"): entry.get("reused") for entry in run["stepResults"]} == {
        None: None,
        "each[0].get": True,
        "each[0].send": True,
        "each[1].get": True,
        "each[1].send": None,
        "each[2].get": None,
        "each[2].send": None,
    }
    assert (kept["startedAt"], kept["output"]["status"]) == (original["startedAt"], 200)


def test_a_plain_id_means_the_first_turn_that_failed_else_the_first(api: Api, upstream: Answering) -> None:
    upstream.statuses = [200, 400]
    id = api.workflow(flow(loop("each", call("send", upstream), collection=[1, 2])))
    failed, done = api.finish(id), api.finish(id)

    starts = [
        api.data("POST", f"/runs/{run['id']}/restart", {"fromStepId": "send"})["restartFromStepId"]
        for run in (failed, done)
    ]

    assert starts == ["each[1].send", "each[0].send"]


def test_a_restart_in_an_arm_is_named_by_the_plain_id_and_keeps_the_others(api: Api, upstream: Answering) -> None:
    run = ran(api, parallel("fan", [call("a", upstream)], [call("b", upstream), call("c", upstream)]))
    upstream.seen.clear()

    data = api.data("POST", f"/runs/{run['id']}/restart", {"fromStepId": "c"})
    again = ended(api, data["newRunId"])

    assert (data["restartFromStepId"], called(upstream), again["status"]) == ("c", ["/c"], "completed")


def test_a_retry_in_an_arm_is_named_by_the_plain_id(api: Api, upstream: Answering) -> None:
    upstream.statuses = [400]
    run = ran(api, parallel("fan", [call("a", upstream)]))

    data = api.data("POST", f"/runs/{run['id']}/retry")

    assert (data["restartFromStepId"], ended(api, data["newRunId"])["status"]) == ("a", "completed")


@pytest.mark.parametrize("named", ["each.send", "each[x].send", "each[0]", "each[0].other", "send[0]", "other"])
def test_a_path_that_leads_nowhere_is_no_step(api: Api, named: str) -> None:
    run = ran(api, loop("each", make("send", x=1), collection=[1]))

    answer = api.post(f"/runs/{run['id']}/restart", {"fromStepId": named})

    refused(answer, 400, "INVALID_STEP", f"Step not found: {named}")


def test_a_restart_in_catch_keeps_the_failure_and_from_the_approval_asks_again(api: Api) -> None:
    run = ran(api, attempt("t", broken("x"), catch=[make("c", why="{{error.stepId}}"), approval(timeoutMs=20)]))

    data = api.data("POST", f"/runs/{run['id']}/restart", {"fromStepId": "c"})
    ended(api, data["newRunId"])

    again = api.data("GET", f"/runs/{data['newRunId']}")
    assert {e["stepId"]: (e["status"], e.get("reused")) for e in again["stepResults"]} == {
        "x": ("error", True),
        "t": ("success", None),
        "c": ("success", None),
        "ask": ("success", None),
    }
    assert len(api.data("GET", "/approvals?status=expired")) == 2


# What a container ends with it, and time limits of runs that wait


def test_who_loses_a_race_is_asked_no_more(api: Api) -> None:
    run = ran(api, race("r", [approval()], [sub(api.workflow(flow(hour("w"))))], [event()], [soon("s", 100)]))

    assert (run["status"], statuses(run)["s"]) == ("completed", "success")
    assert [row["status"] for row in api.data("GET", "/approvals")] == ["cancelled"]
    (child,) = [each for each in api.data("GET", "/runs") if each["id"] != run["id"]]
    assert child["status"] == "cancelled"
    assert {e["stepId"]: e["error"]["code"] for e in run["stepResults"] if e["status"] == "error"} == {
        "ask": "CANCELLED",
        "sub": "CANCELLED",
        "wait": "CANCELLED",
    }


@pytest.mark.parametrize("make_step", [approval, event, hour])
def test_a_run_over_its_time_ends_while_it_waits_and_is_retried_from_there(
    api: Api, make_step: Callable[[str], Json]
) -> None:
    steps = loop("each", make("a", x=1), make_step("hold"), collection=[1])

    run = ran(api, steps, settings={"timeoutMs": 80})
    data = api.data("POST", f"/runs/{run['id']}/retry")

    assert (run["status"], run["error"]["code"]) == ("timeout", "TIMEOUT")
    assert statuses(run) == {"each": "error", "each[0].a": "success", "each[0].hold": "error"}
    assert data["restartFromStepId"] == "each[0].hold"
    assert statuses(ended(api, data["newRunId"])) == statuses(run)


def test_a_container_may_have_a_time_limit(api: Api) -> None:
    run = ran(api, {**loop("each", event(), collection=[1]), "timeoutMs": 50})

    assert (run["status"], run["error"]["stepId"]) == ("failed", "each")
    assert run["stepResults"][0]["error"]["details"]["kind"] == "timeout"


def test_a_synchronous_start_answers_when_its_run_is_suspended(api: Api) -> None:
    answer = api.post(f"/workflows/{api.workflow(flow(approval()))}/run", {"mode": "sync"})

    assert (answer.status_code, answer.json()["data"]["status"]) == (202, "suspended")


def test_the_stream_tells_of_each_turn_by_its_path(api: Api) -> None:
    run = ran(api, loop("each", make("a", x="{{item}}"), collection=[1, 2]))

    stream = api.get(f"/runs/{run['id']}/stream").text

    paths = [decode(line[6:]).get("path") for line in stream.splitlines() if line.startswith("data: ")]
    assert list(dict.fromkeys(filter(None, paths))) == ["each[0].a", "each[1].a"]


def test_the_time_limit_of_a_run_counts_while_it_is_paused(api: Api) -> None:
    run = begun(api, event(), settings={"timeoutMs": 300})
    suspended(api, run)
    api.data("POST", f"/runs/{run}/pause")

    assert ended(api, run)["status"] == "timeout"


def test_a_run_over_its_time_ends_the_run_it_waits_for(api: Api) -> None:
    run = ran(api, sub(api.workflow(flow(hour("w")))), settings={"timeoutMs": 100})

    (child,) = [each for each in api.data("GET", "/runs") if each["id"] != run["id"]]
    assert (run["status"], child["status"]) == ("timeout", "cancelled")


def test_a_retry_of_a_subworkflow_starts_a_new_run(api: Api, upstream: Answering) -> None:
    upstream.statuses = [400]
    run = ran(api, loop("each", sub(api.workflow(flow(call("a", upstream)))), collection=[1]))

    data = api.data("POST", f"/runs/{run['id']}/retry")
    again = ended(api, data["newRunId"])

    assert (run["error"]["code"], data["restartFromStepId"]) == ("SUBWORKFLOW_FAILED", "each[0].sub")
    assert (again["status"], called(upstream)) == ("completed", ["/a", "/a"])


def test_a_restart_takes_the_whole_path_of_a_step_in_an_arm_too(api: Api) -> None:
    run = ran(api, parallel("fan", [make("a", x=1)]))

    assert api.data("POST", f"/runs/{run['id']}/restart", {"fromStepId": "fan.a"})["restartFromStepId"] == "a"


@pytest.mark.parametrize("approvers", ["{{input.people}}", ["{{input.people.0}}", BO], f"{ANA}, {BO}"])
def test_approvers_may_come_from_the_input(api: Api, approvers: Json) -> None:
    run = begun(api, approval(approvers=approvers), given={"people": [ANA, BO]})

    assert pending(api, run)["approvers"] == [ANA, BO]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"approvers": "{{input.nobody}}"}, "approvers: Expected 1 to 50"),
        ({"reason": "{{input.nothing}}"}, "reason: Required"),
        ({"timeout": "{{input.nothing | default: 'soon'}}"}, "timeout: Expected a duration such as 7d, 24h or 30m"),
    ],
)
def test_an_approval_that_cannot_be_asked_fails(api: Api, config: Json, message: str) -> None:
    error = ran(api, approval(**config))["error"]

    assert (error["code"], error["message"]) == ("TEMPLATE_ERROR", message)


def _epoch_ms(text: str) -> int:
    at = round(datetime.fromisoformat(text).timestamp() * 1000)
    assert iso(at) == text
    return at


def _asked(api: Api, run: str) -> list[Json]:
    return [row for row in api.data("GET", "/approvals?status=pending") if row["runId"] == run]
