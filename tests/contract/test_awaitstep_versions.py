"""Versions of workflows of the AwaitStep dialect. Source: AwaitStep contract 4.2, 9."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from awaitstep_client import AwaitstepApi, awaitstep, simple
from awaitstep_graphs import graph, step
from live import Api
from stepwell.values import Json, decode

KEYS = {"id", "workflowId", "version", "ir", "locked", "createdBy", "createdAt", "updatedAt"}


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


def versions(client: AwaitstepApi, workflow: str) -> Json:
    return client.answer("GET", f"/api/workflows/{workflow}/versions")["data"]


def test_a_version_has_these_keys_and_the_ir_as_text(client: AwaitstepApi) -> None:
    workflow = client.create()
    saved = client.save(workflow, simple())

    assert set(saved) == KEYS | {"warnings"}
    assert (saved["version"], saved["locked"], saved["warnings"]) == (1, 0, [])
    assert decode(saved["ir"].encode()) == simple()
    assert client.answer("GET", f"/api/workflows/{workflow}/versions/{saved['id']}")["id"] == saved["id"]
    assert client.answer("GET", f"/api/workflows/{workflow}")["currentVersionId"] == saved["id"]


def test_the_same_ir_is_no_new_version(client: AwaitstepApi) -> None:
    workflow = client.create()
    first = client.save(workflow, simple())

    assert client.save(workflow, simple(), 200)["id"] == first["id"]


def test_a_change_before_a_deploy_overwrites_and_after_it_is_a_new_version(client: AwaitstepApi) -> None:
    workflow = client.create()
    first = client.save(workflow, simple())
    assert client.save(workflow, simple("return 1"), 200)["id"] == first["id"]
    client.deploy(workflow)

    second = client.save(workflow, simple("return 2"))

    assert (second["version"], [each["version"] for each in versions(client, workflow)]) == (2, [2, 1])


def test_a_locked_version_is_not_overwritten(client: AwaitstepApi) -> None:
    workflow = client.create()
    first = client.save(workflow, simple())
    path = f"/api/workflows/{workflow}/versions/{first['id']}"
    assert client.answer("PATCH", path, {"locked": True})["locked"] == 1

    client.save(workflow, simple("return 2"))

    assert client.answer("GET", path)["ir"] == first["ir"]
    assert client.error("DELETE", path) == "Version is locked"


def test_an_old_version_is_brought_back_as_a_new_one(client: AwaitstepApi) -> None:
    workflow = client.create()
    first = client.save(workflow, simple())
    client.deploy(workflow)
    client.save(workflow, simple("return 2"))

    back = client.answer("POST", f"/api/workflows/{workflow}/versions/{first['id']}/revert", status=201)

    assert (back["version"], back["ir"]) == (3, first["ir"])


def test_a_version_in_use_is_not_removed_and_another_one_is(client: AwaitstepApi) -> None:
    workflow = client.create()
    first = client.save(workflow, simple())
    client.deploy(workflow)
    second = client.save(workflow, simple("return 2"))
    client.answer("POST", f"/api/workflows/{workflow}/versions/{first['id']}/revert", status=201)

    client.error("DELETE", f"/api/workflows/{workflow}/versions/{first['id']}")
    assert client.answer("DELETE", f"/api/workflows/{workflow}/versions/{second['id']}") == {"ok": True}
    assert [each["version"] for each in versions(client, workflow)] == [3, 1]


def test_every_fault_of_a_graph_is_told_at_once(client: AwaitstepApi) -> None:
    workflow = client.create()
    ir = graph(step("a", "return ("), step("b", "return {{nobody.x}}"), edges="a>b")

    answer = client.answer("POST", f"/api/workflows/{workflow}/versions", {"ir": ir}, 400)

    assert answer["error"] == "Invalid IR"
    assert {each["nodeId"] for each in answer["details"]} == {"a", "b"}


def test_an_ir_without_nodes_is_refused_by_its_shape(client: AwaitstepApi) -> None:
    workflow = client.create()
    ir = {name: value for name, value in simple().items() if name != "nodes"}

    answer = client.answer("POST", f"/api/workflows/{workflow}/versions", {"ir": ir}, 422)

    assert answer["error"] == "Validation failed"
    assert [each["path"] for each in answer["details"]] == ["ir.nodes"]


def test_versions_go_on_at_their_cursor(client: AwaitstepApi) -> None:
    workflow = client.create()
    for n in range(3):
        client.save(workflow, simple(f"return {n}"))
        client.deploy(workflow)

    path = f"/api/workflows/{workflow}/versions"
    first = client.answer("GET", path, params={"limit": 2})
    rest = client.answer("GET", path, params={"limit": 2, "cursor": first["nextCursor"]})

    assert [each["version"] for each in (*first["data"], *rest["data"])] == [3, 2, 1]
    assert rest["nextCursor"] is None


def test_a_version_of_another_workflow_is_not_found(client: AwaitstepApi) -> None:
    workflow, other = client.create(), client.create()
    foreign = client.save(other, simple())["id"]

    for method, rest, body in (("GET", "", None), ("PATCH", "", {"locked": True}), ("POST", "/revert", None)):
        path = f"/api/workflows/{workflow}/versions/{foreign}{rest}"
        assert client.error(method, path, body, 404) == "Version not found"


def test_a_locked_version_is_let_go(client: AwaitstepApi) -> None:
    workflow = client.create()
    version = client.save(workflow, simple())
    path = f"/api/workflows/{workflow}/versions/{version['id']}"
    client.answer("PATCH", path, {"locked": True})

    assert client.answer("PATCH", path, {"locked": False})["locked"] == 0

    assert client.save(workflow, simple("return 2"), 200)["id"] == version["id"]


def test_versions_saved_at_once_have_numbers_of_their_own(client: AwaitstepApi) -> None:
    workflow = client.create()
    first = client.save(workflow, simple())
    client.answer("PATCH", f"/api/workflows/{workflow}/versions/{first['id']}", {"locked": True})
    path = f"/api/workflows/{workflow}/versions/{first['id']}/revert"

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: client.answer("POST", path, status=201)["version"], range(8)))

    assert sorted(made) == list(range(2, 10))
