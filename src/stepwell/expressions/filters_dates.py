"""The `date` filter: a time in, a text by a strftime pattern out. Times are UTC unless they say otherwise; the clock is
never read."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime

from stepwell.expressions.errors import RenderFault
from stepwell.expressions.numbers import is_number_like, to_number
from stepwell.expressions.texts import text_of
from stepwell.values import Json

_MAX_PATTERN = 256
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORMATS = ("%Y/%m/%d", "%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%d %b %Y", "%Y-%m-%d %H:%M:%S %z", "%m/%d/%Y")


def date(value: Json, pattern: Json = None) -> str:
    """The time (ISO 8601, RFC 2822, a plain date or epoch seconds) by the pattern; what is no time is left as it is."""
    moment = _moment(value)
    form = text_of(pattern)
    if moment is None or not form:
        return text_of(value)
    if len(form) > _MAX_PATTERN:
        raise RenderFault(f"a date pattern over {_MAX_PATTERN} characters")
    form = form.replace("%s", str((moment - _EPOCH) // timedelta(seconds=1)))
    form = form.replace("%L", f"{moment.microsecond // 1000:03d}")
    try:
        return moment.strftime(form)
    except ValueError:
        raise RenderFault("a date pattern that cannot be used") from None


def _moment(value: Json) -> datetime | None:
    if isinstance(value, bool):
        return None
    try:
        if isinstance(value, int | Decimal) or is_number_like(value):
            return _EPOCH + timedelta(seconds=float(to_number(value)))
        moment = _parsed(value.strip()) if isinstance(value, str) and len(value) < 100 else None
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _parsed(text: str) -> datetime | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return parse(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    for form in _FORMATS:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - a text without a zone is UTC
        except ValueError:
            continue
    return None
