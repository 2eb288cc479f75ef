"""Deploys of the AwaitStep dialect, and the environment that they read. Source: AwaitStep contract 4.2, 4.3, 7."""

import time

import pytest

from awaitstep_client import AwaitstepApi, awaitstep, simple
from awaitstep_graphs import graph, node
from live import PATIENCE_S, Api
from stepwell.values import Json, decode


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


def started(client: AwaitstepApi, workflow: str, params: Json, status: int = 201) -> Json:
    body = {"connectionId": "conn_stepwell", "params": params}
    return client.answer("POST", f"/api/workflows/{workflow}/trigger", body, status)


def output(client: AwaitstepApi, workflow: str, params: Json) -> Json:
    run = started(client, workflow, params)
    deadline = time.monotonic() + PATIENCE_S
    while (found := client.answer("GET", f"/api/workflows/{workflow}/runs/{run['id']}"))["status"] != "complete":
        assert time.monotonic() < deadline and found["status"] != "errored", found
        time.sleep(0.005)
    return found["output"]


def test_a_deployed_version_runs(client: AwaitstepApi) -> None:
    workflow = client.create()
    version = client.save(workflow, simple("return event.payload.n + 1"))
    answer = client.deploy(workflow)

    assert set(answer) == {"success", "deploymentId", "versionId", "url", "dashboardUrl", "warnings"}
    assert (answer["success"], answer["versionId"], answer["url"]) == (True, version["id"], None)
    assert output(client, workflow, {"n": 1}) == 2


def test_nothing_runs_before_a_deploy_and_after_a_takedown_until_the_next(client: AwaitstepApi) -> None:
    workflow = client.create()
    client.save(workflow, simple())
    assert started(client, workflow, {}, 400) == {"error": "No version deployed"}
    client.deploy(workflow)

    body = {"connectionId": "conn_stepwell"}
    assert client.answer("POST", f"/api/workflows/{workflow}/takedown", body) == {"success": True}

    assert started(client, workflow, {}, 400) == {"error": "No version deployed"}
    client.deploy(workflow)
    started(client, workflow, {})


def test_a_deploy_without_a_version_is_refused_and_kept(client: AwaitstepApi) -> None:
    workflow = client.create()

    assert client.deploy(workflow, 400) == {"error": "No version to use"}

    rows = client.answer("GET", f"/api/workflows/{workflow}/deployments")["data"]
    assert [(row["status"], row["error"]) for row in rows] == [("failed", "No version to use")]


def test_a_deploy_to_an_unknown_connection_is_refused(client: AwaitstepApi) -> None:
    workflow = client.create()
    client.save(workflow, simple())

    assert client.deploy(workflow, 404, connectionId="conn_404") == {"error": "Connection not found"}


def test_a_locked_deployed_version_keeps_others_from_being_deployed(client: AwaitstepApi) -> None:
    workflow = client.deployed()
    version = client.answer("GET", f"/api/workflows/{workflow}")["currentVersionId"]
    client.answer("PATCH", f"/api/workflows/{workflow}/versions/{version}", {"locked": True})

    assert "unlock it before deploying" in client.deploy(workflow, 400)["error"]


def test_missing_variables_are_named(client: AwaitstepApi) -> None:
    workflow = client.create()
    client.save(workflow, simple("return {{env.NOT_THERE}}"))

    assert client.deploy(workflow, 400) == {"error": "Missing or unresolved environment variables: NOT_THERE"}


def test_a_workflows_variables_are_above_those_of_the_workspace(client: AwaitstepApi) -> None:
    client.answer("POST", "/api/env-vars", {"name": "PLACE", "value": "workspace"}, 201)
    client.answer("POST", "/api/env-vars", {"name": "OTHER", "value": "shared"}, 201)
    workflow = client.create()
    variables = [{"name": "PLACE", "value": "own"}, {"name": "POINTED", "value": "{{global.env.OTHER}}"}]
    client.answer("PATCH", f"/api/workflows/{workflow}", {"envVars": variables})
    client.save(workflow, simple("return [{{env.PLACE}}, {{env.POINTED}}]"))
    client.deploy(workflow)

    assert output(client, workflow, {}) == ["own", "shared"]


def test_a_secret_is_shown_as_bullets_and_the_bullets_keep_it(client: AwaitstepApi) -> None:
    workflow = client.create()
    path = f"/api/workflows/{workflow}"
    client.answer("PATCH", path, {"envVars": [{"name": "TOKEN", "value": "s3cret-word", "isSecret": True}]})
    shown = decode(client.answer("GET", path)["envVars"].encode())
    assert shown == [{"name": "TOKEN", "value": "•" * 8, "isSecret": True}]
    client.answer("PATCH", path, {"envVars": shown})
    headers = {"Authorization": "Bearer {{env.TOKEN}}"}
    call = node("call", "http_request", url="https://example.com", method="GET", headers=headers)
    client.save(workflow, graph(call, edges=""))

    client.deploy(workflow)

    native = client.native.data("GET", f"/workflows/{workflow.removeprefix('wf_')}")
    assert "s3cret-word" not in str(native)


def test_a_variable_is_made_changed_and_removed(client: AwaitstepApi) -> None:
    made = client.answer("POST", "/api/env-vars", {"name": "KEY", "value": "hidden", "isSecret": True}, 201)
    assert made["value"] == "•" * 8
    client.error("POST", "/api/env-vars", {"name": "KEY", "value": "again"}, 409)
    client.error("POST", "/api/env-vars", {"name": "lower", "value": "x"}, 422)

    changed = client.answer("PATCH", f"/api/env-vars/{made['id']}", {"value": "open", "isSecret": False})

    assert (changed["value"], changed["isSecret"]) == ("open", False)
    assert client.answer("DELETE", f"/api/env-vars/{made['id']}") == {"ok": True}
    assert client.answer("GET", "/api/env-vars") == {"data": [], "nextCursor": None}


def test_the_same_key_deploys_once(client: AwaitstepApi) -> None:
    workflow = client.create()
    client.save(workflow, simple())
    path, body = f"/api/workflows/{workflow}/deploy", {"connectionId": "conn_stepwell"}
    first = client.answer("POST", path, body, headers={"Idempotency-Key": "k"})

    assert client.answer("POST", path, body, headers={"Idempotency-Key": "k"}) == first
    assert len(client.answer("GET", "/api/deployments")["data"]) == 1


def test_a_deploy_needs_its_own_scope(client: AwaitstepApi) -> None:
    workflow = client.create()
    client.save(workflow, simple())

    refusal = client.scoped("write").deploy(workflow, 403)

    assert refusal == {"error": "API key missing required scope: deploy"}


def test_a_deploy_is_followed_as_a_stream_that_ends_with_its_result(client: AwaitstepApi) -> None:
    workflow = client.create()
    client.save(workflow, simple())

    response = client("POST", f"/api/workflows/{workflow}/deploy-stream", {"connectionId": "conn_stepwell"})

    lines = response.text.splitlines()
    kinds = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    told = [decode(line.removeprefix("data: ").encode()) for line in lines if line.startswith("data: ")]
    assert kinds == ["progress"] * 10 + ["result"]
    assert (told[0]["stage"], told[-2]["stage"], told[-1]["success"]) == ("INITIALIZING", "COMPLETED", True)
