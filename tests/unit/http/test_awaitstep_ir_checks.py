"""What is found wrong with an IR when it is saved. Source: AwaitStep contract 9."""

from collections.abc import AsyncIterator

import pytest

from awaitstep_graphs import graph, node, step
from stepwell.core.scripts import Scripts
from stepwell.http.dialects.awaitstep.ir import check, compile_ir, read, script_faults, structure
from stepwell.sandbox import Sandbox
from stepwell.values import Json


@pytest.fixture
async def scripts() -> AsyncIterator[Scripts]:
    sandbox = Sandbox()
    yield Scripts(sandbox)
    await sandbox.close()


def told(ir: Json, kind: str = "workflow") -> list[tuple[str, str | None]]:
    """The message and node of each fault."""
    return [(fault.message, fault.node_id) for fault in check(ir, kind).graph_faults]


def shape(ir: Json) -> list[str]:
    return [fault.field for fault in check(ir, "workflow").schema_faults]


def test_a_missing_member_is_a_fault_of_shape() -> None:
    ir = graph(step("a", "return 1"), edges="")
    del ir["nodes"]

    assert shape(ir) == ["ir.nodes"]


def test_faults_of_shape_are_told_together_with_their_places() -> None:
    ir = graph(step("a", "return 1"), edges="")
    ir["metadata"]["version"] = 0
    ir["nodes"][0]["name"] = ""
    ir["nodes"][0]["config"] = {"retries": {"backoff": "wild"}}

    assert shape(ir) == ["ir.metadata.version", "ir.nodes[0].name", "ir.nodes[0].config.retries.backoff"]


def test_an_ir_of_the_other_kind_is_refused() -> None:
    assert [fault.field for fault in check(graph(step("a", "return 1"), edges=""), "script").schema_faults] == [
        "ir.kind"
    ]


def test_unknown_members_are_ignored() -> None:
    ir = graph(step("a", "return 1"), edges="") | {"viewport": {}}

    assert (shape(ir), told(ir)) == ([], [])


def test_every_fault_of_a_graph_is_in_one_answer() -> None:
    ir = graph(
        step("a", "return {{ghost.x}}"),
        step("b", "return 1"),
        step("c", "return 1"),
        step("b", "return 2"),
        node("t", "try_catch"),
        node("s", "sleep", duration="soon"),
        node("q", "queue"),
        step("u", "return 1"),
        node("l", "sleep_until", timestamp="{{a b}}"),
        edges="a>b b>c c>b a>t t>s:try a>q a>l",
    )

    assert told(ir) == [
        ("Duplicate node id: b", "b"),
        ("Unknown node type: queue", "q"),
        ("Cycle: b -> c -> b", "b"),
        ("Not reachable from the entry: u", "u"),
        ("try_catch needs an edge labelled catch", "t"),
        ('References nonexistent node "ghost"', "a"),
        ("Expected a duration such as 30 seconds, or milliseconds", "s"),
        ("Invalid expression: {{a b}}", "l"),
    ]


@pytest.mark.parametrize(
    ("ir", "message"),
    [
        (graph(step("event", "return 1"), edges=""), "Reserved node id: event"),
        (graph(step("a__out", "return 1"), edges=""), "Reserved node id: a__out"),
        (graph(node("p", "parallel"), edges=""), "parallel needs at least one arm"),
        (graph(node("w", "wait_for_event", eventType="a b"), edges=""), "Expected 1 to 100 letters, digits, _ or -"),
        (graph(node("h", "http_request", method="GET"), edges=""), "Required"),
        (graph(node("h", "http_request", url="https://x", method="LIST"), edges=""), "Expected one of GET, POST, PUT"),
        (graph(step("a", "return 1", retryLimit=20), edges=""), "Expected a whole number from 0 to 19"),
        (graph(node("s", "sleep", duration="366 days"), edges=""), "At most 365 days"),
        (graph(node("s", "sleep_until", timestamp="soon"), edges=""), "Expected an ISO 8601 time"),
        (graph(node("w", "sub_workflow", workflowId="x"), edges=""), "Required"),
        (graph(node("l", "loop", loopType="forEach"), step("a", "return 1"), edges="l>a:body"), "Required"),
        (
            graph(
                node("l", "loop", loopType="until", collection="{{event.payload}}"), step("a", "1"), edges="l>a:body"
            ),
            "Expected one of forEach, times, while",
        ),
        (graph(node("l", "loop", loopType="times", count=2), edges=""), "loop needs an edge labelled body"),
        (
            graph(node("t", "try_catch"), step("a", "1"), step("b", "1"), edges="t>a:try t>b:catch t>b:else"),
            "try_catch has no edge labelled else",
        ),
        (graph(step("a", "return 1"), edges="", trigger={"type": "cron", "cron": "x"}), "A cron expression has"),
        (graph(step("a", "return {{a}}"), edges=""), 'References the current node "a"'),
        (graph(step("a", "return {{b}}"), step("b", "return 1"), edges="a>b"), 'References downstream node "b"'),
    ],
)
def test_a_fault_is_told(ir: Json, message: str) -> None:
    found = told(ir)

    assert len(found) == 1
    assert message in found[0][0]


