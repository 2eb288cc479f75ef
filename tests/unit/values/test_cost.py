"""Amounts of money."""

from decimal import Decimal

import pytest

from stepwell import cost


@pytest.mark.parametrize(
    ("cents", "text"), [("0", "0"), ("0.4", "0.4"), ("120", "120"), ("1.000001", "1.000001"), ("-0.5", "-0.5")]
)
def test_an_amount_reads_as_the_exact_decimal_that_it_was_made_of(cents: str, text: str) -> None:
    assert cost.exact(cost.of_cents(Decimal(cents))) == text


@pytest.mark.parametrize(("cents", "whole"), [("0.4", 0), ("0.5", 1), ("1.2", 1), ("1.499999", 1)])
def test_whole_cents_are_rounded_half_up(cents: str, whole: int) -> None:
    assert cost.cents(cost.of_cents(Decimal(cents))) == whole


@pytest.mark.parametrize("value", [True, "1", None, -1, 0.0000001, float("nan"), float("inf"), 10**13])
def test_what_is_no_amount_is_none(value: object) -> None:
    assert cost.parse(value) is None


def test_the_month_after_december_is_of_the_next_year() -> None:
    assert cost.month_of(1_700_000_000_000) == 202311
    assert (cost.next_month(202312), cost.next_month(202311)) == ("2024-01-01", "2023-12-01")
