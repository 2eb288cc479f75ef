"""The OpenAPI 3.1 document, made from the route tables."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from stepwell import __version__
from stepwell.http.routes import Answer, Dialect, Route
from stepwell.values import Json

JSON = "application/json"
HTML = "text/html"
FORM = "application/x-www-form-urlencoded"
EVERYWHERE = ("UNAUTHORIZED", "FORBIDDEN", "RATE_LIMITED", "INTERNAL_ERROR", "OVERLOADED")
WITH_BODY = ("VALIDATION_ERROR", "PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE")

_ANY_TEXT: Json = {"type": "string"}
_UUID: Json = {"type": "string", "format": "uuid"}
_WHOLE: Json = {"type": "integer"}
_HEADERS: dict[str, Json] = {
    "X-Request-Id": {"description": "Names the request in the server's log.", "schema": _ANY_TEXT},
    "X-RateLimit-Limit": {"description": "Requests a minute of this category.", "schema": _WHOLE},
    "X-RateLimit-Remaining": {"description": "How many of them are left.", "schema": _WHOLE},
    "X-RateLimit-Reset": {"description": "When the oldest leaves the window, in Unix seconds.", "schema": _WHOLE},
    "Idempotency-Replayed": {"description": "true if the key already stood for a run.", "schema": {"const": "true"}},
    "Idempotency-Mismatch": {"description": "true if the request was another then.", "schema": {"const": "true"}},
    "Retry-After": {"description": "Seconds to wait.", "schema": _WHOLE},
    "X-Stepwell-Event": {"description": "Whether a wait took it.", "schema": {"enum": ["delivered", "buffered"]}},
}
_REQUEST_HEADERS: dict[str, Json] = {
    "Idempotency-Key": {"type": "string", "minLength": 1, "maxLength": 255},
    "Last-Event-ID": {"type": "string"},
}
_DIALECT_TITLE = "Stepwell API"


def openapi_document(dialects: Sequence[Dialect]) -> Json:
    """The document of some dialects; the first counts that serves a path."""
    types = _Types(dialects)
    paths: dict[str, Json] = {}
    for dialect in dialects:
        for route in dialect.routes:
            path = paths.setdefault(dialect.base + route.path, {})
            if route.method.lower() not in path:  # else an earlier dialect answers there, to whom the key does not say
                path[route.method.lower()] = _operation(dialect, route, types)
    return {
        "openapi": "3.1.0",
        "info": {"title": _DIALECT_TITLE, "version": __version__},
        "security": [{"apiKey": []}, {"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": types.components,
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


class _Types:
    """The schemas of all structs, shared as components."""

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        found = dict.fromkeys(_structs(route for dialect in dialects for route in dialect.routes))
        schemas, components = msgspec.json.schema_components(list(found), ref_template="#/components/schemas/{name}")
        self.components: dict[str, Json] = components
        self._of = dict(zip(found, schemas, strict=True))

    def of(self, type_: Any) -> Json:
        """The schema of a struct: a reference to its component."""
        return self._of[type_]

    def members(self, type_: Any) -> Iterator[tuple[str, Json, bool]]:
        """Name, schema and whether it is required, of each member of a struct."""
        schema = self.components[self._of[type_]["$ref"].rpartition("/")[2]]
        for name, member in schema["properties"].items():
            yield name, member, name in schema.get("required", ())


def _structs(routes: Iterator[Route]) -> Iterator[Any]:
    for route in routes:
        for found in (route.query, route.body, *(answer.data for answer in route.answers)):
            if found not in (None, dict):
                yield found


def _operation(dialect: Dialect, route: Route, types: _Types) -> Json:
    operation: Json = {
        "operationId": f"{dialect.name}.{route.handler.__name__}.{route.path}",
        "summary": route.summary,
        "description": f"{_needs(route)}, rate category `{route.rate}`.",
        "tags": [route.path.split("/")[1]],
        "responses": _responses(dialect, route, types),
    }
    if route.scope is None:
        operation["security"] = []
    if parameters := [*_parameters(route, types)]:
        operation["parameters"] = parameters
    if route.body is not None:
        schema = route.body_schema if route.body is dict else types.of(route.body)
        required = bool(schema.get("required")) if route.body is dict else _needed(route.body, types)
        forms = (JSON, FORM) if route.form else (JSON,)
        operation["requestBody"] = {"required": required, "content": {each: {"schema": schema} for each in forms}}
    return operation


def _needs(route: Route) -> str:
    if not route.scope:
        return "No key" if route.scope is None else "Any key"
    return f"Scope `{route.scope}`"


def _needed(body: type[Any], types: _Types) -> bool:
    """Whether an empty body, which is read as `{}`, would be refused."""
    return any(required for _, _, required in types.members(body))


def _parameters(route: Route, types: _Types) -> Iterator[Json]:
    for segment in route.path.split("/"):
        if segment.startswith("{"):
            schema = _UUID if route.path_check is not None else {"type": "string", "minLength": 1}
            yield {"name": segment[1:-1], "in": "path", "required": True, "schema": schema}
    for name, member, required in types.members(route.query) if route.query is not None else ():
        yield {"name": name, "in": "query", "required": required, "schema": _without_null(member)}
    for name in route.headers:
        yield {"name": name, "in": "header", "required": False, "schema": _REQUEST_HEADERS[name]}


def _without_null(schema: Json) -> Json:
    """A query parameter is absent or a text; it is never null."""
    kept = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    bare = kept[0] if len(kept) == 1 else {"anyOf": kept} if kept else schema
    if "enum" in bare:
        bare = {**bare, "enum": [value for value in bare["enum"] if value is not None]}
    return {name: value for name, value in {**schema, **bare}.items() if not _is_null_part(name, value, kept)}


def _is_null_part(name: str, value: Json, kept: list[Json]) -> bool:
    return (name == "default" and value is None) or (name == "anyOf" and len(kept) == 1)


def _responses(dialect: Dialect, route: Route, types: _Types) -> Json:
    responses: dict[str, Json] = {}
    for answer in route.answers:
        names = ("X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", *answer.headers)
        response = responses.setdefault(str(answer.status), {"description": "Success", "headers": {}, "content": {}})
        response["headers"] |= _headers(*names)
        if answer.status != 204:
            response["content"][answer.content] = _content(dialect, answer, types)
    everywhere = EVERYWHERE if route.scope is not None else [code for code in EVERYWHERE if code != "FORBIDDEN"]
    codes = (*everywhere, *(WITH_BODY if route.body is not None else ()), *route.errors)
    for code in dict.fromkeys(codes):
        status = str(dialect.statuses[code])
        _add_error(responses, status, dialect.error_schema(code))
    if any(answer.content == HTML for answer in route.answers):  # people are refused with a page too
        responses[str(dialect.statuses["UNAUTHORIZED"])]["content"][HTML] = {}
    return dict(sorted(responses.items()))


def _add_error(responses: dict[str, Json], status: str, schema: Json) -> None:
    """Several codes may share a status."""
    if status not in responses:
        names = ("X-Request-Id", "Retry-After") if status in ("429", "503") else ("X-Request-Id",)
        content: Json = {JSON: {"schema": {"oneOf": []}}}
        responses[status] = {"description": "Refusal", "headers": _headers(*names), "content": content}
    forms = responses[status]["content"][JSON]["schema"]["oneOf"]
    if schema not in forms:
        forms.append(schema)


def _headers(*names: str) -> dict[str, Json]:
    return {name: _HEADERS[name] for name in names}


def _content(dialect: Dialect, answer: Answer, types: _Types) -> Json:
    if answer.content != JSON:
        return {}
    return {"schema": dialect.envelope(answer, None if answer.data is None else types.of(answer.data))}
