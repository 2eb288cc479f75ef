"""Deploys of the AwaitStep dialect, and the environment that they read. Source: AwaitStep contract 4.2, 4.3, 7."""

import time

import pytest

from awaitstep_client import AwaitstepApi, awaitstep, simple
from awaitstep_graphs import graph, node
from live import PATIENCE_S, Api, transform
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


def test_the_checks_of_a_deploy_come_in_the_order_of_the_contract(client: AwaitstepApi) -> None:
    """Each thing that is wrong hides those behind it, and is told once those before it are mended."""
    workflow = client.deployed()
    path = f"/api/workflows/{workflow}"
    deployed = client.answer("GET", path)["currentVersionId"]
    locked = client.save(workflow, simple("return {{env.MISSING}}"))["id"]
    for version in (deployed, locked):
        client.answer("PATCH", f"{path}/versions/{version}", {"locked": True})
    wrong = {"connectionId": "conn_404", "versionId": locked, "config": {"nonsense": 1}}
    told = [client.deploy(workflow, 400, **wrong)["error"]]
    client.answer("PATCH", f"{path}/versions/{deployed}", {"locked": False})
    told.append(client.deploy(workflow, 404, **wrong)["error"])
    wrong["connectionId"] = "conn_stepwell"
    told.append(client.deploy(workflow, 400, **wrong)["error"])
    client.answer("PATCH", f"{path}/versions/{locked}", {"locked": False})
    told.append(client.deploy(workflow, 422, **wrong)["error"])
    told.append(client.deploy(workflow, 404, versionId="ver_404")["error"])
    told.append(client.deploy(workflow, 400)["error"])

    assert told == [
        "Currently deployed version is locked - unlock it before deploying",
        "Connection not found",
        "Version is locked",
        "Invalid deployment config",
        "Version not found",
        "Missing or unresolved environment variables: MISSING",
    ]


def test_a_workflow_that_a_graph_starts_must_be_there_at_deploy(client: AwaitstepApi) -> None:
    workflow = client.create()
    child = node("child", "sub_workflow", workflowId="wf_nowhere", workflowName="Nowhere", input={"a": "{{env.NO}}"})
    client.save(workflow, graph(child, edges=""))

    answer = client.deploy(workflow, 400)

    assert answer["error"] == "IR validation failed"
    (detail,) = answer["details"]
    assert (detail["path"], detail["nodeId"]) == ("ir.nodes[0].data.workflowId", "child")


def test_what_the_core_refuses_is_a_compile_error_that_names_the_node(client: AwaitstepApi) -> None:
    client.answer("POST", "/api/env-vars", {"name": "TOKEN", "value": "s3cret-word", "isSecret": True}, 201)
    workflow = client.create()
    client.save(workflow, graph(node("wait", "wait_for_event", eventType="{{env.TOKEN}}"), edges=""))

    error = client.deploy(workflow, 422)["error"]

    assert error.startswith("Compile error: wait: ")
    rows = client.answer("GET", f"/api/workflows/{workflow}/deployments")["data"]
    assert [(row["status"], row["error"]) for row in rows] == [("failed", error)]


def test_a_deployment_has_these_keys_and_the_newest_is_first(client: AwaitstepApi) -> None:
    workflow, other = client.deployed(), client.deployed()
    again = client.deploy(workflow)

    rows = client.answer("GET", f"/api/workflows/{workflow}/deployments")["data"]

    assert [row["id"] for row in rows][0] == again["deploymentId"]
    assert set(rows[0]) == {
        "id",
        "workflowId",
        "versionId",
        "connectionId",
        "serviceName",
        "serviceUrl",
        "status",
        "error",
        "createdAt",
    }
    (own,) = client.answer("GET", "/api/connections")["data"]
    assert (rows[0]["versionId"], rows[0]["connectionId"]) == (again["versionId"], own["id"])
    listed = client.answer("GET", "/api/deployments")["data"]
    assert [row["workflowId"] for row in listed] == [workflow, other, workflow]


def test_deployments_go_on_at_their_cursor(client: AwaitstepApi) -> None:
    workflow = client.deployed()
    made = [client.deploy(workflow)["deploymentId"] for _ in range(2)]

    first = client.answer("GET", "/api/deployments", params={"limit": 2})
    rest = client.answer("GET", "/api/deployments", params={"limit": 2, "cursor": first["nextCursor"]})

    assert [row["id"] for row in first["data"]] == made[::-1]
    assert (len(rest["data"]), rest["nextCursor"]) == (1, None)


def test_a_named_version_is_the_one_that_runs(client: AwaitstepApi) -> None:
    workflow = client.deployed(simple("return 1"))
    old = client.answer("GET", f"/api/workflows/{workflow}")["currentVersionId"]
    client.save(workflow, simple("return 2"))
    client.deploy(workflow)
    assert output(client, workflow, {}) == 2

    assert client.deploy(workflow, versionId=old)["versionId"] == old

    assert output(client, workflow, {}) == 1


def test_runs_in_progress_end_after_a_takedown(client: AwaitstepApi) -> None:
    workflow = client.deployed(graph(node("wait", "wait_for_event", eventType="go"), edges=""))
    run = started(client, workflow, {})
    body = {"connectionId": "conn_stepwell"}
    client.answer("POST", f"/api/workflows/{workflow}/takedown", body)

    event = {**body, "params": {"instanceId": run["instanceId"], "eventType": "go"}}
    client.answer("POST", f"/api/workflows/{workflow}/trigger", event)

    path = f"/api/workflows/{workflow}/runs/{run['id']}"
    deadline = time.monotonic() + PATIENCE_S
    while client.answer("GET", path)["status"] != "complete":
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_takedown_from_an_unknown_connection_is_refused(client: AwaitstepApi) -> None:
    workflow = client.deployed()

    answer = client.answer("POST", f"/api/workflows/{workflow}/takedown", {"connectionId": "conn_404"}, 404)

    assert answer == {"error": "Connection not found"}


def test_a_workflow_that_was_written_elsewhere_is_taken_down_too(client: AwaitstepApi) -> None:
    workflow = client.native.workflow(transform())
    started(client, workflow, {})

    body = {"connectionId": "conn_stepwell"}
    assert client.answer("POST", f"/api/workflows/{workflow}/takedown", body) == {"success": True}

    assert started(client, workflow, {}, 400) == {"error": "No version deployed"}
