"""JavaScript of a graph: how the code of nodes and the conditions of edges become code steps of the core."""

import re
from collections.abc import Sequence

import msgspec

from stepwell.core import Draft
from stepwell.values import Path

_DEFAULT = re.compile(r"^([ \t]*)export\s+default\s+", re.MULTILINE)
_NODES = re.compile(r"""(?<![\w$])nodes(?![\w$])(?:\??\.(?P<name>[\w$]+)|\[["'](?P<text>[^"'\\]*)["']\])?""")
_EXPORTED = "exported_default"


class Script(msgspec.Struct, frozen=True):
    """JavaScript whose syntax is to be checked before it is stored: a function body, or an expression."""

    path: Path
    code: str
    expression: bool = False


def body_of(code: str) -> str:
    """The function body of a code node. A default export is a function that is called with `{input, nodes, user}`; what
    it begins with changes within its line, so that the lines of errors stay those of the author."""
    body, exported = _DEFAULT.subn(rf"\1const {_EXPORTED} = ", code, count=1)
    return f"{body}\n;return await {_EXPORTED}({{input, nodes, user}});" if exported else code


def node_code(code: str) -> str:
    """The code step of a code node: it returns `{"value": ...}`."""
    return (
        f"return (async (input, nodes, user) => {{{body_of(code)}\n"
        "})(input.input, input.nodes, input.user).then((value) => ({value: value === undefined ? null : value}));"
    )


def gate_code(conditions: Sequence[str | None]) -> str:
    """The code step before a node: whether any edge to it is taken. Its input is `{output, ran?}` of the one edge, or
    `{edges: [{output, ran?}, ...]}`, with `input` and `nodes` beside it if a condition names them."""
    if len(conditions) == 1:
        parts = [_taken("input", conditions[0])]
    else:
        parts = [_taken(f"input.edges[{index}]", condition) for index, condition in enumerate(conditions)]
    return (
        "const taken = (edge, holds) => edge.ran !== false && Boolean(holds(edge.output, input.input, input.nodes));\n"
        f"return {{run: {' || '.join(parts)}}};"
    )


def names(code: str | None, name: str) -> bool:
    """Whether a piece of JavaScript may use a name."""
    return code is not None and re.search(rf"(?<![\w$]){name}(?![\w$])", code) is not None


def nodes_in(code: str) -> frozenset[str] | None:
    """The ids of the nodes that JavaScript reads as `nodes.<id>` or `nodes["<id>"]`; None if it may read any."""
    found = list(_NODES.finditer(code))
    if any(each["name"] is None and each["text"] is None for each in found):
        return None
    return frozenset(each["name"] or each["text"] for each in found)


def drafts(scripts: Sequence[Script]) -> list[Draft]:
    """The scripts as the core checks them."""
    return [
        Draft(script.code, ("output", "input", "nodes"), expression=True)
        if script.expression
        else Draft(body_of(script.code), ("input", "nodes", "user"))
        for script in scripts
    ]


def _taken(edge: str, condition: str | None) -> str:
    holds = "() => true" if condition is None else f"(output, input, nodes) => (\n{condition}\n)"
    return f"taken({edge}, {holds})"
