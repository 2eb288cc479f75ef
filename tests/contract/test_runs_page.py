"""The Runs API page: its requests, responses, tables and snippets, as printed."""

import base64

import pytest

from live import SEEDS, Api, failing, refused, transform, waiting
from snippets import bash, local, needs_curl, needs_node, needs_seeds, node, snippet
from stepwell.values import Json, decode

PAGE = SEEDS / "loopfour-runs-api.txt"
ITEM = {
    "id",
    "workflowId",
    "status",
    "triggerType",
    "startedAt",
    "completedAt",
    "durationMs",
    "error",
    "createdAt",
}  # exactly


@pytest.fixture
def of_state(api: Api) -> dict[str, str]:
    """A run in each of these statuses."""
    open_run = api.workflow(waiting())
    cancelled = api.start(open_run)
    api.data("POST", f"/runs/{cancelled}/cancel")
    timed_out = api.finish(api.workflow({**waiting(), "settings": {"timeoutMs": 1}}))
    return {
        "running": api.start(open_run),
        "completed": api.finish(api.workflow(transform()))["id"],
        "failed": api.finish(api.workflow(failing()))["id"],
        "cancelled": cancelled,
        "timeout": timed_out["id"],
    }


def test_items_of_the_list_have_exactly_the_printed_fields(api: Api) -> None:
    failed = api.finish(api.workflow(failing()))

    item = api.data("GET", "/runs")[0]

    assert set(item) == ITEM
    assert item["error"] == {"code": failed["error"]["code"], "message": failed["error"]["message"]}
    assert (item["status"], item["triggerType"]) == ("failed", "api")


@pytest.mark.parametrize("status", ["running", "completed", "failed", "cancelled", "timeout", "timed_out"])
def test_the_list_is_filtered_by_status(api: Api, of_state: dict[str, str], status: str) -> None:
    found = api.data("GET", f"/runs?status={status}")

    assert [run["id"] for run in found] == [of_state["timeout" if status == "timed_out" else status]]


def test_the_list_is_filtered_by_workflow_trigger_and_time(api: Api) -> None:
    one, other = api.workflow(transform(slug="one")), api.workflow(transform())
    run, later = api.finish(one), api.finish(other)

    def listed(query: str) -> list[str]:
        return [each["id"] for each in api.data("GET", f"/runs?{query}")]

    assert listed(f"workflowId={one}") == listed(f"workflowId={one[3:]}") == listed("workflowId=wf_one") == [run["id"]]
    assert listed("workflowId=wf_nobody") == []
    assert listed("triggerType=api") == [later["id"], run["id"]]
    assert listed("triggerType=webhook") == []
    assert listed("createdAfter=2999-01-01T00:00:00Z") == []
    assert listed("createdBefore=2999-01-01T00:00:00.000Z") == [later["id"], run["id"]]


def test_pages_follow_a_cursor_of_the_printed_form(api: Api) -> None:
    workflow = api.workflow(transform())
    runs = [api.start(workflow) for _ in range(5)]

    first = decode(api.get("/runs?limit=2").content)
    cursor = first["meta"]["cursor"]
    api.start(workflow)  # neither shifts nor repeats what follows
    second = decode(api.get(f"/runs?limit=2&cursor={cursor.rstrip('=')}").content)
    third = decode(api.get(f"/runs?limit=2&cursor={second['meta']['cursor']}").content)

    pages = [[run["id"] for run in page["data"]] for page in (first, second, third)]
    assert pages == [[runs[4], runs[3]], [runs[2], runs[1]], [runs[0]]]
    place = decode(base64.urlsafe_b64decode(cursor))
    assert list(place) == ["ts", "id"]
    assert place["id"] == runs[3]
    assert len(cursor) % 4 == 0
    assert first["meta"]["hasMore"] is True
    assert third["meta"] == {"hasMore": False}


