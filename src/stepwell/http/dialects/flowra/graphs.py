"""Graphs become native definitions: every node a step, every join or condition a step before it. Source: Flowra
contract 7.2."""

from collections.abc import Mapping

import msgspec

from stepwell.errors import Fault
from stepwell.http.dialects.flowra.graph_scripts import Script, gate_code, names, node_code, nodes_in
from stepwell.http.dialects.flowra.graph_shape import Edge, Graph, Node, read
from stepwell.http.dialects.flowra.graph_templates import Place, translated
from stepwell.values import Json, Path

ACTION_ATTEMPTS = 3
MAX_SEEN = 2000  # each costs a template in each script that sees it
EVENT_PREFIX = "human_wait_"
_FIELDS: Mapping[str, Path] = {"config": ("inputMapping",), "action": ("toolSlug",)}
_SUFFIX = {"code": ".value", "human_wait": ".payload"}


class Compiled(msgspec.Struct, frozen=True):
    """What a graph comes to: the native fields `steps`, `inputSchema`, `outputSchema` and `output`; faults; the scripts
    whose syntax is still to be checked; and where each step comes from. With faults the steps stand side by side."""

    fields: dict[str, Json]
    faults: list[Fault]
    scripts: tuple[Script, ...]
    origins: tuple[Path, ...]

    def place(self, path: Path) -> Path:
        """Where in what was sent a place of the native definition comes from."""
        if path[:1] == ("steps",) and len(path) > 1 and isinstance(path[1], int):
            node = self.origins[path[1]]
            field, rest = path[2:3], path[3:]
            if field == ("config",) and rest[:1] in (("code",), ("eventType",)):
                return (*node, "code")
            if field == ("config",) and rest[:1] == ("input",):
                return (*node, "inputMapping", *rest[2:])
            return (*node, *_FIELDS.get(str(field[0]), field), *rest) if field else node
        if path[:1] == ("output",):
            return (*self.origins[-1], "inputMapping", *path[1:])
        return ("graph", *path) if path[:1] in (("inputSchema",), ("outputSchema",)) else path


def compile_graph(written: Json, tools: Mapping[str, str]) -> Compiled:
    """Compile a graph; `tools` gives the action of each tool slug. The native definition is still to be compiled by the
    core, and its faults to be told at their `place`."""
    return _Compiler(read(written), tools).compile(written)


