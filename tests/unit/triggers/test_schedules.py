"""Schedules: instants of intervals and crons, bounds, jitter, what was missed, and the faults of a config."""

from typing import Any

import pytest

from stepwell.clock import iso, parse_iso
from stepwell.triggers.schedules import Schedule, compile_schedule, schedule_faults

MINUTE = 60_000
T0 = 1_768_467_600_000  # 2026-01-15T09:00:00Z


def schedule(**config: Any) -> Schedule:
    return compile_schedule({"type": "schedule", **config})


def following(its: Schedule, since: int, count: int, anchor: int = T0) -> list[int]:
    found: list[int] = []
    while len(found) < count and (at := its.after(found[-1] if found else since, anchor)) is not None:
        found.append(at)
    return found


# -- intervals


@pytest.mark.parametrize(
    ("value", "unit", "step"), [(15, "minutes", 15 * MINUTE), (2, "hours", 120 * MINUTE), (1, "days", 1440 * MINUTE)]
)
def test_an_interval_is_counted_from_the_activation(value: int, unit: str, step: int) -> None:
    every = schedule(interval={"value": value, "unit": unit})

    assert following(every, T0, 3) == [T0 + step, T0 + 2 * step, T0 + 3 * step]


def test_an_interval_stays_on_its_grid_wherever_it_is_asked_from() -> None:
    every = schedule(interval={"value": 1, "unit": "weeks"})

    assert every.after(T0 + 10_000 * MINUTE, T0) == T0 + 10_080 * MINUTE


def test_an_interval_with_a_start_begins_there() -> None:
    every = schedule(interval={"value": 10, "unit": "minutes"}, startAt="2026-01-15T10:03:00Z")

    assert [iso(at)[11:16] for at in following(every, T0, 3)] == ["10:03", "10:13", "10:23"]


def test_an_interval_with_a_start_in_the_past_keeps_its_grid() -> None:
    every = schedule(interval={"value": 10, "unit": "minutes"}, startAt="2020-01-01T00:03:00Z")

    assert [iso(at)[11:16] for at in following(every, T0, 2, anchor=T0 + 7)] == ["09:03", "09:13"]


def test_an_interval_is_elapsed_time_whatever_the_clocks_do() -> None:
    daily = schedule(interval={"value": 1, "unit": "days"}, timezone="Europe/Berlin")
    noon = parse_iso("2025-03-29T11:00:00Z") or 0

    assert [due.local for due in daily.preview(noon, noon, 2).next] == [
        "2025-03-30T13:00:00+02:00",
        "2025-03-31T13:00:00+02:00",
    ]


# -- bounds


def test_a_cron_begins_with_its_start_and_ends_with_its_end() -> None:
    hourly = schedule(cron="0 * * * *", startAt="2026-01-15T11:00:00Z", endAt="2026-01-15T13:00:00Z")

    assert [iso(at)[11:16] for at in following(hourly, T0, 9)] == ["11:00", "12:00", "13:00"]


def test_no_instant_comes_after_the_calendar() -> None:
    assert following(schedule(interval={"value": 525_600, "unit": "weeks"}), T0, 2) == []


# -- jitter


def test_jitter_is_the_same_each_time_and_differs_between_triggers() -> None:
    daily = schedule(cron="0 9 * * *", jitterSeconds=3600)

    due = {name: daily.due_at(name, T0) for name in ("a", "b", "c")}

    assert due == {name: daily.due_at(name, T0) for name in due}
    assert len(set(due.values())) == 3
    assert all(T0 <= at <= T0 + 3_600_000 for at in due.values())


def test_jitter_never_reaches_the_next_instant() -> None:
    each_minute = schedule(cron="* * * * *", jitterSeconds=3600)

    assert all(T0 <= each_minute.due_at(str(n), T0) < T0 + MINUTE for n in range(200))


def test_without_jitter_the_instant_is_the_time() -> None:
    assert schedule(cron="0 9 * * *").due_at("a", T0) == T0


# -- what was missed


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize("cron", ["* * * * * *", "*/7 * * * *", "0 9 * * 1", "* * 5 1 *"])
def test_the_newest_instants_are_those_that_enumeration_ends_with(cron: str, limit: int) -> None:
    its = schedule(cron=cron)
    first = its.after(T0 - (2_000 if cron == "* * * * * *" else 20_000 * 60) * 1000, 0) or 0
    everything = [first]
    while (at := its.after(everything[-1], 0)) is not None and at <= T0:
        everything.append(at)

    assert its.newest(first, T0, limit) == tuple(everything[-limit:])


