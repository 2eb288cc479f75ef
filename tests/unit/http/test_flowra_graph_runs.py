"""Graphs on the real engine: random ones take the nodes that a small walk says, and code, conditions and waits see what
they should."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit import World
from stepwell import values
from stepwell.http.dialects.flowra.graph_shape import read
from stepwell.http.dialects.flowra.graphs import compile_graph
from stepwell.sandbox import Sandbox
from stepwell.states import RecordStatus
from stepwell.store import RunEvent
from stepwell.values import Json

SEED = 5  # of the input: what the start gives


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


async def ran(world: World, graph: Json, given: Json = None) -> tuple[str, dict[str, Any]]:
    """State of a run of the graph, and the output of each node that succeeded; every wait is answered."""
    made = compile_graph(graph, {})
    assert made.faults == []
    run = await world.start(world.define(*made.fields.pop("steps"), **made.fields), given)
    await world.settle()
    while waits := [each for each in (await world.load(run)).records if each.status is RecordStatus.WAITING]:
        for record in waits:
            type = values.decode(record.data or b"{}")["event"]
            payload = values.encode({"n": int(type.removeprefix("human_wait_n"))})
            event = RunEvent(id=world.ids.new(), type=type, payload=payload, received_at=world.clock.now_ms())
            reached = await world.store.signals.send(world.workspace, run, event)
            assert reached is not None
            world.engine.reached((reached,))
        await world.settle()
    loaded = await world.load(run)
    members = {"code": "value", "human_wait": "payload"}
    types = {node.step: node for node in read(graph).nodes}
    outputs = {
        types[record.step].id: values.decode(record.output or b"null")[members[types[record.step].type]]
        for record in loaded.records
        if record.step in types and record.status is RecordStatus.SUCCESS
    }
    return str(loaded.run.state), outputs


@st.composite
def graphs(draw: st.DrawFn) -> Json:
    """Up to eight nodes whose outputs are their numbers, each reachable, with conditions on those numbers."""
    count = draw(st.integers(1, 8))
    nodes = [{"id": "s", "type": "start"}]
    edges = []
    for number in range(count):
        wait = draw(st.integers(0, 3)) == 0
        code = f"return {{n: {number}}}"
        nodes.append(
            {"id": f"n{number}", "type": "human_wait"} if wait else {"id": f"n{number}", "type": "code", "code": code}
        )
        sources = draw(st.lists(st.integers(-1, number - 1), min_size=1, max_size=3, unique=True))
        for source in sources:
            turned = draw(st.sampled_from([None, "<", ">="]))
            made = {"from": "s" if source < 0 else f"n{source}", "to": f"n{number}"}
            if turned is not None:
                made["condition"] = f"output.n {turned} {draw(st.integers(0, 8))}"
            edges.append(made)
    return {"nodes": nodes, "edges": edges}


def walked(graph: Json) -> set[str]:
    """The nodes that run, by the rule of the contract."""
    taken = {"s"}
    for node in graph["nodes"][1:]:
        for edge in graph["edges"]:
            if edge["to"] == node["id"] and edge["from"] in taken and _holds(edge):
                taken.add(node["id"])
    return taken - {"s"}


def _holds(edge: Json) -> bool:
    if "condition" not in edge:
        return True
    number = SEED if edge["from"] == "s" else int(edge["from"][1:])
    _, turned, limit = edge["condition"].split()
    return number < int(limit) if turned == "<" else number >= int(limit)


async def test_random_graphs_take_the_nodes_that_a_small_walk_takes(world: World) -> None:
    drawn: list[Json] = []

    @settings(max_examples=12, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(graphs())
    def draw(graph: Json) -> None:
        drawn.append(graph)

    draw()

    for graph in drawn:
        state, outputs = await ran(world, graph, {"n": SEED})
        assert (state, set(outputs)) == ("completed", walked(graph)), graph
        assert outputs == {id: {"n": int(id[1:])} for id in outputs}


def one(code: str, **fields: Json) -> Json:
    node = {"id": "n0", "type": "code", "code": code, **fields}
    return {"nodes": [{"id": "s", "type": "start"}, node], "edges": [{"from": "s", "to": "n0"}]}


@pytest.mark.parametrize(
    ("code", "output"),
    [
        ("return input.x + 1", 3),
        ("return await Promise.resolve(input.x)", 2),
        ("const y = 1", None),
        ("export default ({input}) => ({twice: input.x * 2})", {"twice": 4}),
        ("export default async function main({input, nodes}) { return nodes.s.output.x }", 2),
        ("const add = (a) => a + 1;\nexport default function ({input}) {\n  return add(input.x)\n}", 3),
        ("return nodes.s.output.x // the last line is a comment", 2),
        ("return [input.x, null]", [2, None]),
    ],
)
async def test_code_is_a_body_or_a_default_export(world: World, code: str, output: Json) -> None:
    assert await ran(world, one(code), {"x": 2}) == ("completed", {"n0": output})


async def test_the_error_of_code_names_the_line_of_its_author(world: World) -> None:
    made = compile_graph(one("const a = 1\n\nthrow new Error('no')"), {})
    run = await world.start(world.define(*made.fields["steps"]))
    await world.settle()

    state, error = await world.outcome(run)

    assert (state, error["message"]) == ("failed", "Error: no (line 3)")


async def test_a_condition_sees_output_input_and_nodes(world: World) -> None:
    nodes = [{"id": f"n{number}", "type": "code", "code": f"return {{n: {number}}}"} for number in range(3)]
    edges = [
        {"from": "s", "to": "n0"},
        {"from": "n0", "to": "n1", "condition": "output.n === 0 && input.x === 2 && nodes.s.output.x === 2 // yes"},
        {"from": "n0", "to": "n2", "condition": "nodes.n0.output.n"},
    ]

    state, outputs = await ran(world, {"nodes": [{"id": "s", "type": "start"}, *nodes], "edges": edges}, {"x": 2})

    assert (state, set(outputs)) == ("completed", {"n0", "n1"})


async def test_a_condition_that_throws_fails_the_run(world: World) -> None:
    edges = [{"from": "s", "to": "n0", "condition": "output.x.y.z"}]
    graph = {"nodes": [{"id": "s", "type": "start"}, {"id": "n0", "type": "code", "code": "return 1"}], "edges": edges}

    state, outputs = await ran(world, graph)

    assert (state, outputs) == ("failed", {})


async def test_ids_that_fit_no_step_are_seen_by_their_own_names(world: World) -> None:
    nodes = [
        {"id": "s", "type": "start"},
        {"id": "ä b", "type": "code", "code": "return {n: 1}"},
        {
            "id": "z",
            "type": "code",
            "code": "return [nodes['ä b'].output.n, input]",
            "inputMapping": "{{nodes['ä b'].output.n}}",
        },
    ]
    edges = [{"from": "s", "to": "ä b"}, {"from": "ä b", "to": "z"}]

    assert await ran(world, {"nodes": nodes, "edges": edges}) == ("completed", {"ä b": {"n": 1}, "z": [1, 1]})