class _Compiler:
    """One reading of one graph."""

    def __init__(self, graph: Graph, tools: Mapping[str, str]) -> None:
        self._graph = graph
        self._tools = tools
        self._faults = graph.faults
        self._sound = not graph.faults
        self._skippable = graph.skippable() if self._sound else frozenset()
        self._scripts: list[Script] = []
        self._known = frozenset(node.id for node in graph.nodes)
        self._steps: list[dict[str, Json]] = []
        self._origins: list[Path] = []
        self._seen = 0  # nodes that scripts see without naming them

    def compile(self, written: Json) -> Compiled:
        for edge in self._graph.edges:
            if edge.condition is not None:
                self._scripts.append(Script(("graph", "edges", edge.index, "condition"), edge.condition, True))
        for node in self._graph.nodes:
            if node.has_step:
                self._node(node)
            elif node.type == "end" and self._sound and self._decided(node):
                self._gate(node)
        if len(self._steps) > 1 and not any("needs" in step for step in self._steps):
            for step in self._steps:
                step["needs"] = []  # or they would run one after the other
        fields: dict[str, Json] = {"steps": self._steps}
        ends = [node for node in self._graph.nodes if node.type == "end" and _is_mapped(node)]
        for node in ends[1:]:
            self._fault(node, "Only one end may have an inputMapping", "inputMapping")
        if isinstance(written, dict) and written.get("inputSchema") is not None:
            fields["inputSchema"] = written["inputSchema"]
        if ends:
            fields["output"] = self._mapping(ends[0])
            if isinstance(written, dict) and written.get("outputSchema") is not None:
                fields["outputSchema"] = written["outputSchema"]
        origins = [*self._origins, *(("graph", "nodes", node.index) for node in ends[:1])]
        return Compiled(fields, self._faults, tuple(self._scripts), tuple(origins))

    def _node(self, node: Node) -> None:
        step: dict[str, Json] = {"id": node.step}
        match node.type:
            case "action":
                self._action(node, step)
            case "code":
                self._code(node, step)
            case "human_wait":
                self._texts(node, node.fields.get("humanMessage"), "humanMessage")
                step |= {"type": "wait_for_event", "config": {"eventType": event_type(node)}}
            case _:
                return  # its type is a fault
        edges = self._graph.into[node.step]
        if not self._sound:
            pass
        elif self._decided(node):
            self._gate(node)
            step |= {"needs": [node.gate], "when": f'steps["{node.gate}"].output.run'}
        elif needs := _steps_of(edges):
            step["needs"] = needs
        self._add(step, node)

    def _action(self, node: Node, step: dict[str, Json]) -> None:
        slug = node.fields.get("toolSlug")
        action = None
        if not isinstance(slug, str) or not slug:
            self._fault(node, "Required" if slug in (None, "") else "Expected string", "toolSlug")
        else:
            action = slug if slug in self._tools.values() else self._tools.get(slug.upper())
            if action is None:
                self._fault(node, f"Unknown tool: {slug}"[:300], "toolSlug")
        config = self._mapping(node)
        if action is None:
            step |= {"type": "transform", "config": {"mapping": {}}}  # so that the others can still be compiled
            return
        step |= {"type": "action", "action": action, "config": config, "retryConfig": {"maxAttempts": ACTION_ATTEMPTS}}

    def _code(self, node: Node, step: dict[str, Json]) -> None:
        code = node.fields.get("code")
        if not isinstance(code, str) or not code.strip():
            self._fault(node, "Required" if code in (None, "") or isinstance(code, str) else "Expected string", "code")
            code = "return null;"
        else:
            self._scripts.append(Script(("graph", "nodes", node.index, "code"), code))
        given: dict[str, Json] = {"input": self._given(node)}
        if names(code, "nodes"):
            given["nodes"] = self._upstream(node, code, ("graph", "nodes", node.index, "code"))
        if names(code, "user"):
            given["user"] = "{{run.user}}"
        step |= {"type": "code", "config": {"language": "javascript", "input": given, "code": node_code(code)}}

    def _given(self, node: Node) -> Json:
        """What code sees as `input`: its mapping, the output of its single source, or those of its sources by id."""
        if _is_mapped(node):
            return self._texts(node, node.fields["inputMapping"], "inputMapping")
        sources = {edge.source.id: edge.source for edge in self._graph.into[node.step]}
        if len(sources) == 1:
            return _written(next(iter(sources.values())))
        return {id: _written(source) for id, source in sources.items()}

    def _upstream(self, node: Node, code: str, place: Path) -> Json:
        """What JavaScript sees as `nodes`: those that it names, or all upstream if it does not say which."""
        wanted = nodes_in(code)
        seen = [each for each in self._graph.upstream(node) if wanted is None or each.id in wanted]
        if wanted is None:
            self._seen += len(seen)
            if self._seen > MAX_SEEN:
                self._faults.append(Fault(place, "Too many nodes are seen; name them as nodes.<id> or nodes['<id>']"))
                return {}
        return {each.id: {"output": _written(each)} for each in seen}

    def _decided(self, node: Node) -> bool:
        """Whether a step before the node decides if it runs. An end is decided about only for a condition: nothing runs
        for it."""
        edges = self._graph.into[node.step]
        if any(edge.condition is not None for edge in edges):
            return True
        return node.has_step and (len(edges) > 1 or any(edge.source.step in self._skippable for edge in edges))

    def _gate(self, node: Node) -> None:
        edges = self._graph.into[node.step]
        code = " ".join(edge.condition or "" for edge in edges)
        parts = [self._edge(edge) for edge in edges]
        given: dict[str, Json] = parts[0] if len(parts) == 1 else {"edges": parts}
        if names(code, "input"):
            given["input"] = "{{input}}"
        if names(code, "nodes"):
            given["nodes"] = self._upstream(node, code, ("graph", "edges", edges[0].index, "condition"))
        config = {"language": "javascript", "input": given, "code": gate_code([edge.condition for edge in edges])}
        sources = [edge.source for edge in edges]
        gates = [source.gate for source in sources if source.has_step and self._decided(source)]
        needs = list(dict.fromkeys([*_steps_of(edges), *gates]))
        self._add({"id": node.gate, "type": "code", "needs": needs, "config": config}, node)

    def _edge(self, edge: Edge) -> dict[str, Json]:
        part: dict[str, Json] = {"output": _written(edge.source)}
        if edge.source.step in self._skippable:
            part["ran"] = f"{{{{steps.{edge.source.gate}.output.run}}}}"
        return part

    def _mapping(self, node: Node) -> Json:
        """The inputMapping of a node, which is an object."""
        mapping = node.fields.get("inputMapping")
        if mapping is None:
            return {}
        if not isinstance(mapping, dict):
            self._fault(node, "Expected object", "inputMapping")
            return {}
        return self._texts(node, mapping, "inputMapping")

    def _texts(self, node: Node, value: Json, field: str) -> Json:
        sources = {edge.source.step: edge.source for edge in self._graph.into[node.step]}
        output = output_path(next(iter(sources.values()))) if len(sources) == 1 else None
        outputs = {each.id: output_path(each) for each in self._graph.upstream(node)}
        wrong: list[tuple[Path, str]] = []
        place = Place(node.id, outputs, output, self._known)
        core = translated(value, place, wrong)
        for path, message in wrong:
            self._fault(node, message, field, *path)
        return core

    def _add(self, step: dict[str, Json], node: Node) -> None:
        self._steps.append(step)
        self._origins.append(("graph", "nodes", node.index))

    def _fault(self, node: Node, message: str, *field: str | int) -> None:
        self._faults.append(Fault(("graph", "nodes", node.index, *field), message))


def event_type(node: Node) -> str:
    """The type of the event that ends a human_wait."""
    return EVENT_PREFIX + node.step


def output_path(node: Node) -> str:
    """Where the core keeps the output of a node; that of the start is the run's input."""
    return f"steps.{node.step}.output{_SUFFIX.get(node.type, '')}" if node.has_step else "input"


def _is_mapped(node: Node) -> bool:
    return node.fields.get("inputMapping") is not None


def _written(node: Node) -> str:
    return f"{{{{{output_path(node)}}}}}"


def _steps_of(edges: list[Edge]) -> list[str]:
    return list(dict.fromkeys(edge.source.step for edge in edges if edge.source.has_step))
