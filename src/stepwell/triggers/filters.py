"""Filters: conditions on a JSON value by dotted paths. Source: LoopFour contract 11.4."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from stepwell.errors import Fault, ValidationFailed
from stepwell.expressions import OPERATORS, InvalidPattern, regex
from stepwell.values import Json, Path

Test: TypeAlias = Callable[[Json, Json], bool]

_INDEX = re.compile(r"\[([0-9]{1,9})\]")
_EQUAL = OPERATORS["eq"]


def _one_of(left: Json, right: Json) -> bool:
    return any(_EQUAL(left, each) for each in right)


_TESTS: Mapping[str, Test] = {
    "$eq": _EQUAL,
    "$ne": OPERATORS["ne"],
    "$gt": OPERATORS["gt"],
    "$gte": OPERATORS["gte"],
    "$lt": OPERATORS["lt"],
    "$lte": OPERATORS["lte"],
    "$in": _one_of,
    "$nin": lambda left, right: not _one_of(left, right),
    "$exists": lambda left, right: (left is not None) == right,
    "$contains": OPERATORS["contains"],
    "$regex": OPERATORS["matches"],
}


class Filter:
    """A compiled filter."""

    __slots__ = ("_conditions",)

    def __init__(self, conditions: list[tuple[list[str], Test, Json]]) -> None:
        """Each condition: the keys and indexes that lead to a value, a test, and what to test against."""
        self._conditions = conditions

    def matches(self, value: Json) -> bool:
        """Whether every condition holds. What a path does not lead to counts as null."""
        return all(test(_at(value, keys), right) for keys, test, right in self._conditions)


def compile_filter(document: Json, path: Path = ()) -> Filter:
    """The filter that a document writes down. `path` is where it stands.

    Raises:
        ValidationFailed: with every fault of the document.
    """
    faults = list(_faults(document, path))
    if faults:
        raise ValidationFailed("Invalid request", faults)
    return Filter(
        [
            (_keys(key), _TESTS[operator], right)
            for key, condition in document.items()
            for operator, right in _operators(condition).items()
        ]
    )


def value_at(value: Json, path: str) -> Json:
    """What a dotted path with indexes leads to; null if it leads nowhere."""
    return _at(value, _keys(path))


def _operators(condition: Json) -> dict[str, Json]:
    """A condition as operators; a plain value means `$eq`."""
    written = isinstance(condition, dict) and any(key.startswith("$") for key in condition)
    return condition if written else {"$eq": condition}


def _faults(document: Json, path: Path) -> Iterator[Fault]:
    if not isinstance(document, dict):
        yield Fault(path, "Expected object")
        return
    for key, condition in document.items():
        if not all(_keys(key)):
            yield Fault((*path, key), "Expected a dotted path")
        for operator, right in _operators(condition).items():
            place = (*path, key, operator)
            if operator not in _TESTS:
                yield Fault(place, f"Unknown operator: {operator}"[:300])
            elif message := _unfit(operator, right):
                yield Fault(place, message)


def _unfit(operator: str, right: Json) -> str | None:
    """What is wrong with the right side of an operator."""
    if operator in ("$in", "$nin") and not isinstance(right, list):
        return "Expected array"
    if operator == "$exists" and not isinstance(right, bool):
        return "Expected boolean"
    if operator == "$regex":
        if not isinstance(right, str):
            return "Expected string"
        try:
            regex(right)
        except InvalidPattern as error:
            return str(error)
    return None


def _keys(key: str) -> list[str]:
    """`items[0].price` and `items.0.price` as keys."""
    return _INDEX.sub(r".\1", key).split(".")


def _at(value: Json, keys: list[str]) -> Json:
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isascii() and key.isdigit() and len(key) < 10:
            value = value[int(key)] if int(key) < len(value) else None
        else:
            return None
    return value
