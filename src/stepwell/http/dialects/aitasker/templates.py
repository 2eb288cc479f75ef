"""Templates of nodes, translated to those of the core. Source: AITasker contract 7.2."""

import re
from collections.abc import Mapping

import msgspec

from stepwell.expressions import CompileFailed, compile_template
from stepwell.http.dialects.aitasker.names import uuid_of
from stepwell.values import Json, Path

Wrong = list[tuple[Path, str]]
"""Where in a value something is named in vain, and the words for it."""

_REGION = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_ALONE = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")
_PLAIN = re.compile(r"\{\{\s*([\w.\[\]\"'-]+)\s*\}\}")
_HEAD = re.compile(
    r"""(?P<skipped>"[^"]*"|'[^']*'|\|\s*\w+|\{%-?\s*\w+)"""
    r"""|(?<![\w.\]-])(?:"""
    r"""nodes(?:\s*\.\s*(?P<plain>[\w-]+)|\[\s*["']?(?P<keyed>[^"'\]]*)["']?\s*\])?(?P<output>\s*\.\s*output(?![\w-]))?(?![\w-])"""
    r"""|(?P<root>trigger)(?![\w-])"""
    r"""|(?P<name>[A-Za-z_]\w*)(?![\w-]))""",
    re.VERBOSE,
)
_PATH = re.compile(r"(?:trigger|nodes)(?:\.[\w-]+|\[(?:-?\d+|\"[^\"]*\"|'[^']*')\])+")
_NAME = re.compile(r"[A-Za-z_]\w*")


class Local(msgspec.Struct, frozen=True):
    """What a name of an input_mapping stands for: a value of the core's scope (`head`), or the text of a template
    (`text`) that is put in its place. `given` is the value as the core renders it."""

    given: Json
    head: str | None = None
    text: str | None = None


class Place(msgspec.Struct, frozen=True):
    """What the templates of one node may name: `outputs` are the core's paths to the outputs of the nodes before it, by
    id; `positions` the one node of each position, None where several share it; `known` all nodes; `names` its own."""

    outputs: Mapping[str, str]
    positions: Mapping[str, str | None]
    known: frozenset[str]
    names: Mapping[str, Local] = {}

    def found(self, written: str) -> str | None:
        """The node before this one that an id or a position names."""
        id = _canonical(written)
        id = (self.positions.get(id) or "") if id.isdecimal() else id
        return id if id in self.outputs else None

    @property
    def outside(self) -> "Place":
        """The same without the node's own names."""
        return msgspec.structs.replace(self, names={})


def core_path(name: Path, place: Place) -> Path | None:
    """Where the core keeps what a template names; None of what is no fixed place of it."""
    if name[0] == "trigger":
        return ("input", *name[1:])
    if name[0] == "nodes":
        id = place.found(str(name[1])) if len(name) > 2 and name[2] == "output" else None
        return None if id is None else (*_segments(place.outputs[id]), *name[3:])
    its = place.names.get(str(name[0]))
    if its is None or its.head is None:
        return None
    core = _segments(its.head)
    return None if core[0] == "variables" else (*core, *name[1:])


def translated(value: Json, place: Place, wrong: Wrong, path: Path = ()) -> Json:
    """The value with its templates as the core writes them; what they name in vain is added to `wrong`."""
    if isinstance(value, dict):
        return {name: translated(child, place, wrong, (*path, name)) for name, child in value.items()}
    if isinstance(value, list):
        return [translated(child, place, wrong, (*path, index)) for index, child in enumerate(value)]
    if not isinstance(value, str) or ("{{" not in value and "{%" not in value):
        return value
    return _text(value, place, wrong, path)


