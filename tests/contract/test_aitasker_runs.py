"""Runs of the AITasker dialect: started, listed, read, cancelled. Source: AITasker contract 4.1, 5, 6, 12."""

from typing import Any

import pytest

from aitasker_client import AitaskerApi, aitasker, detail, places, shape_node, task_node
from live import Api, NewApi
from live import transform as native_transform
from stepwell.values import Json, decode

RUN = (
    "id",
    "workflow_id",
    "status",
    "created_at",
    "triggered_by",
    "trigger_payload",
    "started_at",
    "completed_at",
    "error_message",
    "total_cost_cents",
    "node_runs",
)
NODE_RUN = (
    "id",
    "workflow_run_id",
    "workflow_node_id",
    "status",
    "created_at",
    "task_id",
    "input_data",
    "output_data",
    "started_at",
    "completed_at",
)
NOWHERE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def client(api: Api) -> AitaskerApi:
    return aitasker(api)


def failing(position: int = 0, **fields: Json) -> Json:
    """A node that fails: nothing may be reached there."""
    config = {"provider": "http", "params": {"method": "GET", "url": "http://127.0.0.1:1/"}}
    return {"position": position, "node_type": "api_call", "node_config": config, "max_retries": 0, **fields}


@pytest.mark.parametrize("body", [None, {}, {"trigger_payload": {}}, {"trigger_payload": None}])
def test_a_trigger_without_a_payload_starts_a_run_with_an_empty_one(client: AitaskerApi, body: Json) -> None:
    workflow = client.workflow(shape_node())["id"]

    run = client.answer("POST", client.ws(f"/workflows/{workflow}/trigger"), body)

    assert (run["trigger_payload"], run["total_cost_cents"]) == ({}, 0)


def test_the_answer_of_a_trigger_has_these_keys_in_this_order_and_every_node_pending(client: AitaskerApi) -> None:
    workflow = client.workflow(shape_node(0), shape_node(1))

    response = client("POST", client.ws(f"/workflows/{workflow['id']}/trigger"), {"trigger_payload": {"topic": "x"}})
    run = decode(response.content)

    assert tuple(run) == RUN
    assert [tuple(node) for node in run["node_runs"]] == [NODE_RUN, NODE_RUN]
    assert (run["status"], run["triggered_by"], run["trigger_payload"]) == ("pending", "api", {"topic": "x"})
    assert (run["started_at"], run["completed_at"], run["error_message"]) == (None, None, None)
    assert [node["status"] for node in run["node_runs"]] == ["pending", "pending"]
    assert [node["workflow_node_id"] for node in run["node_runs"]] == [node["id"] for node in workflow["nodes"]]
    assert {node["workflow_run_id"] for node in run["node_runs"]} == {run["id"]}
    assert all(node["input_data"] == {} and node["output_data"] == {} for node in run["node_runs"])


@pytest.mark.parametrize(("payload", "place"), [([1], "dict_type"), ("x", "dict_type"), (1, "dict_type")])
def test_a_payload_that_is_no_object_is_refused(client: AitaskerApi, payload: Json, place: str) -> None:
    workflow = client.workflow(shape_node())["id"]

    response = client("POST", client.ws(f"/workflows/{workflow}/trigger"), {"trigger_payload": payload})

    (fault,) = detail(response, 422)
    assert (fault["type"], fault["loc"], fault["input"]) == (place, ["body", "trigger_payload"], payload)
    assert fault["msg"] == "Input should be a valid dictionary"


def test_both_malformed_ids_of_a_path_are_told(client: AitaskerApi) -> None:
    response = client("POST", "/workspaces/abc/workflows/def/trigger", {})

    first, second = detail(response, 422)
    assert first == {
        "type": "uuid_parsing",
        "loc": ["path", "workspace_id"],
        "msg": "Input should be a valid UUID",
        "input": "abc",
    }
    assert (second["loc"], second["input"]) == (["path", "workflow_id"], "def")


