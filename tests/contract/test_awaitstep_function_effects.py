"""What functions of the AwaitStep dialect do outside of themselves: requests, other functions, runs. Source: AwaitStep
contract 8, 10.2."""

from typing import Any

import pytest
import requests

from answering import Answering
from awaitstep_client import AwaitstepApi, awaitstep
from awaitstep_graphs import graph, node, step
from live import PATIENCE_S, Api, transform
from stepwell.values import Json, decode


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


def function(client: AwaitstepApi, *nodes: Json, edges: str = "", **fields: Json) -> str:
    """The URL of a new function of these nodes."""
    workflow = client.create(kind="script", **fields)
    client.save(workflow, graph(*nodes, edges=edges, kind="script"))
    client.deploy(workflow)
    return f"{client.native.server.url}/fn/{workflow}"


def post(url: str, body: Json = None, status: int = 200) -> Any:
    answer = requests.post(url, json=body, timeout=PATIENCE_S)
    assert answer.status_code == status, answer.text
    return decode(answer.content)


def http(url: str, *, name: str = "EXPORT_out", **data: Json) -> Json:
    return node("call", "http_request", name=name, **{"method": "GET", "url": url, **data})


def test_a_request_is_sent_and_its_answer_is_the_value(client: AwaitstepApi, upstream: Answering) -> None:
    upstream.body = b'{"price": 7}'
    url = function(client, http(f"{upstream.url}/prices"))

    assert post(url) == {"out": {"price": 7}}


def test_the_whole_answer_is_given_where_it_is_asked_for(client: AwaitstepApi, upstream: Answering) -> None:
    upstream.statuses = [201]
    url = function(
        client,
        http(upstream.url, responseMode="full"),
        step("s", "return {{call.status}}", name="EXPORT_s"),
        edges="call>s",
    )

    told = post(url)

    assert told["s"] == 201
    assert sorted(told["out"]) == ["body", "headers", "status"]


def test_expressions_stand_in_every_part_of_a_request(client: AwaitstepApi, upstream: Answering) -> None:
    first = step("first", "return {path: 'orders', n: 3, list: [1]}")
    call = http(
        f"{upstream.url}/{{{{first.path}}}}/${{first.n + 1}}",
        method="POST",
        headers={"X-N": "n={{first.n}}"},
        queryParams='{"q": "{{event.payload.q}}"}',
        body={"whole": "{{first.n}}", "text": "<{{first.list}}>", "deep": [{"q": "{{event.payload.q}}"}]},
    )
    url = function(client, first, call, edges="first>call")

    post(url, {"q": "a b"})

    (seen,) = upstream.seen
    assert (seen.method, seen.path, seen.headers["x-n"]) == ("POST", "/orders/4?q=a+b", "n=3")
    assert decode(seen.body) == {"whole": 3, "text": "<[1]>", "deep": [{"q": "a b"}]}


def test_a_body_that_is_not_json_is_javascript(client: AwaitstepApi, upstream: Answering) -> None:
    url = function(client, http(upstream.url, method="PUT", body="({doubled: event.payload.n * 2})"))

    post(url, {"n": 4})

    assert decode(upstream.seen[0].body) == {"doubled": 8}


def test_a_status_of_400_and_above_is_an_error_that_is_not_retried(client: AwaitstepApi, upstream: Answering) -> None:
    upstream.statuses = [503]
    upstream.body = b'{"error": "Out of order"}'
    url = function(client, http(upstream.url, retryLimit=3))

    assert post(url, status=500) == {"message": "Out of order"}
    assert len(upstream.seen) == 1


def test_a_failed_request_can_be_caught(client: AwaitstepApi, upstream: Answering) -> None:
    upstream.statuses = [500]
    nodes = [
        node("try", "try_catch"),
        http(upstream.url, name="call"),
        step("c", "return err.nodeId", name="EXPORT_at"),
    ]
    url = function(client, *nodes, edges="try>call:try try>c:catch")

    assert post(url) == {"at": "call"}


