"""What a run shows of its steps, its output and its errors. Source: LoopFour contract 5.2-5.7."""

from collections.abc import Iterator

import pytest

from answering import Answering, answering
from live import Api, refused, transform, waiting
from stepwell.values import Json, decode

MAPPING: Json = {"id": "first", "type": "transform", "config": {"mapping": {"n": 1}}}
WAIT: Json = {"id": "pause", "type": "wait", "config": {"duration": 3_600_000}}
NEVER: Json = {"id": "last", "type": "transform", "config": {"mapping": {"n": 2}}}


@pytest.fixture
def upstream() -> Iterator[Answering]:
    with answering() as server:
        yield server


def of(*steps: Json, **fields: Json) -> Json:
    return {"name": "Steps", "trigger": {"type": "api"}, "steps": list(steps), **fields}


def calling(upstream: Answering, **fields: Json) -> Json:
    return {"id": "call", "type": "api", "config": {"url": upstream.url}, **fields}


def until_waiting(api: Api, run: str) -> Json:
    """The run once its wait is stored."""
    with api.get(f"/runs/{run}/stream", stream=True) as response:
        for line in response.iter_lines(decode_unicode=True):
            if '"stepId":"pause"' in line:
                break
    return api.data("GET", f"/runs/{run}")


def test_a_step_of_an_open_run_is_in_both_lists(api: Api) -> None:
    run = until_waiting(api, api.start(api.workflow(of(MAPPING, WAIT, NEVER))))

    assert (run["status"], run["suspendReason"], run["output"], run["error"]) == ("running", None, None, None)
    assert (run["completedAt"], run["durationMs"]) == (None, None)
    done, open_ = run["stepResults"]
    assert [step["status"] for step in run["steps"]] == ["completed", open_["status"]]
    assert open_["status"] in ("running", "waiting")
    assert (done["status"], open_["completedAt"], open_["durationMs"], open_["output"]) == ("success", None, None, None)


def test_a_cancelled_run_closes_its_open_step_and_has_no_entry_for_the_rest(api: Api) -> None:
    id = api.start(api.workflow(of(MAPPING, WAIT, NEVER)))
    until_waiting(api, id)

    api.data("POST", f"/runs/{id}/cancel")

    run = api.data("GET", f"/runs/{id}")
    assert (run["status"], run["error"], run["output"]) == ("cancelled", None, None)
    assert [(step["stepId"], step["status"]) for step in run["stepResults"]] == [
        ("first", "success"),
        ("pause", "error"),
    ]
    assert run["stepResults"][1]["error"]["code"] == "CANCELLED"
    assert run["stepResults"][1]["completedAt"] == run["completedAt"]
    assert api.data("GET", "/runs")[0]["error"] is None


def test_a_run_that_takes_too_long_and_its_open_step_have_the_code_timeout(api: Api) -> None:
    run = api.finish(api.workflow(of(WAIT, NEVER, settings={"timeoutMs": 30})))

    assert (run["status"], run["error"]["code"], run["output"]) == ("timeout", "TIMEOUT", None)
    assert [(step["stepId"], step["error"]["code"]) for step in run["stepResults"]] == [("pause", "TIMEOUT")]


def test_a_skipped_step_has_an_entry_without_times_and_values(api: Api) -> None:
    branch = {"id": "check", "type": "condition", "config": {"expression": "false", "then": [NEVER]}}
    run = api.finish(api.workflow(of({**MAPPING, "when": "input.x > 1"}, branch)), input={"x": 1})

    entries = {step["stepId"]: step for step in run["stepResults"]}
    for id in ("first", "last"):
        shown = {
            name: entries[id][name] for name in ("status", "startedAt", "input", "output", "durationMs", "attempt")
        }
        expected = {"status": "skipped", "startedAt": None, "input": None, "output": None}
        assert shown == {**expected, "durationMs": 0, "attempt": 0}
        assert "error" not in entries[id]
    assert [step["status"] for step in run["steps"]] == ["skipped", "completed", "skipped"]
    assert run["output"] == {"result": False}


def test_logs_list_the_attempts_of_a_step_that_had_more_than_one(api: Api, upstream: Answering) -> None:
    upstream.statuses = [503, 503]
    retries = {"maxAttempts": 5, "initialDelayMs": 1}
    run = api.finish(api.workflow(of(MAPPING, calling(upstream, retryConfig=retries))))

    once, entry = api.data("GET", f"/runs/{run['id']}/logs")["logs"]
    assert "attempts" not in once
    assert (entry["status"], entry["attempt"], entry["error"]) == ("success", 3, None)
    assert [each["attempt"] for each in entry["attempts"]] == [1, 2, 3]
    assert [each["error"] and each["error"]["code"] for each in entry["attempts"]] == ["STEP_ERROR", "STEP_ERROR", None]
    assert entry["attempts"][0]["startedAt"] == entry["startedAt"]
    assert entry["attempts"][2]["completedAt"] == entry["completedAt"]
    assert "attempts" not in run["stepResults"][1]
    assert len({each.headers.get("idempotency-key") for each in upstream.seen}) == 1


