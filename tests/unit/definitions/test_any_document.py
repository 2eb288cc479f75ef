"""Whatever JSON comes in: a plan, or faults; nothing else, and in bounded time."""

import copy
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwell.definitions import Plan
from stepwell.errors import ValidationFailed
from stepwell.values import decode
from unit.definitions.documents import document, fork, transform

EXAMPLE = decode((Path(__file__).parents[3] / "examples" / "process-customer-order.json").read_bytes())
RICH = document(
    transform("a", retryConfig={"maxAttempts": 3}, errorHandling={"strategy": "continue", "fallback": 1}),
    fork("c", then=["x", transform("in", needs=[])], otherwise=["y"]),
    {"id": "x", "type": "api", "config": {"url": "https://a.example", "retries": 2, "headers": [{"Key": "a"}]}},
    {"id": "y", "type": "slack", "config": {"channel": "#a", "text": "{{steps.a.output}}"}, "needs": []},
    {"id": "w", "type": "wait", "config": {"duration": 5, "unit": "days"}, "when": "input.a == 1"},
    {"id": "e", "type": "end", "config": {"condition": "true"}},
    {
        "id": "r",
        "type": "transform",
        "config": {
            "sourceData": "{{input}}",
            "mappingRules": [{"source": "a", "target": "b", "transform": "number"}],
            "validationRules": [{"field": "b", "rule": "pattern", "value": "^a"}],
            "normalizations": [{"field": "b", "type": "trim"}],
            "targetSchema": {"type": "object"},
        },
    },
    {"id": "m", "type": "email", "config": {"to": ["a@b.example"], "subject": "s", "body": {"text": "t"}}},
    output={"a": "{{input}}"},
    variables={"a": 1},
    settings={"timeoutMs": 5},
    inputSchema={"type": "object"},
)

words = ["{{", "{{input}}", "{{steps.a}}", "{% if %}", "#/x", "api", "a", "x", "condition", "transform"]
numbers = st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
leaves = st.none() | st.booleans() | numbers | st.text(max_size=20) | st.sampled_from(words)
keys = st.sampled_from(["id", "type", "steps", "config", "then", "mapping", "$ref", "needs"]) | st.text(max_size=8)
anything = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4))


def places(value, path=()):
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    value = copy.deepcopy(value)
    node = value
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = new
    return value


def outcome(compile_, document):
    try:
        return compile_(document)
    except ValidationFailed as refused:
        assert refused.faults
        return refused.faults


lenient = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80)


@lenient
@given(anything)
def test_any_json_gives_a_plan_or_faults(compile_, value):
    outcome(compile_, value)


@lenient
@given(st.lists(anything, max_size=3), anything)
def test_any_steps_give_a_plan_or_faults(compile_, steps, schema):
    outcome(compile_, document(*steps, inputSchema=schema))


@lenient
@given(st.sampled_from([(base, path) for base in (EXAMPLE, RICH) for path in places(base)]), anything)
def test_a_valid_document_with_one_part_replaced_gives_a_plan_or_faults(compile_, place, value):
    base, path = place
    outcome(compile_, replaced(base, path, value))


def test_the_document_that_is_mutated_is_valid(compile_):
    assert isinstance(compile_(RICH), Plan)


def deep(levels):
    value = 1
    for _ in range(levels):
        value = {"a": [value]}
    return value


@pytest.mark.parametrize("levels", [60, 5000])
def test_deep_nesting_is_answered(compile_, levels):
    outcome(compile_, document(transform("a", config={"mapping": deep(levels)}), inputSchema={"const": deep(levels)}))


def test_a_document_full_of_faults_is_told_in_a_thousand(faults):
    assert len(faults(document(*[{"id": str(index)} for index in range(5000)], *range(5000)))) <= 1000
