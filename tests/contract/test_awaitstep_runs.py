"""Runs as they are read and listed. Source: AwaitStep contract 6, 13."""

import pytest

from awaitstep_client import AwaitstepApi, awaitstep
from awaitstep_graphs import graph, node, step
from awaitstep_runs import NOWHERE, TARGET, approval, compiled, event, final, held, trigger, until
from live import Api, waiting
from stepwell.values import Json


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


def ids(client: AwaitstepApi, path: str) -> list[str]:
    return [row["id"] for row in client.answer("GET", path)["data"]]


def test_a_run_is_read_by_its_id_and_by_its_instance_id(client: AwaitstepApi) -> None:
    workflow = compiled(client)
    run = final(client, trigger(client, workflow))

    read = [client.answer("GET", f"/api/workflows/{workflow}/runs/{run[id]}") for id in ("id", "instanceId")]

    assert read[0] == read[1]


@pytest.mark.parametrize("named", [NOWHERE, f"run_{NOWHERE}", "x"])
def test_an_unknown_run_is_not_found(client: AwaitstepApi, named: str) -> None:
    assert client.error("GET", f"/api/workflows/{compiled(client)}/runs/{named}", status=404) == "Run not found"


def test_a_run_is_not_found_under_another_workflow(client: AwaitstepApi) -> None:
    run = trigger(client, compiled(client))

    assert client.error("GET", f"/api/workflows/{compiled(client)}/runs/{run['id']}", status=404) == "Run not found"


def test_a_run_that_waits_for_an_event_is_paused_and_says_for_what_and_until_when(client: AwaitstepApi) -> None:
    run = held(client, trigger(client, compiled(client, approval())))

    (wait,) = run["waitingFor"]
    until_ = wait.pop("until")
    assert wait == {"type": "event", "nodeId": "decision", "eventType": "approval-decision"}
    assert until_ > run["createdAt"]
    assert "pausedBy" not in run


def test_a_run_that_sleeps_is_paused(client: AwaitstepApi) -> None:
    run = held(client, trigger(client, compiled(client, graph(node("nap", "sleep", duration="1 hour"), edges=""))))

    (wait,) = run["waitingFor"]
    assert (wait["type"], wait["nodeId"], sorted(wait)) == ("sleep", "nap", ["nodeId", "type", "until"])


def test_an_error_is_told_as_text_and_in_detail(client: AwaitstepApi) -> None:
    workflow = compiled(client, graph(step("pay", "throw new TypeError('card declined')"), edges=""))

    run = final(client, trigger(client, workflow))

    assert (run["status"], run["error"], run["output"], run["outputJson"]) == ("errored", "card declined", None, None)
    assert run["errorDetail"] == {
        "name": "TypeError",
        "message": "card declined",
        "code": "STEP_ERROR",
        "nodeId": "pay",
        "attempts": 1,
    }


def test_a_wait_that_is_over_is_a_timeout_error(client: AwaitstepApi) -> None:
    wait = node("decision", "wait_for_event", eventType="e", timeout=1)

    run = final(client, trigger(client, compiled(client, graph(wait, edges=""))))

    assert (run["status"], run["errorDetail"]["name"], run["errorDetail"]["nodeId"]) == (
        "errored",
        "TimeoutError",
        "decision",
    )


def test_an_error_that_is_not_retryable_is_not_tried_again(client: AwaitstepApi) -> None:
    code = "throw new NonRetryableError('never')"
    run = final(client, trigger(client, compiled(client, graph(step("pay", code, retryLimit=3), edges=""))))

    assert (run["error"], run["errorDetail"]["name"], run["errorDetail"]["attempts"]) == (
        "never",
        "NonRetryableError",
        1,
    )


def test_steps_are_the_nodes_of_the_graph_in_its_order(client: AwaitstepApi) -> None:
    workflow = compiled(client, approval())
    run = held(client, trigger(client, workflow))

    assert [(each["nodeId"], each["type"], each["status"]) for each in run["steps"]] == [
        ("decision", "wait_for_event", "waiting"),
        ("route", "branch", "pending"),
        ("pay", "step", "pending"),
        ("refuse", "step", "pending"),
    ]


def test_the_output_of_a_run_is_the_value_of_the_last_node_that_ran(client: AwaitstepApi) -> None:
    ir = graph(step("a", "return 1"), step("b", "return a + 1"), edges="a>b")

    run = final(client, trigger(client, compiled(client, ir)))

    assert (run["output"], [each["output"] for each in run["steps"]]) == (2, [1, 2])