def test_ids_may_be_written_in_any_case_and_without_hyphens(client: AitaskerApi) -> None:
    workflow = client.workflow(shape_node())["id"]
    path = f"/workspaces/{client.workspace.upper()}/workflows/{workflow.replace('-', '')}/trigger"

    assert client("POST", path, {}).status_code == 200


def test_unknown_foreign_and_mismatched_things_are_not_found(client: AitaskerApi, new_api: NewApi) -> None:
    other = aitasker(new_api())
    foreign, own = other.workflow(shape_node())["id"], client.workflow(shape_node())["id"]
    run = client.trigger(own)["id"]
    second = client.workflow(shape_node())["id"]

    told = [
        detail(client("POST", f"/workspaces/{NOWHERE}/workflows/{own}/trigger", {}), 404),
        detail(client("POST", f"/workspaces/{other.workspace}/workflows/{foreign}/trigger", {}), 404),
        detail(client("POST", client.ws(f"/workflows/{foreign}/trigger"), {}), 404),
        detail(client("GET", f"/workflows/{second}/runs/{run}"), 404),
        detail(client("GET", f"/workflows/{own}/runs/{NOWHERE}"), 404),
    ]
    assert told == [
        "Workspace not found",
        "Workspace not found",
        "Workflow not found",
        "Run not found",
        "Run not found",
    ]


def test_keys_are_asked_for_first_and_scopes_after_the_path(client: AitaskerApi) -> None:
    workflow = client.workflow(shape_node())["id"]
    reader = client.scoped("runs:read")
    path = client.ws(f"/workflows/{workflow}/trigger")
    anonymous = client("POST", path, {}, headers={"Authorization": ""})
    unknown = client("POST", path, {}, headers={"Authorization": "Bearer aitk_live_wrong"})

    assert (detail(anonymous, 401), anonymous.headers["WWW-Authenticate"]) == ("Not authenticated", "Bearer")
    assert detail(unknown, 401) == "Invalid token"
    assert detail(reader("POST", path, {}), 403) == "Missing scope: workflows:execute"
    assert places(reader("POST", "/workspaces/abc/workflows/def/trigger", {})) == [
        ["path", "workspace_id"],
        ["path", "workflow_id"],
    ]


def test_a_run_completes_and_each_node_shows_what_it_was_given_and_gave(client: AitaskerApi) -> None:
    workflow = client.workflow(shape_node(0, {"n": "{{trigger.n}}"}), shape_node(1, {"m": "{{nodes.0.output.n}}"}))[
        "id"
    ]

    run = client.final(workflow, client.trigger(workflow, {"n": 7})["id"])

    assert (run["status"], run["error_message"]) == ("completed", None)
    assert [node["status"] for node in run["node_runs"]] == ["completed", "completed"]
    assert [node["output_data"] for node in run["node_runs"]] == [{"n": 7}, {"m": 7}]
    assert all(node["started_at"] and node["completed_at"] for node in run["node_runs"])
    assert run["started_at"] <= run["completed_at"]


def test_a_failed_node_fails_the_run_and_what_comes_after_it_is_skipped(client: AitaskerApi) -> None:
    workflow = client.workflow(shape_node(0), failing(1), shape_node(2))["id"]

    run = client.final(workflow, client.trigger(workflow)["id"])

    assert run["status"] == "failed"
    assert run["error_message"].startswith("Node 1 (")
    assert ") failed after 1 attempt: " in run["error_message"]
    assert [node["status"] for node in run["node_runs"]] == ["completed", "failed", "skipped"]
    assert set(run["node_runs"][1]["output_data"]) == {"error"}
    assert run["node_runs"][1]["output_data"]["error"]["attempts"] == 1


