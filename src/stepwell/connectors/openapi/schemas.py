"""Schemas: those of OpenAPI 3.0 and 3.1 as plain JSON Schema, references written out, cycles and sizes cut."""

from decimal import Decimal
from functools import lru_cache
from typing import TypeGuard

import jsonschema_rs

from stepwell.connectors.openapi.document import CannotImport, Document
from stepwell.values import Json

MAX_LEVELS = 24
MAX_NODES = 1000
MAX_ALL_NODES = 60_000
MIN_NODES = 25
MAX_CHOICES = 1000
MAX_FIELDS = 1000
MAX_FORMS = 100
MAX_WORDS = 500

_TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_ALTERNATIVES = ("anyOf", "oneOf")  # of a part that is cut more forms may fit than one
_MERGEABLE = frozenset({"type", "properties", "required", "description"})


class Schemas:
    """Writes schemas out. Of what is cut, because it holds itself or is too large, nothing is checked; `cut` counts."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._spare = MAX_ALL_NODES
        self._left = 0
        self.cut = 0

    def begin(self) -> None:
        """The next operation: it has a share of its own of what is left."""
        self._left = max(min(MAX_NODES, self._spare), MIN_NODES)
        self._spare -= min(self._left, self._spare)

    def end(self) -> None:
        """Give back what the operation did not use."""
        self._spare += max(self._left, 0)

    def written(self, schema: Json) -> dict[str, Json]:
        """A schema as JSON Schema 2020-12 without references.

        Raises:
            CannotImport: a reference leads out of the document, or to nothing.
        """
        return self._schema(schema, frozenset(), 0)

    def _schema(self, node: Json, above: frozenset[str], level: int) -> dict[str, Json]:
        if isinstance(node, bool):
            return {} if node else {"not": {}}
        if not isinstance(node, dict):
            raise CannotImport("a schema is not an object")
        reference = node.get("$ref")
        if isinstance(reference, str):
            if reference in above or level > MAX_LEVELS:
                self.cut += 1
                return {}
            return self._schema(self._document.at(reference), above | {reference}, level + 1) | _described(node)
        self._left -= 1
        if level > MAX_LEVELS or self._left < 0:
            self.cut += 1
            return _typed(node)
        made = _typed(node) | _bounds(node) | _described(node)
        self._left -= len(made.get("description", "")) // 100 + len(made.get("enum", ())) // 20
        self._of_object(node, made, above, level)
        if isinstance(node.get("items"), dict | bool):
            made["items"] = self._schema(node["items"], above, level + 1)
        for word in _ALTERNATIVES:
            if "anyOf" not in made and isinstance(node.get(word), list) and 0 < len(node[word]) <= MAX_FORMS:
                made["anyOf"] = [self._schema(each, above, level + 1) for each in node[word]]
        if isinstance(node.get("allOf"), list) and node["allOf"]:
            made = _together(made, [self._schema(each, above, level + 1) for each in node["allOf"][:MAX_FORMS]])
        return _nullable(made) if node.get("nullable") is True else made

    def _of_object(self, node: dict[str, Json], made: dict[str, Json], above: frozenset[str], level: int) -> None:
        properties = node.get("properties")
        kept: dict[str, Json] = {}
        unsent: set[str] = set()
        if isinstance(properties, dict):
            for name, child in list(properties.items())[:MAX_FIELDS]:
                if self._left < 0:
                    break
                if self._is_read_only(child):
                    unsent.add(name)
                else:
                    kept[name] = self._schema(child, above, level + 1)
            made["properties"] = kept
        required = node.get("required")
        if isinstance(required, list):
            names = [name for name in required if isinstance(name, str) and name not in unsent]
            if names := list(dict.fromkeys(names)):
                made["required"] = names
        more = node.get("additionalProperties")
        if isinstance(more, bool):
            if self._left >= 0:  # else there are more fields than are told here
                made["additionalProperties"] = more
        elif isinstance(more, dict):
            made["additionalProperties"] = self._schema(more, above, level + 1)

    def _is_read_only(self, schema: Json) -> bool:
        """Whether only answers hold it."""
        if isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
            schema = self._document.at(schema["$ref"])
        return isinstance(schema, dict) and schema.get("readOnly") is True


def kinds(schema: dict[str, Json]) -> list[str]:
    """The types that a written schema takes, null left out; empty if it does not say."""
    told = schema.get("type", [])
    return [kind for kind in ([told] if isinstance(told, str) else told) if kind != "null"]


def _typed(node: dict[str, Json]) -> dict[str, Json]:
    told = node.get("type")
    names = [name for name in (told if isinstance(told, list) else [told]) if isinstance(name, str) and name in _TYPES]
    if not names and isinstance(node.get("properties"), dict):
        names = ["object"]
    if not names:
        return {}
    return {"type": names[0] if len(names) == 1 else list(dict.fromkeys(names))}


def _bounds(node: dict[str, Json]) -> dict[str, Json]:
    made: dict[str, Json] = {}
    for name in _NUMBERS:
        if _is_number(node.get(name)) and (name != "multipleOf" or node[name] > 0):
            made[name] = node[name]
    for strict, loose in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if node.get(strict) is True and loose in made:  # as OpenAPI 3.0 has it
            made[strict] = made.pop(loose)
    for name in _COUNTS:
        if _is_number(node.get(name)) and node[name] >= 0 and node[name] == int(node[name]):
            made[name] = int(node[name])
    if node.get("uniqueItems") is True:
        made["uniqueItems"] = True
    choices = node.get("enum")
    if isinstance(choices, list) and 0 < len(choices) <= MAX_CHOICES and not any(map(_is_nested, choices)):
        made["enum"] = _once(choices)
    if "const" in node and not _is_nested(node["const"]):
        made["const"] = node["const"]
    if isinstance(node.get("pattern"), str) and _is_linear(node["pattern"]):
        made["pattern"] = node["pattern"]
    if isinstance(node.get("format"), str):
        made["format"] = node["format"][:100]
    return made


def _described(node: dict[str, Json]) -> dict[str, Json]:
    """The description in one line, with the default that the provider itself assumes."""
    text = node.get("description")
    words = " ".join(text.split())[:MAX_WORDS] if isinstance(text, str) else ""
    default = node.get("default")
    if isinstance(default, str | int | Decimal) and default != "":
        shown = str(default).lower() if isinstance(default, bool) else str(default)[:100]
        words = f"{words} (default: {shown})".strip()
    return {"description": words} if words else {}


def _together(made: dict[str, Json], parts: list[dict[str, Json]]) -> dict[str, Json]:
    """One object schema of several, where they only add fields to each other; else `allOf`."""
    if not all(part.get("type", "object") == "object" and part.keys() <= _MERGEABLE for part in parts) or (
        made.get("type", "object") != "object" or not made.keys() <= _MERGEABLE
    ):
        return made | {"allOf": parts}
    merged: dict[str, Json] = {"type": "object", "properties": {}}
    required: list[str] = []
    for part in (*parts, made):
        merged["properties"] |= part.get("properties", {})
        required += part.get("required", [])
    if required := list(dict.fromkeys(required)):
        merged["required"] = required
    return merged | {name: made[name] for name in ("description",) if name in made}


def _nullable(schema: dict[str, Json]) -> dict[str, Json]:
    if "enum" in schema and None not in schema["enum"]:
        schema = {**schema, "enum": [*schema["enum"], None]}
    told = schema.get("type")
    if told is None:
        return {"anyOf": [schema, {"type": "null"}]} if schema.keys() - {"description", "enum"} else schema
    return {**schema, "type": [*([told] if isinstance(told, str) else told), "null"]}


def _is_number(value: Json) -> TypeGuard[int | Decimal]:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _is_nested(value: Json) -> bool:
    return isinstance(value, dict | list) or (isinstance(value, str) and len(value) > MAX_WORDS)


def _once(choices: list[Json]) -> list[Json]:
    return list({(type(choice), choice): choice for choice in choices}.values())


@lru_cache(maxsize=512)
def _is_linear(pattern: str) -> bool:
    """Whether the engine that takes time linear in the text knows a pattern; others, with look-ahead and the like, are
    the provider's to check."""
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions())
    except (ValueError, jsonschema_rs.ValidationError):
        return False
    return len(pattern) <= MAX_CHOICES