def test_branches_and_edges_match_by_label() -> None:
    arms = [{"label": "x", "condition": ""}, {"label": "y", "condition": "true"}, {"label": "y", "condition": "1"}]
    ir = graph(node("r", "branch", branches=arms), step("a", "return 1"), edges="r>a:x r>a:z")

    assert told(ir) == [
        ("No edge is labelled y", "r"),
        ("Duplicate branch label: y", "r"),
        ("Only the last branch may have an empty condition", "r"),
        ("branch has no edge labelled z", "r"),
    ]


def test_a_node_does_not_see_those_of_the_arm_beside_it() -> None:
    ir = graph(node("p", "parallel"), step("a", "return 1"), step("b", "return {{a}}"), edges="p>a p>b")

    assert told(ir) == [('References node "a", which does not run before it', "b")]


def test_a_function_has_no_waits_and_no_trigger_but_http() -> None:
    ir = graph(
        node("s", "sleep", duration="1 second"), edges="", kind="script", trigger={"type": "cron", "cron": "* * * * *"}
    )

    assert told(ir, "script") == [("A function cannot have a sleep", "s"), ("A function has no trigger but http", None)]


def test_a_graph_of_too_many_compiled_steps_is_refused() -> None:
    nodes = [node(f"w{number}", "wait_for_event", eventType="x") for number in range(251)]
    edges = " ".join(f"w{number}>w{number + 1}" for number in range(250))

    assert told(graph(*nodes, edges=edges)) == [("More than 500 compiled steps", None)]


def test_what_may_surprise_is_a_warning() -> None:
    ir = graph(
        node("a", "step", code="return fetch('https://x')", config={"timeout": "1 minute"}),
        node("r", "branch", branches=[{"label": "x", "condition": "true"}]),
        step("b", "return 1"),
        edges="a>r a>b r>b:x",
    )

    assert check(ir, "workflow").warnings == (
        "a: Several edges lead out of this node; what follows runs one after another",
        "a: fetch is not available in step code; use an http_request",
        "a: A timeout of a step is at most 30 seconds",
        "r: The branch has no else; nothing runs if no condition holds",
    )


async def test_faults_of_syntax_name_the_line(scripts: Scripts) -> None:
    ir = graph(
        step("a", "const x = 1;\nconst y = ;\nreturn x"),
        node("r", "branch", branches=[{"label": "x", "condition": "{{a.b}} ==="}]),
        step("t", "const n: number = 1\nreturn n"),
        step("g", "return {{a}}"),
        edges="a>r r>t:x t>g",
    )
    checked = check(ir, "workflow")

    faults = script_faults(checked, await scripts.faults("w", checked.drafts))

    assert [(fault.node_id, fault.as_json()["path"]) for fault in faults] == [
        ("a", "ir.nodes[0].data.code"),
        ("r", "ir.nodes[1].data.branches[0].condition"),
        ("t", "ir.nodes[2].data.code"),
    ]
    assert faults[0].message == "SyntaxError: Unexpected token ';' (line 2)"
    assert faults[2].message.startswith("TypeScript is not supported, write JavaScript: SyntaxError")


def test_a_join_of_an_arm_stays_in_it_and_one_of_several_follows_them() -> None:
    ir = graph(
        node("p", "parallel"),
        step("a", "1"),
        step("b", "1"),
        step("c", "1"),
        step("d", "1"),
        step("e", "1"),
        step("j", "1"),
        edges="p>a a>b a>c b>d c>d p>e d>j e>j",
    )

    items = structure(read(ir)).items

    assert [item.node.id for item in items] == ["p", "j"]
    assert [[item.node.id for item in arm.items] for arm in items[0].arms] == [["a", "b", "c", "d"], ["e"]]


def test_what_is_missing_at_deploy_is_told() -> None:
    ir = graph(
        node("h", "http_request", url="https://x/{{env.REGION}}", method="GET", headers={"K": "{{env.KEY}}"}),
        step("a", "return env.KEY + env.NOWHERE"),
        node("w", "sub_workflow", workflowId="wf_9", workflowName="Gone", input={}),
        edges="h>a a>w",
    )

    made = compile_ir(check(ir, "workflow"), variables=["REGION"], secrets=["KEY"], workflows={}, functions={})

    assert made.missing == ("NOWHERE",)
    assert [(fault.message.partition(";")[0], fault.node_id) for fault in made.faults] == [
        ("The secret KEY may not stand in JavaScript", "a"),
        ("No such workflow: wf_9", "w"),
    ]
    assert made.fields["steps"][0]["config"]["headers"] == {"K": "{{secrets.KEY}}"}
