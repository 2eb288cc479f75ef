"""The rules form of transform: mapping rules, conversions, normalizations and checks on plain values."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from stepwell.clock import iso, parse_iso
from stepwell.definitions import Schema
from stepwell.definitions.wording import kind_of
from stepwell.errors import StepError
from stepwell.expressions import is_number_like, regex, to_number
from stepwell.expressions.errors import RenderFault
from stepwell.expressions.numbers import rounded
from stepwell.values import MAX_DIGITS, InvalidJson, Json, decode, encode

ACTIONS = ("transform", "map", "normalize", "validate", "enrich")
MAX_LEVELS = 32

_MAX_TIME_MS = 253_402_300_800_000  # the year 10000
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0", "")


@dataclass(frozen=True, slots=True)
class Rules:
    """The rendered rules of a step."""

    action: str
    mapping: list[dict[str, Json]]
    normalizations: list[dict[str, Json]]
    checks: list[dict[str, Json]]
    target: Schema | None
    strict: bool


class _Unfit(ValueError):
    """A value cannot be converted; the message says what was expected."""


def reshaped(data: Json, rules: Rules) -> Json:
    """What the rules make of the data; an array is treated item by item. Of `validate` `{valid, errors, data}`.

    Without `strict` a value that cannot be converted becomes null, and one that cannot be normalised stays.

    Raises:
        StepError: an error under `strict`.
    """
    errors: list[dict[str, Json]] = []
    if isinstance(data, list):
        result: Json = [_item(item, rules, f"[{index}].", errors) for index, item in enumerate(data)]
    else:
        result = _item(data, rules, "", errors)
    if errors and rules.strict:
        first = "; ".join(f"{error['field']}: {error['message']}" for error in errors[:10])
        raise StepError(first, details={"errors": errors[:100]})
    return {"valid": not errors, "errors": errors, "data": result} if rules.action == "validate" else result


def is_conversion(name: str) -> bool:
    """Whether a mapping rule's `transform` is one."""
    return name in _CONVERSIONS or name.startswith("default:") or re.fullmatch(r"round:[0-9]{1,2}", name) is not None


def _item(item: Json, rules: Rules, prefix: str, errors: list[dict[str, Json]]) -> Json:
    def note(field: str, message: str) -> None:
        errors.append({"field": prefix + field, "message": message})

    result = item
    if rules.action in ("transform", "map", "enrich") and rules.mapping:
        start = item if rules.action == "enrich" and isinstance(item, dict) else {}
        result = _mapped(item, start, rules.mapping, note)
    for rule in rules.normalizations:
        result = _normalised(result, rule, note)
    for check in rules.checks:
        message = _violation(_at(result, check["field"]), check)
        if message is not None:
            note(check["field"], check.get("message") or message)
    if rules.target is not None:
        for fault in rules.target.faults(result):
            note(fault.field, fault.message)
    return result


def _mapped(
    item: Json, start: dict[str, Json], mapping: list[dict[str, Json]], note: Callable[[str, str], None]
) -> dict[str, Json]:
    result = start
    for rule in mapping:
        value = _at(item, rule["source"])
        if rule.get("transform"):
            try:
                value = _converted(value, rule["transform"])
            except _Unfit as error:
                note(rule["target"], str(error))
                value = None
        result = _with(result, rule["target"].split("."), value)
    return result


def _normalised(result: Json, rule: dict[str, Json], note: Callable[[str, str], None]) -> Json:
    value = _at(result, rule["field"])
    if value is None or not isinstance(result, dict):
        return result
    normalise = NORMALIZATIONS.get(rule["type"])
    if normalise is None:
        note(rule["field"], f"Unknown normalization: {rule['type']}")
        return result
    try:
        return _with(result, rule["field"].split("."), normalise(value))
    except _Unfit as error:
        note(rule["field"], str(error))
        return result


def _at(value: Json, path: str) -> Json:
    for part in path.split("."):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and len(part) < 10:
            value = value[int(part)] if int(part) < len(value) else None
        else:
            return None
    return value


def _with(value: Json, path: list[str], new: Json) -> dict[str, Json]:
    """A copy of an object with the value at a path replaced; what is no object on the way becomes one."""
    if len(path) > MAX_LEVELS:
        raise StepError(f"A path of more than {MAX_LEVELS} levels", code="TEMPLATE_ERROR")
    here = value if isinstance(value, dict) else {}
    return {**here, path[0]: new if len(path) == 1 else _with(here.get(path[0]), path[1:], new)}


def _converted(value: Json, name: str) -> Json:
    word, _, argument = name.partition(":")
    if word == "default":
        return argument if value in (None, "") else value
    if word == "round" and argument.isdecimal():
        return None if value is None else _rounded(value, min(int(argument), 99))
    convert = _CONVERSIONS.get(name)
    if convert is None:
        raise _Unfit(f"Unknown transform: {name}")
    return None if value is None and name != "json" else convert(value)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else encode(value).decode()


