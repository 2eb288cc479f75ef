"""Tokens of Liquid: statements of a template text, and words of one expression with the contract's paths.

Takes the place of python-liquid's own lexer, whose paths know no numeric segments and no Liquid words, and whose
regular expressions take quadratic time on hostile text.
"""

import re
from collections.abc import Iterator

from liquid.token import (
    TOKEN_COLON,
    TOKEN_COMMA,
    TOKEN_CONTENT,
    TOKEN_DOT,
    TOKEN_EXPRESSION,
    TOKEN_FLOAT,
    TOKEN_IDENTINDEX,
    TOKEN_IDENTSTRING,
    TOKEN_INTEGER,
    TOKEN_LBRACKET,
    TOKEN_OUTPUT,
    TOKEN_PIPE,
    TOKEN_RANGE,
    TOKEN_RANGE_LITERAL,
    TOKEN_RBRACKET,
    TOKEN_RPAREN,
    TOKEN_STRING,
    TOKEN_TAG,
    TOKEN_WORD,
    Token,
    operators,
)

from stepwell.expressions import handlebars as hb
from stepwell.expressions.errors import SyntaxFault, excerpt

MAX_STATEMENTS = 5000

_LITERALS = frozenset({"true", "false", "nil", "null", "empty", "blank"})
_KEYWORDS = _LITERALS | {"and", "or", "contains", "in", "offset", "limit", "reversed", "continue", "not"}
_OPENING = re.compile(r"\{[{%]")
_TAG_NAME = re.compile(r"\s*(\w*)\s*")
_ENDRAW = re.compile(r"\{%-?\s*endraw\s*-?%\}")
_COMMENT_EDGE = re.compile(r"\{%-?\s*(comment|endcomment)\b")
_SEGMENT = re.compile(r"\.(\w[\w-]*)")
_WORD = re.compile(
    r"(?P<index>\[\s*(?P<at>-?[0-9]{1,9})\s*\])|(?P<name>\[\s*(?P<q>[\"'])(?P<key>.*?)(?P=q)\s*\])"
    r"|(?P<string>(?P<quote>[\"'])(?P<quoted>.*?)(?P=quote))|(?P<range>\.\.)"
    r"|(?P<float>-?[0-9]+\.[0-9]+(?![\w-]))|(?P<integer>-?[0-9]+(?![\w-]))|(?P<word>\w[\w-]*)"
    r"|(?P<mark>[():,|\[\]])|(?P<op>[!=<>]{1,2})|(?P<skip>\s+)",
    re.DOTALL,
)
_MARKS = {
    "(": TOKEN_RANGE_LITERAL,
    ")": TOKEN_RPAREN,
    ":": TOKEN_COLON,
    ",": TOKEN_COMMA,
    "|": TOKEN_PIPE,
    "[": TOKEN_LBRACKET,
    "]": TOKEN_RBRACKET,
}
_AFTER_ATOM = frozenset({TOKEN_WORD, TOKEN_IDENTINDEX, TOKEN_IDENTSTRING, TOKEN_RBRACKET})


def statements(text: str, handlebars: bool = False) -> Iterator[Token]:
    """Tokens of a template: content, output statements and tags; comments are dropped, raw parts become content.

    Raises:
        SyntaxFault: an unclosed statement, comment or raw part, or more than 5000 statements.
    """
    position, count, trim = 0, 0, False
    while (opening := _OPENING.search(text, position)) is not None:
        start = opening.start()
        content = text[position:start]
        trimmed = text.startswith("-", start + 2)
        yield from _content(text, position, content, trim, trimmed)
        count += 1
        if count > MAX_STATEMENTS:
            raise SyntaxFault(f"More than {MAX_STATEMENTS} expressions in one text", start)
        position, trim, tokens = _statement(text, start, trimmed, handlebars)
        yield from tokens
    yield from _content(text, position, text[position:], trim, False)


def words(text: str, at: int, source: str, *, tag: bool, handlebars: bool = False) -> Iterator[Token]:
    """Tokens of one expression that stands at `at` of `source`. A word after a dot is a name, whatever it is.

    Raises:
        SyntaxFault: a character that no expression has, or an unclosed text.
    """
    keywords = _KEYWORDS if tag else _LITERALS
    position, last = 0, ""
    while position < len(text):
        segment = _SEGMENT.match(text, position) if last in _AFTER_ATOM else None
        if segment is not None:
            yield Token(TOKEN_DOT, ".", at + position, source)
            yield Token(TOKEN_WORD, segment.group(1), at + position + 1, source)
            position, last = segment.end(), TOKEN_WORD
            continue
        if handlebars and text.startswith(hb.INDEX, position):
            yield from hb.index_tokens(at + position, source)
            position, last = position + len(hb.INDEX), TOKEN_WORD
            continue
        match = _WORD.match(text, position)
        if match is None:
            raise SyntaxFault(f"Unexpected '{text[position]}'", at + position)
        kind, value = _kind(match, keywords, at)
        follows = text[match.end() : match.end() + 1]
        if kind == value and value in keywords and follows in (".", "[") and not text.startswith("..", match.end()):
            kind = TOKEN_WORD
        if kind:
            yield Token(kind, value, at + position, source)
            last = kind
        else:
            last = ""
        position = match.end()


