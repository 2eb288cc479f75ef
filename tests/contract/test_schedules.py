"""Schedules over the wire, line by line. Source: LoopFour contract 12."""

import time
from datetime import datetime
from typing import Any

import pytest

from live import PATIENCE_S, Api, NewApi, refused, transform, waiting
from stepwell.client import Client
from stepwell.values import Json, decode

EACH_SECOND = "* * * * * *"
UNKNOWN = "wf_01890000-0000-7000-8000-000000000000"


def scheduled(document: Json | None = None, **trigger: Any) -> Json:
    """A workflow with a schedule."""
    return {**(document or transform()), "trigger": {"type": "schedule", **trigger}}


def history(api: Api, workflow: str, count: int) -> list[Json]:
    """What came of the first instants, oldest first, once there are so many."""
    deadline = time.monotonic() + PATIENCE_S
    while len(found := api.data("GET", f"/workflows/{workflow}/schedule/history")) < count:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return list(reversed(found))[:count]


def following(api: Api, count: int = 5, **trigger: Any) -> Json:
    workflow = api.workflow(scheduled(**trigger))
    return api.data("GET", f"/workflows/{workflow}/schedule/next?count={count}")


def faults(api: Api, **trigger: Any) -> list[str]:
    details = refused(
        api.post("/workflows", scheduled(**trigger)), 400, "VALIDATION_ERROR", "Invalid workflow configuration"
    )
    return [f"{fault['field']}: {fault['message']}" for fault in details]


# -- the trigger


@pytest.mark.parametrize(
    "trigger",
    [
        {"cron": "0 9 * * 1-5", "timezone": "America/New_York", "enabled": True},
        {"interval": {"value": 15, "unit": "minutes"}},
        {"interval": {"value": 525_600, "unit": "weeks"}},
        {"cron": "30 0 9 * * MON,wed,7", "catchUp": "none", "overlap": "cancel", "jitterSeconds": 0},
        {"cron": "0 0 1 JAN *", "catchUp": "all", "catchUpLimit": 1000, "startAt": "2026-01-01T00:00:00Z"},
    ],
)
def test_a_schedule_is_stored_as_it_was_sent(api: Api, trigger: dict[str, Json]) -> None:
    id = api.workflow(scheduled(**trigger))

    stored = api.data("GET", f"/workflows/{id}")["trigger"]
    assert {name: stored[name] for name in trigger} == trigger


def test_exactly_one_of_cron_and_interval_is_given(api: Api) -> None:
    assert faults(api) == ["trigger.cron: A schedule has either cron or interval; neither is given"]
    assert faults(api, cron="* * * * *", interval={"value": 1, "unit": "days"}) == [
        "trigger.cron: A schedule has either cron or interval; both are given"
    ]


def test_every_fault_is_told_at_once_with_its_field(api: Api) -> None:
    told = faults(
        api,
        cron="61 25 * * *",
        timezone="Europe/Berln",
        catchUp="some",
        overlap="maybe",
        jitterSeconds=3601,
        catchUpLimit=0,
        enabled="yes",
        startAt="2026-01-02T00:00:00Z",
        endAt="2026-01-01T00:00:00Z",
    )

    assert sorted(line.split(":")[0] for line in told) == [
        "trigger.catchUp",
        "trigger.catchUpLimit",
        "trigger.cron",
        "trigger.cron",
        "trigger.enabled",
        "trigger.endAt",
        "trigger.jitterSeconds",
        "trigger.overlap",
        "trigger.timezone",
    ]
    assert told[0] == "trigger.cron: minute 61: 61 is not between 0 and 59"


def test_a_cron_that_never_fires_is_refused(api: Api) -> None:
    assert faults(api, cron="0 0 30 2 *") == ["trigger.cron: It never fires: no day 30 in Feb"]


def test_the_faults_of_the_trigger_stand_beside_those_of_the_steps(api: Api) -> None:
    document = scheduled(cron="61 * * * *")
    document["steps"] = [{"type": "transform", "config": {"mapping": {}}}]

    details = refused(api.post("/workflows", document), 400, "VALIDATION_ERROR")

    assert {fault["field"] for fault in details} == {"steps[0].id", "trigger.cron"}


# -- the next times


def test_five_times_are_told_in_utc_and_in_the_zone(api: Api) -> None:
    told = following(api, cron="0 9 * * 1-5", timezone="Asia/Kolkata")
    by_default = api.data("GET", f"/workflows/{api.workflow(scheduled(cron='0 9 * * *'))}/schedule/next")

    assert told["timezone"] == "Asia/Kolkata"
    assert [each["local"][11:] for each in told["next"]] == ["09:00:00+05:30"] * 5
    assert [each["at"][11:] for each in told["next"]] == ["03:30:00.000Z"] * 5
    assert all(datetime.fromisoformat(each["local"]).isoweekday() <= 5 for each in told["next"])
    assert (len(by_default["next"]), by_default["timezone"]) == (5, "UTC")