def test_a_failed_call_tells_its_kind_and_the_run_names_the_step(api: Api, upstream: Answering) -> None:
    upstream.statuses = [404]
    run = api.finish(api.workflow(of(calling(upstream), NEVER)))

    error = run["stepResults"][0]["error"]
    assert (error["code"], error["details"]) == ("STEP_ERROR", {"kind": "http", "httpStatus": 404, "retryable": False})
    assert run["error"] == {"code": "STEP_ERROR", "message": error["message"], "stepId": "call", "step": "call"}
    assert [step["stepId"] for step in run["stepResults"]] == ["call"]


def test_a_step_that_may_fail_lets_the_run_go_on_with_its_fallback(api: Api, upstream: Answering) -> None:
    upstream.statuses = [404]
    handling = {"strategy": "continue", "fallback": {"v": 1}}
    reading = {"v": "{{steps.call.v}}", "code": "{{steps.call.error.code}}", "status": "{{steps.call.status}}"}
    after = {"id": "after", "type": "transform", "config": {"mapping": reading}}
    run = api.finish(api.workflow(of(calling(upstream, errorHandling=handling), after)))

    assert (run["status"], run["error"], run["steps"][0]["status"]) == ("completed", None, "failed")
    assert (run["stepResults"][0]["status"], run["stepResults"][0]["output"]) == ("error", {"v": 1})
    assert run["output"] == {"v": 1, "code": "STEP_ERROR", "status": "error"}


@pytest.mark.parametrize(
    ("handling", "status"), [({"strategy": "retry"}, "failed"), ({"strategy": "retry", "fallback": {}}, "completed")]
)
def test_the_strategy_retry_fails_the_run_after_the_last_attempt_unless_there_is_a_fallback(
    api: Api, upstream: Answering, handling: Json, status: str
) -> None:
    upstream.statuses = [503, 503, 503]
    step = calling(upstream, errorHandling=handling, retryConfig={"maxAttempts": 2, "initialDelayMs": 1})

    run = api.finish(api.workflow(of(step, NEVER)))

    assert (run["status"], run["stepResults"][0]["status"], run["stepResults"][0]["attempt"]) == (status, "error", 2)
    assert len(upstream.seen) == 2


def test_a_step_that_takes_too_long_fails_with_kind_timeout(api: Api, upstream: Answering) -> None:
    upstream.delay_s = 0.5

    run = api.finish(api.workflow(of(calling(upstream, timeoutMs=50))))

    error = run["stepResults"][0]["error"]
    assert (error["code"], error["details"]) == ("STEP_ERROR", {"kind": "timeout", "retryable": True})


@pytest.mark.parametrize(
    ("mapping", "code"),
    [
        ({f"k{n}": "{{input.s}}" for n in range(18)}, "OUTPUT_TOO_LARGE"),
        ({"twice": "{{input.s}}{{input.s}}"}, "TEMPLATE_ERROR"),
        ({"turns": "{% for n in (1..10001) %}n{% endfor %}"}, "TEMPLATE_ERROR"),
    ],
    ids=["10 MiB of output", "1 MiB of text", "10,000 turns"],
)
def test_what_a_step_makes_is_bounded(api: Api, mapping: Json, code: str) -> None:
    run = api.finish(api.workflow(transform(mapping)), input={"s": "x" * 600_000})

    assert (run["status"], run["error"]["code"]) == ("failed", code)


def test_a_step_of_a_branch_that_was_not_taken_is_a_restart_point(api: Api) -> None:
    skipped = {"id": "skipped", "type": "transform", "config": {"mapping": {"n": "{{steps.first.n | plus: 6}}"}}}
    branch = {"id": "check", "type": "condition", "config": {"expression": "false", "then": [skipped]}}
    after = {"id": "after", "type": "transform", "config": {"mapping": {"n": "{{steps.skipped.n}}"}}}
    run = api.finish(api.workflow(of(MAPPING, branch, after)))
    assert run["output"] == {"n": None}

    new = api.final(api.data("POST", f"/runs/{run['id']}/restart", {"fromStepId": "skipped"})["newRunId"])

    assert new["output"] == {"n": 7}
    assert [(step["stepId"], step.get("reused", False)) for step in new["stepResults"]] == [
        ("first", True),
        ("check", True),
        ("skipped", False),
        ("after", False),
    ]


