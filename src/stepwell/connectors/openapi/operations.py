"""Operations: each becomes an action of one request."""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from stepwell.connectors.manifest import Encoding, WrittenAction, WrittenRequest, WrittenSimulation
from stepwell.connectors.openapi.document import CannotImport, Document
from stepwell.connectors.openapi.parameters import BODY, Placed, place
from stepwell.connectors.openapi.samples import sample
from stepwell.connectors.openapi.schemas import Schemas
from stepwell.values import Json

METHODS = ("get", "head", "post", "put", "patch", "delete")
OTHER_METHODS = ("options", "trace")

AnswerForm: TypeAlias = Literal["json", "text", "any"]

_IN_BRACES = re.compile(r"\{([^{}]*)\}")
_NOT_IN_PATH = re.compile(r"[\s\x00-\x1f\x7f?#\\]")
_MEDIA = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+*-]{1,100}")
_FORM = "application/x-www-form-urlencoded"
_TEXT = ("text/", "application/xml", "application/graphql", "application/yaml", "application/x-ndjson")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path of a document."""

    method: str
    path: str
    of_path: dict[str, Json]
    written: dict[str, Json]

    @property
    def label(self) -> str:
        """`GET /pets/{petId}`."""
        return f"{self.method.upper()} {self.path}"


@dataclass(frozen=True, slots=True)
class _Body:
    encoding: Encoding | None = None
    content_type: str | None = None
    template: str | None = None
    brackets: bool = False


@dataclass(frozen=True, slots=True)
class _Read:
    """How the answer is read, what is asked for, and what a simulator gives."""

    form: AnswerForm
    accept: str | None
    output: Json


class Operations:
    """Makes actions of the operations of one document."""

    def __init__(self, document: Document, schemas: Schemas) -> None:
        self._document = document
        self._schemas = schemas

    def action(self, operation: Operation) -> WrittenAction:
        """The action of an operation.

        Raises:
            CannotImport: the message says why.
        """
        written = operation.written
        placed = place(self._document, self._schemas, operation.of_path.get("parameters"), written.get("parameters"))
        path = _path(operation.path, placed)
        body = self._body(written.get("requestBody"), placed)
        read = self._answer(written.get("responses"))
        headers = placed.headers | ({"Accept": read.accept} if read.accept else {})
        method = operation.method.upper()
        if body.template is not None and method in ("GET", "HEAD"):
            raise CannotImport(f"it wants a body in a {method} request")
        request = WrittenRequest(
            name="call",
            method=method,  # type: ignore[arg-type]  # one of METHODS
            path=path,
            headers=headers,
            query=placed.query,
            cookies=placed.cookies,
            body=body.template,
            encoding=body.encoding,
            content_type=body.content_type,
            lists="indexed" if (placed.brackets or body.brackets) and not placed.repeats else "repeated",
            answer=read.form,
        )
        schema: dict[str, Json] = {"type": "object", "properties": placed.properties}
        if placed.required:
            schema["required"] = placed.required
        return WrittenAction(
            title=_title(operation),
            params=schema,
            simulate=(WrittenSimulation(read.output, literal=True),),
            requests=(request,),
            description=_words(written.get("description"), 2000) or None,
        )

    def _body(self, written: Json, placed: Placed) -> _Body:
        """How the body is sent, the parameter for it added; nothing if the operation takes none."""
        if written is None:
            return _Body()
        described = self._document.follow(written, "request body")
        content = described.get("content")
        if not isinstance(content, dict) or not content:
            return _Body()
        name = _body_type(content)
        media = content[name] if isinstance(content[name], dict) else {}
        schema = self._schemas.written(media.get("schema", {}))
        words = _words(described.get("description"), 500)
        placed.properties[BODY] = schema | ({"description": words} if words and "description" not in schema else {})
        if described.get("required") is True:
            placed.required.append(BODY)
        encoding = _encoding(name)
        kind = "application/json" if name.endswith("/*") else name
        plain = kind in ("application/json", _FORM)
        return _Body(encoding, None if plain else kind, "{{params.body}}", encoding == "form" and _is_deep(media))

    def _answer(self, written: Json) -> _Read:
        """What the success of the lowest status says."""
        responses = written if isinstance(written, dict) else {}
        good = sorted(
            (str(status), each) for status, each in responses.items() if re.fullmatch("2(..|XX)", str(status))
        )
        for _, each in good or [("default", responses.get("default", {}))]:
            content = self._document.follow(each, "response").get("content")
            if isinstance(content, dict) and content:
                return self._read(content)
        return _Read("any", None, None)

    def _read(self, content: dict[str, Json]) -> _Read:
        for name in content:
            if _is_json(name) or name.strip() == "*/*":
                media = content[name] if isinstance(content[name], dict) else {}
                kind = _bare(name)
                accept = kind if _MEDIA.fullmatch(kind) and kind not in ("application/json", "*/*") else None
                loose = name.strip() == "*/*" or self._is_text(media.get("schema"))
                return _Read("any" if loose else "json", accept, sample(self._document, media))
        for name in content:
            if _bare(name).startswith(_TEXT):
                return _Read("text", _bare(name) if _MEDIA.fullmatch(_bare(name)) else None, "text")
        raise CannotImport(f"it answers with {next(iter(content))[:100]}, which is not JSON or text")

    def _is_text(self, schema: Json) -> bool:
        """Whether a schema is that of a text: many providers call it JSON and send it without quotes."""
        return isinstance(schema, dict) and self._document.follow(schema, "schema").get("type") == "string"


def _path(path: str, placed: Placed) -> str:
    """The path as a template: every name in braces is its parameter."""
    names = _IN_BRACES.findall(path)
    plain = _IN_BRACES.sub("x", path)
    if set("{}") & set(plain):
        raise CannotImport("the braces in its path do not match")
    if _NOT_IN_PATH.search(plain):
        raise CannotImport("its path has characters that a path cannot have")
    if {".", ".."} & {part.lower().replace("%2e", ".") for part in plain.split("/")}:
        raise CannotImport("its path climbs")
    if missing := [name for name in names if name not in placed.path]:
        raise CannotImport(f"its path parameter {missing[0][:100]!r} is not described")
    return _IN_BRACES.sub(lambda found: placed.path[found[1]], path)


def _body_type(content: dict[str, Json]) -> str:
    """The media type of a body that can be sent: JSON first, then a form, then text."""
    for fit in (_is_json, lambda name: _bare(name) == _FORM, lambda name: _bare(name).startswith(_TEXT)):
        for name in content:
            if fit(name):
                return name
    for name in content:
        if name in ("*/*", "application/*"):
            return name
    raise CannotImport(f"it takes a body of the type {next(iter(content))[:100]}; only JSON, forms and text are sent")


def _encoding(name: str) -> Encoding:
    if _bare(name) == _FORM:
        return "form"
    return "text" if _bare(name).startswith(_TEXT) and not _is_json(name) else "json"


def _is_json(name: str) -> bool:
    bare = _bare(name)
    return bool(_MEDIA.fullmatch(bare)) and (bare.endswith("/json") or bare.endswith("+json"))


def _bare(name: str) -> str:
    return name.partition(";")[0].strip().lower()


def _is_deep(media: dict[str, Json]) -> bool:
    """Whether lists and objects in a form are named with brackets."""
    encodings = media.get("encoding")
    listed = encodings.values() if isinstance(encodings, dict) else ()
    return any(isinstance(each, dict) and each.get("style") == "deepObject" for each in listed)


def _title(operation: Operation) -> str:
    written = operation.written
    said = _words(written.get("summary"), 200) or _words(written.get("description"), 200) or operation.label[:200]
    return said.rstrip(".")


def _words(text: Json, most: int) -> str:
    """A text in one line without control characters."""
    if not isinstance(text, str):
        return ""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * most]).split())
    return line if len(line) <= most else line[: most - 1] + "…"
