"""Expressions that are too costly to be evaluated where the server's loop would stand still meanwhile.

Whoever evaluates may put `Answers` into the scope. A costly expression whose answer is not among them then raises
`Deferred`; the evaluator gets the answer elsewhere, adds it, and evaluates again: expressions are pure. Without such
answers in the scope everything is evaluated at once.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, TypeAlias

from stepwell.values import Json

ANSWERS = ""
"""The name of the answers in a scope; no expression can say it."""

Answers: TypeAlias = dict[bytes, Json]
"""By key: `{"value": ...}`, or `{"error": [type, message]}`."""


class Deferred(Exception):
    """An answer is wanted: the value of a CEL text for these variables."""

    def __init__(self, key: bytes, text: str, variables: Mapping[str, Any]) -> None:
        super().__init__("An expression is to be evaluated elsewhere")
        self.key = key
        self.text = text
        self.variables = variables


def key_of(text: str, encoded: bytes) -> bytes:
    """What tells one question from another: the text and its variables as JSON."""
    return hashlib.blake2b(
        encoded, key=hashlib.blake2b(text.encode(), digest_size=32).digest(), digest_size=16
    ).digest()
