"""Addresses below `/fn/`: routes of functions, and workflows with an http trigger. Source: AwaitStep contract 8."""

from typing import Any
from uuid import uuid4

import pytest
import requests

from awaitstep_client import AwaitstepApi, awaitstep
from awaitstep_graphs import graph, step
from live import PATIENCE_S, Api
from stepwell.values import Json, decode

ECHO = step("echo", "return event.payload", name="EXPORT_echo")
HTTP = {"type": "http"}
ID = "0190a0b0-0000-7000-8000-000000000000"
LETTERS = "A segment has lower-case letters, digits, . _ ~ and -"
LENGTH = "Expected 1 to 8 segments, perhaps with /* behind them"


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


@pytest.fixture
def word() -> str:
    """A first segment that no other test has: addresses are unique on the server."""
    return f"r{uuid4().hex}"


def called(
    client: AwaitstepApi, path: str, body: Json = None, method: str = "POST", **options: Any
) -> tuple[int, Json]:
    """Status and body of a call of an address."""
    answer = requests.request(method, f"{client.native.server.url}/fn/{path}", json=body, timeout=PATIENCE_S, **options)
    return answer.status_code, decode(answer.content) if answer.content else None


def function(client: AwaitstepApi, pattern: str | None = None) -> str:
    """A deployed function, perhaps with a route."""
    workflow = client.create(kind="script")
    client.save(workflow, graph(ECHO, edges="", kind="script"))
    client.deploy(workflow, **({} if pattern is None else {"config": {"route": {"pattern": pattern}}}))
    return workflow


# -- routes


@pytest.mark.parametrize(
    ("pattern", "path"),
    [("{}", "{}"), ("{}/v1/total", "{}/v1/total"), ("{}/*", "{}/1/total"), ("/{}", "{}")],
)
def test_a_function_is_called_by_its_route(client: AwaitstepApi, word: str, pattern: str, path: str) -> None:
    function(client, pattern.format(word))

    assert called(client, path.format(word), 1) == (200, {"echo": 1})


@pytest.mark.parametrize("path", ["{}", "{}/2/3", "other"])
def test_another_path_leads_nowhere(client: AwaitstepApi, word: str, path: str) -> None:
    function(client, f"{word}/2")

    assert called(client, path.format(word), 1) == (404, {"message": "Not found"})


def test_the_longest_route_wins(client: AwaitstepApi, word: str) -> None:
    function(client, f"{word}/*")
    workflow = client.create(kind="script")
    client.save(workflow, graph(step("b", "return 2", name="EXPORT_b"), edges="", kind="script"))
    client.deploy(workflow, config={"route": {"pattern": f"{word}/b/*"}})

    assert called(client, f"{word}/b/c")[1] == {"b": 2}


def test_the_id_still_leads_to_a_function_with_a_route(client: AwaitstepApi, word: str) -> None:
    assert called(client, function(client, word), 1) == (200, {"echo": 1})


def test_a_route_kept_in_the_deploy_config_counts(client: AwaitstepApi, word: str) -> None:
    workflow = client.create(kind="script")
    client.save(workflow, graph(ECHO, edges="", kind="script"))
    client.answer("PATCH", f"/api/workflows/{workflow}", {"deployConfig": {"route": {"pattern": word}}})
    client.deploy(workflow)

    assert called(client, word, 1)[0] == 200


def test_a_route_of_another_is_refused(client: AwaitstepApi, word: str) -> None:
    function(client, word)
    workflow = client.create(kind="script")
    client.save(workflow, graph(ECHO, edges="", kind="script"))

    body = {"connectionId": "conn_stepwell", "config": {"route": {"pattern": word}}}

    assert client.error("POST", f"/api/workflows/{workflow}/deploy", body, 409) == "Route already in use"


def test_a_deploy_without_its_route_gives_it_up(client: AwaitstepApi, word: str) -> None:
    workflow = function(client, word)
    client.deploy(workflow)

    assert called(client, word)[0] == 404


def test_a_takedown_gives_the_route_up(client: AwaitstepApi, word: str) -> None:
    workflow = function(client, word)
    client.answer("POST", f"/api/workflows/{workflow}/takedown", {"connectionId": "conn_stepwell"})

    other = function(client, word)

    assert called(client, other)[0] == 200


