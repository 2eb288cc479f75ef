"""Deploys that are followed as a stream. Source: AwaitStep contract 3, 4.2, 7."""

import time
from typing import Any

import pytest

from awaitstep_client import AwaitstepApi, awaitstep, simple
from awaitstep_graphs import graph, node
from live import PATIENCE_S, Api
from stepwell.http.dialects.awaitstep.deploying import STAGES
from stepwell.values import Json, decode

BODY = {"connectionId": "conn_stepwell"}


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


def followed(client: AwaitstepApi, workflow: str, body: Json = None, **options: Any) -> list[tuple[str, Json]]:
    """The kind and data of each event of a deploy."""
    response = client("POST", f"/api/workflows/{workflow}/deploy-stream", BODY if body is None else body, **options)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"].startswith("text/event-stream")
    lines = response.text.splitlines()
    kinds = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    told = [decode(line.removeprefix("data: ").encode()) for line in lines if line.startswith("data: ")]
    return list(zip(kinds, told, strict=True))


def stages(events: list[tuple[str, Json]]) -> list[str]:
    return [data["stage"] for kind, data in events if kind == "progress"]


def deployments(client: AwaitstepApi, workflow: str) -> list[tuple[str, str | None]]:
    rows = client.answer("GET", f"/api/workflows/{workflow}/deployments")["data"]
    return [(row["status"], row["error"]) for row in rows]


def test_every_stage_is_told_in_order_and_then_the_result(client: AwaitstepApi) -> None:
    workflow = client.create()
    version = client.save(workflow, simple())

    events = followed(client, workflow)

    assert stages(events) == list(STAGES)
    assert [data["progress"] for _, data in events[:-1]] == list(range(10, 101, 10))
    assert all(set(data) == {"stage", "message", "progress"} for _, data in events[:-1])
    kind, result = events[-1]
    assert (kind, result["success"], result["versionId"]) == ("result", True, version["id"])
    assert set(result) == {"success", "deploymentId", "versionId", "url", "dashboardUrl", "warnings"}


def test_a_followed_deploy_lets_the_workflow_run(client: AwaitstepApi) -> None:
    workflow = client.create()
    client.save(workflow, simple())

    followed(client, workflow)

    client.answer("POST", f"/api/workflows/{workflow}/trigger", BODY, 201)
    assert deployments(client, workflow) == [("success", None)]


def test_a_missing_variable_fails_a_deploy_where_bindings_are_looked_for(client: AwaitstepApi) -> None:
    workflow = client.create()
    client.save(workflow, simple("return {{env.NOT_THERE}}"))

    events = followed(client, workflow)

    error = "Missing or unresolved environment variables: NOT_THERE"
    assert stages(events) == [*STAGES[:4], "FAILED"]
    assert events[-2][1] == {"stage": "FAILED", "message": error, "progress": 40}
    assert events[-1] == ("result", {"success": False, "error": error})
    assert deployments(client, workflow) == [("failed", error)]


def test_what_the_core_refuses_fails_a_deploy_before_it_is_put_there(client: AwaitstepApi) -> None:
    workflow = client.create()
    client.answer("POST", "/api/env-vars", {"name": "TOKEN", "value": "s3cret-word", "isSecret": True}, 201)
    client.save(workflow, graph(node("wait", "wait_for_event", eventType="{{env.TOKEN}}"), edges=""))

    events = followed(client, workflow)

    assert stages(events) == [*STAGES[:6], "FAILED"]
    assert events[-1][1]["error"].startswith("Compile error: wait: ")
    assert client.error("POST", f"/api/workflows/{workflow}/trigger", BODY) == "No version deployed"


def test_a_fault_of_the_graph_is_in_the_result_with_its_node(client: AwaitstepApi) -> None:
    workflow = client.create()
    child = node("child", "sub_workflow", workflowId="wf_nowhere", workflowName="Nowhere")
    client.save(workflow, graph(child, edges=""))

    events = followed(client, workflow)

    assert events[-1][1]["error"] == "IR validation failed"
    assert [each["nodeId"] for each in events[-1][1]["details"]] == ["child"]


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"connectionId": "conn_404"}, 404, "Connection not found"),
        ({**BODY, "versionId": "ver_404"}, 404, "Version not found"),
        ({**BODY, "config": {"nonsense": 1}}, 422, "Invalid deployment config"),
        ({}, 422, "Validation failed"),
    ],
)
def test_what_is_wrong_with_the_request_is_told_before_the_stream(
    client: AwaitstepApi, body: Json, status: int, error: str
) -> None:
    workflow = client.create()
    client.save(workflow, simple())

    assert client.error("POST", f"/api/workflows/{workflow}/deploy-stream", body, status) == error


def test_the_same_key_repeats_the_stream_and_deploys_once(client: AwaitstepApi) -> None:
    workflow = client.create()
    client.save(workflow, simple())
    key = {"Idempotency-Key": "k"}
    first = followed(client, workflow, headers=key)

    assert followed(client, workflow, headers=key) == first
    assert client.answer("POST", f"/api/workflows/{workflow}/deploy", BODY, headers=key) == first[-1][1]
    assert deployments(client, workflow) == [("success", None)]


def test_a_repeat_is_answered_even_if_it_would_be_refused_by_now(client: AwaitstepApi) -> None:
    workflow = client.create()
    version = client.save(workflow, simple())
    key = {"Idempotency-Key": "k"}
    first = followed(client, workflow, headers=key)
    client.answer("PATCH", f"/api/workflows/{workflow}/versions/{version['id']}", {"locked": True})

    assert followed(client, workflow, headers=key) == first


def test_a_deploy_that_failed_is_tried_again_under_its_key(client: AwaitstepApi) -> None:
    workflow = client.create()
    client.save(workflow, simple("return {{env.LATER}}"))
    key = {"Idempotency-Key": "k"}
    assert stages(followed(client, workflow, headers=key))[-1] == "FAILED"
    client.answer("POST", "/api/env-vars", {"name": "LATER", "value": "now"}, 201)

    assert stages(followed(client, workflow, headers=key)) == list(STAGES)


def test_a_deploy_goes_on_though_its_reader_leaves(client: AwaitstepApi) -> None:
    workflow = client.create()
    client.save(workflow, simple())
    with client("POST", f"/api/workflows/{workflow}/deploy-stream", BODY, stream=True) as response:
        next(response.iter_lines())

    deadline = time.monotonic() + PATIENCE_S
    while not deployments(client, workflow):
        assert time.monotonic() < deadline
        time.sleep(0.005)

    assert deployments(client, workflow) == [("success", None)]
