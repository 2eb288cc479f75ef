"""YAML as case files are written in it: JSON's values, each with the line it stands on."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from stepwell.errors import Fault
from stepwell.values import MAX_DEPTH, Json, Path

_TAG = "tag:yaml.org,2002:"
_PLAIN = (
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("bool", r"true|True|TRUE|false|False|FALSE", tuple("tTfF")),
    ("int", r"[-+]?[0-9]+", tuple("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.?[0-9]*)([eE][-+]?[0-9]+)?", tuple("-+.0123456789")),
    ("merge", r"<<", ("<",)),
)


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something wrong in a file: the line (None if unknown), the field (empty for the whole) and what it is."""

    line: int | None
    field: str
    message: str


class Malformed(Exception):
    """A file is no file of cases; everything that is wrong with it is listed."""

    def __init__(self, complaints: Iterable[Complaint]) -> None:
        self.complaints = list(complaints)
        super().__init__("; ".join(each.message for each in self.complaints))


Lines: TypeAlias = dict[Path, int]


@dataclass(frozen=True, slots=True)
class Document:
    """A file's value, and where its parts stand."""

    value: Json
    lines: Lines

    def line(self, path: Path) -> int | None:
        """The line of what stands at a path, or of the nearest thing around it."""
        return next((line for end in range(len(path), -1, -1) if (line := self.lines.get(path[:end]))), None)

    def complaint(self, path: Path, message: str) -> Complaint:
        """Something wrong at a path."""
        return Complaint(self.line(path), Fault(path, message).field, message)


def read(text: str) -> Document:
    """The value of a YAML text. Texts that look like times, and `yes` and `no`, are texts.

    Raises:
        Malformed: it is not YAML, repeats a key, or holds what JSON has no form for.
    """
    try:
        root = yaml.compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Malformed([Complaint(mark.line + 1 if mark else None, "", f"Not YAML: {error.problem}")]) from None
    except yaml.YAMLError as error:
        raise Malformed([Complaint(None, "", f"Not YAML: {error}")]) from None
    if root is None:
        raise Malformed([Complaint(1, "", "The file is empty")])
    reading = _Reading()
    value = reading.value(root, ())
    if reading.complaints:
        raise Malformed(reading.complaints)
    return Document(value, reading.lines)


def write(value: Json) -> str:
    """A value as YAML that `read`, and other programs, read as that value."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Reading:
    """One pass over the nodes of a file."""

    def __init__(self) -> None:
        self.lines: Lines = {}
        self.complaints: list[Complaint] = []
        self._endless = False

    def value(self, node: Node, path: Path) -> Json:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if self._endless or len(path) > MAX_DEPTH:
            if not self._endless:
                self._complain(node, path[:3], f"Nested deeper than {MAX_DEPTH}")
            self._endless = True  # what refers to itself twice would be read for ever
            return None
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Json]:
        merged: dict[str, Json] = {}
        own: dict[str, Json] = {}
        for key, child in node.value:
            if key.tag == f"{_TAG}merge":
                sources = child.value if isinstance(child, SequenceNode) else [child]
                for source in reversed(sources):
                    merged |= self.value(source, path) if isinstance(source, MappingNode) else {}
            elif not isinstance(key, ScalarNode):
                self._complain(key, path, "A key must be a text")
            elif key.value in own:
                self._complain(key, (*path, key.value), "This key stands here twice")
            else:
                self.lines[(*path, key.value)] = key.start_mark.line + 1
                own[key.value] = self.value(child, (*path, key.value))
        return merged | own

    def _scalar(self, node: Node, path: Path) -> Json:
        match node.tag.removeprefix(_TAG):
            case "str":
                return node.value
            case "null":
                return None
            case "bool":
                return node.value.lower() == "true"
            case "int":
                return int(node.value)
            case "float":
                return Decimal(node.value)
        self._complain(node, path, f"Values of the kind {node.tag} have no form in JSON")
        return None

    def _complain(self, node: Node, path: Path, message: str) -> None:
        self.complaints.append(Complaint(node.start_mark.line + 1, Fault(path, message).field, message))


class _Loader(yaml.SafeLoader):
    """Knows the plain values of YAML 1.2 only."""

    yaml_implicit_resolvers: dict[str, Any] = {}


class _Dumper(yaml.SafeDumper):
    """Puts in quotes what either version of YAML would take for something else than a text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _name, _pattern, _first in _PLAIN:
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"^(?:{_pattern})$"), list(_first))
    _Dumper.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"^(?:{_pattern})$"), list(_first))
_Dumper.add_representer(Decimal, lambda dumper, value: dumper.represent_scalar(f"{_TAG}float", format(value, "f")))
_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(f"{_TAG}str", text, style="|" if "\n" in text.strip() else None),
)
