"""What schedules do when clocks are set: examples by name, and every change of every zone against a slow reference."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.clock import parse_iso
from stepwell.triggers.schedules import Upcoming, compile_schedule


def preview(cron: str, zone: str, since: str, count: int) -> Upcoming:
    now = parse_iso(since) or 0
    return compile_schedule({"cron": cron, "timezone": zone}).preview(now, now, count)


def locals_of(cron: str, zone: str, since: str, count: int) -> list[str]:
    return [due.local for due in preview(cron, zone, since, count).next]


# -- fixed times


@pytest.mark.parametrize(
    ("zone", "cron", "since", "expected"),
    [
        ("Europe/Berlin", "30 2 * * *", "2025-03-29T12:00:00Z", "2025-03-30T03:00:00+02:00"),
        ("America/New_York", "30 2 * * *", "2025-03-08T12:00:00Z", "2025-03-09T03:00:00-04:00"),
        ("Australia/Lord_Howe", "15 2 * * *", "2025-10-04T12:00:00Z", "2025-10-05T02:30:00+11:00"),
        ("Pacific/Apia", "0 9 * * *", "2011-12-30T08:00:00Z", "2011-12-31T00:00:00+14:00"),
        ("Africa/Casablanca", "30 2 * * *", "2025-04-05T12:00:00Z", "2025-04-06T03:00:00+01:00"),
    ],
)
def test_a_time_in_a_gap_fires_once_when_the_gap_is_over(zone: str, cron: str, since: str, expected: str) -> None:
    first, second = locals_of(cron, zone, since, 2)

    assert first == expected
    assert second[:10] > expected[:10] or zone == "Pacific/Apia"


def test_several_times_in_a_gap_fire_once_together() -> None:
    assert locals_of("10,20,50 2 * * 7", "Europe/Berlin", "2025-03-29T12:00:00Z", 2) == [
        "2025-03-30T03:00:00+02:00",
        "2025-04-06T02:10:00+02:00",
    ]


@pytest.mark.parametrize(
    ("zone", "cron", "since", "expected"),
    [
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2025-10-25T12:00:00Z",
            ["2025-10-26T02:30:00+02:00", "2025-10-27T02:30:00+01:00"],
        ),
        (
            "America/New_York",
            "30 1 * * *",
            "2025-11-01T12:00:00Z",
            ["2025-11-02T01:30:00-04:00", "2025-11-03T01:30:00-05:00"],
        ),
        (
            "Australia/Lord_Howe",
            "45 1 * * *",
            "2025-04-05T12:00:00Z",
            ["2025-04-06T01:45:00+11:00", "2025-04-07T01:45:00+10:30"],
        ),
        (
            "Africa/Casablanca",
            "30 2 * * *",
            "2025-02-22T12:00:00Z",
            ["2025-02-23T02:30:00+01:00", "2025-02-24T02:30:00+00:00"],
        ),
    ],
)
def test_a_time_that_comes_twice_fires_once_at_the_first(zone: str, cron: str, since: str, expected: list[str]) -> None:
    assert locals_of(cron, zone, since, 2) == expected


def test_a_time_that_comes_twice_is_over_during_the_second() -> None:
    assert locals_of("30 2 * * *", "Europe/Berlin", "2025-10-26T01:10:00Z", 1) == ["2025-10-27T02:30:00+01:00"]


# -- stars and steps


def test_a_step_skips_a_gap() -> None:
    assert locals_of("*/30 * * * *", "Europe/Berlin", "2025-03-30T00:00:00Z", 3) == [
        "2025-03-30T01:30:00+01:00",
        "2025-03-30T03:00:00+02:00",
        "2025-03-30T03:30:00+02:00",
    ]


def test_a_star_fires_in_both_of_two_equal_hours() -> None:
    assert locals_of("30 * * * *", "Europe/Berlin", "2025-10-26T00:00:00Z", 3) == [
        "2025-10-26T02:30:00+02:00",
        "2025-10-26T02:30:00+01:00",
        "2025-10-26T03:30:00+01:00",
    ]


def test_the_second_of_two_equal_hours_begins_anew() -> None:
    assert locals_of("*/20 2 * * *", "Europe/Berlin", "2025-10-26T00:45:00Z", 2) == [
        "2025-10-26T02:00:00+01:00",
        "2025-10-26T02:20:00+01:00",
    ]


def test_a_day_that_is_left_out_has_no_hours() -> None:
    assert locals_of("0 * * * *", "Pacific/Apia", "2011-12-30T08:30:00Z", 2) == [
        "2011-12-29T23:00:00-10:00",
        "2011-12-31T00:00:00+14:00",
    ]


# -- warnings


@pytest.mark.parametrize(
    ("cron", "since", "said"),
    [
        ("30 2 * * *", "2025-03-28T12:00:00Z", "02:30 does not exist and fires at 03:00 instead."),
        ("30 2 * * *", "2025-10-24T12:00:00Z", "02:30 comes twice and fires the first time only."),
        ("*/30 2 * * *", "2025-03-28T12:00:00Z", "times in between do not exist and do not fire."),
        ("*/30 2 * * *", "2025-10-24T12:00:00Z", "times in between fire twice."),
    ],
)
def test_a_change_among_the_shown_firings_is_told(cron: str, since: str, said: str) -> None:
    (warning,) = preview(cron, "Europe/Berlin", since, 8).warnings

    assert warning.startswith("Clocks in Europe/Berlin go ")
    assert warning.endswith(said)


@pytest.mark.parametrize(("cron", "count"), [("0 12 * * *", 5), ("30 2 * * *", 1)])
def test_a_change_that_touches_no_shown_firing_is_not_told(cron: str, count: int) -> None:
    assert preview(cron, "Europe/Berlin", "2025-03-28T12:00:00Z", count).warnings == ()


# -- every change of every zone


class Term(NamedTuple):
    """A cron field as text, and what it means, made together."""

    text: str
    values: frozenset[int]


def _field(low: int, high: int) -> st.SearchStrategy[Term]:
    everything = frozenset(range(low, high + 1))
    number = st.integers(low, high)
    return st.one_of(
        st.just(Term("*", everything)),
        st.integers(1, high).map(lambda step: Term(f"*/{step}", frozenset(range(low, high + 1, step)))),
        st.lists(number, min_size=1, max_size=4).map(lambda some: Term(",".join(map(str, some)), frozenset(some))),
        st.tuples(number, number).map(
            lambda ends: Term(f"{min(ends)}-{max(ends)}", frozenset(range(min(ends), max(ends) + 1)))
        ),
    )


@lru_cache
def _changes(zone: str) -> tuple[datetime, ...]:
    """The UTC hours of 2020 to 2030 after which a zone's offset is another; the middle of the time if there is none."""
    info = ZoneInfo(zone)
    hours = [datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=12 * n) for n in range(11 * 365 * 2)]
    offsets = [each.astimezone(info).utcoffset() for each in hours]
    found = [hours[n] for n in range(len(hours) - 1) if offsets[n] != offsets[n + 1]]
    return tuple(found) or (datetime(2025, 6, 1, tzinfo=UTC),)


