"""Paths through a scope: keys, list indexes and lookups, never attributes of Python objects."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

from stepwell.expressions.scope import MISSING, Lookup, Scope
from stepwell.values import Json, Path

Read: TypeAlias = Callable[[Scope], Json]
"""A compiled expression: its value on a scope."""

_OF_LISTS = frozenset({"size", "first", "last"})


def find(scope: Scope, path: Sequence[str | int]) -> Any:
    """The value at a path: JSON, a Lookup or MISSING. Source: LoopFour contract 6.1."""
    value = scope.get(path[0], MISSING)  # type: ignore[arg-type]
    for segment in path[1:]:
        value = step(value, segment)
        if value is MISSING:
            return MISSING
    return value


def step(value: Any, segment: Any) -> Any:
    """One segment down: a key of an object, an index of a list (also as text), or what a lookup finds."""
    if not isinstance(segment, str | int):
        return MISSING
    if isinstance(value, dict):
        found = value.get(segment, MISSING)
        return value.get(str(segment), MISSING) if found is MISSING and isinstance(segment, int) else found
    if isinstance(value, list):
        return _of_list(value, segment)
    if isinstance(value, str):
        return len(value) if segment == "size" else MISSING
    if looks_up(value.__class__):
        return value.lookup(str(segment))
    if isinstance(value, Mapping):  # the loop variables of a `for`
        return value.get(segment, MISSING)
    return MISSING


def settled(value: Any) -> Json:
    """What a path stands for once its end is reached: null if nothing was found, a lookup as plain JSON."""
    if value is MISSING:
        return None
    return value.plain() if looks_up(value.__class__) else value


@cache
def looks_up(kind: type) -> bool:
    """Whether values of the type are Lookups. Asked once per type: the protocol's own check takes microseconds."""
    return issubclass(kind, Lookup)


def reader(path: Path) -> Read:
    """A function that reads a fixed path; the hot one of all expressions."""
    root, rest = path[0], path[1:]

    def read(scope: Scope) -> Json:
        value = scope.get(root, MISSING)  # type: ignore[arg-type]
        for segment in rest:
            if type(value) is dict and segment in value:
                value = value[segment]
            elif looks_up(value.__class__):
                value = value.lookup(segment if type(segment) is str else str(segment))
                if value is MISSING:
                    return None
            else:
                value = step(value, segment)
                if value is MISSING:
                    return None
        kind = type(value)
        return value if kind is str or kind is int or kind is dict or kind is list else settled(value)

    return read


def _of_list(items: list[Json], segment: Any) -> Any:
    if isinstance(segment, str):
        if segment.isdecimal() and len(segment) < 10:
            segment = int(segment)
        elif segment in _OF_LISTS:
            return len(items) if segment == "size" else items[0 if segment == "first" else -1] if items else MISSING
    if type(segment) is not int or not -len(items) <= segment < len(items):
        return MISSING
    return items[segment]
