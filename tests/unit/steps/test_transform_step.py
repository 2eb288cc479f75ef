"""transform: the mapping form and the rules form. Source: LoopFour contract 9.2."""

from decimal import Decimal

import pytest

from stepwell.errors import StepError

ITEMS = [{"quantity": 2, "price": 1999}, {"quantity": 1, "price": 502}]


def test_a_mapping_gives_its_rendered_values_and_records_them_as_input(evaluate):
    mapping = {"total": "{{input.items | map: 'quantity * price' | sum}}", "deep": [{"a": "{{input.none}}"}], "n": 1}

    resolved, output = evaluate("transform", {"mapping": mapping}, input={"items": ITEMS})

    assert output == {"total": 4500, "deep": [{"a": None}], "n": 1}
    assert resolved == {"mapping": output}


@pytest.mark.parametrize("other", ["mapping", "sourceData"])
def test_a_script_stands_alone(refused, other):
    assert refused("transform", {"script": "return 1", other: {}}) == [
        (f"config.{other}", "Not allowed together with script")
    ]


def test_mapping_and_rules_exclude_each_other(refused):
    assert refused("transform", {"mapping": {}, "sourceData": {}}) == [
        ("config.sourceData", "Not allowed together with mapping")
    ]


def mapped(evaluate, value, transform):
    rules = [{"source": "a.b", "target": "x.y", "transform": transform}]
    _, output = evaluate("transform", {"sourceData": "{{input}}", "mappingRules": rules}, input={"a": {"b": value}})
    return output["x"]["y"]


@pytest.mark.parametrize(
    ("transform", "value", "result"),
    [
        ("string", 5, "5"),
        ("string", {"a": 1}, '{"a":1}'),
        ("number", " 4.50 ", Decimal("4.50")),
        ("boolean", "Yes", True),
        ("boolean", 0, False),
        ("date", "2024-01-15T12:00:00+02:00", "2024-01-15T10:00:00.000Z"),
        ("date", 1705312800, "2024-01-15T10:00:00.000Z"),
        ("date", 1705312800000, "2024-01-15T10:00:00.000Z"),
        ("uppercase", "ab", "AB"),
        ("lowercase", "AB", "ab"),
        ("capitalize", "hello", "Hello"),
        ("trim", " a ", "a"),
        ("round", "2.5", 3),
        ("round:2", Decimal("1.005"), Decimal("1.01")),
        ("json", [1], "[1]"),
        ("parseJson", '{"a": 1}', {"a": 1}),
        ("default:none", None, "none"),
        ("default:none", "x", "x"),
        ("uppercase", None, None),
    ],
)
def test_a_mapping_rule_converts(evaluate, transform, value, result):
    assert mapped(evaluate, value, transform) == result


@pytest.mark.parametrize(
    ("transform", "value"), [("number", "x"), ("boolean", "perhaps"), ("date", "soon"), ("parseJson", "{")]
)
def test_what_cannot_be_converted_becomes_null(evaluate, transform, value):
    assert mapped(evaluate, value, transform) is None


def test_under_strict_what_cannot_be_converted_fails_the_step(evaluate):
    rules = [{"source": "a", "target": "n", "transform": "number"}]
    config = {"sourceData": {"a": "x"}, "mappingRules": rules, "strict": True}

    with pytest.raises(StepError, match="n: Expected number, received string"):
        evaluate("transform", config)


def test_an_array_is_treated_item_by_item(evaluate):
    config = {"sourceData": "{{input.list}}", "mappingRules": [{"source": "a", "target": "b"}]}

    assert evaluate("transform", config, input={"list": [{"a": 1}, {"a": 2}]})[1] == [{"b": 1}, {"b": 2}]


def test_enrich_keeps_the_source(evaluate):
    config = {
        "action": "enrich",
        "sourceData": {"a": 1, "o": {"k": 2}},
        "mappingRules": [{"source": "a", "target": "o.b"}],
    }

    assert evaluate("transform", config)[1] == {"a": 1, "o": {"k": 2, "b": 1}}


