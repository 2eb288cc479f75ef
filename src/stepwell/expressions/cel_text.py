"""Translation of a condition's text to CEL: what it names becomes variables, what it computes becomes doubles.

- A path (`input.amount`, `steps["a"].output.x`, `items[0]`) becomes one variable: only its value is handed over.
- `{{ … }}` becomes a variable of its value, inside quotes of its text; `===` and `!==` become `==` and `!=`.
- Integer literals become doubles, and `size()` and `int()` are made doubles, since CEL does not mix the two. Inside an
  index, `list[2]`, they stay integers. `a % b` of two plain operands is computed in integers, as CEL has no other.
"""

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from stepwell.expressions.errors import CompileFailed, SyntaxFault
from stepwell.expressions.paths import Read, find, settled
from stepwell.expressions.scope import MISSING, Scope
from stepwell.expressions.template import compile_template
from stepwell.expressions.texts import text_of
from stepwell.values import Path

MAX_BYTES = 4096
_MAX_DEPTH = 50
_MACROS = frozenset({"all", "exists", "exists_one", "filter", "map"})
_FUNCTIONS = frozenset(
    {"bool", "bytes", "double", "duration", "dyn", "has", "int", "size", "string", "timestamp", "type"}
)
_WHOLE = frozenset({"int", "size"})  # functions that give integers
_CONSTANTS = frozenset({"true", "false", "null", "in"})
_CLOSES = {"(": ")", "[": "]", "{": "}"}

_TOKEN = re.compile(
    r"(?P<skip>\s+|//[^\n]*)|(?P<template>\{\{)|(?P<string>[rRbB]{0,2}(?P<quote>\"\"\"|'''|\"|'))"
    r"|(?P<number>0[xX][0-9a-fA-F]+[uU]?|[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?"
    r"|[0-9]+(?:[eE][+-]?[0-9]+)?[uU]?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<op>===|!==|==|!=|<=|>=|&&|\|\||.)",
    re.DOTALL,
)
_DOTTED = re.compile(r"\s*\.\s*(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)\b(?!\s*\()|(?P<index>[0-9]+)\b)")
_KEYED = re.compile(r"\s*\[\s*(?:\"(?P<a>[^\"\\{]*)\"|'(?P<b>[^'\\{]*)'|(?P<index>-?[0-9]{1,9}))\s*\]")
_CALLED = re.compile(r"\s*\(")
_SIZE_CALL = re.compile(r"\s*\.\s*size\s*\(\s*\)")
_MACRO_NAME = re.compile(r"\s*\(\s*([A-Za-z_][A-Za-z0-9_]*)\s*,")
_ROOT = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)")
_CLOSED = re.compile(r"\s*\)")


class Use(Enum):
    """What is handed over for a variable."""

    VALUE = "value"  # unbound if the path finds nothing, so that CEL refuses it unless it is not looked at
    WHOLE = "whole"  # the same, as an integer
    PRESENCE = "presence"  # whether the path finds something
    TEMPLATE = "template"  # the value of `{{ … }}`, null if it finds nothing
    TEXT = "text"  # its text


@dataclass(slots=True)
class Variable:
    """One fresh name of the translated text."""

    name: str
    use: Use
    source: str
    read: Any  # Scope -> value or MISSING
    outside: int = 0  # how often it stands outside a macro
    inside: int = 0


@dataclass(slots=True)
class _Piece:
    text: str
    at: int
    kind: str = "op"
    variable: Variable | None = None


@dataclass(slots=True)
class Translation:
    """The CEL text and what it needs. `growth` counts what can make a value larger: additions and list items."""

    pieces: list[_Piece] = field(default_factory=list)
    variables: dict[object, Variable] = field(default_factory=dict)
    references: set[Path] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    growth: int = 0
    macro: bool = False

    @property
    def text(self) -> str:
        """The CEL text, in one line."""
        return " ".join(piece.text for piece in self.pieces)

    def origin(self, column: int) -> int:
        """Where in the condition's text the character at that column (from 0) of the CEL text comes from."""
        position = 0
        for piece in self.pieces:
            position += len(piece.text) + 1
            if column < position:
                return piece.at
        return self.pieces[-1].at + 1 if self.pieces else 0


