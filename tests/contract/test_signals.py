"""What reaches runs: events, pause and resume, and why a run waits. Source: LoopFour contract 5.5, 5.8 and 10."""

import re

import pytest

from live import Api, NewApi, refused, transform, waiting

UNKNOWN = "run_01890000-0000-7000-8000-000000000000"
EVENT_ID = r"evt_[0-9a-f]{8}-[0-9a-f-]{27}"
WAITS = r"Step pause waits until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture
def run(api: Api) -> str:
    """A run that waits in a `wait` step."""
    started = api.start(api.workflow(waiting()))
    api.until(started, lambda found: found["stepResults"])
    return started


def events_of(api: Api, run: str) -> list[tuple[str, bytes]]:
    """Type and payload of the events that a run has received and no step has taken."""
    loaded = api.server.call(api.server.parts.core.store.runs.load(api.workspace, run[4:]))
    assert loaded is not None
    return [(event.type, event.payload) for event in loaded.events]


# Events


def test_an_event_is_kept_with_its_run(api: Api, run: str) -> None:
    answer = api.post(f"/runs/{run}/events", {"type": "paid", "payload": {"amount": 12}})

    data = answer.json()["data"]
    assert (answer.status_code, data["delivered"]) == (202, 1)
    assert re.fullmatch(EVENT_ID, data["eventId"])
    assert events_of(api, run) == [("paid", b'{"amount":12}')]


def test_the_payload_may_be_absent(api: Api, run: str) -> None:
    api.data("POST", f"/runs/{run}/events", {"type": "paid"})

    assert events_of(api, run) == [("paid", b"{}")]


def test_an_event_for_a_final_run_is_refused(api: Api) -> None:
    run = api.finish(api.workflow(transform()))["id"]

    refused(api.post(f"/runs/{run}/events", {"type": "paid", "payload": {}}), 400, "INVALID_STATE")


def test_an_event_for_a_run_of_another_workspace_is_not_found(run: str, new_api: NewApi) -> None:
    refused(new_api().post(f"/runs/{run}/events", {"type": "paid"}), 404, "NOT_FOUND", "Run not found")


@pytest.mark.parametrize("path", [f"/runs/{UNKNOWN}/events", "/runs/other/events"])
def test_an_unknown_run_is_not_found_before_faults_of_the_body(api: Api, path: str) -> None:
    refused(api.post(path, {}), 404, "NOT_FOUND", "Run not found")


@pytest.mark.parametrize("body", [{}, {"type": ""}, {"type": 3}, {"type": "x" * 256}])
def test_an_event_has_a_type(api: Api, run: str, body: dict[str, object]) -> None:
    for path in (f"/runs/{run}/events", "/events"):
        details = refused(api.post(path, body), 400, "VALIDATION_ERROR", "Invalid request")
        assert [fault["path"] for fault in details] == [["type"]]


def test_an_event_goes_to_every_open_run_that_passes_the_filter(api: Api) -> None:
    workflow = api.workflow(waiting())
    runs = [api.start(workflow, input={"order": {"id": number}}) for number in range(3)]
    other = api.start(api.workflow(waiting()), input={"order": {"id": 1}})
    final = api.finish(api.workflow(transform()), input={"order": {"id": 1}})["id"]

    match = {"workflowId": workflow, "triggerType": {"$in": ["api"]}, "input.order.id": {"$gte": 1}}
    answer = api.post("/events", {"type": "paid", "payload": [1], "match": match})

    assert (answer.status_code, answer.json()["data"]["delivered"]) == (202, 2)
    received = [("paid", b"[1]")]
    assert [events_of(api, run) for run in (*runs, other, final)] == [[], received, received, [], []]


def test_an_event_goes_to_a_run_by_its_id(api: Api) -> None:
    runs = [api.start(api.workflow(waiting())) for _ in range(2)]

    data = api.data("POST", "/events", {"type": "paid", "match": {"id": runs[1]}})

    assert data["delivered"] == 1
    assert events_of(api, runs[0]) == []


