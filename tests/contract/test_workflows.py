"""Workflows, secrets, keys and connections. Source: LoopFour contract 2, 3 and 13."""

import pytest
import requests

from live import Api, NewApi, refused, transform
from stepwell.values import decode


def test_a_new_workflow_is_a_draft_of_version_1(api: Api) -> None:
    response = api.post("/workflows", transform(slug="shape", variables={"rate": 1}))

    made = decode(response.content)["data"]
    assert (response.status_code, made["status"], made["version"], made["slug"]) == (201, "draft", 1, "shape")
    assert made["variables"] == {"rate": 1}
    assert api.data("GET", "/workflows/wf_shape") == api.data("GET", f"/workflows/{made['id']}") == made


def test_a_definition_with_faults_is_refused_with_field_and_path(api: Api) -> None:
    document = {"name": "x", "trigger": {"type": "api"}, "steps": [{"type": "transform", "config": {"mapping": {}}}]}

    details = refused(api.post("/workflows", document), 400, "VALIDATION_ERROR", "Invalid workflow configuration")

    assert details == [{"field": "steps[0].id", "path": ["steps", 0, "id"], "message": "Step ID is required"}]


def test_unknown_fields_of_a_definition_are_answered_and_warned_of(api: Api) -> None:
    made = api.data("POST", "/workflows", transform(colour="red"))

    assert made["colour"] == "red"
    assert any("colour" in warning for warning in made["warnings"])


def test_items_of_the_list_have_exactly_these_fields(api: Api) -> None:
    api.workflow(transform())

    fields = {"id", "name", "description", "status", "version", "trigger", "createdAt", "updatedAt"}
    assert [set(item) for item in api.data("GET", "/workflows")] == [fields]


def test_the_list_is_searched_and_shows_archived_ones_only_if_asked(api: Api) -> None:
    kept, gone = api.workflow(transform(name="Invoice Mail")), api.workflow(transform(name="Other"))
    api.data("DELETE", f"/workflows/{gone}")

    assert [item["id"] for item in api.data("GET", "/workflows")] == [kept]
    assert [item["id"] for item in api.data("GET", "/workflows?search=invoice")] == [kept]
    assert [item["id"] for item in api.data("GET", "/workflows?status=archived")] == [gone]


@pytest.mark.parametrize(
    ("moves", "status"),
    [(["activate"], "active"), (["activate", "pause"], "paused"), (["activate", "pause", "resume"], "active")],
)
def test_a_workflow_moves_through_its_life_and_a_repeat_changes_nothing(
    api: Api, moves: list[str], status: str
) -> None:
    id = api.workflow(transform(), active=False)

    for move in moves:
        first = api.data("POST", f"/workflows/{id}/{move}")
    again = api.data("POST", f"/workflows/{id}/{moves[-1]}")

    assert first["status"] == status
    assert again == first


def test_an_archived_workflow_is_neither_edited_nor_activated(api: Api) -> None:
    id = api.workflow(transform())
    assert api.data("POST", f"/workflows/{id}/archive")["status"] == "archived"

    refused(api.post(f"/workflows/{id}/activate"), 400, "INVALID_STATUS")
    refused(api("PUT", f"/workflows/{id}", {"name": "n"}), 400, "INVALID_STATUS")
    message = "Workflow must be active to run. Current status: archived"
    refused(api.post(f"/workflows/{id}/run", {}), 400, "INVALID_STATUS", message)


def test_an_edit_of_an_active_workflow_makes_a_version_and_keeps_what_is_not_sent(api: Api) -> None:
    id = api.workflow(transform(description="old"))

    edited = api.data("PUT", f"/workflows/{id}", {"name": "New", "description": None})

    assert (edited["name"], edited["description"], edited["version"]) == ("New", None, 2)
    assert edited["steps"] == transform()["steps"]
    versions = api.data("GET", f"/workflows/{id}/versions")
    assert [(each["version"], each["current"]) for each in versions] == [(2, True), (1, False)]
    assert api.data("GET", f"/workflows/{id}/versions/1")["description"] == "old"
    assert api.data("POST", f"/workflows/{id}/versions/1/restore")["version"] == 3


