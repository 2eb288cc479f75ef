"""Filters on texts. Any other value counts as its text."""

import base64
import binascii
import html
import re
import urllib.parse
from collections.abc import Callable, Mapping

from stepwell.expressions import numbers
from stepwell.expressions.errors import RenderFault
from stepwell.expressions.texts import MAX_TEXT, SafeText, escape_html, text_of
from stepwell.values import Json

_LINE_END = re.compile(r"\r?\n")
_BLANKS = re.compile(r"\s+")
_MAX_PARTS = 100_000


def on_text(change: Callable[[str], str]) -> Callable[[Json], str]:
    """A filter without arguments from a function on texts."""
    return lambda value: change(text_of(value))


def append(value: Json, end: Json) -> str:
    return text_of(value) + text_of(end)


def prepend(value: Json, start: Json) -> str:
    return text_of(start) + text_of(value)


def capitalize(value: Json) -> str:
    return text_of(value).capitalize()


def replace(value: Json, old: Json, new: Json = "") -> str:
    text, part, other = text_of(value), text_of(old), text_of(new)
    if len(other) > len(part) and len(text) + text.count(part) * len(other) > MAX_TEXT:
        raise RenderFault("the text is over 1 MiB")
    return text.replace(part, other)


def replace_first(value: Json, old: Json, new: Json = "") -> str:
    return text_of(value).replace(text_of(old), text_of(new), 1)


def replace_last(value: Json, old: Json, new: Json = "") -> str:
    text, part = text_of(value), text_of(old)
    at = text.rfind(part)
    return text if at < 0 else text[:at] + text_of(new) + text[at + len(part) :]


def remove(value: Json, part: Json) -> str:
    return text_of(value).replace(text_of(part), "")


def remove_first(value: Json, part: Json) -> str:
    return replace_first(value, part)


def remove_last(value: Json, part: Json) -> str:
    return replace_last(value, part)


def slice_of(value: Json, start: Json, length: Json = 1) -> Json:
    """Part of a text or list; a negative start counts from the end."""
    whole = value if isinstance(value, list) else text_of(value)
    begin, count = _integer(start, "slice"), _integer(length, "slice")
    if begin < 0:
        begin += len(whole)
    return whole[begin : begin + count] if begin >= 0 and count > 0 else whole[:0]


def split(value: Json, separator: Json) -> list[Json]:
    text, between = text_of(value), text_of(separator)
    if not text or text == between:
        return []
    if (text.count(between) if between else len(text)) > _MAX_PARTS:
        raise RenderFault(f"a list of more than {_MAX_PARTS} items")
    if not between:
        return list(text)
    return list(text.split(None if between == " " else between))


def truncate(value: Json, length: Json = 50, end: Json = "...") -> str:
    text, limit, tail = text_of(value), _integer(length, "truncate"), text_of(end)
    return text if len(text) <= limit else text[: max(limit - len(tail), 0)] + tail


def truncatewords(value: Json, count: Json = 15, end: Json = "...") -> str:
    words, limit = text_of(value).split(), max(_integer(count, "truncatewords"), 1)
    return " ".join(words) if len(words) <= limit else " ".join(words[:limit]) + text_of(end)


def escape(value: Json) -> str:
    """The text as HTML; not escaped again by the place it stands in."""
    return SafeText(escape_html(text_of(value)))


def escape_once(value: Json) -> str:
    return SafeText(escape_html(html.unescape(text_of(value))))


def safe(value: Json) -> str:
    """The text is HTML already."""
    return SafeText(text_of(value))


def newline_to_br(value: Json) -> str:
    return _LINE_END.sub("<br />\n", text_of(value))


def newline_to_br_in_html(value: Json) -> str:
    text = value if type(value) is SafeText else escape_html(text_of(value))
    return SafeText(_LINE_END.sub("<br />\n", text))


def strip_html(value: Json) -> str:
    """The text without tags, comments, scripts and style sheets; an unclosed one stays."""
    text, kept, position = text_of(value), [], 0
    missing: set[str] = set()  # closings that do not occur again, so that no text is searched twice to its end
    while (start := text.find("<", position)) >= 0:
        kept.append(text[position:start])
        for opening, closing in _BLOCKS:
            if closing in missing or not text.startswith(opening, start):
                continue
            end = text.find(closing, start + len(opening))
            if end >= 0:
                position = end + len(closing)
                break
            missing.add(closing)
        else:
            kept.append("<")
            position = start + 1
    kept.append(text[position:])
    return "".join(kept)


def url_encode(value: Json) -> str:
    return urllib.parse.quote_plus(text_of(value))


def url_decode(value: Json) -> str:
    return urllib.parse.unquote_plus(text_of(value))


def base64_encode(value: Json) -> str:
    return base64.b64encode(text_of(value).encode()).decode()


def base64_decode(value: Json) -> str:
    return _decoded(base64.b64decode, value)


def base64_url_safe_encode(value: Json) -> str:
    return base64.urlsafe_b64encode(text_of(value).encode()).decode()


def base64_url_safe_decode(value: Json) -> str:
    return _decoded(base64.urlsafe_b64decode, value)


def _decoded(decode: Callable[[str], bytes], value: Json) -> str:
    try:
        return decode(text_of(value)).decode()
    except (binascii.Error, ValueError):
        raise RenderFault("not base64 of a text") from None


def _integer(value: Json, name: str) -> int:
    number = numbers.to_number(value)
    if number != numbers.floor(number) or not -(2**31) < number < 2**31:
        raise RenderFault(f"{name} expects a whole number")
    return int(number)


_BLOCKS = (("<script", "</script>"), ("<!--", "-->"), ("<style", "</style>"), ("<", ">"))

TEXT_FILTERS: Mapping[str, Callable[..., Json]] = {
    "append": append,
    "base64_decode": base64_decode,
    "base64_encode": base64_encode,
    "base64_url_safe_decode": base64_url_safe_decode,
    "base64_url_safe_encode": base64_url_safe_encode,
    "capitalize": capitalize,
    "downcase": on_text(str.lower),
    "escape": escape,
    "escape_once": escape_once,
    "lstrip": on_text(str.lstrip),
    "newline_to_br": newline_to_br,
    "prepend": prepend,
    "remove": remove,
    "remove_first": remove_first,
    "remove_last": remove_last,
    "replace": replace,
    "replace_first": replace_first,
    "replace_last": replace_last,
    "rstrip": on_text(str.rstrip),
    "safe": safe,
    "slice": slice_of,
    "split": split,
    "squish": on_text(lambda text: _BLANKS.sub(" ", text.strip())),
    "strip": on_text(str.strip),
    "strip_html": strip_html,
    "strip_newlines": on_text(lambda text: _LINE_END.sub("", text)),
    "truncate": truncate,
    "truncatewords": truncatewords,
    "upcase": on_text(str.upper),
    "url_decode": url_decode,
    "url_encode": url_encode,
}

HTML_TEXT_FILTERS: Mapping[str, Callable[..., Json]] = {"newline_to_br": newline_to_br_in_html}
