"""Nodes as native definitions, and on the real engine: order, templates, transforms, what is shown of them. Source:
AITasker contract 7.1, 7.2, 12."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kit import World
from stepwell import values
from stepwell.core.views import run_view
from stepwell.http.dialects.aitasker.compiler import Acceptance, Compiled, compile_nodes
from stepwell.http.dialects.aitasker.ordering import ordered
from stepwell.http.dialects.aitasker.shown import input_data, nodes_of, output_data
from stepwell.http.dialects.aitasker.wire_workflows import whole_node
from stepwell.sandbox import Sandbox
from stepwell.values import Json

A, B, C, D = (f"00000000-0000-4000-8000-00000000000{letter}" for letter in "abcd")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    await sandbox.close()


@pytest.fixture
async def world(tmp_path: Path, sandbox: Sandbox) -> AsyncIterator[World]:
    world = World(tmp_path / "stepwell.db")
    world.code = sandbox
    await world.boot()
    yield world
    await world.store.close()


def node(id: str, position: int = 0, **fields: Json) -> Json:
    return whole_node({"position": position, "node_type": "transform", **fields}, id, 0)


def shape(id: str, position: int = 0, mapping: Json = None, **fields: Json) -> Json:
    params = {"mapping": {"n": position} if mapping is None else mapping}
    return node(id, position, node_config={"operation": "template", "params": params}, **fields)


def operated(operation: str, *, position: int = 0, id: str = A, given: Json = None, **params: Json) -> Json:
    config = {"operation": operation, "params": params}
    return node(id, position, node_config=config, input_mapping=given)


def task(id: str, template: Json, position: int = 0, **fields: Json) -> Json:
    return node(id, position, node_type="task", task_template=template, **fields)


def compiled(*nodes: Json, acceptance: Acceptance | None = None) -> Compiled:
    return compile_nodes(nodes, acceptance or Acceptance())


def needs(*nodes: Json) -> dict[str, set[str]]:
    order = ordered(nodes)
    assert order.faults == ()
    return {id: set(its) for id, its in order.needs.items()}


async def ran(world: World, *nodes: Json, given: Json = None) -> tuple[Json, Any]:
    """The output of a run of the nodes, and the run as it is loaded."""
    made = compiled(*nodes)
    assert made.faults == []
    fields = {name: value for name, value in made.fields.items() if value is not None}
    run = await world.start(world.define(*fields.pop("steps"), **fields), given)
    await world.settle()
    loaded = await world.load(run)
    assert loaded.run.error is None, loaded.run.error
    return values.decode(loaded.run.output or b"null"), loaded


# -- order


def test_positions_alone_run_one_by_one() -> None:
    assert needs(shape(A, 2), shape(B, 0), shape(C, 1)) == {B: set(), C: {B}, A: {C}}


def test_nodes_of_one_position_run_in_the_order_of_their_creation() -> None:
    assert needs(shape(B), shape(A)) == {B: set(), A: {B}}


def test_a_parallel_group_stands_where_its_first_node_does() -> None:
    nodes = [shape(A, 0), shape(B, 1, parallel_group=7), shape(C, 5, parallel_group=7), shape(D, 3)]

    assert needs(*nodes) == {A: set(), B: {A}, C: {A}, D: {B, C}}


def test_a_diamond_by_depends_on() -> None:
    nodes = [shape(A), shape(B, 1, depends_on=[A]), shape(C, 2, depends_on=[A]), shape(D, 3, depends_on=[B, C])]

    assert needs(*nodes) == {A: set(), B: {A}, C: {A}, D: {B, C}}


def test_a_node_does_not_wait_for_what_waits_for_it() -> None:
    assert needs(shape(A, 0, depends_on=[C]), shape(B, 1), shape(C, 2)) == {A: {C}, B: {A}, C: set()}


@pytest.mark.parametrize("nodes", [[shape(A, depends_on=[B]), shape(B, depends_on=[A])], [shape(A, depends_on=[A])]])
def test_a_cycle_is_a_fault_of_depends_on(nodes: list[Json]) -> None:
    [fault] = compiled(*nodes).faults

    assert fault.path[1:] == ("depends_on",)


# -- steps


def test_the_example_of_the_contract() -> None:
    template = {"title": "Write copy for {{topic}}", "task_type": "copy"}
    params = {"method": "POST", "url": "https://example.com/post", "body": {"text": "{{nodes.0.output.text}}"}}
    nodes = [
        task(A, template, input_mapping={"topic": "trigger.topic"}),
        node(B, 1, node_type="api_call", node_config={"provider": "http", "params": params}),
    ]

    first, second = compiled(*nodes).fields["steps"]

    assert (first["id"], first["type"], first["needs"]) == (f"node_{A}", "task", [])
    assert first["config"]["template"] == {"title": "Write copy for {{input.topic}}", "task_type": "copy"}
    assert first["config"]["input"] == {"topic": "{{input.topic}}"}
    assert first["retryConfig"] == {
        "maxAttempts": 2,
        "initialDelayMs": 1000,
        "maxDelayMs": 60_000,
        "backoffMultiplier": 2,
        "retryOn": "any",
    }
    assert (second["id"], second["type"], second["needs"]) == (f"node_{B}", "api", [f"node_{A}"])
    assert second["config"] == {**params, "body": {"text": f"{{{{steps.node_{A}.output.text}}}}"}}


def test_cost_and_timeout_of_any_node_are_those_of_its_step() -> None:
    [step] = compiled(shape(A)).fields["steps"]
    assert "costCents" not in step and "timeoutMs" not in step

    config = {"operation": "template", "params": {"mapping": {}}, "costCents": 2, "timeoutSeconds": 3}
    [step] = compiled(node(A, node_config=config)).fields["steps"]

    assert (step["costCents"], step["timeoutMs"]) == (2, 3000)


def test_acceptance_is_that_of_the_workflow() -> None:
    acceptance = Acceptance(True, {"min_score": 80, "max_cost_cents": 100})

    [step] = compiled(task(A, {"title": "x"}), acceptance=acceptance).fields["steps"]

    assert step["config"]["autoAccept"] is True
    assert step["config"]["acceptance"] == {"minScore": 80, "maxCostCents": 100}


def test_a_call_of_another_provider_is_its_action() -> None:
    params = {"operation": "createInvoice", "connection": "books", "amount": "{{trigger.n}}"}

    [step] = compiled(node(A, node_type="api_call", node_config={"provider": "stripe", "params": params})).fields[
        "steps"
    ]

    assert (step["type"], step["action"]) == ("action", "stripe.createInvoice")
    assert step["config"] == {"connection": "books", "amount": "{{input.n}}"}


def test_a_distribution_publishes_or_posts_to_a_webhook() -> None:
    config = {"platform": "mastodon", "params": {"text": "hi"}}
    hook = {"platform": "webhook", "params": {"url": "https://x.test", "payload": {"a": 1}}}
    nodes = [
        node(A, node_type="distribution", node_config=config),
        node(B, 1, node_type="distribution", node_config=hook),
    ]

    first, second = compiled(*nodes).fields["steps"]

    assert (first["action"], first["config"]) == ("mastodon.publish", {"text": "hi"})
    assert second["config"] == {"method": "POST", "url": "https://x.test", "body": {"a": 1}}


def test_the_output_has_the_outputs_of_the_nodes_that_nothing_depends_on() -> None:
    nodes = [shape(A), shape(B, 1, depends_on=[A]), operated("join", id=C, position=2, source="{{trigger.l}}")]
    nodes[2]["depends_on"] = [A]

    assert compiled(*nodes).fields["output"] == {
        B: f"{{{{steps.node_{B}.output}}}}",
        C: f"{{{{steps.node_{C}.output.value}}}}",
    }


def test_a_fault_of_the_core_is_told_where_the_node_has_it() -> None:
    made = compiled(
        shape(A), node(B, 1, node_type="api_call", node_config={"provider": "http", "params": {"url": "x"}})
    )

    assert made.place(("steps", 1, "config", "url")) == (1, "node_config", "params", "url")
    assert made.place(("steps", 0, "timeoutMs")) == (0, "node_config", "timeoutSeconds")
    assert made.place(("trigger", "cron")) is None


# -- templates, on the engine


@pytest.mark.parametrize(
    ("mapping", "text", "value"),
    [
        ({}, "{{trigger.x}}", 2),
        ({}, "x={{ trigger.x }}", "x=2"),
        ({"a": "trigger.x"}, "{{a}}", 2),
        ({"a": "trigger.list[1]"}, "{{a}}", "q"),
        ({"a": "trigger.deep"}, "{{a.b.c}}", [1, None]),
        ({"a": "{{trigger.list}}"}, "{{a[0]}}", "p"),
        ({"a": "Dear {{trigger.name}}"}, "{{a}}!", "Dear Ada!"),
        ({"a": "Dear {{trigger.name}}"}, "{{a | upcase}}", "DEAR ADA"),
        ({"a": "{{trigger.name | upcase}}"}, "{{a}}", "ADA"),
        ({"a": "plain"}, "{{a}}", "plain"),
        ({"a": {"k": [True]}}, "{{a}}", {"k": [True]}),
        ({"a": {"k": "{{trigger.x}}"}}, "{{a.k}}", 2),
        ({"a": {"k": "{{trigger.x}}"}}, "k={{ a.k }}", "k=2"),
        (
            {"a": {"k": "{{trigger.x}}", "l": [True, {"m": "x={{trigger.x}}"}]}},
            "{{a}}",
            {"k": 2, "l": [True, {"m": "x=2"}]},
        ),
        ({"a": {"k": "{{trigger.x}}", "l": ["{{trigger.list}}", 1]}}, "{{ a.l }}", [["p", "q"], 1]),
        ({"a": [["{{trigger.deep}}"]]}, "{{a[0][0].b.c}}", [1, None]),
        ({"a": ["{{trigger.x}}", "x={{trigger.x}}"]}, "{{a.last}}, {{a[-2]}}, {{a.size}}", "x=2, 2, 2"),
        ({"a": ["{{trigger.x}}", 1]}, "{{a.0}}", 2),
        ({"a": ["{{trigger.x}}", 1]}, "{{a[7]}}{{a['0']}}{{a['first']}}", "22"),
        (
            {"a": {"k": "x={{trigger.x}}", "b": "{{trigger.name}}"}},
            "{{a['k'] | upcase}}{{a.b | append: a.k}}",
            "X=2Adax=2",
        ),
        ({"a": {"k": "{{trigger.x}}", "odd key": [1, 2]}}, "{% for i in a['odd key'] %}{{i}},{% endfor %}", "1,2,"),
        ({"a": {"k": "{{trigger.x}}", "c": {"d": 7}}}, "{{a.c}}", {"d": 7}),
        ({"a": {"k": "{{trigger.x}}"}}, "{{a.no}}", None),
        ({"a": {"k": "trigger.x", "l": "{{trigger.x}}"}}, "{{a.k}}", "trigger.x"),
        ({"a": 7}, "{{a}}", 7),
        ({"a": None}, "{{a | default: 'none'}}", "none"),
        ({"upcase": "trigger.name"}, "{{upcase | upcase}}", "ADA"),
        ({"trigger_x": "trigger.x"}, "{{ trigger_x }}", 2),
        ({"a": "trigger.x"}, "{% if a == 2 %}two{% endif %}", "two"),
        ({"a": "trigger.list"}, "{% for each in a %}{{each}},{% endfor %}", "p,q,"),
        ({}, 'say "{{ trigger.name | append: " trigger.x" }}"', 'say "Ada trigger.x"'),
    ],
)
async def test_templates_see_the_trigger_and_the_names_of_the_mapping(
    world: World, mapping: Json, text: str, value: Json
) -> None:
    given = {"x": 2, "list": ["p", "q"], "deep": {"b": {"c": [1, None]}}, "name": "Ada"}

    output, _ = await ran(world, shape(A, mapping={"v": text}, input_mapping=mapping), given=given)

    assert output == {A: {"v": value}}


@pytest.mark.parametrize(
    "text",
    ["all: {{a}}", "{{a | json}}", "{% for each in a %}{{each}}{% endfor %}", "{{a.k | json}}", "{{a[trigger.x]}}"],
)
def test_a_value_that_holds_templates_stands_alone_or_is_named_by_its_members(text: str) -> None:
    made = compiled(shape(A, mapping={"v": text}, input_mapping={"a": {"k": [{"l": "{{trigger.x}}"}]}}))

    [fault] = made.faults
    assert fault.path == (0, "node_config", "params", "mapping", "v")
    assert "holds templates" in fault.message


def test_a_fault_deep_in_a_mapping_is_told_at_its_place() -> None:
    made = compiled(shape(A, input_mapping={"a": {"k": [1, "{{nodes.9.output}}"]}}))

    assert [fault.path for fault in made.faults] == [(0, "input_mapping", "a", "k", 1)]


@pytest.mark.parametrize("named", ["nodes.0", f"nodes.{A}", f"nodes.{A.upper()}", f'nodes["{A}"]', "nodes[0]"])
async def test_nodes_are_named_by_id_and_by_position(world: World, named: str) -> None:
    nodes = [shape(A, mapping={"o": {"k": 3}}), shape(B, 1, {"v": f"{{{{{named}.output.o.k}}}}"})]

    output, _ = await ran(world, *nodes)

    assert output == {B: {"v": 3}}


async def test_the_output_of_a_script_is_named_as_what_it_returns(world: World) -> None:
    nodes = [operated("code", code="return [input.a, input.b]", given={"a": "trigger.x", "b": 5})]
    nodes.append(shape(B, 1, {"v": "{{nodes.0.output[1]}}"}))

    output, _ = await ran(world, *nodes, given={"x": 1})

    assert output == {B: {"v": 5}}


# -- transforms


@pytest.mark.parametrize(
    ("operation", "params", "value"),
    [
        ("pick", {"source": "{{trigger.one}}", "fields": ["a", "no"]}, {"a": 1}),
        ("pick", {"source": "{{trigger.many}}", "fields": ["n"]}, [{"n": 1}, {"n": 2}, {"n": 3}]),
        ("rename", {"source": "{{trigger.one}}", "names": {"a": "z"}}, {"z": 1, "b": 2}),
        ("merge", {"sources": ["{{trigger.one}}", {"b": 3, "c": 4}]}, {"a": 1, "b": 3, "c": 4}),
        ("merge", {"sources": [[1], "{{trigger.texts}}"]}, [1, "x", "y"]),
        ("template", {"mapping": {"t": "{{trigger.one.a}}"}}, {"t": 1}),
        ("join", {"source": "{{trigger.texts}}", "separator": "-"}, "x-y"),
        ("join", {"source": [1, None, {"a": 1}]}, '1, , {"a":1}'),
        (
            "filter",
            {"source": "{{trigger.many}}", "expression": "item.n >= 2"},
            [{"n": 2, "s": "b"}, {"n": 3, "s": "c"}],
        ),
        ("filter", {"source": [], "expression": "item.n >= 2"}, []),
        ("map", {"source": "{{trigger.many}}", "expression": "item.s + '!'"}, ["a!", "b!", "c!"]),
        ("map", {"source": "{{trigger.many}}", "expression": "{'d': item.n * 2, 'h': item.n / 2}"}, None),
        ("code", {"code": "return undefined"}, None),
        ("code", {"code": "const f = async () => 4; return await f() // four"}, 4),
    ],
)
async def test_each_operation_makes_what_it_says(world: World, operation: str, params: Json, value: Json) -> None:
    many = [{"n": 1, "s": "a"}, {"n": 2, "s": "b"}, {"n": 3, "s": "c"}]
    given = {"one": {"a": 1, "b": 2}, "many": many, "texts": ["x", "y"]}

    output, _ = await ran(world, operated(operation, **params), given=given)

    if operation == "map" and value is None:
        assert [(each["d"], float(each["h"])) for each in output[A]] == [(2, 0.5), (4, 1.0), (6, 1.5)]
    else:
        assert output == {A: value}


async def test_a_filter_whose_expression_is_no_condition_fails(world: World) -> None:
    made = compiled(operated("filter", source=[{"n": 1}], expression="item.n"))
    run = await world.start(world.define(*made.fields["steps"]))
    await world.settle_through(5)

    state, error = await world.outcome(run)

    assert (state, error["message"]) == ("failed", "where: of item 0 the result is no boolean")


# -- what is shown


async def test_what_a_node_was_given_is_its_mapping_and_its_params_as_rendered(world: World) -> None:
    nodes = [
        shape(
            A,
            mapping={"v": "{{a}}"},
            input_mapping={"a": "trigger.x", "lit": {"k": 1}, "t": "x{{trigger.x}}", "n": {"l": ["{{trigger.l}}", 3]}},
        ),
        operated("filter", id=B, position=1, source="{{l}}", expression="item > 1", given={"l": "trigger.l"}),
        operated("pick", id=C, position=2, source="{{trigger}}", fields=["x"]),
        operated("code", id=D, position=3, code="return input.a", given={"a": "nodes.2.output.x"}),
    ]

    _, loaded = await ran(world, *nodes, given={"x": 2, "l": [1, 2]})
    view = run_view(loaded)
    document = {"source": {"dialect": "aitasker", "nodes": nodes}, "variables": compiled(*nodes).fields["variables"]}
    steps = {step.step: step for step in view.steps}
    shown = {
        each.id: (input_data(each, steps[each.step], view), output_data(each, steps[each.step]))
        for each in nodes_of("", document, {})
    }

    assert shown == {
        A: ({"a": 2, "lit": {"k": 1}, "t": "x2", "n": {"l": [[1, 2], 3]}, "params": {"mapping": {"v": 2}}}, {"v": 2}),
        B: ({"l": [1, 2], "params": {"source": [1, 2], "expression": "item > 1"}}, {"value": [2]}),
        C: ({"params": {"source": {"x": 2, "l": [1, 2]}, "fields": ["x"]}}, {"x": 2}),
        D: ({"a": 2, "params": {"code": "return input.a"}}, {"value": 2}),
    }


def test_a_node_that_has_not_begun_shows_nothing() -> None:
    [shown] = nodes_of("", {"source": {"dialect": "aitasker", "nodes": [shape(A)]}}, {})

    assert output_data(shown, None) == {}


@pytest.mark.parametrize(
    ("mapping", "text", "missing"),
    [
        ({"budget": "trigger.budget"}, "Pay {{budget}}", "budget in node_config.params.mapping.v"),
        ({}, "{{trigger.deep.no}}", "trigger.deep.no in node_config.params.mapping.v"),
        ({"unused": "trigger.no"}, "x", "trigger.no in input_mapping.unused"),
        ({"a": "x{{trigger.no}}"}, "{{a}}", "trigger.no in input_mapping.a"),
        ({"a": "trigger.deep"}, "{{a.b.c}}", "a.b.c in node_config.params.mapping.v"),
        ({"a": {"k": ["{{trigger.no}}"]}}, "{{a.k[0]}}", "a.k.0 in node_config.params.mapping.v"),
        ({"a": {"k": ["{{trigger.no}}"]}}, "x", "trigger.no in input_mapping.a.k.0"),
        ({"a": {"k": "{{trigger.deep}}"}}, "{{a.k.b.c}}", "a.k.b.c in node_config.params.mapping.v"),
        ({}, "The default of {{trigger.no}}", "trigger.no in node_config.params.mapping.v"),
        ({}, "{{trigger.x | default: 3}}, {{trigger.no}}", "trigger.no in node_config.params.mapping.v"),
        ({}, "{{trigger.no | default: 3}}", None),
        ({}, "{% if trigger.no %}x{% endif %}", None),
        ({}, "{{trigger.none}}", None),
        ({"a": {"k": 1}}, "{{a.no}}", None),
    ],
)
async def test_a_missing_variable_fails_the_node_by_its_name(
    world: World, mapping: Json, text: str, missing: str | None
) -> None:
    made = compiled(shape(A, mapping={"v": text}, input_mapping=mapping, max_retries=5))
    fields = {name: value for name, value in made.fields.items() if value is not None}
    run = await world.start(world.define(*fields.pop("steps"), **fields), {"deep": {"b": {}}, "none": None})
    await world.settle()

    state, outcome = await world.outcome(run)

    assert state == ("completed" if missing is None else "failed")
    assert missing is None or outcome["message"] == f"Missing variable {missing}"


async def test_a_variable_of_another_node_that_is_missing_is_named_as_it_is_written(world: World) -> None:
    made = compiled(shape(A), shape(B, 1, {"v": "{{nodes.0.output.no}}"}))
    run = await world.start(world.define(*made.fields["steps"]))
    await world.settle()

    _, error = await world.outcome(run)

    assert error["message"] == "Missing variable nodes.0.output.no in node_config.params.mapping.v"