@pytest.mark.parametrize(
    ("type_", "value", "result"),
    [
        ("trim", " a ", "a"),
        ("lowercase", "A", "a"),
        ("uppercase", "a", "A"),
        ("date", "2024-01-15", "2024-01-15T00:00:00.000Z"),
        ("email", " Ana@Example.COM ", "ana@example.com"),
        ("email", "nobody", "nobody"),
        ("phone", "+49 (30) 123-456", "+4930123456"),
        ("number", "12", 12),
    ],
)
def test_a_field_is_normalised_or_left_as_it_is(evaluate, type_, value, result):
    config = {"action": "normalize", "sourceData": {"f": value}, "normalizations": [{"field": "f", "type": type_}]}

    assert evaluate("transform", config)[1] == {"f": result}


@pytest.mark.parametrize(
    ("rule", "wanted", "value", "message"),
    [
        ("required", None, "", "Required"),
        ("required", None, 0, None),
        ("type", "number", "1", "Expected number, received string"),
        ("type", "integer", Decimal("1.5"), "Expected integer, received number"),
        ("type", "integer", 2, None),
        ("min", 3, 2, "Must be at least 3"),
        ("min", 3, "abc", None),
        ("max", 3, [1, 2, 3, 4], "Must be at most 3"),
        ("pattern", "^a+$", "ab", "Invalid"),
        ("enum", ["a", "b"], "c", 'Must be one of ["a","b"]'),
        ("email", None, "x", "Expected an email address"),
        ("email", None, "a@b.example", None),
        ("min", 3, None, None),
        ("min", 3, True, "Expected number, received boolean"),
        ("max", "x", 3, "Expected number, received string"),
    ],
)
def test_validate_tells_what_is_wrong(evaluate, rule, wanted, value, message):
    checks = [{"field": "f", "rule": rule, "value": wanted}]

    _, output = evaluate("transform", {"action": "validate", "sourceData": {"f": value}, "validationRules": checks})

    errors = [] if message is None else [{"field": "f", "message": message}]
    assert output == {"valid": not errors, "errors": errors, "data": {"f": value}}


def test_errors_of_an_array_name_the_item(evaluate):
    checks = [{"field": "f", "rule": "required", "message": "f is missing"}]
    config = {"action": "validate", "sourceData": [{"f": 1}, {}], "validationRules": checks}

    assert evaluate("transform", config)[1]["errors"] == [{"field": "[1].f", "message": "f is missing"}]


def test_a_target_schema_is_checked(evaluate):
    config = {"action": "validate", "sourceData": {"f": "x"}, "targetSchema": {"properties": {"f": {"type": "number"}}}}

    resolved, output = evaluate("transform", config)

    assert output["errors"] == [{"field": "f", "message": "Expected number, received string"}]
    assert resolved["targetSchema"] == config["targetSchema"]


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"targetSchema": {"type": "x"}}, "config.targetSchema.type"),
        ({"mappingRules": [{"source": "a", "target": "b", "transform": "x"}]}, "config.mappingRules[0].transform"),
        ({"mappingRules": [{"source": "a"}]}, "config.mappingRules[0].target"),
        ({"normalizations": [{"field": "a", "type": "x"}]}, "config.normalizations[0].type"),
        ({"validationRules": [{"field": "a", "rule": "pattern", "value": "("}]}, "config.validationRules[0].value"),
        ({"action": "melt"}, "config.action"),
    ],
)
def test_faulty_rules_are_found_at_save(refused, config, fault):
    assert [field for field, _ in refused("transform", {"sourceData": {}, **config})] == [fault]


def test_a_target_path_is_bounded(evaluate):
    config = {"sourceData": {}, "mappingRules": [{"source": "a", "target": ".".join("a" * 33)}]}

    with pytest.raises(StepError, match="more than 32 levels"):
        evaluate("transform", config)
