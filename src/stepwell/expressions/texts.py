"""Texts of values: how a value is written in mixed text, HTML escaping, and the limit of a rendered text."""

from decimal import Decimal
from html import escape

from stepwell.expressions.errors import RenderFault
from stepwell.values import Json, encode

MAX_TEXT = 1024 * 1024  # bytes of one rendered text, LoopFour contract 6.1
_MAX_NODES = MAX_TEXT // 2  # no JSON text of that limit holds more values


class SafeText(str):
    """Text that is HTML already. Any further text operation makes it plain text again."""

    __slots__ = ()


def text_of(value: Json) -> str:
    """A value in mixed text: numbers as in JSON without exponent, null as nothing, the rest as compact JSON."""
    if isinstance(value, str):
        return value if type(value) is str else str(value)
    if value is None:
        return ""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict | list):
        return json_text(value)
    return ""


def json_text(value: Json) -> str:
    """Compact JSON text, refused before it is built if it would be over the limit."""
    if isinstance(value, dict | list):
        _measure(value)
    return encode(str(value) if isinstance(value, str) else value).decode()


def checked(text: str) -> str:
    """The text, if it is within the limit."""
    if len(text) * 4 > MAX_TEXT and (len(text) > MAX_TEXT or len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT):
        raise RenderFault("the text is over 1 MiB")
    return text


def html_text(value: Json) -> str:
    """A value in HTML text: escaped, unless it is HTML already."""
    return str(value) if type(value) is SafeText else escape_html(text_of(value))


def escape_html(text: str) -> str:
    """`& < > ' "` as entities."""
    return escape(text).replace("&#x27;", "&#39;")


def _measure(value: Json) -> None:
    # Shared parts count as often as they stand: a small list of many references makes a large text.
    nodes = size = 0
    stack = [value]
    while stack:
        node = stack.pop()
        nodes += 1
        if isinstance(node, str):
            size += len(node)
        elif isinstance(node, dict):
            size += sum(map(len, node))
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
        if size > MAX_TEXT or nodes + len(stack) > _MAX_NODES:
            raise RenderFault("the text is over 1 MiB")