def _content(text: str, at: int, content: str, left: bool, right: bool) -> Iterator[Token]:
    if left:
        content = content.lstrip()
    if right:
        content = content.rstrip()
    if content:
        yield Token(TOKEN_CONTENT, content, at, text)


def _statement(text: str, start: int, trimmed: bool, handlebars: bool) -> tuple[int, bool, list[Token]]:
    # The statement that opens at `start`: where it ends, whether blanks after it go, its tokens.
    inner = start + (3 if trimmed else 2)
    is_tag = text[start + 1] == "%"
    closing = "%}" if is_tag else "}}"
    end = _closing(text, inner, closing)
    if end < 0:
        raise SyntaxFault(f"Missing '{closing}' after '{excerpt(text[start:], 20)}'", start)
    stop = end - 1 if end > inner and text[end - 1] == "-" else end
    trim = stop < end
    if not is_tag:
        block = hb.block(text, inner, stop) if handlebars else None
        return end + 2, trim, block if block is not None else _output(text, start, inner, stop)
    name = _TAG_NAME.match(text, inner, stop)
    word = name.group(1) if name else ""
    if word == "raw":
        return _raw(text, end + 2)
    if word == "comment":
        return *_comment(text, end + 2, start), []
    tokens = [Token(TOKEN_TAG, word, start, text)]
    begin = name.end() if name else inner
    rest = text[begin:stop].rstrip()
    if rest:
        tokens.append(Token(TOKEN_EXPRESSION, rest, begin, text))
    return end + 2, trim, tokens


def _closing(text: str, position: int, closing: str) -> int:
    # A closing inside quotes does not close; if quotes do not pair, the first one does.
    first = text.find(closing, position)
    if first < 0 or not ("'" in text[position:first] or '"' in text[position:first]):
        return first
    quote, limit = "", min(len(text), first + 10_000)
    for index in range(position, limit):
        character = text[index]
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif text.startswith(closing, index):
            return index
    return first


def _output(text: str, start: int, inner: int, stop: int) -> list[Token]:
    body = text[inner:stop]
    lead = len(body) - len(body.lstrip())
    return [Token(TOKEN_OUTPUT, "{{", start, text), Token(TOKEN_EXPRESSION, body.strip(), inner + lead, text)]


def _raw(text: str, begin: int) -> tuple[int, bool, list[Token]]:
    closing = _ENDRAW.search(text, begin)
    if closing is None:
        raise SyntaxFault("Missing '{% endraw %}'", begin)
    tokens = [Token(TOKEN_CONTENT, text[begin : closing.start()], begin, text)] if closing.start() > begin else []
    return closing.end(), closing.group().endswith("-%}"), tokens


def _comment(text: str, position: int, start: int) -> tuple[int, bool]:
    depth = 1
    for edge in _COMMENT_EDGE.finditer(text, position):
        depth += 1 if edge.group(1) == "comment" else -1
        if depth == 0:
            end = text.find("%}", edge.end())
            if end >= 0:
                return end + 2, text[end - 1] == "-"
            break
    raise SyntaxFault("Missing '{% endcomment %}'", start)


def _kind(match: "re.Match[str]", keywords: frozenset[str], at: int) -> tuple[str, str]:
    # The token's kind and value; no kind for blanks.
    group, value = match.lastgroup or "", match.group()
    if match.group("index") is not None:
        return TOKEN_IDENTINDEX, match.group("at")
    if match.group("name") is not None:
        return TOKEN_IDENTSTRING, match.group("key")
    if match.group("string") is not None:
        return TOKEN_STRING, match.group("quoted")
    if group == "word":
        return (value if value in keywords else TOKEN_WORD), value
    if group == "mark":
        return _MARKS[value], value
    if group == "op":
        if value not in operators:
            raise SyntaxFault(f"Unknown operator '{value}'", at + match.start())
        return operators[value], value
    kinds = {"float": TOKEN_FLOAT, "integer": TOKEN_INTEGER, "range": TOKEN_RANGE, "skip": ""}
    return kinds[group], value
