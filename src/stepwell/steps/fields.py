"""Fields of a config: their JSON Schemas, where a template may stand for any value, and reading them once rendered."""

from decimal import Decimal

from stepwell.definitions.wording import kind_of
from stepwell.errors import StepError
from stepwell.expressions import is_number_like
from stepwell.values import Json, encode

STEPS: Json = {"type": "array", "items": {"type": ["string", "object"]}}
"""Schema of a list of steps that another step owns."""
NAME: Json = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$"}
"""Schema of a name that expressions can read."""

_TEMPLATE = r"\{[{%]"


def text_field(description: str, **more: Json) -> Json:
    """Schema of a text."""
    return {"type": "string", "description": description, **more}


def number_field(description: str, **more: Json) -> Json:
    """Schema of a number; text only with a template in it, or as a decimal number."""
    return {
        "type": ["number", "string"],
        "pattern": rf"{_TEMPLATE}|^[0-9]+(\.[0-9]+)?$",
        "description": description,
        **more,
    }


def flag_field(description: str, **more: Json) -> Json:
    """Schema of a boolean; text only with a template in it."""
    return {"type": ["boolean", "string"], "pattern": _TEMPLATE, "description": description, **more}


def choice_field(description: str, *choices: str, **more: Json) -> Json:
    """Schema of one of some words; any other text only with a template in it."""
    return {
        "anyOf": [{"enum": list(choices)}, {"type": "string", "pattern": _TEMPLATE}],
        "description": description,
        **more,
    }


def read_text(config: Json, name: str) -> str | None:
    """The text of a rendered field, None if it is absent or null. Numbers and booleans count as their JSON text.

    Raises:
        StepError: it is an object or array.
    """
    value = config.get(name)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        raise unfit(name, f"Expected string, received {kind_of(value)}")
    return encode(value).decode()


def read_needed_text(config: Json, name: str) -> str:
    """The text of a rendered field that must not be empty.

    Raises:
        StepError: it is absent, null, empty, an object or array.
    """
    text = read_text(config, name)
    if not text:
        raise unfit(name, "Required")
    return text


def read_number(config: Json, name: str) -> Decimal | None:
    """The number of a rendered field, None if it is absent or null. Number-like text counts.

    Raises:
        StepError: it is anything else.
    """
    value = config.get(name)
    if value is None:
        return None
    if not is_number_like(value):
        raise unfit(name, f"Expected number, received {kind_of(value)}")
    return Decimal(value)


def read_flag(config: Json, name: str, default: bool) -> bool:
    """The boolean of a rendered field; the texts `true` and `false` count.

    Raises:
        StepError: it is anything else.
    """
    value = config.get(name)
    if value is None:
        return default
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise unfit(name, f"Expected boolean, received {kind_of(value)}")


def read_choice(config: Json, name: str, choices: tuple[str, ...], default: str) -> str:
    """The word of a rendered field.

    Raises:
        StepError: it is not one of the choices.
    """
    value = config.get(name)
    if value is None:
        return default
    if value not in choices:
        raise unfit(name, f"Expected one of {', '.join(choices)}")
    return str(value)


def unfit(field: str, message: str) -> StepError:
    """The error of a step whose rendered config does not fit."""
    return StepError(f"{field}: {message}", code="TEMPLATE_ERROR")
