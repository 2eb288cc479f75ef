"""Documents: JSON or YAML text read into a JSON value, whatever it tries; and local references in it."""

from typing import NoReturn
from urllib.parse import unquote

from stepwell.connectors.openapi.yaml_text import BadYaml, read_yaml
from stepwell.values import InvalidJson, Json, decode

MAX_BYTES = 10 * 1024 * 1024
_MOST_STEPS = 32  # of references that refer to references


class BadDocument(ValueError):
    """The text is no OpenAPI document that can be imported at all; the message says why."""


class CannotImport(ValueError):
    """One operation cannot be imported; the message completes "skipped: ..."."""


def read_document(text: bytes) -> Json:
    """Read the text of a document, JSON if it begins with a brace, else YAML (its JSON schema: no dates, no yes and
    no, no merge keys).

    Raises:
        BadDocument: over 10 MiB, or neither.
    """
    if len(text) > MAX_BYTES:
        raise BadDocument(f"The document is larger than {MAX_BYTES} bytes")
    try:
        plain = text.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadDocument("The document is not UTF-8 text") from None
    try:
        return decode(plain) if plain.lstrip().startswith("{") else read_yaml(plain)
    except InvalidJson as error:
        raise BadDocument(f"The document is not JSON: {error}") from None
    except BadYaml as error:
        raise BadDocument(f"The document is not YAML that can be read: {error}") from None


class Document:
    """An OpenAPI document with its local references."""

    def __init__(self, root: dict[str, Json]) -> None:
        self.root = root

    def follow(self, node: Json, what: str) -> dict[str, Json]:
        """The object that stands at a place, through references.

        Raises:
            CannotImport: a reference leads out of the document, to nothing or in a circle; or there is no object.
        """
        for _ in range(_MOST_STEPS):
            if not isinstance(node, dict):
                raise CannotImport(f"its {what} is not an object")
            if not isinstance(node.get("$ref"), str):
                return node
            node = self.at(node["$ref"])
        raise CannotImport(f"the reference of its {what} goes in a circle")

    def at(self, reference: str) -> Json:
        """What a reference names.

        Raises:
            CannotImport: it leads out of the document, or to nothing.
        """
        if not reference.startswith("#"):
            raise CannotImport(f"it refers to another document ({reference[:100]}); put everything into one")
        node: Json = self.root
        for part in unquote(reference[1:]).split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, dict) and key in node:
                node = node[key]
            elif isinstance(node, list) and key.isdecimal() and len(key) < 6 and int(key) < len(node):
                node = node[int(key)]
            else:
                _names_nothing(reference)
        return node


def _names_nothing(reference: str) -> NoReturn:
    raise CannotImport(f"the reference {reference[:100]} names nothing")