@st.composite
def _places(draw: st.DrawFn) -> tuple[str, datetime]:
    zone = draw(st.sampled_from(sorted(available_timezones())))
    return zone, draw(st.sampled_from(_changes(zone)))


def _reference(fields: tuple[Term, Term, Term, Term], zone: str, since: datetime, minutes: int) -> list[datetime]:
    """Walk through UTC minute by minute and look at the clock on the wall."""
    minute, hour, day, weekday = fields
    info = ZoneInfo(zone)
    follows_the_clock = any(sign in minute.text + hour.text for sign in "*/")
    either = len(day.values) < 31 and len(weekday.values) < 7

    def matches(wall: datetime) -> bool:
        by_day, by_weekday = wall.day in day.values, wall.isoweekday() % 7 in weekday.values
        fits = (by_day or by_weekday) if either else (by_day and by_weekday)
        return fits and wall.hour in hour.values and wall.minute in minute.values

    fired = []
    seen: set[datetime] = set()
    before = since.astimezone(info).replace(tzinfo=None)
    for n in range(minutes):
        now = since + timedelta(minutes=n)
        wall = now.astimezone(info).replace(tzinfo=None, fold=0)
        fires = matches(wall) and (follows_the_clock or wall not in seen)
        left_out = before + timedelta(minutes=1)
        while left_out < wall:
            fires = fires or (matches(left_out) and not follows_the_clock)
            left_out += timedelta(minutes=1)
        seen.add(wall)
        before = wall
        if fires:
            fired.append(now)
    return fired


@settings(max_examples=80, deadline=None)
@given(place=_places(), minute=_field(0, 59), hour=_field(0, 23), day=_field(1, 31), weekday=_field(0, 6))
def test_any_schedule_fires_as_the_clock_on_the_wall_says(
    place: tuple[str, datetime], minute: Term, hour: Term, day: Term, weekday: Term
) -> None:
    zone, change = place
    since = change - timedelta(hours=4)
    end = since + timedelta(hours=28)
    cron = f"{minute.text} {hour.text} {day.text} * {weekday.text}"
    its = compile_schedule({"cron": cron, "timezone": zone})

    fired = []
    at = its.after(int(since.timestamp()) * 1000 - 1, 0)
    while at is not None and at < end.timestamp() * 1000:
        fired.append(datetime.fromtimestamp(at / 1000, UTC))
        at = its.after(at, 0)

    assert fired == _reference((minute, hour, day, weekday), zone, since, 28 * 60)


@settings(max_examples=60, deadline=None)
@given(place=_places(), minute=_field(0, 59), hour=_field(0, 23), second=st.integers(0, 28 * 3600))
def test_the_next_instant_is_the_same_from_wherever_it_is_asked(
    place: tuple[str, datetime], minute: Term, hour: Term, second: int
) -> None:
    zone, change = place
    its = compile_schedule({"cron": f"{minute.text} {hour.text} * * *", "timezone": zone})
    asked = (int(change.timestamp()) - 4 * 3600 + second) * 1000

    found = its.after(asked, 0)

    assert found is not None
    assert its.after(found - 1, 0) == found
    assert its.after((asked + found) // 2, 0) == found
