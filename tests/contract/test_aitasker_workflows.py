"""The AITasker dialect's workflows: both forms of the paths, defaults, nulls, life. Source: AITasker contract
2-4.2, 7, 13."""

from uuid import UUID, uuid4

import pytest
import requests

from aitasker_client import AitaskerApi, aitasker, detail, places, shape_node, task_node
from live import PATIENCE_S, Api, NewApi, refused, transform, waiting
from stepwell.values import Json, decode

FIELDS = [
    "id",
    "user_id",
    "title",
    "trigger_type",
    "status",
    "created_at",
    "updated_at",
    "source_project_id",
    "description",
    "trigger_config",
    "is_template",
    "template_category",
    "auto_accept",
    "auto_accept_preferences",
    "max_budget_cents",
    "nodes",
    "workspace_id",
]


@pytest.fixture
def client(api: Api) -> AitaskerApi:
    return aitasker(api)


def test_a_workflow_has_exactly_the_fields_of_the_contract_in_order(client: AitaskerApi) -> None:
    made = client.workflow(title="Sale")

    assert list(made) == FIELDS
    assert {name: made[name] for name in FIELDS if name not in ("id", "user_id", "created_at", "updated_at")} == {
        "title": "Sale",
        "trigger_type": "manual",
        "status": "active",
        "source_project_id": None,
        "description": None,
        "trigger_config": None,
        "is_template": False,
        "template_category": None,
        "auto_accept": False,
        "auto_accept_preferences": None,
        "max_budget_cents": None,
        "nodes": [],
        "workspace_id": client.workspace,
    }
    assert str(UUID(made["id"])) == made["id"] and made["created_at"].endswith("Z")


def test_both_forms_of_the_paths_do_the_same(client: AitaskerApi) -> None:
    made = client.answer("POST", "/workflows", {"title": "Twin"})

    forms = [f"/workflows/{made['id']}", client.ws(f"/workflows/{made['id']}")]
    assert [client.answer("GET", form) for form in forms] == [made, made]
    assert client.answer("GET", "/workflows") == client.answer("GET", client.ws("/workflows")) == [made]
    for number, form in enumerate(forms):
        assert client.answer("PUT", form, {"title": f"T{number}"})["title"] == f"T{number}"
    assert client("DELETE", forms[1]).status_code == 204
    assert [client("GET", form).status_code for form in forms] == [404, 404]


def test_ids_are_taken_in_any_case_and_without_hyphens(client: AitaskerApi) -> None:
    id = client.workflow()["id"]

    for written in (id.upper(), id.replace("-", "")):
        assert client.answer("GET", f"/workflows/{written}")["id"] == id


def test_a_put_changes_only_what_is_sent(client: AitaskerApi) -> None:
    made = client.workflow(shape_node(), description="d", max_budget_cents=5, auto_accept=True)

    changed = client.answer("PUT", f"/workflows/{made['id']}", {"title": "Other", "unknown": 1})

    assert changed == {**made, "title": "Other", "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > made["updated_at"]


def test_null_clears_what_may_be_absent(client: AitaskerApi) -> None:
    optional = {
        "description": "d",
        "max_budget_cents": 5,
        "trigger_config": {"x": 1},
        "auto_accept_preferences": {"min_score": 80},
    }
    made = client.workflow(**optional)
    assert {name: made[name] for name in optional} == optional

    cleared = client.answer("PUT", f"/workflows/{made['id']}", dict.fromkeys(optional))

    assert {name: cleared[name] for name in optional} == dict.fromkeys(optional)


def test_null_is_refused_for_what_must_be_there(client: AitaskerApi) -> None:
    id = client.workflow()["id"]
    names = ("title", "trigger_type", "auto_accept", "status")

    response = client("PUT", f"/workflows/{id}", dict.fromkeys(names))

    assert places(response) == [["body", name] for name in names]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, {"type": "missing", "loc": ["body", "title"], "msg": "Field required", "input": {}}),
        (
            {"title": 1},
            {"type": "string_type", "loc": ["body", "title"], "msg": "Input should be a valid string", "input": 1},
        ),
        (
            {"title": ""},
            {
                "type": "string_too_short",
                "loc": ["body", "title"],
                "msg": "String should have at least 1 character",
                "input": "",
            },
        ),
        (
            {"title": "x", "trigger_type": "mail"},
            {
                "type": "literal_error",
                "loc": ["body", "trigger_type"],
                "msg": "Input should be 'manual', 'schedule' or 'webhook'",
                "input": "mail",
            },
        ),
        (
            {"title": "x", "max_budget_cents": -1},
            {
                "type": "greater_than_equal",
                "loc": ["body", "max_budget_cents"],
                "msg": "Input should be greater than or equal to 0",
                "input": -1,
            },
        ),
        (
            {"title": "x", "trigger_config": []},
            {
                "type": "dict_type",
                "loc": ["body", "trigger_config"],
                "msg": "Input should be a valid dictionary",
                "input": [],
            },
        ),
    ],
)
def test_a_fault_is_told_with_type_place_words_and_input(client: AitaskerApi, body: Json, fault: Json) -> None:
    faults = detail(client("POST", "/workflows", body), 422)

    assert [each for each in faults if each["loc"] == fault["loc"]] == [fault]


