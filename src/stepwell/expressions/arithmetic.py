"""Arithmetic over the fields of an item: the argument of `map` and `sum`, compiled to a function.

Grammar: `+ - * / %`, parentheses, numbers and dotted paths. A minus needs blanks around it, since a hyphen may be part
of a name. Source: LoopFour contract 6.3.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias

from stepwell.expressions import numbers
from stepwell.expressions.errors import SyntaxFault
from stepwell.expressions.numbers import Number
from stepwell.expressions.paths import settled, step
from stepwell.expressions.scope import MISSING
from stepwell.values import Json

Pick: TypeAlias = Callable[[Json], Json]
"""The value picked from or computed of one item."""

_Term: TypeAlias = Callable[[Json], Number]

_PATH = re.compile(r"\w[\w-]*(?:\.\w[\w-]*)*")
_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?(?![\w.-]))|(?P<path>\w[\w-]*(?:\.\w[\w-]*)*)"
    r"|(?P<minus>(?<=\s)-(?=\s))|(?P<op>[+*/%()]))"
)
_MAX_TEXT = 1000
_MAX_DEPTH = 50
_BINARY: dict[str, Callable[[Number, Number], Number]] = {
    "+": numbers.add,
    "-": numbers.subtract,
    "*": numbers.multiply,
    "/": numbers.divide,
    "%": numbers.modulo,
}


@lru_cache(maxsize=512)
def picker(text: str) -> Pick:
    """The function that a `map` argument stands for: a field name or dotted path picks, anything else computes.

    Raises:
        SyntaxFault: the text is neither.
    """
    source = text.strip()
    if len(source) > _MAX_TEXT:
        raise SyntaxFault(f"Arithmetic over {_MAX_TEXT} characters")
    if _PATH.fullmatch(source):
        return _picked(tuple(source.split(".")))
    term = _Parser(source).parse()
    return lambda item: numbers.result(term(item))


class _Parser:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._position = 0
        self._depth = 0

    def parse(self) -> _Term:
        term = self._sum()
        if self._peek() is not None:
            raise SyntaxFault(f"Arithmetic '{self._text}': unexpected '{self._peek()}'")
        return term

    def _sum(self) -> _Term:
        term = self._product()
        while self._peek() in ("+", "-"):
            term = _binary(self._next(), term, self._product())
        return term

    def _product(self) -> _Term:
        term = self._atom()
        while self._peek() in ("*", "/", "%"):
            term = _binary(self._next(), term, self._atom())
        return term

    def _atom(self) -> _Term:
        token = self._peek()
        if token is None or token in _BINARY or token == ")":
            found = "the end" if token is None else f"'{token}'"
            raise SyntaxFault(f"Arithmetic '{self._text}': expected a name, number or '(', found {found}")
        self._next()
        if token == "(":  # noqa: S105
            return self._group()
        if token[0].isdecimal() and token.replace(".", "", 1).isdecimal():
            value = Decimal(token) if "." in token else int(token)
            return lambda item: value
        pick = _picked(tuple(token.split(".")))
        return lambda item: numbers.to_number(pick(item))

    def _group(self) -> _Term:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise SyntaxFault(f"Arithmetic nested deeper than {_MAX_DEPTH}")
        term = self._sum()
        if self._peek() != ")":
            raise SyntaxFault(f"Arithmetic '{self._text}': missing ')'")
        self._next()
        self._depth -= 1
        return term

    def _peek(self) -> str | None:
        return self._tokens[self._position] if self._position < len(self._tokens) else None

    def _next(self) -> str:
        self._position += 1
        return self._tokens[self._position - 1]


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise SyntaxFault(f"Arithmetic '{text}': unexpected '{text[position:].lstrip()[:1]}'")
        tokens.append(match.group(match.lastgroup or 0).strip())
        position = match.end()
    return tokens


def _binary(sign: str, left: _Term, right: _Term) -> _Term:
    compute = _BINARY[sign]
    return lambda item: compute(left(item), right(item))


def _picked(path: tuple[str, ...]) -> Pick:
    if len(path) == 1:
        name = path[0]
        return lambda item: item.get(name) if type(item) is dict else settled(step(item, name))

    def pick(item: Json) -> Json:
        value = item
        for segment in path:
            value = step(value, segment)
            if value is MISSING:
                return None
        return settled(value)

    return pick
