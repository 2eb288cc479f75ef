"""The tree that a graph forms: what runs one after the other and what each container holds; and what keeps a graph
from being one. Source: AwaitStep contract 9, 10.1."""

import heapq
import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from stepwell.errors import Fault
from stepwell.http.dialects.awaitstep.ir.shape import Edge, Graph, Node
from stepwell.values import Json, Path

TYPES: Final = (
    "step",
    "sleep",
    "sleep_until",
    "branch",
    "parallel",
    "race",
    "http_request",
    "wait_for_event",
    "try_catch",
    "loop",
    "break",
    "sub_workflow",
    "sub_script",
)
CONTAINERS: Final = frozenset({"branch", "parallel", "race", "try_catch", "loop"})
RESERVED: Final = frozenset(
    {"event", "env", "trigger", "steps", "err", "error", "input", "run", "now", "variables", "secrets", "global"}
)
MAX_ARMS: Final = 100
THEN: Final = "then"
_LABELS: Final = {"try_catch": ("try", "catch", "finally"), "loop": ("body",)}
_NEEDED: Final = {"try_catch": ("try", "catch"), "loop": ("body",)}

ArmKey = tuple[str, str]
Level = tuple[ArmKey, ...]


class GraphFault(msgspec.Struct, frozen=True):
    """One thing wrong with a graph: where, what, and at which node if it is one node's."""

    path: Path
    message: str
    node_id: str | None = None

    def as_json(self) -> dict[str, Json]:
        """As it is answered: `{path, message, nodeId}`."""
        return {"path": Fault(self.path, "").field, "message": self.message, "nodeId": self.node_id}


class Arm(msgspec.Struct, frozen=True):
    """One way that a container holds. `label` is that of its edge; of a branch that of its condition."""

    label: str
    items: tuple["Item", ...] = ()


class Item(msgspec.Struct, frozen=True):
    """One node in its place. `arms` are those of a container: of a branch in the order of its conditions, of a parallel
    or race in that of its edges, of a try_catch try, catch, finally, of a loop its body."""

    node: Node
    arms: tuple[Arm, ...] = ()


class Structure(msgspec.Struct, frozen=True):
    """The tree; with faults there is none."""

    items: tuple[Item, ...]
    faults: list[GraphFault]


def structure(graph: Graph) -> Structure:
    """The tree of a graph whose shape is sound, or every fault of its structure."""
    if graph.faults:
        return Structure((), [])
    reader = _Reader(graph)
    faults = list(reader.faults())
    return Structure(() if faults else reader.tree(), faults)


def walk(items: Iterable[Item]) -> Iterator[Item]:
    """Every item of a tree, in the order of the tree."""
    for item in items:
        yield item
        for arm in item.arms:
            yield from walk(arm.items)


def branches(node: Node) -> list[tuple[str, str]]:
    """The label and condition of each branch of a branch node; what is no branch is left out."""
    given = node.data.get("branches")
    found = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    return [
        (str(each.get("label", "")), each["condition"] if isinstance(each.get("condition"), str) else "")
        for each in found
    ]


