"""Tables of fields, made from JSON Schemas."""

from collections.abc import Iterator, Sequence

from stepwell.cli.output import json_text
from stepwell.values import Json

_PLAIN = {"string": "text", "integer": "whole number", "null": "null"}
_TEMPLATE = r"\{[{%]"
_LARGEST = 10**12  # bounds beyond it only say what a number type holds


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def field_table(schema: Json) -> str:
    """The fields of an object's schema, those of nested objects below them."""
    rows = [
        (f"`{name}`", f"{type_text(field)}{', required' if required else ''}", _default(field), _description(field))
        for name, field, required in fields_of(schema)
    ]
    return table(("Field", "Type", "Default", ""), rows)


def type_text(schema: Json) -> str:
    """What a schema takes, in words; a reference is a link to the heading of that name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema and not any("required" in part for part in schema["anyOf"]):
        return " or ".join(map(type_text, schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(f"`{_literal(value)}`" for value in schema["enum"])
    kinds = schema.get("type", [])
    return " or ".join(_kind_text(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)) or "any"


def fields_of(schema: Json, above: str = "") -> Iterator[tuple[str, Json, bool]]:
    """The fields of an object's schema, depth first: name with those above it, schema, whether it is required."""
    for name, field in schema.get("properties", {}).items():
        yield above + name, field, name in schema.get("required", ())
        items = field.get("items", {}) if "array" in field.get("type", ()) else {}
        yield from fields_of(items, f"{above}{name}[].")
        yield from fields_of(field, f"{above}{name}.")


def _kind_text(kind: str, schema: Json) -> str:
    if kind == "array":
        items = schema.get("items", {})
        return f"list of {type_text(items)}" if items and "properties" not in items else "list"
    if kind == "string" and schema.get("format") == "date-time":
        return "ISO 8601 time"
    if kind == "string" and schema.get("pattern", "").startswith(_TEMPLATE):
        return "template"
    return _PLAIN.get(kind, kind) + _bounds(kind, schema)


def _bounds(kind: str, schema: Json) -> str:
    names = ("minLength", "maxLength") if kind == "string" else ("minimum", "maximum")
    least, most = (schema.get(name) for name in names)
    unit = " characters" if kind == "string" else ""
    if least is not None and most is not None and most < _LARGEST:
        return f", {least} to {most:,}{unit}"
    if least is not None and kind != "string":
        return f", at least {least}"
    return ""


def _default(field: Json) -> str:
    return f"`{_literal(field['default'])}`" if field.get("default") is not None else ""


def _literal(value: Json) -> str:
    return value if isinstance(value, str) else json_text(value, indent=0)


def _description(field: Json) -> str:
    described = [part["description"] for part in (field, *field.get("anyOf", ())) if "description" in part]
    return described[0] if described else ""
