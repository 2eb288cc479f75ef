"""The operators of conditions and filters: twelve names and their aliases. Source: LoopFour contract 7.2."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeAlias

from stepwell.clock import parse_iso
from stepwell.expressions.numbers import is_number_like, to_number
from stepwell.expressions.patterns import regex
from stepwell.expressions.texts import text_of
from stepwell.values import Json

Test: TypeAlias = Callable[[Json, Json], bool]

_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ].{2,40})?")


def matches_operator(op: str, left: Json, right: Json) -> bool:
    """Whether `left op right` holds.

    Raises:
        KeyError: there is no operator of that name.
        InvalidPattern: `matches` with a right side that is no regular expression.
    """
    return OPERATORS[op](left, right)


def same(left: Json, right: Json) -> bool:
    """Deep equality of JSON values; numbers by value, booleans only with booleans."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list):
        return (
            isinstance(right, list)
            and len(left) == len(right)
            and all(same(a, b) for a, b in zip(left, right, strict=True))
        )
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(same(value, right[key]) for key, value in left.items())
        )
    return bool(left == right)


def equal(left: Json, right: Json) -> bool:
    """Equality of conditions: as numbers if one side is a JSON number and the other number-like; a boolean also equals
    its word."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right or (isinstance(left, bool) != isinstance(right, bool) and _word(left) == _word(right))
    if (_is_number(left) or _is_number(right)) and is_number_like(left) and is_number_like(right):
        return to_number(left) == to_number(right)
    return same(left, right)


def contains(left: Json, right: Json) -> bool:
    """Part of a text, member of a list, key of an object."""
    if isinstance(left, str):
        return right is not None and text_of(right) in left
    if isinstance(left, list):
        return any(equal(item, right) for item in left)
    return isinstance(left, dict) and isinstance(right, str) and right in left


def is_empty(value: Json) -> bool:
    """Null, `""`, `[]` or `{}`."""
    return value is None or (isinstance(value, str | list | dict) and not value)


def _ordered(holds: Callable[[int], bool]) -> Test:
    def test(left: Json, right: Json) -> bool:
        return left is not None and right is not None and holds(_order(left, right))

    return test


def _order(left: Json, right: Json) -> int:
    # Negative, zero or positive: numbers, else instants, else texts by code point.
    if is_number_like(left) and is_number_like(right):
        first, second = to_number(left), to_number(right)
        return (first > second) - (first < second)
    before, after = _instant(left), _instant(right)
    if before is not None and after is not None:
        return before - after
    one, other = text_of(left), text_of(right)
    return (one > other) - (one < other)


def _instant(value: Json) -> int | None:
    if not isinstance(value, str) or not _ISO.fullmatch(value):
        return None
    try:
        return parse_iso(value)
    except OverflowError:
        return None


def _on_texts(holds: Callable[[str, str], bool]) -> Test:
    def test(left: Json, right: Json) -> bool:
        if isinstance(left, list | dict) or left is None or right is None:
            return False
        return holds(text_of(left), text_of(right))

    return test


def _search(text: str, pattern: str) -> bool:
    return regex(pattern).search(text) is not None


def _not(test: Test) -> Test:
    return lambda left, right: not test(left, right)


def _is_number(value: Json) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _word(value: Json) -> Json:
    return ("true" if value else "false") if isinstance(value, bool) else value


UNARY = frozenset({"exists", "notExists", "isEmpty", "isNotEmpty"})
"""The operators that look at the left side only."""

_TESTS: Mapping[str, Test] = {
    "eq": equal,
    "ne": _not(equal),
    "gt": _ordered(lambda order: order > 0),
    "gte": _ordered(lambda order: order >= 0),
    "lt": _ordered(lambda order: order < 0),
    "lte": _ordered(lambda order: order <= 0),
    "contains": contains,
    "startsWith": _on_texts(str.startswith),
    "endsWith": _on_texts(str.endswith),
    "exists": lambda left, right: left is not None,
    "isEmpty": lambda left, right: is_empty(left),
    "matches": _on_texts(_search),
}

OPERATORS: Mapping[str, Test] = {
    **_TESTS,
    "equals": _TESTS["eq"],
    "notEquals": _TESTS["ne"],
    "greaterThan": _TESTS["gt"],
    "greaterThanOrEqual": _TESTS["gte"],
    "lessThan": _TESTS["lt"],
    "lessThanOrEqual": _TESTS["lte"],
    "notContains": _not(contains),
    "notExists": _not(_TESTS["exists"]),
    "isNotEmpty": _not(_TESTS["isEmpty"]),
}
