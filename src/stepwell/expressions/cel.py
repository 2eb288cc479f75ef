"""CEL conditions: compiled once, evaluated on the values of the paths they name. Source: LoopFour contract 7.1, form C.

CEL computes in doubles here: every number handed over is one. Numbers beyond a double are a fault.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import Any

from stepwell.errors import StepError
from stepwell.expressions.cel_library import cel
from stepwell.expressions.cel_text import Translation, Use, translate
from stepwell.expressions.deferred import ANSWERS, Answers, Deferred, key_of
from stepwell.expressions.errors import SyntaxFault, excerpt
from stepwell.expressions.scope import MISSING, Lookup, Scope
from stepwell.values import Json, Path, encode

MAX_ITEMS = 10_000
ITEMS_AT_ONCE = 500  # beyond, a macro takes more than 10 ms
_KINDS = {kind.__name__: kind for kind in (KeyError, TypeError, ValueError, RuntimeError, ArithmeticError, IndexError)}
_MAX_VALUES = 200_000
_MAX_GROWTH = 128 * 1024 * 1024  # bytes that additions inside an expression may come to
_VALUE_BYTES = 32
_ITEMS = "items"
_NOT_FITTING = "the result is not a boolean, or an operator meets null or values of different types"
_PARSE_ERROR = re.compile(r"<input>:(\d+):(\d+): ([^\n]*)")
_EXPECTING = re.compile(r" (?:expecting|at:) .*")


_MAX_TOLD, _MAX_TOLD_BYTES = 10, 500  # values told of a failure


class _OverBudget(ValueError):
    """The values are too many or too large to be handed over."""


@dataclass(frozen=True, slots=True)
class CelCondition:
    """A compiled expression; `faults` are those of the templates in it."""

    text: str
    references: frozenset[Path]
    secrets: frozenset[str]
    faults: tuple[str, ...]
    _translation: Translation = field(repr=False)
    _execute: Callable[[dict[str, Any]], Any] = field(repr=False)

    def evaluate(self, scope: Scope) -> bool:
        """Whether the expression holds.

        Raises:
            StepError: CONDITION_ERROR naming the expression.
        """
        missing: list[str] = []
        try:
            values, longest = self._values(scope, missing)
            answers = scope.get(ANSWERS) if longest > ITEMS_AT_ONCE else None
            return not (self._execute(values) if answers is None else self._answer(values, answers))
        except StepError as error:
            raise self._fault(error.message, scope) from None
        except KeyError as error:
            raise self._fault(f"{error.args[0]} is missing" if error.args else "a field is missing", scope) from None
        except TypeError:
            raise self._fault(_NOT_FITTING, scope) from None
        except (ValueError, RuntimeError, ArithmeticError, LookupError) as error:
            reason = f"{missing[0]} is missing" if missing and "Undefined" in str(error) else _first_line(error)
            raise self._fault(reason, scope) from None

    def _answer(self, values: dict[str, Any], answers: Answers) -> Any:
        """The result as it was found elsewhere. Raises what evaluating here would have raised, or Deferred."""
        text = f"!({self._translation.text})"
        key = key_of(text, json.dumps(values).encode())
        answer = answers.get(key)
        if answer is None:
            raise Deferred(key, text, values)
        if "error" in answer:
            kind, message = answer["error"]
            raise _KINDS.get(kind, RuntimeError)(message)
        return answer["value"]

    def _values(self, scope: Scope, missing: list[str]) -> tuple[dict[str, Any], int]:
        """The variables, and how many items the longest list or object among them has."""
        values: dict[str, Any] = {}
        meter = _Meter()
        inside = outside = 0
        for variable in self._translation.variables.values():
            value = variable.read(scope)
            if variable.use is Use.PRESENCE:
                values[variable.name] = value is not MISSING
            elif value is MISSING:
                missing.append(variable.source)
            else:
                before = meter.bytes
                values[variable.name] = meter.whole(value) if variable.use is Use.WHOLE else meter.convert(value)
                inside += variable.inside * (meter.bytes - before)
                outside += variable.outside * (meter.bytes - before)
        if self._translation.growth * (outside + inside * max(meter.longest, 1)) > _MAX_GROWTH:
            raise _OverBudget("the expression adds up too much")
        return values, meter.longest

    def _fault(self, reason: str, scope: Scope) -> StepError:
        """The error, with the expression and the values it was given."""
        seen: dict[str, Json] = {}
        for variable in islice(self._translation.variables.values(), _MAX_TOLD):
            try:
                value = variable.read(scope)
                told = None if value is MISSING else value.plain() if isinstance(value, Lookup) else value
            except StepError:
                continue
            text = encode(told)
            seen[variable.source] = (
                told if len(text) <= _MAX_TOLD_BYTES else f"{text[:_MAX_TOLD_BYTES].decode(errors='ignore')}..."
            )
        details: dict[str, Json] = {"expression": self.text, "values": seen}
        return StepError(f"Condition '{excerpt(self.text)}': {reason}", code="CONDITION_ERROR", details=details)


def compile_cel(text: str) -> CelCondition:
    """Compile an expression.

    Raises:
        SyntaxFault: the first fault of CEL itself; those of templates are in `faults`.
    """
    if not text.strip():
        raise SyntaxFault("Missing expression")
    translation = translate(text)
    try:
        # The negation refuses every result that is not a boolean before it is copied out of CEL.
        program = cel.compile(f"!({translation.text})") if _parsed(translation.text) else None
    except ValueError as error:
        raise _syntax_fault(str(error), translation) from None
    assert program is not None
    return CelCondition(
        text=text,
        references=frozenset(translation.references),
        secrets=frozenset(translation.secrets),
        faults=tuple(translation.faults),
        _translation=translation,
        _execute=program.execute,
    )


@dataclass(frozen=True, slots=True)
class CelOfItems:
    """A compiled expression over each `item` of a list; `references` are the paths in it that begin otherwise."""

    text: str
    references: frozenset[Path]
    _whole: CelCondition = field(repr=False)

    def question(self, items: list[Json]) -> tuple[str, dict[str, Any]]:
        """What is to be evaluated for these items, and its variables; the value is a list.

        Raises:
            StepError: CONDITION_ERROR, of values that are too many or too large.
        """
        try:
            values, _ = self._whole._values({_ITEMS: items}, [])
        except (ValueError, ArithmeticError) as error:
            raise StepError(f"'{excerpt(self.text)}': {_first_line(error)}", code="CONDITION_ERROR") from None
        return self._whole._translation.text, values


def compile_cel_of_items(text: str) -> CelOfItems:
    """Compile an expression over each `item` of a list.

    Raises:
        SyntaxFault: the first fault.
    """
    alone = compile_cel(text)
    if alone.faults:
        raise SyntaxFault(alone.faults[0])
    others = frozenset(path for path in alone.references if path[0] != "item")
    return CelOfItems(text, others, compile_cel(f"{_ITEMS}.map(item, ({text}\n))"))


class _Meter:
    """Converts JSON values to CEL's, counting what it hands over."""

    def __init__(self) -> None:
        self.bytes = 0
        self.longest = 0
        self._count = 0

    def convert(self, value: Json) -> Any:
        """The value with every number as a double."""
        self._count += 1
        self.bytes += _VALUE_BYTES
        if self._count > _MAX_VALUES:
            raise _OverBudget(f"more than {_MAX_VALUES} values")
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int | Decimal):
            return _float(value)
        if isinstance(value, str):
            self.bytes += len(value)
            return str(value)
        if len(value) > MAX_ITEMS:
            raise _OverBudget(f"more than {MAX_ITEMS} items")
        self.longest = max(self.longest, len(value))
        if isinstance(value, dict):
            return {key: self.convert(child) for key, child in value.items()}
        return [self.convert(child) for child in value]

    def whole(self, value: Json) -> Any:
        """The value as an integer, if it is one."""
        if isinstance(value, int | Decimal) and not isinstance(value, bool) and value == int(value):
            return int(value)
        return self.convert(value)


def _float(value: int | Decimal) -> float:
    number = float(value)
    if number in (float("inf"), float("-inf")):
        raise OverflowError("a number beyond a double")
    return number


def _parsed(text: str) -> bool:
    # Parsed by itself first: `a) || (b` must not become valid by the brackets put around it.
    cel.compile(text)
    return True


def _syntax_fault(message: str, translation: Translation) -> SyntaxFault:
    match = _PARSE_ERROR.search(message)
    if match is None:
        return SyntaxFault("Invalid expression")
    reason = _EXPECTING.sub("", match.group(3).removeprefix("Syntax error: ")).replace("<EOF>", "the end")
    for variable in translation.variables.values():
        reason = re.sub(rf"\b{variable.name}\b", variable.source, reason)
    return SyntaxFault(reason[:1].upper() + reason[1:], translation.origin(int(match.group(2)) - 1))


def _first_line(error: Exception) -> str:
    return excerpt(str(error).partition("\n")[0].partition(". ")[0])