@pytest.mark.parametrize(
    ("route", "path", "message"),
    [
        ("total", "config.route", "Expected an object with a pattern"),
        ({}, "config.route.pattern", "Required"),
        ({"pattern": "Total"}, "config.route.pattern", LETTERS),
        ({"pattern": "a//b"}, "config.route.pattern", LETTERS),
        ({"pattern": "a/*/b"}, "config.route.pattern", LETTERS),
        ({"pattern": "*"}, "config.route.pattern", LENGTH),
        ({"pattern": "1/2/3/4/5/6/7/8/9"}, "config.route.pattern", LENGTH),
        ({"pattern": f"wf_{ID}/a"}, "config.route.pattern", "The first segment may not be an id"),
    ],
)
def test_a_route_that_cannot_be_is_refused(client: AwaitstepApi, route: Json, path: str, message: str) -> None:
    workflow = client.create(kind="script")
    client.save(workflow, graph(ECHO, edges="", kind="script"))

    body = {"connectionId": "conn_stepwell", "config": {"route": route}}
    told = client.answer("POST", f"/api/workflows/{workflow}/deploy", body, 422)

    assert (told["error"], told["details"]) == ("Invalid deployment config", [{"path": path, "message": message}])


def test_the_host_of_a_route_is_the_servers(client: AwaitstepApi) -> None:
    workflow = client.create(kind="script")
    client.save(workflow, graph(ECHO, edges="", kind="script"))
    body = {"connectionId": "conn_stepwell", "config": {"route": {"pattern": "elsewhere.example/total"}}}

    told = client.answer("POST", f"/api/workflows/{workflow}/deploy", body, 422)

    assert told["details"][0]["message"].startswith("elsewhere.example is no host of this server")


# -- workflows with an http trigger


def workflow(client: AwaitstepApi, trigger: Json = HTTP, **config: Json) -> str:
    """A deployed workflow of one step."""
    made = client.create()
    client.save(made, graph(step("only", "return event.payload"), edges="", trigger=trigger))
    client.deploy(made, config=config)
    return made


def test_a_call_starts_a_run(client: AwaitstepApi) -> None:
    made = workflow(client)

    status, told = called(client, made, {"n": 1})

    assert status == 200
    assert list(told) == ["instanceId"]
    assert client.answer("GET", f"/api/workflows/{made}/runs/{told['instanceId']}")["params"] == {"n": 1}


@pytest.mark.parametrize("method", ["PUT", "put"])
def test_the_method_of_the_trigger_starts_it(client: AwaitstepApi, method: str) -> None:
    made = workflow(client, {"type": "http", "method": method})

    assert called(client, made, {}, "PUT")[0] == 200
    assert called(client, made, {})[0] == 404


def test_a_method_that_there_is_not_is_refused_at_save(client: AwaitstepApi) -> None:
    ir = graph(step("only", "return 1"), edges="", trigger={"type": "http", "method": "FETCH"})

    told = client.answer("POST", f"/api/workflows/{client.create()}/versions", {"ir": ir}, 400)

    assert told["error"] == "Invalid IR"
    assert told["details"][0]["path"] == "ir.trigger.method"


def test_an_empty_body_is_no_params(client: AwaitstepApi) -> None:
    made = workflow(client)

    _, told = called(client, made)

    assert client.answer("GET", f"/api/workflows/{made}/runs/{told['instanceId']}")["params"] == {}


def test_a_workflow_without_an_http_trigger_has_no_address(client: AwaitstepApi) -> None:
    assert called(client, client.deployed(), {}) == (404, {"message": "Not found"})


def test_a_workflow_that_was_taken_down_has_no_address(client: AwaitstepApi) -> None:
    made = workflow(client)
    client.answer("POST", f"/api/workflows/{made}/takedown", {"connectionId": "conn_stepwell"})

    assert called(client, made, {}) == (404, {"message": "Not found"})


def test_a_workflow_may_have_a_route(client: AwaitstepApi, word: str) -> None:
    workflow(client, route={"pattern": f"{word}/new"})

    assert called(client, f"{word}/new", {})[0] == 200


def test_a_workflow_that_wants_a_key_refuses_and_admits(client: AwaitstepApi) -> None:
    made = workflow(client, auth={"type": "key"})

    assert called(client, made, {}) == (401, {"message": "Unauthorized"})
    assert called(client, made, {}, headers={"Authorization": f"Bearer {client.key}"})[0] == 200


def test_the_same_idempotency_key_starts_one_run(client: AwaitstepApi) -> None:
    made = workflow(client)

    first, second = (called(client, made, {"n": 1}, headers={"Idempotency-Key": "k"}) for _ in range(2))

    assert first == second
    assert len(client.answer("GET", f"/api/workflows/{made}/runs")["data"]) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [([1], "Expected a JSON object"), ({"x": "a" * 102_400}, "Trigger params must be under 100 KB")],
)
def test_params_that_cannot_be_are_refused(client: AwaitstepApi, body: Json, message: str) -> None:
    assert called(client, workflow(client), body) == (422, {"message": message})
