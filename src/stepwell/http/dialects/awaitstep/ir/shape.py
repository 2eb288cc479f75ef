"""An IR as it was sent: its nodes and edges typed, and what is wrong with its shape. Source: AwaitStep contract 9."""

import re
from typing import Final

import msgspec

from stepwell.definitions import Schema
from stepwell.errors import Fault
from stepwell.values import Json, Path

MAX_NODES = 500
MAX_EDGES = 2000
LONGEST_STEP = 112  # of a step id, so that what added steps end in still fits

_STEP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_TEXT: Final[Json] = {"type": "string"}
_RETRIES: Final[Json] = {
    "type": "object",
    "properties": {
        "limit": {"type": "integer"},
        "delay": {"type": ["string", "number"]},
        "backoff": {"enum": ["constant", "linear", "exponential"]},
    },
}
_NODE: Final[Json] = {
    "type": "object",
    "required": ["id", "type", "name", "position", "version", "provider", "data"],
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 255},
        "type": {"type": "string", "minLength": 1},
        "name": {"type": "string", "minLength": 1, "maxLength": 256},
        "position": {"type": "object"},
        "version": {"type": ["string", "number"]},
        "provider": _TEXT,
        "data": {"type": "object"},
        "config": {
            "type": ["object", "null"],
            "properties": {"retries": _RETRIES, "timeout": {"type": ["string", "number"]}},
        },
    },
}
_EDGE: Final[Json] = {
    "type": "object",
    "required": ["id", "source", "target"],
    "properties": {"id": _TEXT, "source": _TEXT, "target": _TEXT, "label": {"type": ["string", "null"]}},
}
IR: Final[Json] = {
    "type": "object",
    "required": ["kind", "metadata", "nodes", "edges", "entryNodeId"],
    "properties": {
        "kind": {"enum": ["workflow", "script"]},
        "metadata": {
            "type": "object",
            "required": ["name", "version", "createdAt", "updatedAt"],
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 255},
                "description": {"type": ["string", "null"]},
                "version": {"type": "number", "minimum": 1},
                "createdAt": _TEXT,
                "updatedAt": _TEXT,
            },
        },
        "nodes": {"type": "array", "minItems": 1, "maxItems": MAX_NODES, "items": _NODE},
        "edges": {"type": "array", "maxItems": MAX_EDGES, "items": _EDGE},
        "entryNodeId": _TEXT,
        "trigger": {"type": ["object", "null"], "properties": {"type": _TEXT}},
    },
}
"""The JSON Schema of an IR; unknown members are kept and ignored."""

_SCHEMA = Schema(IR)


class Node(msgspec.Struct, frozen=True):
    """One node: its place in the list, and the id of its step in the core."""

    id: str
    type: str
    name: str
    data: dict[str, Json]
    config: dict[str, Json]
    index: int
    step: str

    @property
    def path(self) -> Path:
        """Where it stands in what was sent."""
        return ("ir", "nodes", self.index)


class Edge(msgspec.Struct, frozen=True):
    """One edge, between ids that need not exist."""

    source: str
    target: str
    label: str | None
    index: int

    @property
    def path(self) -> Path:
        """Where it stands in what was sent."""
        return ("ir", "edges", self.index)


class Graph(msgspec.Struct, frozen=True):
    """What was read. With `faults`, all of shape, there are neither nodes nor edges."""

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    entry: str = ""
    trigger: dict[str, Json] = {}
    faults: list[Fault] = []


def read(ir: Json) -> Graph:
    """An IR, or every fault of its shape; paths begin with `ir`."""
    faults = [Fault(("ir", *fault.path), fault.message) for fault in _SCHEMA.faults(ir)]
    if faults:
        return Graph(faults=faults)
    ids = [node["id"] for node in ir["nodes"]]
    steps = step_names(ids)
    nodes = tuple(
        Node(node["id"], node["type"], node["name"], node["data"], node.get("config") or {}, index, steps[index])
        for index, node in enumerate(ir["nodes"])
    )
    edges = tuple(
        Edge(edge["source"], edge["target"], edge.get("label") or None, index) for index, edge in enumerate(ir["edges"])
    )
    return Graph(nodes, edges, ir["entryNodeId"], ir.get("trigger") or {})


def step_names(ids: list[str]) -> list[str]:
    """The step of each node: its own id where the core allows that and no earlier node has it, else `n1`, `n2`, ..."""
    own = {id for id in ids if _fits(id)}
    taken: set[str] = set()
    names: list[str] = []
    number = 0
    for id in ids:
        name = id
        if not _fits(id) or id in taken:
            number += 1
            while (name := f"n{number}") in own or name in taken:
                number += 1
        taken.add(name)
        names.append(name)
    return names


def _fits(id: str) -> bool:
    return len(id) <= LONGEST_STEP and _STEP.fullmatch(id) is not None
