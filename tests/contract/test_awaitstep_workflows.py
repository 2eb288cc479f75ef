"""Workflows of the AwaitStep dialect, and what stands beside them. Source: AwaitStep contract 4.2, 4.3."""

import pytest

from awaitstep_client import AwaitstepApi, awaitstep, simple
from awaitstep_graphs import graph, node
from awaitstep_runs import final, trigger
from live import Api, transform
from stepwell import ids
from stepwell.values import Json

KEY = {"apiKey": "re_s3cret-word", "from": "a@example.com"}
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


# -- who made it


def test_a_workflow_keeps_who_made_it_whoever_changes_it(client: AwaitstepApi) -> None:
    workflow = client.create()
    made = client.answer("GET", f"/api/workflows/{workflow}")
    another = client.scoped("write", "deploy", "read")

    another.answer("PATCH", f"/api/workflows/{workflow}", {"name": "After"})
    version = another.save(workflow, simple())
    another.deploy(workflow)

    (listed,) = client.answer("GET", "/api/workflows")["data"]
    assert ids.parse(made["createdBy"])
    assert listed["createdBy"] == made["createdBy"]
    assert ids.parse(version["createdBy"])
    assert version["createdBy"] != made["createdBy"]


# -- what was written elsewhere


def test_a_workflow_that_was_written_elsewhere_is_listed_with_its_versions(client: AwaitstepApi) -> None:
    id = client.native.workflow(transform())
    client.native.data("PUT", f"/workflows/{id}", transform({"seen": 1}))

    shown = client.answer("GET", f"/api/workflows/{id}")
    whole = client.answer("GET", f"/api/workflows/{id}/full")

    assert (shown["name"], shown["kind"], shown["currentVersionId"]) == ("Shape", "workflow", "ver_2")
    assert [(each["id"], each["ir"], each["locked"]) for each in whole["versions"]] == [
        ("ver_2", None, 0),
        ("ver_1", None, 0),
    ]
    assert (whole["version"], whole["activeDeployment"]) == (whole["versions"][0], None)
    assert client.answer("GET", f"/api/workflows/{id}/versions/ver_1") == whole["versions"][1]
    assert client.error("GET", f"/api/workflows/{id}/versions/ver_3", status=404) == "Version not found"


def test_the_versions_of_such_a_workflow_go_on_at_their_cursor(client: AwaitstepApi) -> None:
    id = client.native.workflow(transform())
    for n in range(2):
        client.native.data("PUT", f"/workflows/{id}", transform({"seen": n}))
    path = f"/api/workflows/{id}/versions"

    first = client.answer("GET", path, params={"limit": 2})
    rest = client.answer("GET", path, params={"limit": 2, "cursor": first["nextCursor"]})

    assert [each["version"] for each in (*first["data"], *rest["data"])] == [3, 2, 1]
    assert rest["nextCursor"] is None
    client.answer("GET", path, params={"cursor": "ver_x_2026-01-15T10:00:00.000Z"}, status=422)


@pytest.mark.parametrize(("method", "rest", "body"), [("POST", "/versions", {"ir": {}}), ("POST", "/deploy", None)])
def test_a_workflow_that_was_written_elsewhere_is_edited_there(
    client: AwaitstepApi, method: str, rest: str, body: Json
) -> None:
    id = client.native.workflow(transform())

    error = client.error(method, f"/api/workflows/{id}{rest}", body or {"connectionId": "conn_stepwell"})

    assert error == "This workflow is not written in this form; edit it where it is"


# -- connections


def test_a_connection_is_made_changed_and_removed_and_its_values_are_hidden(client: AwaitstepApi) -> None:
    body = {"name": "Mail", "provider": "resend", "credentials": KEY}
    made = client.answer("POST", "/api/connections", body, 201)
    assert set(made) == {"id", "projectId", "name", "provider", "credentials", "createdAt", "updatedAt"}
    assert (made["name"], made["provider"], made["credentials"]) == ("Mail", "resend", "***")
    listed = client.answer("GET", "/api/connections")["data"]
    assert [each["provider"] for each in listed] == ["stepwell", "resend"]

    changed = client.answer("PATCH", f"/api/connections/{made['id']}", {"name": "Letters"})

    assert changed["name"] == "Letters"
    assert client.answer("DELETE", f"/api/connections/{made['id']}") == {"ok": True}
    client.error("DELETE", f"/api/connections/{made['id']}", status=404)


def test_connections_go_on_at_their_cursor_and_the_own_one_stands_once(client: AwaitstepApi) -> None:
    for n in range(3):
        client.answer("POST", "/api/connections", {"name": f"C{n}", "provider": "resend", "credentials": KEY}, 201)
    found: list[str] = []
    params: dict[str, object] = {"limit": 1}
    while True:
        page = client.answer("GET", "/api/connections", params=params)
        found += [each["name"] for each in page["data"]]
        if page["nextCursor"] is None:
            break
        params["cursor"] = page["nextCursor"]

    assert found == ["Stepwell", "C2", "C1", "C0"]


# -- the rest


@pytest.mark.parametrize(
    "path", ["/api/marketplace", "/api/resources", "/api/local-dev", "/api/api-keys", "/api/auth/sign-in"]
)
def test_what_is_not_served_is_not_found(client: AwaitstepApi, path: str) -> None:
    assert client.answer("GET", path, status=404) == {"error": "Not found"}


