"""Executions that wait are answered. Source: Flowra contract 8.2, 12."""

import pytest

from flowra_client import FlowraApi, bare, flowra, refused
from flowra_flows import ASK, ASKING, BASE, UNKNOWN, code, come_to, graph, made, resume, started, until
from live import Api, waiting
from stepwell.values import Json


@pytest.fixture
def client(api: Api) -> FlowraApi:
    return flowra(api)


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        ({"resumeValue": True}, {"approved": True, "value": True}),
        ({"resumeValue": False}, {"approved": False, "value": False}),
        (
            {"resumeValue": {"approved": False, "why": "no"}},
            {"approved": False, "value": {"approved": False, "why": "no"}},
        ),
        ({"resumeValue": {"x": 1}}, {"approved": True, "value": {"x": 1}}),
        ({"input": {"y": 2}}, {"approved": True, "value": {"y": 2}}),
        ({}, {"approved": True, "value": True}),
    ],
)
def test_a_resume_delivers_its_value_and_takes_the_edge_of_it(client: FlowraApi, body: Json, payload: Json) -> None:
    run = started(client, made(client, ASKING))
    come_to(client, run, "paused")

    resume(client, run, **body)

    ended = come_to(client, run, "completed")
    answer = ended["state"]["ask"]
    assert answer.pop("resumedAt").endswith("Z")
    assert answer == {**payload, "by": "flowra"}
    taken = "yes" if payload["approved"] else "no"
    assert ended["outputData"] == taken
    assert ended["executionSummary"]["completedNodes"] == ["s", "ask", taken]


def test_a_resume_with_nothing_paused_is_a_conflict(client: FlowraApi) -> None:
    run = started(client, made(client, graph(code("a"))))
    come_to(client, run, "completed")

    response = client("POST", f"{BASE}/executions/thread/{run}/resume", {})

    refused(response, 409, "No paused execution on this thread")


def test_a_second_resume_is_a_conflict(client: FlowraApi) -> None:
    run = started(client, made(client, ASKING))
    come_to(client, run, "paused")

    resume(client, run)

    refused(client("POST", f"{BASE}/executions/thread/{run}/resume", {}), 409)


def test_the_same_key_resumes_once(client: FlowraApi) -> None:
    second = {"id": "again", "type": "human_wait"}
    run = started(client, made(client, graph(ASK, second)))
    come_to(client, run, "paused")

    for _ in range(2):
        resume(client, run, headers={"Idempotency-Key": "k"})
    until(client, run, lambda found: found["currentNodeId"] == "again")
    third = resume(client, run, headers={"Idempotency-Key": "k"})

    assert third["executionId"] == run
    assert until(client, run, lambda found: found["status"] == "paused")["currentNodeId"] == "again"


def test_a_resume_takes_the_newest_paused_run_of_the_thread_unless_one_is_named(client: FlowraApi) -> None:
    workflow = made(client, ASKING)
    older = started(client, workflow)
    newer = started(client, workflow, threadId=older)
    for run in (older, newer):
        come_to(client, run, "paused")

    named = resume(client, older, executionId=older)
    come_to(client, older, "completed")
    newest = resume(client, older)

    assert (named["executionId"], named["threadId"]) == (older, older)
    assert (newest["executionId"], newest["threadId"]) == (newer, older)


@pytest.mark.parametrize(
    ("thread", "body", "status"),
    [
        (UNKNOWN, {}, 404),
        ("nonsense", {}, 404),
        (None, {"executionId": UNKNOWN}, 404),
        (None, {"executionId": "nonsense"}, 404),
        (None, {"resumeValue": "yes"}, 400),
        (None, {"resumeValue": None}, 400),
    ],
)
def test_what_cannot_be_resumed_is_refused(client: FlowraApi, thread: str | None, body: Json, status: int) -> None:
    run = started(client, made(client, ASKING))
    come_to(client, run, "paused")

    response = client("POST", f"{BASE}/executions/thread/{thread or run}/resume", body)

    refused(response, status)


def test_other_waits_are_answered_as_well(client: FlowraApi, api: Api) -> None:
    wait = {"id": "w", "type": "wait_for_event", "config": {"eventType": "paid"}}
    ask = {"id": "q", "type": "approval", "config": {"approvers": ["ana@example.com"], "reason": "?"}}
    flow = {"name": "Native", "trigger": {"type": "api"}, "steps": [wait, ask]}
    run = bare(api.start(api.workflow(flow)))

    come_to(client, run, "paused")
    resume(client, run, resumeValue={"amount": 3})
    until(client, run, lambda found: found["currentNodeId"] == "q" and found["status"] == "paused")
    resume(client, run, resumeValue=False)
    ended = until(client, run, lambda found: found["completedAt"])

    assert ended["state"]["w"]["payload"] == {"amount": 3}
    assert ended["executionSummary"]["totalNodes"] == 2
    assert api.data("GET", "/approvals?status=rejected")[0]["runId"] == f"run_{run}"


def test_a_pause_by_hand_is_lifted(client: FlowraApi, api: Api) -> None:
    run = api.start(api.workflow(waiting()))
    api.data("POST", f"/runs/{run}/pause")

    paused = come_to(client, bare(run), "paused")
    resumed = resume(client, bare(run))

    assert paused["currentNodeId"] in ("pause", None)
    assert resumed["status"] == "running"