def test_lists_are_newest_first_and_go_on_after_a_cursor(client: AwaitstepApi) -> None:
    workflow = compiled(client)
    runs = [trigger(client, workflow)["id"] for _ in range(5)]
    path = f"/api/workflows/{workflow}/runs?limit=2"

    seen: list[str] = []
    cursor: Json = ""
    while cursor is not None:
        page = client.answer("GET", path + (f"&cursor={cursor}" if cursor else ""))
        seen += [row["id"] for row in page["data"]]
        cursor = page["nextCursor"]

    assert seen == runs[::-1]
    assert list(page) == ["data", "nextCursor"]
    assert "steps" not in page["data"][0]


def test_the_filters_tell_waiting_runs_from_those_that_somebody_paused(client: AwaitstepApi) -> None:
    wait, nap = compiled(client, approval()), client.native.workflow(waiting())
    decision, sleep = held(client, trigger(client, wait)), held(client, trigger(client, nap))
    manual = held(client, trigger(client, wait))
    client.answer("POST", f"/api/workflows/{wait}/runs/{manual['id']}/pause")
    done = final(client, trigger(client, compiled(client)))

    assert ids(client, "/api/runs?status=waiting") == [sleep["id"], decision["id"]]
    assert ids(client, "/api/runs?status=paused") == [manual["id"], sleep["id"], decision["id"]]
    assert ids(client, "/api/runs?status=complete") == [done["id"]]
    assert ids(client, f"/api/runs?status=waiting&workflowId={nap}") == [sleep["id"]]
    assert ids(client, "/api/runs?status=running") == []


def test_pages_of_waiting_runs_lose_and_repeat_none_of_them(client: AwaitstepApi) -> None:
    wait, done = compiled(client, approval()), compiled(client)
    waiting_: list[str] = []
    for _ in range(5):
        waiting_ += [held(client, trigger(client, wait))["id"]]
        final(client, trigger(client, done))

    seen: list[str] = []
    cursor: Json = ""
    while cursor is not None:
        page = client.answer("GET", "/api/runs?status=waiting&limit=2" + (f"&cursor={cursor}" if cursor else ""))
        seen += [row["id"] for row in page["data"]]
        cursor = page["nextCursor"]

    assert seen == waiting_[::-1]


@pytest.mark.parametrize("query", ["status=done", "limit=0", "limit=101", "cursor=x", "limit=a"])
def test_a_faulty_query_is_refused(client: AwaitstepApi, query: str) -> None:
    answer = client.answer("GET", f"/api/runs?{query}", status=422)

    assert [each["path"] for each in answer["details"]] == [query.partition("=")[0]]


def test_a_run_waits_for_another_one(client: AwaitstepApi) -> None:
    child = client.native.workflow(waiting())
    call = {"id": "call", "type": "subworkflow", "config": {"workflowId": child, "input": {}}}
    parent = client.native.workflow({"name": "Parent", "trigger": {"type": "api"}, "steps": [call]})

    run = until(client, trigger(client, parent), lambda found: found["waitingFor"])

    assert [(wait["type"], wait["nodeId"]) for wait in run["waitingFor"]] == [("child", "call")]
    assert run["waitingFor"][0]["runId"] in ids(client, f"/api/workflows/{child}/runs")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("POST", "/pause", None),
        ("POST", "/resume", None),
        ("POST", "/terminate", None),
    ],
)
@pytest.mark.parametrize("deleted", [True, False])
def test_a_run_of_a_workflow_that_was_put_away_is_not_found(
    client: AwaitstepApi, method: str, path: str, body: Json, deleted: bool
) -> None:
    workflow = compiled(client)
    run = final(client, trigger(client, workflow))
    put_away(client, workflow, deleted)

    error = client.error(method, f"/api/workflows/{workflow}/runs/{run['id']}{path}", body, 404)

    assert error == "Workflow not found"


@pytest.mark.parametrize("deleted", [True, False])
def test_a_workflow_that_was_put_away_lists_and_takes_nothing(client: AwaitstepApi, deleted: bool) -> None:
    workflow = compiled(client)
    run = final(client, trigger(client, workflow))
    put_away(client, workflow, deleted)
    path = f"/api/workflows/{workflow}"

    told = [
        client.error("GET", f"{path}/runs", status=404),
        client.error("POST", f"{path}/trigger", event(run["id"]), 404),
        client.error("POST", f"{path}/trigger", {"connectionId": TARGET}, 404),
        client.error("POST", f"/api/v1/workflows/{workflow}/runs/{run['id']}/events", {"eventType": "e"}, 404),
        client.error("DELETE", f"/api/v1/workflows/{workflow}/runs/{run['id']}", status=404),
    ]

    assert told == ["Workflow not found"] * 5
    assert ids(client, f"/api/runs?workflowId={workflow}") == []


def put_away(client: AwaitstepApi, workflow: str, deleted: bool) -> None:
    """Delete a workflow in this dialect, or archive it in another."""
    if deleted:
        client.answer("DELETE", f"/api/workflows/{workflow}")
    else:
        client.native.data("DELETE", f"/workflows/{workflow}")
