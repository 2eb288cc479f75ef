"""What is refused when a graph is saved, line by line, and what is only warned of. Source: AwaitStep contract 9."""

from collections.abc import Callable

import pytest

from awaitstep_client import AwaitstepApi, awaitstep, simple
from awaitstep_graphs import graph, node, step
from live import Api
from stepwell.values import Json, decode

RESERVED = ("event", "env", "trigger", "steps", "err", "error", "input", "run", "now", "variables", "secrets", "global")
WHOLE = "Expected a whole number from 0 to 19"


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


def refused(client: AwaitstepApi, ir: Json, status: int = 400, kind: str = "workflow") -> list[tuple[str, str, str]]:
    """The path, message and node of each fault."""
    answer = client.answer("POST", f"/api/workflows/{client.create(kind=kind)}/versions", {"ir": ir}, status)
    assert answer["error"] == ("Invalid IR" if status == 400 else "Validation failed")
    return [(each["path"], each["message"], each.get("nodeId")) for each in answer["details"]]


def warnings(client: AwaitstepApi, ir: Json, kind: str = "workflow") -> list[str]:
    return client.save(client.create(kind=kind), ir)["warnings"]


def two(first: Json, edges: str = "a>b") -> Json:
    """A graph of a node `a` and a step `b`."""
    return graph(first, step("b", "return 1"), edges=edges)


# -- its shape


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda ir: ir.pop("kind"), "ir.kind"),
        (lambda ir: ir.pop("metadata"), "ir.metadata"),
        (lambda ir: ir["metadata"].pop("name"), "ir.metadata.name"),
        (lambda ir: ir["metadata"].pop("createdAt"), "ir.metadata.createdAt"),
        (lambda ir: ir["metadata"].pop("updatedAt"), "ir.metadata.updatedAt"),
        (lambda ir: ir["metadata"].update(version=0), "ir.metadata.version"),
        (lambda ir: ir.update(nodes=[]), "ir.nodes"),
        (lambda ir: ir.pop("edges"), "ir.edges"),
        (lambda ir: ir.pop("entryNodeId"), "ir.entryNodeId"),
        (lambda ir: ir.update(trigger="cron"), "ir.trigger"),
        (lambda ir: ir["nodes"][0].pop("id"), "ir.nodes[0].id"),
        (lambda ir: ir["nodes"][0].pop("type"), "ir.nodes[0].type"),
        (lambda ir: ir["nodes"][0].update(name=""), "ir.nodes[0].name"),
        (lambda ir: ir["nodes"][0].update(name="x" * 257), "ir.nodes[0].name"),
        (lambda ir: ir["nodes"][0].pop("position"), "ir.nodes[0].position"),
        (lambda ir: ir["nodes"][0].pop("version"), "ir.nodes[0].version"),
        (lambda ir: ir["nodes"][0].pop("provider"), "ir.nodes[0].provider"),
        (lambda ir: ir["nodes"][0].pop("data"), "ir.nodes[0].data"),
        (lambda ir: ir["nodes"][0].update(config={"retries": {"limit": "x"}}), "ir.nodes[0].config.retries.limit"),
        (lambda ir: ir["nodes"][0].update(config={"retries": {"delay": []}}), "ir.nodes[0].config.retries.delay"),
        (lambda ir: ir["nodes"][0].update(config={"retries": {"backoff": "x"}}), "ir.nodes[0].config.retries.backoff"),
        (lambda ir: ir["nodes"][0].update(config={"timeout": []}), "ir.nodes[0].config.timeout"),
        (lambda ir: ir["edges"].append({"source": "only", "target": "only"}), "ir.edges[0].id"),
        (lambda ir: ir["edges"].append({"id": "e", "target": "only"}), "ir.edges[0].source"),
        (lambda ir: ir["edges"].append({"id": "e", "source": "only"}), "ir.edges[0].target"),
        (
            lambda ir: ir["edges"].append({"id": "e", "source": "only", "target": "only", "label": 1}),
            "ir.edges[0].label",
        ),
    ],
)
def test_the_shape_of_a_graph_is_checked(client: AwaitstepApi, change: Callable[[Json], Json], path: str) -> None:
    ir = simple()
    change(ir)

    assert [found for found, _, _ in refused(client, ir, 422)] == [path]


