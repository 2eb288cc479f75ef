"""The structure of a JSON Schema: its parts, its local references, and how much work they can make.

A schema of a kilobyte can ask for 2^40 evaluations by referring to the next definition twice, forty times over. Such
schemas are refused when a workflow is saved; `References.unbounded` says which.
"""

from collections.abc import Iterator
from urllib.parse import unquote

from stepwell.values import Json, Path

MAX_UNFOLDED = 100_000
MAX_LEVELS = 150
MIN_EFFORT, MAX_EFFORT = 3000, 30_000

_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLES = (
    *("items", "contains", "additionalProperties", "propertyNames", "unevaluatedItems", "unevaluatedProperties"),
    *("not", "if", "then", "else"),
)
_IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")
_POINTING = ("$ref", "$dynamicRef")


def subschemas(document: Json) -> Iterator[tuple[Path, dict[str, Json]]]:
    """Every object schema in a schema, with its path."""
    stack: list[tuple[Path, Json]] = [((), document)]
    while stack:
        path, schema = stack.pop()
        if isinstance(schema, dict):
            yield path, schema
            stack.extend(((*path, *where), child) for where, child in _parts(schema))


class References:
    """A schema with what its local references (`#`, `#/a/b`, `#anchor`) name."""

    def __init__(self, document: Json) -> None:
        self.document = document
        self._anchors = {
            schema[word]: schema
            for _, schema in subschemas(document)
            for word in ("$anchor", "$dynamicAnchor")
            if isinstance(schema.get(word), str)
        }
        self._sizes: dict[int, int] = {}
        self._alternatives = any("anyOf" in schema or "oneOf" in schema for _, schema in subschemas(document))
        self.unbounded = self._size(document, 0) >= MAX_UNFOLDED
        """Whether following the references makes too many subschemas, a recursive reference counted once."""

    def targets(self, schema: dict[str, Json]) -> list[Json]:
        """What the references of a schema name."""
        return [self._resolve(schema[word]) for word in _POINTING if isinstance(schema.get(word), str)]

    def together(self, *schemas: Json, words: tuple[str, ...] = ("allOf",)) -> list[dict[str, Json]]:
        """The object schemas that apply to one value: the schemas themselves, what they reference, and members of the
        `words`; each once."""
        found: dict[int, dict[str, Json]] = {}
        stack = list(reversed(schemas))
        while stack:
            schema = stack.pop()
            if not isinstance(schema, dict) or id(schema) in found:
                continue
            found[id(schema)] = schema
            for word in reversed(words):
                member = schema.get(word)
                stack.extend(reversed(member) if isinstance(member, list) else [member])
            stack.extend(self.targets(schema))
        return list(found.values())

    def untellable(self, value: Json) -> bool:
        """Whether saying what is wrong with a value could take time and memory out of proportion: the validator keeps
        the faults of every alternative inside every alternative."""
        if not self._alternatives:
            return False
        budget = min(MIN_EFFORT + 16 * sum(1 for _ in _nodes(value)), MAX_EFFORT)
        stack = [(self.document, value)]
        while stack and budget > 0:
            schema, node = stack.pop()
            if isinstance(schema, dict):
                budget -= 1
                stack.extend(self._applying(schema, node))
        return budget <= 0

    def _size(self, schema: Json, level: int) -> int:
        if not isinstance(schema, dict):
            return 1
        if level > MAX_LEVELS:
            return MAX_UNFOLDED
        known = self._sizes.get(id(schema))
        if known is not None:
            return known
        self._sizes[id(schema)] = 1  # what refers back to it counts once: validators remember what they have seen
        size = 1
        for child in (*(child for _, child in _parts(schema)), *self.targets(schema)):
            size = min(size + self._size(child, level + 1), MAX_UNFOLDED)
        self._sizes[id(schema)] = size
        return size

    def _resolve(self, reference: str) -> Json:
        pointer = unquote(reference[1:])
        if pointer and not pointer.startswith("/"):
            return self._anchors.get(pointer)
        node = self.document
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and key.isdecimal() and len(key) < 10 and int(key) < len(node):
                node = node[int(key)]
            elif isinstance(node, dict) and key in node:
                node = node[key]
            else:
                return None
        return node

    def _applying(self, schema: dict[str, Json], node: Json) -> Iterator[tuple[Json, Json]]:
        for target in self.targets(schema):
            yield target, node
        for word in _IN_PLACE:
            member = schema.get(word)
            for child in member if isinstance(member, list) else [member]:
                yield child, node
        for child in schema.get("dependentSchemas", {}).values():
            yield child, node
        if isinstance(node, dict):
            yield from _of_members(schema, node)
        elif isinstance(node, list):
            for index, item in enumerate(node):
                for child in _of_item(schema, index):
                    yield child, item


def _nodes(value: Json) -> Iterator[Json]:
    stack = [value]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())


def _parts(schema: dict[str, Json]) -> Iterator[tuple[Path, Json]]:
    for word in _MAPS:
        if isinstance(schema.get(word), dict):
            yield from (((word, name), child) for name, child in schema[word].items())
    for word in _LISTS:
        if isinstance(schema.get(word), list):
            yield from (((word, index), child) for index, child in enumerate(schema[word]))
    yield from (((word,), schema[word]) for word in _SINGLES if word in schema)


def _of_members(schema: dict[str, Json], node: dict[str, Json]) -> Iterator[tuple[Json, Json]]:
    properties, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    others = [schema.get("additionalProperties"), schema.get("unevaluatedProperties"), *patterns.values()]
    for name, child in node.items():
        yield properties.get(name), child
        for other in others:
            yield other, child


def _of_item(schema: dict[str, Json], index: int) -> list[Json]:
    firsts = schema.get("prefixItems", [])
    item = firsts[index] if index < len(firsts) else schema.get("items")
    return [item, schema.get("contains"), schema.get("unevaluatedItems")]