def test_a_status_may_be_let_through(client: AwaitstepApi, upstream: Answering) -> None:
    upstream.statuses = [404]
    upstream.body = b'{"known": false}'
    url = function(client, http(upstream.url, failOnError=False))

    assert post(url) == {"out": {"known": False}}


def test_requests_of_parallel_arms_are_on_their_way_together(client: AwaitstepApi, upstream: Answering) -> None:
    upstream.delay_s = 0.2
    arms = [{**http(f"{upstream.url}/{id}", name=id), "id": id} for id in ("a", "b", "c")]
    url = function(client, node("p", "parallel", name="EXPORT_all"), *arms, edges="p>a:1 p>b:2 p>c:3")

    answer = requests.post(url, timeout=PATIENCE_S)

    assert [each["status"] for each in decode(answer.content)["all"]] == ["fulfilled"] * 3
    assert len(upstream.seen) == 3


def test_a_race_ends_with_its_first_arm(client: AwaitstepApi, upstream: Answering) -> None:
    upstream.delay_s = 20
    slow, quick = http(upstream.url, name="slow"), step("quick", "return 1")
    url = function(client, node("r", "race", name="EXPORT_r"), slow, quick, edges="r>call:1 r>quick:2")

    assert post(url) == {"r": 1}


def test_the_arms_that_lose_a_race_do_nothing_more(client: AwaitstepApi, upstream: Answering) -> None:
    upstream.delay_s = 0.1
    nodes = [
        node("r", "race", name="EXPORT_r"),
        step("quick", "return 1"),
        http(f"{upstream.url}/lost", name="call"),
        node("charge", "http_request", method="POST", url=f"{upstream.url}/charge"),
        *(node(id, "http_request", method="GET", url=f"{upstream.url}/{id}") for id in ("one", "two", "three")),
    ]
    edges = "r>quick:1 r>call:2 call>charge r>one:then one>two two>three"

    assert post(function(client, *nodes, edges=edges)) == {"r": 1}

    assert [seen.path for seen in upstream.seen if seen.path != "/lost"] == ["/one", "/two", "/three"]


def test_an_arm_of_a_race_within_a_lost_one_does_nothing_more(client: AwaitstepApi, upstream: Answering) -> None:
    upstream.delay_s = 0.1
    nodes = [
        node("r", "race", name="EXPORT_r"),
        step("quick", "return 1"),
        node("inner", "race"),
        http(f"{upstream.url}/lost", name="call"),
        node("charge", "http_request", method="POST", url=f"{upstream.url}/charge"),
        *(node(id, "http_request", method="GET", url=f"{upstream.url}/{id}") for id in ("one", "two")),
    ]
    edges = "r>quick:1 r>inner:2 inner>call:1 call>charge r>one:then one>two"

    assert post(function(client, *nodes, edges=edges)) == {"r": 1}

    assert [seen.path for seen in upstream.seen if seen.path != "/lost"] == ["/one", "/two"]


def test_a_race_in_a_loop_begins_anew_in_each_turn(client: AwaitstepApi) -> None:
    nodes = [
        node("l", "loop", name="EXPORT_l", loopType="times", count=3),
        node("r", "race"),
        step("slow", "await new Promise((done) => setTimeout(done, 1)); return 0"),
        step("quick", "return i"),
    ]

    told = post(function(client, *nodes, edges="l>r:body r>slow:1 r>quick:2"))

    assert told == {"l": {"results": [0, 1, 2], "count": 3}}


def test_a_call_that_a_race_gives_up_is_no_error_of_the_called(client: AwaitstepApi) -> None:
    inner = function(client, step("s", "await new Promise((done) => setTimeout(done, 60000))"), name="inner")
    nodes = [
        node("r", "race", name="EXPORT_r"),
        node("call", "sub_script", workerName="inner"),
        step("quick", "await new Promise((done) => setTimeout(done, 50)); return 1"),
    ]

    assert post(function(client, *nodes, edges="r>call:1 r>quick:2")) == {"r": 1}

    told = client.answer("GET", f"/api/workflows/{inner.rpartition('/')[2]}/stats")
    assert (told["calls"], told["errors"]) == (1, 0)


