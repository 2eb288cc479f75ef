"""The operators of conditions: LoopFour contract 7.2."""

from decimal import Decimal
from typing import Any

import pytest

from stepwell.expressions import OPERATORS, InvalidPattern, matches_operator, regex


@pytest.mark.parametrize(
    ("op", "left", "right", "expected"),
    [
        ("eq", 1000, "1000", True),
        ("eq", Decimal("1000.0"), 1000, True),
        ("eq", "1000", "1000.0", False),
        ("eq", True, "true", True),
        ("eq", "false", False, True),
        ("eq", True, 1, False),
        ("eq", None, "", False),
        ("eq", None, None, True),
        ("eq", {"a": [1, {"b": None}]}, {"a": [Decimal("1.0"), {"b": None}]}, True),
        ("eq", [True], [1], False),
        ("ne", "a", "b", True),
        ("ne", 5, "5", False),
    ],
)
def test_equality_compares_numbers_words_and_deep_values(op: str, left: Any, right: Any, expected: bool) -> None:
    assert matches_operator(op, left, right) is expected


@pytest.mark.parametrize(
    ("op", "left", "right", "expected"),
    [
        ("gt", "9", "10", False),
        ("gt", "b", "a", True),
        ("gt", 10, "9.5", True),
        ("lte", Decimal("2.0"), 2, True),
        ("lt", "2024-01-15T10:00:00Z", "2024-01-15T12:00:00+01:00", True),
        ("gte", "2024-01-15", "2024-01-15T00:00:00.000Z", True),
        ("lt", "Z", "a", True),
        ("lt", "10", "a", True),
    ],
)
def test_ordering_compares_numbers_then_instants_then_text(op: str, left: Any, right: Any, expected: bool) -> None:
    assert matches_operator(op, left, right) is expected


@pytest.mark.parametrize("op", ["gt", "gte", "lt", "lte"])
def test_ordering_with_null_is_false(op: str) -> None:
    assert not matches_operator(op, None, 1)
    assert not matches_operator(op, 1, None)
    assert not matches_operator(op, None, None)


@pytest.mark.parametrize(
    ("op", "left", "right", "expected"),
    [
        ("contains", "Hello", "ell", True),
        ("contains", "Hello", "ELL", False),
        ("contains", [1, "b"], "1", True),
        ("contains", [{"a": 1}], {"a": 1}, True),
        ("contains", {"key": 1}, "key", True),
        ("contains", None, "a", False),
        ("contains", 5, 5, False),
        ("startsWith", "Hello", "He", True),
        ("startsWith", "Hello", "he", False),
        ("endsWith", "Hello", "lo", True),
        ("endsWith", None, "lo", False),
        ("matches", "order-123", "[0-9]+", True),
        ("matches", "order", "^rder", False),
    ],
)
def test_text_tests_are_case_sensitive(op: str, left: Any, right: Any, expected: bool) -> None:
    assert matches_operator(op, left, right) is expected


@pytest.mark.parametrize(
    ("value", "exists", "empty"),
    [(None, False, True), ("", True, True), ([], True, True), ({}, True, True), (0, True, False), (False, True, False)],
)
def test_exists_is_not_null_and_empty_is_null_or_without_content(value: Any, exists: bool, empty: bool) -> None:
    assert matches_operator("exists", value, None) is exists
    assert matches_operator("notExists", value, None) is not exists
    assert matches_operator("isEmpty", value, None) is empty
    assert matches_operator("isNotEmpty", value, None) is not empty


def test_every_alias_is_the_operator_it_stands_for() -> None:
    aliases = {"equals": "eq", "notEquals": "ne", "greaterThan": "gt", "greaterThanOrEqual": "gte"}
    aliases |= {"lessThan": "lt", "lessThanOrEqual": "lte"}
    assert all(OPERATORS[alias] is OPERATORS[name] for alias, name in aliases.items())
    assert matches_operator("notContains", "abc", "d")
    assert not matches_operator("notContains", "abc", "b")


def test_an_unknown_operator_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        matches_operator("like", 1, 1)


def test_a_pattern_is_compiled_once_and_matches_in_linear_time() -> None:
    assert regex("(a+)+$") is regex("(a+)+$")
    assert regex("(a+)+$").search("a" * 100_000 + "b") is None


@pytest.mark.parametrize("pattern", ["(", "a" * 1001, "(?=a)", "a{1000}{1000}"])
def test_a_bad_pattern_says_so(pattern: str) -> None:
    with pytest.raises(InvalidPattern, match="Invalid regular expression"):
        regex(pattern)
