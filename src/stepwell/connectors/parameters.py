"""Parameters of an action: defaults filled in, checked against the action's JSON Schema."""

from decimal import Decimal

import jsonschema_rs

from stepwell.connectors.connector import Action
from stepwell.connectors.shape import text_of
from stepwell.errors import StepError
from stepwell.expressions import is_number_like
from stepwell.values import Json


def accept(name: str, action: Action, params: Json) -> dict[str, Json]:
    """The parameters as the requests' templates see them: null counts as absent, every declared name is there.

    Raises:
        StepError: not an object, or not what the schema says; all faults are named.
    """
    if not isinstance(params, dict):
        raise StepError(f"Invalid parameters of {name}: not an object")
    known = action.params.get("properties", {})
    told = {key: _fitted(value, known.get(key, {})) for key, value in params.items() if value is not None}
    given: dict[str, Json] = _filled(told, action.params)
    faults = [_sentence(error, action.params) for error in action.validator.iter_errors(_floats(given))]
    if faults:
        raise StepError(f"Invalid parameters of {name}: {'; '.join(faults)}")
    declared: dict[str, Json] = dict.fromkeys(action.params.get("properties", {}))
    return declared | given


def _fitted(value: Json, schema: Json) -> Json:
    """A plain value in the type that the schema wants, where its text says the same: templates give numbers where a
    provider wants texts, and texts where it wants numbers."""
    kind = schema.get("type")
    if kind == "string" and isinstance(value, bool | int | Decimal):
        return text_of(value)
    if isinstance(value, str):
        if kind in ("integer", "number") and is_number_like(value):
            number = Decimal(value)
            return int(number) if number == number.to_integral_value() and "." not in value else number
        if kind == "boolean" and value in ("true", "false"):
            return value == "true"
    return value


def _filled(value: Json, schema: Json) -> Json:
    """A copy of the value with the schema's defaults in it, in lists of objects too."""
    if isinstance(value, dict):
        known = schema.get("properties", {})
        defaults = {key: part["default"] for key, part in known.items() if "default" in part and key not in value}
        return {key: _filled(child, known.get(key, {})) for key, child in value.items()} | defaults
    if isinstance(value, list):
        return [_filled(child, schema.get("items", {})) for child in value]
    return value


def _floats(value: Json) -> Json:
    """The value with Decimals as floats: the validator reads no others, and only compares them."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: _floats(child) for key, child in value.items()}
    return [_floats(child) for child in value] if isinstance(value, list) else value


def _sentence(error: jsonschema_rs.ValidationError, schema: Json) -> str:
    place = ".".join(str(part) for part in error.instance_path)
    if place:
        return f"{place}: {error.message}"
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.AnyOf):
        return f"one of {', '.join(name for way in schema['anyOf'] for name in way['required'])} is required"
    return error.message