def test_a_year_of_seconds_is_not_walked_through() -> None:
    asked = 0

    class Counting(Schedule):
        def after(self, instant_ms: int, anchor_ms: int) -> int | None:
            nonlocal asked
            asked += 1
            return super().after(instant_ms, anchor_ms)

    its = schedule(cron="* * * * * *")
    counting = Counting(its._rule, its._zone, {})

    found = counting.newest(T0 - 365 * 1440 * MINUTE, T0, 100)

    assert found == tuple(T0 - second * 1000 for second in range(99, -1, -1))
    assert asked < 3_000


# -- faults


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, "trigger.cron: A schedule has either cron or interval; neither is given"),
        (
            {"cron": "* * * * *", "interval": {"value": 1, "unit": "days"}},
            "trigger.cron: A schedule has either cron or interval; both are given",
        ),
        ({"cron": 5}, "trigger.cron: Expected string"),
        ({"cron": "61 * * * *"}, "trigger.cron: minute 61: 61 is not between 0 and 59"),
        ({"interval": 15}, 'trigger.interval: Expected object, such as {"value": 15, "unit": "minutes"}'),
        (
            {"interval": {"value": 0, "unit": "days"}},
            "trigger.interval.value: Expected a whole number from 1 to 525600",
        ),
        (
            {"interval": {"value": 525_601, "unit": "days"}},
            "trigger.interval.value: Expected a whole number from 1 to 525600",
        ),
        (
            {"interval": {"value": True, "unit": "days"}},
            "trigger.interval.value: Expected a whole number from 1 to 525600",
        ),
        (
            {"interval": {"value": 1, "unit": []}},
            "trigger.interval.unit: Expected one of minutes, hours, days, weeks",
        ),
        (
            {"timezone": "Europe/Berln"},
            "trigger.timezone: Unknown time zone: Europe/Berln; did you mean Europe/Berlin?",
        ),
        (
            {"timezone": "berlin"},
            "trigger.timezone: Unknown time zone: berlin; did you mean Europe/Berlin?",
        ),
        (
            {"timezone": "../../etc/passwd"},
            "trigger.timezone: Unknown time zone: ../../etc/passwd; expected an IANA name, such as Europe/Berlin",
        ),
        ({"timezone": 5}, "trigger.timezone: Expected string"),
        ({"catchUp": "some"}, "trigger.catchUp: Expected one of none, last, all"),
        ({"overlap": {}}, "trigger.overlap: Expected one of allow, skip, queue, cancel"),
        ({"catchUpLimit": 1001}, "trigger.catchUpLimit: Expected a whole number from 1 to 1000"),
        ({"jitterSeconds": -1}, "trigger.jitterSeconds: Expected a whole number from 0 to 3600"),
        ({"pauseAfterFailures": 0}, "trigger.pauseAfterFailures: Expected a whole number from 1 to 100"),
        ({"enabled": "yes"}, "trigger.enabled: Expected boolean"),
        (
            {"startAt": "2026-01-15T09:00:00"},
            "trigger.startAt: Expected an ISO 8601 time with its offset, such as 2026-01-15T09:00:00Z",
        ),
        (
            {"startAt": "2026-01-15T09:00:00Z", "endAt": "2026-01-15T09:00:00Z"},
            "trigger.endAt: endAt must be after startAt",
        ),
    ],
)
def test_a_fault_names_the_field_and_the_fix(config: dict[str, Any], expected: str) -> None:
    complete = config if {"cron", "interval"} & set(config) or not config else {"cron": "* * * * *", **config}

    assert [f"{fault.field}: {fault.message}" for fault in schedule_faults(complete, ("trigger",))] == [expected]


def test_a_config_with_every_field_has_no_fault() -> None:
    config = {
        "type": "schedule",
        "cron": "0 30 9 * * MON-FRI",
        "timezone": "America/New_York",
        "enabled": False,
        "catchUp": "all",
        "catchUpLimit": 1000,
        "overlap": "queue",
        "jitterSeconds": 3600,
        "startAt": "2026-01-15T09:00:00+02:00",
        "endAt": "2027-01-15T09:00:00Z",
        "pauseAfterFailures": 3,
    }

    assert list(schedule_faults(config, ("trigger",))) == []


def test_a_null_stands_for_an_absent_field() -> None:
    config = {"cron": "* * * * *", "interval": None, "jitterSeconds": None, "timezone": None, "endAt": None}

    assert schedule(**config).due_at("a", T0) == T0
    assert [fault.message for fault in schedule_faults({"cron": None}, ())] == [
        "A schedule has either cron or interval; neither is given"
    ]
