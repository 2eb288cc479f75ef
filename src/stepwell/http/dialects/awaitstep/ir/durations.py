"""Durations: bare numbers are milliseconds, text is `N second|minute|hour|day(s)`. Source: AwaitStep contract 10.2."""

import re
from decimal import Decimal
from typing import Final

from stepwell.values import Json

YEAR_MS = 365 * 24 * 3600 * 1000
_UNITS: Final = {"second": 1000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
_TEXT = re.compile(r"\s*(\d{1,12}(?:\.\d{1,6})?)(?:\s*(second|minute|hour|day)s?)?\s*", re.IGNORECASE)

SCRIPT: Final = (
    "const __ms = (v) => { const m = /^\\s*(\\d+(?:\\.\\d+)?)(?:\\s*(second|minute|hour|day)s?)?\\s*$/i"
    ".exec(String(v)); if (!m) throw new Error('Invalid duration: ' + String(v).slice(0, 100)); "
    "return Math.round(Number(m[1]) * (m[2] ? {second: 1000, minute: 60000, hour: 3600000, day: 86400000}"
    "[m[2].toLowerCase()] : 1)); };"
)
"""JavaScript that defines `__ms`, which reads a duration when the run comes to it."""


def duration_ms(value: Json) -> int | None:
    """The milliseconds of a duration, None if it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        return round(value) if value >= 0 and value < 10**15 else None
    found = _TEXT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    return round(Decimal(found[1]) * (_UNITS[found[2].lower()] if found[2] else 1))


def duration_fault(value: Json, *, least: int = 0) -> str | None:
    """What is wrong with a duration that is written out, if anything."""
    found = duration_ms(value)
    if found is None:
        return "Expected a duration such as 30 seconds, or milliseconds"
    return None if least <= found <= YEAR_MS else "At most 365 days" if found > YEAR_MS else f"At least {least} ms"
