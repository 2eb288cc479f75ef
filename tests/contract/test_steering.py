"""Runs that are paused, resumed, retried and restarted inside containers. Source: LoopFour contract 5."""

from collections.abc import Callable

import pytest

from answering import Answering
from contract.flows import (
    ANA,
    BO,
    approval,
    attempt,
    begun,
    broken,
    call,
    called,
    ended,
    event,
    flow,
    hour,
    loop,
    make,
    parallel,
    pending,
    race,
    ran,
    soon,
    statuses,
    sub,
    suspended,
)
from live import Api, refused
from stepwell.values import Json, decode

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