def test_a_draft_that_was_never_active_keeps_version_1_and_a_paused_workflow_gets_a_new_one(api: Api) -> None:
    draft, paused = api.workflow(transform(), active=False), api.workflow(transform())
    api.data("POST", f"/workflows/{paused}/pause")

    assert api.data("PUT", f"/workflows/{draft}", {"name": "New"})["version"] == 1
    assert api.data("PUT", f"/workflows/{paused}", {"name": "New"})["version"] == 2


def test_a_run_keeps_the_version_it_started_with(api: Api) -> None:
    id = api.workflow(transform())
    run = api.start(id)

    api.data("PUT", f"/workflows/{id}", {"name": "New"})

    assert api.final(run)["workflowVersion"] == 1
    assert api.finish(id)["workflowVersion"] == 2


def test_a_draft_is_not_paused_and_a_required_field_not_removed(api: Api) -> None:
    id = api.workflow(transform(), active=False)

    refused(api.post(f"/workflows/{id}/pause"), 400, "INVALID_STATUS")
    details = refused(api("PUT", f"/workflows/{id}", {"name": None}), 400, "VALIDATION_ERROR")
    assert [fault["field"] for fault in details] == ["name"]


def test_a_run_in_progress_goes_on_though_its_workflow_is_archived(api: Api) -> None:
    step = {"id": "pause", "type": "wait", "config": {"duration": 50}}
    id = api.workflow(transform(steps=[step]))
    run = api.start(id)

    api.data("DELETE", f"/workflows/{id}")

    assert api.final(run)["status"] == "completed"


def test_versions_are_paged(api: Api) -> None:
    id = api.workflow(transform())
    for name in "abc":
        api.data("PUT", f"/workflows/{id}", {"name": name})

    first = decode(api.get(f"/workflows/{id}/versions?limit=3").content)
    rest = decode(api.get(f"/workflows/{id}/versions?limit=3&cursor={first['meta']['cursor']}").content)

    assert [each["version"] for each in first["data"] + rest["data"]] == [4, 3, 2, 1]
    assert rest["meta"] == {"hasMore": False}


def test_an_unknown_version_is_not_found(api: Api) -> None:
    id = api.workflow(transform())

    for number in ("9", "x", "-1", "1" * 30):
        refused(api.get(f"/workflows/{id}/versions/{number}"), 404, "NOT_FOUND", "Version not found")


def test_a_duplicate_is_a_draft_without_slug(api: Api) -> None:
    id = api.workflow(transform(slug="one"))

    response = api.post(f"/workflows/{id}/duplicate")

    copy = decode(response.content)["data"]
    assert (response.status_code, copy["name"], copy["status"], copy["slug"]) == (201, "Copy of Shape", "draft", None)


def test_the_canvas_is_stored_as_sent(api: Api) -> None:
    id = api.workflow(transform())

    api.data("PATCH", f"/workflows/{id}/canvas", {"canvasState": {"zoom": 1.5}})

    assert api.data("GET", f"/workflows/{id}")["canvasState"] == decode('{"zoom": 1.5}')


def test_a_slug_is_unique_in_the_workspace(new_api: NewApi) -> None:
    one, other = new_api(), new_api()
    one.workflow(transform(slug="same"))

    refused(one.post("/workflows", transform(slug="same")), 409, "ALREADY_EXISTS")
    assert other.post("/workflows", transform(slug="same")).status_code == 201


def test_a_workflow_without_a_schedule_has_no_next_firing(api: Api) -> None:
    id = api.workflow(transform())

    refused(api.get(f"/workflows/{id}/schedule/next"), 400, "VALIDATION_ERROR")


def test_secrets_are_named_but_never_shown(api: Api) -> None:
    id = api.workflow(transform())
    path = f"/workflows/{id}/secrets"

    made = api.post(path, {"key": "TOKEN", "value": "tok-12345"})

    assert (made.status_code, set(made.json()["data"])) == (201, {"key", "updatedAt"})
    refused(api.post(path, {"key": "TOKEN", "value": "tok-12345"}), 409, "ALREADY_EXISTS")
    assert api("PUT", f"{path}/TOKEN", {"value": "tok-67890"}).status_code == 200
    refused(api("PUT", f"{path}/OTHER", {"value": "tok-67890"}), 404, "NOT_FOUND")
    listed = api.get(path)
    assert [each["key"] for each in listed.json()["data"]] == ["TOKEN"]
    assert "tok-" not in listed.text + made.text
    assert api("DELETE", f"{path}/TOKEN").status_code == 200
    assert api.data("GET", path) == []


