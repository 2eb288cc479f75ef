"""Workflows of the Flowra dialect: made, listed, changed, switched, removed. Source: Flowra contract 4.2, 7, 12."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from flowra import Flowra, FlowraAPIError

from flowra_client import FlowraApi, bare, flowra, refused
from flowra_flows import BASE, GRAPH, UNKNOWN, create, detail, node, update
from live import PATIENCE_S, Api, NewApi, transform
from live import refused as natively_refused

FIELDS = {
    *("id", "name", "description", "projectId", "agent", "graph", "provenance", "triggers", "workflowType", "isActive"),
    *("lifecycle", "isPublic", "version", "executionCount", "successfulExecutionCount", "failedExecutionCount"),
    *("lastExecutedAt", "connections", "tools", "createdAt", "updatedAt"),
}


@pytest.fixture
def client(api: Api) -> FlowraApi:
    return flowra(api)


# Life


def test_a_workflow_is_shown_with_exactly_the_listed_fields_and_its_graph_as_sent(client: FlowraApi) -> None:
    made = create(client, description="d", isPublic=True, triggers=[{"kind": "manual", "note": 1}])

    assert set(made) == FIELDS
    assert made["graph"] == GRAPH
    assert made == detail(client, made["id"])
    told = ("name", "description", "projectId", "workflowType", "isActive", "lifecycle", "isPublic", "version")
    assert [made[name] for name in told] == ["Flow", "d", client.workspace, "static", True, "ready", True, "1.0.0"]
    assert made["triggers"] == [{"kind": "manual", "note": 1}]
    assert (made["executionCount"], made["lastExecutedAt"]) == (0, None)


def test_without_a_graph_it_is_a_draft_until_it_gets_one(client: FlowraApi) -> None:
    draft = client.answer("POST", f"{BASE}/create", {"name": "Draft"}, 201)["data"]

    refused(client("PATCH", f"{BASE}/activeStatus/{draft['id']}", {"activeStatus": True}), 400, "Workflow is a draft")
    ready = update(client, draft["id"], workflowType="static", graph=GRAPH)

    assert (draft["lifecycle"], draft["isActive"], draft["graph"]) == ("draft", False, None)
    assert (ready["lifecycle"], ready["isActive"], ready["graph"]) == ("ready", True, GRAPH)


def test_an_update_changes_what_it_names_and_bumps_the_version(client: FlowraApi) -> None:
    made = create(client, description="d")

    renamed = update(client, made["id"], name="Other", isPublic=True)
    undescribed = update(client, made["id"], description=None)

    assert (renamed["name"], renamed["description"], renamed["version"]) == ("Other", "d", "1.0.1")
    assert (renamed["graph"], renamed["isPublic"]) == (GRAPH, True)
    assert (undescribed["description"], undescribed["version"]) == (None, "1.0.2")


def test_another_graph_replaces_the_first_as_a_whole(client: FlowraApi, api: Api) -> None:
    made = create(client, graph={**GRAPH, "inputSchema": {"type": "object", "required": ["x"]}})
    other = {"nodes": [node("s", "start"), node("b")], "edges": [{"from": "s", "to": "b"}]}

    changed = update(client, made["id"], graph=other)

    native = api.data("GET", f"/workflows/{made['id']}")
    assert changed["graph"] == other
    assert [step["id"] for step in native["steps"]] == ["b"]
    assert native.get("inputSchema") is None


def test_it_is_switched_off_and_on(client: FlowraApi) -> None:
    made = create(client)

    states = [
        client.answer("PATCH", f"{BASE}/activeStatus/{made['id']}", {"activeStatus": wanted})["data"]
        for wanted in (False, False, True)
    ]

    assert [(each["isActive"], each["lifecycle"]) for each in states] == [
        (False, "ready"),
        (False, "ready"),
        (True, "ready"),
    ]


def test_runs_are_counted(client: FlowraApi) -> None:
    made = create(
        client, graph={"nodes": [node("s", "start"), node("a", code="return input.x.y")], "edges": GRAPH["edges"]}
    )
    for given in ({"x": {}}, {"x": {}}, {}):
        begun = client.answer("POST", f"{BASE}/execute/{made['id']}", {"input": given}, 201)
        client.native.final(f"run_{begun['executionId']}")

    shown = detail(client, made["id"])

    counts = [shown[f"{name}xecutionCount"] for name in ("e", "successfulE", "failedE")]
    assert counts == [3, 2, 1]
    assert shown["lastExecutedAt"] >= shown["createdAt"]


def test_a_deleted_workflow_is_gone_with_its_triggers(client: FlowraApi) -> None:
    made = create(client, triggers=[{"kind": "cron", "expression": "0 9 * * *"}])
    client.upsert(workflowId=made["id"])

    gone = client.answer("DELETE", f"{BASE}/delete/{made['id']}")

    assert gone == {"success": True, "message": "Workflow deleted"}
    assert client.listed("showDisabled=true") == []
    for method, path in (("GET", "detail"), ("DELETE", "delete"), ("POST", "execute"), ("PATCH", "update")):
        refused(client(method, f"{BASE}/{path}/{made['id']}", None if method in ("GET", "DELETE") else {}), 404)
    assert client.answer("GET", f"{BASE}/list")["total"] == 0


def test_it_is_not_deleted_while_executions_are_open(client: FlowraApi) -> None:
    wait = {"nodes": [node("s", "start"), node("a", "human_wait")], "edges": GRAPH["edges"]}
    made = create(client, graph=wait)
    begun = client.answer("POST", f"{BASE}/execute/{made['id']}", {}, 201)

    refused(client("DELETE", f"{BASE}/delete/{made['id']}"), 409)

    client.answer("POST", f"{BASE}/executions/{begun['executionId']}/cancel")
    client.answer("DELETE", f"{BASE}/delete/{made['id']}")


@pytest.mark.parametrize("id", [UNKNOWN, "nonsense"])
def test_an_unknown_workflow_is_not_found(client: FlowraApi, id: str) -> None:
    for method, path, body in (
        ("GET", "detail", None),
        ("PATCH", "update", {"name": "x"}),
        ("DELETE", "delete", None),
        ("PATCH", "activeStatus", {"activeStatus": True}),
        ("POST", "execute", {}),
    ):
        refused(client(method, f"{BASE}/{path}/{id}", body), 404, "Workflow not found")


def test_another_workspace_sees_nothing_of_it(client: FlowraApi, new_api: NewApi) -> None:
    made = create(client)
    other = flowra(new_api())

    refused(other("GET", f"{BASE}/detail/{made['id']}"), 404)
    assert other.answer("GET", f"{BASE}/list")["data"] == []


def test_users_that_are_none_or_switched_off_are_refused(client: FlowraApi) -> None:
    made = create(client)
    bob = client.answer("POST", "/external-users", {"username": "bob"}, 201)["data"]["id"]
    client.answer("PUT", f"/external-users/{bob}/toggle-active")
    calls = [("GET", "list", None), ("GET", f"detail/{made['id']}", None), ("GET", "executions", None)]
    calls += [("POST", f"execute/{made['id']}", {}), ("POST", "create", {"name": "x"})]

    for method, path, body in calls:
        assert refused(client.user("a b")(method, f"{BASE}/{path}", body), 400) == ["x-username"]
        refused(client.user("bob")(method, f"{BASE}/{path}", body), 403)


# Lists


def test_workflows_are_listed_without_graphs_and_filtered(client: FlowraApi, api: Api) -> None:
    first, second = create(client, name="Alpha"), create(client, name="Beta", isActive=False)
    draft = client.answer("POST", f"{BASE}/create", {"name": "Gamma"}, 201)["data"]
    native = bare(api.workflow(transform()))

    def listed(query: str = "") -> list[str]:
        body = client.answer("GET", f"{BASE}/list?{query}")
        assert body["total"] == len(body["data"])
        assert all(set(row) == FIELDS - {"graph"} for row in body["data"])
        return [row["id"] for row in body["data"]]

    assert listed() == [native, draft["id"], second["id"], first["id"]]
    assert listed("isActive=True") == [native, first["id"]]
    assert listed("isActive=false") == [draft["id"], second["id"]]
    assert listed("lifecycle=draft") == [draft["id"]]
    assert listed("lifecycle=ready&isActive=0") == [second["id"]]
    assert listed("workflowType=static&q=ALP") == [first["id"]]
    assert listed("workflowType=agent") == []
    assert listed("sortBy=name&sortOrder=ASC&q=a")[:2] == [first["id"], second["id"]]


def test_pages_of_workflows_agree(client: FlowraApi) -> None:
    ids = [create(client)["id"] for _ in range(5)][::-1]

    pages = [client.answer("GET", f"{BASE}/list?limit=2&page={page}&fields=name") for page in (1, 2, 3)]
    after = client.answer("GET", f"{BASE}/list?limit=2&cursor={pages[0]['nextCursor']}")

    assert [[row["id"] for row in page["data"]] for page in pages] == [ids[:2], ids[2:4], ids[4:]]
    assert {(page["total"], page["totalPages"]) for page in pages} == {(5, 3)}
    assert [row["id"] for row in after["data"]] == ids[2:4]


# Workflows of other dialects


def test_a_native_workflow_is_shown_without_graph_and_runs(client: FlowraApi, api: Api) -> None:
    workflow = bare(api.workflow({**transform(), "trigger": {"type": "schedule", "cron": "0 9 * * *"}}))

    shown = detail(client, workflow)
    begun = client.answer("POST", f"{BASE}/execute/{workflow}", {"input": {"n": 1}}, 201)
    api.final(f"run_{begun['executionId']}")
    ended = client.answer("GET", f"{BASE}/executions/{begun['executionId']}")["data"]

    assert (shown["graph"], shown["lifecycle"], shown["isActive"]) == (None, "ready", True)
    assert shown["triggers"] == [{"kind": "cron", "expression": "0 9 * * *", "timezone": "UTC"}]
    assert ended["outputData"] == {"seen": {"n": 1}}
    assert ended["executionSummary"]["completedNodes"] == ["shape"]


def test_what_was_written_natively_is_not_changed_here(client: FlowraApi, api: Api) -> None:
    workflow = bare(api.workflow(transform()))

    renamed = update(client, workflow, name="Renamed")
    response = client("PATCH", f"{BASE}/update/{workflow}", {"graph": GRAPH})

    assert renamed["name"] == "Renamed"
    refused(response, 409)


def test_the_steps_of_a_graph_are_not_changed_natively(client: FlowraApi, api: Api) -> None:
    made = create(client)
    path = f"/workflows/wf_{made['id']}"
    native = api.data("GET", path)

    renamed = api.data("PUT", path, {**native, "name": "Native name"})
    response = api("PUT", path, {"steps": transform()["steps"], "source": {"dialect": "loopfour"}})

    assert renamed["name"] == "Native name"
    natively_refused(response, 409, "SOURCE_OWNED")
    natively_refused(api("PATCH", f"{path}/canvas", {"canvasState": 1, "steps": []}), 409, "SOURCE_OWNED")
    assert detail(client, made["id"])["graph"] == GRAPH


def test_nobody_can_pretend_that_a_native_workflow_has_a_source(client: FlowraApi, api: Api) -> None:
    workflow = bare(api.workflow({**transform(), "source": {"dialect": "flowra", "graph": GRAPH}}))

    assert detail(client, workflow)["graph"] is None


def test_a_copy_keeps_the_graph(client: FlowraApi, api: Api) -> None:
    made = create(client)

    copy = bare(api.data("POST", f"/workflows/wf_{made['id']}/duplicate")["id"])

    assert detail(client, copy)["graph"] == GRAPH


# The vendor's client


@pytest.fixture
def sdk(client: FlowraApi) -> Flowra:
    return Flowra(api_key=client.key, base_url=client.native.server.url)


def test_the_vendors_client_works(sdk: Flowra, client: FlowraApi, until: Callable[..., Any]) -> None:
    wait = {"nodes": [node("s", "start"), node("a", "human_wait")], "edges": GRAPH["edges"]}
    workflow = sdk.workflows.create({"name": "Mine", "graph": wait})["data"]["id"]
    ada = sdk.as_user("ada")

    assert sdk.workflows.get(workflow)["data"]["graph"] == wait
    assert sdk.workflows.update(workflow, {"name": "Ours"})["data"]["name"] == "Ours"
    assert sdk.workflows.set_active(workflow, False)["data"]["isActive"] is False
    assert [row["id"] for row in sdk.workflows.list(isActive=False, limit=5)["data"]] == [workflow]
    begun = ada.workflows.run(workflow, {"input": {"amount": 1}})
    thread = begun["threadId"]
    until(lambda: ada.workflows.status(thread)["status"] == "paused")
    assert ada.workflows.resume(thread, {"resumeValue": {"approved": True}})["data"]["status"] == "running"
    until(lambda: ada.workflows.status(thread)["data"]["status"] == "completed")
    assert ada.workflows.execution(begun["executionId"])["data"]["state"]["a"]["approved"] is True
    assert [row["id"] for row in ada.workflows.executions(status="completed")["data"]] == [thread]
    assert sdk.workflows.executions_for(workflow, page=1, limit=10)["total"] == 1
    with pytest.raises(FlowraAPIError, match="Thread not found"):
        sdk.as_user("bob").workflows.status(thread)
    assert sdk.workflows.remove(workflow)["message"] == "Workflow deleted"
    with pytest.raises(FlowraAPIError, match="Workflow not found") as gone:
        sdk.workflows.get(workflow)
    assert gone.value.status_code == 404


def test_the_vendors_client_shows_the_first_fault(sdk: Flowra) -> None:
    with pytest.raises(FlowraAPIError, match=r"graph\.nodes\[1\]\.toolSlug: Unknown tool: X_Y"):
        sdk.workflows.create(
            {"name": "x", "graph": {**GRAPH, "nodes": [node("s", "start"), node("a", "action", toolSlug="X_Y")]}}
        )


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], None]:
    """Waits until something holds."""

    def wait(holds: Callable[[], Any]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.005)

    return wait
