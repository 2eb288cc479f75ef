"""Conditions in their three forms: LoopFour contract 7.1."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.errors import StepError
from stepwell.expressions import CompileFailed, compile_condition

SCOPE: dict[str, Any] = {
    "input": {
        "amount": Decimal("19.5"),
        "n": 7,
        "s": "abc",
        "null": None,
        "items": [{"price": 5}, {"price": Decimal("12.5")}],
        "tags": ["a", "b"],
        "at": "2024-01-15T10:00:00Z",
        "many": list(range(10_000)),
        "text": "x" * 1_000_000,
    },
    "steps": {"calculate-total": {"output": {"total": 4860}}, "a": {"output": {"ok": True}}},
}


def holds(value: Any) -> bool:
    return compile_condition(value).evaluate(SCOPE)


def faults(value: Any) -> list[tuple[Any, str]]:
    with pytest.raises(CompileFailed) as failed:
        compile_condition(value)
    return [(fault.path, fault.message) for fault in failed.value.faults]


def error_of(value: Any) -> str:
    with pytest.raises(StepError) as failed:
        holds(value)
    assert failed.value.code == "CONDITION_ERROR"
    return failed.value.message


AMOUNT = {"left": "{{input.amount}}", "operator": "gt", "right": "10"}


def test_form_a_compares_left_and_right() -> None:
    assert holds({"conditions": AMOUNT})
    assert holds(AMOUNT)


def test_form_a_groups_nest() -> None:
    no = {"left": "{{input.s}}", "operator": "eq", "right": "zzz"}
    group = {"operator": "and", "conditions": [AMOUNT, {"operator": "not", "conditions": [no]}]}
    assert holds({"conditions": {"operator": "or", "conditions": [no, group]}})
    assert not holds({"conditions": {"operator": "and", "conditions": [no, group]}})


@pytest.mark.parametrize(("combine", "expected"), [("AND", False), ("OR", True), (None, False)])
def test_form_b_combines_a_list(combine: str | None, expected: bool) -> None:
    config: dict[str, Any] = {
        "conditions": [
            {"field": "{{input.n}}", "operator": "equals", "value": "7"},
            {"field": "{{input.s}}", "operator": "equals", "value": "zzz"},
        ]
    }
    if combine:
        config["combineOperator"] = combine
    assert holds(config) is expected


@pytest.mark.parametrize("key", ["expression", "condition", "conditions"])
def test_form_c_stands_under_three_names(key: str) -> None:
    assert holds({key: "input.n == 7", "then": ["x"]})


def test_a_list_or_group_gives_false_where_cel_fails() -> None:
    assert not holds({"left": "{{input.null}}", "operator": "lt", "right": 3})
    assert error_of("input.null < 3")


def test_resolve_records_rendered_operands() -> None:
    config = {
        "conditions": [{"field": "{{input.n}}", "operator": "eq", "value": 7}],
        "combineOperator": "OR",
        "then": [],
    }
    assert compile_condition(config).resolve(SCOPE) == {
        "conditions": [{"field": 7, "operator": "eq", "value": 7}],
        "combineOperator": "OR",
    }
    group = {"operator": "not", "conditions": [AMOUNT]}
    assert compile_condition(group).resolve(SCOPE) == {
        "operator": "not",
        "conditions": [{"left": Decimal("19.5"), "operator": "gt", "right": "10"}],
    }


def test_resolve_records_the_text_of_an_expression() -> None:
    assert compile_condition({"expression": "{{input.n}} > 3"}).resolve(SCOPE) == {"expression": "{{input.n}} > 3"}


@pytest.mark.parametrize(
    "text",
    [
        "input.amount > 10",
        "input.amount < 10000 && input.n >= 7",
        "input.n === 7 && input.s !== 'x'",
        "input.n * 2 + 0.5 == 14.5",
        "input.n % 2 == 1 && 7 % 2 == 1",
        "{{input.amount}} > 10",
        "{{input.s | upcase}} == 'ABC'",
        "'x-{{input.s}}-y' == \"x-abc-y\"",
        "'{{input.n}}' == '7'",
        "{{input.missing}} == null",
        'steps["calculate-total"].output.total > 4000',
        "steps.a.output.ok",
        "input.items[0].price == 5 && input.items.1.price == 12.5",
        "size(input.items) * 2 == 4 && input.items.size() + 1 == 3",
        "input.items[size(input.items) - 1].price > 12",
        "input.items.exists(x, x.price > 12)",
        "input.items.all(input, input.price > 1) && input.n == 7",
        "input.items.filter(x, x.price > 6).size() == 1",
        "input.n in [1, 7] && !('c' in input.tags) && 'a' in (input.tags)",
        "has(input.n) && !has(input.missing)",
        "!has(input.missing) || input.missing > 3",
        "timestamp(input.at) < timestamp('2025-01-01T00:00:00Z')",
        "input.s.matches('^[a-c]+$') && input.s.startsWith('a')",
        "input.s + 'd' == 'abcd' // comment",
        "input.n > 3 ? true : false",
        "0x10 == 16 && -input.n < 0 && int(input.amount) == 19",
        "'it\\'s {{input.s}}' == \"it's abc\"",
    ],
)
def test_cel_on_json_values(text: str) -> None:
    assert holds(text) is True


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("input.missing > 3", "input.missing is missing"),
        ("input.null > 3", "null or values of different types"),
        ("input.s > 3", "null or values of different types"),
        ("input.n", "not a boolean"),
        ("input.s", "not a boolean"),
        ("input.items.map(x, x)", "not a boolean"),
        ("input.items.exists(x, x.nope > 1)", "nope is missing"),
        ("{{input.s | times: 2}} > 1", "is not a number"),
        ("input.amount % 2 == 1", "different types"),
        ("timestamp(input.s) > timestamp(input.at)", "timestamp"),
    ],
)
def test_a_cel_fault_is_a_condition_error_naming_the_expression(text: str, reason: str) -> None:
    message = error_of(text)
    assert message.startswith(f"Condition '{text}': ")
    assert reason in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("input.n +", "Mismatched input 'the end' (line 1, column 9)"),
        ("a) || (b", "Mismatched input ')' (line 1, column 2)"),
        ("lower(input.s) == 'a'", "Unknown function: lower (line 1, column 1)"),
        ("true &&\n 'open", "Unclosed text (line 2, column 2)"),
        ("{{ x | foo }} == 1", "Unknown filter: foo (line 1, column 8)"),
        ("{{ x == 1", "Missing '}}' (line 1, column 1)"),
        ("input.l.map(x, x.l.map(y, y))", "More than one of all, exists, exists_one, filter, map (line 1, column 20)"),
        ("(" * 60 + "true" + ")" * 60, "Nested deeper than 50 (line 1, column 51)"),
        ("'" + "a" * 5000 + "' == ''", "Expression over 4 KiB"),
        (" ", "Missing expression"),
    ],
)
def test_a_cel_syntax_fault_is_found_when_compiled(text: str, message: str) -> None:
    assert faults({"expression": text}) == [(("expression",), message)]


@pytest.mark.parametrize(
    "text",
    [
        "input.many.map(x, input.text + 'a').size() > 1",
        "input.many.map(x, input.many + input.many).size() > 1",
        "input.many.map(x, [" + "x, " * 1000 + "x]).size() > 1",
        "input.many.all(x, x >= 0) && {{input.many | concat: input.tags}}.size() > 1",
    ],
)
def test_an_expression_over_budget_is_refused_before_it_runs(text: str) -> None:
    error_of(text)


def test_a_large_list_within_the_budget_is_searched() -> None:
    assert holds("input.many.exists(x, x + 1 > 9999)")


def test_only_the_named_paths_are_handed_over() -> None:
    scope = {"input": {"n": 1, "poison": object()}}
    assert compile_condition("input.n == 1").evaluate(scope)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({}, [((), "Expected a condition")]),
        (5, [((), "Expected a condition")]),
        ({"conditions": []}, [(("conditions",), "At least one condition is required")]),
        ({"conditions": [AMOUNT], "combineOperator": "XOR"}, [(("combineOperator",), "Expected AND or OR")]),
        ({"conditions": [{"field": "x"}]}, [(("conditions", 0, "operator"), "Required")]),
        (
            {"left": "{{ a", "operator": "like"},
            [(("operator",), "Unknown operator: like"), (("left",), "Missing '}}' after '{{ a' (line 1, column 1)")],
        ),
        ({"operator": "gt", "right": 1}, [(("left",), "Required")]),
        ({"left": 1, "operator": "gt"}, [(("right",), "Required")]),
        ({"operator": "not", "conditions": [AMOUNT, AMOUNT]}, [(("conditions",), "not takes one condition")]),
        ({"operator": "xor", "conditions": [AMOUNT]}, [(("operator",), "Expected and, or or not")]),
        (
            {"left": "a", "operator": "matches", "right": "("},
            [(("right",), "Invalid regular expression: missing ): (")],
        ),
    ],
)
def test_every_fault_of_a_condition_has_its_path(value: Any, expected: Any) -> None:
    assert faults(value) == expected


def test_a_bad_pattern_of_the_scope_is_a_condition_error() -> None:
    assert "Invalid regular expression" in error_of({"left": "a", "operator": "matches", "right": "{{input.none}}("})


def test_references_and_secrets_of_all_forms() -> None:
    operands = compile_condition({"conditions": [{"field": "{{input.a}}", "operator": "eq", "value": "{{secrets.K}}"}]})
    assert operands.references == {
        (("conditions", 0, "field"), ("input", "a")),
        (("conditions", 0, "value"), ("secrets", "K")),
    }
    assert operands.secrets == {"K"}
    text = compile_condition({"expression": "input.l.all(x, x.y > steps['a-b'].output[0]) && {{run.id}} == secrets.K"})
    assert {path for _, path in text.references} == {
        ("input", "l"),
        ("steps", "a-b", "output", 0),
        ("run", "id"),
        ("secrets", "K"),
    }
    assert text.secrets == {"K"}


def test_a_deep_group_is_a_fault() -> None:
    value: Any = AMOUNT
    for _ in range(200):
        value = {"operator": "not", "conditions": [value]}
    assert "Nested deeper than 50" in faults(value)[0][1]


@given(st.text(alphabet="{}'\"()[]ab1.+-*/%<>=!&|?:, \nxin\\", max_size=40))
def test_any_text_compiles_or_fails_and_evaluates_or_fails_by_the_book(text: str) -> None:
    try:
        result = compile_condition(text).evaluate({"a": 1, "b": [1, "x"], "x": {"a": None}})
    except CompileFailed as failed:
        assert failed.faults
    except StepError as error:
        assert error.code == "CONDITION_ERROR"
    else:
        assert isinstance(result, bool)
