"""Expressions of an IR: `{{root.path[0]["k"]}}` in texts and in JavaScript, and `${...}` in texts. Source: AwaitStep
contract 10.3."""

import re
from collections.abc import Callable, Iterator

import msgspec

from stepwell.values import Json

_REGION = re.compile(r"""\{\{((?:[^{}"']|"[^"]*"|'[^']*')*)\}\}""")
_ROOT = re.compile(r"\s*([\w$-]+)")
_SEGMENT = re.compile(r"""\s*(?:\.\s*([\w$-]+)|\[\s*(?:(\d{1,9})|"([^"]*)"|'([^']*)')\s*\])""")


class Expression(msgspec.Struct, frozen=True):
    """One `{{...}}`: the segments of its path, names as text and indexes as integers."""

    path: tuple[str | int, ...]
    text: str

    @property
    def root(self) -> str:
        """The first segment."""
        return str(self.path[0])


class Wrong(msgspec.Struct, frozen=True):
    """Braces that hold no expression, or do not close."""

    text: str

    @property
    def message(self) -> str:
        """What to tell of it."""
        return f"Invalid expression: {self.text}"[:300]


Part = str | Expression | Wrong


def parsed(inner: str) -> tuple[str | int, ...] | None:
    """The path that stands between braces, None if that is none."""
    found = _ROOT.match(inner)
    if found is None:
        return None
    path: list[str | int] = [found[1]]
    at = found.end()
    while (segment := _SEGMENT.match(inner, at)) is not None:
        if segment[2] is not None:
            path.append(int(segment[2]))
        else:
            path.append(next(each for each in (segment[1], segment[3], segment[4]) if each is not None))
        at = segment.end()
    if inner[at:].strip() or any(isinstance(part, str) and '"' in part and "'" in part for part in path):
        return None
    return tuple(path)


def parts(text: str) -> list[Part]:
    """A text as what stands between expressions and the expressions, in order."""
    found: list[Part] = []
    at = 0
    for region in _REGION.finditer(text):
        found.extend(_plain(text[at : region.start()]))
        path = parsed(region[1])
        found.append(Wrong(region[0]) if path is None else Expression(path, region[0]))
        at = region.end()
    found.extend(_plain(text[at:]))
    return found


def whole(text: str) -> Expression | None:
    """The expression that a text wholly is, blanks around it ignored."""
    region = _REGION.fullmatch(text.strip())
    path = None if region is None else parsed(region[1])
    return None if path is None or region is None else Expression(path, region[0])


def is_literal(text: str) -> bool:
    """Whether a text holds `${...}`, so that JavaScript evaluates it. A `$` before `{{` is text."""
    return re.search(r"\$\{(?!\{)", text) is not None


def requoted(text: str) -> str:
    """A text with single quotes in its expressions, so that they do not end a text of JSON."""
    return _REGION.sub(lambda found: found[0].replace('"', "'"), text)


def expressions(value: Json) -> Iterator[Expression]:
    """Every expression in the texts of a value."""
    if isinstance(value, str):
        yield from (part for part in parts(value) if isinstance(part, Expression))
    elif isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from expressions(child)


def script(code: str, refer: Callable[[Expression], str]) -> str:
    """JavaScript with its expressions replaced: by a reference in code, by its text (`__t`) in texts. What holds no
    path is left as it is. `refer` gives the JavaScript that stands for an expression."""
    return _Scanner(code, refer).run() if "{{" in code else code


def literal(text: str, refer: Callable[[Expression], str]) -> str:
    """A text with `${...}` as a template literal of JavaScript."""
    made = []
    at = 0
    for start, end in _holes(text):
        made.append(_literal_text(text[at:start], refer))
        made.append(f"${{{script(text[start + 2 : end - 1], refer)}}}")
        at = end
    made.append(_literal_text(text[at:], refer))
    return f"`{''.join(made)}`"


def _plain(text: str) -> Iterator[Part]:
    if "{{" in text:
        at = text.index("{{")
        if at:
            yield text[:at]
        yield Wrong(text[at : at + 40])
    elif text:
        yield text


def _literal_text(text: str, refer: Callable[[Expression], str]) -> str:
    made = []
    for part in parts(text):
        if isinstance(part, Expression):
            made.append(f"${{__t({refer(part)})}}")
        else:
            plain = part if isinstance(part, str) else part.text
            made.append(plain.replace("\\", "\\\\").replace("`", "\\`").replace("${", "\\${"))
    return "".join(made)


def _holes(text: str) -> Iterator[tuple[int, int]]:
    """Where each `${...}` of a text begins and ends; one that does not end goes on to the end."""
    at = 0
    while (found := re.compile(r"\$\{(?!\{)").search(text, at)) is not None:
        depth, end, quote = 0, found.start() + 1, ""
        while end < len(text):
            char = text[end]
            if quote:
                quote = "" if char == quote else quote
                end += 1 if char == "\\" else 0
            elif char in "'\"`":
                quote = char
            elif char in "{}":
                depth += 1 if char == "{" else -1
                if depth == 0:
                    break
            end += 1
        at = min(end + 1, len(text))
        yield found.start(), at


class _Scanner:
    """Goes through JavaScript and knows whether it is in code, in a text, in a template literal or in a comment."""

    def __init__(self, code: str, refer: Callable[[Expression], str]) -> None:
        self._code = code
        self._refer = refer
        self._made: list[str] = []
        self._stack: list[int] = []  # open braces of each `${` that is being read
        self._mode = "code"  # or a quote, "//", "/*"

    def run(self) -> str:
        at = 0
        while at < len(self._code):
            region = _REGION.match(self._code, at) if self._mode not in ("//", "/*") else None
            path = None if region is None else parsed(region[1])
            if region is not None and path is not None:
                self._made.append(self._reference(Expression(path, region[0])))
                at = region.end()
            else:
                size = self._step(at)
                self._made.append(self._code[at : at + size])
                at += size
        return "".join(self._made)

    def _reference(self, expression: Expression) -> str:
        reference = self._refer(expression)
        if self._mode == "code":
            return reference
        if self._mode == "`":
            return f"${{__t({reference})}}"
        return f"{self._mode} + __t({reference}) + {self._mode}"

    def _step(self, at: int) -> int:
        """Take what stands at a place; how many characters it has."""
        code, pair = self._code[at], self._code[at : at + 2]
        match self._mode:
            case "code":
                return self._in_code(code, pair)
            case "//" if code == "\n":
                self._mode = "code"
            case "/*" if pair == "*/":
                self._mode = "code"
                return 2
            case "//" | "/*":
                pass
            case _ if code == "\\":
                return 2
            case "`" if pair == "${" and self._code[at : at + 3] != "${{":
                self._stack.append(0)
                self._mode = "code"
                return 2
            case quote if code == quote or (code == "\n" and quote != "`"):
                self._mode = "code"
        return 1

    def _in_code(self, code: str, pair: str) -> int:
        if pair in ("//", "/*"):
            self._mode = pair
            return 2
        if code in "'\"`":
            self._mode = code
        elif code == "{" and self._stack:
            self._stack[-1] += 1
        elif code == "}" and self._stack:
            if self._stack[-1] == 0:
                self._stack.pop()
                self._mode = "`"
            else:
                self._stack[-1] -= 1
        return 1
