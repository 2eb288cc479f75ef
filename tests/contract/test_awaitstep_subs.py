"""Nodes that start another workflow or call a function. Source: AwaitStep contract 10.2."""

import pytest

from awaitstep_client import AwaitstepApi, awaitstep, simple
from awaitstep_graphs import graph, node, step
from awaitstep_runs import final, trigger, until
from live import Api, NewApi
from stepwell.values import Json


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


def function(client: AwaitstepApi, code: str, config: Json = None) -> str:
    """The id of a deployed function that exports one value."""
    made = client.create("Price", kind="script")
    client.save(made, graph(step("total", code, name="EXPORT_Total"), edges="", kind="script"))
    client.deploy(made, **({} if config is None else {"config": config}))
    return made


def ran(client: AwaitstepApi, *nodes: Json, edges: str = "", params: Json = None) -> Json:
    return final(client, trigger(client, client.deployed(graph(*nodes, edges=edges)), params))


def child(workflow: str, name: str = "Child", **data: Json) -> Json:
    return node("child", "sub_workflow", workflowId=workflow, workflowName=name, **data)


# -- sub_workflow


@pytest.mark.parametrize("named", ["{id}", "awaitstep-{bare}", "{bare}", "Child"])
def test_a_workflow_is_named_by_its_ids_or_its_name(client: AwaitstepApi, named: str) -> None:
    started = client.deployed(simple("return event.payload.n * 2"), name="Child")
    name = named.format(id=started, bare=started.removeprefix("wf_"))

    run = ran(client, child(name, input={"n": "{{event.payload.n}}"}), params={"n": 21})

    assert (run["status"], run["output"]) == ("complete", 42)


def test_the_value_of_a_workflow_is_read_by_what_follows(client: AwaitstepApi) -> None:
    started = client.deployed(simple("return {n: 1}"), name="Child")

    assert ran(client, child(started), step("after", "return {{child.n}} + 1"), edges="child>after")["output"] == 2


def test_a_workflow_that_fails_fails_the_node_and_is_not_tried_again(client: AwaitstepApi) -> None:
    started = client.deployed(simple("throw new Error('no stock')"), name="Child")

    run = ran(client, child(started, retryLimit=3, retryDelay=1))

    assert (run["status"], run["errorDetail"]["nodeId"]) == ("errored", "child")
    assert "no stock" in run["error"]
    assert len(client.answer("GET", f"/api/workflows/{started}/runs")["data"]) == 1


def test_a_workflow_that_is_not_waited_for_gives_its_ids(client: AwaitstepApi) -> None:
    started = client.deployed(graph(node("nap", "sleep", duration="1 hour"), edges=""), name="Child")

    run = ran(client, child(started, waitForCompletion=False))

    (other,) = client.answer("GET", f"/api/workflows/{started}/runs")["data"]
    assert run["status"] == "complete"
    assert run["output"] == {"instanceId": other["instanceId"], "runId": other["id"]}


def test_while_a_workflow_is_waited_for_the_run_is_paused_and_names_it(client: AwaitstepApi) -> None:
    started = client.deployed(graph(node("nap", "sleep", duration="1 hour"), edges=""), name="Child")
    run = trigger(client, client.deployed(graph(child(started), edges="")))

    held = until(client, run, lambda found: found["waitingFor"])

    (other,) = client.answer("GET", f"/api/workflows/{started}/runs")["data"]
    assert held["status"] == "paused"
    assert held["waitingFor"] == [{"type": "child", "nodeId": "child", "runId": other["id"]}]


def test_terminating_a_run_ends_the_workflow_that_it_waits_for(client: AwaitstepApi) -> None:
    started = client.deployed(graph(node("nap", "sleep", duration="1 hour"), edges=""), name="Child")
    workflow = client.deployed(graph(child(started), edges=""))
    run = trigger(client, workflow)
    until(client, run, lambda found: found["waitingFor"])

    client.answer("POST", f"/api/workflows/{workflow}/runs/{run['id']}/terminate")

    (other,) = client.answer("GET", f"/api/workflows/{started}/runs")["data"]
    assert final(client, other)["status"] == "terminated"


# -- sub_script


@pytest.mark.parametrize("named", ["{id}", "{bare}", "awaitstep-{bare}", "Price", "prices/total"])
def test_a_function_is_named_by_its_ids_its_name_or_its_address(client: AwaitstepApi, named: str) -> None:
    address = f"p{client.native.workspace[-12:]}"
    called = function(client, "return event.payload.n * 2", {"route": {"pattern": f"{address}/total"}})
    name = named.format(id=called, bare=called.removeprefix("wf_")).replace("prices", address)

    run = ran(client, node("price", "sub_script", workerName=name, payload={"n": 21}))

    assert (run["status"], run["output"]) == ("complete", {"Total": 42})


def test_a_function_that_is_not_there_keeps_a_deploy_back(client: AwaitstepApi) -> None:
    workflow = client.create()
    client.save(workflow, graph(node("price", "sub_script", workerName="nobody"), edges=""))

    answer = client.deploy(workflow, 400)

    assert answer["error"] == "IR validation failed"
    assert [(each["nodeId"], each["message"]) for each in answer["details"]] == [("price", "No such function: nobody")]


@pytest.mark.parametrize("by_address", [False, True])
def test_a_function_of_another_workspace_is_not_there(
    client: AwaitstepApi, new_api: NewApi, *, by_address: bool
) -> None:
    address = f"p{client.native.workspace[-12:]}"
    called = function(awaitstep(new_api()), "return 1", {"route": {"pattern": address}})
    workflow = client.create()
    name = address if by_address else called
    client.save(workflow, graph(node("price", "sub_script", workerName=name), edges=""))

    assert client.deploy(workflow, 400)["error"] == "IR validation failed"


def test_a_function_that_fails_is_tried_three_times_more(client: AwaitstepApi) -> None:
    called = function(client, "throw new Error('no price')")

    run = ran(client, node("price", "sub_script", workerName=called, retryDelay=1))

    assert (run["status"], run["errorDetail"]["attempts"]) == ("errored", 4)
    assert "no price" in run["error"]
