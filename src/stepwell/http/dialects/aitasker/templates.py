"""Templates of nodes, translated to those of the core. Source: AITasker contract 7.2."""

import re
from collections.abc import Callable, Mapping

import msgspec

from stepwell.expressions import CompileFailed, compile_template
from stepwell.http.dialects.aitasker.names import uuid_of
from stepwell.values import Json, Path

Wrong = list[tuple[Path, str]]
"""Where in a value something is named in vain, and the words for it."""

_REGION = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_ALONE = re.compile(r"\{\{\s*([A-Za-z_]\w*)((?:\.[\w-]+|\[(?:-?\d+|\"[^\"]*\"|'[^']*')\])*)\s*\}\}")
_SEGMENT = re.compile(r"""\s*\.\s*(?P<plain>[\w-]+)|\[(?P<index>-?\d+)\]|\[["'](?P<key>[^"']*)["']\]""")
_ENDS = {"first": 0, "last": -1}
_PLAIN = re.compile(r"\{\{\s*([\w.\[\]\"'-]+)\s*\}\}")
_HEAD = re.compile(
    r"""(?P<skipped>"[^"]*"|'[^']*'|\|\s*\w+|\{%-?\s*\w+)"""
    r"""|(?<![\w.\]-])(?:"""
    r"""nodes(?:\s*\.\s*(?P<plain>[\w-]+)|\[\s*["']?(?P<keyed>[^"'\]]*)["']?\s*\])?(?P<output>\s*\.\s*output(?![\w-]))?(?![\w-])"""
    r"""|(?P<root>trigger)(?![\w-])"""
    r"""|(?P<name>[A-Za-z_]\w*)(?![\w-])(?P<path>(?:\s*\.\s*[\w-]+|\[(?:-?\d+|"[^"]*"|'[^']*')\])*))""",
    re.VERBOSE,
)
_PATH = re.compile(r"(?:trigger|nodes)(?:\.[\w-]+|\[(?:-?\d+|\"[^\"]*\"|'[^']*')\])+")
_NAME = re.compile(r"[A-Za-z_]\w*")


class Local(msgspec.Struct, frozen=True):
    """What a name of an input_mapping stands for: a value of the core's scope (`head`), the text of a template (`text`)
    that is put in its place, or an object or a list that holds templates (`members`), whose `head` is the same as it
    was written. `given` is the value as the core renders it."""

    given: Json
    head: str | None = None
    text: str | None = None
    members: "Mapping[str | int, Local] | None" = None

    def reached(self, path: str) -> "tuple[Local, str]":
        """What the members that a path names stand for, and what is left of the path there."""
        its, left = self, path
        while its.members is not None and (segment := _SEGMENT.match(left)):
            key = its.key(segment)
            if key is None:
                return Local(None, head=its.head), left
            its, left = its.members[key], left[segment.end() :]
        return its, left

    def key(self, segment: re.Match[str]) -> str | int | None:
        """Which member a segment of a path names, if there is one."""
        members = self.members or {}
        written = next(each for each in segment.groups() if each is not None)
        if isinstance(self.given, dict):
            return written if written in members else None
        at = int(written) if written.removeprefix("-").isdecimal() and len(written) < 20 else _ENDS.get(written)
        return None if at is None or not -len(members) <= at < len(members) else at % len(members)


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
    if its is None:
        return None
    its, left = its.reached("".join(map(_segment, name[1:])))
    if its.head is None:
        return None
    core = _segments(its.head + left)
    return None if core[0] == "variables" else core


def translated(value: Json, place: Place, wrong: Wrong, path: Path = ()) -> Json:
    """The value with its templates as the core writes them; what they name in vain is added to `wrong`."""
    if isinstance(value, dict):
        return {name: translated(child, place, wrong, (*path, name)) for name, child in value.items()}
    if isinstance(value, list):
        return [translated(child, place, wrong, (*path, index)) for index, child in enumerate(value)]
    if not isinstance(value, str) or not _is_template(value):
        return value
    its = _alone(value, place)
    return _text(value, place, wrong, path) if its is None or its.members is None else its.given


