"""What a case expects against what came: whether it fits, and the difference if it does not."""

import difflib
from decimal import Decimal
from itertools import zip_longest

import msgspec

from stepwell import values
from stepwell.cli.testing.mocks import NOT_MOCKED
from stepwell.cli.testing.stage import Played
from stepwell.values import MAX_DEPTH, Json

_EVERYWHERE = 2 * MAX_DEPTH
_NAMING_STEPS = 2  # levels below `steps` that only pick what is looked at: paths, and fields of their records


def difference(expect: dict[str, Json], played: Played) -> list[str]:
    """What is wrong with a case, line by line; nothing if all is as expected.

    A map that is expected fits one that holds at least its keys, unless `exact` is said; lists must be as long. Null
    fits what is absent. A run is expected to complete if nothing else is said.
    """
    wanted = {"status": "completed", **{name: value for name, value in expect.items() if name != "exact"}}
    came: dict[str, Json] = {}
    for name, value in wanted.items():
        loose = _EVERYWHERE if not expect.get("exact") else _NAMING_STEPS if name == "steps" else 0
        actual = played.actual.get(name)
        came[name] = value if _fits(value, actual, loose) else _shown(value, actual, loose)
    lines = list(played.problems)
    if _lines(came) != _lines(wanted):
        error = played.actual.get("error")
        if came["status"] != wanted["status"] and error is not None and error["code"] != NOT_MOCKED:
            lines.append(_told(error))
        lines += played.notes
        lines += difflib.unified_diff(_lines(wanted), _lines(came), "expected", "actual", lineterm="")
    return lines


def _fits(expected: Json, actual: Json, loose: int) -> bool:
    """Whether a value is as expected; in the first `loose` levels maps may hold more than was expected of them."""
    if isinstance(expected, dict):
        if not isinstance(actual, dict) or (loose <= 0 and actual.keys() - expected.keys()):
            return False
        return all(_fits(value, actual.get(name), loose - 1) for name, value in expected.items())
    if isinstance(expected, list):
        same = isinstance(actual, list) and len(actual) == len(expected)
        return same and all(_fits(*pair, loose - 1) for pair in zip_longest(expected, actual))
    if isinstance(expected, int | Decimal) and isinstance(actual, int | Decimal):
        return isinstance(expected, bool) == isinstance(actual, bool) and expected == actual
    return type(expected) is type(actual) and bool(expected == actual)


def _shown(expected: Json, actual: Json, loose: int) -> Json:
    """As much of a value as is worth showing beside what was expected: what fits as it was expected, and of a map that
    may hold more only the keys in question."""
    if _fits(expected, actual, loose):
        return expected
    if isinstance(expected, dict) and isinstance(actual, dict):
        names = expected if loose > 0 else {**expected, **actual}
        return {name: _shown(expected.get(name), actual[name], loose - 1) for name in names if name in actual}
    if isinstance(expected, list) and isinstance(actual, list):
        paired = [_shown(*pair, loose - 1) for pair in zip(expected, actual, strict=False)]
        return [*paired, *actual[len(paired) :]]
    return actual


def _told(error: dict[str, Json]) -> str:
    where = error.get("path") or error.get("stepId")
    return f"The run's error{f' at {where}' if where else ''}: {error['message']} ({error['code']})"


def _lines(value: Json) -> list[str]:
    return msgspec.json.format(values.canonical(value), indent=2).decode().splitlines()
