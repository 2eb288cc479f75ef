"""Executions: started, listed, shown, cancelled. Source: Flowra contract 4.2, 8, 11, 12."""

import pytest

from flowra_client import FlowraApi, bare, flowra, refused
from flowra_flows import ASKING, BASE, UNKNOWN, code, come_to, graph, made, resume, started, until
from live import Api, waiting
from stepwell.values import Json, decode


@pytest.fixture
def client(api: Api) -> FlowraApi:
    return flowra(api)


# The worked example


def test_the_worked_example(client: FlowraApi, api: Api) -> None:
    account = {"name": "Stripe", "slug": "stripe", "provider": "stripe", "mode": "simulator"}
    api.data("POST", "/connections", account)
    pay = {
        "id": "pay",
        "type": "action",
        "toolSlug": "STRIPE_CREATE_INVOICE",
        "inputMapping": {"connection": "stripe", "customerId": "c", "amount": "{{input.amount}}"},
    }
    ask = {"id": "ask", "type": "human_wait", "humanMessage": "Pay {{input.amount}}?"}
    edges = [{"from": "s", "to": "ask"}, {"from": "ask", "to": "pay", "condition": "output.approved === true"}]
    workflow = made(client, graph(ask, pay, edges=edges))

    begun = client.answer("POST", f"{BASE}/execute/{workflow}", {"input": {"amount": 12000}}, 201)
    thread = begun["threadId"]
    come_to(client, begun["executionId"], "paused")
    status = client.answer("GET", f"{BASE}/executions/thread/{thread}/status")
    resumed = resume(client, thread, resumeValue={"approved": True})
    ended = come_to(client, begun["executionId"], "completed")

    data = {"executionId": thread, "threadId": thread, "workflowId": workflow, "status": "running"}
    assert begun == {"success": True, "message": "Execution started", **data, "data": data}
    assert (status["status"], status["currentNodeId"], status["completedNodes"]) == ("paused", "ask", ["s"])
    assert {name: status[name] for name in status["data"]} == status["data"]
    assert (resumed["status"], resumed["data"]["status"]) == ("running", "running")
    assert set(ended["state"]) == {"s", "ask", "pay"}
    assert ended["outputData"] == ended["state"]["pay"]
    assert ended["executionSummary"]["completedNodes"] == ["s", "ask", "pay"]


def test_an_execution_has_exactly_the_listed_fields(client: FlowraApi) -> None:
    workflow = made(client, graph(code("a", "return {x: input.n * 2}")), description="d")

    ended = come_to(client, started(client, workflow, input={"n": 4}), "completed")

    assert ended.pop("startedAt") <= ended.pop("completedAt")
    assert ended.pop("executionDurationMs") >= 0
    id = ended["id"]
    assert ended == {
        "id": id,
        "workflowId": workflow,
        "workflowName": "Flow",
        "projectId": client.workspace,
        "eUID": client.workspace,
        "isOwnExecution": True,
        "threadId": id,
        "inputData": {"n": 4},
        "outputData": {"x": 8},
        "status": "completed",
        "currentNodeId": None,
        "executionSummary": {"completedNodes": ["s", "a"], "failedNodes": [], "errors": [], "totalNodes": 2},
        "executionMode": "production",
        "workflowType": "static",
        "usage": {"credits": 0, "usdCost": None, "breakdown": {}},
        "state": {"s": {"n": 4}, "a": {"x": 8}},
    }


# Starting


def test_manual_execute_works_on_an_inactive_workflow(client: FlowraApi) -> None:
    workflow = made(client, graph(code("a")))
    client.answer("PATCH", f"{BASE}/activeStatus/{workflow}", {"activeStatus": False})

    come_to(client, started(client, workflow), "completed")


def test_a_draft_is_not_executed(client: FlowraApi) -> None:
    draft = client.answer("POST", f"{BASE}/create", {"name": "Draft"}, 201)["data"]["id"]

    refused(client("POST", f"{BASE}/execute/{draft}"), 400, "Workflow is a draft")


def test_the_same_key_starts_one_execution(client: FlowraApi) -> None:
    workflow = made(client, graph(code("a")))
    headers = {"Idempotency-Key": "once"}

    first = client("POST", f"{BASE}/execute/{workflow}", {}, headers=headers)
    second = client("POST", f"{BASE}/execute/{workflow}", {}, headers=headers)

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.headers["Idempotency-Replayed"] == "true"
    assert decode(first.content)["executionId"] == decode(second.content)["executionId"]


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        ({"input": 5}, 400, ["input"]),
        ({"mode": "dry"}, 400, ["mode"]),
        ({"threadId": UNKNOWN}, 404, []),
        ({"threadId": "x"}, 404, []),
        ([], 400, [""]),
    ],
)
def test_a_bad_start_is_refused(client: FlowraApi, body: Json, status: int, fields: list[str]) -> None:
    workflow = made(client, graph(code("a")))

    assert refused(client("POST", f"{BASE}/execute/{workflow}", body), status) == fields


