"""The types and words of faults, as clients of this dialect know them. Source: AITasker contract 3."""

import re
from collections.abc import Mapping

_EXPECTED: Mapping[str, tuple[str, str]] = {
    "object": ("dict_type", "Input should be a valid dictionary"),
    "array": ("list_type", "Input should be a valid list"),
    "string": ("string_type", "Input should be a valid string"),
    "integer": ("int_type", "Input should be a valid integer"),
    "number": ("float_type", "Input should be a valid number"),
    "boolean": ("bool_type", "Input should be a valid boolean"),
}
_LIMITS: tuple[tuple[str, str, str], ...] = (
    ("Number must be greater than or equal to ", "greater_than_equal", "Input should be greater than or equal to {}"),
    ("Number must be less than or equal to ", "less_than_equal", "Input should be less than or equal to {}"),
    ("String must contain at least ", "string_too_short", "String should have at least {} character(s)"),
    ("String must contain at most ", "string_too_long", "String should have at most {} character(s)"),
    ("Array must contain at most ", "too_long", "List should have at most {} item(s)"),
)
_TYPE = re.compile(r"Expected (object|array|string|integer|number|boolean)(?: or null)?(?:, received \w+)?")
_CHOICE = re.compile(r"Invalid enum value\. Expected (.*), received .*", re.DOTALL)
_OTHERS: Mapping[str, str] = {
    "Input should be a valid UUID": "uuid_parsing",
    "Invalid": "string_pattern_mismatch",
}


def worded(message: str) -> tuple[str, str]:
    """The type and the words of a fault, its words in the core being given."""
    if message in ("Required", "Field required"):
        return "missing", "Field required"
    if found := _TYPE.fullmatch(message):
        return _EXPECTED[found[1]]
    if found := _CHOICE.fullmatch(message):
        options = [option for option in found[1].split(" | ") if option != "null"]
        return "literal_error", f"Input should be {_listed(options)}"
    for beginning, kind, words in _LIMITS:
        if message.startswith(beginning):
            number = message[len(beginning) :].split(" ")[0]
            return kind, words.format(number).replace("(s)", "" if number == "1" else "s")
    return _OTHERS.get(message, "value_error"), message


def _listed(options: list[str]) -> str:
    """`'a', 'b' or 'c'`."""
    return " or ".join(filter(None, [", ".join(options[:-1]), options[-1]])) if options else "another value"
