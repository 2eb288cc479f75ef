"""What nodes of the AITasker dialect do in a run: operations, requests, connectors, tasks, and how it is shown. Source:
AITasker contract 1, 5, 7, 7.1, 8."""

from typing import Any
from uuid import UUID, uuid5

import pytest

from aitasker_client import AitaskerApi, aitasker, places, shape_node, task_node
from answering import Answering
from live import Api
from stepwell.values import Json, decode

ITEMS = [{"n": 1, "s": "a"}, {"n": 2, "s": "b"}]


@pytest.fixture
def client(api: Api) -> AitaskerApi:
    return aitasker(api)


def done(client: AitaskerApi, *nodes: Json, payload: Json = None, **fields: Json) -> Json:
    """The node runs of a run that has completed."""
    workflow = client.workflow(*nodes, **fields)["id"]
    run = client.final(workflow, client.trigger(workflow, payload)["id"])
    assert run["status"] == "completed", run
    return run["node_runs"]


def calling(position: int = 0, **config: Json) -> Json:
    return {"position": position, "node_type": "api_call", "node_config": config, "max_retries": 0}


def connected(client: AitaskerApi, **fields: Json) -> None:
    client.native.data("POST", "/connections", {"name": "x", "provider": "stripe", "mode": "simulator", **fields})


def claim(client: AitaskerApi) -> Any:
    return client.answer("POST", client.ws("/tasks/claim"), {"worker_id": "w", "wait_seconds": 10})


# -- transform


@pytest.mark.parametrize(
    ("operation", "params", "output"),
    [
        ("template", {"mapping": {"a": "{{trigger.items[0].n}}"}}, {"a": 1}),
        ("pick", {"source": {"a": 1, "b": 2}, "fields": ["b"]}, {"b": 2}),
        ("rename", {"source": {"a": 1}, "names": {"a": "z"}}, {"z": 1}),
        ("merge", {"sources": [{"a": 1}, {"b": 2}]}, {"a": 1, "b": 2}),
        ("join", {"source": ["x", "y"], "separator": "-"}, {"value": "x-y"}),
        ("filter", {"source": "{{trigger.items}}", "expression": "item.n > 1"}, {"value": [{"n": 2, "s": "b"}]}),
        ("map", {"source": "{{trigger.items}}", "expression": "item.s"}, {"value": ["a", "b"]}),
        ("code", {"code": "return input.items.length"}, {"value": 2}),
    ],
)
def test_each_operation_gives_its_output_and_what_is_no_object_is_wrapped(
    client: AitaskerApi, operation: str, params: Json, output: Json
) -> None:
    config = {"operation": operation, "params": params}
    node = {"position": 0, "node_type": "transform", "node_config": config, "input_mapping": {"items": "trigger.items"}}

    [found] = done(client, node, payload={"items": ITEMS})

    assert (found["output_data"], found["input_data"]["items"]) == (output, ITEMS)


# -- api_call and distribution


def test_a_request_is_sent_as_its_params_say_and_its_data_is_the_output(
    client: AitaskerApi, upstream: Answering
) -> None:
    upstream.body = b'{"id": 7}'
    params = {
        "method": "PUT",
        "url": f"{upstream.url}/things",
        "headers": {"X-Of": "{{trigger.of}}"},
        "params": {"q": "{{trigger.q}}"},
        "body": {"text": "{{trigger.text}}"},
    }

    [found] = done(client, calling(provider="http", params=params), payload={"of": "me", "q": "a b", "text": "hi"})

    [seen] = upstream.seen
    assert (seen.method, seen.path.replace("+", "%20")) == ("PUT", "/things?q=a%20b")
    assert (seen.headers["x-of"], decode(seen.body)) == ("me", {"text": "hi"})
    assert found["output_data"] == {"id": 7}
    assert found["input_data"]["params"]["body"] == {"text": "hi"}


def test_a_status_from_400_fails_the_node(client: AitaskerApi, upstream: Answering) -> None:
    upstream.statuses = [404]
    workflow = client.workflow(calling(provider="http", params={"url": upstream.url}))["id"]

    run = client.final(workflow, client.trigger(workflow)["id"])

    [node] = run["node_runs"]
    assert (run["status"], node["status"]) == ("failed", "failed")
    assert list(node["output_data"]["error"]) == ["message", "code", "attempts"]


@pytest.mark.parametrize(("named", "connection"), [(False, None), (True, "books")])
def test_another_provider_is_asked_by_the_connection_that_is_named_or_by_default(
    client: AitaskerApi, named: bool, connection: str | None
) -> None:
    connected(client, slug="books")
    params: dict[str, Json] = {"operation": "createInvoice", "customerId": "cus_1", "amount": "{{trigger.n}}"}
    params |= {"connection": connection} if named else {}

    [found] = done(client, calling(provider="stripe", params=params), payload={"n": 5})

    assert (found["output_data"]["status"], found["output_data"]["customer"]) == ("open", "cus_1")


def test_a_distribution_uses_the_connection_of_its_platform(client: AitaskerApi) -> None:
    connected(client, provider="slack")
    config = {"platform": "slack", "params": {"operation": "sendMessage", "channel": "#sale", "text": "{{trigger.t}}"}}

    [found] = done(client, {"position": 0, "node_type": "distribution", "node_config": config}, payload={"t": "hi"})

    assert found["input_data"]["params"]["text"] == "hi"


def test_a_distribution_to_a_webhook_posts_the_payload(client: AitaskerApi, upstream: Answering) -> None:
    config = {"platform": "webhook", "params": {"url": upstream.url, "payload": {"text": "{{trigger.t}}"}}}

    done(client, {"position": 0, "node_type": "distribution", "node_config": config}, payload={"t": "hi"})

    [seen] = upstream.seen
    assert (seen.method, decode(seen.body)) == ("POST", {"text": "hi"})