def test_an_ir_that_is_no_object_is_refused_by_its_shape(client: AwaitstepApi) -> None:
    assert [path for path, _, _ in refused(client, [], 422)] == ["ir"]


def test_unknown_members_are_kept_and_returned(client: AwaitstepApi) -> None:
    ir = simple() | {"viewport": {"zoom": 2}}
    ir["nodes"][0]["color"] = "red"
    ir["nodes"][0]["data"]["note"] = [1.50, None]

    saved = client.save(client.create(), ir)

    assert decode(saved["ir"].encode()) == ir


# -- its structure


def test_all_faults_are_told_at_once_each_with_its_path_and_node(client: AwaitstepApi) -> None:
    ir = graph(
        step("a", "return {{ghost.x}}"),
        step("b", "return ("),
        step("c", "return 1"),
        step("b", "return 2"),
        node("t", "try_catch"),
        node("s", "sleep", duration="soon"),
        node("q", "queue"),
        step("u", "return 1"),
        node("h", "http_request", method="LIST"),
        node("w", "wait_for_event", eventType="a b"),
        edges="a>b b>c c>b a>t t>s:try a>q a>h a>w",
    )

    found = refused(client, ir)

    assert {(path, node_id) for path, _, node_id in found} == {
        ("ir.nodes[0].data.code", "a"),
        ("ir.nodes[1].data.code", "b"),
        ("ir.nodes[3].id", "b"),
        ("ir.edges", "b"),
        ("ir.nodes[4]", "t"),
        ("ir.nodes[5].data.duration", "s"),
        ("ir.nodes[6].type", "q"),
        ("ir.nodes[7]", "u"),
        ("ir.nodes[8].data.url", "h"),
        ("ir.nodes[8].data.method", "h"),
        ("ir.nodes[9].data.eventType", "w"),
    }