@pytest.mark.parametrize("weekday", ["0", "7", "SUN", "sun"])
def test_sunday_has_four_names(api: Api, weekday: str) -> None:
    told = following(api, cron=f"0 0 * * {weekday}")

    assert {datetime.fromisoformat(each["local"]).isoweekday() for each in told["next"]} == {7}


def test_a_day_and_a_weekday_match_either(api: Api) -> None:
    told = following(api, 40, cron="0 0 13 * FRI")

    days = [datetime.fromisoformat(each["local"]) for each in told["next"]]
    assert all(day.day == 13 or day.isoweekday() == 5 for day in days)
    assert any(day.day == 13 and day.isoweekday() != 5 for day in days)
    assert any(day.day != 13 for day in days)


def test_a_fixed_time_in_the_gap_of_spring_fires_when_it_is_over(api: Api) -> None:
    told = following(api, 14, cron="30 2 25-31 3 *", timezone="Europe/Berlin")

    times = [each["local"][11:] for each in told["next"]]
    assert set(times) == {"02:30:00+01:00", "02:30:00+02:00", "03:00:00+02:00"}
    assert times.count("03:00:00+02:00") <= 2  # once a year
    assert any("02:30 does not exist and fires at 03:00 instead." in warning for warning in told["warnings"])


def test_a_fixed_time_that_autumn_repeats_fires_once_and_a_step_twice(api: Api) -> None:
    fixed = following(api, 7, cron="30 2 25-31 10 *", timezone="Europe/Berlin")
    step = following(api, 16, cron="30/30 2 25-31 10 *", timezone="Europe/Berlin")

    assert len({each["local"][:10] for each in fixed["next"]}) == 7
    assert len({each["local"][:10] for each in step["next"]}) < 16
    assert any("comes twice and fires the first time only" in warning for warning in fixed["warnings"])
    assert any("fire twice" in warning for warning in step["warnings"])


def test_an_interval_is_told_on_the_grid_of_its_start(api: Api) -> None:
    told = following(api, interval={"value": 1, "unit": "hours"}, startAt="2020-01-01T00:07:00Z")

    assert [each["at"][13:] for each in told["next"]] == [":07:00.000Z"] * 5


