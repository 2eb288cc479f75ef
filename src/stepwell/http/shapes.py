"""What requests are decoded into: a struct per body and query, with every fault told at once."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import UnionType
from typing import Annotated, Any, Generic, TypeVar, Union, get_args, get_origin

import msgspec

from stepwell.definitions import Schema
from stepwell.errors import ValidationFailed
from stepwell.values import Json

T = TypeVar("T")

INVALID = "Invalid request"
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)


class Shape(Generic[T]):
    """A struct type and its JSON Schema. The schema is asked only when the struct refuses."""

    def __init__(self, type: type[T]) -> None:
        self.type = type
        self._schema = Schema(msgspec.json.schema(type))
        self.lists = frozenset(_fields_of(type, list))
        self._booleans = frozenset(_fields_of(type, bool))

    def of_json(self, value: Json) -> T:
        """A decoded body as the struct.

        Raises:
            ValidationFailed: `Invalid request`, all faults in the order of LoopFour contract 1.4.
        """
        try:
            return msgspec.convert(value, self.type)
        except msgspec.ValidationError:
            self._check(value, "body")
        return msgspec.convert(_with_integers(value), self.type)

    def of_query(self, given: Mapping[str, str | list[str]]) -> T:
        """Query parameters as the struct. `lists` names those that may be given as lists of texts.

        Raises:
            ValidationFailed: as for a body.
        """
        try:
            if "null" in given.values():  # which the conversion would take for no value
                self._check(self._typed(given), "query")
            return msgspec.convert(given, self.type, strict=False)
        except msgspec.ValidationError as error:
            self._check(self._typed(given), "query")
            raise ValidationFailed(INVALID, []) from error

    def _typed(self, given: Mapping[str, str | list[str]]) -> Json:
        """Query parameters with the types that a schema asks for."""
        return {
            name: text if isinstance(text, list) else _plain(text, boolean=name in self._booleans)
            for name, text in given.items()
        }

    def _check(self, value: Json, within: str) -> None:
        faults = self._schema.faults(value)
        if faults:
            raise ValidationFailed(INVALID, faults, within=within, given=value)


def _fields_of(type: type[Any], kind: type[Any]) -> Iterator[str]:
    """The fields of a struct, as they are written, whose values may be of a kind."""
    for field in msgspec.structs.fields(type):
        if _may_be(field.type, kind):
            yield field.encode_name


def _may_be(annotation: Any, kind: type[Any]) -> bool:
    """Whether a type, or one of its alternatives, is of a kind."""
    if annotation is kind or get_origin(annotation) is kind:
        return True
    alternatives = get_args(annotation) if get_origin(annotation) in (Annotated, Union, UnionType) else ()
    return any(_may_be(each, kind) for each in alternatives)


def _plain(text: str, *, boolean: bool) -> Json:
    if boolean:
        return _BOOLEANS.get(text.lower(), text)
    return int(text) if _WHOLE.fullmatch(text) else text


def _with_integers(value: Json) -> Json:
    """The members, also of objects in lists, that are whole but written with a fraction or exponent (`3e4`): integers
    to JSON Schema."""
    if not isinstance(value, dict):
        return value
    return {name: _with_integer(child) for name, child in value.items()}


def _with_integer(child: Json) -> Json:
    if isinstance(child, Decimal) and child == child.to_integral_value():
        return int(child)
    return [_with_integers(each) for each in child] if isinstance(child, list) else child