def test_the_project_is_the_workspace_of_the_key(client: AwaitstepApi) -> None:
    (project,) = client.answer("GET", "/api/projects")["data"]

    made = client.answer("POST", "/api/workflows?projectId=prj_1&organizationId=org_1", {"name": "x"}, 201)

    assert made["projectId"] == project["id"] == client.native.workspace


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=x", "cursor=wf_1_2026-01-15T10:00:00Z"])
def test_a_part_of_a_list_that_there_cannot_be_is_refused(client: AwaitstepApi, query: str) -> None:
    for path in ("/api/workflows", "/api/connections", "/api/env-vars", "/api/deployments"):
        assert client.error("GET", f"{path}?{query}", status=422) == "Validation failed"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"name": "x" * 256}, "name"),
        ({"name": "x", "description": "x" * 1001}, "description"),
        ({"name": "x", "kind": "thing"}, "kind"),
    ],
)
def test_a_workflow_that_is_not_fit_is_refused(client: AwaitstepApi, body: Json, path: str) -> None:
    answer = client.answer("POST", "/api/workflows", body, 422)

    assert [each["path"] for each in answer["details"]] == [path]


def test_the_kind_never_changes(client: AwaitstepApi) -> None:
    function = client.create(kind="script")

    assert client.answer("PATCH", f"/api/workflows/{function}", {"kind": "workflow", "name": "x"})["kind"] == "script"


def test_trigger_code_has_a_longest_length(client: AwaitstepApi) -> None:
    path = f"/api/workflows/{client.create(kind='script')}"
    code = "return 1".ljust(50_000)

    assert client.answer("PATCH", path, {"triggerCode": code})["triggerCode"] == code
    client.error("PATCH", path, {"triggerCode": f"{code} "}, 422)


# -- what belongs to it


def test_a_removed_workflow_takes_its_versions_deployments_and_runs_along(client: AwaitstepApi) -> None:
    workflow, other = client.deployed(), client.deployed()
    for each in (workflow, workflow, other):
        final(client, trigger(client, each))

    client.answer("DELETE", f"/api/workflows/{workflow}")

    assert [run["workflowId"] for run in client.answer("GET", "/api/runs")["data"]] == [other]
    assert [row["workflowId"] for row in client.answer("GET", "/api/deployments")["data"]] == [other]
    for path in ("", "/versions", "/deployments", "/full"):
        client.error("GET", f"/api/workflows/{workflow}{path}", status=404)
    assert [row["id"] for row in client.answer("GET", "/api/workflows")["data"]] == [other]


def test_a_listed_workflow_tells_of_its_last_run_and_of_a_takedown(client: AwaitstepApi) -> None:
    workflow = client.deployed()
    run = final(client, trigger(client, workflow))
    client.answer("POST", f"/api/workflows/{workflow}/takedown", {"connectionId": "conn_stepwell"})

    (row,) = client.answer("GET", "/api/workflows")["data"]

    assert (row["lastRunStatus"], row["lastRunAt"]) == ("complete", run["createdAt"])
    assert (row["deployStatus"], row["deployVersionId"]) == (None, None)


def test_a_version_of_the_past_is_shown_with_the_whole(client: AwaitstepApi) -> None:
    workflow = client.deployed(simple("return 1"))
    old = client.answer("GET", f"/api/workflows/{workflow}")["currentVersionId"]
    client.save(workflow, simple("return 2"))

    whole = client.answer("GET", f"/api/workflows/{workflow}/full", params={"version": old})

    assert whole["version"]["id"] == old
    assert [each["version"] for each in whole["versions"]] == [2, 1]
    client.error("GET", f"/api/workflows/{workflow}/full?version=ver_404", status=404)


def test_a_node_that_is_not_there_is_not_found(client: AwaitstepApi) -> None:
    assert client.error("GET", "/api/nodes/nonsense", status=404) == "Node not found"


def test_a_variable_of_a_workflow_stands_there_once(client: AwaitstepApi) -> None:
    twice = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]

    answer = client.answer("PATCH", f"/api/workflows/{client.create()}", {"envVars": twice}, 422)

    assert answer["details"] == [{"path": "envVars", "message": "Names must differ"}]


def test_bullets_for_a_secret_that_has_no_value_are_refused(client: AwaitstepApi) -> None:
    body = {"envVars": [{"name": "A", "value": "•" * 8, "isSecret": True}]}

    answer = client.answer("PATCH", f"/api/workflows/{client.create()}", body, 422)

    assert answer["details"] == [{"path": "envVars[0].value", "message": "There is no value to keep"}]


def test_before_the_first_deploy_the_native_workflow_is_an_empty_draft(client: AwaitstepApi) -> None:
    workflow = client.create()
    client.save(workflow, simple())
    path = f"/workflows/{workflow.removeprefix('wf_')}"
    before = client.native.data("GET", path)
    client.deploy(workflow)

    after = client.native.data("GET", path)

    assert (before["status"], before["steps"]) == ("draft", [])
    assert (after["status"], [each["id"] for each in after["steps"]]) == ("active", ["only"])