def test_what_is_not_json_is_told_as_such(client: AitaskerApi) -> None:
    response = client("POST", "/workflows", data="{", headers={"Content-Type": "application/json"})

    [fault] = detail(response, 422)
    assert (fault["type"], fault["loc"]) == ("json_invalid", ["body"])


def test_a_body_that_is_no_object_is_refused(client: AitaskerApi) -> None:
    [fault] = detail(client("POST", "/workflows", []), 422)

    assert (fault["type"], fault["loc"]) == ("dict_type", ["body"])


def test_all_bad_ids_of_a_path_are_told_before_a_missing_scope(client: AitaskerApi) -> None:
    reader = client.scoped("runs:read")

    faults = detail(reader("DELETE", "/workspaces/abc/workflows/xyz"), 422)

    assert faults == [
        {
            "type": "uuid_parsing",
            "loc": ["path", name],
            "msg": "Input should be a valid UUID",
            "input": text,
        }
        for name, text in (("workspace_id", "abc"), ("workflow_id", "xyz"))
    ]


def test_a_missing_scope_is_told_before_what_does_not_exist(client: AitaskerApi) -> None:
    reader = client.scoped("workflows:read")

    assert detail(reader("DELETE", f"/workflows/{uuid4()}"), 403) == "Missing scope: workflows:write"
    assert detail(reader("POST", "/workflows", {}), 403) == "Missing scope: workflows:write"


def test_what_does_not_exist_is_told_before_a_bad_body(client: AitaskerApi, new_api: NewApi) -> None:
    foreign = aitasker(new_api()).workflow()["id"]

    for id in (str(uuid4()), foreign):
        assert detail(client("PUT", f"/workflows/{id}", {"title": 1}), 404) == "Workflow not found"
        assert detail(client("GET", client.ws(f"/workflows/{id}")), 404) == "Workflow not found"
    assert detail(client("POST", f"/workspaces/{uuid4()}/workflows", {}), 404) == "Workspace not found"
    assert detail(client("GET", f"/workspaces/{uuid4()}/workflows"), 404) == "Workspace not found"


def test_without_a_key_it_says_who_is_asked(client: AitaskerApi) -> None:
    url = f"{client.native.server.url}/api/v1"

    alone = requests.get(f"{url}{client.ws('/workflows')}", timeout=PATIENCE_S)
    bad = requests.get(f"{url}{client.ws('/workflows')}", headers={"Authorization": "Bearer aitk_no"}, timeout=9)

    assert detail(alone, 401) == "Not authenticated"
    assert alone.headers["WWW-Authenticate"] == "Bearer"
    assert detail(bad, 401) == "Invalid token"


def test_lists_are_bare_newest_first_and_say_how_many_there_are(client: AitaskerApi) -> None:
    ids = [client.workflow(title=f"W{number}")["id"] for number in range(3)]
    client.answer("PUT", f"/workflows/{ids[1]}", {"status": "paused"})

    first = client("GET", client.ws("/workflows?limit=2"))
    rest = client("GET", "/workflows?limit=2&offset=2")
    paused = client("GET", "/workflows?status=paused")

    assert [row["id"] for row in decode(first.content)] == ids[:0:-1]
    assert [row["id"] for row in decode(rest.content)] == ids[:1]
    assert [row["id"] for row in decode(paused.content)] == [ids[1]]
    assert [each.headers["X-Total-Count"] for each in (first, rest, paused)] == ["3", "3", "1"]


def test_faults_of_a_query_are_all_told(client: AitaskerApi) -> None:
    response = client("GET", "/workflows?limit=201&offset=-1&status=gone")

    assert sorted(places(response)) == [["query", "limit"], ["query", "offset"], ["query", "status"]]


def test_an_archived_workflow_is_final_and_only_listed_if_asked_for(client: AitaskerApi) -> None:
    id = client.workflow(shape_node())["id"]

    assert client.answer("PUT", f"/workflows/{id}", {"status": "archived"})["status"] == "archived"

    assert detail(client("PUT", f"/workflows/{id}", {"title": "x"}), 409) == "Workflow is archived"
    assert detail(client("POST", f"/workflows/{id}/nodes", shape_node(1)), 409) == "Workflow is archived"
    assert client.answer("GET", "/workflows") == []
    assert [row["id"] for row in client.answer("GET", "/workflows?status=archived")] == [id]
    assert client("DELETE", f"/workflows/{id}").status_code == 204
    assert client.answer("GET", "/workflows?status=archived") == []


