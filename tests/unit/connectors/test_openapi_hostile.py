"""Documents that mean harm: each is refused, or imported without it, in little time and memory."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.connectors import compile_manifest
from stepwell.connectors.openapi import MAX_BYTES, MAX_OPERATIONS, BadDocument, import_document, read_document
from stepwell.errors import ValidationFailed
from stepwell.values import Json, encode
from unit.connectors.test_openapi import OK, document, one


def read(text: str) -> Json:
    return read_document(text.encode())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "a: &a [x]\n" + "".join(f"{n}: &{n} [{', '.join(['*' + chr(ord(n) - 1)] * 9)}]\n" for n in "bcdefghi"),
            "aliases",
        ),
        ("a: &a {b: *a}", "names nothing that is complete"),
        ("a: *nobody", "nobody"),
        ("base: &b {x: 1}\nuse: {<<: *b}", "merge keys"),
        ("[" * 200 + "]" * 200, "nested deeper than 128"),
        ("a: " + "{a: " * 200 + "}" * 200, "nested deeper than 128"),
        ("a: !!python/object/apply:os.system [ls]", "is not JSON"),
        ("a: !!binary aGk=", "is not JSON"),
        ("? [a]\n: b", "a key is not a text"),
        ("x: &a 1\n? *a\n: b", "a key is not a text"),
        ("--- a\n--- b", "one document was expected"),
        ("", "one document was expected"),
        ("a: [1", "did not find expected"),
        ('{"a": NaN}', "is not JSON"),
        ("{" + '"a":{' * 200 + "}" * 201, "is not JSON"),
    ],
)
def test_a_text_that_is_no_plain_document_is_refused(text: str, told: str) -> None:
    with pytest.raises(BadDocument) as error:
        read(text)

    assert told in str(error.value)


def test_a_text_beyond_ten_megabytes_or_of_another_encoding_is_refused() -> None:
    for text in (b" " * (MAX_BYTES + 1), "openapi: 3".encode("utf-16")):
        with pytest.raises(BadDocument):
            read_document(text)


def test_yaml_is_read_as_json() -> None:
    text = """
        no: no
        date: 2024-01-15
        time: 12:30
        octal: 0123
        numbers: [1, -2, 1.50, 1e3, .5, 1e999, 0x1f]
        words: [true, False, null, ~, "true", '1']
        200: status
        folded: >-
          a
          b
        tagged: !!str 5
        shared: &s {a: 1}
        again: *s
    """

    assert read(text) == {
        "no": "no",
        "date": "2024-01-15",
        "time": "12:30",
        "octal": 123,
        "numbers": [1, -2, Decimal("1.50"), Decimal("1e3"), Decimal(".5"), "1e999", "0x1f"],
        "words": [True, False, None, None, "true", "1"],
        "200": "status",
        "folded": "a b",
        "tagged": "5",
        "shared": {"a": 1},
        "again": {"a": 1},
    }


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value = read(text)
    except BadDocument:
        return
    encode(value)


def body(schema: Json, **schemas: Json) -> Json:
    root = one({"requestBody": {"content": {"application/json": {"schema": schema}}}}, method="post")
    return root | {"components": {"schemas": schemas}}


def test_references_that_double_at_each_step_do_not_double_the_connector() -> None:
    schemas = {
        f"S{n}": {
            "properties": {
                "l": {"$ref": f"#/components/schemas/S{n + 1}"},
                "r": {"$ref": f"#/components/schemas/S{n + 1}"},
            }
        }
        for n in range(60)
    }
    made = import_document("acme", body({"$ref": "#/components/schemas/S0"}, **schemas, S60={"type": "string"}))

    assert len(repr(made.manifest)) < 400_000
    assert made.notes
    compile_manifest(made.manifest)


def test_a_chain_of_references_without_end_is_cut() -> None:
    schemas = {f"S{n}": {"$ref": f"#/components/schemas/S{n + 1}"} for n in range(5000)}

    made = import_document("acme", body({"$ref": "#/components/schemas/S0"}, **schemas))

    assert made.manifest.actions["postThings"].params["properties"]["body"] == {}


@pytest.mark.parametrize("place", ["parameters", "requestBodies", "responses", "pathItems"])
def test_references_in_a_circle_are_told(place: str) -> None:
    circle = {"$ref": f"#/components/{place}/A"}
    operation = {
        "parameters": {"parameters": [circle]},
        "requestBodies": {"requestBody": circle},
        "responses": {"responses": {"200": circle}},
        "pathItems": {},
    }[place]
    root = one(operation, method="post") | {"components": {place: {"A": circle}}}
    if place == "pathItems":
        root["paths"]["/things"] = circle
    root["paths"]["/fine"] = {"get": {"responses": OK}}

    assert "goes in a circle" in import_document("acme", root).skipped[0].reason


def test_a_huge_enum_is_not_kept_and_the_value_is_taken_as_it_is() -> None:
    made = import_document("acme", body({"type": "string", "enum": [f"e{n}" for n in range(100_000)]}))

    assert made.manifest.actions["postThings"].params["properties"]["body"] == {"type": "string"}


def test_more_operations_than_the_limit_are_refused() -> None:
    root = document({f"/p{n}": {"get": {"responses": OK}} for n in range(MAX_OPERATIONS + 1)})

    with pytest.raises(ValidationFailed) as error:
        import_document("acme", root)

    assert error.value.faults[0].message == "The document has 2001 operations; at most 2000 can be imported"


def test_a_large_document_makes_a_connector_of_bounded_size() -> None:
    fields = {f"f{n}": {"type": "string", "description": "d" * 400} for n in range(500)}
    shared = {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Big"}}}}}
    root = document({f"/p{n}": {"post": {"responses": OK, **shared}} for n in range(500)})
    root["components"] = {"schemas": {"Big": {"type": "object", "properties": fields}}}

    made = import_document("acme", root)

    assert len(made.manifest.actions) == 500
    assert len(repr(made.manifest)) < 20_000_000


TEMPLATE = "{{connection.secret}}{% raw %}"


def test_nothing_that_a_document_says_is_a_template() -> None:
    root = one(
        {
            "operationId": TEMPLATE,
            "summary": TEMPLATE,
            "parameters": [{"name": TEMPLATE, "in": "query", "schema": {"type": "string", "default": TEMPLATE}}],
            "responses": {"200": {"content": {"application/json": {"example": {"$rest": TEMPLATE, "a": TEMPLATE}}}}},
        },
        servers=[{"url": "https://acme.test/v1"}],
    )

    action = next(iter(compile_manifest(import_document("acme", root).manifest).actions.values()))

    scope: Json = {"params": {}, "connection": {"secret": "leak"}}
    assert action.simulate[0].output.render(scope) == {"$rest": TEMPLATE, "a": TEMPLATE}
    assert "leak" not in repr(action.requests[0].query.render(scope))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "$ref",
                        "type",
                        "properties",
                        "items",
                        "allOf",
                        "oneOf",
                        "enum",
                        "required",
                        "in",
                        "name",
                        "schema",
                        "get",
                        "post",
                        "parameters",
                        "requestBody",
                        "content",
                        "application/json",
                        "responses",
                        "200",
                        "security",
                        "example",
                        "pattern",
                        "minimum",
                        "format",
                        "nullable",
                        "additionalProperties",
                        "explode",
                        "style",
                    ]
                ),  # fmt: skip
                inner,
                max_size=5,
            )
        ),
        max_leaves=25,
    )
)
def test_any_document_is_imported_or_refused_with_faults(junk: Json) -> None:
    for root in (
        junk,
        {"openapi": "3.0.0", "paths": junk},
        document({"/a": junk, "/b/{c}": {"post": junk}}),
        body(junk),
    ):
        try:
            made = import_document("acme", root, base_url="https://acme.test")
        except ValidationFailed as error:
            assert error.faults
        else:
            compile_manifest(made.manifest)
