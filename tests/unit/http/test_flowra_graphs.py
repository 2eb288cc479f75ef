"""How graphs become native definitions, and what is told of those that cannot."""

from typing import Any

import pytest

from stepwell.errors import Fault
from stepwell.http.dialects.flowra.graphs import Compiled, compile_graph
from stepwell.values import Json

TOOLS = {"STRIPE_CREATE_INVOICE": "stripe.createInvoice"}


def node(id: Json, type: Json = "code", **fields: Json) -> dict[str, Json]:
    more = {"code": "return 1"} if type == "code" else {}
    return {"id": id, "type": type, **more, **fields}


def edge(source: Json, target: Json, condition: Json = None) -> dict[str, Json]:
    return {"from": source, "to": target} | ({} if condition is None else {"condition": condition})


def graph(nodes: list[Json], *edges: Json, **fields: Json) -> Json:
    return {"nodes": [node("s", "start"), *nodes], "edges": list(edges), **fields}


def compiled(written: Json) -> Compiled:
    return compile_graph(written, TOOLS)


def steps(written: Json) -> dict[str, Any]:
    made = compiled(written)
    assert made.faults == []
    return {step["id"]: step for step in made.fields["steps"]}


def faults(written: Json) -> list[tuple[str, str]]:
    return [(fault.field, fault.message) for fault in compiled(written).faults]


def test_the_example_of_the_contract_becomes_its_core_form() -> None:
    ask = node("ask", "human_wait", humanMessage="Pay {{input.amount}}?")
    pay = node("pay", "action", toolSlug="STRIPE_CREATE_INVOICE", inputMapping={"amount": "{{input.amount}}"})

    made = compiled(graph([ask, pay], edge("s", "ask"), edge("ask", "pay", "output.approved === true")))

    code = made.fields["steps"][1]["config"].pop("code")
    assert "output.approved === true" in code
    assert made.fields == {
        "steps": [
            {"id": "ask", "type": "wait_for_event", "config": {"eventType": "human_wait_ask"}},
            {
                "id": "pay__in",
                "type": "code",
                "needs": ["ask"],
                "config": {"language": "javascript", "input": {"output": "{{steps.ask.output.payload}}"}},
            },
            {
                "id": "pay",
                "type": "action",
                "action": "stripe.createInvoice",
                "needs": ["pay__in"],
                "when": 'steps["pay__in"].output.run',
                "config": {"amount": "{{input.amount}}"},
                "retryConfig": {"maxAttempts": 3},
            },
        ]
    }


# Edges


def test_a_node_behind_one_node_that_always_runs_needs_it_directly() -> None:
    made = steps(graph([node("a"), node("b")], edge("s", "a"), edge("a", "b")))

    assert list(made) == ["a", "b"]
    assert made["b"]["needs"] == ["a"]


def test_steps_that_need_nothing_run_side_by_side() -> None:
    made = steps(graph([node("a"), node("b")], edge("s", "a"), edge("s", "b")))

    assert [made[id]["needs"] for id in ("a", "b")] == [[], []]


def test_a_join_waits_for_all_its_sources() -> None:
    made = steps(
        graph([node("a"), node("b"), node("j")], edge("s", "a"), edge("s", "b"), edge("a", "j"), edge("b", "j"))
    )

    assert made["j__in"]["needs"] == ["a", "b"]
    assert made["j"]["needs"] == ["j__in"]


def test_behind_a_node_that_may_be_skipped_a_step_decides_from_whether_it_ran() -> None:
    made = steps(graph([node("a"), node("b"), node("c")], edge("s", "a"), edge("a", "b", "output"), edge("b", "c")))

    assert made["c__in"]["needs"] == ["b", "b__in"]
    assert made["c__in"]["config"]["input"] == {
        "output": "{{steps.b.output.value}}",
        "ran": "{{steps.b__in.output.run}}",
    }


def test_a_node_with_an_unconditional_way_beside_conditional_ones_is_not_skippable() -> None:
    made = steps(
        graph(
            [node("a"), node("b"), node("c")], edge("s", "a"), edge("s", "b"), edge("a", "b", "output"), edge("b", "c")
        )
    )

    assert made["c"]["needs"] == ["b"]


def test_a_condition_sees_the_input_and_the_nodes_if_it_names_them() -> None:
    condition = "input.x && nodes.a.output && output"
    made = steps(graph([node("a"), node("b")], edge("s", "a"), edge("a", "b", condition)))

    assert made["b__in"]["config"]["input"] == {
        "output": "{{steps.a.output.value}}",
        "input": "{{input}}",
        "nodes": {"a": {"output": "{{steps.a.output.value}}"}},
    }


def test_a_blank_condition_is_none() -> None:
    assert list(steps(graph([node("a")], edge("s", "a", "  ")))) == ["a"]


# Ends