def local(value: Json, place: Place, constant: str, wrong: Wrong, path: Path) -> tuple[Local, bool]:
    """What one member of an input_mapping stands for, and whether it is a literal, which is to be kept as the constant
    of that path."""
    if isinstance(value, str) and "{" not in value and value.startswith(("trigger.", "nodes.")):
        if not _PATH.fullmatch(value):
            wrong.append((path, f"Not a path: {value}"[:300]))
            return Local(None), True
        core = _text(f"{{{{{value}}}}}", place, wrong, path)
        return Local(core, head=core[2:-2]), False
    if isinstance(value, str) and ("{{" in value or "{%" in value):
        core = _text(value, place, wrong, path)
        plain = _PLAIN.fullmatch(core)
        return Local(core, head=plain[1]) if plain else Local(core, text=core), False
    return Local(f"{{{{{constant}}}}}", head=constant), True


def is_name(text: str) -> bool:
    """Whether templates can say this name of an input_mapping."""
    return _NAME.fullmatch(text) is not None


def named_nodes(value: Json) -> frozenset[str]:
    """What `nodes.<...>` is followed by in all texts of a value: ids and positions as they are written."""
    found: set[str] = set()
    left = [value]
    while left:
        node = left.pop()
        if isinstance(node, str):
            regions = [node] if node.startswith("nodes.") else _REGION.findall(node)
            heads = [head for region in regions for head in _HEAD.finditer(region)]
            found.update(_canonical(each) for head in heads if (each := head["plain"] or head["keyed"]))
        elif isinstance(node, dict | list):
            left.extend(node.values() if isinstance(node, dict) else node)
    return frozenset(found)


def _text(text: str, place: Place, wrong: Wrong, path: Path) -> str:
    before: dict[str, str] = {}  # what must be worked out in front of the text

    def head(found: re.Match[str]) -> str:
        if found["skipped"] is not None:
            return found[0]
        if found["root"] is not None:
            return "input"
        if found["name"] is not None:
            return _name(found["name"], place, before)
        core, fault = _node(found, place)
        if fault is not None and (path, fault) not in wrong:
            wrong.append((path, fault))
        return core

    def region(found: re.Match[str]) -> str:
        alone = _ALONE.fullmatch(found[0])
        its = place.names.get(alone[1]) if alone else None
        return its.text if its is not None and its.text is not None else _HEAD.sub(head, found[0])

    core = _REGION.sub(region, text)
    return "".join(before.values()) + core


def _name(name: str, place: Place, before: dict[str, str]) -> str:
    """A name of the node's own; any other is the core's to judge, as a loop in the text may have given it."""
    its = place.names.get(name)
    if its is None:
        return name
    if its.head is not None:
        return its.head
    made = f"mapped_{name}"
    before[name] = f"{{% capture {made} %}}{its.text}{{% endcapture %}}"
    return made


def _node(found: re.Match[str], place: Place) -> tuple[str, str | None]:
    """What the head of a path becomes, and what is wrong with it; then it becomes the input, which is always there."""
    written = found["plain"] or found["keyed"]
    if written is None:
        return "input", "Write nodes.<id or position>.output"
    id = _canonical(written)
    if id.isdecimal():
        if id not in place.positions:
            return "input", f"No node has position {id}"[:300]
        at = place.positions[id]
        if at is None:
            return "input", f"Several nodes have position {id}; name one by its id"[:300]
        id = at
    if id not in place.known:
        return "input", f"Unknown node: {written}"[:300]
    if id not in place.outputs:
        return "input", f"Node {written} does not come before this one"[:300]
    if found["output"] is None:
        return "input", f"Write nodes.{written}.output"[:300]
    return place.outputs[id], None


def _segments(head: str) -> Path:
    """The path that a head of the core's is."""
    try:
        [(_, path)] = compile_template(f"{{{{{head}}}}}").references
    except (CompileFailed, ValueError):
        return ("variables",)  # told of when the whole is compiled
    return path


def _canonical(written: str) -> str:
    """An id or position as it is compared."""
    if written.isdecimal() and len(written) < 20:
        return str(int(written))
    return uuid_of(written) or written
