"""Parameters of an operation: the fields they become in a step's config, and where each goes in the request."""

import re
from dataclasses import dataclass, field

from stepwell.connectors.openapi.document import CannotImport, Document
from stepwell.connectors.openapi.names import parameter_name, read
from stepwell.connectors.openapi.schemas import Schemas, kinds
from stepwell.values import Json

BODY = "body"
OF_STEPS = frozenset({"connection", "operation", "connector", "action", BODY})
"""Fields of a step's config that are no parameters, and that of the body."""
MAX_PARAMETERS = 200

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
_SET_BY_US = frozenset({"accept", "content-type", "authorization"})  # OpenAPI itself says that these are ignored
_NOT_SENT = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "keep-alive", "cookie"}
)
_SHAPE_WORDS = frozenset({"$rest", "$each", "$when", "$then", "$item"})
_STYLES = {"path": "simple", "header": "simple", "query": "form", "cookie": "form"}
_JOINED_BY = {"form": ",", "spaceDelimited": " ", "pipeDelimited": "|"}


@dataclass(slots=True)
class Placed:
    """What the parameters of an operation come to. `path` gives the template for a name in braces."""

    properties: dict[str, Json] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, Json] = field(default_factory=dict)
    headers: dict[str, Json] = field(default_factory=dict)
    cookies: dict[str, Json] = field(default_factory=dict)
    repeats: bool = False
    brackets: bool = False


def place(document: Document, schemas: Schemas, of_path: Json, of_operation: Json) -> Placed:
    """The parameters of a path and of one operation on it, whose own count before those of the path.

    Raises:
        CannotImport: one that is required, or is in the path, cannot be sent.
    """
    found: dict[tuple[str, str], dict[str, Json]] = {}
    for listed in (of_path, of_operation):
        for written in listed if isinstance(listed, list) else ():
            parameter = document.follow(written, "parameter")
            name, where = parameter.get("name"), parameter.get("in")
            if not isinstance(name, str) or not name or where not in _STYLES:
                raise CannotImport("a parameter of it has no name or no place")
            found[name, where] = parameter
    if len(found) > MAX_PARAMETERS:
        raise CannotImport(f"it has more than {MAX_PARAMETERS} parameters")
    placed = Placed()
    for (name, where), parameter in found.items():
        if where == "header" and name.lower() in _SET_BY_US:
            continue
        try:
            _Placing(schemas, placed, name, where, parameter).put()
        except CannotImport:
            if where == "path" or parameter.get("required") is True:
                raise
    return placed


class _Placing:
    """One parameter."""

    def __init__(self, schemas: Schemas, placed: Placed, name: str, where: str, parameter: dict[str, Json]) -> None:
        self._schemas = schemas
        self._placed = placed
        self._name = name
        self._where = where
        self._parameter = parameter
        self._key = parameter_name(name, where, OF_STEPS | placed.properties.keys())
        self._value = read(self._key)

    def put(self) -> None:
        schema, is_json = self._schema()
        send = {
            "path": self._in_path,
            "query": self._in_query,
            "header": self._in_header,
            "cookie": self._in_cookie,
        }[self._where]
        send(schema, is_json)
        shown = {name: part for name, part in schema.items() if name != "description"}
        words = [_line(self._parameter.get("description")), schema.get("description", "")]
        if self._key != self._name:
            words.append(f"({self._where} {self._name})")
        description = " ".join(dict.fromkeys(word for word in words if word))[:600]
        self._placed.properties[self._key] = shown | ({"description": description} if description else {})
        if self._where == "path" or self._parameter.get("required") is True:
            self._placed.required.append(self._key)

    def _schema(self) -> tuple[dict[str, Json], bool]:
        """The schema, and whether the value is sent as JSON text."""
        content = self._parameter.get("content")
        if isinstance(content, dict) and content:
            kind, media = next(iter(content.items()))
            if "json" not in kind or not isinstance(media, dict):
                raise CannotImport(f"its parameter {self._name[:100]} is of the type {kind[:100]}")
            return self._schemas.written(media.get("schema", {})), True
        return self._schemas.written(self._parameter.get("schema", {})), False

    def _style(self) -> str:
        style = self._parameter.get("style")
        return style if isinstance(style, str) else _STYLES[self._where]

    def _in_path(self, schema: dict[str, Json], is_json: bool) -> None:
        if self._style() != "simple" or "object" in kinds(schema):
            raise self._refused()
        self._placed.path[self._name] = self._joined(schema, ",", is_json)

    def _in_header(self, schema: dict[str, Json], is_json: bool) -> None:
        if not _TOKEN.fullmatch(self._name) or self._name.lower() in _NOT_SENT or self._is_object(schema, is_json):
            raise self._refused()
        self._placed.headers[self._name] = self._guarded(self._joined(schema, ",", is_json))

    def _in_cookie(self, schema: dict[str, Json], is_json: bool) -> None:
        if not _TOKEN.fullmatch(self._name) or self._is_object(schema, is_json):
            raise self._refused()
        self._placed.cookies[self._name] = self._guarded(self._joined(schema, ",", is_json))

    def _in_query(self, schema: dict[str, Json], is_json: bool) -> None:
        style = self._style()
        explode = self._parameter.get("explode", style == "form") is True
        placed, value = self._placed, "{{" + self._value + "}}"
        if self._name in _SHAPE_WORDS or (style not in _JOINED_BY and style != "deepObject"):
            raise self._refused()
        if is_json:
            placed.query[self._name] = self._guarded(self._joined(schema, ",", True))
        elif style == "deepObject":
            placed.brackets = True
            placed.query[self._name] = value
        elif self._is_object(schema, is_json):
            if not explode or "$rest" in placed.query:
                raise self._refused()
            placed.query["$rest"] = value
        elif "array" not in kinds(schema):
            placed.query[self._name] = value
        elif explode:
            placed.repeats = True
            placed.query[self._name] = value
        else:
            placed.query[self._name] = self._guarded(self._joined(schema, _JOINED_BY[style], False))

    def _is_object(self, schema: dict[str, Json], is_json: bool) -> bool:
        return not is_json and "object" in kinds(schema)

    def _joined(self, schema: dict[str, Json], separator: str, is_json: bool) -> str:
        if is_json:
            return "{{" + f"{self._value} | json" + "}}"
        if "array" in kinds(schema):
            return "{{" + f"{self._value} | join: '{separator}'" + "}}"
        return "{{" + self._value + "}}"

    def _guarded(self, value: str) -> Json:
        """What is sent only if the parameter is given: a filter would make a text of nothing."""
        return {"$when": f"{self._value} != null", "$then": value} if "|" in value else value

    def _refused(self) -> CannotImport:
        return CannotImport(f"its {self._where} parameter {self._name[:100]} cannot be sent in its form")


def _line(text: Json) -> str:
    return " ".join(text.split())[:500] if isinstance(text, str) else ""
