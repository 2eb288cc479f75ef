"""Steps that wait for runs, events and people, as a client sees them. Source: LoopFour contract 9 and 10."""

import re

import pytest
import requests

from answering import Answering
from contract.flows import (
    ANA,
    BO,
    TIME,
    _epoch_ms,
    approval,
    begun,
    broken,
    ended,
    event,
    flow,
    hour,
    loop,
    make,
    pending,
    ran,
    soon,
    statuses,
    sub,
    suspended,
)
from live import Api, refused
from stepwell.clock import SystemClock
from stepwell.values import Json, decode

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
