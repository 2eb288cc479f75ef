"""The JSON form of values: what a run's input, a step's output and every record is made of.

A value is None, bool, int, Decimal, str, a list of values or a dict of values by text. Numbers with a fraction or an
exponent are Decimal and keep the text they came in, so that 19.99 never becomes a binary fraction.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

Json: TypeAlias = Any
Path: TypeAlias = tuple[str | int, ...]
"""Where a value stands in a document: keys and array indexes from the root."""

MAX_DEPTH = 128
MAX_DIGITS = 400

_LONG_NUMBER = re.compile(rb"[0-9]{%d}|[eE][+-]?[0-9]{3}" % (MAX_DIGITS // 2))


class InvalidJson(ValueError):
    """The text is not JSON as Stepwell reads it; the message says why."""


def _number(text: str) -> Decimal:
    value = Decimal(text)
    if sum(c.isdigit() for c in text.lower().partition("e")[0]) > MAX_DIGITS or abs(_exponent(text)) > MAX_DIGITS:
        raise InvalidJson("number out of range")
    return value


def _exponent(text: str) -> int:
    digits = text.lower().partition("e")[2]
    return (int(digits) if len(digits) < 9 else 10**9) if digits else 0


_decoder = msgspec.json.Decoder(float_hook=_number)
_encode = msgspec.json.Encoder(decimal_format="number").encode
_sorting_encoder = msgspec.json.Encoder(decimal_format="number", order="sorted")


def decode(data: bytes | str) -> Json:
    """Read JSON text. Refuses NaN, Infinity, invalid UTF-8, lone surrogates, nesting over 128 and numbers of more than
    400 digits or an exponent beyond 400. Of equal keys in one object the last counts.

    Raises:
        InvalidJson: the text is none of that.
    """
    try:
        raw = data.encode() if isinstance(data, str) else data
        value = _decoder.decode(raw)
    except InvalidJson:
        raise
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, ArithmeticError) as error:
        raise InvalidJson(str(error)) from None
    if len(raw) > MAX_DEPTH:  # shorter text can neither nest so deep nor hold so long a number
        if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:
            check_depth(value)
        if _LONG_NUMBER.search(raw):
            _check_integers(value)
    return value


def encode(value: Json) -> bytes:
    """Compact JSON text of a value; Decimals as numbers with the digits they have, small ones without an exponent."""
    raw = _encode(value)
    if raw.find(b"E") >= 0 and raw.find(b"E-") >= 0:  # one byte is found at a fraction of the cost of two
        return _encode(_without_exponents(value))
    return raw


def canonical(value: Json) -> bytes:
    """JSON text that is equal for equal values: keys sorted, numbers in their shortest form."""
    return _sorting_encoder.encode(_normal(value))


def check_depth(value: Json, limit: int = MAX_DEPTH) -> None:
    """Raise InvalidJson if objects and arrays nest deeper than the limit."""
    level = [value]
    for _ in range(limit):
        level = [child for node in level for child in _children(node) if isinstance(child, dict | list)]
        if not level:
            return
    raise InvalidJson(f"nested deeper than {limit}")


def map_strings(value: Json, change: Callable[[str], str]) -> Json:
    """A copy of the value with every text in it (keys excluded) passed through `change`; unchanged parts are shared."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: map_strings(child, change) for key, child in value.items()}
    if isinstance(value, list):
        return [map_strings(child, change) for child in value]
    return value


def _without_exponents(value: Json) -> Json:
    """Decimals below 1e-6 as JSON text with all their zeros: by itself a Decimal is written as 3E-7."""
    if isinstance(value, Decimal):
        return msgspec.Raw(format(value, "f").encode()) if "E-" in str(value) else value
    if isinstance(value, dict):
        return {key: _without_exponents(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_without_exponents(child) for child in value]
    return value


def _children(node: Json) -> Any:
    return node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


def _check_integers(value: Json) -> None:
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, int) and not isinstance(node, bool):
            if abs(node) >= 10**MAX_DIGITS:
                raise InvalidJson("number out of range")
        else:
            stack.extend(_children(node))


def _normal(value: Json) -> Json:
    if isinstance(value, Decimal):
        whole = value.to_integral_value()
        return int(whole) if whole == value else value.normalize()
    if isinstance(value, dict):
        return {key: _normal(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_normal(child) for child in value]
    return value
