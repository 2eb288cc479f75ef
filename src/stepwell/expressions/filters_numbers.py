"""Filters that compute: null counts as 0, number-like text as its number, anything else is a fault."""

from collections.abc import Callable, Mapping

from stepwell.expressions import numbers
from stepwell.expressions.errors import RenderFault
from stepwell.expressions.numbers import Number, result, to_number
from stepwell.values import Json


def absolute(value: Json) -> Number:
    number = to_number(value)
    return result(-number if number < 0 else number)


def at_least(value: Json, least: Json) -> Number:
    return result(max(to_number(value), to_number(least)))


def at_most(value: Json, most: Json) -> Number:
    return result(min(to_number(value), to_number(most)))


def ceil(value: Json) -> Number:
    return result(numbers.ceil(to_number(value)))


def floor(value: Json) -> Number:
    return result(numbers.floor(to_number(value)))


def plus(value: Json, other: Json) -> Number:
    return result(numbers.add(to_number(value), to_number(other)))


def minus(value: Json, other: Json) -> Number:
    return result(numbers.subtract(to_number(value), to_number(other)))


def times(value: Json, other: Json) -> Number:
    return result(numbers.multiply(to_number(value), to_number(other)))


def divided_by(value: Json, other: Json) -> Number:
    return result(numbers.floor_divide(to_number(value), to_number(other)))


def modulo(value: Json, other: Json) -> Number:
    return result(numbers.modulo(to_number(value), to_number(other)))


def round_to(value: Json, digits: Json = 0) -> Number:
    places = to_number(digits)
    if places != numbers.floor(places):
        raise RenderFault("the digits to round to are not a whole number")
    return numbers.rounded(to_number(value), int(places))


NUMBER_FILTERS: Mapping[str, Callable[..., Json]] = {
    "abs": absolute,
    "at_least": at_least,
    "at_most": at_most,
    "ceil": ceil,
    "divided_by": divided_by,
    "floor": floor,
    "minus": minus,
    "modulo": modulo,
    "plus": plus,
    "round": round_to,
    "times": times,
}