def test_the_input_is_checked_by_the_schema_of_the_graph(client: FlowraApi) -> None:
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    workflow = made(client, {**graph(code("a")), "inputSchema": schema})

    assert refused(client("POST", f"{BASE}/execute/{workflow}", {"input": {}}), 400) == ["n"]


def test_a_thread_of_another_workflow_is_refused(client: FlowraApi) -> None:
    thread = started(client, made(client, graph(code("a"))))
    other = made(client, graph(code("a")))

    assert refused(client("POST", f"{BASE}/execute/{other}", {"threadId": thread}), 400) == ["threadId"]


def test_in_test_mode_actions_do_not_leave_the_server(client: FlowraApi) -> None:
    pay = {"id": "p", "type": "action", "toolSlug": "STRIPE_CREATE_INVOICE"}
    pay["inputMapping"] = {"customerId": "c", "amount": "{{input.amount}}"}
    workflow = made(client, graph(pay))

    ended = come_to(client, started(client, workflow, mode="test", input={"amount": 5}), "completed")

    assert ended["executionMode"] == "test"
    assert ended["state"]["p"] == {"mock": True, "input": {"customerId": "c", "amount": 5}}


def test_a_subworkflow_runs_for_the_same_user_and_in_the_same_mode(client: FlowraApi, api: Api) -> None:
    pay = {"id": "p", "type": "action", "action": "stripe.createInvoice", "config": {"customerId": "c", "amount": 1}}
    child = api.workflow({"name": "Child", "trigger": {"type": "api"}, "steps": [pay]})
    sub = {"id": "sub", "type": "subworkflow", "config": {"workflowId": child}}
    parent = bare(api.workflow({"name": "Parent", "trigger": {"type": "api"}, "steps": [sub]}))
    ada = client.user("ada")

    ended = come_to(ada, started(ada, parent, mode="test"), "completed")

    below = ada.answer("GET", f"{BASE}/executions?workflowId={child}")["data"]
    assert ended["state"]["sub"]["result"]["mock"] is True
    assert [(each["executionMode"], each["eUID"]) for each in below] == [("test", ended["eUID"])]


def test_code_sees_the_user_of_the_run(client: FlowraApi) -> None:
    workflow = made(
        client, graph(code("a", "return user"), code("b", "return input", inputMapping="{{user.username}}"))
    )

    ended = come_to(client.user("ada"), started(client.user("ada"), workflow), "completed")

    assert ended["state"]["a"]["username"] == "ada"
    assert ended["state"]["b"] == "ada"
    assert ended["state"]["a"]["id"] == ended["eUID"]


# Ends that are no success


def test_a_failed_node_is_told_with_its_error(client: FlowraApi) -> None:
    workflow = made(client, graph(code("a", "throw new Error('no')"), code("b")))

    ended = come_to(client, started(client, workflow), "failed")

    errors = [{"nodeId": "a", "nodeType": "code", "error": "Error: no (line 1)"}]
    assert ended["executionSummary"] == {
        "completedNodes": ["s"],
        "failedNodes": ["a"],
        "errors": errors,
        "totalNodes": 3,
    }
    assert ended["outputData"] is None
    assert "cancelled" not in ended


def test_a_cancelled_execution_shows_failed(client: FlowraApi) -> None:
    run = started(client, made(client, ASKING))
    come_to(client, run, "paused")

    cancelled = client.answer("POST", f"{BASE}/executions/{run}/cancel")["data"]

    assert (cancelled["status"], cancelled["cancelled"]) == ("failed", True)
    assert "cancelled" in [error["error"] for error in cancelled["executionSummary"]["errors"]]
    refused(client("POST", f"{BASE}/executions/{run}/cancel"), 409)
    refused(client("POST", f"{BASE}/executions/{UNKNOWN}/cancel"), 404)


def test_a_run_that_takes_too_long_shows_timeout(client: FlowraApi, api: Api) -> None:
    run = bare(api.start(api.workflow({**waiting(), "settings": {"timeoutMs": 30}})))

    ended = until(client, run, lambda found: found["completedAt"])

    assert ended["status"] == "timeout"
    assert ended["executionSummary"]["errors"]
    assert listed(client, "status=timeout") == ([run], 1)


def test_an_end_maps_the_output_and_is_passed(client: FlowraApi) -> None:
    end = {"id": "e", "type": "end", "inputMapping": {"sum": "{{nodes.a.output}}"}}
    workflow = made(client, graph(code("a", "return 7"), end))

    ended = come_to(client, started(client, workflow), "completed")

    assert ended["outputData"] == {"sum": 7}
    assert ended["executionSummary"]["completedNodes"] == ["s", "a", "e"]
    assert ended["state"]["e"] == {"sum": 7}


# Lists


def listed(client: FlowraApi, query: str = "", path: str = "/executions") -> tuple[list[str], int]:
    body = client.answer("GET", f"{BASE}{path}?{query}")
    return [row["id"] for row in body["data"]], body["total"]


