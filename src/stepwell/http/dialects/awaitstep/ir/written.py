"""How fields of nodes may be written: as values, as JSON text of them, or as JavaScript. Source: AwaitStep contract
10.2, 10.3."""

import msgspec

from stepwell import values
from stepwell.http.dialects.awaitstep.ir import expressions
from stepwell.http.dialects.awaitstep.ir.shape import Node
from stepwell.values import InvalidJson, Json


class Written(msgspec.Struct, frozen=True):
    """What a field says: a value whose texts may hold expressions, or an expression in JavaScript (`code`)."""

    value: Json
    code: bool = False


def written_pairs(node: Node, field: str) -> Json:
    """Headers or query parameters: an object, JSON text of one, or one expression; None if it is something else."""
    given = node.data[field]
    if isinstance(given, str):
        if expressions.whole(given) is not None:
            return given
        given = _json(given)
    return given if isinstance(given, dict) else None


def written_body(node: Node) -> Written:
    """A body: JSON, also as text; a text if its Content-Type says so; any other text is JavaScript."""
    given = node.data["body"]
    if not isinstance(given, str) or expressions.whole(given) is not None:
        return Written(given)
    found = _json(given)
    if found is not None:
        return Written(found)
    literal = expressions.is_literal(given) and not given.lstrip().startswith(("{", "[", "`"))
    return Written(given, code=not (literal or _is_text(node)))


def written_input(node: Node, field: str) -> Written:
    """What is handed to another workflow: JSON, also as text; any other text is JavaScript unless it is one
    expression."""
    given = node.data.get(field)
    if not isinstance(given, str) or expressions.whole(given) is not None:
        return Written(given)
    found = _json(given)
    if found is not None or not given.strip():
        return Written(found)
    return Written(given, code=True)


def _json(text: str) -> Json:
    """The value of JSON text, None if it is none; the quotes in expressions may be those of the text."""
    for each in dict.fromkeys((text, expressions.requoted(text))):
        try:
            return values.decode(each.encode())
        except (InvalidJson, ValueError):
            continue
    return None


def _is_text(node: Node) -> bool:
    headers = node.data.get("headers")
    given = _json(headers) if isinstance(headers, str) else headers
    if not isinstance(given, dict):
        return False
    stated = next((value for name, value in given.items() if name.lower() == "content-type"), None)
    return isinstance(stated, str) and "json" not in stated.lower()