def test_the_mapping_of_an_end_makes_the_output() -> None:
    end = node("e", "end", inputMapping={"total": "{{nodes.a.output.sum}}"})

    made = compiled(
        graph([node("a"), end], edge("s", "a"), edge("a", "e"), inputSchema={"type": "object"}, outputSchema={})
    )

    assert made.fields["output"] == {"total": "{{steps.a.output.value.sum}}"}
    assert (made.fields["inputSchema"], made.fields["outputSchema"]) == ({"type": "object"}, {})


def test_an_end_is_decided_about_only_for_a_condition() -> None:
    ends = [node("e1", "end"), node("e2", "end")]

    made = steps(graph([node("a"), *ends], edge("s", "a"), edge("a", "e1", "output > 1"), edge("a", "e2")))

    assert list(made) == ["a", "e1__in"]


# Templates


@pytest.mark.parametrize(
    ("written", "core"),
    [
        ("{{input.x}}", "{{input.x}}"),
        ("{{ nodes.a.output.x | upcase }}", "{{ steps.a.output.value.x | upcase }}"),
        ("{{nodes['a'].output}}", "{{steps.a.output.value}}"),
        ('{{ nodes["h"].output.by }}', "{{ steps.h.output.payload.by }}"),
        ("{{nodes.s.output.x}}", "{{input.x}}"),
        ("{{output.by}} {{trigger.slug}}", "{{steps.h.output.payload.by}} {{input.trigger.slug}}"),
        ("{{user.username}}", "{{run.user.username}}"),
        ("{{ x | default: output.x }}", "{{ x | default: steps.h.output.payload.x }}"),
        (
            "{{ input.output }} {{ input.nodes.a.output }} output",
            "{{ input.output }} {{ input.nodes.a.output }} output",
        ),
        ('{{ "output nodes.a.output" }}', '{{ "output nodes.a.output" }}'),
        ("{{ input.x | append: 'trigger.y' }}", "{{ input.x | append: 'trigger.y' }}"),
        ("{% if output.x %}y{% endif %}", "{% if steps.h.output.payload.x %}y{% endif %}"),
    ],
)
def test_templates_are_translated(written: str, core: str) -> None:
    last = node("b", inputMapping={"deep": [written]})

    made = steps(graph([node("a"), node("h", "human_wait"), last], edge("s", "a"), edge("a", "h"), edge("h", "b")))

    assert made["b"]["config"]["input"]["input"] == {"deep": [core]}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{{nodes.nope.output}}", "Unknown node: nope"),
        ("{{nodes.c.output}}", "Node c is not upstream of b"),
        ("{{nodes.b.output}}", "Node b is not upstream of b"),
        ("{{nodes.a.x}}", "Write nodes.a.output"),
        ("{{nodes}}", "Write nodes.<id>.output"),
        ("{{output.x}}", "output stands only behind a single edge; write nodes.<id>.output"),
    ],
)
def test_a_template_names_only_nodes_upstream(written: str, message: str) -> None:
    nodes = [node("a"), node("x"), node("b", inputMapping={"y": [written]}), node("c")]
    edges = [edge("s", "a"), edge("s", "x"), edge("a", "b"), edge("x", "b"), edge("b", "c")]

    assert faults(graph(nodes, *edges)) == [("graph.nodes[3].inputMapping.y[0]", message)]


def test_the_message_of_a_human_wait_is_checked_as_well() -> None:
    ask = node("h", "human_wait", humanMessage="{{nodes.z.output}}?")

    assert faults(graph([ask], edge("s", "h"))) == [("graph.nodes[1].humanMessage", "Unknown node: z")]


# What code sees


def test_code_sees_its_mapping_else_the_outputs_of_its_sources() -> None:
    nodes = [node("a", inputMapping={"x": 1}), node("b"), node("j")]

    made = steps(graph(nodes, edge("s", "a"), edge("a", "b"), edge("a", "j"), edge("b", "j")))

    seen = [made[id]["config"]["input"]["input"] for id in ("a", "b", "j")]
    single = "{{steps.a.output.value}}"
    assert seen == [{"x": 1}, single, {"a": single, "b": "{{steps.b.output.value}}"}]


def test_code_gets_nodes_and_user_only_if_it_names_them() -> None:
    made = steps(graph([node("a", code="return [nodes, user]"), node("b")], edge("s", "a"), edge("a", "b")))

    assert set(made["a"]["config"]["input"]) == {"input", "nodes", "user"}
    assert set(made["b"]["config"]["input"]) == {"input"}


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("return nodes.a.output", ["a"]),
        ("return nodes?.a.output + nodes['s'].output", ["s", "a"]),
        ("return nodes.other", []),
        ("return Object.keys(nodes)", ["s", "a"]),
        ("return nodes[input.which]", ["s", "a"]),
        ("export default ({nodes}) => nodes.a", ["s", "a"]),
    ],
)
def test_code_that_names_nodes_gets_those_and_other_code_all_upstream(code: str, seen: list[str]) -> None:
    made = steps(graph([node("a"), node("b", code=code), node("c")], edge("s", "a"), edge("a", "b"), edge("b", "c")))

    assert list(made["b"]["config"]["input"]["nodes"]) == seen


