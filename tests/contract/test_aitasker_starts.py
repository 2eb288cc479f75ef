"""What starts runs of the AITasker dialect, what becomes of runs under way, and how they end. Source: AITasker contract
4.1, 5, 6, 7."""

import hmac
import json
import time
from typing import Any

import pytest
import requests

from aitasker_client import AitaskerApi, aitasker, detail, places, shape_node, task_node
from live import PATIENCE_S, Api
from stepwell.core import StartRequest
from stepwell.values import Json, encode

SECRET = "a secret of enough characters"
SCHEDULE = {"trigger_type": "schedule", "trigger_config": {"cron": "0 9 1 1 *", "timezone": "UTC"}}
WEBHOOK = {"trigger_type": "webhook", "trigger_config": {"secret": SECRET}}


@pytest.fixture
def client(api: Api) -> AitaskerApi:
    return aitasker(api)


def deliver(client: AitaskerApi, workflow: Json, body: Json) -> requests.Response:
    """A signed delivery to a workflow's webhook."""
    raw = encode(body)
    signature = hmac.digest(SECRET.encode(), raw, "sha256").hex()
    headers = {"x-signature": signature, "Content-Type": "application/json"}
    return requests.post(_local(client, workflow), data=raw, headers=headers, timeout=PATIENCE_S)


def only_run(client: AitaskerApi, workflow: str) -> Any:
    [run] = client.answer("GET", f"/workflows/{workflow}/runs")
    return run


def test_a_delivery_starts_a_run_that_says_so(client: AitaskerApi) -> None:
    made = client.workflow(shape_node(), **WEBHOOK)

    assert deliver(client, made, {"n": 1}).status_code == 200

    run = client.final(made["id"], only_run(client, made["id"])["id"])
    assert (run["triggered_by"], run["status"]) == ("webhook", "completed")


def test_a_delivery_to_a_paused_workflow_starts_nothing(client: AitaskerApi) -> None:
    made = client.workflow(shape_node(), **WEBHOOK)
    client.answer("PUT", f"/workflows/{made['id']}", {"status": "paused"})

    deliver(client, made, {"n": 1})

    assert client.answer("GET", f"/workflows/{made['id']}/runs") == []


@pytest.mark.parametrize("fields", [{}, SCHEDULE, WEBHOOK])
def test_the_trigger_endpoint_starts_workflows_of_every_trigger_type(client: AitaskerApi, fields: Json) -> None:
    workflow = client.workflow(shape_node(), **fields)["id"]

    assert client.trigger(workflow)["triggered_by"] == "api"


def test_a_run_started_by_hand_is_manual(client: AitaskerApi) -> None:
    workflow = client.workflow(shape_node())["id"]
    server = client.native.server
    request = StartRequest(workflow=workflow, input={}, trigger="manual")

    started = server.call(server.parts.core.runs.start(client.workspace, request))

    assert client.run(workflow, started.run)["triggered_by"] == "manual"


def test_a_run_that_goes_on_with_a_failed_one_is_a_retry(client: AitaskerApi) -> None:
    node = {
        "position": 0,
        "node_type": "api_call",
        "max_retries": 0,
        "node_config": {"provider": "http", "params": {"url": "http://127.0.0.1:1/"}},
    }
    workflow = client.workflow(node)["id"]
    failed = client.final(workflow, client.trigger(workflow)["id"])["id"]

    client.native.data("POST", f"/runs/run_{failed}/retry", {})

    newest, first = client.answer("GET", f"/workflows/{workflow}/runs")
    assert (newest["triggered_by"], first["triggered_by"]) == ("retry", "api")


def test_runs_under_way_keep_their_nodes_when_the_workflow_changes(client: AitaskerApi) -> None:
    made = client.workflow(task_node(), auto_accept=True)
    path = f"/workflows/{made['id']}/nodes"
    run = client.trigger(made["id"])["id"]
    client.until(made["id"], run, lambda found: found["node_runs"][0]["task_id"])

    added = client.answer("POST", path, shape_node(1))
    client.answer("PUT", f"{path}/{made['nodes'][0]['id']}", {"task_template": {"title": "Another"}})
    task = client.answer("POST", client.ws("/tasks/claim"), {"worker_id": "w"})
    body = {"claim_token": task["claim_token"], "output_data": {}}
    client.answer("POST", client.ws(f"/tasks/{task['id']}/complete"), body)

    done = client.final(made["id"], run)
    assert task["title"] == "Do it"
    assert [node["workflow_node_id"] for node in done["node_runs"]] == [made["nodes"][0]["id"]]
    later = client.trigger(made["id"])
    assert [node["workflow_node_id"] for node in later["node_runs"]] == [made["nodes"][0]["id"], added["id"]]


@pytest.mark.parametrize("prefix", ["", "/workspaces/{}"])
def test_a_run_that_has_completed_is_not_cancelled(client: AitaskerApi, prefix: str) -> None:
    workflow = client.workflow(shape_node())["id"]
    run = client.final(workflow, client.trigger(workflow)["id"])["id"]

    refused = client("POST", f"{prefix.format(client.workspace)}/workflows/{workflow}/runs/{run}/cancel")

    assert detail(refused, 409) == "Run is completed"


def test_cancelling_takes_open_tasks_along(client: AitaskerApi) -> None:
    workflow = client.workflow(task_node(), shape_node(1))["id"]
    run = client.trigger(workflow)["id"]
    client.until(workflow, run, lambda found: found["node_runs"][0]["task_id"])

    cancelled = client.answer("POST", f"/workflows/{workflow}/runs/{run}/cancel")

    assert [node["status"] for node in cancelled["node_runs"]] == ["cancelled", "cancelled"]
    assert [task["status"] for task in client.answer("GET", client.ws("/tasks"))] == ["cancelled"]


