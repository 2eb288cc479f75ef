"""Numbers and arithmetic of expressions: LoopFour contract 6.3 and 6.4."""

from decimal import Context, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.errors import StepError
from stepwell.expressions import CompileFailed, RenderFault, compile_template, is_number_like, to_number
from stepwell.values import encode

ITEMS = [{"quantity": 2, "price": 1999, "tax": {"rate": Decimal("0.5")}}, {"quantity": "1", "price": 502}]


def render(text: str, **scope: Any) -> Any:
    return compile_template(text).render({"items": ITEMS, **scope})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{items | map: 'quantity * price' | sum}}", "4500"),
        ("{{items | map: 'quantity * price' | sum | times: 0.08}}", "360"),
        ("{{items | map: 'quantity * price' | sum | times: 1.08}}", "4860"),
        ("{{items | map: '(price + 1) / 2'}}", "[1000,251.5]"),
        ("{{items | map: 'price - quantity % 2'}}", "[1999,501]"),
        ("{{items | map: 'tax.rate * 2'}}", "[1,0]"),
        ("{{items | map: 'tax.rate'}}", "[0.5,null]"),
        ("{{items | map: 'missing'}}", "[null,null]"),
        ("{{items | sum: 'price'}}", "2501"),
        ("{{items | sum: 'price * 2'}}", "5002"),
    ],
)
def test_map_picks_a_path_or_computes_over_the_fields(text: str, expected: str) -> None:
    assert encode(render(text)).decode() == expected


def test_map_keeps_a_hyphen_in_a_name() -> None:
    assert render("{{l | map: 'unit-price * 2' | first}}", l=[{"unit-price": 3}]) == 6


@pytest.mark.parametrize("text", ["a +", "* a", "(a", "a ? b", "a b", "a & b", "a * -"])
def test_faulty_map_arithmetic_is_found_when_compiled(text: str) -> None:
    with pytest.raises(CompileFailed, match="Arithmetic"):
        compile_template("{{ x | map: '" + text + "' }}")


def test_decimal_amounts_are_exact() -> None:
    items = [{"quantity": 1, "price": Decimal("4.35")}, {"quantity": 3, "price": Decimal("0.7")}]
    chain = "{{items | map: 'quantity * price' | sum"
    results = [render(chain + end, items=items) for end in ("}}", " | times: 0.08}}", " | times: 1.08}}")]
    assert encode(results) == b"[6.45,0.516,6.966]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ 4500 | times: 1.08 }}", "4860"),
        ("{{ 0.1 | plus: 0.2 }}", "0.3"),
        ("{{ 10 | divided_by: 3 }}", "3"),
        ("{{ -10 | divided_by: 3 }}", "-4"),
        ("{{ 10 | divided_by: 4.0 }}", "2.5"),
        ("{{ 1 | divided_by: 3.0 }}", "0.333333333333333"),
        ("{{ 10 | modulo: 3 }}", "1"),
        ("{{ -7.5 | modulo: 2 }}", "0.5"),
        ("{{ 2.5 | round }}", "3"),
        ("{{ -2.5 | round }}", "-3"),
        ("{{ 1.005 | round: 2 }}", "1.01"),
        ("{{ 1250 | round: -2 }}", "1300"),
        ("{{ -3.2 | abs }}", "3.2"),
        ("{{ 3.2 | ceil }}", "4"),
        ("{{ -3.2 | floor }}", "-4"),
        ("{{ 3 | at_least: 5.5 }}", "5.5"),
        ("{{ 3 | at_most: 5 }}", "3"),
        ("{{ 5 | minus: 7 }}", "-2"),
        ("{{ '4.50' | plus: 1 }}", "5.5"),
        ("{{ nothing | plus: nothing }}", "0"),
        ("{{ 1000000 | times: 1.10 }}", "1100000"),
    ],
)
def test_arithmetic_gives_integers_or_the_shortest_decimal(text: str, expected: str) -> None:
    assert encode(render(text)).decode() == expected


@pytest.mark.parametrize("value", ["text", True, [], {}, "", "1_000", "١", "NaN", "Infinity", "1e9999"])
def test_anything_else_is_no_number(value: Any) -> None:
    assert not is_number_like(value)
    with pytest.raises(RenderFault, match="is not a number"):
        to_number(value)
    with pytest.raises(StepError, match="is not a number"):
        render("{{ x | times: 2 }}", x=value)


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12), ("-1.50", Decimal("-1.50")), ("+3", 3), ("1e3", Decimal(1000))]
)
def test_number_like_text_is_its_number(text: str, number: object) -> None:
    assert is_number_like(text)
    assert to_number(text) == number


@pytest.mark.parametrize("name", ["floor", "ceil", "round", "abs", "plus: 0"])
def test_a_number_out_of_range_is_a_template_error(name: str) -> None:
    with pytest.raises(StepError):
        render("{{ '1e999' | " + name + " }}")


@pytest.mark.parametrize("text", ["{{ 1 | divided_by: 0 }}", "{{ 1 | modulo: 0.0 }}", "{{ items | map: 'price / 0' }}"])
def test_division_by_zero_is_a_template_error(text: str) -> None:
    with pytest.raises(StepError, match="division by zero"):
        render(text)


_decimals = st.decimals(min_value=-(10**9), max_value=10**9, places=4)


@given(_decimals, _decimals)
def test_arithmetic_agrees_with_exact_decimals(left: Decimal, right: Decimal) -> None:
    text = "{{ a | plus: b }},{{ a | minus: b }},{{ a | times: b }}"
    shown = compile_template(text).render({"a": left, "b": right}).split(",")
    for got, exact in zip(shown, (left + right, left - right, left * right), strict=True):
        whole = exact == exact.to_integral_value()
        assert Decimal(got) == (exact if whole else Context(prec=15).plus(exact))
        assert "e" not in got.lower()
        assert not ("." in got and got.endswith("0"))


@given(st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30))
def test_whole_numbers_stay_exact(left: int, right: int) -> None:
    assert compile_template(["{{a | plus: b}}", "{{a | times: b}}"]).render({"a": left, "b": right}) == [
        left + right,
        left * right,
    ]
