"""Calls of the AITasker dialect that are sent again under the same Idempotency-Key. Source: AITasker contract 3."""

from uuid import uuid4

import pytest

from aitasker_client import AitaskerApi, aitasker, detail, places, shape_node, task_node
from live import Api
from stepwell.values import Json

KEY = {"Idempotency-Key": str(uuid4())}


@pytest.fixture
def client(api: Api) -> AitaskerApi:
    return aitasker(api)


def twice(client: AitaskerApi, path: str, body: Json) -> list[Json]:
    """What a call and its repeat are answered."""
    return [client.answer("POST", path, body, headers=KEY) for _ in range(2)]


def claimed(client: AitaskerApi) -> Json:
    """A task that a worker holds."""
    workflow = client.workflow(task_node(max_retries=1))["id"]
    client.trigger(workflow)
    return client.answer("POST", client.ws("/tasks/claim"), {"worker_id": "w1", "wait_seconds": 10})


@pytest.mark.parametrize("prefix", ["", "/workspaces/{}"])
def test_a_workflow_is_made_once(client: AitaskerApi, prefix: str) -> None:
    path = f"{prefix.format(client.workspace)}/workflows"

    first, second = twice(client, path, {"title": "Once", "nodes": [shape_node()]})

    assert first == second
    assert client.answer("GET", "/workflows") == [first]


def test_both_forms_of_a_path_know_the_same_keys(client: AitaskerApi) -> None:
    first = client.answer("POST", "/workflows", {"title": "Once"}, headers=KEY)

    assert client.answer("POST", client.ws("/workflows"), {"title": "Once"}, headers=KEY) == first


def test_a_node_is_added_once(client: AitaskerApi) -> None:
    path = f"/workflows/{client.workflow()['id']}/nodes"

    first, second = twice(client, path, shape_node())

    assert first == second
    assert client.answer("GET", path) == [first]


def test_a_key_counts_for_one_workflow(client: AitaskerApi) -> None:
    made = [
        client.answer("POST", f"/workflows/{client.workflow()['id']}/nodes", shape_node(), headers=KEY)
        for _ in range(2)
    ]

    assert made[0]["id"] != made[1]["id"]


def test_a_workspace_is_made_once_and_its_key_is_told_again(operator: Api) -> None:
    boss = aitasker(operator, ("admin",))

    first, second = twice(boss, "/workspaces", {"name": "Campaigns"})
    own = boss.answer("GET", "/workspaces", headers={"Authorization": f"Bearer {second['api_key']}"})

    assert first == second
    assert [found["id"] for found in own] == [first["id"]]


def test_an_answer_that_holds_a_key_is_not_readable_in_the_store(operator: Api) -> None:
    boss = aitasker(operator, ("admin",))

    key = str(uuid4())

    made = boss.answer("POST", "/workspaces", {"name": "Campaigns"}, headers={"Idempotency-Key": key})

    sources = operator.server.parts.core.store.sources
    kept = operator.server.call(sources.repeat(operator.workspace, "aitasker:workspaces", key, 0))
    assert kept is not None and made["api_key"].encode() not in kept.body


def test_a_delivery_is_answered_as_it_was_whatever_has_come_since(client: AitaskerApi) -> None:
    task = claimed(client)
    path = client.ws(f"/tasks/{task['id']}")
    body = {"claim_token": task["claim_token"], "output_data": {"text": "a"}}

    first = client.answer("POST", f"{path}/complete", body, headers=KEY)
    client.answer("POST", f"{path}/reject", {"reason": "no"})
    again = client.answer("POST", f"{path}/complete", body, headers=KEY)

    assert (first["status"], again) == ("review", first)
    assert client.answer("GET", path)["status"] == "open"


def test_a_refusal_is_not_kept(client: AitaskerApi) -> None:
    path = f"/workflows/{client.workflow()['id']}/nodes"

    refused = client("POST", path, {"position": 0, "task_template": {}}, headers=KEY)

    assert places(refused) == [["body", "task_template"]]
    assert client.answer("POST", path, shape_node(), headers=KEY)["position"] == 0


def test_a_repeat_needs_the_scope_and_the_workspace_too(client: AitaskerApi) -> None:
    client.answer("POST", "/workflows", {"title": "Once"}, headers=KEY)
    reader = client.scoped("workflows:read")

    assert detail(reader("POST", "/workflows", {"title": "Once"}, headers=KEY), 403) == "Missing scope: workflows:write"
