"""Cron expressions: read with faults that name the field, and followed on the calendar. Source: LoopFour contract 12.

The calendar is cronsim's; it is handed local times without a zone, so that what clocks do is decided in one place, in
`schedules`.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cronsim import CronSim

from stepwell.errors import Fault, ValidationFailed
from stepwell.values import Path

_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS = {name: at for at, name in enumerate(_MONTH_NAMES, 1)}
_WEEKDAYS = {name: at for at, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}
_LONGEST_MONTHS = {month: 29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31 for month in range(1, 13)}
_NUMBER = re.compile(r"[0-9]{1,9}")
LONGEST = 500  # characters


@dataclass(frozen=True, slots=True)
class _Field:
    """One field: the values it takes, and names for them."""

    name: str
    low: int
    high: int
    names: Mapping[str, int] = field(default_factory=dict)


_WEEKDAY = _Field("weekday", 0, 7, _WEEKDAYS)
_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _WEEKDAY,
)


class Cron:
    """A compiled expression. With `floating` it follows the clock through every change: the minute or hour field holds
    `*` or a step. The others mean fixed times of the day."""

    __slots__ = ("_calendar", "floating")

    def __init__(self, expression: str, *, floating: bool) -> None:
        """`expression` has six fields, all fit, each `*` or a list of numbers."""
        self._calendar = CronSim(expression, datetime(2000, 1, 1))  # noqa: DTZ001 - local times without a zone
        self.floating = floating

    def next(self, local: datetime) -> datetime | None:
        """The first matching local time after another; both without a zone. None if the calendar ends before it."""
        search = copy.copy(self._calendar)
        search.dt = local.replace(microsecond=0)
        try:
            return next(search)
        except (StopIteration, OverflowError, ValueError):
            return None


def compile_cron(text: str, path: Path = ("cron",)) -> Cron:
    """The expression that a text writes down. `path` is where it stands.

    Raises:
        ValidationFailed: with every fault of the text.
    """
    faults: list[Fault] = []
    values = _values(text, path, faults)
    if faults:
        raise ValidationFailed("Invalid request", faults)
    second, minute, hour, day, month, weekday = values
    # Without `*` a day and a weekday mean either; cronsim judges that by the first character of the field.
    days, weekdays = _listed(day, 31), _listed(weekday, 7)
    if days != "*" and weekdays == "*" and min(day) > max(_LONGEST_MONTHS[each] for each in month):
        raise ValidationFailed("Invalid request", [Fault(path, _never(min(day), month))])
    written = text.split()[-5:]
    return Cron(
        " ".join([_listed(second, 60), _listed(minute, 60), _listed(hour, 24), days, _listed(month, 12), weekdays]),
        floating=any(sign in part for part in written[:2] for sign in "*/"),
    )


def _values(text: str, path: Path, faults: list[Fault]) -> list[frozenset[int]]:
    """The values of the six fields."""
    parts = text.split() if len(text) <= LONGEST else []
    if len(parts) not in (5, 6):
        message = "A cron expression has 5 fields (minute hour day month weekday), or 6 with the second first"
        found = f"at most {LONGEST} characters" if len(text) > LONGEST else f"this one has {len(parts)}"
        faults.append(Fault(path, f"{message}; {found}"))
        return []
    if len(parts) == 5:
        parts.insert(0, "0")
    values = []
    for its, part in zip(_FIELDS, parts, strict=True):
        try:
            found_values = frozenset(value for term in part.upper().split(",") for value in _term(its, term))
            values.append(frozenset(value % 7 for value in found_values) if its is _WEEKDAY else found_values)
        except _Unfit as error:
            faults.append(Fault(path, f"{its.name} {part[:50]}: {error}"))
    return values


class _Unfit(ValueError):
    """A term that does not fit; the message says why."""


def _term(its: _Field, term: str) -> Iterator[int]:
    """The values of one term: `*`, `5`, `1-5`, each perhaps with a step: `*/15`, `1-5/2`, `5/15` (from 5 on)."""
    span, slash, step_text = term.partition("/")
    low_text, dash, high_text = span.partition("-")
    if span == "*":
        low, high = its.low, 6 if its is _WEEKDAY else its.high
    elif dash:
        low, high = _value(its, low_text), _value(its, high_text)
        if its is _WEEKDAY and high_text in ("SUN", "0") and low > 0:
            high = 7
        if low > high:
            raise _Unfit(f"the range {span} goes backwards; write {span} as two ranges with a comma")
    else:
        low = _value(its, low_text)
        high = low if not slash else its.high
    step = 1
    if slash:
        step = int(step_text) if _NUMBER.fullmatch(step_text) else 0
        if step == 0:
            raise _Unfit(f"the step {step_text[:20]!r} is not a whole number from 1")
        if step > its.high - its.low + 1:
            raise _Unfit(
                f"the step {step} is longer than all of {its.low}-{its.high}; an interval may be what is meant"
            )
    yield from range(low, high + 1, step)


def _value(its: _Field, text: str) -> int:
    if text in its.names:
        return its.names[text]
    if not _NUMBER.fullmatch(text):
        names = f" or a name such as {next(iter(its.names))}" if its.names else ""
        raise _Unfit(f"{text[:20]!r} is not a number from {its.low} to {its.high}{names}")
    value = int(text)
    if not its.low <= value <= its.high:
        raise _Unfit(f"{value} is not between {its.low} and {its.high}")
    return value


def _listed(values: frozenset[int], every: int) -> str:
    """The values as a field; `every` is how many there are in all."""
    return "*" if len(values) == every else ",".join(map(str, sorted(values)))


def _never(day: int, months: frozenset[int]) -> str:
    names = [name.title() for name, at in _MONTHS.items() if at in months]
    return f"It never fires: no day {day} in {', '.join(names)}"