def test_a_secret_is_sent_but_never_told(client: AwaitstepApi, upstream: Answering) -> None:
    client.answer("POST", "/api/env-vars", {"name": "TOKEN", "value": "s3cret-value", "isSecret": True}, 201)
    call = http(upstream.url, headers={"Authorization": "Bearer {{env.TOKEN}}"})
    url = function(client, call, step("s", "return env.TOKEN", name="EXPORT_s"), edges="call>s")

    told = post(url)

    assert upstream.seen[0].headers["authorization"] == "Bearer s3cret-value"
    assert told["s"] == "[secret]"


def test_a_function_calls_another(client: AwaitstepApi) -> None:
    inner = function(client, step("s", "return event.payload.n + 1", name="EXPORT_next"), name="inner")
    call = node(
        "call",
        "sub_script",
        name="EXPORT_got",
        workerName=inner.rpartition("/")[2],
        input='{"n": "{{event.payload.n}}"}',
    )

    assert post(function(client, call), {"n": 1}) == {"got": {"next": 2}}


def test_an_error_of_the_called_function_is_the_callers(client: AwaitstepApi) -> None:
    function(client, step("s", "throw new Error('Too much')"), name="inner")
    call = node("call", "sub_script", workerName="inner")

    assert post(function(client, call), status=500) == {"message": "Too much"}


def test_a_sub_workflow_is_started_and_its_instance_told(client: AwaitstepApi) -> None:
    child = client.deployed(name="child")
    call = node(
        "call",
        "sub_workflow",
        name="EXPORT_run",
        workflowId=child,
        workflowName="child",
        input="({n: event.payload.n})",
    )

    told = post(function(client, call), {"n": 5})

    run = client.answer("GET", f"/api/workflows/{child}/runs/{told['run']['instanceId']}")
    assert run["params"] == {"n": 5}
    assert sorted(told["run"]) == ["instanceId"]


def test_a_started_run_counts_for_the_key_that_called_the_function(client: AwaitstepApi) -> None:
    child = client.native.workflow(transform(steps=[{**transform()["steps"][0], "costCents": 5}]))
    call = node("call", "sub_workflow", name="EXPORT_run", workflowId=child, workflowName="child")
    url = function(client, call)
    client.deploy(url.rpartition("/")[2], config={"auth": {"type": "key"}})
    (key,) = [each["id"] for each in client.native.data("GET", "/admin/keys") if each["name"] == "awaitstep"]
    client.native.data("PUT", f"/admin/keys/{key}/budget", {"amountCents": 10})

    told = decode(requests.post(url, headers={"Authorization": f"Bearer {client.key}"}, timeout=PATIENCE_S).content)

    client.native.until(f"run_{told['run']['instanceId']}", lambda run: run["status"] == "completed")
    assert client.native.data("GET", f"/admin/keys/{key}/budget")["spentCents"] == 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (node("call", "sub_script", workerName="nowhere"), "No such function: nowhere"),
        (node("call", "sub_workflow", workflowId="nowhere", workflowName="x"), "No such workflow: nowhere"),
    ],
)
def test_a_target_that_there_is_not_is_refused_at_deploy(client: AwaitstepApi, call: Json, message: str) -> None:
    workflow = client.create(kind="script")
    client.save(workflow, graph(call, edges="", kind="script"))

    answer = client("POST", f"/api/workflows/{workflow}/deploy", {"connectionId": "conn_stepwell"})

    told = decode(answer.content)
    assert (answer.status_code, told["error"]) == (400, "IR validation failed")
    assert [(each["nodeId"], each["message"]) for each in told["details"]] == [("call", message)]