def translate(text: str) -> Translation:
    """Translate a condition.

    Raises:
        SyntaxFault: over the budget of section 7.1, an unknown function, an unclosed text or template.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise SyntaxFault("Expression over 4 KiB")
    return _Translator(text).run()


class _Translator:
    def __init__(self, text: str) -> None:
        self._text = text
        self._out = Translation()
        self._stack: list[str] = []  # open brackets: ( double( macro( [ index[ {
        self._bound = ""  # the macro's variable, while inside it

    def run(self) -> Translation:
        position = 0
        while position < len(self._text):
            match = _TOKEN.match(self._text, position)
            assert match is not None  # the last alternative takes any character
            position = self._token(match)
        _whole_remainders(self._out)
        return self._out

    def _token(self, match: "re.Match[str]") -> int:
        start, end, value = match.start(), match.end(), match.group()
        if match.group("skip") is not None:
            return end
        if match.group("template") is not None:
            return self._template(start, Use.TEMPLATE)
        if match.group("string") is not None:
            return self._string(start, end, match.group("quote"), value[: -len(match.group("quote"))].lower())
        if match.group("number") is not None:
            self._emit(value if self._in_index() else _double(value), start, "number")
        elif match.group("name") is not None:
            return self._name(value, start, end)
        else:
            self._operator(value, start)
        return end

    def _operator(self, value: str, at: int) -> None:
        if value in _CLOSES:
            index = (
                value == "[" and bool(self._out.pieces) and self._out.pieces[-1].kind in ("operand", "number", "close")
            )
            self._open("index[" if index else value, at)
            self._emit(value, at)
        elif value in (")", "]", "}"):
            opened = self._stack.pop() if self._stack else ""
            if opened == "macro(":
                self._bound = ""
            self._emit("))" if opened == "double(" else value, at, "close")
        else:
            self._out.growth += value == "+" or (value == "," and bool(self._stack) and self._stack[-1] in ("[", "{"))
            self._emit({"===": "==", "!==": "!="}.get(value, value), at)

    def _name(self, name: str, start: int, end: int) -> int:
        called = _CALLED.match(self._text, end)
        if self._out.pieces and self._out.pieces[-1].text == ".":
            return self._member(name, start, end, called is not None)
        if name in _CONSTANTS or name == self._bound:
            self._emit(name, start, "op" if name == "in" else "operand")
            return end
        if called is not None:
            return self._function(name, start, end, called.end())
        path, stop = self._path(name, end)
        size = None if self._in_index() else _SIZE_CALL.match(self._text, stop)
        variable = self._variable(path, Use.VALUE, start, stop)
        if size is not None:
            self._emit(f"double(size({variable.name}))", start, "operand")
            return size.end()
        self._emit(variable.name, start, "operand", variable)
        return stop

    def _member(self, name: str, start: int, end: int, called: bool) -> int:
        self._emit(name, start, "operand")
        bound = _MACRO_NAME.match(self._text, end) if called and name in _MACROS else None
        if bound is None:
            return end
        if self._out.macro:
            raise SyntaxFault("More than one of all, exists, exists_one, filter, map", start)
        if bound.group(1).startswith("__"):
            raise SyntaxFault(f"Reserved name: {bound.group(1)}", bound.start(1))
        self._out.macro, self._bound = True, bound.group(1)
        self._open("macro(", end)
        self._emit("(", end)
        return bound.start(1)

    def _function(self, name: str, start: int, end: int, inner: int) -> int:
        if name not in _FUNCTIONS:
            raise SyntaxFault(f"Unknown function: {name}", start)
        if name == "has" and (present := self._presence(inner)) is not None:
            return present
        doubled = name in _WHOLE and not self._in_index()
        self._open("double(" if doubled else "(", end)
        self._emit(f"double({name}(" if doubled else f"{name}(", start)
        return inner

    def _presence(self, inner: int) -> int | None:
        # has(path) asks for the path itself; has(x.y) of a macro's variable is left to CEL.
        match = _ROOT.match(self._text, inner)
        if match is None or match.group(1) == self._bound or match.group(1) in _CONSTANTS:
            return None
        path, stop = self._path(match.group(1), match.end())
        closed = _CLOSED.match(self._text, stop)
        if closed is None:
            return None
        variable = self._variable(path, Use.PRESENCE, match.start(1), stop)
        self._emit(variable.name, inner, "operand", variable)
        return closed.end()

    def _path(self, root: str, position: int) -> tuple[Path, int]:
        path: list[str | int] = [root]
        while (match := _DOTTED.match(self._text, position) or _KEYED.match(self._text, position)) is not None:
            parts = match.groupdict()
            index = parts["index"]
            if "name" in parts:
                path.append(parts["name"] or index or "")
            else:
                path.append(int(index) if index is not None else parts["a"] if parts["a"] is not None else parts["b"])
            position = match.end()
        return tuple(path), position

    def _variable(self, path: Path, use: Use, start: int, stop: int) -> Variable:
        self._out.references.add(path)
        if path[0] == "secrets" and len(path) > 1:
            self._out.secrets.add(str(path[1]))
        variable = self._out.variables.get((path, use))
        return variable or self._fresh((path, use), use, self._text[start:stop], _finder(path))

    def _fresh(self, key: object, use: Use, source: str, read: Any) -> Variable:
        variable = Variable(f"__v{len(self._out.variables)}", use, source, read)
        self._out.variables[key] = variable
        return variable

    def _string(self, start: int, position: int, quote: str, prefix: str) -> int:
        # A text without templates is CEL's own; one with templates becomes a sum of its parts.
        begin, parts = start, 0
        opening = self._text[start:position]
        while True:
            if position >= len(self._text):
                raise SyntaxFault("Unclosed text", start)
            if self._text.startswith(quote, position):
                break
            if self._text.startswith("{{", position):
                if "b" in prefix:
                    raise SyntaxFault("No templates in bytes", position)
                self._emit("(" if parts == 0 else "+", position)
                before = self._text[begin:position] if parts == 0 else opening + self._text[begin:position]
                self._emit(before + quote + " +", start)
                position = begin = self._template(position, Use.TEXT)
                parts += 1
            else:
                position += 2 if self._text[position] == "\\" and "r" not in prefix else 1
        end = position + len(quote)
        if parts:
            self._out.growth += 1
            self._emit("+ " + opening + self._text[begin:end] + ")", start, "close")
        else:
            self._emit(self._text[start:end], start, "operand")
        return end

    def _template(self, start: int, use: Use) -> int:
        end = self._text.find("}}", start)
        if end < 0:
            raise SyntaxFault("Missing '}}'", start)
        source = self._text[start : end + 2]
        try:
            # Blanks in front keep the positions of faults; they do not count in a whole expression.
            template = compile_template(re.sub(r"[^\n]", " ", self._text[:start]) + source)
        except CompileFailed as failed:
            self._out.faults += [fault.message for fault in failed.faults]
            self._emit("null", start, "operand")
            return end + 2
        self._out.references |= {path for _, path in template.references}
        self._out.secrets |= template.secrets
        read = template.render if use is Use.TEMPLATE else _texted(template.render)
        variable = self._fresh((start, use), use, source, read)
        self._emit(variable.name, start, "operand", variable)
        return end + 2

    def _open(self, bracket: str, at: int) -> None:
        self._stack.append(bracket)
        if len(self._stack) > _MAX_DEPTH:
            raise SyntaxFault(f"Nested deeper than {_MAX_DEPTH}", at)

    def _in_index(self) -> bool:
        return "index[" in self._stack

    def _emit(self, text: str, at: int, kind: str = "op", variable: Variable | None = None) -> None:
        self._out.pieces.append(_Piece(text, at, kind, variable))
        if variable is not None:
            variable.inside += bool(self._bound)
            variable.outside += not self._bound


def _whole_remainders(out: Translation) -> None:
    # `a % b` of two plain operands, not part of a longer product: both as integers, the result as a double again.
    pieces = out.pieces
    for i in range(1, len(pieces) - 1):
        left, right = pieces[i - 1], pieces[i + 1]
        before = pieces[i - 2].text if i > 1 else ""
        after = pieces[i + 2].text if i + 2 < len(pieces) else ""
        if pieces[i].text != "%" or before in ("*", "/", "%", ".") or after in (".", "[", "("):
            continue
        if _plain(left) and _plain(right):
            left.text = f"double({_whole(out, left)}"
            right.text = f"{_whole(out, right)})"


def _plain(piece: _Piece) -> bool:
    if piece.variable is not None:
        return piece.variable.use in (Use.VALUE, Use.TEMPLATE)
    return piece.kind == "number" and piece.text.endswith(".0")


def _whole(out: Translation, piece: _Piece) -> str:
    variable = piece.variable
    if variable is None:
        return piece.text.removesuffix(".0")
    key = (variable.name, Use.WHOLE)
    whole = out.variables.get(key)
    if whole is None:
        whole = Variable(f"__v{len(out.variables)}", Use.WHOLE, variable.source, variable.read, variable.outside)
        out.variables[key] = whole
    return whole.name


def _double(number: str) -> str:
    text = number.rstrip("uU")
    if text[:2] in ("0x", "0X"):
        return f"{int(text, 16)}.0"
    return f"{text}.0" if text.isdecimal() else text


def _finder(path: Path) -> Any:
    def read(scope: Scope) -> Any:
        value = find(scope, path)
        return MISSING if value is MISSING else settled(value)

    return read


def _texted(read: Read) -> Read:
    return lambda scope: text_of(read(scope))
