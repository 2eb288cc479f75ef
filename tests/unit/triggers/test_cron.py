"""Cron expressions: what they match, and what is told of those that are none."""

from datetime import datetime

import pytest

from stepwell.errors import ValidationFailed
from stepwell.triggers.cron import compile_cron

FRIDAY = datetime(2026, 1, 2)  # noqa: DTZ001 - local times have no zone here


def following(expression: str, count: int, since: datetime = FRIDAY) -> list[str]:
    cron = compile_cron(expression)
    found = []
    for _ in range(count):
        match = cron.next(since)
        assert match is not None
        since = match
        found.append(f"{match:%m-%d %H:%M:%S}")
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 9 * * 1-5", ["01-02 09:00:00", "01-05 09:00:00", "01-06 09:00:00"]),
        ("0,30 8-9 * * *", ["01-02 08:00:00", "01-02 08:30:00", "01-02 09:00:00"]),
        ("*/20 0 * * *", ["01-02 00:20:00", "01-02 00:40:00", "01-03 00:00:00"]),
        ("50/5 0 * * *", ["01-02 00:50:00", "01-02 00:55:00", "01-03 00:50:00"]),
        ("0 0-6/3 * * *", ["01-02 03:00:00", "01-02 06:00:00", "01-03 00:00:00"]),
        ("0 0 * * 0", ["01-04 00:00:00", "01-11 00:00:00", "01-18 00:00:00"]),
        ("0 0 * * 7", ["01-04 00:00:00", "01-11 00:00:00", "01-18 00:00:00"]),
        ("0 0 * * sun", ["01-04 00:00:00", "01-11 00:00:00", "01-18 00:00:00"]),
        ("0 0 * * Fri-Sun", ["01-03 00:00:00", "01-04 00:00:00", "01-09 00:00:00"]),
        ("0 0 * * 5-7", ["01-03 00:00:00", "01-04 00:00:00", "01-09 00:00:00"]),
        ("0 0 1 FEB,apr *", ["02-01 00:00:00", "04-01 00:00:00", "02-01 00:00:00"]),
        ("15,45 * * * * *", ["01-02 00:00:15", "01-02 00:00:45", "01-02 00:01:15"]),
        ("*/40 0 0 * * *", ["01-02 00:00:40", "01-03 00:00:00", "01-03 00:00:40"]),
    ],
)
def test_an_expression_matches(expression: str, expected: list[str]) -> None:
    assert following(expression, 3) == expected


def test_a_day_and_a_weekday_mean_either() -> None:
    assert following("0 0 13 * 1", 4) == ["01-05 00:00:00", "01-12 00:00:00", "01-13 00:00:00", "01-19 00:00:00"]


def test_a_step_of_days_and_a_weekday_mean_either_too() -> None:
    assert following("0 0 */10 * 1", 4) == ["01-05 00:00:00", "01-11 00:00:00", "01-12 00:00:00", "01-19 00:00:00"]


def test_a_day_with_any_weekday_means_the_day() -> None:
    assert following("0 0 13 * *", 2) == ["01-13 00:00:00", "02-13 00:00:00"]


def test_the_end_of_the_calendar_is_no_match() -> None:
    assert compile_cron("0 0 29 2 *").next(FRIDAY.replace(year=9999)) is None


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("61 * * * *", "minute 61: 61 is not between 0 and 59"),
        ("* 24 * * *", "hour 24: 24 is not between 0 and 23"),
        ("* * 0 * *", "day 0: 0 is not between 1 and 31"),
        ("* * * 13 *", "month 13: 13 is not between 1 and 12"),
        ("* * * * 8", "weekday 8: 8 is not between 0 and 7"),
        ("60 * * * * *", "second 60: 60 is not between 0 and 59"),
        ("* * * FEBR *", "month FEBR: 'FEBR' is not a number from 1 to 12 or a name such as JAN"),
        ("* * L * *", "day L: 'L' is not a number from 1 to 31"),
        ("1,,2 * * * *", "minute 1,,2: '' is not a number from 0 to 59"),
        ("-5 * * * *", "minute -5: '' is not a number from 0 to 59"),
        ("٣ * * * *", "minute ٣: '٣' is not a number from 0 to 59"),
        ("*/0 * * * *", "minute */0: the step '0' is not a whole number from 1"),
        ("*/x * * * *", "minute */x: the step 'X' is not a whole number from 1"),
        ("*/90 * * * *", "minute */90: the step 90 is longer than all of 0-59; an interval may be what is meant"),
        ("* 20-4 * * *", "hour 20-4: the range 20-4 goes backwards; write 20-4 as two ranges with a comma"),
        ("0 0 30 2 *", "It never fires: no day 30 in Feb"),
        ("0 0 31 4,jun *", "It never fires: no day 31 in Apr, Jun"),
    ],
)
def test_a_fault_names_the_field_and_the_reason(expression: str, message: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        compile_cron(expression)

    assert [(fault.field, fault.message) for fault in refused.value.faults] == [("cron", message)]


@pytest.mark.parametrize("expression", ["", "* * * *", "* * * * * * *", "@daily"])
def test_a_wrong_number_of_fields_is_a_fault(expression: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        compile_cron(expression)

    assert [f"this one has {len(expression.split())}" in fault.message for fault in refused.value.faults] == [True]


def test_every_faulty_field_is_told() -> None:
    with pytest.raises(ValidationFailed) as refused:
        compile_cron("61 24 * * 9")

    assert [fault.message.split()[0] for fault in refused.value.faults] == ["minute", "hour", "weekday"]


def test_an_endless_expression_is_refused_before_it_is_read() -> None:
    with pytest.raises(ValidationFailed) as refused:
        compile_cron("1," * 100_000 + "1 * * * *")

    assert refused.value.faults[0].message.endswith("at most 500 characters")


def test_a_day_that_never_is_may_stand_beside_a_weekday() -> None:
    assert following("0 0 30 2 1", 1, FRIDAY.replace(day=31)) == ["02-02 00:00:00"]


@pytest.mark.parametrize(
    ("expression", "floating"),
    [
        ("30 2 * * *", False),
        ("0-30 2 * * 1", False),
        ("* 30 2 * * *", False),
        ("30 * * * *", True),
        ("*/5 2 * * *", True),
        ("0 2-8/2 * * *", True),
        ("0 30 */2 * * *", True),
    ],
)
def test_an_expression_floats_if_minute_or_hour_hold_a_star_or_a_step(expression: str, floating: bool) -> None:
    assert compile_cron(expression).floating is floating
