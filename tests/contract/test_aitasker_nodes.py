"""The AITasker dialect's nodes: their rules, what they depend on, what they name, and what they come to in a run.
Source: AITasker contract 4.2, 7, 7.1, 7.2, 12."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from aitasker_client import AitaskerApi, aitasker, detail, places, shape_node, task_node
from answering import Answering
from live import Api, transform
from stepwell.values import Json

FIELDS = {
    "id",
    "workflow_id",
    "position",
    "node_type",
    "parallel_group",
    "depends_on",
    "task_template",
    "node_config",
    "input_mapping",
    "max_retries",
    "retry_count",
    "created_at",
}


@pytest.fixture
def client(api: Api) -> AitaskerApi:
    return aitasker(api)


@pytest.fixture
def workflow(client: AitaskerApi) -> str:
    id: str = client.workflow()["id"]
    return id


def ids(count: int) -> list[str]:
    return [str(uuid4()) for _ in range(count)]


def test_a_node_has_the_fields_of_the_contract(client: AitaskerApi, workflow: str) -> None:
    made = client.answer("POST", f"/workflows/{workflow}/nodes", shape_node(3))

    assert set(made) == FIELDS
    assert {name: made[name] for name in FIELDS - {"id", "created_at", "node_config"}} == {
        "workflow_id": workflow,
        "position": 3,
        "node_type": "transform",
        "parallel_group": None,
        "depends_on": [],
        "task_template": None,
        "input_mapping": None,
        "max_retries": 1,
        "retry_count": 0,
    }


def test_nodes_are_listed_by_position_and_read_one_by_one(client: AitaskerApi, workflow: str) -> None:
    path = f"/workflows/{workflow}/nodes"
    made = {position: client.answer("POST", path, shape_node(position)) for position in (2, 0, 1)}

    assert client.answer("GET", path) == [made[0], made[1], made[2]]
    assert client.answer("GET", f"{path}/{made[1]['id']}") == made[1]
    assert client.answer("GET", f"/workflows/{workflow}")["nodes"] == [made[0], made[1], made[2]]


def test_a_put_of_a_node_changes_only_what_is_sent(client: AitaskerApi, workflow: str) -> None:
    path = f"/workflows/{workflow}/nodes"
    made = client.answer("POST", path, shape_node(0, parallel_group=4))

    changed = client.answer("PUT", f"{path}/{made['id']}", {"max_retries": 5, "parallel_group": None})

    assert changed == {**made, "max_retries": 5, "parallel_group": None}


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"position": -1}, ["body", "position"]),
        ({"position": "1"}, ["body", "position"]),
        ({"max_retries": -1}, ["body", "max_retries"]),
        ({"max_retries": 6}, ["body", "max_retries"]),
        ({"node_type": "magic"}, ["body", "node_type"]),
        ({"node_type": "task", "task_template": None}, ["body", "task_template"]),
        ({"node_type": "task", "task_template": {"task_type": "x"}}, ["body", "task_template", "title"]),
        ({"depends_on": ["abc"]}, ["body", "depends_on", 0]),
        ({"depends_on": [str(uuid4())]}, ["body", "depends_on"]),
        ({"node_config": {"operation": "shuffle"}}, ["body", "node_config", "operation"]),
        ({"node_config": {}}, ["body", "node_config", "operation"]),
        (
            {"node_config": {"operation": "pick", "params": {"source": {}}}},
            ["body", "node_config", "params", "fields"],
        ),
        (
            {"node_config": {"operation": "code", "params": {"code": "return {"}}},
            ["body", "node_config", "params", "code"],
        ),
        (
            {"node_config": {"operation": "filter", "params": {"source": [1], "expression": "item >"}}},
            ["body", "node_config", "params", "expression"],
        ),
        (
            {"node_config": {"operation": "map", "params": {"source": [1], "expression": "input.x"}}},
            ["body", "node_config", "params", "expression"],
        ),
        ({"node_type": "api_call", "node_config": {}}, ["body", "node_config", "provider"]),
        ({"node_type": "api_call", "node_config": {"provider": "http"}}, ["body", "node_config", "params", "url"]),
        (
            {"node_type": "api_call", "node_config": {"provider": "http", "params": {"url": "ftp://x"}}},
            ["body", "node_config", "params", "url"],
        ),
        (
            {"node_type": "api_call", "node_config": {"provider": "stripe"}},
            ["body", "node_config", "params", "operation"],
        ),
        (
            {"node_type": "api_call", "node_config": {"provider": "stripe", "params": {"operation": "fly"}}},
            ["body", "node_config", "params", "operation"],
        ),
        ({"node_type": "distribution", "node_config": {}}, ["body", "node_config", "platform"]),
        (
            {"node_type": "distribution", "node_config": {"platform": "webhook", "params": {"payload": 1}}},
            ["body", "node_config", "params", "url"],
        ),
        ({"input_mapping": {"a b": 1}}, ["body", "input_mapping", "a b"]),
        ({"input_mapping": {"a": "nodes.7.output"}}, ["body", "input_mapping", "a"]),
        ({"input_mapping": {"a": "{{nope.x}}"}}, None),
    ],
)
def test_a_bad_node_is_refused_at_the_place_of_its_fault(
    client: AitaskerApi, workflow: str, fields: Json, place: Json
) -> None:
    response = client("POST", f"/workflows/{workflow}/nodes", {**shape_node(), **fields})

    if place is None:  # nothing of the node reads it
        assert response.status_code == 200
    else:
        assert places(response) == [place]
        assert client.answer("GET", f"/workflows/{workflow}/nodes") == []


def test_a_position_is_required(client: AitaskerApi, workflow: str) -> None:
    faults = detail(client("POST", f"/workflows/{workflow}/nodes", {}), 422)

    assert [(fault["type"], fault["loc"]) for fault in faults] == [("missing", ["body", "position"])]


def test_faults_of_nodes_in_a_new_workflow_are_told_by_their_places_in_the_list(client: AitaskerApi) -> None:
    bad = shape_node(1, node_config={"operation": "shuffle"})

    response = client("POST", "/workflows", {"title": "x", "nodes": [shape_node(), bad, shape_node(-1)]})

    assert places(response) == [["body", "nodes", 2, "position"]]
    response = client("POST", "/workflows", {"title": "x", "nodes": [shape_node(), bad]})
    assert places(response) == [["body", "nodes", 1, "node_config", "operation"]]


def test_a_node_does_not_depend_on_itself(client: AitaskerApi, workflow: str) -> None:
    path = f"/workflows/{workflow}/nodes"
    id = client.answer("POST", path, shape_node())["id"]

    assert places(client("PUT", f"{path}/{id}", {"depends_on": [id]})) == [["body", "depends_on"]]


def test_a_cycle_is_refused(client: AitaskerApi, workflow: str) -> None:
    path = f"/workflows/{workflow}/nodes"
    first = client.answer("POST", path, shape_node())["id"]
    second = client.answer("POST", path, shape_node(1, depends_on=[first]))["id"]

    assert places(client("PUT", f"{path}/{first}", {"depends_on": [second]})) == [["body", "depends_on"]]


def test_nodes_of_a_new_workflow_may_name_each_other_by_ids_of_their_own(client: AitaskerApi) -> None:
    first, second = ids(2)
    nodes = [shape_node(5, id=first.upper()), shape_node(0, id=second, depends_on=[first])]

    made = client.workflow(*nodes)

    assert [(node["id"], node["depends_on"]) for node in made["nodes"]] == [(second, [first]), (first, [])]
    faults = places(
        client("POST", "/workflows", {"title": "x", "nodes": [nodes[0], nodes[0], {**nodes[1], "id": "x"}]})
    )
    assert faults == [["body", "nodes", 1, "id"], ["body", "nodes", 2, "id"]]


@pytest.mark.parametrize(
    "text",
    [
        "{{nodes.1.output.n}}",
        "{{nodes.9.output.n}}",
        "{{nodes.0.n}}",
        "{{nodes}}",
        "{{unknown}}",
        "{{trigger.x",
        "{{x|no}}",
    ],
)
def test_a_template_that_names_something_in_vain_is_refused(client: AitaskerApi, text: str) -> None:
    nodes = [shape_node(0, mapping={"a": text if "nodes.1" in text else 1}), shape_node(1, mapping={"a": text})]

    found = places(client("POST", "/workflows", {"title": "x", "nodes": nodes}))

    assert ["body", "nodes", 1, "node_config", "params", "mapping", "a"] in found


def test_a_position_of_several_nodes_may_not_be_named(client: AitaskerApi) -> None:
    nodes = [shape_node(0), shape_node(0), shape_node(1, mapping={"a": "{{nodes.0.output.n}}"})]

    [fault] = detail(client("POST", "/workflows", {"title": "x", "nodes": nodes}), 422)

    assert "Several nodes have position 0" in fault["msg"]


def test_a_node_that_others_need_is_not_deleted(client: AitaskerApi) -> None:
    first, second, third, fourth = ids(4)
    nodes = [
        shape_node(0, id=first),
        shape_node(1, id=second, depends_on=[first]),
        shape_node(2, id=third, mapping={"a": f"{{{{nodes.{first}.output.n}}}}"}),
        shape_node(3, id=fourth, input_mapping={"a": "nodes.0.output.n"}),
    ]
    path = f"/workflows/{client.workflow(*nodes)['id']}/nodes"

    response = client("DELETE", f"{path}/{first}")

    assert detail(response, 409) == f"Node is needed by {second}, {third}, {fourth}"
    assert client("DELETE", f"{path}/{fourth}").status_code == 204
    assert [node["id"] for node in client.answer("GET", path)] == [first, second, third]


def test_an_unknown_node_is_not_found(client: AitaskerApi, workflow: str) -> None:
    path = f"/workflows/{workflow}/nodes/{uuid4()}"

    for method, body in (("GET", None), ("PUT", {"position": "bad"}), ("DELETE", None)):
        assert detail(client(method, path, body), 404) == "Node not found"


def test_a_bad_node_id_is_told_with_the_other_ids(client: AitaskerApi) -> None:
    assert places(client("GET", "/workflows/x/nodes/y")) == [["path", "workflow_id"], ["path", "node_id"]]


def test_nodes_of_another_dialect_are_not_changed_here(client: AitaskerApi) -> None:
    wf = client.native.workflow(transform())[3:]
    path = f"/workflows/{wf}/nodes"
    [node] = client.answer("GET", path)

    calls = (("POST", path), ("PUT", f"{path}/{node['id']}"), ("DELETE", f"{path}/{node['id']}"))
    for method, where in calls:
        response = client(method, where, None if method == "DELETE" else shape_node())
        assert detail(response, 409) == "Nodes belong to another dialect"
    assert client.answer("GET", f"{path}/{node['id']}") == node


def test_more_than_200_nodes_are_refused(client: AitaskerApi) -> None:
    response = client("POST", "/workflows", {"title": "x", "nodes": [shape_node(n) for n in range(201)]})

    assert places(response) == [["body", "nodes"]]


def test_two_nodes_added_at_once_are_both_kept(client: AitaskerApi, workflow: str) -> None:
    path = f"/workflows/{workflow}/nodes"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: client.answer("POST", path, shape_node(n))["id"], range(8)))

    assert [node["id"] for node in client.answer("GET", path)] == made


def test_depends_on_counts_more_than_position(client: AitaskerApi) -> None:
    late, early = ids(2)
    nodes = [shape_node(5, id=late), shape_node(0, {"a": "{{nodes.5.output.n}}"}, id=early, depends_on=[late])]

    made = client.workflow(*nodes)

    assert client.native.finish(f"wf_{made['id']}")["output"] == {early: {"a": 5}}


def test_retry_count_is_that_of_the_newest_run(client: AitaskerApi, upstream: Answering) -> None:
    upstream.statuses = [500, 500]
    config = {"provider": "http", "params": {"url": upstream.url}}
    made = client.workflow({"position": 0, "node_type": "api_call", "node_config": config, "max_retries": 1})

    run = client.native.finish(f"wf_{made['id']}")

    assert run["status"] == "failed"
    assert client.answer("GET", f"/workflows/{made['id']}")["nodes"][0]["retry_count"] == 1


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (1, 2)])
def test_max_retries_gives_one_attempt_more(
    client: AitaskerApi, upstream: Answering, retries: int, attempts: int
) -> None:
    upstream.statuses = [400] * 9  # an error that is retried as any other
    config = {"provider": "http", "params": {"url": upstream.url}}
    made = client.workflow({"position": 0, "node_type": "api_call", "node_config": config, "max_retries": retries})

    client.native.finish(f"wf_{made['id']}")

    assert len(upstream.seen) == attempts


def test_nodes_of_a_parallel_group_are_open_at_the_same_time_and_the_next_is_not(client: AitaskerApi) -> None:
    group = [task_node(position, parallel_group=1) for position in range(3)]
    made = client.workflow(*group, task_node(3))

    run = client.native.start(f"wf_{made['id']}")

    seen = client.native.until(run, lambda found: len(found["steps"]) >= 3)
    assert len(seen["steps"]) == 3
    assert {step["id"] for step in seen["steps"]} == {f"node_{node['id']}" for node in made["nodes"][:3]}


def test_templates_deep_in_an_input_mapping_are_resolved_and_shown(client: AitaskerApi) -> None:
    mapping = {"customer": {"name": "{{trigger.name}}", "tags": ["vip", {"since": "{{trigger.year}}"}]}}
    params = {"mapping": {"whole": "{{customer}}", "text": "Dear {{customer.name}}"}}
    node = shape_node(0, input_mapping=mapping, node_config={"operation": "template", "params": params})
    id = client.workflow(node)["id"]

    [done] = client.final(id, client.trigger(id, {"name": "Ada", "year": 1843})["id"])["node_runs"]

    customer = {"name": "Ada", "tags": ["vip", {"since": 1843}]}
    assert done["output_data"] == {"whole": customer, "text": "Dear Ada"}
    assert done["input_data"]["customer"] == customer


def test_a_fault_deep_in_an_input_mapping_is_told_at_its_place(client: AitaskerApi, workflow: str) -> None:
    node = shape_node(0, input_mapping={"a": {"list": [1, "{{nodes.7.output.x}}"]}})

    assert places(client("POST", f"/workflows/{workflow}/nodes", node)) == [["body", "input_mapping", "a", "list", 1]]


def test_an_index_that_is_no_number_of_this_world_is_refused(client: AitaskerApi, workflow: str) -> None:
    node = shape_node(0, mapping={"v": f"{{{{a[{'9' * 5000}]}}}}"}, input_mapping={"a": ["{{trigger.x}}"]})

    found = places(client("POST", f"/workflows/{workflow}/nodes", node))

    assert found == [["body", "node_config", "params", "mapping", "v"]]
