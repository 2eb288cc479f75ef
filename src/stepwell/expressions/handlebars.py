"""Handlebars blocks in e-mail texts, read as the Liquid tags they stand for.

`{{#if x}} {{#unless x}} {{#each x}} {{else}} {{/if}}`, `this` and `@index`. Source: LoopFour contract 9.4.
"""

import re

from liquid.token import TOKEN_DOT, TOKEN_EXPRESSION, TOKEN_TAG, TOKEN_WORD, Token

INDEX = "@index"

_OPEN = re.compile(r"\s*#(if|unless|each)\s+(?=\S)")
_CLOSE = re.compile(r"\s*(?:/(if|unless|each)|(else))\s*")
_ENDS = {"if": "endif", "unless": "endunless", "each": "endfor"}


def block(text: str, begin: int, end: int) -> list[Token] | None:
    """The tag that the statement between `begin` and `end` stands for, or None if it is no Handlebars block."""
    opening = _OPEN.match(text, begin, end)
    if opening is not None:
        kind, subject = opening.group(1), text[opening.end() : end].rstrip()
        tag = "for" if kind == "each" else kind
        condition = f"this in {subject}" if kind == "each" else _truth(subject)
        # The position is off by what stands before the subject, which comes last so that faults in it are found there.
        at = opening.end() - (len("this in ") if kind == "each" else 0)
        return [Token(TOKEN_TAG, tag, opening.start(1), text), Token(TOKEN_EXPRESSION, condition, at, text)]
    closing = _CLOSE.fullmatch(text, begin, end)
    if closing is None:
        return None
    name = _ENDS[closing.group(1)] if closing.group(1) else "else"
    return [Token(TOKEN_TAG, name, begin, text)]


def index_tokens(at: int, source: str) -> list[Token]:
    """`@index` as the path it stands for."""
    return [
        Token(TOKEN_WORD, "forloop", at, source),
        Token(TOKEN_DOT, ".", at, source),
        Token(TOKEN_WORD, "index0", at, source),
    ]


def _truth(subject: str) -> str:
    # Handlebars takes an empty text or list and 0 for false, Liquid does not.
    return f"{subject} and {subject} != empty and {subject} != 0"
