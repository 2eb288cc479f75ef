"""Requests and errors of nodes as runs show them, against a real server. Source: AwaitStep contract 10.2."""

import pytest

from answering import Answering
from awaitstep_client import AwaitstepApi, awaitstep
from awaitstep_graphs import graph, node, step
from awaitstep_runs import final, trigger
from live import Api
from stepwell.values import Json


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


def request(upstream: Answering, **data: Json) -> Json:
    """A graph of one request that is not tried again."""
    data = {"url": f"{upstream.url}/items", "method": "GET", "retryLimit": 0, **data}
    return graph(node("call", "http_request", **data), edges="")


def ran(client: AwaitstepApi, ir: Json) -> Json:
    return final(client, trigger(client, client.deployed(ir)))


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_each_method_is_sent_and_its_json_is_the_value(client: AwaitstepApi, upstream: Answering, method: str) -> None:
    upstream.body = b'{"n": 1}'

    run = ran(client, request(upstream, method=method))

    assert (run["status"], run["output"]) == ("complete", {"n": 1})
    assert [(seen.method, seen.path) for seen in upstream.seen] == [(method, "/items")]


def test_a_head_has_status_and_headers_and_no_body(client: AwaitstepApi, upstream: Answering) -> None:
    upstream.body = b'{"n": 1}'

    run = ran(client, request(upstream, method="HEAD", responseMode="full"))

    assert [seen.method for seen in upstream.seen] == ["HEAD"]
    assert (run["status"], run["output"]["status"], run["output"]["body"]) == ("complete", 200, None)
    assert run["output"]["headers"]["content-length"] == "8"


def test_a_method_may_be_written_in_lower_case(client: AwaitstepApi, upstream: Answering) -> None:
    assert ran(client, request(upstream, method="options"))["status"] == "complete"
    assert [seen.method for seen in upstream.seen] == ["OPTIONS"]


def test_a_status_of_400_or_more_fails_the_node(client: AwaitstepApi, upstream: Answering) -> None:
    upstream.statuses = [404]

    run = ran(client, request(upstream))

    assert (run["status"], run["errorDetail"]["nodeId"]) == ("errored", "call")


def test_a_status_of_400_or_more_is_a_value_if_it_is_not_to_fail(client: AwaitstepApi, upstream: Answering) -> None:
    upstream.statuses = [404]

    run = ran(client, request(upstream, failOnError=False, responseMode="full"))

    assert (run["status"], run["output"]["status"]) == ("complete", 404)


def test_every_failed_try_of_a_post_is_repeated(client: AwaitstepApi, upstream: Answering) -> None:
    upstream.statuses = [500, 404]

    run = ran(client, request(upstream, method="POST", body='{"a": 1}', retryLimit=2, retryDelay=1))

    assert run["status"] == "complete"
    assert [(seen.method, seen.body) for seen in upstream.seen] == [("POST", b'{"a":1}')] * 3


def test_a_secret_is_sent_and_not_shown(client: AwaitstepApi, upstream: Answering) -> None:
    body = {"name": "TOKEN", "value": "s3cret-word", "isSecret": True}
    client.answer("POST", "/api/env-vars", body, 201)
    upstream.body = b'{"echo": "s3cret-word"}'

    run = ran(client, request(upstream, headers={"Authorization": "Bearer {{env.TOKEN}}"}))

    assert upstream.seen[0].headers["authorization"] == "Bearer s3cret-word"
    assert "s3cret-word" not in str(run)


# -- errors of code


def test_a_non_retryable_error_ends_the_tries_at_once(client: AwaitstepApi) -> None:
    code = "throw new NonRetryableError(`try ${ctx.attempt}`)"

    run = ran(client, graph(step("pay", code, retryLimit=5, retryDelay=1), edges=""))

    assert (run["status"], run["error"]) == ("errored", "try 1")
    assert (run["errorDetail"]["name"], run["errorDetail"]["attempts"]) == ("NonRetryableError", 1)


def test_an_error_is_tried_again_until_a_non_retryable_one_comes(client: AwaitstepApi) -> None:
    code = "if (ctx.attempt < 3) throw new Error('again'); throw new NonRetryableError('enough')"

    run = ran(client, graph(step("pay", code, retryLimit=5, retryDelay=1), edges=""))

    assert (run["error"], run["errorDetail"]["attempts"]) == ("enough", 3)


def test_any_other_error_is_tried_as_often_as_is_allowed(client: AwaitstepApi) -> None:
    run = ran(client, graph(step("pay", "throw new Error('again')", retryLimit=2, retryDelay=1), edges=""))

    assert (run["error"], run["errorDetail"]["attempts"]) == ("again", 3)


def test_a_catch_sees_a_non_retryable_error(client: AwaitstepApi) -> None:
    pay = step("pay", "throw new NonRetryableError('no')", retryLimit=5)
    ir = graph(node("try", "try_catch"), pay, step("tell", "return err.name"), edges="try>pay:try try>tell:catch")

    run = ran(client, ir)

    told = {each["nodeId"]: each["output"] for each in run["steps"]}
    assert (run["status"], told["tell"]) == ("complete", "NonRetryableError")
