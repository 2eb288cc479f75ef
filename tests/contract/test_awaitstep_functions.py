"""Functions of the AwaitStep dialect: graphs that answer an HTTP call, deployed as a client does it. Source: AwaitStep
contract 8, 13."""

from typing import Any

import pytest
import requests

from awaitstep_client import AwaitstepApi, awaitstep
from awaitstep_graphs import graph, step
from live import PATIENCE_S, Api
from stepwell.values import Json, decode

TOTAL = step("total", "return event.payload.qty * event.payload.price", name="EXPORT_Total")


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


def function(client: AwaitstepApi, *nodes: Json, edges: str = "", **fields: Json) -> str:
    """The URL of a new function of these nodes."""
    workflow = client.create(kind="script")
    if fields:
        client.answer("PATCH", f"/api/workflows/{workflow}", fields)
    client.save(workflow, graph(*nodes, edges=edges, kind="script"))
    deployed = client.deploy(workflow)
    assert deployed["url"].endswith(f"/fn/{workflow}")
    return f"{client.native.server.url}/fn/{workflow}"


def post(url: str, body: Json = None, **options: Any) -> requests.Response:
    return requests.post(url, json=body, timeout=PATIENCE_S, **options)


def test_a_function_answers_with_its_exports_and_leaves_no_run(client: AwaitstepApi) -> None:
    url = function(client, TOTAL)

    answer = post(url, {"qty": 3, "price": 500})

    assert (answer.status_code, decode(answer.content)) == (200, {"Total": 1500})
    assert client.answer("GET", "/api/runs")["data"] == []


def test_other_methods_are_answered_without_running(client: AwaitstepApi) -> None:
    url = function(client, TOTAL)

    answer = requests.get(url, timeout=PATIENCE_S)

    assert (answer.status_code, answer.content) == (200, b"")


def test_an_error_that_nobody_catches_is_a_500_with_its_message(client: AwaitstepApi) -> None:
    url = function(client, step("EXPORT_x", "throw new Error('qty is required')"))

    answer = post(url, {})

    assert answer.status_code == 500
    assert list(decode(answer.content)) == ["message"]
    assert "qty is required" in answer.text


def test_trigger_code_makes_the_answer(client: AwaitstepApi) -> None:
    code = "return {status: 418, headers: {'x-tea': request.method}, body: 'short and stout'}"
    url = function(client, TOTAL, triggerCode=code)

    answer = post(url, {})

    assert (answer.status_code, answer.headers["x-tea"], answer.text) == (418, "POST", "short and stout")


def test_a_function_that_asks_for_a_key_refuses_and_admits(client: AwaitstepApi) -> None:
    workflow = client.create(kind="script")
    client.save(workflow, graph(TOTAL, edges="", kind="script"))
    client.deploy(workflow, config={"auth": {"type": "key"}})
    url = f"{client.native.server.url}/fn/{workflow}"

    refused = post(url, {"qty": 1, "price": 2})
    admitted = post(url, {"qty": 1, "price": 2}, headers={"Authorization": f"Bearer {client.key}"})

    assert (refused.status_code, decode(refused.content)) == (401, {"message": "Unauthorized"})
    assert decode(admitted.content) == {"Total": 2}


def test_after_a_takedown_there_is_no_function(client: AwaitstepApi) -> None:
    url = function(client, TOTAL)
    workflow = url.rpartition("/")[2]

    client.answer("POST", f"/api/workflows/{workflow}/takedown", {"connectionId": "conn_stepwell"})

    assert (post(url, {}).status_code, decode(post(url, {}).content)) == (404, {"message": "Not found"})


def test_the_trigger_endpoint_refuses_a_function(client: AwaitstepApi) -> None:
    workflow = function(client, TOTAL).rpartition("/")[2]

    told = client.error("POST", f"/api/workflows/{workflow}/trigger", {"connectionId": "conn_stepwell"}, 400)

    assert told == "A function has no runs; call its URL with an HTTP POST instead"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("const a = 1;\nreturn ;;)", "SyntaxError: Unexpected token ')' (line 2)"),
        ("const a = 1;\n}); (async () => {", "SyntaxError: Single function literal required (line 2)"),
    ],
)
def test_trigger_code_that_does_not_parse_is_refused_when_it_is_saved(
    client: AwaitstepApi, code: str, message: str
) -> None:
    workflow = client.create(kind="script")

    told = client.answer("PATCH", f"/api/workflows/{workflow}", {"triggerCode": code}, 422)

    assert told == {"error": "Validation failed", "details": [{"path": "triggerCode", "message": message}]}


def test_stats_count_the_calls_of_a_function(client: AwaitstepApi) -> None:
    url = function(client, step("s", "if (event.payload.bad) throw new Error('no'); return 1", name="EXPORT_s"))
    workflow = url.rpartition("/")[2]

    for body in ({}, {}, {"bad": True}):
        post(url, body)
    requests.get(url, timeout=PATIENCE_S)  # runs nothing

    told = client.answer("GET", f"/api/workflows/{workflow}/stats")
    assert (told["calls"], told["errors"]) == (3, 1)
    assert 0 < told["averageMs"] <= told["slowestMs"]


def test_logs_are_the_last_lines_with_the_request_they_come_from(client: AwaitstepApi) -> None:
    url = function(client, step("s", "console.log('first'); console.log('second'); return 1"))
    workflow = url.rpartition("/")[2]
    request = post(url, {}).headers["x-request-id"]

    told = client.answer("GET", f"/api/workflows/{workflow}/logs?limit=1")

    (line,) = told["data"]
    assert (line["message"], line["requestId"]) == ("second", request)


@pytest.mark.parametrize("limit", ["0", "501", "x"])
def test_a_number_of_lines_that_cannot_be_is_refused(client: AwaitstepApi, limit: str) -> None:
    workflow = function(client, TOTAL).rpartition("/")[2]

    assert client.error("GET", f"/api/workflows/{workflow}/logs?limit={limit}", status=422) == "Validation failed"


@pytest.mark.parametrize("what", ["stats", "logs"])
def test_a_workflow_has_no_calls(client: AwaitstepApi, what: str) -> None:
    told = client.error("GET", f"/api/workflows/{client.deployed()}/{what}", status=400)

    assert told == "Only functions have stats and logs; a workflow has runs"
