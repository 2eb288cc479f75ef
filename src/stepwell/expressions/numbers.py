"""Numbers of expressions: what counts as one, and decimal arithmetic whose results are JSON numbers.

Source: LoopFour contract 6.3, 6.4 and 7.2. Whole numbers stay exact, fractions are computed with 34 significant digits
and come out with at most 15.
"""

import decimal
import re
from decimal import Decimal
from typing import TypeAlias

from stepwell.expressions.errors import RenderFault, excerpt
from stepwell.values import MAX_DIGITS, Json

Number: TypeAlias = int | Decimal

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_TOO_BIG = 10**MAX_DIGITS
_TRAPS = [decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow]
_exact = decimal.Context(prec=34, rounding=decimal.ROUND_HALF_EVEN, traps=_TRAPS)
_shown = decimal.Context(prec=15, rounding=decimal.ROUND_HALF_EVEN, traps=_TRAPS)
_wide = decimal.Context(prec=3 * MAX_DIGITS, rounding=decimal.ROUND_HALF_UP, traps=_TRAPS)  # half away from zero


def is_number_like(value: Json) -> bool:
    """Whether the value is a JSON number or text that is a decimal number."""
    if isinstance(value, str):
        return len(value) <= MAX_DIGITS + 8 and _NUMBER.fullmatch(value) is not None
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def to_number(value: Json) -> Number:
    """The number a value counts as in arithmetic: null is 0, number-like text is its number.

    Raises:
        RenderFault: any other value.
    """
    kind = type(value)
    if kind is int or kind is Decimal:
        return value  # type: ignore[no-any-return]
    if value is None:
        return 0
    if isinstance(value, str) and is_number_like(value):
        return int(value) if _WHOLE.fullmatch(value) else Decimal(value)
    shown = f"'{excerpt(value, 40)}'" if isinstance(value, str) else _KINDS.get(kind, "the value")
    raise RenderFault(f"{shown} is not a number")


def add(left: Number, right: Number) -> Number:
    """left + right, unrounded."""
    return left + right if type(left) is int and type(right) is int else _decimal(_exact.add(left, right))


def subtract(left: Number, right: Number) -> Number:
    """left - right, unrounded."""
    return left - right if type(left) is int and type(right) is int else _decimal(_exact.subtract(left, right))


def multiply(left: Number, right: Number) -> Number:
    """left * right, unrounded."""
    if type(left) is int and type(right) is int:
        return _bounded(left * right)
    return _decimal(_exact.multiply(left, right))


def divide(left: Number, right: Number) -> Number:
    """True division, unrounded."""
    if not right:
        raise RenderFault("division by zero")
    return _decimal(_exact.divide(Decimal(left), right))


def floor_divide(left: Number, right: Number) -> Number:
    """Liquid's division: the floor for two integers, else true division."""
    if type(left) is int and type(right) is int:
        if not right:
            raise RenderFault("division by zero")
        return left // right
    return divide(left, right)


def modulo(left: Number, right: Number) -> Number:
    """The remainder with the divisor's sign."""
    if not right:
        raise RenderFault("division by zero")
    if type(left) is int and type(right) is int:
        return left % right
    remainder = _wide.remainder(Decimal(left), right)
    return remainder + right if remainder and (remainder < 0) != (right < 0) else remainder


def rounded(value: Number, digits: int = 0) -> Number:
    """Rounded to decimal places, halves away from zero."""
    if abs(digits) > MAX_DIGITS:
        raise RenderFault("too many digits to round to")
    if type(value) is int and digits >= 0:
        return value
    return result(_wide.quantize(Decimal(value), Decimal(1).scaleb(-digits)))


def floor(value: Number) -> int:
    """The next integer at or below."""
    return value if isinstance(value, int) else int(value.to_integral_value(decimal.ROUND_FLOOR, _wide))


def ceil(value: Number) -> int:
    """The next integer at or above."""
    return value if isinstance(value, int) else int(value.to_integral_value(decimal.ROUND_CEILING, _wide))


def result(value: Number) -> Number:
    """A number as it comes out of an expression: an int if it is whole, else the shortest decimal of at most 15
    significant digits."""
    if type(value) is int:
        return _bounded(value)
    number = _decimal(Decimal(value))
    if number == number.to_integral_value():
        return _bounded(int(number))
    short = _shown.plus(number).normalize(_shown)
    return short if short.as_tuple().exponent < 0 else int(short)  # type: ignore[operator]


def _bounded(value: int) -> int:
    if not -_TOO_BIG < value < _TOO_BIG:
        raise RenderFault(f"a number of more than {MAX_DIGITS} digits")
    return value


def _decimal(value: Decimal) -> Decimal:
    if not -MAX_DIGITS <= value.adjusted() <= MAX_DIGITS and value:
        raise RenderFault(f"a number with an exponent beyond {MAX_DIGITS}")
    return value


_KINDS = {bool: "a boolean", dict: "an object", list: "a list"}