def test_executions_are_listed_newest_first_and_filtered(client: FlowraApi) -> None:
    done, asking = made(client, graph(code("a")), name="Alpha"), made(client, ASKING, name="Beta")
    first, second = started(client, done), started(client, asking)
    third = started(client, asking, threadId=second)
    come_to(client, first, "completed")
    for run in (second, third):
        come_to(client, run, "paused")

    assert listed(client) == ([third, second, first], 3)
    assert listed(client, f"workflowId={done}") == ([first], 1)
    assert listed(client, f"workflowId=wf_{done}") == ([first], 1)
    assert listed(client, path=f"/{asking}/executions") == ([third, second], 2)
    assert listed(client, "status=paused") == ([third, second], 2)
    assert listed(client, "status=completed") == ([first], 1)
    assert listed(client, f"threadId={second}") == ([third, second], 2)
    assert listed(client, f"threadId={first}&status=paused") == ([], 0)
    assert listed(client, "sortOrder=ASC") == ([first, second, third], 3)
    assert listed(client, "sortBy=startedAt&sortOrder=ASC") == ([first, second, third], 3)
    assert listed(client, "q=bet") == ([third, second], 2)
    assert listed(client, "workflowId=nonsense") == ([], 0)
    assert listed(client, "threadId=nonsense") == ([], 0)


def test_pages_of_executions_agree(client: FlowraApi) -> None:
    workflow = made(client, graph(code("a")))
    runs = [started(client, workflow) for _ in range(5)][::-1]

    pages = [client.answer("GET", f"{BASE}/executions?limit=2&page={page}") for page in (1, 2, 3)]
    after = client.answer("GET", f"{BASE}/executions?limit=2&cursor={pages[0]['nextCursor']}")

    assert [[row["id"] for row in page["data"]] for page in pages] == [runs[:2], runs[2:4], runs[4:]]
    assert [page["hasNextPage"] for page in pages] == [True, True, False]
    assert {(page["total"], page["totalPages"]) for page in pages} == {(5, 3)}
    assert [row["id"] for row in after["data"]] == runs[2:4]


def test_a_list_can_be_reduced_to_fields(client: FlowraApi) -> None:
    run = started(client, made(client, graph(code("a"))))

    body = client.answer("GET", f"{BASE}/executions?fields=status,threadId")

    assert [set(row) for row in body["data"]] == [{"id", "status", "threadId"}]
    assert body["data"][0]["id"] == run


@pytest.mark.parametrize("query", ["limit=101", "page=0", "status=done", "sortBy=x", "cursor=x", "sortOrder=up"])
def test_a_bad_query_is_refused(client: FlowraApi, query: str) -> None:
    assert refused(client("GET", f"{BASE}/executions?{query}"), 400) == [query.split("=")[0]]


# Users


def test_each_user_sees_its_own_executions_only(client: FlowraApi) -> None:
    workflow = made(client, ASKING)
    ada, bob = client.user("ada"), client.user("bob")
    hers, his = started(ada, workflow), started(bob, workflow)

    assert listed(ada) == ([hers], 1)
    assert listed(bob, f"workflowId={workflow}") == ([his], 1)
    assert listed(client)[1] == 2
    come_to(ada, hers, "paused")
    for path in (f"/executions/{hers}", f"/executions/thread/{hers}/status"):
        refused(bob("GET", f"{BASE}{path}"), 404)
    refused(bob("POST", f"{BASE}/executions/thread/{hers}/resume", {}), 404)
    refused(bob("POST", f"{BASE}/executions/{hers}/cancel"), 404)
    assert client.answer("GET", f"{BASE}/executions/{hers}")["data"]["isOwnExecution"] is False
    assert ada.answer("GET", f"{BASE}/executions/{hers}")["data"]["isOwnExecution"] is True
    resume(ada, hers)
    assert come_to(ada, hers, "completed")["state"]["ask"]["by"] == "ada"


def test_what_belongs_to_nobody_is_the_default_users(client: FlowraApi, api: Api) -> None:
    run = bare(api.start(api.workflow(waiting())))
    default = client.user("project_default_user")

    assert listed(default) == ([run], 1)
    assert default.answer("GET", f"{BASE}/executions/{run}")["data"]["isOwnExecution"] is True
    refused(client.user("ada")("GET", f"{BASE}/executions/{run}"), 404)


def test_a_retry_belongs_to_the_thread(client: FlowraApi, api: Api) -> None:
    workflow = made(client, graph(code("a", "throw new Error('no')")))
    first = started(client.user("ada"), workflow)
    come_to(client, first, "failed")

    second = bare(api.data("POST", f"/runs/run_{first}/retry", {})["newRunId"])

    again = come_to(client.user("ada"), second, "failed")
    assert again["threadId"] == first
    assert client.answer("GET", f"{BASE}/executions/thread/{first}/status")["executionId"] == second


def test_scopes_are_asked_for(client: FlowraApi) -> None:
    workflow = made(client, graph(code("a")))
    reading, running = client.scoped("runs:read"), client.scoped("workflows:execute")

    refused(reading("POST", f"{BASE}/execute/{workflow}"), 403)
    refused(running("GET", f"{BASE}/executions"), 403)
    assert started(running, workflow)
