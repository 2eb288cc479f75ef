"""api: what is sent, what comes back, what is repeated. Source: LoopFour contract 9.5."""

from decimal import Decimal

import pytest

from stepwell.errors import StepError
from unit.steps.conftest import answer

URL = "https://api.example/x"
CSV = {"columns": ["a", "b"], "rows": [{"a": "1", "b": "2"}, {"a": "3", "b": None}]}


def test_a_request_is_sent_as_the_config_says(perform, outside):
    config = {
        "url": "https://api.example/{{input.id}}",
        "method": "put",
        "params": {"q": "a b", "many": [1, True], "none": None},
        "headers": {"X-Key": "[[key]]", "X-N": 5},
        "body": {"price": "{{input.price}}"},
        "timeout": 1500,
        "maxResponseBytes": 99,
    }

    perform("api", {**config, "method": "PUT"}, input={"id": 7, "price": Decimal("19.90")})

    (request,) = outside.requests
    assert (request.method, request.url) == ("PUT", "https://api.example/7")
    assert request.params == (("q", "a b"), ("many", "1"), ("many", "true"))
    assert request.headers == {
        "X-Key": "open-key",
        "X-N": "5",
        "Content-Type": "application/json",
        "Idempotency-Key": "run:it",
    }
    assert request.body == b'{"price":19.90}'
    assert (request.timeout_s, request.max_response_bytes) == (1.5, 99)


def test_headers_and_params_may_be_lists_of_pairs(perform, outside):
    pairs = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": None}]

    perform("api", {"url": URL, "headers": pairs, "params": pairs})

    assert outside.requests[0].headers == {"a": "1"}
    assert outside.requests[0].params == (("a", "1"),)


@pytest.mark.parametrize(
    ("body", "headers", "sent", "content_type"),
    [
        ("plain", {}, b"plain", "text/plain; charset=utf-8"),
        ([1], {"content-type": "application/x+json"}, b"[1]", "application/x+json"),
        (
            {"a": "x y", "n": 1, "z": None},
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"a=x+y&n=1",
            "application/x-www-form-urlencoded",
        ),
        (None, {}, None, None),
    ],
)
def test_a_body_is_encoded_by_its_kind(perform, outside, body, headers, sent, content_type):
    perform("api", {"url": URL, "method": "POST", "body": body, "headers": headers})

    (request,) = outside.requests
    stated = {name.lower(): value for name, value in request.headers.items()}
    assert request.body == sent
    assert stated.get("content-type") == content_type


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_requests_that_only_read_carry_no_idempotency_key(perform, outside, method):
    perform("api", {"url": URL, "method": method})

    assert "Idempotency-Key" not in outside.requests[0].headers


def test_a_header_of_the_config_wins_over_the_operation_id(perform, outside):
    perform("api", {"url": URL, "method": "POST", "headers": {"idempotency-key": "mine"}})

    assert outside.requests[0].headers == {"idempotency-key": "mine"}


@pytest.mark.parametrize(
    ("form", "content_type", "body", "fields"),
    [
        ("auto", "application/json", b'{"n": 1.10}', {"data": {"n": Decimal("1.10")}}),
        ("auto", "application/problem+json", b"[1]", {"data": [1]}),
        ("auto", "application/json", b"", {"data": None}),
        ("auto", "application/json", b"oops", {"data": "oops", "text": "oops"}),
        ("auto", "text/plain", b"hi", {"data": "hi", "text": "hi"}),
        ("auto", "text/plain; charset=iso-8859-1", b"\xe4", {"data": "ä", "text": "ä"}),
        ("auto", "text/plain; charset=idna", b"hi", {"data": "hi", "text": "hi"}),
        ("auto", "text/csv", b"a,b\n1,2\n3\n", CSV),
        ("auto", "image/png", b"\x89P", {"content": "iVA="}),
        ("auto", "", b"\0\1", {"content": "AAE="}),
        ("auto", "", b"", {"data": "", "text": ""}),
        ("json", "text/plain", b"[1]", {"data": [1]}),
        ("text", "application/json", b"[1]", {"data": "[1]", "text": "[1]"}),
        ("binary", "text/plain", b"hi", {"content": "aGk="}),
    ],
)  # fmt: skip
def test_an_answer_is_read_by_its_format(perform, outside, form, content_type, body, fields):
    outside.answer = answer(201, body, content_type=content_type)

    assert perform("api", {"url": URL, "responseFormat": form}) == {
        "status": 201,
        "ok": True,
        "headers": {"content-type": content_type},
        "contentType": content_type,
        "sizeBytes": len(body),
        **fields,
    }


def test_a_csv_delimiter_is_kept_to(perform, outside):
    outside.answer = answer(200, b"a;b\n1;2\n")

    output = perform("api", {"url": URL, "responseFormat": "csv", "csvDelimiter": ";"})

    assert output["rows"] == [{"a": "1", "b": "2"}]