def test_copied_entries_are_marked_and_keep_their_times(api: Api, upstream: Answering) -> None:
    upstream.statuses = [404]
    failed = api.finish(api.workflow(of(MAPPING, calling(upstream))))

    new = api.final(api.data("POST", f"/runs/{failed['id']}/retry")["newRunId"])

    kept, again = new["stepResults"]
    assert (new["status"], new["attempt"], new["restartedFromRunId"]) == ("completed", 2, failed["id"])
    assert kept == {**failed["stepResults"][0], "reused": True}
    assert "reused" not in again
    assert api.data("GET", f"/runs/{new['id']}/logs")["logs"][0]["reused"] is True


@pytest.mark.parametrize(
    ("fields", "output"),
    [
        ({}, {"n": 2}),
        ({"output": {"sum": "{{steps.first.n | plus: steps.last.n}}"}}, {"sum": 3}),
        ({"steps": []}, {}),
    ],
    ids=["last step", "templates", "no step"],
)
def test_the_output_of_a_run(api: Api, fields: Json, output: Json) -> None:
    assert api.finish(api.workflow({**of(MAPPING, NEVER), **fields}))["output"] == output


def test_an_output_that_is_no_object_is_wrapped(api: Api) -> None:
    rules = {"sourceData": "{{input.rows}}", "mappingRules": [{"source": "a", "target": "b"}]}
    workflow = api.workflow(of({"id": "rules", "type": "transform", "config": rules}))

    assert api.finish(workflow, input={"rows": [{"a": 1}]})["output"] == {"result": [{"b": 1}]}


def test_an_output_that_does_not_fit_its_schema_fails_the_run_and_a_retry_keeps_all_results(api: Api) -> None:
    schema = {"type": "object", "required": ["total"]}
    run = api.finish(api.workflow(of(MAPPING, outputSchema=schema)))

    assert (run["status"], run["error"]["code"], "stepId" in run["error"]) == ("failed", "OUTPUT_INVALID", False)
    retried = api.data("POST", f"/runs/{run['id']}/retry")
    assert retried["restartFromStepId"] is None
    assert api.final(retried["newRunId"])["stepResults"][0]["reused"] is True


def test_a_retry_takes_the_version_of_the_run_unless_another_is_named(api: Api, upstream: Answering) -> None:
    upstream.statuses = [404, 404, 404, 404]
    id = api.workflow(of(calling(upstream)))
    run = api.finish(id)["id"]
    api.data("PUT", f"/workflows/{id}", {"name": "Second"})

    versions = [
        api.final(api.data("POST", f"/runs/{run}/retry", body)["newRunId"])["workflowVersion"]
        for body in (None, {"version": "latest"}, {"version": 2})
    ]

    assert versions == [1, 2, 2]
    details = refused(api.post(f"/runs/{run}/retry", {"version": 3}), 400, "VALIDATION_ERROR", "Invalid request")
    assert [fault["path"] for fault in details] == [["version"]]


def test_a_run_of_a_paused_workflow_is_restarted_one_of_an_archived_not(api: Api) -> None:
    id = api.workflow(transform())
    run = api.finish(id)["id"]

    api.data("POST", f"/workflows/{id}/pause")
    assert api.post(f"/runs/{run}/restart", {"fromStepId": "shape"}).status_code == 202
    api.data("POST", f"/workflows/{id}/archive")
    refused(api.post(f"/runs/{run}/restart", {"fromStepId": "shape"}), 400, "INVALID_STATUS")


@pytest.mark.parametrize("override", [{}, {"other": 1}])
def test_an_overridden_input_is_checked_with_the_schema_of_the_version(api: Api, override: Json) -> None:
    id = api.workflow(transform())
    run = api.finish(id)["id"]
    api.data("PUT", f"/workflows/{id}", {"inputSchema": {"type": "object", "required": ["customerId"]}})
    body = {"fromStepId": "shape", "overrideInput": override, "version": "latest"}

    details = refused(api.post(f"/runs/{run}/restart", body), 400, "VALIDATION_ERROR", "Input validation failed")

    assert details == [{"path": ["customerId"], "message": "Required"}]


def test_a_cancelled_pending_run_never_started(api: Api) -> None:
    id = api.workflow({**waiting(), "settings": {"maxConcurrentRuns": 1}})
    api.start(id)
    second = api.start(id)
    assert api.data("GET", f"/runs/{second}")["status"] == "pending"

    api.data("POST", f"/runs/{second}/cancel")

    run = api.data("GET", f"/runs/{second}")
    assert (run["status"], run["startedAt"], run["durationMs"], run["stepResults"]) == ("cancelled", None, None, [])


def test_numbers_of_the_input_keep_their_text(api: Api) -> None:
    numbers = '{"price":19.99,"padded":1.10,"long":12345678901234567890.5,"small":0.0000001}'
    started = api.post(f"/workflows/{api.workflow(transform())}/run", data=f'{{"input": {numbers}}}')
    run = decode(started.content)["data"]["runId"]
    api.final(run)

    assert f'"input":{numbers}' in api.get(f"/runs/{run}").text