FAULTS: list[tuple[Json, str, str, str | None]] = [
    (simple() | {"entryNodeId": "x"}, "ir.entryNodeId", "Entry node does not exist: x", None),
    (graph(step("a", "return 1"), edges="a>x"), "ir.edges[0].target", "Edge names a node that does not exist: x", "a"),
    (graph(step("a", "return 1"), edges="x>a"), "ir.edges[0].source", "Edge names a node that does not exist: x", "a"),
    (two(step("a", "return 1"), "a>b b>a"), "ir.edges", "Cycle: a -> b -> a", "a"),
    (two(step("a", "return 1"), ""), "ir.nodes[1]", "Not reachable from the entry: b", "b"),
    (two(node("a", "try_catch"), "a>b:catch"), "ir.nodes[0]", "try_catch needs an edge labelled try", "a"),
    (two(node("a", "try_catch"), "a>b:try"), "ir.nodes[0]", "try_catch needs an edge labelled catch", "a"),
    (
        two(node("a", "try_catch"), "a>b:try a>b:catch a>b:other"),
        "ir.edges[2].label",
        "try_catch has no edge labelled other",
        "a",
    ),
    (
        graph(node("a", "loop", loopType="times", count=1), edges=""),
        "ir.nodes[0]",
        "loop needs an edge labelled body",
        "a",
    ),
    (
        two(node("a", "loop", loopType="often", collection="{{event.payload}}"), "a>b:body"),
        "ir.nodes[0].data.loopType",
        "Expected one of forEach, times, while",
        "a",
    ),
    (two(node("a", "loop", loopType="forEach"), "a>b:body"), "ir.nodes[0].data.collection", "Required", "a"),
    (two(node("a", "loop", loopType="times"), "a>b:body"), "ir.nodes[0].data.count", "Required", "a"),
    (two(node("a", "loop", loopType="while"), "a>b:body"), "ir.nodes[0].data.condition", "Required", "a"),
    (
        two(node("a", "sub_workflow", workflowName="N")),
        "ir.nodes[0].data.workflowId",
        "Required",
        "a",
    ),
    (two(node("a", "sub_workflow", workflowId="wf_1")), "ir.nodes[0].data.workflowName", "Required", "a"),
    (two(node("a", "queue")), "ir.nodes[0].type", "Unknown node type: queue", "a"),
    (two(node("a", "parallel"), "a>b:then"), "ir.nodes[0]", "parallel needs at least one arm", "a"),
    (two(node("a", "race"), "a>b:then"), "ir.nodes[0]", "race needs at least one arm", "a"),
    (graph(node("a", "branch"), edges=""), "ir.nodes[0].data.branches", "Required", "a"),
    (two(node("a", "sleep")), "ir.nodes[0].data.duration", "Required", "a"),
    (two(node("a", "sleep", duration="366 days")), "ir.nodes[0].data.duration", "At most 365 days", "a"),
    (
        two(node("a", "wait_for_event", eventType="x", timeout="soon")),
        "ir.nodes[0].data.timeout",
        "Expected a duration such as 30 seconds, or milliseconds",
        "a",
    ),
    (
        two(node("a", "wait_for_event", eventType="x" * 101)),
        "ir.nodes[0].data.eventType",
        "Expected 1 to 100 letters, digits, _ or -",
        "a",
    ),
    (two(node("a", "wait_for_event")), "ir.nodes[0].data.eventType", "Required", "a"),
    (two(node("a", "http_request", method="GET")), "ir.nodes[0].data.url", "Required", "a"),
    (two(node("a", "http_request", url="https://x")), "ir.nodes[0].data.method", "Required", "a"),
    (
        two(node("a", "http_request", url="ftp://x", method="GET")),
        "ir.nodes[0].data.url",
        "Expected an http or https address",
        "a",
    ),
    (two(step("a", "return 1", retryLimit=20)), "ir.nodes[0].data.retryLimit", WHOLE, "a"),
    (two(step("a", "return 1", retryLimit=-1)), "ir.nodes[0].data.retryLimit", WHOLE, "a"),
    (
        two(step("a", "return 1", config={"retries": {"limit": 20}})),
        "ir.nodes[0].config.retries.limit",
        WHOLE,
        "a",
    ),
    (two(step("a", "return {{x.y}}")), "ir.nodes[0].data.code", 'References nonexistent node "x"', "a"),
    (two(step("a", "return {{b}}")), "ir.nodes[0].data.code", 'References downstream node "b"', "a"),
    (two(step("a", "return {{a}}")), "ir.nodes[0].data.code", 'References the current node "a"', "a"),
    (simple() | {"trigger": {"type": "tea"}}, "ir.trigger.type", "Unknown trigger type: tea", None),
    (simple() | {"trigger": {"type": "cron"}}, "ir.trigger.cron", "Required", None),
    (simple() | {"trigger": {"type": "cron", "cron": 5}}, "ir.trigger.cron", "Expected string", None),
    (
        simple() | {"trigger": {"type": "event", "eventType": "a b"}},
        "ir.trigger.eventType",
        "Expected 1 to 100 letters, digits, _ or -",
        None,
    ),
]


@pytest.mark.parametrize(("ir", "path", "message", "node_id"), FAULTS)
def test_a_fault_is_told_alone(client: AwaitstepApi, ir: Json, path: str, message: str, node_id: str | None) -> None:
    assert refused(client, ir) == [(path, message, node_id)]


@pytest.mark.parametrize("id", [*RESERVED, "a__b"])
def test_a_reserved_id_is_refused(client: AwaitstepApi, id: str) -> None:
    assert refused(client, graph(step(id, "return 1"), edges="")) == [("ir.nodes[0].id", f"Reserved node id: {id}", id)]