def test_logs_always_have_an_error_and_all_fields_of_a_step(api: Api) -> None:
    run = api.finish(api.workflow(failing()))

    logs = api.data("GET", f"/runs/{run['id']}/logs")

    assert {name: logs[name] for name in ("runId", "workflowId", "status")} == {
        "runId": run["id"],
        "workflowId": run["workflowId"],
        "status": "failed",
    }
    assert logs["error"] == run["error"]
    good, bad = logs["logs"]
    assert (good["stepId"], good["status"], good["error"], good["output"]) == ("first", "success", None, {"n": 1})
    assert (bad["stepId"], bad["status"], bad["output"]) == ("sync-to-crm", "error", None)
    assert bad["error"]["code"] == "CONNECTION_MISSING"
    times = {"startedAt", "completedAt", "durationMs"}
    assert set(good) == {"stepId", "status", "input", "output", "error", "attempt", *times}


def test_a_failed_step_shows_its_error_in_the_detail_and_others_none(api: Api) -> None:
    first, second = api.finish(api.workflow(failing()))["stepResults"]

    assert "error" not in first
    assert second["error"]["code"] == "CONNECTION_MISSING"


def test_an_open_run_can_be_cancelled(api: Api) -> None:
    run = api.start(api.workflow(waiting()))

    response = api.post(f"/runs/{run}/cancel")

    data = {"id": run, "status": "cancelled", "message": "Run cancellation requested"}
    assert (response.status_code, decode(response.content)) == (200, {"success": True, "data": data})
    assert api.data("GET", f"/runs/{run}")["status"] == "cancelled"


def test_cancellable_states(api: Api, of_state: dict[str, str]) -> None:
    for status in ("completed", "failed", "cancelled", "timeout"):
        response = api.post(f"/runs/{of_state[status]}/cancel")
        refused(response, 400, "INVALID_STATE", "Can only cancel running or pending runs")
    assert api.post(f"/runs/{of_state['running']}/cancel").status_code == 200


def test_retriable_states(api: Api, of_state: dict[str, str]) -> None:
    for status in ("running", "completed", "cancelled"):
        refused(api.post(f"/runs/{of_state[status]}/retry"), 400, "INVALID_STATE", "Can only retry failed runs")
    for status in ("failed", "timeout"):
        assert api.post(f"/runs/{of_state[status]}/retry").status_code == 202


def test_restartable_states(api: Api, of_state: dict[str, str]) -> None:
    steps = {
        "completed": "shape",
        "failed": "sync-to-crm",
        "timeout": "pause",
        "running": "pause",
        "cancelled": "pause",
    }
    for status in ("running", "cancelled"):
        response = api.post(f"/runs/{of_state[status]}/restart", {"fromStepId": steps[status]})
        refused(response, 400, "INVALID_STATE", "Can only restart completed or failed runs")
    for status in ("completed", "failed", "timeout"):
        response = api.post(f"/runs/{of_state[status]}/restart", {"fromStepId": steps[status]})
        assert response.status_code == 202


def test_restart_needs_a_step(api: Api, of_state: dict[str, str]) -> None:
    details = refused(api.post(f"/runs/{of_state['completed']}/restart", {}), 400, "VALIDATION_ERROR")

    assert details == [{"path": ["fromStepId"], "message": "Required"}]


def test_restart_merges_the_override_over_the_input(api: Api) -> None:
    run = api.finish(api.workflow(transform()), input={"a": 1, "retryCount": 0})["id"]
    body = {"fromStepId": "shape", "overrideInput": {"retryCount": 1}}

    new = api.final(api.data("POST", f"/runs/{run}/restart", body)["newRunId"])

    assert (new["input"], new["restartedFromRunId"]) == ({"a": 1, "retryCount": 1}, run)


def test_a_final_run_can_be_deleted_an_open_one_not(api: Api, of_state: dict[str, str]) -> None:
    run = of_state["completed"]

    assert api.data("DELETE", f"/runs/{run}") == {"id": run, "deleted": True}
    refused(api.get(f"/runs/{run}"), 404, "NOT_FOUND", "Run not found")
    refused(api("DELETE", f"/runs/{of_state['running']}"), 400, "INVALID_STATE")


