"""Run input against its schema. Source: LoopFour contract 1.4, 4.2 and appendix A.6."""

from decimal import Decimal
from pathlib import Path

import pytest

from stepwell.definitions import InputSchema
from stepwell.errors import Fault, ValidationFailed
from stepwell.values import decode

EXAMPLE = decode((Path(__file__).parents[3] / "examples" / "process-customer-order.json").read_bytes())["inputSchema"]
INVOICE = {
    "type": "object",
    "required": ["customerId", "amount"],
    "properties": {
        "customerId": {"type": "string", "pattern": "^cus_[a-zA-Z0-9]+$"},
        "amount": {"type": "number", "minimum": 100},
        "currency": {"type": "string", "enum": ["usd", "eur", "gbp"], "default": "usd"},
    },
}


def refused(schema, value):
    with pytest.raises(ValidationFailed, match="Input validation failed") as error:
        InputSchema(schema).apply(value)
    return [(list(fault.path), fault.message) for fault in error.value.faults]


def test_a_missing_field_is_required():
    assert refused(EXAMPLE, {"items": []}) == [(["customerId"], "Required")]


def test_missing_fields_come_before_faulty_members():
    assert refused(EXAMPLE, {"items": [{"quantity": 0}]}) == [
        (["customerId"], "Required"),
        (["items", 0, "quantity"], "Number must be greater than or equal to 1"),
    ]


def test_missing_fields_come_in_the_order_of_required_and_members_in_that_of_properties():
    schema = {
        "required": ["z", "y"],
        "properties": {"b": {"type": "string"}, "a": {"type": "object", "required": ["q"]}, "c": {"type": "string"}},
    }

    assert refused(schema, {"c": 1, "a": {}, "b": 1}) == [
        (["z"], "Required"),
        (["y"], "Required"),
        (["b"], "Expected string, received number"),
        (["a", "q"], "Required"),
        (["c"], "Expected string, received number"),
    ]


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        ({"customerId": 7, "amount": 100}, "customerId", "Expected string, received number"),
        ({"customerId": "x", "amount": 100}, "customerId", "Invalid"),
        ({"customerId": "cus_1", "amount": 99}, "amount", "Number must be greater than or equal to 100"),
        ({"customerId": "cus_1", "amount": Decimal("99.99")}, "amount", "Number must be greater than or equal to 100"),
        ({"customerId": "cus_1", "amount": "100"}, "amount", "Expected number, received string"),
        (
            {"customerId": "cus_1", "amount": 100, "currency": "xyz"},
            "currency",
            "Invalid enum value. Expected 'usd' | 'eur' | 'gbp', received 'xyz'",
        ),
    ],
)
def test_messages_are_the_contracts(value, field, message):
    assert refused(INVOICE, value) == [([field], message)]


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"type": ["string", "null"]}, 1, "Expected string or null, received number"),
        ({"type": ["null", "string"]}, [], "Expected string or null, received array"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, True, "Expected string or null, received boolean"),
        ({"type": "integer"}, Decimal("1.5"), "Expected integer, received number"),
        ({"type": "object"}, None, "Expected object, received null"),
        ({"format": "email"}, "x", "Invalid"),
        ({"format": "date-time"}, "yesterday", "Invalid"),
        ({"maximum": 5}, 6, "Number must be less than or equal to 5"),
        ({"exclusiveMinimum": Decimal("0.5")}, Decimal("0.5"), "Number must be greater than 0.5"),
        ({"exclusiveMaximum": 5}, 5, "Number must be less than 5"),
        ({"multipleOf": Decimal("0.01")}, Decimal("1.005"), "Number must be a multiple of 0.01"),
        ({"minLength": 2}, "a", "String must contain at least 2 character(s)"),
        ({"maxItems": 1}, [1, 2], "Array must contain at most 1 element(s)"),
        ({"const": "a"}, "b", "Invalid value. Expected 'a'"),
        ({"anyOf": [{"minimum": 5}, {"type": "string"}]}, 1, "Does not match any of the allowed forms"),
    ],
)
def test_other_rules_have_plain_sentences(schema, value, message):
    assert refused({"properties": {"a": schema}}, {"a": value}) == [(["a"], message)]