def test_without_a_filter_only_runs_that_wait_for_the_type_get_the_event(api: Api, run: str) -> None:
    assert api.data("POST", "/events", {"type": "paid", "payload": {}})["delivered"] == 0
    assert events_of(api, run) == []


def test_runs_of_other_workspaces_get_no_event(run: str, api: Api, new_api: NewApi) -> None:
    assert new_api().data("POST", "/events", {"type": "paid", "match": {}})["delivered"] == 0
    assert events_of(api, run) == []


def test_more_runs_than_a_page_get_the_event(api: Api) -> None:
    workflow = api.workflow(waiting())
    api.data("POST", f"/workflows/{workflow}/run/batch", {"items": [{}] * 230})

    assert api.data("POST", "/events", {"type": "paid", "match": {}})["delivered"] == 230


def test_all_faults_of_a_filter_are_told(api: Api) -> None:
    match = {"input.a": {"$near": 1}, "input.b": {"$regex": "("}}

    details = refused(api.post("/events", {"type": "paid", "match": match}), 400, "VALIDATION_ERROR")

    assert [fault["path"] for fault in details] == [["match", "input.a", "$near"], ["match", "input.b", "$regex"]]


# Pause and resume


def test_a_paused_run_shows_suspended_and_says_so(api: Api, run: str) -> None:
    answer = api.post(f"/runs/{run}/pause")

    assert (answer.status_code, answer.json()["data"]) == (200, {"id": run, "status": "suspended"})
    shown = api.data("GET", f"/runs/{run}")
    assert (shown["status"], shown["suspendReason"]) == ("suspended", "paused")
    assert shown["waitingFor"] == "The run is paused"


def test_a_resumed_run_goes_on(api: Api) -> None:
    step = {"id": "pause", "type": "wait", "config": {"duration": 50}}
    run = api.start(api.workflow({**waiting(), "steps": [step]}))
    api.until(run, lambda found: found["stepResults"])
    api.data("POST", f"/runs/{run}/pause")

    data = api.data("POST", f"/runs/{run}/resume")

    assert (data["id"], data["status"]) == (run, "running")
    assert api.final(run)["status"] == "completed"


def test_a_pause_of_a_paused_run_is_answered_alike(api: Api, run: str) -> None:
    once, again = (api.data("POST", f"/runs/{run}/pause") for _ in range(2))

    assert once == again


def test_a_paused_run_can_be_cancelled(api: Api, run: str) -> None:
    api.data("POST", f"/runs/{run}/pause")

    api.data("POST", f"/runs/{run}/cancel")

    assert api.data("GET", f"/runs/{run}")["status"] == "cancelled"


def test_a_final_run_is_not_paused_and_a_running_one_not_resumed(api: Api, run: str) -> None:
    final = api.finish(api.workflow(transform()))["id"]

    refused(api.post(f"/runs/{final}/pause"), 400, "INVALID_STATE")
    refused(api.post(f"/runs/{final}/resume"), 400, "INVALID_STATE")
    refused(api.post(f"/runs/{run}/resume"), 400, "INVALID_STATE", "Can only resume paused runs")


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_an_unknown_or_foreign_run_is_neither_paused_nor_resumed(new_api: NewApi, run: str, verb: str) -> None:
    for id in (UNKNOWN, "other", run):
        refused(new_api().post(f"/runs/{id}/{verb}"), 404, "NOT_FOUND", "Run not found")


# Why a run waits


def test_an_open_run_says_which_timer_it_waits_for(api: Api, run: str) -> None:
    shown = api.data("GET", f"/runs/{run}")

    assert re.fullmatch(WAITS, shown["waitingFor"])
    assert shown["suspendReason"] is None


def test_a_final_run_does_not_say_what_it_waits_for(api: Api) -> None:
    assert "waitingFor" not in api.finish(api.workflow(transform()))


def test_a_run_that_is_held_back_by_a_limit_says_so(api: Api) -> None:
    workflow = api.workflow({**waiting(), "settings": {"maxConcurrentRuns": 1}})
    api.start(workflow)

    held = api.data("GET", f"/runs/{api.start(workflow)}")

    assert held["waitingFor"] == "The run waits for a place under its workflow's limit of concurrent runs"
