"""IRs as native documents: every one that passes the checks is one that the core compiles. Source: AwaitStep contract
10."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from awaitstep_graphs import graph, node, step
from kit import EffectStep, Ledger, NoActions
from stepwell import values
from stepwell.definitions import compile_definition
from stepwell.http.dialects.awaitstep.ir import DEFINITIONS, check, compile_ir, is_added, native_trigger, node_steps
from stepwell.http.dialects.awaitstep.ir.expressions import Expression, Wrong, literal, parts, script
from stepwell.http.dialects.awaitstep.ir.js_names import js_names
from stepwell.http.dialects.awaitstep.ir.shape import read
from stepwell.http.dialects.awaitstep.ir.structure import TYPES
from stepwell.steps import STEP_TYPES
from stepwell.values import Json


def native(ir: Json, kind: str = "workflow") -> dict[str, Json]:
    checked = check(ir, kind)
    assert (checked.schema_faults, checked.graph_faults) == ([], [])
    made = compile_ir(checked, variables=["A"], secrets=["S"], workflows={"w": "w1"}, functions={"f": "f1"})
    assert (made.faults, made.missing) == ([], ())
    return made.fields


def compiled(fields: dict[str, Json]) -> Any:
    types = {"function": EffectStep(Ledger()), **STEP_TYPES}
    document = {"name": "Test", "variables": {"A": "a"}, **fields}
    return compile_definition(values.decode(values.encode(document)), types, NoActions())


class Drawn:
    """A graph in the making: chains of nodes, some of which hold chains."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self.nodes: list[Json] = []
        self.edges: list[str] = []

    def chain(self, before: list[str], depth: int) -> list[str]:
        """Nodes behind these ends, each `node` or `node:label`; the ends of the chain."""
        for _ in range(self._draw(st.integers(1, 3 if depth else 4))):
            before = self._node(before, depth)
        return before

    def _node(self, before: list[str], depth: int) -> list[str]:
        kind = self._draw(st.sampled_from(TYPES if depth < 3 else TYPES[:3]))
        id = self._draw(st.sampled_from(["a", "b-", "C_", "é ", "1"])) + str(len(self.nodes))
        see = self._draw(st.sampled_from(["{{event.payload.x}}", "{{env.A}}", "${1 + 1} {% {{event.instanceId}}", "x"]))
        self.nodes.append(self._made(id, kind, see))
        for end in before:
            source, _, label = end.partition(":")
            self.edges.append(f"{source}>{id}:{label}" if label else f"{source}>{id}")
        labels = {"branch": ["x", "y"], "loop": ["body"], "try_catch": ["try", "catch", "finally"]}
        labels |= {"parallel": ["p", "q"], "race": ["p"]}
        arms = [self.chain([f"{id}:{label}"], depth + 1) for label in labels.get(kind, ())]
        if not arms:
            return [id]
        joined = kind in ("branch", "parallel", "try_catch") and self._draw(st.booleans())
        return [end for arm in arms[:2] for end in arm] if joined else [f"{id}:then"]

    def _made(self, id: str, kind: str, see: str) -> Json:
        data: dict[str, dict[str, Json]] = {
            "step": {"code": "return [event, env.A, ctx.attempt, {{event.timestamp}}]"},
            "sleep": {"duration": "1 second"},
            "sleep_until": {"timestamp": "{{event.payload.at}}"},
            "branch": {"branches": [{"label": "x", "condition": "{{env.A}}"}, {"label": "y", "condition": ""}]},
            "http_request": {"url": "https://h/" + see, "method": "POST", "body": {"s": [see]}, "headers": {"h": see}},
            "wait_for_event": {"eventType": "go"},
            "loop": {"loopType": "while", "condition": "event.payload.n"},
            "break": {"condition": "{{env.A}}"},
            "sub_workflow": {"workflowId": "w", "workflowName": "W", "input": {"s": see}},
            "sub_script": {"workerName": "f", "payload": [see]},
        }
        return node(id, kind, name=f"Node {id}", **data.get(kind, {}))


@st.composite
def irs(draw: st.DrawFn) -> Json:
    drawn = Drawn(draw)
    drawn.chain([], 0)
    made = graph(*drawn.nodes, edges="")
    for index, text in enumerate(drawn.edges):
        ends, _, label = text.rpartition(":") if ":" in text else (text, "", "")
        source, _, target = ends.partition(">")
        made["edges"].append({"id": f"e{index}", "source": source, "target": target, "label": label or None})
    return made


@settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(irs())
def test_what_passes_the_checks_is_compiled_by_the_core(ir: Json) -> None:
    if check(ir, "workflow").graph_faults:
        assert {fault.message for fault in check(ir, "workflow").graph_faults} <= {
            "Containers are nested deeper than 16 compiled steps"
        }
        return

    plan = compiled(native(ir))

    shown = [each.step for each in node_steps(ir)]
    assert set(shown) <= set(plan.steps)
    assert all(id in shown or is_added(id) for id in plan.steps)


