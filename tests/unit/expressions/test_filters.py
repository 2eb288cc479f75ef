"""The standard filters on JSON values."""

from decimal import Decimal
from typing import Any

import pytest

from stepwell.errors import StepError
from stepwell.expressions import compile_template

SCOPE: dict[str, Any] = {
    "l": [3, 1, None, 2],
    "names": ["b", "A", "c"],
    "rows": [{"n": 2, "k": "x", "d": {"v": 1}}, {"n": 1, "k": "y"}, {"n": None, "k": "x", "d": {"v": 2}}],
    "nested": [1, [2, [3]]],
    "t": "Hello World",
    "html": "<p>Hi</p><script>x()</script> & <!-- c -->bye < end",
    "o": {"a": 1, "b": 2},
    "at": "2024-01-15T10:30:00.250+02:00",
    "now": "2024-06-01T00:00:00.000Z",
}


def render(text: str) -> Any:
    return compile_template(text).render(SCOPE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{t | upcase}}", "HELLO WORLD"),
        ("{{t | downcase | capitalize}}", "Hello world"),
        ("{{t | append: 4.50 | prepend: true}}", "trueHello World4.50"),
        ("{{t | replace: 'o', '0' | replace_first: 'l', 'L' | replace_last: 'l', 'L'}}", "HeLl0 W0rLd"),
        ("{{t | remove: 'o' | remove_first: 'l' | remove_last: 'l'}}", "Hel Wrd"),
        ("{{t | slice: 0, 4}}{{t | slice: -5, 3}}{{t | slice: 1}}", "HellWore"),
        ("{{names | slice: 1, 2}}", ["A", "c"]),
        ("{{t | split: ' '}}", ["Hello", "World"]),
        ("{{'abc' | split: ''}}", ["a", "b", "c"]),
        ("{{'' | split: ','}}", []),
        ("{{t | truncate: 8}}", "Hello..."),
        ("{{t | truncatewords: 1}}", "Hello..."),
        ("{{' a  b ' | squish}}|{{' a ' | strip}}|{{' a ' | lstrip}}|{{' a ' | rstrip}}", "a b|a|a | a"),
        ("{{'<a> \"b\"' | escape}}", "&lt;a&gt; &quot;b&quot;"),
        ("{{'&lt;<' | escape_once}}", "&lt;&lt;"),
        ("{{html | strip_html}}", "Hi & bye < end"),
        ("{{'a b&c' | url_encode}} {{'a+b%26' | url_decode}}", "a+b%26c a b&"),
        ("{{'a?>' | base64_encode | base64_decode}}", "a?>"),
        ("{{'a?>' | base64_url_safe_encode | base64_url_safe_decode}}", "a?>"),
        ("{{o | json}}", '{"a":1,"b":2}'),
        ("{{t | json}}", '"Hello World"'),
        ("{{t | size}} {{l | length}} {{o | size}} {{5 | size}}", "11 4 2 0"),
    ],
)
def test_text_filters(text: str, expected: object) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{l | sort}}", [1, 2, 3, None]),
        ("{{names | sort}}", ["A", "b", "c"]),
        ("{{'c,B,a' | split: ',' | sort_natural}}", ["a", "B", "c"]),
        ("{{rows | sort: 'n' | map: 'n'}}", [1, 2, None]),
        ("{{rows | where: 'k', 'x' | map: 'd.v'}}", [1, 2]),
        ("{{rows | where: 'n' | size}}", 2),
        ("{{rows | reject: 'k', 'x' | map: 'k'}}", ["y"]),
        ("{{rows | find: 'n', 1 | json}}", '{"n":1,"k":"y"}'),
        ("{{rows | find_index: 'k', 'y'}}", 1),
        ("{{rows | has: 'k', 'z'}}", False),
        ("{{l | compact}}", [3, 1, 2]),
        ("{{'a,b,a' | split: ',' | uniq}}", ["a", "b"]),
        ("{{rows | uniq: 'k' | size}}", 2),
        ("{{names | concat: l | size}}", 7),
        ("{{names | reverse | first}}{{names | last}}", "cc"),
        ("{{names | join: '-'}}", "b-A-c"),
        ("{{nested | join}}", "1 2 3"),
        ("{{nothing | map: 'x'}}", []),
        ("{{o | map: 'a'}}", [1]),
    ],
)
def test_list_filters(text: str, expected: object) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{nothing | default: 'd'}}", "d"),
        ("{{false | default: 'd'}}", "d"),
        ("{{false | default: 'd', allow_false: true}}", False),
        ("{{'' | default: 'd'}}", "d"),
        ("{{0 | default: 'd'}}", 0),
        ("{{4.50 | default: 'd'}}", Decimal("4.50")),
    ],
)
def test_default_stands_in_for_null_false_and_empty(text: str, expected: object) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{at | date: '%Y-%m-%d %H:%M'}}", "2024-01-15 10:30"),
        ("{{at | date: '%s %L'}}", "1705307400 250"),
        ("{{0 | date: '%F'}}", "1970-01-01"),
        ("{{'Mon, 15 Jan 2024 10:30:00 GMT' | date: '%F'}}", "2024-01-15"),
        ("{{'January 5, 2024' | date: '%F'}}", "2024-01-05"),
        ("{{'not a date' | date: '%F'}}", "not a date"),
        ("{{nothing | date: '%F'}}.", "."),
    ],
)
def test_date_reads_usual_forms_in_utc(text: str, expected: str) -> None:
    assert render(text) == expected


def test_now_is_the_time_of_the_step_and_never_the_clock() -> None:
    template = compile_template("{{'now' | date: '%Y'}}")
    assert template.render(SCOPE) == "2024"
    assert template.references == {((), ("now",))}


@pytest.mark.parametrize(
    "text",
    [
        "{{'a,1' | split: ',' | concat: l | sort}}",
        "{{l | concat: 5}}",
        "{{'abc' | base64_decode}}",
        "{{t | truncate: 'x'}}",
        "{{names | sum}}",
        "{% if o > 5 %}{% endif %}",
    ],
)
def test_a_value_that_does_not_fit_is_a_template_error(text: str) -> None:
    with pytest.raises(StepError) as failed:
        render(text)
    assert failed.value.code == "TEMPLATE_ERROR"