def local(value: Json, place: Place, constant: str, wrong: Wrong, path: Path) -> tuple[Local, bool]:
    """What one member of an input_mapping stands for, and whether it is to be kept as the constant of that path: a
    literal, or an object or a list that holds some."""
    if isinstance(value, str) and "{" not in value and value.startswith(("trigger.", "nodes.")):
        if not _PATH.fullmatch(value):
            wrong.append((path, f"Not a path: {value}"[:300]))
            return Local(None), True
        core = _text(f"{{{{{value}}}}}", place, wrong, path)
        return Local(core, head=core[2:-2]), False
    if isinstance(value, str) and _is_template(value):
        return _of_text(value, place, wrong, path), False
    if _holds_templates(value):
        return _of_members(value, place, constant, wrong, path), True
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


def _is_template(text: str) -> bool:
    return "{{" in text or "{%" in text


def _holds_templates(value: Json) -> bool:
    if isinstance(value, dict | list):
        return any(map(_holds_templates, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and _is_template(value)


def _of_text(text: str, place: Place, wrong: Wrong, path: Path) -> Local:
    core = _text(text, place, wrong, path)
    plain = _PLAIN.fullmatch(core)
    return Local(core, head=plain[1]) if plain else Local(core, text=core)


def _of_members(value: Json, place: Place, constant: str, wrong: Wrong, path: Path) -> Local:
    """What an object, a list or a part of them stands for, `constant` being where it is kept as it was written."""
    if isinstance(value, str) and _is_template(value):
        return _of_text(value, place, wrong, path)
    if not _holds_templates(value):
        return Local(value, head=constant)
    listed = value.items() if isinstance(value, dict) else enumerate(value)
    members: dict[str | int, Local] = {
        key: _of_members(child, place, constant + _segment(key), wrong, (*path, key)) for key, child in listed
    }
    given = [its.given for its in members.values()]
    return Local(dict(zip(members, given, strict=True)) if isinstance(value, dict) else given, constant, None, members)


def _segment(key: str | int) -> str:
    """How a path names a member."""
    if isinstance(key, int):
        return f"[{key}]"
    if is_name(key):
        return f".{key}"
    return f"['{key}']" if '"' in key else f'["{key}"]'


def _alone(text: str, place: Place) -> Local | None:
    """What a text stands for that is nothing but a name of the node's own or one of its members."""
    found = _ALONE.fullmatch(text)
    its = place.names.get(found[1]) if found else None
    if found is None or its is None:
        return None
    its, left = its.reached(found[2])
    return None if left else its


def _text(text: str, place: Place, wrong: Wrong, path: Path) -> str:
    before: dict[str, str] = {}  # texts that must be worked out in front of this one, and the names that they are given

    def told(fault: str) -> str:
        if (path, fault) not in wrong:
            wrong.append((path, fault))
        return "input"  # which is always there

    def head(found: re.Match[str]) -> str:
        if found["skipped"] is not None:
            return found[0]
        if found["root"] is not None:
            return "input"
        if found["name"] is not None:
            return _name(found["name"], found["path"], place, before, told)
        return _node(found, place, told)

    def region(found: re.Match[str]) -> str:
        its = _alone(found[0], place)
        return its.text if its is not None and its.text is not None else _HEAD.sub(head, found[0])

    core = _REGION.sub(region, text)
    return "".join(f"{{% capture {name} %}}{each}{{% endcapture %}}" for each, name in before.items()) + core


def _name(name: str, path: str, place: Place, before: dict[str, str], told: Callable[[str], str]) -> str:
    """A name of the node's own; any other is the core's to judge, as a loop in the text may have given it."""
    its = place.names.get(name)
    if its is None:
        return name + path
    its, left = its.reached(path)
    if its.members is not None:
        written = (name + path)[:200]
        return told(f"{written} holds templates: write {{{{{written}}}}} and nothing else, or name its members")
    if its.text is None:
        return f"{its.head}{left}"
    return before.setdefault(its.text, f"mapped_{len(before)}") + left


def _node(found: re.Match[str], place: Place, told: Callable[[str], str]) -> str:
    """What the head of a path becomes."""
    written = found["plain"] or found["keyed"]
    if written is None:
        return told("Write nodes.<id or position>.output")
    id = _canonical(written)
    if id.isdecimal():
        if id not in place.positions:
            return told(f"No node has position {id}"[:300])
        at = place.positions[id]
        if at is None:
            return told(f"Several nodes have position {id}; name one by its id"[:300])
        id = at
    if id not in place.known:
        return told(f"Unknown node: {written}"[:300])
    if id not in place.outputs:
        return told(f"Node {written} does not come before this one"[:300])
    if found["output"] is None:
        return told(f"Write nodes.{written}.output"[:300])
    return place.outputs[id]


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
