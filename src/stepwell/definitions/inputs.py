"""Run input: defaults filled in, undeclared fields removed, the rest checked. Source: LoopFour contract 4.2."""

from copy import deepcopy

from stepwell.definitions.references import References, subschemas
from stepwell.definitions.schemas import Schema, compiled
from stepwell.errors import Fault, InputInvalid
from stepwell.values import MAX_DEPTH, Json

MAX_DEFAULTS = 10_000


class InputSchema:
    """A workflow's `inputSchema` or `outputSchema`, compiled once.

    Raises:
        ValueError: it is not a JSON Schema; definitions are checked at save, so that this does not happen for a plan's.
    """

    def __init__(self, document: Json) -> None:
        self._schema = Schema(document)
        self._reshapes = any(
            "default" in schema or schema.get("additionalProperties") is False for _, schema in subschemas(document)
        )

    def apply(self, value: dict[str, Json]) -> dict[str, Json]:
        """The input as the run will see it: with defaults, without undeclared fields where none are allowed.

        Raises:
            InputInvalid: `Input validation failed`, with every fault in the order of contract 1.4.
        """
        shaped = _Shaping(self._schema.references).shape(value) if self._reshapes else value
        faults = self._schema.faults(shaped)
        if faults:
            raise InputInvalid(faults)
        return shaped

    def faults(self, value: Json) -> list[Fault]:
        """What is wrong with a value as it is; for a run's output."""
        return self._schema.faults(value)


class _Shaping:
    """One pass of a value through a schema. Counts what it fills in: a schema of a few lines can ask for millions."""

    def __init__(self, references: References) -> None:
        self._references = references
        self._filled = 0

    def shape(self, value: dict[str, Json]) -> dict[str, Json]:
        shaped: dict[str, Json] = self._shape([self._references.document], value, 0)
        return shaped

    def _shape(self, schemas: list[Json], value: Json, depth: int) -> Json:
        """A copy of a value to which all of the schemas apply."""
        if not isinstance(value, dict | list):
            return value
        if depth > 2 * MAX_DEPTH:
            raise _too_many()
        parts = self._references.together(*schemas)
        if isinstance(value, dict):
            shaped = self._filled_and_stripped(parts, value)
            return {name: self._shape(_for_member(parts, name), child, depth + 1) for name, child in shaped.items()}
        return [self._shape(_for_item(parts, index), item, depth + 1) for index, item in enumerate(value)]

    def _filled_and_stripped(self, parts: list[dict[str, Json]], value: dict[str, Json]) -> dict[str, Json]:
        shaped = dict(value)
        for part in parts:
            for name, child in part.get("properties", {}).items():
                if name not in shaped:
                    self._fill(shaped, name, child)
        for part in parts:
            if part.get("additionalProperties") is False:
                shaped = {name: child for name, child in shaped.items() if _declares(part, name)}
        return shaped

    def _fill(self, shaped: dict[str, Json], name: str, schema: Json) -> None:
        part = next((part for part in self._references.together(schema) if "default" in part), None)
        if part is None:
            return
        self._filled += 1
        if self._filled > MAX_DEFAULTS:
            raise _too_many()
        shaped[name] = deepcopy(part["default"])


def _declares(part: dict[str, Json], name: str) -> bool:
    return name in part.get("properties", ()) or bool(_by_pattern(part, name))


def _for_member(parts: list[dict[str, Json]], name: str) -> list[Json]:
    """What the parts say of a member of an object."""
    schemas: list[Json] = []
    for part in parts:
        here = _by_pattern(part, name)
        if name in part.get("properties", ()):
            here = [part["properties"][name], *here]
        schemas += here or [part.get("additionalProperties")]
    return schemas


def _by_pattern(part: dict[str, Json], name: str) -> list[Json]:
    patterns = part.get("patternProperties", {})
    return [child for pattern, child in patterns.items() if compiled({"pattern": pattern}).is_valid(name)]


def _for_item(parts: list[dict[str, Json]], index: int) -> list[Json]:
    firsts = [(part.get("prefixItems", []), part.get("items")) for part in parts]
    return [first[index] if index < len(first) else rest for first, rest in firsts]


def _too_many() -> InputInvalid:
    return InputInvalid([Fault((), "The schema's defaults have no end")])
