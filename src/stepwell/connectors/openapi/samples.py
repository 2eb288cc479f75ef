"""Samples: what a simulated operation answers, from the examples of a document or made from its schemas."""

from stepwell.connectors.openapi.document import CannotImport, Document
from stepwell.values import Json, encode

MAX_BYTES = 20_000
MAX_LEVELS = 5
MAX_NODES = 60
MAX_FIELDS = 25

_TEXTS = {
    "date-time": "2024-01-15T10:00:00Z",
    "date": "2024-01-15",
    "time": "10:00:00Z",
    "email": "user@example.com",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "byte": "dGV4dA==",
}


def sample(document: Document, media: dict[str, Json]) -> Json:
    """What the media type gives as an example, else a value made from its schema."""
    found = _example(document, media)
    if found is None or len(encode(found)) > MAX_BYTES:
        found = _Maker(document).value(media.get("schema", {}), 0)
    return found


def literal(text: str) -> str:
    """A text as a template that gives it."""
    return text.replace("{", "{{'{'}}") if "{{" in text or "{%" in text else text


def _example(document: Document, media: dict[str, Json]) -> Json:
    if "example" in media:
        return media["example"]
    examples = media.get("examples")
    if isinstance(examples, dict) and examples:
        try:
            return document.follow(next(iter(examples.values())), "example").get("value")
        except CannotImport:
            return None
    return None


class _Maker:
    """Makes a value that fits a schema in its types; not more than an illustration."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._left = MAX_NODES
        self._above: list[int] = []  # the schemas that the present one stands in

    def value(self, schema: Json, level: int) -> Json:
        """None if there is no telling, or the schema stands in itself."""
        self._left -= 1
        if self._left < 0 or level > MAX_LEVELS:
            return None
        try:
            node = self._document.follow(schema, "schema")
        except CannotImport:
            return None
        if id(node) in self._above:
            return None
        self._above.append(id(node))
        try:
            return self._told(node, level)
        finally:
            self._above.pop()

    def _told(self, node: dict[str, Json], level: int) -> Json:
        for word in ("example", "const", "default"):
            if word in node and len(encode(node[word])) <= MAX_BYTES:
                return node[word]
        for word in ("examples", "enum"):
            if isinstance(node.get(word), list) and node[word] and len(encode(node[word][0])) <= MAX_BYTES:
                return node[word][0]
        for word in ("oneOf", "anyOf"):
            if isinstance(node.get(word), list) and node[word]:
                return self.value(node[word][0], level + 1)
        return self._of_kind(node, level)

    def _of_kind(self, node: dict[str, Json], level: int) -> Json:
        told = node.get("type")
        kind = next((each for each in told if each != "null"), None) if isinstance(told, list) else told
        if kind == "object" or "properties" in node or "allOf" in node:
            return self._object(node, level)
        if kind == "array" or "items" in node:
            first = self.value(node.get("items", {}), level + 1)
            return [] if first is None else [first]
        match kind:
            case "string":
                form = node.get("format")
                return _TEXTS.get(form, "text") if isinstance(form, str) else "text"
            case "integer" | "number":
                least = node.get("minimum")
                return least if isinstance(least, int) and not isinstance(least, bool) else 1
            case "boolean":
                return True
        return None

    def _object(self, node: dict[str, Json], level: int) -> dict[str, Json]:
        made: dict[str, Json] = {}
        parts = node.get("allOf")
        for part in parts[:MAX_FIELDS] if isinstance(parts, list) else ():
            inner = self.value(part, level + 1)
            made |= inner if isinstance(inner, dict) else {}
        properties = node.get("properties")
        for name, child in list(properties.items())[:MAX_FIELDS] if isinstance(properties, dict) else ():
            if self._left < 0:
                break
            value = self.value(child, level + 1)
            if value is not None:
                made[name] = value
        return made
