"""Whatever the expressions of a config give, a step answers or fails with a StepError."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwell.errors import StepError
from stepwell.values import decode, encode
from unit.steps.conftest import answer

words = [
    "a",
    "a.b",
    "x@example.com",
    "number",
    "round:2",
    "date",
    "email",
    "pattern",
    "integer",
    "https://a.example",
    "1e999",
]
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(words)
)
anything = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
values = st.fixed_dictionaries(dict.fromkeys("abcdef", anything))
lenient = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)

RULES = {
    "sourceData": "{{input.a}}",
    "mappingRules": [
        {"source": "{{input.b}}", "target": "t", "transform": "{{input.c}}"},
        {"source": "a", "target": "u"},
    ],
    "normalizations": [{"field": "t", "type": "{{input.d}}"}, {"field": "u", "type": "number"}],
    "validationRules": [
        {"field": "t", "rule": "{{input.e}}", "value": "{{input.f}}"},
        *({"field": "u", "rule": rule, "value": "{{input.f}}"} for rule in ("min", "max", "enum", "type")),
    ],
    "strict": "{{input.g}}",
}
EFFECTS = [
    ("api", {"url": "https://a.example", **{name: "{{input." + letter + "}}" for name, letter in zip(
        ["params", "headers", "body", "timeout", "csvDelimiter"], "abcde", strict=True)}}),
    ("api", {"url": "{{input.a}}", "method": "{{input.b}}", "responseFormat": "{{input.c}}"}),
    ("email", {"to": "{{input.a}}", "subject": "{{input.b}}", "html": "{{input.c}}", "attachments": "{{input.d}}"}),
    ("email", {"action": "sendTemplate", "to": "x@example.com", "template": "{{input.a}}", "from": "{{input.b}}"}),
    ("slack", {"channel": "{{input.a}}", "text": "{{input.b}}", "blocks": "{{input.c}}", "mrkdwn": "{{input.d}}"}),
]  # fmt: skip


@lenient
@given(values)
def test_rules_give_json_or_fail(evaluate, given_):
    try:
        _, output = evaluate("transform", RULES, input=given_)
    except StepError:
        return
    decode(encode(output))


@lenient
@given(st.sampled_from(EFFECTS), values)
def test_effects_answer_or_fail(perform, outside, effect, given_):
    outside.answer = answer(200, b"a,b\n1,2", content_type="text/csv")
    try:
        perform(*effect, input=given_)
    except StepError:
        return


@lenient
@given(values)
def test_waits_end_or_fail(compiled, given_):
    step = compiled("wait", {"duration": "{{input.a}}", "unit": "seconds"})
    try:
        _, due = step.type.begin(step.program, {"input": given_}, 0)
    except StepError:
        return
    assert due >= 0