@pytest.mark.parametrize("status", ["draft", "paused"])
def test_a_workflow_that_is_not_active_is_not_started(client: AitaskerApi, status: str) -> None:
    workflow = client.workflow(shape_node(), status=status)["id"]

    refused = client("POST", client.ws(f"/workflows/{workflow}/trigger"), {})

    assert detail(refused, 409) == f"Workflow is not active (status: {status})"


def test_a_workflow_without_nodes_is_not_started(client: AitaskerApi) -> None:
    workflow = client.workflow()["id"]

    assert detail(client("POST", client.ws(f"/workflows/{workflow}/trigger"), {}), 400) == "Workflow has no nodes"


def test_a_payload_over_256_kib_is_too_large(client: AitaskerApi) -> None:
    workflow = client.workflow(shape_node())["id"]

    refused = client("POST", client.ws(f"/workflows/{workflow}/trigger"), {"trigger_payload": {"x": "x" * 262_144}})

    assert detail(refused, 413) == "Trigger payload is larger than 262144 bytes"


def test_the_same_idempotency_key_gets_the_same_run(client: AitaskerApi) -> None:
    workflow = client.workflow(shape_node())["id"]
    path, key = client.ws(f"/workflows/{workflow}/trigger"), {"Idempotency-Key": "one"}

    first, second = (client.answer("POST", path, {"trigger_payload": {}}, headers=key) for _ in range(2))

    assert first["id"] == second["id"]
    assert len(client.answer("GET", f"/workflows/{workflow}/runs")) == 1


def test_a_repeat_gets_the_first_answer_whatever_has_come_since(client: AitaskerApi) -> None:
    workflow = client.workflow(shape_node())["id"]
    path, key = client.ws(f"/workflows/{workflow}/trigger"), {"Idempotency-Key": "one"}
    first = client.answer("POST", path, {"trigger_payload": {"n": 1}}, headers=key)
    client.final(workflow, first["id"])
    client.answer("PUT", f"/workflows/{workflow}", {"status": "paused"})

    assert client.answer("POST", path, {"trigger_payload": {"n": 1}}, headers=key) == first
    refused = client("POST", path, {}, headers={"Idempotency-Key": "two"})
    assert detail(refused, 409) == "Workflow is not active (status: paused)"


def test_runs_are_listed_newest_first_with_their_nodes_in_both_forms(client: AitaskerApi) -> None:
    workflow = client.workflow(shape_node())["id"]
    ids = [client.trigger(workflow)["id"] for _ in range(3)]
    for id in ids:
        client.final(workflow, id)

    response = client("GET", f"/workflows/{workflow}/runs?limit=2")
    listed = decode(response.content)

    assert [run["id"] for run in listed] == [ids[2], ids[1]]
    assert response.headers["X-Total-Count"] == "3"
    assert client.answer("GET", client.ws(f"/workflows/{workflow}/runs?limit=2")) == listed
    assert listed[0] == client.run(workflow, ids[2])
    assert listed[0] == client.answer("GET", client.ws(f"/workflows/{workflow}/runs/{ids[2]}"))
    assert [run["id"] for run in client.answer("GET", f"/workflows/{workflow}/runs?offset=2")] == [ids[0]]


def test_runs_are_filtered_by_the_words_of_the_dialect_only(client: AitaskerApi) -> None:
    workflow = client.workflow(failing())["id"]
    run = client.trigger(workflow)["id"]
    client.final(workflow, run)

    found = {
        word: [each["id"] for each in client.answer("GET", f"/workflows/{workflow}/runs?status={word}")]
        for word in ("pending", "running", "waiting", "paused", "completed", "failed", "cancelled")
    }

    assert {word for word, ids in found.items() if ids} == {"failed"}
    assert places(client("GET", f"/workflows/{workflow}/runs?status=timed_out")) == [["query", "status"]]
    assert places(client("GET", f"/workflows/{workflow}/runs?limit=201&offset=-1")) == [
        ["query", "limit"],
        ["query", "offset"],
    ]


