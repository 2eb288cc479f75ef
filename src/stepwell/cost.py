"""Amounts of money: whole millionths of a cent, so that sums are exact; and the months that they are spent in."""

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

PER_CENT = 1_000_000
DECIMALS = 6  # of a cent; what is finer cannot be an amount
LARGEST_CENTS = 10**12  # of one amount: a thousand sums of it still fit the store's 64-bit integers


def of_cents(value: int | Decimal) -> int:
    """The amount of so many cents; what is finer than a millionth of a cent is rounded half up."""
    return int((Decimal(value) * PER_CENT).to_integral_value(ROUND_HALF_UP))


def cents(amount: int) -> int:
    """Whole cents, rounded half up."""
    return (2 * amount + PER_CENT) // (2 * PER_CENT)


def exact(amount: int) -> str:
    """All of an amount in cents as decimal text without trailing zeros: "0.4", "120"."""
    whole, rest = divmod(abs(amount), PER_CENT)
    sign = "-" if amount < 0 else ""
    if not rest:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{rest:0{DECIMALS}d}".rstrip("0")


def number(amount: int) -> int | float:
    """An amount in cents as a JSON number that reads as `exact` does, as far as a double can hold it."""
    return amount // PER_CENT if amount % PER_CENT == 0 else amount / PER_CENT


def parse(value: object, *, at_least: int = 0) -> int | None:
    """The amount that a JSON number of cents stands for; None if it is none: no number, below `at_least` cents, with
    more than six decimals, or too large."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    exactly = Decimal(str(value))
    if not exactly.is_finite() or not at_least <= exactly <= LARGEST_CENTS:
        return None
    scaled = exactly * PER_CENT
    return int(scaled) if scaled == scaled.to_integral_value() else None


def month_of(now_ms: int) -> int:
    """The calendar month (UTC) of a time in epoch ms, as yyyymm."""
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    return moment.year * 100 + moment.month


def month_name(month: int) -> str:
    """A month as text: "2026-11"."""
    return f"{month // 100:04d}-{month % 100:02d}"


def next_month(month: int) -> str:
    """The first day of the month after: "2026-12-01"."""
    year, following = (month // 100, month % 100 + 1) if month % 100 < 12 else (month // 100 + 1, 1)
    return f"{year:04d}-{following:02d}-01"
