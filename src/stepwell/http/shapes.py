"""What requests are decoded into: a struct per body and query, with every fault told at once."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Generic, TypeVar

import msgspec

from stepwell.definitions import Schema
from stepwell.errors import ValidationFailed
from stepwell.values import Json

T = TypeVar("T")

INVALID = "Invalid request"
_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)


class Shape(Generic[T]):
    """A struct type and its JSON Schema. The schema is asked only when the struct refuses."""

    def __init__(self, type: type[T]) -> None:
        self.type = type
        self._schema = Schema(msgspec.json.schema(type))

    def of_json(self, value: Json) -> T:
        """A decoded body as the struct.

        Raises:
            ValidationFailed: `Invalid request`, all faults in the order of LoopFour contract 1.4.
        """
        try:
            return msgspec.convert(value, self.type)
        except msgspec.ValidationError:
            self._check(value)
        return msgspec.convert(_with_integers(value), self.type)

    def of_query(self, given: Mapping[str, str]) -> T:
        """Query parameters as the struct.

        Raises:
            ValidationFailed: as for a body.
        """
        try:
            if "null" in given.values():  # which the conversion would take for no value
                self._check(_typed(given))
            return msgspec.convert(given, self.type, strict=False)
        except msgspec.ValidationError as error:
            self._check(_typed(given))
            raise ValidationFailed(INVALID, []) from error

    def _check(self, value: Json) -> None:
        faults = self._schema.faults(value)
        if faults:
            raise ValidationFailed(INVALID, faults)


def _typed(given: Mapping[str, str]) -> Json:
    """Query parameters with the types that a schema asks for."""
    return {name: int(text) if _WHOLE.fullmatch(text) else text for name, text in given.items()}


def _with_integers(value: Json) -> Json:
    """The members that are whole but written with a fraction or exponent (`3e4`): integers to JSON Schema."""
    if not isinstance(value, dict):
        return value
    return {
        name: int(child) if isinstance(child, Decimal) and child == child.to_integral_value() else child
        for name, child in value.items()
    }
