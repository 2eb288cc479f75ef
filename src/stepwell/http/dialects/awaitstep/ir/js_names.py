"""Names of JavaScript variables for nodes, made of their display names. Source: AwaitStep contract 10.3."""

import re
from collections.abc import Iterable
from typing import Final

from stepwell.http.dialects.awaitstep.ir.shape import Node

_WORDS = """
    break case catch class const continue debugger default delete do else enum export extends false finally for function
    if implements import in instanceof interface let new null package private protected public return static super
    switch this throw true try typeof var void while with yield await async arguments eval undefined NaN Infinity
"""
WORDS: Final = frozenset(_WORDS.split())
"""Words of JavaScript that no variable is named by."""
GIVEN: Final = frozenset(
    {"event", "env", "ctx", "trigger", "err", "input", "NonRetryableError", "console", "globalThis"}
)
"""Names that code has anyway."""

_OTHER = re.compile(r"[^A-Za-z0-9_$]")


def identifier(name: str) -> str:
    """A display name with `_` for what an identifier cannot have."""
    made = _OTHER.sub("_", name)
    return f"_{made}" if made[:1].isdigit() or not made else made


def js_names(nodes: Iterable[Node]) -> dict[str, str]:
    """The variable of each node by its id; a name that is taken already gets `_2`, `_3`, ..."""
    taken: set[str] = set(WORDS | GIVEN)
    names: dict[str, str] = {}
    for node in nodes:
        base = identifier(node.name)
        name, number = base, 2
        while name in taken or name.startswith("__"):
            name, number = f"{base.lstrip('_') or 'v'}_{number}", number + 1
        taken.add(name)
        names[node.id] = name
    return names


def mentions(code: str, name: str) -> bool:
    """Whether a piece of JavaScript may use a variable."""
    return re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", code) is not None
