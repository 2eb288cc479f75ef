"""condition, wait and end. Source: LoopFour contract 7.1 and 9."""

import pytest

from stepwell.definitions import Kind
from stepwell.errors import StepError

NOW = 1_705_312_800_000  # 2024-01-15T10:00:00Z
YEAR_MS = 365 * 24 * 3600 * 1000


@pytest.mark.parametrize(
    "form",
    [
        {"conditions": {"left": "{{input.amount}}", "operator": "gt", "right": "10000"}},
        {"conditions": [{"field": "{{input.amount}}", "operator": "greaterThan", "value": "10000"}]},
        {"expression": "input.amount > 10000"},
        {"condition": "{{input.amount}} > 10000"},
        {"conditions": "input.amount > 10000"},
    ],
)
@pytest.mark.parametrize(("amount", "result"), [(10001, True), (9, False)])
def test_every_form_of_a_condition_decides(compiled, form, amount, result):
    step = compiled("condition", {**form, "then": []})

    _, output = step.type.evaluate(step.program, {"input": {"amount": amount}})

    assert output == {"result": result}
    assert step.type.decide(output) is result


def test_a_condition_records_what_it_compared(evaluate):
    config = {"conditions": {"left": "{{input.a}}", "operator": "eq", "right": 1}, "then": []}

    assert evaluate("condition", config, input={"a": 5})[0] == {"conditions": {"left": 5, "operator": "eq", "right": 1}}


def test_a_condition_has_exactly_one_form(refused):
    assert refused("condition", {"then": []}) == [("config.conditions", "Required")]
    assert refused("condition", {"then": [], "expression": "true", "conditions": "true"}) == [
        ("config.expression", "Not allowed together with conditions")
    ]


def test_a_faulty_expression_is_found_at_save(refused):
    ((field, _),) = refused("condition", {"then": [], "expression": "1 +"})

    assert field == "config.expression"


def begin(compiled, config, **scope):
    step = compiled("wait", config)
    return step.type.begin(step.program, scope, NOW)


@pytest.mark.parametrize(
    ("config", "ms"),
    [
        ({"duration": 1500}, 1500),
        ({"duration": 2, "unit": "seconds"}, 2000),
        ({"duration": "{{input.n}}", "unit": "{{input.u}}"}, 90_000),
        ({"duration": "2", "unit": "hours"}, 7_200_000),
        ({"duration": 365, "unit": "days"}, YEAR_MS),
        ({"until": "2024-01-15T10:00:05Z"}, 5000),
        ({"until": "2024-01-15T12:00:05+02:00"}, 5000),
        ({"until": "2020-01-01T00:00:00Z"}, 0),
    ],
)
def test_a_wait_is_over_at_its_time(compiled, config, ms):
    _, due = begin(compiled, config, input={"n": "1.5", "u": "minutes"})

    assert due == NOW + ms


def test_a_wait_records_the_rendered_config(compiled):
    config, _ = begin(compiled, {"duration": "{{input.n}}", "unit": "seconds"}, input={"n": 3})

    assert config == {"duration": 3, "unit": "seconds"}


def test_a_wait_tells_how_long_it_took(compiled):
    step = compiled("wait", {"duration": 1000})

    assert step.type.finish({}, NOW, NOW + 1003) == {
        "waited": 1003,
        "durationMs": 1003,
        "completedAt": "2024-01-15T10:00:01.003Z",
    }


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({}, ("config.duration", "Required")),
        ({"duration": 366, "unit": "days"}, ("config.duration", "At most 365 days")),
        ({"duration": -1}, ("config.duration", "Number must be greater than or equal to 0")),
        ({"duration": "soon"}, ("config.duration", "Invalid")),
        ({"until": "soon"}, ("config.until", "Expected an ISO 8601 time")),
        ({"duration": 1, "until": "2024-01-15"}, ("config.until", "Not allowed together with duration")),
    ],
)
def test_a_faulty_wait_is_found_at_save(refused, config, fault):
    assert refused("wait", config) == [fault]


@pytest.mark.parametrize(
    ("config", "value"),
    [
        ({"duration": "{{input.v}}"}, None),
        ({"duration": "{{input.v}}"}, "soon"),
        ({"duration": "{{input.v}}"}, -1),
        ({"duration": "{{input.v}}"}, YEAR_MS + 1),
        ({"until": "{{input.v}}"}, "soon"),
        ({"until": "{{input.v}}"}, "2044-01-15T10:00:00Z"),
        ({"duration": 1, "unit": "{{input.v}}"}, "years"),
    ],
)
def test_a_wait_that_renders_to_nonsense_fails(compiled, config, value):
    with pytest.raises(StepError) as error:
        begin(compiled, config, input={"v": value})

    assert error.value.code == "TEMPLATE_ERROR"


def test_end_ends_always_or_if_its_condition_holds(compiled):
    always, sometimes = compiled("end", {}), compiled("end", {"condition": "input.done == true"})

    assert always.type.kind is Kind.END
    assert always.type.evaluate(always.program, {}) == ({}, True)
    assert sometimes.type.evaluate(sometimes.program, {"input": {"done": False}})[1] is False
    assert sometimes.type.evaluate(sometimes.program, {"input": {"done": True}})[1] is True