class _Reader:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._nodes: dict[str, Node] = {}
        for node in graph.nodes:
            self._nodes.setdefault(node.id, node)
        self._edges = [edge for edge in graph.edges if edge.source in self._nodes and edge.target in self._nodes]
        self._into: dict[str, list[Edge]] = {id: [] for id in self._nodes}
        self._out: dict[str, list[Edge]] = {id: [] for id in self._nodes}
        for edge in self._edges:
            self._into[edge.target].append(edge)
            self._out[edge.source].append(edge)

    # -- faults

    def faults(self) -> Iterator[GraphFault]:
        graph = self._graph
        if graph.entry not in self._nodes:
            yield GraphFault(("ir", "entryNodeId"), f"Entry node does not exist: {graph.entry}"[:300])
        seen: set[str] = set()
        for node in graph.nodes:
            if node.id in seen:
                yield GraphFault((*node.path, "id"), f"Duplicate node id: {node.id}", node.id)
            seen.add(node.id)
            if node.id in RESERVED or "__" in node.id:
                yield GraphFault((*node.path, "id"), f"Reserved node id: {node.id}", node.id)
            if node.type not in TYPES:
                yield GraphFault((*node.path, "type"), f"Unknown node type: {node.type}"[:300], node.id)
        for edge in graph.edges:
            for end, id, other in (("source", edge.source, edge.target), ("target", edge.target, edge.source)):
                if id not in self._nodes:
                    known = other if other in self._nodes else None
                    yield GraphFault((*edge.path, end), f"Edge names a node that does not exist: {id}"[:300], known)
        yield from self._whole()
        for node in self._nodes.values():
            yield from self._labels(node)

    def _whole(self) -> Iterator[GraphFault]:
        """Cycles, and what the entry does not lead to."""
        graph = self._graph
        order = self._order()
        cyclic = [node for node in self._nodes.values() if node.id not in order]
        if cyclic:
            told = self._cycle(cyclic[0].id, set(order))
            yield GraphFault(("ir", "edges"), f"Cycle: {' -> '.join(told)}"[:500], told[0])
        if graph.entry in self._nodes:
            reached = self._reached()
            for node in self._nodes.values():
                if node.id not in reached:
                    message = f"Not reachable from the entry: {node.id}"[:300]
                    yield GraphFault(node.path, message, node.id)

    def _labels(self, node: Node) -> Iterator[GraphFault]:
        """Faults of the edges out of a node."""
        out = self._out[node.id]
        labels = [edge.label for edge in out]
        for needed in _NEEDED.get(node.type, ()):
            if needed not in labels:
                yield GraphFault(node.path, f"{node.type} needs an edge labelled {needed}", node.id)
        if node.type in ("parallel", "race"):
            arms = sum(label != THEN for label in labels)
            if not arms:
                yield GraphFault(node.path, f"{node.type} needs at least one arm", node.id)
            elif arms > MAX_ARMS:
                yield GraphFault(node.path, f"At most {MAX_ARMS} arms", node.id)
        allowed: set[str | None] = {THEN, *_LABELS.get(node.type, ())}
        if node.type == "loop":
            allowed.add(None)
        elif node.type == "branch":
            yield from self._branches(node)
            allowed |= {label for label, _ in branches(node)}
        elif node.type != "try_catch":
            return
        for edge in out:
            if edge.label not in allowed:
                message = f"{node.type} has no edge labelled {edge.label or ''}".rstrip()[:300]
                yield GraphFault((*edge.path, "label"), message, node.id)

    def _branches(self, node: Node) -> Iterator[GraphFault]:
        given = node.data.get("branches")
        at = (*node.path, "data", "branches")
        if not isinstance(given, list) or not given:
            yield GraphFault(at, "Required" if given in (None, []) else "Expected array", node.id)
            return
        if len(given) > MAX_ARMS:
            yield GraphFault(at, f"At most {MAX_ARMS} branches", node.id)
        seen: set[str] = set()
        labels = [edge.label for edge in self._out[node.id]]
        empty = [index for index, each in enumerate(given) if isinstance(each, dict) and not _text(each)]
        for index, each in enumerate(given):
            label = each.get("label") if isinstance(each, dict) else None
            if not isinstance(each, dict):
                yield GraphFault((*at, index), "Expected object", node.id)
            elif not isinstance(label, str) or not label:
                yield GraphFault((*at, index, "label"), "Required", node.id)
            elif label in seen:
                yield GraphFault((*at, index, "label"), f"Duplicate branch label: {label}"[:300], node.id)
            elif label not in labels:
                yield GraphFault((*at, index, "label"), f"No edge is labelled {label}"[:300], node.id)
            if isinstance(label, str):
                seen.add(label)
        for index in empty:
            if index != len(given) - 1:
                yield GraphFault((*at, index, "condition"), "Only the last branch may have an empty condition", node.id)

    def _order(self) -> dict[str, int]:
        """The nodes in topological order, ties by position; those in or behind a cycle are missing."""
        left = {id: len(edges) for id, edges in self._into.items()}
        ready = [self._nodes[id].index for id, count in left.items() if not count]
        heapq.heapify(ready)
        order: dict[str, int] = {}
        while ready:
            id = self._graph.nodes[heapq.heappop(ready)].id
            order[id] = len(order)
            for edge in self._out[id]:
                left[edge.target] -= 1
                if not left[edge.target]:
                    heapq.heappush(ready, self._nodes[edge.target].index)
        return order

    def _cycle(self, start: str, sound: set[str]) -> list[str]:
        """One cycle among the nodes that have no order: each of them has an edge from another."""
        seen: list[str] = []
        at = start
        while at not in seen:
            seen.append(at)
            at = next(edge.source for edge in self._into[at] if edge.source not in sound)
        ring = [*seen[seen.index(at) :], at]
        return ring[::-1]

    def _reached(self) -> set[str]:
        reached = {self._graph.entry}
        left = [self._graph.entry]
        while left:
            for edge in self._out[left.pop()]:
                if edge.target not in reached:
                    reached.add(edge.target)
                    left.append(edge.target)
        return reached

    # -- tree

    def tree(self) -> tuple[Item, ...]:
        levels: dict[str, Level] = {}
        members: dict[Level, list[str]] = {}
        for id in self._order():
            into = [self._after(edge, levels) for edge in self._into[id]]
            levels[id] = _common(into)
            members.setdefault(levels[id], []).append(id)
        return self._items((), members)

    def _after(self, edge: Edge, levels: dict[str, Level]) -> Level:
        """The level that an edge leads into: an arm of its source, or where its source stands."""
        arm = self._arm(edge)
        return levels[edge.source] if arm is None else (*levels[edge.source], (edge.source, arm))

    def _arm(self, edge: Edge) -> str | None:
        """The key of the arm that an edge begins, None if it goes on behind its source."""
        node = self._nodes[edge.source]
        label = edge.label
        match node.type:
            case "branch":
                labels = [each for each, _ in branches(node)]
                return str(labels.index(label)) if label in labels else None
            case "parallel" | "race":
                return None if label == THEN else str(edge.index)
            case "loop" | "try_catch":
                return label if label in _LABELS[node.type] else None
        return None

    def _items(self, level: Level, members: dict[Level, list[str]]) -> tuple[Item, ...]:
        return tuple(self._item(self._nodes[id], level, members) for id in members.get(level, ()))

    def _item(self, node: Node, level: Level, members: dict[Level, list[str]]) -> Item:
        return Item(
            node, tuple(Arm(label, self._items((*level, (node.id, key)), members)) for key, label in self._ways(node))
        )

    def _ways(self, node: Node) -> list[tuple[str, str]]:
        """The key and label of each arm of a node."""
        match node.type:
            case "branch":
                return [(str(index), label) for index, (label, _) in enumerate(branches(node))]
            case "parallel" | "race":
                return [(str(edge.index), edge.label or "") for edge in self._out[node.id] if edge.label != THEN]
            case "loop" | "try_catch":
                return [(label, label) for label in _LABELS[node.type]]
        return []


def _common(levels: list[Level]) -> Level:
    """The level that all of these stand in."""
    if not levels:
        return ()
    common: list[ArmKey] = []
    for keys in zip(*levels, strict=False):
        if any(key != keys[0] for key in keys):
            break
        common.append(keys[0])
    return tuple(common)


def _text(branch: dict[str, Json]) -> bool:
    condition = branch.get("condition")
    return isinstance(condition, str) and re.search(r"\S", condition) is not None
