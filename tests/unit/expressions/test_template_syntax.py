"""Rules of templates: LoopFour contract 6.1."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.errors import StepError
from stepwell.expressions import CompileFailed, compile_template

SCOPE: dict[str, Any] = {
    "input": {
        "items": [{"product": "Pen", "price": Decimal("1.50")}, {"product": "Ink", "price": 9}],
        "customer": {"email": "ana@example.com", "first name": "Ana"},
        "for": {"if": "word"},
        "amount": Decimal("19.50"),
        "none": None,
        "flag": True,
        "key": "email",
        "html": "<b>&</b>",
        "lines": "a\r\nb",
        "empty": [],
        "zero": 0,
    },
    "steps": {"calculate-total": {"output": {"total": 4860}}, "10": {"output": "ten"}},
    "secrets": {"KEY": "<marker>"},
    "now": "2024-01-15T10:30:00.000Z",
}


def render(value: Any, **kind: bool) -> Any:
    return compile_template(value, **kind).render(SCOPE)


def faults(value: Any, **kind: bool) -> list[tuple[Any, str]]:
    with pytest.raises(CompileFailed) as failed:
        compile_template(value, **kind)
    return [(fault.path, fault.message) for fault in failed.value.faults]


def error_of(value: Any) -> StepError:
    with pytest.raises(StepError) as failed:
        render(value)
    assert failed.value.code == "TEMPLATE_ERROR"
    return failed.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{input.items.0.product}}", "Pen"),
        ("{{input.items[1].product}}", "Ink"),
        ("{{input.items[-1].product}}", "Ink"),
        ('{{input["customer"].email}}', "ana@example.com"),
        ("{{input.customer['first name']}}", "Ana"),
        ("{{input.customer[input.key]}}", "ana@example.com"),
        ("{{steps.calculate-total.output.total}}", 4860),
        ("{{steps.10.output}}", "ten"),
        ("{{input.for.if}}", "word"),
        ("{{input.items.size}}", 2),
        ("{{input.items.first.product}}", "Pen"),
    ],
)
def test_a_path_has_dotted_numeric_hyphenated_and_bracketed_segments(text: str, expected: object) -> None:
    assert render(text) == expected


@pytest.mark.parametrize("text", ["{{for.x}}", "{{if.limit[0]}}", "{{ limit }}"])
def test_a_liquid_word_is_a_plain_name_in_a_path(text: str) -> None:
    assert render(text) is None


def test_a_hyphen_is_never_a_minus() -> None:
    assert compile_template("{{ a-b }}").references == {((), ("a-b",))}


def test_a_segment_that_is_no_name_finds_nothing() -> None:
    assert render("{{input.customer[input.items]}}") is None
    assert render("{% if input.customer[input.items] %}x{% endif %}.") == "."


def test_an_index_beyond_the_list_finds_nothing() -> None:
    assert render(["{{input.items.2}}", "{{input.items[-3]}}", "{{input.items.99999999999999}}"]) == [None] * 3


@pytest.mark.parametrize("text", ["{{input.__class__}}", "{{input.items.append}}", "{{input.items.__len__.x}}"])
def test_attributes_of_python_objects_are_not_found(text: str) -> None:
    assert render(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{input.amount}}", Decimal("19.50")),
        ("  {{ input.flag }}\n", True),
        ("{{input.items}}", SCOPE["input"]["items"]),
        ("{{input.none}}", None),
        ("{{ 'text' }}", "text"),
        ("{{ 1.50 }}", Decimal("1.50")),
        ("{{ (1..3) }}", [1, 2, 3]),
    ],
)
def test_a_text_that_is_one_expression_keeps_the_type(text: str, expected: object) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n={{input.amount}}", "n=19.50"),
        ("{{input.flag}}!", "true!"),
        ("[{{input.none}}]", "[]"),
        ("[{{input.missing.path}}]", "[]"),
        ("x {{input.items}}", 'x [{"product":"Pen","price":1.50},{"product":"Ink","price":9}]'),
        ("${{steps.calculate-total.output.total}}", "$4860"),
        ("{{input.zero}}-{{input.key}}", "0-email"),
        ("a {{ ' b ' }} c", "a  b  c"),
        ("{{input.lines}}.", "a\r\nb."),
    ],
)
def test_mixed_text_writes_values_as_in_json(text: str, expected: str) -> None:
    assert render(text) == expected


def test_a_number_in_mixed_text_has_no_exponent() -> None:
    assert compile_template("{{x}}/{{y}}").render({"x": Decimal("1E+3"), "y": Decimal("1E-7")}) == "1000/0.0000001"


def test_a_missing_path_is_null() -> None:
    assert render({"a": "{{nothing.at.all}}"}) == {"a": None}


def test_keys_are_not_rendered_and_plain_parts_are_shared() -> None:
    value = {"{{input.key}}": {"plain": [1, 2]}, "x": ["{{input.key}}", {"y": 1}]}
    rendered = render(value)
    assert rendered == {"{{input.key}}": {"plain": [1, 2]}, "x": ["email", {"y": 1}]}
    assert rendered["{{input.key}}"] is value["{{input.key}}"]


def test_a_value_without_templates_is_literal_and_returned_as_it_is() -> None:
    value = {"a": ["}} text %}", 1, None]}
    template = compile_template(value)
    assert template.literal
    assert template.render({}) is value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{% if input.amount > 5 %}big{% elsif true %}x{% else %}small{% endif %}", "big"),
        ("{% unless input.none %}no{% endunless %}", "no"),
        ("{% for i in input.items %}{{forloop.index}}{{i.product}}{% endfor %}", "1Pen2Ink"),
        ("{% for i in input.empty %}x{% else %}none{% endfor %}", "none"),
        (
            "{% for i in (1..5) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}"
            "{{i}}{% endfor %}",
            "13",
        ),
        ("{% for p in input.customer limit:1 %}{{p[0]}}={{p[1]}}{% endfor %}", "email=ana@example.com"),
        ("{% case input.amount %}{% when 19.5 %}A{% else %}B{% endcase %}", "A"),
        ("{% assign x = input.amount | times: 2 %}{{x}}", "39"),
        ("{% capture c %}{{input.key}}!{% endcapture %}{{c | upcase}}", "EMAIL!"),
        ("{% comment %}{{ | {% endcomment %}z", "z"),
        ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("a {%- if true -%} b {%- endif -%} c", "abc"),
        ("{% if true %}{{input.lines}}{% endif %}", "a\r\nb"),
    ],
)
def test_the_tags_of_the_contract_work(text: str, expected: str) -> None:
    assert render(text) == expected


@pytest.mark.parametrize("tag", ["include 'a'", "render 'a'", "liquid echo 1", "echo 1", "increment x", "cycle 'a'"])
def test_any_other_tag_is_refused(tag: str) -> None:
    assert faults("{% " + tag + " %}") == [((), f"Unexpected tag '{tag.split()[0]}' (line 1, column 1)")]


def test_every_fault_of_a_value_is_reported_with_path_and_position() -> None:
    assert faults({"a": "{{ x | foo }}{{ y | bar }}", "b": ["ok", "\n {{ a"]}) == [
        (("a",), "Unknown filter: foo (line 1, column 8)"),
        (("a",), "Unknown filter: bar (line 1, column 21)"),
        (("b", 1), "Missing '}}' after '{{ a' (line 2, column 2)"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{{}}",
        "{{ a b }}",
        "{{ a | }}",
        "{{ a - b }}",
        "{{ a..b }}",
        "{% if a %}",
        "{% endif %}",
        "{{ 'a }}",
        "{{ [0] }}",
    ],
)
def test_a_syntax_error_is_found_when_compiled(text: str) -> None:
    assert len(faults(text)) == 1


def test_a_filter_with_wrong_arguments_is_found_when_compiled() -> None:
    assert "plus" in faults("{{ 1 | plus }}")[0][1]
    assert "upcase" in faults("{{ 'a' | upcase: 1 }}")[0][1]


def test_a_fault_while_rendering_names_the_expression() -> None:
    assert error_of("Sum: {{ input.key | times: 2 }}").message == "{{input.key | times: 2}}: 'email' is not a number"


def test_references_are_static_paths_with_their_place() -> None:
    template = compile_template(
        {"a": ["{{steps.x.output.0}} {{input.l[2].b}}"], "b": "{{input.m[run.id].z | plus: now}}"}
    )
    assert template.references == {
        (("a", 0), ("steps", "x", "output", "0")),
        (("a", 0), ("input", "l", 2, "b")),
        (("b",), ("input", "m")),
        (("b",), ("run", "id")),
        (("b",), ("now",)),
    }


def test_names_bound_inside_a_text_are_no_references() -> None:
    text = "{% assign a = input.x %}{% for i in input.l %}{{i.y}}{{a}}{{forloop.index}}{% endfor %}{{i}}"
    text += "{% capture c %}{% endcapture %}{{c}}"
    assert {path for _, path in compile_template(text).references} == {("input", "x"), ("input", "l"), ("i",)}


def test_a_secret_is_named_and_stands_alone() -> None:
    template = compile_template({"h": "Bearer {{secrets.KEY}}"})
    assert template.secrets == {"KEY"}
    assert template.render(SCOPE) == {"h": "Bearer <marker>"}


@pytest.mark.parametrize(
    "text",
    [
        "{{secrets.KEY | upcase}}",
        "{{'a' | append: secrets.KEY}}",
        "{% if secrets.KEY == 'a' %}{% endif %}",
        "{% assign x = secrets.KEY %}",
        "{% capture x %}{{secrets.KEY}}{% endcapture %}",
        "{{secrets}}",
        "{{secrets[input.key]}}",
    ],
)
def test_a_secret_takes_no_filters_and_no_tags(text: str) -> None:
    assert "secret" in faults(text)[0][1]


def test_html_escapes_what_expressions_give() -> None:
    assert render("<p>{{input.html}}</p>", html=True) == "<p>&lt;b&gt;&amp;&lt;/b&gt;</p>"
    assert render("{{input.html}}", html=True) == "&lt;b&gt;&amp;&lt;/b&gt;"
    assert render("{% if true %}{{input.html}}{% endif %}", html=True) == "&lt;b&gt;&amp;&lt;/b&gt;"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{input.html | safe}}", "<b>&</b>"),
        ("{{input.html | safe | append: input.html}}.", "&lt;b&gt;&amp;&lt;/b&gt;&lt;b&gt;&amp;&lt;/b&gt;."),
        ("{{input.html | escape}}", "&lt;b&gt;&amp;&lt;/b&gt;"),
        ("{% capture c %}<i>{{input.html}}</i>{% endcapture %}{{c}}", "<i>&lt;b&gt;&amp;&lt;/b&gt;</i>"),
        ("{{input.lines | newline_to_br}}", "a<br />\nb"),
        ("{{secrets.KEY}} {% if true %}{{secrets.KEY}}{% endif %}", "<marker> <marker>"),
    ],
)
def test_html_leaves_what_is_html_already(text: str, expected: str) -> None:
    assert render(text, html=True) == expected


def test_safe_gives_plain_text_outside_html() -> None:
    assert type(render("{{input.html | safe}}")) is str
    assert type(render("{{input.html | safe | split: '-' | first}}")) is str
    assert render("{{'a' | safe | json}}") == '"a"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{#if input.amount}}y{{else}}n{{/if}}", "y"),
        ("{{#if input.empty}}y{{else}}n{{/if}}", "n"),
        ("{{ #if input.zero }}y{{ /if }}", ""),
        ("{{#unless input.none}}u{{/unless}}", "u"),
        ("{{#each input.items}}{{@index}}={{this.product}};{{/each}}", "0=Pen;1=Ink;"),
        ("{{#each input.empty}}x{{else}}none{{/each}}", "none"),
        ("{{#if input.flag}}{{input.key | upcase}}{{/if}}", "EMAIL"),
    ],
)
def test_handlebars_blocks_are_understood_where_asked_for(text: str, expected: str) -> None:
    assert render(text, handlebars=True) == expected


def test_handlebars_blocks_are_faults_elsewhere() -> None:
    assert len(faults("{{#if x}}a{{/if}}")) == 1


class _Steps:
    """Finds one step, as a run's view of its steps does."""

    def __init__(self, found: dict[str, Any]) -> None:
        self._found = found

    def lookup(self, segment: str) -> Any:
        return _Steps(self._found[segment]) if segment == "a" else self._found[segment]

    def plain(self) -> Any:
        return {"plain": True}


def test_a_lookup_is_asked_for_its_parts_and_made_plain_at_the_end_of_a_path() -> None:
    scope = {"steps": _Steps({"a": {"output": {"n": 1}}})}
    assert compile_template(["{{steps.a.output.n}}", "{{steps.a}}", "{{steps}}"]).render(scope) == [
        1,
        {"plain": True},
        {"plain": True},
    ]


@given(st.text(alphabet="{}%| .'\"[]()ab1-:,#/@\n", max_size=60))
def test_any_text_compiles_or_fails_and_renders_or_fails_by_the_book(text: str) -> None:
    for kind in ({}, {"html": True, "handlebars": True}):
        try:
            compile_template("{{" + text + "}}" + text, **kind).render({"a": [1, "x"], "b": None})
        except CompileFailed as failed:
            assert failed.faults
        except StepError as error:
            assert error.code == "TEMPLATE_ERROR"
