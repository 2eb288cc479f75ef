"""Shapes: the JSON that a manifest writes with templates in it, and its two encodings on the wire."""

from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias
from urllib.parse import quote, urlencode

from stepwell.errors import StepError
from stepwell.expressions import Condition, Scope, Template, compile_condition, compile_template
from stepwell.values import Json, encode


@dataclass(frozen=True, slots=True)
class Fields:
    """An object. Fields whose template gives null are left out, a null that is written stays; the fields of `rest` come
    on top."""

    fields: tuple[tuple[str, "Shape"], ...]
    nulls: frozenset[str]
    rest: "Shape | None"

    def render(self, scope: Scope) -> Json:
        written = {name: shape.render(scope) for name, shape in self.fields}
        rest = self.rest.render(scope) if self.rest else None
        return {name: value for name, value in written.items() if value is not None or name in self.nulls} | (
            rest or {}
        )


@dataclass(frozen=True, slots=True)
class Members:
    """A list, member by member; a member that gives null is left out."""

    members: tuple["Shape", ...]

    def render(self, scope: Scope) -> Json:
        return [value for shape in self.members if (value := shape.render(scope)) is not None]


@dataclass(frozen=True, slots=True)
class Each:
    """A list made from another: `item` and `index` stand for its member. Null if there is nothing to go through."""

    collection: Template
    member: "Shape"

    def render(self, scope: Scope) -> Json:
        items = self.collection.render(scope) or []
        return [self.member.render({**scope, "item": item, "index": i}) for i, item in enumerate(items)] or None


@dataclass(frozen=True, slots=True)
class Guarded:
    """A value that stands only under a condition; null otherwise."""

    condition: Condition
    value: "Shape"

    def render(self, scope: Scope) -> Json:
        return self.value.render(scope) if self.condition.evaluate(scope) else None


Shape: TypeAlias = Fields | Members | Each | Guarded | Template


def compile_shape(value: Json) -> Shape:
    """Compile what a manifest writes: any JSON, its texts templates. An object may say `$rest: <object>` beside its
    fields, or be `{$each: <list>, $item: <shape>}` or `{$when: <condition>, $then: <shape>}`.

    Raises:
        CompileFailed: a template or condition has faults.
    """
    if isinstance(value, list):
        return Members(tuple(compile_shape(member) for member in value))
    if not isinstance(value, dict):
        return compile_template(value)
    if "$each" in value:
        return Each(compile_template(value["$each"]), compile_shape(value["$item"]))
    if "$when" in value:
        return Guarded(compile_condition(value["$when"]), compile_shape(value["$then"]))
    fields = tuple((name, compile_shape(child)) for name, child in value.items() if name != "$rest")
    nulls = frozenset(name for name, child in value.items() if child is None)
    return Fields(fields, nulls, compile_shape(value["$rest"]) if "$rest" in value else None)


@dataclass(frozen=True, slots=True)
class UrlPath:
    """A path whose segments hold templates; what they give is one segment each, whatever characters it has."""

    segments: tuple[Template, ...]

    def render(self, scope: Scope) -> str:
        """`/v1/invoices/in_1`. Raises StepError if a segment is empty or would climb."""
        texts = [_text(segment.render(scope)) for segment in self.segments]
        if any(text in ("", ".", "..") for text in texts):
            raise StepError("An id that the request's address needs is empty or not an id")
        return "".join(f"/{quote(text, safe='')}" for text in texts)


def compile_path(path: str) -> UrlPath:
    """Compile `/v1/invoices/{{params.invoiceId}}`. Raises CompileFailed."""
    return UrlPath(tuple(compile_template(segment) for segment in path.strip("/").split("/")))


def json_body(value: Json) -> tuple[str, bytes]:
    """Content type and body of a JSON request."""
    return "application/json", encode(value)


def form_body(value: Json) -> tuple[str, bytes]:
    """Content type and body of a form request: `metadata[source]=api&items[0][amount]=5`."""
    return "application/x-www-form-urlencoded", urlencode(flatten(value)).encode()


def flatten(value: Json, name: str = "") -> list[tuple[str, str]]:
    """Pairs of bracketed names and texts."""
    if isinstance(value, dict):
        parts = [(f"{name}[{key}]" if name else str(key), child) for key, child in value.items()]
    elif isinstance(value, list):
        parts = [(f"{name}[{index}]", child) for index, child in enumerate(value)]
    else:
        return [(name, _text(value))]
    return [pair for key, child in parts for pair in flatten(child, key)]


def _text(value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