def test_at_most_a_hundred_times_are_told(api: Api) -> None:
    workflow = api.workflow(scheduled(cron="* * * * *"))
    path = f"/workflows/{workflow}/schedule/next"

    assert len(api.data("GET", f"{path}?count=100")["next"]) == 100
    for count in ("0", "101", "x"):
        refused(api.get(f"{path}?count={count}"), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("path", ["next", "history"])
def test_a_workflow_without_a_schedule_has_no_times(api: Api, path: str) -> None:
    id = api.workflow(transform())

    details = refused(api.get(f"/workflows/{id}/schedule/{path}"), 400, "VALIDATION_ERROR", "Invalid request")
    assert details == [{"path": ["trigger"], "message": "The workflow has no schedule"}]


@pytest.mark.parametrize("path", ["next", "history"])
def test_the_schedule_of_another_workspace_is_not_found(new_api: NewApi, path: str) -> None:
    api, other = new_api(), new_api()
    id = api.workflow(scheduled(cron="* * * * *"))

    refused(other.get(f"/workflows/{id}/schedule/{path}"), 404, "NOT_FOUND", "Workflow not found")
    refused(api.get(f"/workflows/{UNKNOWN}/schedule/{path}"), 404, "NOT_FOUND", "Workflow not found")


def test_a_draft_tells_its_times_and_that_it_does_not_fire(api: Api) -> None:
    draft = api.workflow(scheduled(cron="* * * * *"), active=False)

    told = api.data("GET", f"/workflows/{draft}/schedule/next")

    assert len(told["next"]) == 5
    assert told["warnings"] == ["The schedule does not fire: the workflow is draft."]


# -- firing


def test_every_instant_starts_one_run_with_its_input(api: Api) -> None:
    id = api.workflow(scheduled(cron=EACH_SECOND))

    one, two = history(api, id, 2)
    api.data("POST", f"/workflows/{id}/pause")

    first, second = (api.final(each["runId"]) for each in (one, two))
    assert (first["triggerType"], first["status"]) == ("schedule", "completed")
    given = first["input"]
    assert given == {
        "timestamp": given["timestamp"],
        "runId": first["id"],
        "scheduleName": "Shape",
        "scheduledAt": one["scheduledAt"],
        "nextRunAt": two["scheduledAt"],
        "runCount": 1,
    }
    assert given["scheduledAt"] <= given["timestamp"]
    assert second["input"]["runCount"] == 2
    runs = api.data("GET", f"/runs?workflowId={id}&triggerType=schedule")
    assert len(runs) == len({api.data("GET", f"/runs/{run['id']}")["input"]["scheduledAt"] for run in runs})


def test_what_is_told_before_is_what_fires(api: Api) -> None:
    id = api.workflow(scheduled(cron=EACH_SECOND))
    told = [each["at"] for each in api.data("GET", f"/workflows/{id}/schedule/next?count=3")["next"]]

    fired = [each["scheduledAt"] for each in history(api, id, 4)]

    assert set(told) <= set(fired)


def test_a_start_by_the_api_has_the_callers_input(api: Api) -> None:
    id = api.workflow(scheduled(cron="0 0 1 1 *"))

    run = api.finish(id, input={"mine": True})

    assert (run["input"], run["triggerType"]) == ({"mine": True}, "api")
    assert api.data("GET", f"/workflows/{id}/schedule/history") == []


def test_the_body_of_the_trigger_is_the_input(api: Api) -> None:
    seen = transform({"type": "{{trigger.type}}", "at": "{{trigger.body.scheduledAt}}"})
    id = api.workflow(scheduled(seen, cron=EACH_SECOND))

    (one,) = history(api, id, 1)

    assert api.final(one["runId"])["output"] == {"type": "schedule", "at": one["scheduledAt"]}


def test_a_schedule_that_is_not_enabled_does_not_fire(api: Api) -> None:
    off = api.workflow(scheduled(cron=EACH_SECOND, enabled=False))
    on = api.workflow(scheduled(cron=EACH_SECOND))

    history(api, on, 2)

    assert api.data("GET", f"/workflows/{off}/schedule/history") == []


def test_a_paused_workflow_does_not_fire_and_an_activated_one_goes_on(api: Api) -> None:
    id, witness = (api.workflow(scheduled(cron=EACH_SECOND)) for _ in range(2))
    history(api, id, 1)
    api.data("POST", f"/workflows/{id}/pause")
    before = len(api.data("GET", f"/workflows/{id}/schedule/history"))

    history(api, witness, len(api.data("GET", f"/workflows/{witness}/schedule/history")) + 2)
    assert len(api.data("GET", f"/workflows/{id}/schedule/history")) == before

    api.data("POST", f"/workflows/{id}/activate")
    assert history(api, id, before + 1)[-1]["status"] == "started"


def test_an_edit_of_the_trigger_counts_from_the_edit_on(api: Api) -> None:
    id = api.workflow(scheduled(cron="0 0 1 1 *"))

    api.data("PUT", f"/workflows/{id}", {"trigger": {"type": "schedule", "cron": EACH_SECOND}})

    assert history(api, id, 1)[0]["status"] == "started"


# -- why it did not run


def test_a_run_that_is_open_makes_skip_tell_so(api: Api) -> None:
    id = api.workflow(scheduled(waiting(), cron=EACH_SECOND, overlap="skip"))

    one, two = history(api, id, 2)

    assert two["status"] == "skipped"
    assert two["runId"] is None
    assert two["reason"] == f"{one['runId']} of an earlier time is still open (overlap: skip)"
    api.data("POST", f"/workflows/{id}/archive")


def test_input_that_is_refused_is_told_with_its_field(api: Api) -> None:
    schema = {"type": "object", "required": ["customer"]}
    id = api.workflow(scheduled(transform(inputSchema=schema), cron=EACH_SECOND))

    (one,) = history(api, id, 1)

    assert (one["status"], one["runId"]) == ("failed", None)
    assert one["reason"] == "Input validation failed; customer: Required"


def test_history_is_newest_first_and_pages(api: Api) -> None:
    id = api.workflow(scheduled(cron=EACH_SECOND))
    history(api, id, 3)
    api.data("POST", f"/workflows/{id}/pause")
    whole = api.data("GET", f"/workflows/{id}/schedule/history")

    body = decode(api.get(f"/workflows/{id}/schedule/history?limit=1").content)
    rest = decode(api.get(f"/workflows/{id}/schedule/history?cursor={body['meta']['cursor']}").content)

    assert [*body["data"], *rest["data"]] == whole
    assert rest["meta"] == {"hasMore": False}
    assert [each["scheduledAt"] for each in whole] == sorted((each["scheduledAt"] for each in whole), reverse=True)
    assert set(whole[0]) == {"id", "scheduledAt", "firedAt", "status", "reason", "runId"}
    refused(api.get(f"/workflows/{id}/schedule/history?cursor=x"), 400, "VALIDATION_ERROR")


# -- the client


def test_the_client_reads_times_and_history(api: Api) -> None:
    id = api.workflow(scheduled(cron=EACH_SECOND, timezone="Europe/Berlin"))
    (one,) = history(api, id, 1)
    client = Client(api.server.url, api.key)

    told = client.schedules.next(id, count=2)
    firings = client.schedules.history(id, limit=100).items

    assert (told.timezone, len(told.next), told.warnings) == ("Europe/Berlin", 2, [])
    assert (firings[-1].id, firings[-1].run_id, firings[-1].status) == (one["id"], one["runId"], "started")