def test_a_key_is_shown_once_and_a_revoked_one_stops_at_once(api: Api) -> None:
    response = api.post("/admin/keys", {"name": "ci", "scopes": ["runs:read"]})
    made = response.json()["data"]
    url, headers = f"{api.server.url}/api/v1/runs", {"x-api-key": made["key"]}

    assert response.status_code == 201
    assert len(made["key"]) == 36 and made["key"].startswith("wfk_") and made["prefix"] == made["key"][:8]
    assert requests.get(url, headers=headers, timeout=10).status_code == 200
    assert made["key"] not in api.get("/admin/keys").text
    assert api.data("DELETE", f"/admin/keys/{made['id']}") == {"id": made["id"], "deleted": True}
    refused(requests.get(url, headers=headers, timeout=10), 401, "UNAUTHORIZED", "Invalid or missing API key")


def test_a_key_with_an_unknown_scope_is_refused(api: Api) -> None:
    details = refused(api.post("/admin/keys", {"name": "k", "scopes": ["runs:fly"]}), 400, "VALIDATION_ERROR")

    assert [fault["path"] for fault in details] == [["scopes", 0]]


def test_keys_of_the_first_workspace_make_and_read_all_workspaces(operator: Api) -> None:
    response = operator.post("/admin/workspaces", {"name": "Second"})

    made = response.json()["data"]
    assert (response.status_code, made["id"][:3], made["name"]) == (201, "ws_", "Second")
    assert operator.data("GET", f"/admin/workspaces/{made['id']}") == made
    assert made in operator.data("GET", "/admin/workspaces")


def test_keys_of_another_workspace_see_only_their_own(operator: Api, new_api: NewApi) -> None:
    api, other = new_api(), new_api()

    assert [each["id"] for each in api.data("GET", "/admin/workspaces")] == [f"ws_{api.workspace}"]
    assert api.data("GET", f"/admin/workspaces/ws_{api.workspace}")["id"] == f"ws_{api.workspace}"
    for foreign in (operator.workspace, other.workspace):
        refused(api.get(f"/admin/workspaces/ws_{foreign}"), 404, "NOT_FOUND", "Workspace not found")
    for body in ({"name": "Mine"}, {}):  # what is not allowed is told before what is malformed
        refused(api.post("/admin/workspaces", body), 403, "FORBIDDEN", "Access denied to this resource")


def test_a_connection_never_shows_its_credentials(api: Api) -> None:
    body = {"name": "Live", "provider": "stripe", "credentials": {"apiKey": "sk_live_very_secret"}, "isDefault": True}

    response = api.post("/connections", body)

    made = response.json()["data"]
    assert (response.status_code, made["status"], made["isDefault"], made["mode"]) == (201, "active", True, "live")
    shown = response.text + api.get("/connections").text + api.get(f"/connections/{made['id']}").text
    assert "very_secret" not in shown
    assert api.data("PUT", f"/connections/{made['id']}", {"name": "Renamed"})["name"] == "Renamed"
    assert api.data("DELETE", f"/connections/{made['id']}") == {"id": made["id"], "deleted": True}


def test_connections_are_filtered_by_provider_and_status(api: Api) -> None:
    stripe = api.data("POST", "/connections", {"name": "s", "provider": "stripe", "mode": "simulator"})["id"]
    api.data("POST", "/connections", {"name": "r", "provider": "resend", "mode": "simulator"})

    assert [each["id"] for each in api.data("GET", "/connections?provider=stripe&status=active")] == [stripe]
    assert api.data("GET", "/connections?status=expired") == []


def test_a_connection_needs_credentials_unless_it_is_a_simulator(api: Api) -> None:
    details = refused(api.post("/connections", {"name": "s", "provider": "stripe"}), 400, "VALIDATION_ERROR")

    assert details == [{"path": ["credentials"], "message": "Required"}]