def test_a_status_that_cannot_follow_is_refused_and_nothing_is_changed(client: AitaskerApi) -> None:
    id = client.workflow()["id"]

    response = client("PUT", f"/workflows/{id}", {"title": "New", "status": "draft"})

    assert detail(response, 409) == "Workflow cannot go from active to draft"
    assert client.answer("GET", f"/workflows/{id}")["title"] == "Test"


@pytest.mark.parametrize("status", ["draft", "active", "paused", "archived"])
def test_a_workflow_can_be_made_in_every_status(client: AitaskerApi, status: str) -> None:
    assert client.workflow(status=status)["status"] == status


def test_a_workflow_with_open_runs_is_not_deleted(client: AitaskerApi) -> None:
    wf = client.native.workflow(waiting())
    client.native.start(wf)

    response = client("DELETE", f"/workflows/{wf[3:]}")

    assert detail(response, 409) == "Workflow has runs that have not ended"


def test_every_change_makes_a_version(client: AitaskerApi) -> None:
    id = client.workflow(shape_node())["id"]
    client.answer("PUT", f"/workflows/{id}", {"auto_accept": True})
    client.answer("POST", f"/workflows/{id}/nodes", shape_node(1))

    versions = client.native.data("GET", f"/workflows/wf_{id}/versions")

    assert [row["version"] for row in versions] == [3, 2, 1]


def test_a_workflow_of_another_dialect_shows_each_step_as_a_node(client: AitaskerApi) -> None:
    inner = {"id": "inner", "type": "transform", "config": {"mapping": {"a": 1}}}
    gate = {"id": "gate", "type": "condition", "config": {"expression": "true", "then": [inner], "else": []}}
    wf = client.native.workflow({"name": "Native", "trigger": {"type": "api"}, "steps": [gate]})

    found = client.answer("GET", f"/workflows/{wf[3:]}")

    assert [node["position"] for node in found["nodes"]] == [0, 1]
    assert len({UUID(node["id"]) for node in found["nodes"]}) == 2
    assert client.answer("GET", f"/workflows/{wf[3:]}/nodes") == found["nodes"]


def test_of_a_workflow_of_another_dialect_a_put_changes_title_description_status_and_budget(
    client: AitaskerApi,
) -> None:
    wf = client.native.workflow(transform())
    before = client.native.data("GET", f"/workflows/{wf}")

    body = {"title": "T", "description": "D", "max_budget_cents": 7, "status": "paused", "trigger_type": "webhook"}
    changed = client.answer("PUT", f"/workflows/{wf[3:]}", body)

    assert [changed[name] for name in ("title", "description", "max_budget_cents", "status", "trigger_type")] == [
        "T",
        "D",
        7,
        "paused",
        "manual",
    ]
    after = client.native.data("GET", f"/workflows/{wf}")
    assert (after["steps"], after["trigger"]) == (before["steps"], before["trigger"])
    response = client("POST", f"/workflows/{wf[3:]}/nodes", shape_node())
    assert detail(response, 409) == "Nodes belong to another dialect"


def test_the_native_api_may_not_change_the_steps_of_nodes(client: AitaskerApi) -> None:
    id = client.workflow(shape_node())["id"]

    refused(client.native("PUT", f"/workflows/wf_{id}", {"steps": []}), 409, "SOURCE_OWNED")

    assert client.native.data("PUT", f"/workflows/wf_{id}", {"name": "Renamed"})["name"] == "Renamed"
    assert client.answer("GET", f"/workflows/{id}")["title"] == "Renamed"


def test_on_a_shared_path_each_key_gets_its_own_dialect(client: AitaskerApi) -> None:
    id = client.workflow()["id"]

    native = decode(client.native("PUT", f"/workflows/{id}", {"name": ""}).content)
    own = decode(client("PUT", f"/workflows/{id}", {"title": ""}).content)

    assert (native["success"], own["detail"][0]["loc"]) == (False, ["body", "title"])
    assert "success" not in client.answer("GET", f"/workflows/{id}")
    assert decode(client.native("GET", f"/workflows/{id}").content)["success"] is True


def test_a_shared_path_without_a_key_is_refused_in_both_forms(client: AitaskerApi) -> None:
    response = requests.get(f"{client.native.server.url}/api/v1/workflows", timeout=PATIENCE_S)

    assert response.status_code == 401
    assert decode(response.content) == {
        "success": False,
        "error": {"code": "UNAUTHORIZED", "message": "Invalid or missing API key"},
        "detail": "Not authenticated",
    }


def test_a_task_workflow_keeps_how_deliveries_are_accepted(client: AitaskerApi) -> None:
    made = client.workflow(task_node(), auto_accept=True, auto_accept_preferences={"min_score": 80})

    step = client.native.data("GET", f"/workflows/wf_{made['id']}")["steps"][0]

    assert (step["config"]["autoAccept"], step["config"]["acceptance"]) == (True, {"minScore": 80})
