"""Limits of templates: nothing a text says takes unbounded time or memory."""

from typing import Any

import pytest

from stepwell.errors import StepError
from stepwell.expressions import CompileFailed, compile_template

BIG = "a" * 1_000_000
SCOPE: dict[str, Any] = {
    "big": BIG,
    "list": list(range(10_000)),
    "many": [BIG] * 3,
    "huge": 10**300,
    "accents": "é" * 300_000,
}


def reason(text: str) -> str:
    with pytest.raises(StepError) as failed:
        compile_template(text).render(SCOPE)
    assert failed.value.code == "TEMPLATE_ERROR"
    return failed.value.message.rpartition(": ")[2]


@pytest.mark.parametrize(
    "text",
    [
        "{{big}}{{big}}",
        "{% for i in (1..10000) %}{{big}}{% endfor %}",
        "{{many | json}}",
        "{{many | join: big}}",
        "{{big | replace: 'a', big}}",
        "x{{many}}",
        "{{big | append: big}}",
    ],
)
def test_a_rendered_text_is_limited_to_a_mebibyte(text: str) -> None:
    assert reason(text) == "the text is over 1 MiB"


def test_characters_count_as_bytes() -> None:
    assert reason("{{accents}}{{accents}}") == "the text is over 1 MiB"


def test_assigned_values_are_limited_to_a_mebibyte() -> None:
    text = "{% assign x = 'aaaaaaaaaa' %}{% for i in (1..100) %}{% assign x = x | append: x %}{% endfor %}"
    assert reason(text) == "the assigned values are over 1 MiB"


def test_loop_turns_are_limited_over_the_whole_text() -> None:
    loop = "{% for i in (1..5001) %}{% endfor %}"
    assert compile_template(loop).render({}) == ""
    assert reason(loop + loop) == "more than 10000 loop turns"


def test_an_ordinary_body_may_turn_as_often_as_the_contract_says() -> None:
    body = "{{i}}:{{i | times: 2}}{% if i > 5 %}a{% else %}b{% endif %}{% assign n = i | plus: 1 %}\n"
    text = compile_template("{% for i in (1..10000) %}" + body + "{% endfor %}").render({})
    assert text.count("\n") == 10_000


def test_a_loop_that_breaks_pays_only_for_its_turns() -> None:
    scope = {"list": list(range(20_000))}
    assert compile_template("{% for i in list %}{{i}}{% break %}{% endfor %}").render(scope) == "0"


@pytest.mark.parametrize("text", ["{{ (1..10001) }}", "{% for i in (1..99999999999) reversed limit:3 %}{% endfor %}"])
def test_a_range_is_limited(text: str) -> None:
    assert reason(text) == "a range over 10000"


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in (1..10000) %}" + "{% if 1 == 1 %}{% endif %}" * 1000 + "{% endfor %}",
        "{% for i in (1..10000) %}{% if big contains 'b' %}{% endif %}{{big | upcase | size}}{% endfor %}",
        "{{list | reverse | sum}}" * 1000,
        "{% for i in (1..10000) %}{{list | sum}}{% endfor %}",
    ],
)
def test_work_is_limited(text: str) -> None:
    assert reason(text) == "the template does too much work"


@pytest.mark.parametrize("text", ["{{huge | times: huge}}", "{{list | map: '" + " * ".join(["99999999"] * 90) + "'}}"])
def test_a_number_is_limited_to_400_digits(text: str) -> None:
    assert reason(text) == "a number of more than 400 digits"


@pytest.mark.parametrize(
    "text",
    [
        "{{" * 100_000,
        "{% comment %}" + "{% raw %}" * 50_000,
        "{% raw %}" * 50_000,
        "{{ " + "(" * 50_000 + " }}",
        "{{ a" + "[a" * 5_000 + " }}",
        "{% if a %}" * 50,
        "{% if " + "a and " * 20_000 + "a %}{% endif %}",
        "{{ a " + "| upcase " * 101 + "}}",
        "{{ a }}" * 5_001,
        "{{ 1" + "0" * 401 + " }}",
        "{{ 'x' | map: '" + "(" * 400 + "' }}",
        "{{ \"'" + "}}" * 50_000,
    ],
)
def test_a_hostile_text_is_a_fault_at_once(text: str) -> None:
    with pytest.raises(CompileFailed):
        compile_template(text)


def test_a_deep_value_is_a_fault() -> None:
    value: Any = "{{x}}"
    for _ in range(200):
        value = [value]
    with pytest.raises(CompileFailed):
        compile_template(value)


def test_hostile_html_is_stripped_in_linear_time() -> None:
    assert compile_template("{{x | strip_html | size}}").render({"x": "<script" * 100_000}) == 700_000