@pytest.mark.parametrize(
    ("branches", "edges", "path", "message"),
    [
        (["x:1", "x:2"], "a>b:x", "ir.nodes[0].data.branches[1].label", "Duplicate branch label: x"),
        (["x:1", "y:2"], "a>b:x", "ir.nodes[0].data.branches[1].label", "No edge is labelled y"),
        (["x:1"], "a>b:x a>b:z", "ir.edges[1].label", "branch has no edge labelled z"),
        (
            ["x:", "y:1"],
            "a>b:x a>b:y",
            "ir.nodes[0].data.branches[0].condition",
            "Only the last branch may have an empty condition",
        ),
        (
            ["x:", "y:"],
            "a>b:x a>b:y",
            "ir.nodes[0].data.branches[0].condition",
            "Only the last branch may have an empty condition",
        ),
    ],
)
def test_branches_match_their_edges(
    client: AwaitstepApi, branches: list[str], edges: str, path: str, message: str
) -> None:
    listed = [dict(zip(("label", "condition"), each.split(":"), strict=True)) for each in branches]

    assert refused(client, two(node("a", "branch", branches=listed), edges)) == [(path, message, "a")]


@pytest.mark.parametrize(
    ("made", "path", "message"),
    [
        (step("a", "const x = 1;\nreturn x +;"), "code", "SyntaxError: Unexpected token ';' (line 2)"),
        (step("a", "const n: number = 1"), "code", "TypeScript is not supported, write JavaScript: SyntaxError"),
        (
            node("a", "branch", branches=[{"label": "x", "condition": "1 ==="}]),
            "branches[0].condition",
            "SyntaxError",
        ),
    ],
)
def test_code_and_conditions_are_javascript(client: AwaitstepApi, made: Json, path: str, message: str) -> None:
    edges = "a>b:x" if made["type"] == "branch" else "a>b"

    ((where, told, node_id),) = refused(client, two(made, edges))

    assert (where, node_id) == (f"ir.nodes[0].data.{path}", "a")
    assert told.startswith(message)


def test_loops_may_be_nested(client: AwaitstepApi) -> None:
    ir = graph(
        node("outer", "loop", loopType="times", count=2),
        node("inner", "loop", loopType="times", count=2),
        step("a", "return 1"),
        edges="outer>inner:body inner>a:body",
    )

    assert warnings(client, ir) == []


@pytest.mark.parametrize("type", ["sleep", "sleep_until", "wait_for_event"])
def test_a_function_does_not_wait(client: AwaitstepApi, type: str) -> None:
    data = {"duration": "1 second", "timestamp": "2026-01-15T10:00:00Z", "eventType": "x"}
    ir = graph(node("a", type, **data), edges="", kind="script")

    assert refused(client, ir, kind="script") == [("ir.nodes[0].type", f"A function cannot have a {type}", "a")]


def test_a_function_has_no_trigger_but_http(client: AwaitstepApi) -> None:
    ir = graph(step("a", "return 1"), edges="", kind="script", trigger={"type": "cron", "cron": "* * * * *"})

    assert refused(client, ir, kind="script") == [("ir.trigger.type", "A function has no trigger but http", None)]


# -- warnings


@pytest.mark.parametrize(
    ("ir", "told"),
    [
        (
            graph(step("a", "return 1"), step("b", "return 1"), step("c", "return 1"), edges="a>b a>c"),
            "a: Several edges lead out of this node; what follows runs one after another",
        ),
        (
            two(node("a", "branch", branches=[{"label": "x", "condition": "true"}]), "a>b:x"),
            "a: The branch has no else; nothing runs if no condition holds",
        ),
        (
            two(step("a", "return 1", config={"timeout": "31 seconds"})),
            "a: A timeout of a step is at most 30 seconds",
        ),
        (two(step("a", "return fetch('x')")), "a: fetch is not available in step code; use an http_request"),
    ],
)
def test_what_may_surprise_is_a_warning_and_is_saved(client: AwaitstepApi, ir: Json, told: str) -> None:
    assert warnings(client, ir) == [told]


def test_a_function_warns_of_retries(client: AwaitstepApi) -> None:
    ir = graph(node("a", "step", code="return 1", retryLimit=2), edges="", kind="script")

    assert warnings(client, ir, "script") == ["a: A function does not retry"]


def test_the_warnings_of_a_graph_are_told_at_each_deploy(client: AwaitstepApi) -> None:
    workflow = client.create()
    told = client.save(workflow, two(step("a", "return fetch('x')")))["warnings"]

    assert client.deploy(workflow)["warnings"] == told