def test_a_run_that_waits_or_is_paused_is_found_by_that_word(client: AitaskerApi) -> None:
    workflow = client.workflow(task_node())["id"]
    waits, paused = client.trigger(workflow)["id"], client.trigger(workflow)["id"]
    for run in (waits, paused):
        client.until(workflow, run, lambda found: found["status"] == "waiting")
    client.native.data("POST", f"/runs/run_{paused}/pause")

    found = {
        word: [run["id"] for run in client.answer("GET", f"/workflows/{workflow}/runs?status={word}")]
        for word in ("pending", "running", "waiting", "paused", "completed")
    }

    assert found == {"pending": [], "running": [], "waiting": [waits], "paused": [paused], "completed": []}
    assert client.run(workflow, paused)["status"] == "paused"


@pytest.mark.parametrize("title", ["", " ", "x" * 201, 7])
def test_a_title_has_1_to_200_characters(client: AitaskerApi, title: Json) -> None:
    assert places(client("POST", "/workflows", {"title": title})) == [["body", "title"]]
    assert client.workflow(title="x" * 200)["title"] == "x" * 200


# -- what is set up


def test_a_schedule_is_live_while_the_workflow_is_active(client: AitaskerApi) -> None:
    config = {"cron": "0 9 * * *", "timezone": "Europe/Berlin"}
    made = client.workflow(trigger_type="schedule", trigger_config=config)
    id = made["id"]
    store = client.native.server.parts.core.store.triggers

    def due() -> int | None:
        row = client.native.server.call(store.get(client.workspace, id))
        assert row is not None
        return row.next_at

    assert (made["trigger_config"], made.get("webhook_url")) == (config, None)
    assert due() is not None
    client.answer("PUT", f"/workflows/{id}", {"status": "paused"})
    assert due() is None
    client.answer("PUT", f"/workflows/{id}", {"status": "active"})
    assert due() is not None


@pytest.mark.parametrize(
    ("fields", "places_"),
    [
        ({"trigger_type": "schedule"}, [["body", "trigger_config", "cron"]]),
        ({"trigger_type": "schedule", "trigger_config": {"cron": "x"}}, [["body", "trigger_config", "cron"]]),
        (
            {"trigger_type": "schedule", "trigger_config": {"cron": "0 9 * * *", "timezone": "Mars"}},
            [["body", "trigger_config", "timezone"]],
        ),
        ({"trigger_type": "webhook", "trigger_config": {"secret": "short"}}, [["body", "trigger_config", "secret"]]),
        ({"trigger_type": "webhook", "trigger_config": {"filters": 1}}, [["body", "trigger_config", "filters"]]),
        ({"auto_accept_preferences": {"min_score": 101}}, [["body", "auto_accept_preferences", "min_score"]]),
    ],
)
def test_faults_of_settings_are_told_at_their_places(client: AitaskerApi, fields: Json, places_: Json) -> None:
    assert places(client("POST", "/workflows", {"title": "x", **fields})) == places_


def test_a_webhook_without_a_secret_has_an_address_that_nobody_guesses(client: AitaskerApi) -> None:
    made = client.workflow(shape_node(mapping={"got": "{{trigger.a}}"}), trigger_type="webhook")

    assert f"/webhooks/custom/{client.workspace}/" in made["webhook_url"]
    assert requests.post(_local(client, made), json={"a": 1}, timeout=PATIENCE_S).status_code == 200
    assert _one_run(client, made["id"])["output"] == {made["nodes"][0]["id"]: {"got": 1}}


def test_a_webhook_with_a_secret_takes_signed_deliveries_only_and_hides_the_secret(client: AitaskerApi) -> None:
    made = client.workflow(shape_node(), trigger_type="webhook", trigger_config={"secret": SECRET})

    assert made["webhook_url"].endswith(f"/webhooks/t/{made['id']}")
    assert SECRET not in json.dumps(made) and made["trigger_config"] == {"has_secret": True}
    assert requests.post(_local(client, made), json={}, timeout=PATIENCE_S).status_code == 401
    kept = client.answer("PUT", f"/workflows/{made['id']}", {"trigger_config": {"has_secret": True}})
    assert kept["webhook_url"] == made["webhook_url"]
    assert deliver(client, made, {"n": 1}).status_code == 200
    assert _one_run(client, made["id"])["input"]["n"] == 1


def test_filters_of_a_webhook_decide_which_deliveries_are_meant(client: AitaskerApi) -> None:
    filters = {"kind": {"$eq": "a"}}
    made = client.workflow(shape_node(), trigger_type="webhook", trigger_config={"filters": filters})
    for kind in ("b", "a"):
        requests.post(_local(client, made), json={"kind": kind}, timeout=PATIENCE_S)

    assert _one_run(client, made["id"])["input"]["kind"] == "a"


def _local(client: AitaskerApi, made: Json) -> str:
    """The address of a webhook at the server of the tests."""
    return client.native.server.url + made["webhook_url"][made["webhook_url"].index("/webhooks/") :]


def _one_run(client: AitaskerApi, workflow: str) -> Json:
    """The one run of a workflow, once it is final."""
    deadline = time.monotonic() + PATIENCE_S
    while not (rows := client.native.data("GET", f"/runs?workflowId=wf_{workflow}")):
        assert time.monotonic() < deadline, "no run was started"
        time.sleep(0.005)
    assert len(rows) == 1
    return client.native.final(rows[0]["id"])