def test_the_stream_tells_every_step_and_ends_after_the_final_status(api: Api) -> None:
    run = api.finish(api.workflow(transform()))["id"]

    response = api.get(f"/runs/{run}/stream")

    events = parsed(response.text)
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.headers["X-Accel-Buffering"] == "no"
    assert [kind for _, kind, _ in events] == ["step.started", "step.completed", "run.status"]
    assert [id for id, _, _ in events] == sorted({id for id, _, _ in events})
    assert events[1][2]["stepId"] == "shape"
    assert (set(events[2][2]), events[2][2]["status"]) == (ITEM, "completed")


def test_the_stream_goes_on_after_the_last_event_id(api: Api) -> None:
    run = api.finish(api.workflow(transform()))["id"]
    whole = parsed(api.get(f"/runs/{run}/stream").text)

    rest = parsed(api.get(f"/runs/{run}/stream", headers={"Last-Event-ID": str(whole[1][0])}).text)

    assert rest == whole[2:]


def test_the_stream_follows_an_open_run(api: Api) -> None:
    run = api.start(api.workflow(waiting()))

    with api.get(f"/runs/{run}/stream", stream=True) as response:
        lines = response.iter_lines(decode_unicode=True)
        assert any("step.started" in line for line in lines)
        api.data("POST", f"/runs/{run}/cancel")
        assert any('"status":"cancelled"' in line for line in lines)


def parsed(text: str) -> list[tuple[int, str, Json]]:
    """The events of a stream: id, kind, data."""
    events = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        events.append((int(fields["id"]), fields["event"], decode(fields["data"])))
    return events


@needs_seeds
@needs_curl
def test_the_curl_call_lists_failed_runs(api: Api, of_state: dict[str, str]) -> None:
    body = bash(local(snippet(PAGE, "curl -X GET", 'YOUR_API_KEY"'), api))

    assert [run["id"] for run in body["data"]] == [of_state["failed"]]


@needs_seeds
@needs_node
def test_the_fetch_call_lists_failed_runs(api: Api, of_state: dict[str, str]) -> None:
    script = local(snippet(PAGE, "const response = await fetch(", "const { data, meta } = await response.json();"), api)

    printed = node(f"{script}\nconsole.log(JSON.stringify([data[0].id, meta.hasMore]))", API_KEY=api.key)

    assert decode(printed) == [of_state["failed"], False]


@needs_seeds
def test_the_python_call_lists_failed_runs(api: Api, of_state: dict[str, str]) -> None:
    names: Json = {"api_key": api.key}

    exec(local(snippet(PAGE, "import requests", "data = response.json()"), api), names)

    assert [run["id"] for run in names["data"]["data"]] == [of_state["failed"]]


@needs_seeds
@needs_curl
def test_the_curl_calls_that_debug_a_failed_step_work(api: Api, of_state: dict[str, str]) -> None:
    read = snippet(PAGE, "curl -X GET", 'YOUR_API_KEY"', after="# Get the failed run")
    restart = snippet(PAGE, "curl -X POST", "}'", after="# Restart from the failed step")

    run = bash(local(read, api).replace("run_xxx", of_state["failed"]))
    restarted = bash(local(restart, api).replace("run_xxx", of_state["failed"]))

    assert run["data"]["error"]["stepId"] == "sync-to-crm"
    assert restarted["data"]["restartFromStepId"] == "sync-to-crm"


@needs_seeds
@needs_node
@pytest.mark.parametrize(
    ("status", "printed"), [("completed", '{"seen":{}}'), ("failed", None), ("cancelled", "Workflow was cancelled")]
)
def test_the_polling_loop_ends_as_the_run_did(
    api: Api, of_state: dict[str, str], status: str, printed: str | None
) -> None:
    script = local(
        snippet(PAGE, "async function waitForCompletion", "Timeout waiting for workflow completion');\n}"), api
    )
    call = f"waitForCompletion('{of_state[status]}').then(JSON.stringify, error => error.message)"

    shown = node(f"const API_KEY = '{api.key}';{script}\nconsole.log(await {call})")

    message = (api.data("GET", f"/runs/{of_state[status]}")["error"] or {}).get("message")
    assert shown == (printed or message)
