"""Workflows of the AwaitStep dialect, and what stands beside them. Source: AwaitStep contract 4.2, 4.3."""

import pytest

from awaitstep_client import AwaitstepApi, awaitstep
from awaitstep_graphs import graph, node
from live import Api

KEYS = {
    "id",
    "projectId",
    "createdBy",
    "name",
    "description",
    "kind",
    "currentVersionId",
    "envVars",
    "triggerCode",
    "dependencies",
    "deployConfig",
    "createdAt",
    "updatedAt",
}


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


def test_a_new_workflow_has_these_keys_and_no_version(client: AwaitstepApi) -> None:
    made = client.answer("POST", "/api/workflows", {"name": "Orders", "description": "All"}, 201)

    assert set(made) == KEYS
    assert (made["name"], made["kind"], made["currentVersionId"]) == ("Orders", "workflow", None)
    assert (made["envVars"], made["dependencies"], made["deployConfig"]) == ("[]", "{}", "{}")
    assert client.answer("GET", f"/api/workflows/{made['id']}") == made


def test_a_name_must_be_there(client: AwaitstepApi) -> None:
    answer = client.answer("POST", "/api/workflows", {"name": ""}, 422)

    assert [each["path"] for each in answer["details"]] == ["name"]


def test_a_list_goes_on_at_its_cursor_and_loses_nothing(client: AwaitstepApi) -> None:
    made = [client.create(f"W{index}") for index in range(5)]
    found: list[str] = []
    cursor = None
    while True:
        params = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
        page = client.answer("GET", "/api/workflows", params=params)
        found += [row["id"] for row in page["data"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break

    assert found == made[::-1]


def test_a_listed_workflow_tells_of_its_deploy(client: AwaitstepApi) -> None:
    client.deployed()

    (row,) = client.answer("GET", "/api/workflows")["data"]

    assert set(row) == KEYS | {"deployStatus", "deployVersionId", "lastRunStatus", "lastRunAt"}
    assert (row["deployStatus"], row["deployVersionId"]) == ("success", row["currentVersionId"])
    assert row["lastRunStatus"] is None


def test_a_name_is_changed_and_the_rest_stays(client: AwaitstepApi) -> None:
    workflow = client.create("Before", description="Kept")

    changed = client.answer("PATCH", f"/api/workflows/{workflow}", {"name": "After"})

    assert (changed["name"], changed["description"]) == ("After", "Kept")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"triggerCode": "return 1"}, "triggerCode is only used by functions"),
        ({"dependencies": {"lodash": "4"}}, "package dependencies are not supported"),
    ],
)
def test_what_a_workflow_has_no_use_for_is_refused(client: AwaitstepApi, body: dict[str, object], told: str) -> None:
    assert client.error("PATCH", f"/api/workflows/{client.create()}", body) == told


def test_a_removed_workflow_is_gone(client: AwaitstepApi) -> None:
    workflow = client.deployed()

    assert client.answer("DELETE", f"/api/workflows/{workflow}") == {"ok": True}

    assert client.error("GET", f"/api/workflows/{workflow}", status=404) == "Workflow not found"


def test_a_workflow_with_open_runs_is_only_removed_by_force(client: AwaitstepApi) -> None:
    workflow = client.deployed(graph(node("nap", "sleep", duration="1 hour"), edges=""))
    client.answer("POST", f"/api/workflows/{workflow}/trigger", {"connectionId": "conn_stepwell"}, 201)

    client.error("DELETE", f"/api/workflows/{workflow}", status=409)
    assert client.answer("DELETE", f"/api/workflows/{workflow}?force=true") == {"ok": True}


def test_the_whole_of_a_workflow_is_read_at_once(client: AwaitstepApi) -> None:
    workflow = client.deployed()

    found = client.answer("GET", f"/api/workflows/{workflow}/full")

    assert set(found) == {"workflow", "version", "versions", "activeDeployment"}
    assert found["version"] == found["versions"][0]
    assert found["activeDeployment"]["versionId"] == found["version"]["id"]


def test_the_steps_of_a_deployed_workflow_are_not_edited_natively(client: AwaitstepApi) -> None:
    workflow = client.deployed()

    response = client.native("PUT", f"/workflows/{workflow.removeprefix('wf_')}", {"steps": []})

    assert response.status_code == 409, response.text


def test_the_workspaces_own_connection_is_first_and_stays(client: AwaitstepApi) -> None:
    (own,) = client.answer("GET", "/api/connections")["data"]

    assert (own["provider"], own["credentials"]) == ("stepwell", "***")
    client.error("DELETE", f"/api/connections/{own['id']}")
    client.error("POST", "/api/connections", {"name": "x", "provider": "stepwell"})


def test_there_are_thirteen_nodes_and_one_project(client: AwaitstepApi) -> None:
    nodes = client.answer("GET", "/api/nodes")["data"]

    assert len(nodes) == 13
    assert client.answer("GET", f"/api/nodes/{nodes[0]['id']}") == nodes[0]
    assert len(client.answer("GET", "/api/projects")["data"]) == 1


def test_a_key_that_may_only_read_makes_nothing(client: AwaitstepApi) -> None:
    reader = client.scoped("read")

    assert reader.error("POST", "/api/workflows", {"name": "x"}, 403) == "API key missing required scope: write"


def test_health_is_told_without_a_key(client: AwaitstepApi) -> None:
    assert client.answer("GET", "/api/health", headers={"Authorization": ""}) == {"status": "ok"}