def test_the_example_of_the_contract_compiles_to_its_document() -> None:
    ir = graph(
        node("decision", "wait_for_event", eventType="approval-decision", timeout="72 hours"),
        node(
            "route",
            "branch",
            branches=[
                {"label": "yes", "condition": "{{decision.payload.approved}} === true"},
                {"label": "no", "condition": ""},
            ],
        ),
        step("pay", "return {paid: event.payload.amount}"),
        step("refuse", "return {paid: 0}"),
        edges="decision>route route>pay:yes route>refuse:no",
    )

    fields = native(ir)

    assert fields["trigger"] == {"type": "api"}
    assert [(each["id"], each["type"]) for each in fields["steps"]] == [
        ("decision", "wait_for_event"),
        ("decision__out", "code"),
        ("route__arm", "code"),
        ("route", "condition"),
    ]
    assert fields["steps"][0]["config"] == {"eventType": "approval-decision", "timeoutMs": 259_200_000}
    route = fields["steps"][3]["config"]
    assert route["expression"] == 'steps["route__arm"].output.arm == 0'
    assert ([each["id"] for each in route["then"]], [each["id"] for each in route["else"]]) == (["pay"], ["refuse"])


def test_retries_of_the_config_win_over_those_of_the_data() -> None:
    config = {"retries": {"limit": 2, "delay": "3 seconds", "backoff": "linear"}}
    fields = native(graph(node("a", "step", code="return 1", retryLimit=9, config=config), edges=""))

    retry = fields["steps"][0]["retryConfig"]
    assert (retry["maxAttempts"], retry["initialDelayMs"], retry["backoff"]) == (3, 3000, "linear")


def test_a_step_is_tried_six_times_unless_it_is_inline() -> None:
    fields = native(
        graph(node("a", "step", code="return 1"), node("b", "step", code="return 1", inline=True), edges="a>b")
    )

    assert fields["steps"][0]["retryConfig"]["maxAttempts"] == 6
    assert fields["steps"][0]["retryConfig"]["initialDelayMs"] == 10_000
    assert "retryConfig" not in fields["steps"][1]


def test_ids_that_the_core_does_not_allow_become_numbers() -> None:
    ir = graph(step("é a", "return 1"), step("n1", "return 2"), edges="é")
    ir["edges"] = [{"id": "e", "source": "é a", "target": "n1"}]

    assert [each["id"] for each in native(ir)["steps"]] == ["n2", "n1"]


def test_code_is_given_only_what_it_names() -> None:
    ir = graph(step("a", "return 1"), step("b", "return 2"), step("c", "return b"), edges="a>b b>c")

    assert native(ir)["steps"][2]["config"]["input"] == {"vars": {"b": "{{steps.b.output.value}}"}}


def test_triggers_become_those_of_the_core() -> None:
    assert native_trigger({}) == {"type": "api"}
    assert native_trigger({"type": "http"}) == {"type": "api"}
    assert native_trigger({"type": "cron", "cron": "0 9 * * *"}) == {
        "type": "schedule",
        "cron": "0 9 * * *",
        "timezone": "UTC",
    }


def test_there_is_a_definition_for_each_type_of_node() -> None:
    assert [each["id"] for each in DEFINITIONS] == list(TYPES)


def test_names_of_variables_are_made_of_display_names() -> None:
    nodes = [
        node(id, "step", name=name)
        for id, name in (("1", "Get user"), ("2", "Get-user"), ("3", "2nd"), ("4", "class"), ("5", "event"))
    ]

    names = js_names(read(graph(*nodes, edges="")).nodes)

    assert list(names.values()) == ["Get_user", "Get_user_2", "_2nd", "class_2", "event_2"]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("{{a.b}}", ("a", "b")),
        ("{{ a-1 . b[0]['c d'] }}", ("a-1", "b", 0, "c d")),
        ('{{a["}}"]}}', ("a", "}}")),
    ],
)
def test_an_expression_is_a_path(text: str, path: tuple[str | int, ...]) -> None:
    assert parts(text) == [Expression(path, text)]


@pytest.mark.parametrize("text", ["{{}}", "{{a b}}", "{{a + 1}}", "{{a.}}", "{{a", "{{a[b]}}"])
def test_anything_else_is_no_expression(text: str) -> None:
    assert any(isinstance(part, Wrong) for part in parts(text))


def _name(found: Expression) -> str:
    return "$" + "_".join(str(part) for part in found.path)


@pytest.mark.parametrize(
    ("code", "made"),
    [
        ("return {{a.b}} + 1", "return $a_b + 1"),
        ("return 'x {{a}} y'", "return 'x ' + __t($a) + ' y'"),
        ("return `x {{a}} ${ {{b}} } ${{c}}`", "return `x ${__t($a)} ${ $b } $${__t($c)}`"),
        ("// it's {{a}}\nreturn {{b}}", "// it's {{a}}\nreturn $b"),
        ("/* ' */ f({{a}})", "/* ' */ f($a)"),
        ("const o = {a: {b: 1}}; if (x) {{ y() }}", "const o = {a: {b: 1}}; if (x) {{ y() }}"),
    ],
)
def test_expressions_in_javascript_are_replaced_by_references(code: str, made: str) -> None:
    assert script(code, _name) == made


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("n=${1 + 1}", "`n=${1 + 1}`"),
        ("`\\${x}{{a}}", "`\\`\\\\${x}${__t($a)}`"),
        ("${{a}} ${f({b: '}'})}", "`$${__t($a)} ${f({b: '}'})}`"),
    ],
)
def test_a_text_with_holes_becomes_a_template_literal(text: str, made: str) -> None:
    assert literal(text, _name) == made
