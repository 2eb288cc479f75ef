"""JSON Schemas: compiled once, offline, with faults worded and ordered as the LoopFour contract says (1.4, 4.2)."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import islice

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from stepwell.definitions.references import References, subschemas
from stepwell.definitions.wording import worded
from stepwell.errors import Fault
from stepwell.values import Json, Path, decode, encode

MAX_FAULTS = 1000

_META = {"$ref": "https://json-schema.org/draft/2020-12/schema"}
_ALTERNATIVES = ("allOf", "anyOf", "oneOf", "if", "then", "else")


class Schema:
    """A compiled JSON Schema (draft 2020-12, formats checked, patterns on a linear-time engine, nothing fetched).

    Raises:
        ValidationError: (a ValueError) the document is not a schema; `schema_faults` says why.
    """

    def __init__(self, document: Json) -> None:
        self.document = document
        self.references = References(document)
        self._validator = Draft202012Validator(
            document, validate_formats=True, offline=True, pattern_options=RegexOptions()
        )

    def is_valid(self, value: Json) -> bool:
        """Whether the value fits."""
        return self._validator.is_valid(value)

    def faults(self, value: Json) -> list[Fault]:
        """What is wrong with the value, at most 1000 faults, in the order of contract 1.4; one fault for the whole
        value if telling more would take too long."""
        if self._validator.is_valid(value):
            return []
        if self.references.untellable(value):
            return [Fault((), "Does not match the schema")]
        errors = islice(self._validator.iter_errors(value), MAX_FAULTS)
        return ordered((fault for error in errors for fault in worded(error, value)), self.references, value)


def schema_faults(document: Json) -> list[Fault]:
    """What is wrong with a schema that a user wrote, paths from its root. References must be local (`#...`)."""
    if not isinstance(document, dict):
        return [Fault((), "Expected a JSON Schema object")]
    references = [
        Fault((*path, keyword), f"Only local references are allowed: {schema[keyword]}"[:300])
        for path, schema in subschemas(document)
        for keyword in ("$ref", "$dynamicRef")
        if isinstance(schema.get(keyword), str) and not schema[keyword].startswith("#")
    ]
    if references:
        return references
    faults = compiled(_META).faults(document)
    if faults:
        return faults
    if References(document).unbounded:
        return [Fault((), "Too complex: its references make too many subschemas")]
    try:
        Schema(document)
    except ValidationError as error:
        if error.instance_path:
            return worded(error, document)
        return [Fault((), f"Not a JSON Schema: {error.message}"[:300])]
    return []


def compiled(document: Json) -> Schema:
    """The schema compiled, from a bounded cache."""
    return _compiled(encode(document))


def ordered(faults: Iterable[Fault], schema: References, value: Json) -> list[Fault]:
    """The faults without repeats: for each object first its missing fields in the order of `required`, then its members
    in the order of `properties`. Where a type is wrong, only that is told."""
    wrong_type = set()
    found: dict[Fault, None] = {}
    for fault in faults:
        found[fault] = None
        if fault.message.startswith("Expected "):
            wrong_type.add(fault.path)
    kept = [fault for fault in found if fault.message.startswith("Expected ") or fault.path not in wrong_type]
    return sorted(kept, key=lambda fault: _position(fault.path, schema, value))


def _position(path: Path, schema: References, value: Json) -> list[tuple[int, int]]:
    """A sort key for a fault at the path: (0, ...) for what is wrong with a node itself, (1, ...) for its members."""
    position: list[tuple[int, int]] = []
    here: list[Json] = [schema.document]
    node = value
    for part in path:
        here = schema.together(*here, words=_ALTERNATIVES)
        if not _has(node, part):
            required = [name for each in here for name in _listed(each.get("required"))]
            return [*position, (0, required.index(part) if part in required else len(required))]
        if isinstance(node, dict):
            names = list(dict.fromkeys(name for each in here for name in _named(each.get("properties"))))
            index = names.index(part) if part in names else len(names) + list(node).index(str(part))
            position.append((1, index))
            here = [_member_schema(each, str(part)) for each in here]
        else:
            index = int(part)
            position.append((1, index))
            here = [_item_schema(each, index) for each in here]
        node = node[part] if isinstance(node, dict) else node[index]
    return [*position, (0, 1 << 30)]


def _has(node: Json, part: str | int) -> bool:
    return part in node if isinstance(node, dict) else isinstance(node, list) and part in range(len(node))


def _member_schema(schema: Mapping[str, Json], name: str) -> Json:
    return _named(schema.get("properties")).get(name, schema.get("additionalProperties"))


def _item_schema(schema: Mapping[str, Json], index: int) -> Json:
    first = _listed(schema.get("prefixItems"))
    return first[index] if index < len(first) else schema.get("items")


def _named(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


@lru_cache(maxsize=256)
def _compiled(text: bytes) -> Schema:
    return Schema(decode(text))