def test_scripts_see_a_bounded_number_of_nodes_without_naming_them() -> None:
    row = [node(f"n{number}", code="return Object.keys(nodes)") for number in range(199)]
    edges = [
        edge(source, target)
        for source, target in zip(["s", *(each["id"] for each in row)], (each["id"] for each in row), strict=False)
    ]

    told = faults(graph(row, *edges))

    assert {message for _, message in told} == {"Too many nodes are seen; name them as nodes.<id> or nodes['<id>']"}
    assert told[0][0] == "graph.nodes[63].code"


# Ids


def test_ids_that_fit_no_step_get_steps_of_other_names() -> None:
    nodes = [node("ä b"), node("-x"), node("y" * 200), node("node_1")]
    edges = [edge("s", "ä b"), edge("s", "-x"), edge("s", "y" * 200), edge("s", "node_1")]

    made = steps(graph(nodes, *edges))

    assert list(made) == ["node_1_", "node_2", "node_3", "node_1"]


def test_a_gate_takes_no_name_of_a_node() -> None:
    nodes = [node("a"), node("a__in")]

    made = steps(graph(nodes, edge("s", "a", "input.x"), edge("s", "a__in", "input.y")))

    assert set(made) == {"a", "a__in", "a__in_", "a__in__in"}
    assert made["a"]["when"] == 'steps["a__in_"].output.run'


# Faults


def test_every_fault_is_told_once_at_its_place() -> None:
    written = graph(
        [
            node("s2", "start"),
            node("a"),
            node("a"),
            node("u", "robot"),
            node("l", "llm_agent"),
            node("t", "action", toolSlug="NOPE_DO"),
            node("c", code=""),
            node("z"),
            "text",
            {"type": "code", "code": "return 1"},
            node("m", inputMapping="x", type="action", toolSlug="STRIPE_CREATE_INVOICE"),
        ],
        *(edge("s", id) for id in ("s2", "a", "u", "l", "t", "c", "m")),
        edge("a", "nope"),
        {"from": "a"},
        edge("a", "c", 5),
    )

    assert set(faults(written)) == {
        ("graph.nodes[1].type", "A graph has one start"),
        ("graph.nodes[3].id", "Duplicate node id: a"),
        ("graph.nodes[3]", "Not reachable from the start: a"),
        ("graph.nodes[4].type", "Unknown node type: robot"),
        ("graph.nodes[5].type", "Node type not available: llm_agent"),
        ("graph.nodes[6].toolSlug", "Unknown tool: NOPE_DO"),
        ("graph.nodes[7].code", "Required"),
        ("graph.nodes[8]", "Not reachable from the start: z"),
        ("graph.nodes[9]", "Expected object"),
        ("graph.nodes[10].id", "Required"),
        ("graph.nodes[11].inputMapping", "Expected object"),
        ("graph.edges[0].to", "No edge leads to the start"),
        ("graph.edges[7].to", "Unknown node: nope"),
        ("graph.edges[8].to", "Required"),
        ("graph.edges[9].condition", "Expected string"),
    }


def test_a_cycle_is_one_fault() -> None:
    written = graph([node("a"), node("b")], edge("s", "a"), edge("a", "b"), edge("b", "a"))

    (only,) = faults(written)

    assert only in (("graph.edges", "Cycle: a -> b -> a"), ("graph.edges", "Cycle: b -> a -> b"))


def test_a_graph_needs_a_start() -> None:
    for nodes in ([], [node("a")]):
        assert faults({"nodes": nodes, "edges": []}) == [("graph.nodes", "A graph needs a node of type start")]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ([], ("graph", "Expected object")),
        ({}, ("graph.nodes", "Required")),
        ({"nodes": {}}, ("graph.nodes", "Expected array")),
        ({"nodes": [node("s", "start")], "edges": 1}, ("graph.edges", "Expected array")),
        ({"nodes": [node("s", "start")] * 201}, ("graph.nodes", "More than 200 nodes")),
    ],
)
def test_what_is_no_graph_is_told_so(written: Json, expected: tuple[str, str]) -> None:
    assert expected in faults(written)


def test_faults_of_the_native_definition_are_told_where_they_come_from() -> None:
    pay = node("pay", "action", toolSlug="stripe.createInvoice", inputMapping={"amount": "{{"})
    end = node("e", "end", inputMapping={"x": "{{"})

    made = compiled(graph([node("a"), pay, end], edge("s", "a"), edge("a", "pay"), edge("pay", "e")))

    places = {
        ("steps", 1, "config", "amount"): "graph.nodes[2].inputMapping.amount",
        ("steps", 1, "action"): "graph.nodes[2].toolSlug",
        ("steps", 0, "config", "code"): "graph.nodes[1].code",
        ("output", "x"): "graph.nodes[3].inputMapping.x",
        ("inputSchema", "type"): "graph.inputSchema.type",
        ("name",): "name",
    }
    assert {Fault(made.place(path), "").field for path in places} == set(places.values())
