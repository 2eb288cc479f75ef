"""YAML read as JSON: built from the parser's events, so that depth and the growth by aliases are bounded."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import yaml

from stepwell.values import MAX_DEPTH, Json

MAX_NODES = 2_000_000
"""Values of a document once its aliases are written out; a text of 10 MiB without aliases has fewer."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}")
_FRACTION = re.compile(r"[-+]?(\.[0-9]{1,300}|[0-9]{1,300}(\.[0-9]{0,300})?)([eE][-+]?[0-9]{1,2})?")
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    word: word.lower() == "true" for name in ("true", "false") for word in (name, name.title(), name.upper())
}
_CORE = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset({_CORE + name for name in ("null", "bool", "int", "float")})
_CONTAINER_TAGS = frozenset({None, "!", _CORE + "map", _CORE + "seq"})
_TEXT_TAGS = frozenset({"!", _CORE + "str"})


class BadYaml(ValueError):
    """The text is not YAML, or uses what JSON does not have; the message says where."""


@dataclass(slots=True)
class _Open:
    """A list or object that is being read."""

    value: Any
    anchor: str | None
    key: str | None = None
    size: int = 1


def read_yaml(text: str) -> Json:
    """The JSON value of a YAML text of one document. Scalars are read by YAML's JSON schema: `no` and `2024-01-15` are
    texts. Aliases share what they name.

    Raises:
        BadYaml.
    """
    try:
        return _Reader().read(yaml.parse(text, Loader=_Loader))
    except yaml.YAMLError as error:
        raise BadYaml(" ".join(str(error).split())[:300]) from None


class _Reader:
    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Json, int]] = {}
        self._size = 0
        self._documents: list[Json] = []

    def read(self, events: Iterator[Any]) -> Json:
        for event in events:
            self._take(event)
        if len(self._documents) != 1:
            raise BadYaml("one document was expected")
        return self._documents[0]

    def _take(self, event: Any) -> None:
        match event:
            case yaml.ScalarEvent():
                if self._is_key():
                    self._key(event)
                else:
                    self._put(_scalar(event), event.anchor, 1, event)
            case yaml.AliasEvent():
                if event.anchor not in self._anchors:
                    raise BadYaml(f"the alias {event.anchor} names nothing that is complete ({_line(event)})")
                value, size = self._anchors[event.anchor]
                self._put(value, None, size, event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                if len(self._open) >= MAX_DEPTH:
                    raise BadYaml(f"nested deeper than {MAX_DEPTH} ({_line(event)})")
                if self._is_key():
                    raise BadYaml(f"a key is not a text ({_line(event)})")
                if event.tag not in _CONTAINER_TAGS:
                    raise _bad_tag(event)
                self._open.append(_Open({} if isinstance(event, yaml.MappingStartEvent) else [], event.anchor))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                done = self._open.pop()
                self._put(done.value, done.anchor, done.size, event)

    def _is_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _key(self, event: Any) -> None:
        if event.value == "<<" and event.implicit[0]:
            raise BadYaml(f"merge keys (<<) are not JSON ({_line(event)})")
        self._open[-1].key = event.value

    def _put(self, value: Json, anchor: str | None, size: int, event: Any) -> None:
        if anchor is not None:
            self._anchors[anchor] = (value, size)
        if not self._open:
            self._documents.append(value)
            return
        holder = self._open[-1]
        if self._is_key():
            raise BadYaml(f"a key is not a text ({_line(event)})")
        holder.size += size
        if holder.size > MAX_NODES:
            raise BadYaml(f"more than {MAX_NODES} values once its aliases are written out")
        if isinstance(holder.value, dict):
            holder.value[holder.key], holder.key = value, None
        else:
            holder.value.append(value)


def _scalar(event: Any) -> Json:
    text: str = event.value
    tag = event.tag
    if tag in _TEXT_TAGS or (tag is None and not event.implicit[0]):
        return text
    if tag is not None and tag not in _PLAIN_TAGS:
        raise _bad_tag(event)
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return Decimal(text) if _FRACTION.fullmatch(text) else text


def _bad_tag(event: Any) -> BadYaml:
    return BadYaml(f"the tag {event.tag[:100]} is not JSON ({_line(event)})")


def _line(event: Any) -> str:
    return f"line {event.start_mark.line + 1}"
