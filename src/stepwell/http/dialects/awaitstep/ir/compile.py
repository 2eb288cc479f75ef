"""IRs become native documents, and everything that can be found wrong with one is found when it is saved. Source:
AwaitStep contract 9, 10."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from stepwell.core import Draft
from stepwell.errors import Fault, ValidationFailed
from stepwell.http.dialects.awaitstep.ir.containers import Builder
from stepwell.http.dialects.awaitstep.ir.nodes import METHODS, too_deep
from stepwell.http.dialects.awaitstep.ir.shape import Graph, Node, read
from stepwell.http.dialects.awaitstep.ir.structure import CONTAINERS, TYPES, GraphFault, Structure, structure
from stepwell.http.dialects.awaitstep.ir.workshop import Place, Script, Step, Surroundings, Workshop
from stepwell.triggers.cron import compile_cron
from stepwell.values import Json, Path

MAX_STEPS = 500
MAX_NESTING = 16
FUNCTION_REFUSES = frozenset({"sleep", "sleep_until", "wait_for_event"})

_HIDDEN = re.compile(r"__(arm|args|cond|out)$")
_EVENT_TYPE = re.compile(r"[A-Za-z0-9_-]{1,100}")
_TYPESCRIPT = re.compile(
    r"\b(?:interface|enum|namespace|declare)\s+\w+|\btype\s+\w+\s*(?:<[^>]*>)?\s*=|\bas\s+(?:const|any|[A-Z]\w*|string|number|"
    r"boolean|unknown)\b|[\w)\]]\??\s*:\s*(?:string|number|boolean|any|unknown|void|never|object|[A-Z]\w*(?:<|\[\]|\b))"
    r"|\w<\w+>\s*\(|\w!\.|\bimport\s+type\b"
)


class Checked(msgspec.Struct, frozen=True):
    """What save finds. `scripts` are still to be checked for their syntax, see `drafts` and `script_faults`."""

    graph: Graph
    structure: Structure
    schema_faults: list[Fault]
    graph_faults: list[GraphFault]
    warnings: tuple[str, ...]
    scripts: tuple[Script, ...]
    kind: str

    @property
    def drafts(self) -> list[Draft]:
        """The scripts as the core checks them."""
        return [Draft(each.code, (), each.expression, located=True) for each in self.scripts]


class NodeSteps(msgspec.Struct, frozen=True):
    """A node and its steps in the core: `step`, and `output_step`, whose recorded output holds the node's value at
    `output_path`; a value that is not there is null. `counts`: its value can be the output of a run."""

    node_id: str
    name: str
    type: str
    step: str
    output_path: tuple[str | int, ...]
    output_step: str
    counts: bool


class CompiledIr(msgspec.Struct, frozen=True):
    """The native fields `trigger` and `steps`; the node of each step; environment variables that are missing, and those
    that are read: with `reads_all` code may read any."""

    fields: dict[str, Json]
    warnings: tuple[str, ...]
    origins: dict[str, str]
    faults: list[GraphFault]
    missing: tuple[str, ...] = ()
    env: frozenset[str] = frozenset()
    reads_all: bool = False

    def node_at(self, path: Path) -> str | None:
        """The node that a place of the native document comes from."""
        found: str | None = None
        at: Json = self.fields
        for part in path:
            inside = isinstance(at, dict) and part in at
            if not inside and not (isinstance(at, list) and isinstance(part, int) and part < len(at)):
                break
            at = at[part]
            if isinstance(at, dict) and isinstance(at.get("id"), str):
                found = self.origins.get(at["id"], found)
        return found


def check(ir: Json, kind: str) -> Checked:
    """Everything that can be found wrong with an IR of a workflow or a function (`script`) but the syntax of its
    JavaScript."""
    graph = read(ir)
    schema = list(graph.faults)
    if not schema and ir["kind"] != kind:
        schema.append(Fault(("ir", "kind"), f"Expected {kind}"))
    if schema:
        return Checked(Graph(faults=schema), Structure((), []), schema, [], (), (), kind)
    tree = structure(graph)
    faults = [*tree.faults, *_of_kind(graph, kind)]
    if tree.faults:
        found = _alone(graph)
        return Checked(graph, tree, [], _once([*faults, *found.faults]), (), tuple(found.scripts), kind)
    shop = Workshop(graph, tree.items, Surroundings())
    builder = Builder(shop, tree.items)
    steps = builder.build()
    faults += shop.faults + list(_too_large(graph, steps))
    warnings = [*_plain_edges(graph), *shop.warnings]
    if kind == "script":
        tried = [each for each in graph.nodes if each.config.get("retries") or each.data.get("retryLimit") is not None]
        warnings += [f"{node.id}: A function does not retry" for node in tried]
    return Checked(graph, tree, [], _once(faults), tuple(warnings), tuple(shop.scripts), kind)


def script_faults(checked: Checked, told: Sequence[str | None]) -> list[GraphFault]:
    """The faults of scripts, of what is wrong with the syntax of each as `core.scripts` tells it."""
    faults = []
    for script, wrong in zip(checked.scripts, told, strict=True):
        if wrong is not None:
            typed = _TYPESCRIPT.search(script.written) is not None
            message = f"TypeScript is not supported, write JavaScript: {wrong}" if typed else wrong
            faults.append(GraphFault(script.path, message[:500], script.node_id))
    return faults


def compile_ir(
    checked: Checked,
    *,
    variables: Collection[str],
    secrets: Collection[str],
    workflows: Mapping[str, str],
    functions: Mapping[str, str],
) -> CompiledIr:
    """Compile an IR without faults. `workflows` and `functions` give the core's workflow for each name that a
    sub_workflow or sub_script may have for it."""
    graph = checked.graph
    shop = Workshop(graph, checked.structure.items, Surroundings(variables, secrets, workflows, functions))
    builder = Builder(shop, checked.structure.items)
    fields: dict[str, Json] = {"trigger": native_trigger(graph.trigger), "steps": builder.build()}
    missing = tuple(sorted(shop.missing))
    return CompiledIr(
        fields, checked.warnings, builder.origins, shop.faults, missing, frozenset(shop.read), shop.reads_all
    )


def node_steps(ir: Json) -> list[NodeSteps]:
    """The nodes of a sound IR in the order of the document, with their steps; none of an IR that is not sound."""
    graph = read(ir)
    tree = structure(graph)
    if graph.faults or tree.faults:
        return []
    builder = Builder(Workshop(graph, tree.items, Surroundings()), tree.items)
    builder.build()
    return [
        NodeSteps(
            node_id=node.id,
            name=node.name,
            type=node.type,
            step=node.step,
            output_path=builder.values[node.id][3:],
            output_step=str(builder.values[node.id][1]),
            counts=node.type not in ("branch", "break"),
        )
        for node in graph.nodes
    ]


def is_added(step: str) -> bool:
    """Whether a step was added for a node, so that it is not shown as one."""
    return _HIDDEN.search(step) is not None


def native_trigger(trigger: dict[str, Json]) -> dict[str, Json]:
    """The core's trigger."""
    match trigger.get("type"):
        case "cron":
            return {"type": "schedule", "cron": _cron(trigger), "timezone": "UTC"}
        case "event":
            return {"type": "webhook", "filter": {"eventType": {"$eq": trigger.get("eventType")}}}
    return {"type": "api"}