def test_a_wrong_type_is_told_alone():
    assert refused({"properties": {"a": {"type": "string", "enum": ["x"]}}}, {"a": 1}) == [
        (["a"], "Expected string, received number")
    ]


def test_defaults_are_filled_in_before_validation():
    schema = {**INVOICE, "required": ["customerId", "amount", "currency"]}

    assert InputSchema(schema).apply({"customerId": "cus_1", "amount": 100})["currency"] == "usd"


def test_defaults_are_filled_in_at_every_level():
    child = {"type": "object", "properties": {"n": {"default": 1}}}
    schema = {
        "properties": {"list": {"type": "array", "items": {"$ref": "#/$defs/child"}}, "made": {**child, "default": {}}},
        "allOf": [{"properties": {"all": {"default": True}}}],
        "$defs": {"child": child},
    }

    assert InputSchema(schema).apply({"list": [{}, {"n": 2}]}) == {
        "list": [{"n": 1}, {"n": 2}],
        "made": {"n": 1},
        "all": True,
    }


def test_filling_in_leaves_the_callers_input_and_the_schema_alone():
    schema = {"properties": {"a": {"default": {"b": []}}}}
    given = {}

    InputSchema(schema).apply(given)["a"]["b"].append(1)

    assert given == {}
    assert InputSchema(schema).apply({}) == {"a": {"b": []}}


def test_undeclared_fields_are_kept_when_nothing_is_said():
    assert InputSchema(EXAMPLE).apply({"customerId": "c", "items": [], "customerEmail": "e"})["customerEmail"] == "e"


def test_undeclared_fields_are_removed_at_the_level_that_allows_none():
    schema = {
        "additionalProperties": False,
        "properties": {"a": {"type": "object"}},
        "patternProperties": {"^x-": {"additionalProperties": False}},
    }

    assert InputSchema(schema).apply({"a": {"kept": 1}, "gone": 1, "x-b": {"gone": 1}}) == {
        "a": {"kept": 1},
        "x-b": {},
    }


def test_types_are_not_coerced():
    assert refused({"properties": {"a": {"type": "boolean"}}}, {"a": "true"}) == [
        (["a"], "Expected boolean, received string")
    ]


def test_decimals_keep_their_text():
    assert str(InputSchema(INVOICE).apply(decode('{"customerId": "cus_1", "amount": 119.90}'))["amount"]) == "119.90"


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"$ref": "#", "default": {}}}},
        {
            "$ref": "#/$defs/n0",
            "$defs": {
                f"n{level}": {"properties": {side: {"$ref": f"#/$defs/n{level + 1}", "default": {}} for side in "ab"}}
                for level in range(40)
            }
            | {"n40": {}},
        },
    ],
)
def test_defaults_without_end_are_refused(schema):
    assert refused(schema, {}) == [([], "The schema's defaults have no end")]


def test_a_pattern_that_ruins_backtracking_engines_is_answered_at_once():
    schema = {"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}

    assert refused(schema, {"a": "a" * 50_000 + "b"}) == [(["a"], "Invalid")]


@pytest.mark.parametrize("name", ["", "5", "a.b", "a/b"])
def test_a_fault_below_a_field_of_an_odd_name_has_its_path(name):
    schema = {"additionalProperties": {"additionalProperties": {"type": "string"}}}

    assert refused(schema, {name: {"x": 1}}) == [([name, "x"], "Expected string, received number")]


def test_output_is_checked_as_it_is():
    schema = InputSchema({"required": ["a"], "properties": {"a": {"default": 1}}})

    assert schema.faults({}) == [Fault(("a",), "Required")]
    assert schema.faults({"a": 2}) == []


def test_a_recursive_schema_with_alternatives_is_answered_in_bounded_time():
    child = {"properties": {"c": {"$ref": "#"}}, "required": ["c"]}
    value = {}
    for _ in range(100):
        value = {"c": value}

    assert refused({"anyOf": [child, child]}, value) == [([], "Does not match the schema")]


def test_faults_deep_in_a_recursive_schema_are_told_where_they_are():
    schema = {"properties": {"n": {"type": "number"}, "children": {"items": {"$ref": "#"}}}}

    assert refused(schema, {"children": [{"children": [{"n": "x"}]}]}) == [
        (["children", 0, "children", 0, "n"], "Expected number, received string")
    ]
