"""A graph as it was sent: its nodes and edges, and what is wrong with how they hang together. Source: Flowra contract
7.1."""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

import msgspec

from stepwell.errors import Fault
from stepwell.http.dialects.flowra.graph_names import gate_names, step_names
from stepwell.values import Json

MAX_NODES = 200
MAX_EDGES = 2000
TYPES = frozenset({"start", "end", "action", "code", "human_wait"})
LATER = frozenset({"llm_agent"})
STEPLESS = frozenset({"start", "end"})


class Node(msgspec.Struct, frozen=True):
    """One node: its place in the list, its id, the id of its step and of the step before that, and its fields."""

    index: int
    id: str
    step: str
    gate: str
    type: str
    fields: dict[str, Json]

    @property
    def has_step(self) -> bool:
        """It becomes a step of the core."""
        return self.type not in STEPLESS


class Edge(msgspec.Struct, frozen=True):
    """One edge between nodes that exist."""

    index: int
    source: Node
    target: Node
    condition: str | None


class Graph:
    """A graph that was read: `nodes` and `edges` that make sense, and `faults` for those that do not."""

    def __init__(self, nodes: tuple[Node, ...], edges: tuple[Edge, ...], faults: list[Fault]) -> None:
        self.nodes = nodes
        self.edges = edges
        self.faults = faults
        self.into: dict[str, list[Edge]] = {node.step: [] for node in nodes}
        self.out: dict[str, list[Edge]] = {node.step: [] for node in nodes}
        for edge in edges:
            self.into[edge.target.step].append(edge)
            self.out[edge.source.step].append(edge)

    def upstream(self, node: Node) -> list[Node]:
        """Every node from which an edge, or several, lead to this one, in the order of the document."""
        seen: dict[str, Node] = {}
        left = [edge.source for edge in self.into[node.step]]
        while left:
            at = left.pop()
            if at.step not in seen:
                seen[at.step] = at
                left.extend(edge.source for edge in self.into[at.step])
        return sorted(seen.values(), key=lambda found: found.index)

    def skippable(self) -> frozenset[str]:
        """The steps that need not run in a run that succeeds: no unconditional edge leads to them from one that must.
        Only for a graph without a cycle."""
        order = TopologicalSorter({step: [edge.source.step for edge in edges] for step, edges in self.into.items()})
        skippable: set[str] = set()
        for step in order.static_order():
            edges = self.into[step]
            if edges and not any(edge.condition is None and edge.source.step not in skippable for edge in edges):
                skippable.add(step)
        return frozenset(skippable)


def read(written: Json) -> Graph:
    """A graph, with every fault of its shape; paths begin with `graph`."""
    faults: list[Fault] = []
    if not isinstance(written, dict):
        return Graph((), (), [Fault(("graph",), "Expected object")])
    nodes = _nodes(written.get("nodes"), faults)
    edges = _edges(written.get("edges"), nodes, faults)
    graph = Graph(nodes, edges, faults)
    faults.extend(_hanging(graph))
    return graph


def _nodes(written: Json, faults: list[Fault]) -> tuple[Node, ...]:
    at = ("graph", "nodes")
    if not isinstance(written, list):
        faults.append(Fault(at, "Required" if written is None else "Expected array"))
        return ()
    if len(written) > MAX_NODES:
        faults.append(Fault(at, f"More than {MAX_NODES} nodes"))
        return ()
    ids = [item.get("id") if isinstance(item, dict) else None for item in written]
    steps = step_names(id if isinstance(id, str) else "" for id in ids)
    gates = gate_names(steps)
    seen: set[str] = set()
    nodes = []
    for index, item in enumerate(written):
        if not isinstance(item, dict):
            faults.append(Fault((*at, index), "Expected object"))
            continue
        id = ids[index]
        if not isinstance(id, str) or not id:
            faults.append(Fault((*at, index, "id"), "Required" if id in (None, "") else "Expected string"))
            id = ""
        elif len(id) > 255:
            faults.append(Fault((*at, index, "id"), "At most 255 characters"))
        elif id in seen:
            faults.append(Fault((*at, index, "id"), f"Duplicate node id: {id}"))
        seen.add(id)
        type_ = item.get("type")
        if fault := _type_fault(type_):
            faults.append(Fault((*at, index, "type"), fault))
        kind = type_ if isinstance(type_, str) else ""
        nodes.append(Node(index, id, steps[index], gates[steps[index]], kind, item))
    return tuple(nodes)