def _number(value: Json) -> int | Decimal:
    text = value.strip() if isinstance(value, str) else value
    if not is_number_like(text):
        raise _Unfit(f"Expected number, received {kind_of(value)}")
    number = to_number(text)
    if abs(Decimal(number).adjusted()) > MAX_DIGITS:
        raise _Unfit("Number out of range")
    return number


def _rounded(value: Json, digits: int = 0) -> int | Decimal:
    try:
        return rounded(_number(value), digits)
    except RenderFault as fault:
        raise _Unfit(str(fault)) from None


def _boolean(value: Json) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | Decimal):
        return value != 0
    word = value.strip().lower() if isinstance(value, str) else None
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise _Unfit(f"Expected boolean, received {kind_of(value)}")


def _date(value: Json) -> str:
    """An ISO time in UTC, of ISO text or of epoch milliseconds (seconds below 10^11)."""
    time_ms = parse_iso(value.strip()) if isinstance(value, str) else None
    if time_ms is None and is_number_like(value):
        number = to_number(value)
        if 0 <= number < _MAX_TIME_MS:
            time_ms = int(number) if number >= 10**11 else int(number * 1000)
    if time_ms is None or not 0 <= time_ms < _MAX_TIME_MS:
        raise _Unfit("Expected a date")
    return iso(time_ms)


def _parsed(value: Json) -> Json:
    if not isinstance(value, str):
        return value
    try:
        return decode(value)
    except InvalidJson:
        raise _Unfit("Expected JSON text") from None


def _email(value: Json) -> str:
    text = _text(value).strip().lower()
    if not is_email(text):
        raise _Unfit("Expected an email address")
    return text


def is_email(value: Json) -> bool:
    """Whether a value looks like an address: something before and after one @, no blanks, at most 320 characters."""
    return isinstance(value, str) and len(value) <= 320 and _EMAIL.fullmatch(value) is not None


def _phone(value: Json) -> str:
    text = _text(value).strip()
    digits = "".join(char for char in text if char in "0123456789")
    if not 5 <= len(digits) <= 15:
        raise _Unfit("Expected a phone number")
    return ("+" if text.startswith("+") else "") + digits


def _violation(value: Json, check: dict[str, Json]) -> str | None:
    """The standard message if the value breaks the rule. Only `required` minds null."""
    rule, wanted = check["rule"], check.get("value")
    if rule == "required":
        return "Required" if value is None or value == "" else None
    if value is None:
        return None
    if rule not in CHECKS:
        return f"Unknown rule: {rule}"
    return CHECKS[rule](value, wanted)


def _wrong_type(value: Json, wanted: Json) -> str | None:
    if wanted == "integer":
        fits = kind_of(value) == "number" and Decimal(value) == Decimal(value).to_integral_value()
    else:
        fits = kind_of(value) == wanted
    return None if fits else f"Expected {wanted}, received {kind_of(value)}"


def _too_small(value: Json, wanted: Json) -> str | None:
    return _compared(value, wanted, "least", lambda size, limit: size >= limit)


def _too_big(value: Json, wanted: Json) -> str | None:
    return _compared(value, wanted, "most", lambda size, limit: size <= limit)


def _compared(value: Json, wanted: Json, word: str, fits: Callable[[Decimal, Decimal], bool]) -> str | None:
    """min and max compare a number itself, and the length of anything else that has one."""
    if isinstance(value, bool) or not is_number_like(wanted):
        return f"Expected number, received {kind_of(value if isinstance(value, bool) else wanted)}"
    size = value if isinstance(value, int | Decimal) else len(value)
    return None if fits(Decimal(size), Decimal(wanted)) else f"Must be at {word} {wanted}"


def _no_match(value: Json, wanted: Json) -> str | None:
    try:
        found = regex(_text(wanted)).search(_text(value))
    except ValueError as error:
        return str(error)
    return None if found else "Invalid"


def _not_listed(value: Json, wanted: Json) -> str | None:
    return None if isinstance(wanted, list) and value in wanted else f"Must be one of {_text(wanted)}"


def _no_email(value: Json, wanted: Json) -> str | None:
    return None if is_email(value) else "Expected an email address"


_CONVERSIONS: Final[dict[str, Callable[[Json], Json]]] = {
    "string": _text,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "uppercase": lambda value: _text(value).upper(),
    "lowercase": lambda value: _text(value).lower(),
    "capitalize": lambda value: _text(value).capitalize(),
    "trim": lambda value: _text(value).strip(),
    "round": _rounded,
    "json": lambda value: encode(value).decode(),
    "parseJson": _parsed,
}

NORMALIZATIONS: Final[dict[str, Callable[[Json], Json]]] = {
    "trim": lambda value: _text(value).strip(),
    "lowercase": lambda value: _text(value).lower(),
    "uppercase": lambda value: _text(value).upper(),
    "date": _date,
    "email": _email,
    "phone": _phone,
    "number": _number,
}

CHECKS: Final[dict[str, Callable[[Json, Json], str | None]]] = {
    "required": lambda value, wanted: None,
    "type": _wrong_type,
    "min": _too_small,
    "max": _too_big,
    "pattern": _no_match,
    "enum": _not_listed,
    "email": _no_email,
}