def test_the_native_api_shows_the_same_run(client: AitaskerApi) -> None:
    workflow = client.workflow(shape_node())["id"]
    run = client.final(workflow, client.trigger(workflow)["id"])

    native = client.native.data("GET", f"/runs/run_{run['id']}")

    assert (native["status"], native["workflowId"]) == ("completed", f"wf_{workflow}")


def test_a_workflow_of_another_dialect_shows_each_step_as_a_node(client: AitaskerApi) -> None:
    workflow = client.native.workflow(native_transform()).removeprefix("wf_")

    run = client.final(workflow, client.trigger(workflow)["id"])

    assert (run["status"], [node["status"] for node in run["node_runs"]]) == ("completed", ["completed"])


def test_what_steps_declare_to_cost_is_summed_in_whole_cents(client: AitaskerApi) -> None:
    def priced(position: int) -> Json:
        node: dict[str, Any] = shape_node(position)
        node["node_config"]["costCents"] = 0.4
        return node

    workflow = client.workflow(*(priced(position) for position in range(3)))["id"]
    run = client.final(workflow, client.trigger(workflow)["id"])

    costs = client.answer("GET", client.ws(f"/workflows/{workflow}/runs/{run['id']}/costs"))

    assert (run["total_cost_cents"], costs["total_cost_cents"], costs["max_budget_cents"]) == (1, 1, None)
    assert [node["cost_exact"] for node in costs["nodes"]] == ["0.4"] * 3
    assert [(node["cost_cents"], node["attempts"], node["retry_count"]) for node in costs["nodes"]] == [(0, 1, 0)] * 3


def test_a_budget_stops_the_run_before_the_node_that_would_break_it(client: AitaskerApi) -> None:
    def priced(position: int, cents: int) -> Json:
        node: dict[str, Any] = shape_node(position)
        node["node_config"]["costCents"] = cents
        return node

    workflow = client.workflow(priced(0, 480), priced(1, 50), priced(2, 1), max_budget_cents=500)["id"]

    run = client.final(workflow, client.trigger(workflow)["id"])

    assert (run["status"], run["total_cost_cents"]) == ("failed", 480)
    assert run["error_message"] == "Budget of 500 cents exceeded: 480 spent, next node needs 50"
    assert [node["status"] for node in run["node_runs"]] == ["completed", "skipped", "skipped"]


def test_a_paused_pool_starts_no_runs_until_it_is_resumed(client: AitaskerApi) -> None:
    workflow = client.workflow(shape_node())["id"]
    boss = client.scoped("admin")
    agent = boss.answer("GET", boss.ws())["hired_agent_id"]
    path = client.ws(f"/workflows/{workflow}/trigger")

    paused = [boss.answer("POST", f"/workspaces/agents/{agent}/pause")["status"] for _ in range(2)]
    refused = client("POST", path, {})
    native = client.native.post(f"/workflows/wf_{workflow}/run", {})
    resumed = boss.answer("POST", f"/workspaces/agents/{agent}/resume")

    assert paused == ["paused", "paused"]
    assert detail(refused, 409) == "Hired agent is paused"
    assert native.status_code == 400
    assert (resumed["status"], resumed["workspace"]["status"]) == ("active", "active")
    assert client("POST", path, {}).status_code == 200


def test_an_open_run_is_cancelled_once(client: AitaskerApi) -> None:
    workflow = client.workflow(task_node())["id"]
    run = client.trigger(workflow)["id"]
    client.until(workflow, run, lambda found: found["status"] == "waiting")

    cancelled = client.answer("POST", f"/workflows/{workflow}/runs/{run}/cancel")

    assert (cancelled["status"], [node["status"] for node in cancelled["node_runs"]]) == ("cancelled", ["cancelled"])
    assert cancelled["error_message"] is None
    assert detail(client("POST", client.ws(f"/workflows/{workflow}/runs/{run}/cancel")), 409) == "Run is cancelled"