def _type_fault(type_: Json) -> str | None:
    if not isinstance(type_, str):
        return "Required" if type_ is None else "Expected string"
    if type_ in LATER:
        return f"Node type not available: {type_}"
    return None if type_ in TYPES else f"Unknown node type: {type_}"[:300]


def _edges(written: Json, nodes: tuple[Node, ...], faults: list[Fault]) -> tuple[Edge, ...]:
    at = ("graph", "edges")
    if written is None:
        return ()
    if not isinstance(written, list):
        faults.append(Fault(at, "Expected array"))
        return ()
    if len(written) > MAX_EDGES:
        faults.append(Fault(at, f"More than {MAX_EDGES} edges"))
        return ()
    by_id: dict[str, Node] = {}
    for node in nodes:
        by_id.setdefault(node.id, node)
    edges = []
    for index, item in enumerate(written):
        if not isinstance(item, dict):
            faults.append(Fault((*at, index), "Expected object"))
            continue
        ends = []
        for name in ("from", "to"):
            id = item.get(name)
            if not isinstance(id, str) or not id:
                faults.append(Fault((*at, index, name), "Required" if id in (None, "") else "Expected string"))
            elif id not in by_id:
                faults.append(Fault((*at, index, name), f"Unknown node: {id}"[:300]))
            else:
                ends.append(by_id[id])
        condition = item.get("condition")
        if condition is not None and not isinstance(condition, str):
            faults.append(Fault((*at, index, "condition"), "Expected string"))
            condition = None
        if len(ends) == 2:
            edges.append(Edge(index, ends[0], ends[1], condition if condition and condition.strip() else None))
    return tuple(edges)


def _hanging(graph: Graph) -> Iterator[Fault]:
    """Faults of the whole: one start, nothing into it, nothing out of an end, no cycle, everything reachable."""
    starts = [node for node in graph.nodes if node.type == "start"]
    if not starts and not any(fault.path == ("graph", "nodes") for fault in graph.faults):
        yield Fault(("graph", "nodes"), "A graph needs a node of type start")
    for node in starts[1:]:
        yield Fault(("graph", "nodes", node.index, "type"), "A graph has one start")
    for edge in graph.edges:
        if edge.target.type == "start":
            yield Fault(("graph", "edges", edge.index, "to"), "No edge leads to the start")
        if edge.source.type == "end":
            yield Fault(("graph", "edges", edge.index, "from"), "No edge leads out of an end")
    try:
        TopologicalSorter({node.step: [e.source.step for e in graph.into[node.step]] for node in graph.nodes}).prepare()
    except CycleError as error:
        ids = {node.step: node.id for node in graph.nodes}
        cycle = " -> ".join(ids[step] for step in error.args[1])
        yield Fault(("graph", "edges"), f"Cycle: {cycle}"[:500])
    yield from _unreachable(graph, starts)


def _unreachable(graph: Graph, starts: list[Node]) -> Iterator[Fault]:
    if not starts:
        return
    reached = {node.step for node in starts}
    left = [node.step for node in starts]
    while left:
        for edge in graph.out[left.pop()]:
            if edge.target.step not in reached:
                reached.add(edge.target.step)
                left.append(edge.target.step)
    for node in graph.nodes:
        if node.step not in reached and node.id:
            yield Fault(("graph", "nodes", node.index), f"Not reachable from the start: {node.id}"[:300])
