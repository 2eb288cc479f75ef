"""What is sent to the AITasker dialect and does not fit: payloads against schemas, sizes, keys of repeats, budgets of
tasks. Source: AITasker contract 3, 5, 9."""

from decimal import Decimal

import pytest

from aitasker_client import AitaskerApi, aitasker, detail, places, shape_node, task_node
from live import Api
from live import transform as native_transform
from stepwell.values import Json

SCHEMA = {
    "type": "object",
    "required": ["topic"],
    "properties": {
        "topic": {"type": "string"},
        "customer": {"type": "object", "properties": {"ids": {"type": "array", "items": {"type": "integer"}}}},
        "size": {"type": "integer", "default": 3},
    },
}


@pytest.fixture
def client(api: Api) -> AitaskerApi:
    return aitasker(api)


@pytest.fixture
def strict(client: AitaskerApi) -> str:
    """The path that triggers a workflow with an input schema, which was written natively."""
    id = client.native.workflow({**native_transform(), "inputSchema": SCHEMA}).removeprefix("wf_")
    return client.ws(f"/workflows/{id}/trigger")


def test_faults_of_a_payload_by_the_input_schema_are_all_told_at_their_places(client: AitaskerApi, strict: str) -> None:
    payload = {"customer": {"ids": [1, "x"]}, "size": "big"}

    faults = detail(client("POST", strict, {"trigger_payload": payload}), 422)

    told = {tuple(fault["loc"]): (fault["type"], fault.get("input")) for fault in faults}
    assert told == {
        ("body", "trigger_payload", "topic"): ("missing", payload),
        ("body", "trigger_payload", "customer", "ids", 1): ("int_type", "x"),
        ("body", "trigger_payload", "size"): ("int_type", "big"),
    }


def test_a_missing_payload_is_judged_as_an_empty_one(client: AitaskerApi, strict: str) -> None:
    assert places(client("POST", strict)) == [["body", "trigger_payload", "topic"]]


def test_a_payload_with_the_defaults_of_its_schema_is_answered_as_it_is_shown_later(
    client: AitaskerApi, strict: str
) -> None:
    run = client.answer("POST", strict, {"trigger_payload": {"topic": "x"}})

    later = client.final(run["workflow_id"], run["id"])

    assert run["trigger_payload"] == later["trigger_payload"] == {"topic": "x", "size": 3}
    assert (run["status"], run["node_runs"][0]["status"]) == ("pending", "pending")


def test_a_body_over_1_mib_is_too_large(client: AitaskerApi) -> None:
    body = {"title": "x", "description": "x" * 1024 * 1024}

    assert detail(client("POST", "/workflows", body), 413) == "Request body is larger than 1048576 bytes"


def test_an_output_over_256_kib_is_too_large(client: AitaskerApi) -> None:
    client.trigger(client.workflow(task_node())["id"])
    task = client.answer("POST", client.ws("/tasks/claim"), {"worker_id": "w", "wait_seconds": 10})
    path = client.ws(f"/tasks/{task['id']}/complete")

    refused = client("POST", path, {"claim_token": task["claim_token"], "output_data": {"text": "x" * 256 * 1024}})

    assert detail(refused, 413) == "Output is larger than 262144 bytes"
    assert client.answer("GET", client.ws(f"/tasks/{task['id']}"))["status"] == "claimed"


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_of_repeats_has_1_to_255_characters(client: AitaskerApi, key: str) -> None:
    workflow = client.workflow(shape_node())["id"]

    for path in (client.ws(f"/workflows/{workflow}/trigger"), f"/workflows/{workflow}/nodes"):
        refused = client("POST", path, shape_node(1), headers={"Idempotency-Key": key})
        assert places(refused) == [["header", "Idempotency-Key"]]


@pytest.mark.parametrize("budget", ["a lot", "150", "{{trigger.budget}}", -1, True, [150], Decimal("0.0000001")])
def test_a_budget_of_a_task_that_cannot_be_read_is_refused_with_what_to_write(
    client: AitaskerApi, budget: Json
) -> None:
    node = task_node(task_template={"title": "Do it", "budget_cents": budget})

    [fault] = detail(client("POST", "/workflows", {"title": "x", "nodes": [node]}), 422)

    assert fault["loc"] == ["body", "nodes", 0, "task_template", "budget_cents"]
    assert fault["msg"].startswith(
        "budget_cents must be a number of cents, from 0 with at most 6 decimals, such as 150"
    )


@pytest.mark.parametrize("budget", [None, 0, 150, Decimal("0.4")])
def test_a_budget_of_a_task_is_a_number_or_absent(client: AitaskerApi, budget: Json) -> None:
    node = task_node(task_template={"title": "Do it", "budget_cents": budget})

    assert client.workflow(node)["nodes"][0]["task_template"]["budget_cents"] == budget