def http_method(trigger: dict[str, Json]) -> str:
    """The method that calls an http trigger."""
    return str(trigger.get("method") or "POST").upper()


def _cron(trigger: dict[str, Json]) -> Json:
    return trigger.get("cron", trigger.get("expression", trigger.get("schedule")))


def _of_kind(graph: Graph, kind: str) -> Iterator[GraphFault]:
    """Faults of the trigger, and of what a function may not have."""
    if kind != "script":
        yield from _of_trigger(graph.trigger)
        return
    for node in graph.nodes:
        if node.type in FUNCTION_REFUSES:
            yield GraphFault((*node.path, "type"), f"A function cannot have a {node.type}", node.id)
    if graph.trigger and graph.trigger.get("type") != "http":
        yield GraphFault(("ir", "trigger", "type"), "A function has no trigger but http")


def _of_trigger(trigger: dict[str, Json]) -> Iterator[GraphFault]:
    at: Path = ("ir", "trigger")
    match trigger.get("type", "manual"):
        case "manual":
            return
        case "cron":
            cron = _cron(trigger)
            try:
                if not isinstance(cron, str):
                    yield GraphFault((*at, "cron"), "Required" if cron is None else "Expected string")
                else:
                    compile_cron(cron)
            except ValidationFailed as error:
                for fault in error.faults:
                    yield GraphFault((*at, "cron"), fault.message)
        case "http":
            if http_method(trigger) not in METHODS:
                yield GraphFault((*at, "method"), f"Expected one of {', '.join(METHODS)}")
        case "event":
            event = trigger.get("eventType")
            if not isinstance(event, str) or not _EVENT_TYPE.fullmatch(event):
                yield GraphFault((*at, "eventType"), "Expected 1 to 100 letters, digits, _ or -")
        case unknown:
            yield GraphFault((*at, "type"), f"Unknown trigger type: {unknown}"[:300])