def failed(perform, outside, config, got):
    outside.answer = got
    with pytest.raises(StepError) as error:
        perform("api", {"url": URL, **config})
    return error.value


def test_a_promised_format_that_does_not_come_fails_the_step(perform, outside):
    error = failed(perform, outside, {"responseFormat": "json"}, answer(200, b"<html>"))

    assert error.message == "Response is not valid JSON"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"message": "No such customer"}}', "No such customer"),
        (b'{"error": "denied"}', "denied"),
        (b'{"message": "gone"}', "gone"),
        (b"<html>", "HTTP 404 Not Found"),
    ],
)
def test_an_error_status_fails_the_step_with_its_cause(perform, outside, body, message):
    error = failed(perform, outside, {}, answer(404, body))

    assert (error.code, error.kind, error.http_status, error.message) == ("STEP_ERROR", "http", 404, message)


def test_with_fail_on_error_off_an_error_status_is_an_answer(perform, outside):
    outside.answer = answer(404, b"{}", content_type="application/json")

    output = perform("api", {"url": URL, "failOnError": False})

    assert (output["ok"], output["status"]) == (False, 404)


@pytest.mark.parametrize(
    ("method", "status", "retryable"),
    [
        ("GET", 500, True), ("GET", 408, True), ("GET", 425, True), ("GET", 429, True), ("GET", 404, False),
        ("PUT", 503, True), ("DELETE", 503, True),
        ("POST", 500, False), ("POST", 408, False), ("POST", 429, True), ("PATCH", 503, False), ("PATCH", 429, True),
    ],
)  # fmt: skip
def test_which_statuses_are_repeated(perform, outside, method, status, retryable):
    assert failed(perform, outside, {"method": method}, answer(status, b"")).retryable is retryable


@pytest.mark.parametrize(
    ("method", "unknown", "retryable"),
    [("GET", True, True), ("POST", True, False), ("POST", False, True), ("PATCH", True, False), ("PUT", True, True)],
)
def test_a_lost_connection_is_repeated_unless_the_request_may_have_arrived(
    perform, outside, method, unknown, retryable
):
    lost = StepError("Connection lost", kind="network", retryable=True, outcome_unknown=unknown)

    assert failed(perform, outside, {"method": method}, lost).retryable is retryable


def test_retry_non_idempotent_repeats_post_like_others(perform, outside):
    config = {"method": "POST", "retryNonIdempotent": True}

    assert failed(perform, outside, config, answer(500, b"")).retryable
    assert failed(perform, outside, config, StepError("x", retryable=True, outcome_unknown=True)).retryable


@pytest.mark.parametrize(
    ("headers", "ms"),
    [
        ({"retry_after": "7"}, 7000),
        ({"retry_after": "99999"}, 3_600_000),
        ({"retry_after": "Mon, 15 Jan 2024 10:00:09 GMT", "date": "Mon, 15 Jan 2024 10:00:00 GMT"}, 9000),
        ({"retry_after": "Mon, 15 Jan 2024 10:00:09 GMT"}, None),
        ({"retry_after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read(perform, outside, headers, ms):
    assert failed(perform, outside, {}, answer(429, b"", **headers)).retry_after_ms == ms


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({}, "config.url"),
        ({"url": "ftp://x"}, "config.url"),
        ({"url": URL, "method": "TRACE"}, "config.method"),
        ({"url": URL, "responseFormat": "xml"}, "config.responseFormat"),
        ({"url": URL, "retries": 20}, "config.retries"),
        ({"url": URL, "failOnError": "yes"}, "config.failOnError"),
        ({"url": URL, "headers": "a: b"}, "config.headers"),
        ({"url": URL, "maxResponseBytes": 99_000_000}, "config.maxResponseBytes"),
    ],
)
def test_a_faulty_config_is_found_at_save(refused, config, field):
    assert [name for name, _ in refused("api", config)] == [field]


@pytest.mark.parametrize(
    ("config", "value"),
    [
        ({"url": "{{input.v}}"}, None),
        ({"url": "{{input.v}}"}, "file:///etc/passwd"),
        ({"url": URL, "method": "{{input.v}}"}, "TRACE"),
        ({"url": URL, "headers": "{{input.v}}"}, 5),
        ({"url": URL, "params": "{{input.v}}"}, ["a"]),
    ],
)
def test_a_config_that_renders_to_nonsense_is_not_sent(perform, outside, config, value):
    with pytest.raises(StepError) as error:
        perform("api", config, input={"v": value})

    assert error.value.code == "TEMPLATE_ERROR"
    assert outside.requests == []


def test_an_api_step_needs_no_connection(compiled):
    step = compiled("api", {"url": URL})

    assert step.type.connection(step.program, {"url": URL}) is None
