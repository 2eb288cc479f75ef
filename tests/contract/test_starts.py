"""Starts that wait, many starts at once, and rate limits. Source: LoopFour contract 1.6, 4.3-4.5."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from live import Api, LiveServer, live, refused, transform, waiting
from stepwell.settings import Admin, Engine, RateLimit, Server, Settings

KEY = "wfk_admin-key-of-the-rate-tests"


def test_a_sync_start_answers_with_the_finished_run(api: Api) -> None:
    workflow = api.workflow(transform())

    response = api.post(f"/workflows/{workflow}/run", {"mode": "sync", "input": {"a": 1}})

    run = response.json()["data"]
    assert (response.status_code, run["status"], run["output"]) == (200, "completed", {"seen": {"a": 1}})
    assert run["runId"] == run["run_id"] == run["id"]
    detail = api.data("GET", f"/runs/{run['id']}")
    assert {**detail, "runId": run["id"], "run_id": run["id"]} == run


def test_a_sync_start_that_takes_too_long_answers_202_and_the_run_goes_on(api: Api) -> None:
    workflow = api.workflow(waiting())

    response = api.post(f"/workflows/{workflow}/run", {"mode": "sync", "maxExecutionTimeMs": 20})

    started = response.json()["data"]
    assert (response.status_code, started["status"]) == (202, "running")
    assert started["run_id"] == started["runId"]
    assert set(started) == {"runId", "run_id", "status", "workflowId", "workflowVersion"}


def test_the_header_means_the_same_as_the_field(api: Api) -> None:
    workflow = api.workflow(transform())

    first = api.post(f"/workflows/{workflow}/run", {"idempotencyKey": "k"})
    again = api.post(f"/workflows/{workflow}/run", {}, headers={"Idempotency-Key": "k"})

    assert first.json()["data"]["runId"] == again.json()["data"]["runId"]
    assert "Idempotency-Replayed" not in first.headers


def test_a_repeat_is_answered_though_the_workflow_is_paused(api: Api) -> None:
    workflow = api.workflow(transform())
    first = api.start(workflow, idempotencyKey="k")
    api.data("POST", f"/workflows/{workflow}/pause")

    assert api.start(workflow, idempotencyKey="k") == first


def test_each_item_of_a_batch_is_judged_alone(api: Api) -> None:
    schema = {"type": "object", "required": ["n"]}
    workflow = api.workflow(transform(inputSchema=schema))
    items = [{"input": {"n": 1}}, {"input": {}}, {"input": []}, {"input": {"n": 2}, "idempotencyKey": "k"}, 5]

    response = api.post(f"/workflows/{workflow}/run/batch", {"items": items})

    answer = response.json()["data"]
    assert (response.status_code, answer["accepted"], answer["rejected"]) == (202, 2, 3)
    good, short, wrong, keyed, number = answer["results"]
    expected = {"index": 0, "success": True, "runId": good["runId"], "status": "pending", "replayed": False}
    assert good == expected
    error = {"code": "VALIDATION_ERROR", "message": "Input validation failed"}
    assert short == {
        "index": 1,
        "success": False,
        "error": {**error, "details": [{"path": ["n"], "message": "Required"}]},
    }
    assert (wrong["success"], wrong["error"]["details"][0]["path"]) == (False, ["input"])
    assert (keyed["index"], keyed["success"], number["success"]) == (3, True, False)
    assert len(api.data("GET", "/runs")) == 2


@pytest.mark.parametrize("count", [0, 501])
def test_a_batch_has_1_to_500_items(api: Api, count: int) -> None:
    workflow = api.workflow(transform())

    details = refused(
        api.post(f"/workflows/{workflow}/run/batch", {"items": [{}] * count}),
        400,
        "VALIDATION_ERROR",
        "Invalid request",
    )

    assert [fault["path"] for fault in details] == [["items"]]


def test_an_item_of_a_batch_is_bounded_as_a_single_input_is(api: Api) -> None:
    workflow = api.workflow(transform())
    items = [{"input": {"s": "x" * 1_048_576}}, {"input": {"s": "x" * 1_000_000}}]

    answer = api.data("POST", f"/workflows/{workflow}/run/batch", {"items": items})

    large, good = answer["results"]
    assert (answer["accepted"], good["success"], large["error"]["code"]) == (1, True, "PAYLOAD_TOO_LARGE")


def test_an_input_that_a_restart_makes_too_large_is_refused(api: Api) -> None:
    run = api.finish(api.workflow(transform({"n": 1})), input={"a": "x" * 600_000})["id"]
    body = {"fromStepId": "shape", "overrideInput": {"b": "x" * 600_000}}

    refused(api.post(f"/runs/{run}/restart", body), 413, "PAYLOAD_TOO_LARGE", "Run input is larger than 1048576 bytes")


def test_a_batch_item_that_was_started_before_is_a_replay(api: Api) -> None:
    workflow = api.workflow(transform())
    first = api.start(workflow, idempotencyKey="k")

    (result,) = api.data("POST", f"/workflows/{workflow}/run/batch", {"items": [{"idempotencyKey": "k"}]})["results"]

    assert (result["runId"], result["success"], result["replayed"]) == (first, True, True)


def test_undeclared_input_is_kept_unless_the_schema_forbids_it_at_that_level(api: Api) -> None:
    closed = {"type": "object", "additionalProperties": False, "properties": {"k": {}}}
    schema = {**closed, "properties": {"open": {"type": "object", "properties": {"k": {}}}, "closed": closed}}
    workflow = api.workflow(transform(inputSchema=schema))
    level = {"k": 1, "z": 2}

    run = api.finish(workflow, input={"open": level, "closed": level, "z": 3})

    assert run["input"] == {"open": level, "closed": {"k": 1}}


def test_types_of_the_input_are_not_coerced(api: Api) -> None:
    workflow = api.workflow(transform(inputSchema={"type": "object", "properties": {"n": {"type": "number"}}}))

    details = refused(api.post(f"/workflows/{workflow}/run", {"input": {"n": "1"}}), 400, "VALIDATION_ERROR")

    assert details == [{"path": ["n"], "message": "Expected number, received string"}]


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[LiveServer]:
    rates = RateLimit(read=3, write=0, execute=2)
    with live(Settings(server=Server(data=tmp_path), admin=Admin(key=KEY), rate_limit=rates)) as server:
        yield server


def test_a_full_window_is_refused_until_there_is_room(limited: LiveServer) -> None:
    def read() -> requests.Response:
        return requests.get(f"{limited.url}/api/v1/runs", headers={"x-api-key": KEY}, timeout=10)

    answers = [read() for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"3"}
    resets = [int(answer.headers["X-RateLimit-Reset"]) - time.time() for answer in answers]
    assert all(0 < seconds <= 62 for seconds in resets)
    refused(answers[3], 429, "RATE_LIMITED", "Rate limit exceeded. Limit: 3 requests per minute.")
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 60


def test_categories_are_counted_apart_and_a_limit_counts_before_scope_and_body(limited: LiveServer) -> None:
    def execute() -> requests.Response:
        url = f"{limited.url}/api/v1/workflows/none/run"
        return requests.post(url, data=b"{", headers={"x-api-key": KEY}, timeout=10)

    answers = [execute() for _ in range(3)]

    assert [answer.status_code for answer in answers] == [404, 404, 429]
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"2"}  # a refusal tells it too
    assert requests.get(f"{limited.url}/api/v1/runs", headers={"x-api-key": KEY}, timeout=10).status_code == 200


def test_health_metrics_and_openapi_need_no_key(server: LiveServer) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
        response = requests.get(server.url + path, timeout=10)
        assert (response.status_code, "X-Request-Id" in response.headers) == (200, True)
        assert requests.head(server.url + path, timeout=10).status_code == 200
    assert "stepwell_open_runs" in requests.get(f"{server.url}/metrics", timeout=10).text
    assert requests.post(f"{server.url}/bench/echo", timeout=10).status_code == 404


def test_with_too_many_open_runs_a_start_is_refused_and_may_be_repeated_later(tmp_path: Path) -> None:
    settings = Settings(server=Server(data=tmp_path), admin=Admin(key=KEY), engine=Engine(max_open_runs=1))
    with live(settings) as server:
        api = Api(server, server.parts.first_workspace, KEY)
        workflow = api.workflow(waiting())
        api.start(workflow)

        response = api.post(f"/workflows/{workflow}/run", {})

        refused(response, 503, "OVERLOADED", "Too many open runs")
        assert int(response.headers["Retry-After"]) >= 1