def test_the_workspace_lists_its_connections_as_credentials(client: AitaskerApi) -> None:
    connected(client)

    [found] = client.answer("GET", client.ws())["integration_credentials"]

    assert list(found) == ["provider", "status", "connected_at"]
    assert (found["provider"], found["status"]) == ("stripe", "active")


@pytest.mark.parametrize("name", ["costCents", "timeoutSeconds"])
@pytest.mark.parametrize("value", ["x", True, -1, []])
def test_costs_and_time_limits_of_a_node_are_numbers(client: AitaskerApi, name: str, value: Json) -> None:
    node = task_node(node_config={name: value})

    assert places(client("POST", "/workflows", {"title": "x", "nodes": [node]})) == [
        ["body", "nodes", 0, "node_config", name]
    ]


# -- tasks


def test_a_task_is_opened_with_its_whole_template_as_rendered(client: AitaskerApi) -> None:
    template = {
        "title": "For {{trigger.who}}",
        "description": "About {{topic}}",
        "task_type": "copy",
        "category": "text",
        "requirements": ["{{topic}}", {"words": "{{trigger.words}}"}],
        "budget_cents": 150,
    }
    node = task_node(task_template=template, input_mapping={"topic": "trigger.topic", "lit": [1]})
    workflow = client.workflow(node)["id"]
    run = client.trigger(workflow, {"who": "Ada", "topic": "sale", "words": 20})["id"]

    task = claim(client)

    assert task["task_template"] == {
        **template,
        "title": "For Ada",
        "description": "About sale",
        "requirements": ["sale", {"words": 20}],
    }
    assert (task["title"], task["description"], task["skill_slug"]) == ("For Ada", "About sale", "copy")
    assert task["input_data"] == {"topic": "sale", "lit": [1]}
    [node_run] = client.run(workflow, run)["node_runs"]
    assert node_run["input_data"] == {"topic": "sale", "lit": [1], "task": task["task_template"]}
    assert (node_run["task_id"], node_run["status"]) == (task["id"], "running")


def test_the_oldest_open_task_is_claimed_first(client: AitaskerApi) -> None:
    workflow = client.workflow(task_node())["id"]
    runs = []
    for _ in range(3):
        runs.append(client.trigger(workflow)["id"])
        client.until(workflow, runs[-1], lambda found: found["node_runs"][0]["task_id"])

    assert [claim(client)["trigger"]["run_id"] for _ in range(3)] == runs


@pytest.mark.parametrize(("command", "status"), [("accept", "accepted"), ("reject", "failed")])
def test_a_decision_records_the_key_that_made_it(client: AitaskerApi, command: str, status: str) -> None:
    client.trigger(client.workflow(task_node(max_retries=0))["id"])
    task = claim(client)
    path = client.ws(f"/tasks/{task['id']}")
    client.answer("POST", f"{path}/complete", {"claim_token": task["claim_token"], "output_data": {}})
    [key] = [each for each in client.native.data("GET", "/admin/keys") if each["name"] == "aitasker"]

    decided = client.answer("POST", f"{path}/{command}", {} if command == "reject" else None)

    assert (decided["status"], decided["approved_by"]) == (status, key["id"].removeprefix("key_"))
    assert decided["approved_at"].endswith("Z")


def test_a_rejection_counts_as_an_attempt_and_its_reason_is_told(client: AitaskerApi) -> None:
    workflow = client.workflow(task_node(max_retries=0))["id"]
    run = client.trigger(workflow)["id"]
    task = claim(client)
    path = client.ws(f"/tasks/{task['id']}")
    client.answer("POST", f"{path}/complete", {"claim_token": task["claim_token"], "output_data": {}})

    client.answer("POST", f"{path}/reject", {"reason": "too short"})

    done = client.final(workflow, run)
    assert done["error_message"].startswith("Node 0 (Do it) failed after 1 attempt: ")
    assert "too short" in done["error_message"]


# -- ids


def test_a_node_of_another_dialect_has_the_uuid_of_its_step_under_the_workflow(client: AitaskerApi) -> None:
    step = {"id": "shape", "type": "transform", "config": {"mapping": {"a": 1}}}
    document = {"name": "Native", "trigger": {"type": "api"}, "steps": [step]}
    workflow = client.native.workflow(document).removeprefix("wf_")

    run = client.final(workflow, client.trigger(workflow)["id"])

    wanted = str(uuid5(UUID(workflow), "shape"))
    assert [node["workflow_node_id"] for node in run["node_runs"]] == [wanted]
    assert [node["id"] for node in client.answer("GET", f"/workflows/{workflow}/nodes")] == [wanted]


def test_the_user_is_the_same_everywhere_in_a_workspace(client: AitaskerApi) -> None:
    workspace = client.answer("GET", client.ws())

    assert workspace["user_id"] == workspace["hired_agent"]["user_id"] == client.workflow(shape_node())["user_id"]
    assert str(UUID(workspace["user_id"])) == workspace["user_id"]


def test_a_missing_variable_fails_the_node_without_a_retry(client: AitaskerApi) -> None:
    node = task_node(task_template={"title": "For {{trigger.budget}}"}, max_retries=5)
    workflow = client.workflow(node)["id"]

    run = client.final(workflow, client.trigger(workflow)["id"])

    assert run["error_message"].endswith(
        "failed after 1 attempt: Missing variable trigger.budget in task_template.title"
    )
