"""OpenAPI documents made into manifests: every form of a parameter, names of any kind, what is left out and why."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.connectors import Connector, compile_manifest
from stepwell.connectors.manifest import Basic, Bearer, CookieKey, HeaderKey, NoAuth, QueryKey
from stepwell.connectors.openapi import Imported, import_document
from stepwell.connectors.parameters import accept
from stepwell.errors import ValidationFailed
from stepwell.values import Json

OK: Json = {"200": {"description": "Fine", "content": {"application/json": {}}}}


def document(paths: Json, **more: Json) -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {"title": "Acme"},
        "servers": [{"url": "https://acme.test/v1"}],
        "paths": paths,
        **more,
    }


def one(operation: Json = None, path: str = "/things", method: str = "get", **more: Json) -> dict[str, Any]:
    return document({path: {method: {"responses": OK, **(operation or {})}}}, **more)


def imported(root: Json, **options: Any) -> Imported:
    return import_document("acme", root, **options)


def connector(root: Json) -> Connector:
    return compile_manifest(imported(root).manifest)


def only_reason(root: Json) -> str:
    """Why the second operation of a document, whose first is fine, was skipped."""
    root["paths"]["/fine"] = {"get": {"responses": OK}}
    return imported(root).skipped[0].reason


def sent(root: Json, params: Json) -> dict[str, Json]:
    """What the one operation of a document sends, before it is encoded."""
    made = connector(root)
    [(name, action)] = made.actions.items()
    request = action.requests[0]
    scope = {"params": accept(name, action, params), "connection": {}}
    return {
        "path": request.path.render(scope),
        "query": request.query.render(scope),
        "headers": request.headers.render(scope),
        "cookies": request.cookies.render(scope),
        "body": None if request.body is None else request.body.render(scope),
    }


def with_parameter(**parameter: Json) -> dict[str, Any]:
    return one({"parameters": [{"name": "p", "in": "query", "schema": {}, **parameter}]})


ARRAY, OBJECT = {"type": "array", "items": {}}, {"type": "object"}


@pytest.mark.parametrize(
    ("parameter", "value", "query"),
    [
        ({"schema": {"type": "boolean"}}, True, {"p": True}),
        ({"schema": ARRAY}, ["a", "b"], {"p": ["a", "b"]}),
        ({"schema": ARRAY, "explode": False}, ["a", "b"], {"p": "a,b"}),
        ({"schema": ARRAY, "style": "spaceDelimited"}, ["a", "b"], {"p": "a b"}),
        ({"schema": ARRAY, "style": "pipeDelimited", "explode": False}, ["a", "b"], {"p": "a|b"}),
        ({"schema": OBJECT, "style": "deepObject"}, {"a": 1}, {"p": {"a": 1}}),
        ({"schema": OBJECT}, {"a": 1, "b": 2}, {"a": 1, "b": 2}),
        ({"content": {"application/json": {"schema": OBJECT}}}, {"a": [1]}, {"p": '{"a":[1]}'}),
        ({"schema": ARRAY, "explode": False}, None, {}),
    ],
)
def test_query_parameters_are_sent_in_their_style(parameter: Json, value: Json, query: Json) -> None:
    assert sent(with_parameter(**parameter), {"p": value})["query"] == query


@pytest.mark.parametrize(
    ("parameter", "reason"),
    [
        ({"style": "matrix"}, "its query parameter p cannot be sent in its form"),
        ({"schema": OBJECT, "explode": False}, "its query parameter p cannot be sent in its form"),
        ({"content": {"text/csv": {}}}, "its parameter p is of the type text/csv"),
        ({"name": "Bad\r\nX: y", "in": "header"}, "its header parameter Bad\r\nX: y cannot be sent in its form"),
        ({"name": "Host", "in": "header"}, "its header parameter Host cannot be sent in its form"),
        ({"name": "a=b", "in": "cookie"}, "its cookie parameter a=b cannot be sent in its form"),
        ({"in": "body"}, "a parameter of it has no name or no place"),
        (
            {"schema": {"$ref": "other.yaml#/A"}},
            "it refers to another document (other.yaml#/A); put everything into one",
        ),
        ({"schema": {"$ref": "#/components/schemas/None"}}, "the reference #/components/schemas/None names nothing"),
    ],
)
def test_what_is_required_and_cannot_be_sent_leaves_its_operation_out(parameter: Json, reason: str) -> None:
    assert only_reason(with_parameter(required=True, **parameter)) == reason


def test_what_is_not_required_and_cannot_be_sent_is_left_out_alone() -> None:
    assert sent(with_parameter(style="matrix"), {})["query"] == {}


@pytest.mark.parametrize(
    ("path", "parameters", "reason"),
    [
        ("/a/{id}", [], "its path parameter 'id' is not described"),
        ("/a/{id", ["id"], "the braces in its path do not match"),
        ("/a/{{id}}", ["id"], "the braces in its path do not match"),
        ("/a?b=1", [], "its path has characters that a path cannot have"),
        ("/a\r\nHost: b", [], "its path has characters that a path cannot have"),
        ("/a/../../etc", [], "its path climbs"),
        ("/a/%2e%2E/etc", [], "its path climbs"),
    ],
)
def test_a_path_that_is_none_is_left_out(path: str, parameters: list[str], reason: str) -> None:
    described = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in parameters]

    assert only_reason(one({"parameters": described}, path)) == reason


@pytest.mark.parametrize(
    ("path", "rendered"),
    [
        ("/things/{id}:batch", "/things/a%2Fb:batch"),
        ("/things/{id}/", "/things/a%2Fb/"),
        ("/v(1)/{id}.json", "/v(1)/a%2Fb.json"),
        ("/ü/{id}", "/%C3%BC/a%2Fb"),
        ("/a%20b/{id}", "/a%20b/a%2Fb"),
        ("/{id}", "/a%2Fb"),
    ],
)
def test_what_is_written_in_a_path_goes_out_as_it_is(path: str, rendered: str) -> None:
    parameter = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}

    assert sent(one({"parameters": [parameter]}, path), {"id": "a/b"})["path"] == rendered


@given(name=st.text(min_size=1, max_size=30), value=st.text(min_size=1, max_size=20))
def test_a_parameter_of_any_name_reaches_the_query_under_that_name(name: str, value: str) -> None:
    root = one({"parameters": [{"name": name, "in": "query", "required": True, "schema": {"type": "string"}}]})
    made = connector(root | {"paths": {**root["paths"], "/fine": {"get": {"responses": OK}}}})
    action = made.actions["getThings"]
    [key] = action.params["properties"]

    scope = {"params": accept("getThings", action, {key: value})}

    assert action.requests[0].query.render(scope) == {name: value}


@given(
    ids=st.lists(
        st.one_of(st.none(), st.text(max_size=20), st.sampled_from(["get", "1", "a-b", "aB", "__proto__"])), max_size=8
    )
)
def test_actions_of_any_operation_ids_have_names_of_their_own(ids: list[str | None]) -> None:
    paths = {f"/p{index}": {"get": {"operationId": id, "responses": OK}} for index, id in enumerate(ids)}
    made = connector(document({**paths, "/last": {"post": {"responses": OK}}}))

    assert len(made.actions) == len(ids) + 1
    assert all(name.isidentifier() and name.isascii() for name in made.actions)


def test_parameters_of_one_name_in_several_places_are_told_apart() -> None:
    places = ("path", "query", "header", "cookie")
    parameters = [{"name": "id", "in": where, "required": True, "schema": {"type": "string"}} for where in places]

    seen = sent(
        one({"parameters": parameters}, "/a/{id}"),
        {"id": "1", "id_query": "2", "id_header": "3", "id_cookie": "4"},
    )

    assert seen["path"] == "/a/1"
    assert (seen["query"], seen["headers"], seen["cookies"]) == ({"id": "2"}, {"id": "3"}, {"id": "4"})


def test_a_parameter_does_not_take_a_name_that_a_step_has_a_use_for() -> None:
    parameters = [{"name": name, "in": "query", "schema": {}} for name in ("connection", "body", "operation")]
    root = one({"parameters": parameters, "requestBody": {"content": {"application/json": {}}}}, method="post")

    given = {"connection_query": "a", "body_query": "b", "operation_query": "c", "body": {"x": 1}}

    assert sent(root, given)["query"] == {"connection": "a", "body": "b", "operation": "c"}
    assert sent(root, given)["body"] == {"x": 1}


def test_the_parameters_of_an_operation_count_before_those_of_its_path() -> None:
    root = one({"parameters": [{"name": "n", "in": "query", "schema": {"type": "integer"}}]})
    root["paths"]["/things"]["parameters"] = [{"name": "n", "in": "query", "schema": {"type": "string"}}]

    assert connector(root).actions["getThings"].params["properties"]["n"] == {"type": "integer"}


def body_schema(schema: Json, version: str = "3.0.0", **components: Json) -> Json:
    root = one({"requestBody": {"content": {"application/json": {"schema": schema}}}}, method="post")
    root |= {"openapi": version, "components": {"schemas": components}}
    return connector(root).actions["postThings"].params["properties"]["body"]


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"enum": ["a"], "nullable": True, "type": "string"}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, {"type": "integer", "exclusiveMinimum": 1}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": "file", "minLength": -1, "maximum": "x", "pattern": "(?=a)"}, {}),
        ({"type": "string", "pattern": "^a+$", "example": "a", "xml": {}}, {"type": "string", "pattern": "^a+$"}),
        ({"default": 5, "type": "integer"}, {"type": "integer", "description": "(default: 5)"}),
        (True, {}),
        (
            {"allOf": [{"$ref": "#/components/schemas/A"}, {"properties": {"b": {}}, "required": ["b", "id"]}]},
            {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b", "id"]},
        ),
        ({"$ref": "#/components/schemas/Loop"}, {"type": "object", "properties": {"next": {}}}),
    ],
)
def test_schemas_become_plain_json_schema(schema: Json, written: Json) -> None:
    loop = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Loop"}}}
    part = {"type": "object", "properties": {"a": {}, "id": {"readOnly": True}}, "required": ["id"]}

    assert body_schema(schema, A=part, Loop=loop) == written


def secured(*wanted: Json, **schemes: Json) -> Imported:
    paths = {f"/p{index}": {"get": {"security": each, "responses": OK}} for index, each in enumerate(wanted)}
    return imported(document(paths, components={"securitySchemes": schemes}))


@pytest.mark.parametrize(
    ("scheme", "auth"),
    [
        ({"type": "apiKey", "in": "header", "name": "X-Key"}, HeaderKey("X-Key", "s")),
        ({"type": "apiKey", "in": "query", "name": "key"}, QueryKey("key", "s")),
        ({"type": "apiKey", "in": "cookie", "name": "sid"}, CookieKey("sid", "s")),
        ({"type": "http", "scheme": "Bearer"}, Bearer("token")),
        ({"type": "http", "scheme": "basic"}, Basic("username", "password")),
        ({"type": "openIdConnect", "openIdConnectUrl": "https://a.test"}, Bearer("accessToken")),
    ],
)
def test_security_schemes_become_auth(scheme: Json, auth: Json) -> None:
    assert secured([{"s": []}], s=scheme).manifest.auth == auth


def test_an_oauth_scheme_keeps_its_addresses_and_scopes() -> None:
    flow = {
        "authorizationUrl": "/authorize",
        "tokenUrl": "https://id.acme.test/token",
        "scopes": {"read": "", "write": ""},
    }
    root = one(
        {"security": [{"o": ["read"]}]},
        components={"securitySchemes": {"o": {"type": "oauth2", "flows": {"authorizationCode": flow}}}},
    )

    manifest = imported(root, location="https://acme.test/openapi.yaml").manifest

    assert manifest.token_field == "accessToken"
    assert manifest.oauth is not None
    assert manifest.oauth.authorize_url == "https://acme.test/authorize"
    assert manifest.oauth.token_url == "https://id.acme.test/token"
    assert manifest.oauth.scopes == ("read", "write")


BASIC = {"type": "http", "scheme": "basic"}
BEARER = {"type": "http", "scheme": "bearer"}
KEY = {"type": "apiKey", "in": "header", "name": "X-Key"}


def test_of_schemes_that_exclude_each_other_the_one_that_most_operations_take_is_used() -> None:
    made = secured([{"b": []}], [{"b": []}, {"t": []}], [{"t": []}], [{"t": []}], [], t=BEARER, b=BASIC)

    assert made.manifest.auth == Bearer("token")
    assert [(each.operation, each.reason) for each in made.skipped] == [
        ("GET /p0", "it needs the security scheme b, which cannot be sent beside t")
    ]


def test_schemes_that_different_operations_need_are_all_there_and_none_must_be_given() -> None:
    made = secured([{"t": []}], [{"t": []}, {"k": []}], [{"k": []}], t=BEARER, k=KEY)

    assert made.skipped == ()
    assert made.manifest.auth == (Bearer("token"), HeaderKey("X-Key", "k"))
    assert {name: rule.required for name, rule in made.manifest.credentials.items()} == {"token": False, "k": False}


def test_a_scheme_that_no_operation_needs_beside_another_is_not_asked_for() -> None:
    made = secured([{"t": []}, {"k": []}], [{"t": []}], t=BEARER, k=KEY)

    assert (made.manifest.auth, list(made.manifest.credentials)) == (Bearer("token"), ["token"])


def test_a_scheme_that_is_optional_need_not_be_given() -> None:
    made = secured([{}, {"t": []}], t=BEARER)

    assert made.manifest.auth == Bearer("token")
    assert not made.manifest.credentials["token"].required


def test_schemes_in_one_place_cannot_be_wanted_together() -> None:
    made = secured([{"t": [], "b": []}], [], t=BEARER, b=BASIC)

    assert made.skipped[0].reason == "it wants two things in the header Authorization"


def test_schemes_that_are_wanted_together_are_sent_together() -> None:
    schemes = {name: {"type": "apiKey", "in": "header", "name": f"X-{name}"} for name in ("id", "key")}

    made = secured([{"id": [], "key": []}], **schemes)

    assert made.manifest.auth == (HeaderKey("X-id", "id"), HeaderKey("X-key", "key"))
    assert list(made.manifest.credentials) == ["id", "key"]


def test_an_operation_whose_scheme_cannot_be_met_is_left_out() -> None:
    made = secured([{"m": []}], [], m={"type": "mutualTLS"})

    assert made.manifest.auth == NoAuth()
    assert made.skipped[0].reason == "the security scheme m is of the kind mutualTLS"


def test_a_document_without_security_needs_no_credentials() -> None:
    made = imported(one())

    assert (made.manifest.auth, made.manifest.credentials) == (NoAuth(), {})


@pytest.mark.parametrize(
    ("servers", "location", "url"),
    [
        ([{"url": "https://a.test/v1/"}], None, "https://a.test/v1"),
        ([{"url": "https://{r}.a.test", "variables": {"r": {"default": "eu"}}}], None, "https://eu.a.test"),
        ([{"url": "/v2"}], "https://a.test/docs/openapi.json", "https://a.test/v2"),
        ([{"url": "./v2"}], "https://a.test/docs/openapi.json", "https://a.test/docs/v2"),
        ([], "https://a.test/docs/openapi.json", "https://a.test"),
    ],
)
def test_the_first_server_is_used(servers: Json, location: str | None, url: str) -> None:
    assert imported(one(servers=servers), location=location).manifest.base_url == url


@pytest.mark.parametrize(
    ("servers", "told"),
    [
        ([{"url": "file:///etc"}], "Expected an http or https address"),
        ([{"url": "https://user:pw@a.test"}], "Expected an http or https address"),
        ([{"url": "https://a.test/\r\nX: y"}], "Expected an http or https address"),
        ([{"url": "https://a.test/../.."}], "Expected an http or https address"),
        ([{"url": "javascript:alert(1)"}], "Expected an http or https address"),
        ([{"url": "https://{tenant}.a.test"}], "has a variable without a default; give a base URL"),
        ([{"url": "/v1"}], "says no host; give a base URL"),
        ([{}], "has no url; give a base URL"),
    ],
)
def test_a_server_that_cannot_be_called_is_refused(servers: Json, told: str) -> None:
    with pytest.raises(ValidationFailed) as error:
        imported(one(servers=servers))

    assert told in error.value.faults[0].message


@pytest.mark.parametrize(
    ("content", "form", "accept"),
    [
        ({"application/json": {"schema": {"type": "object"}}}, "json", None),
        ({"application/json": {"schema": {"type": "string"}}}, "any", None),
        ({"application/xml": {}, "application/json; charset=utf-8": {}}, "json", None),
        ({"application/vnd.acme.v2+json": {}}, "json", "application/vnd.acme.v2+json"),
        ({"*/*": {}}, "any", None),
        ({"text/csv": {}}, "text", "text/csv"),
        ({}, "any", None),
    ],
)
def test_an_answer_is_read_as_the_document_says(content: Json, form: str, accept: str | None) -> None:
    action = connector(one({"responses": {"200": {"description": "Fine", "content": content}}})).actions["getThings"]

    assert action.requests[0].answer == form
    assert action.requests[0].headers.render({"params": {}}) == ({"Accept": accept} if accept else {})


@pytest.mark.parametrize(
    ("operation", "method", "reason"),
    [
        ({"requestBody": {"content": {"application/pdf": {}}}}, "post", "it takes a body of the type application/pdf"),
        ({"requestBody": {"content": {"application/json": {}}}}, "get", "it wants a body in a GET request"),
        ({"responses": {"200": {"content": {"image/png": {}}}}}, "get", "it answers with image/png"),
        ({"servers": [{"url": "https://other.test"}]}, "get", "it is on a server of its own"),
        ({"requestBody": {"$ref": "#/components/x"}}, "post", "the reference #/components/x names nothing"),
        ({"requestBody": 5}, "post", "its request body is not an object"),
        ({}, "trace", "this method is not sent"),
    ],
)
def test_operations_that_cannot_be_imported_are_listed_with_the_reason(
    operation: Json, method: str, reason: str
) -> None:
    assert only_reason(one(operation, method=method)).startswith(reason)


def test_a_document_of_which_nothing_can_be_imported_is_refused_with_the_reasons() -> None:
    with pytest.raises(ValidationFailed) as error:
        imported(one({"responses": {"200": {"content": {"image/png": {}}}}}))

    assert [fault.message for fault in error.value.faults] == [
        "No operation can be imported",
        "GET /things: it answers with image/png, which is not JSON or text",
    ]