def _alone(graph: Graph) -> Workshop:
    """What can be found in nodes one by one, when they form no tree: all but what needs their order."""
    shop = Workshop(graph, (), Surroundings())
    builder = Builder(shop, ())
    place = Place(
        visible={node.id: ("steps", node.step, "output", "value") for node in graph.nodes},
        variables=tuple(name for node in graph.nodes if node.type == "loop" for name in _loop_variables(node)),
        errors={node.id: node.step for node in graph.nodes},
        breaks=True,
    )
    for node in graph.nodes:
        if node.type in TYPES:
            others = {id: path for id, path in place.visible.items() if id != node.id}
            builder.alone(node, msgspec.structs.replace(place, visible=others))
    return shop


def _loop_variables(node: Node) -> tuple[str, str]:
    return str(node.data.get("itemVar") or "item"), str(node.data.get("indexVar") or "i")


def _too_large(graph: Graph, steps: list[Step]) -> Iterator[GraphFault]:
    for node in graph.nodes:
        if too_deep(node.data):
            yield GraphFault((*node.path, "data"), "Nested too deeply", node.id)
    count, depth = _size(steps)
    if count > MAX_STEPS:
        yield GraphFault(("ir", "nodes"), f"More than {MAX_STEPS} compiled steps")
    if depth > MAX_NESTING:
        yield GraphFault(("ir", "nodes"), f"Containers are nested deeper than {MAX_NESTING} compiled steps")


def _size(steps: list[Step]) -> tuple[int, int]:
    """How many steps there are, and how deep."""
    count, depth = len(steps), 1 if steps else 0
    for step in steps:
        config = step.get("config", {})
        lists = [config[name] for name in ("then", "else", "steps", "catch", "finally") if name in config]
        lists += [each["steps"] for each in config.get("branches", ())]
        for inner in lists:
            more, below = _size(inner)
            count, depth = count + more, max(depth, below + 1)
    return count, depth


def _plain_edges(graph: Graph) -> Iterator[str]:
    out: dict[str, int] = {}
    for edge in graph.edges:
        out[edge.source] = out.get(edge.source, 0) + 1
    for node in graph.nodes:
        if node.type not in CONTAINERS and out.get(node.id, 0) > 1:
            yield f"{node.id}: Several edges lead out of this node; what follows runs one after another"


def _once(faults: list[GraphFault]) -> list[GraphFault]:
    return [fault for at, fault in enumerate(faults) if fault not in faults[:at]][:1000]
