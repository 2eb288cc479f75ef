"""Templates of a graph, translated to those of the core. Source: Flowra contract 7.2."""

import re
from collections.abc import Mapping

import msgspec

from stepwell.values import Json

_REGION = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_HEAD = re.compile(
    r"""(?P<text>"[^"]*"|'[^']*')"""
    r"""|(?<![\w.\]-])(?:"""
    r"""nodes(?:\s*\.\s*(?P<plain>[\w-]+)|\[\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)')\s*\])(?P<output>\s*\.\s*output(?![\w-]))?"""
    r"""|(?P<root>nodes|output|trigger|user)(?![\w-]))""",
    re.VERBOSE,
)


class Place(msgspec.Struct, frozen=True):
    """What the templates of one node may name. `outputs` are the core's paths to the outputs of the nodes upstream, by
    id; `output` is that of the single source, None if there are more; `known` are the ids of all nodes."""

    node: str
    outputs: Mapping[str, str]
    output: str | None
    known: frozenset[str]


def translated(value: Json, place: Place, wrong: list[tuple[tuple[str | int, ...], str]]) -> Json:
    """The value with its templates as the core writes them; what they name in vain is added to `wrong`."""
    return _translated(value, place, wrong, ())


def _translated(
    value: Json, place: Place, wrong: list[tuple[tuple[str | int, ...], str]], path: tuple[str | int, ...]
) -> Json:
    if isinstance(value, dict):
        return {name: _translated(child, place, wrong, (*path, name)) for name, child in value.items()}
    if isinstance(value, list):
        return [_translated(child, place, wrong, (*path, index)) for index, child in enumerate(value)]
    if not isinstance(value, str) or ("{{" not in value and "{%" not in value):
        return value

    def head(found: re.Match[str]) -> str:
        if found["text"] is not None:
            return found[0]
        core, fault = _core_path(found, place)
        if fault is not None and (path, fault) not in wrong:
            wrong.append((path, fault))
        return core

    return _REGION.sub(lambda region: _HEAD.sub(head, region[0]), value)


def _core_path(found: re.Match[str], place: Place) -> tuple[str, str | None]:
    """What the head of a path becomes, and what is wrong with it; then it becomes the input, which is always there."""
    if found["root"] == "trigger":
        return "input.trigger", None
    if found["root"] == "user":
        return "run.user", None
    if found["root"] == "output":
        if place.output is None:
            return "input", "output stands only behind a single edge; write nodes.<id>.output"
        return place.output, None
    node = found["plain"] or found["double"] or found["single"]
    if node is None:
        return "input", "Write nodes.<id>.output"
    if node not in place.known:
        return "input", f"Unknown node: {node}"[:300]
    if node not in place.outputs:
        return "input", f"Node {node} is not upstream of {place.node}"[:300]
    if found["output"] is None:
        return "input", f"Write nodes.{node}.output"[:300]
    return place.outputs[node], None
