"""Versions of workflows of the AwaitStep dialect. Source: AwaitStep contract 4.2, 9."""

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
