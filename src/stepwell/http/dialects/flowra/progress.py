"""How far an execution has come, node by node. Source: Flowra contract 8.1."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from stepwell import values
from stepwell.core import RunView, StepView
from stepwell.http.dialects.flowra.graph_shape import Graph, Node, read
from stepwell.http.dialects.flowra.wire_workflows import ExecutionSummary, NodeError, Status
from stepwell.states import RecordStatus, RunState, WaitsOn
from stepwell.store import Run
from stepwell.values import Json

Document = Mapping[str, Json]

DIALECT = "flowra"
STATUS: Mapping[RunState, Status] = {
    RunState.PENDING: "running",
    RunState.RUNNING: "running",
    RunState.SUSPENDED: "paused",
    RunState.PAUSED: "paused",
    RunState.COMPLETED: "completed",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "failed",
    RunState.TIMED_OUT: "timeout",
}
STATES: Mapping[str, tuple[RunState, ...]] = {
    name: tuple(state for state, its in STATUS.items() if its == name) for name in STATUS.values()
}
_FOR_SOMEBODY = (WaitsOn.EVENT, WaitsOn.APPROVAL, WaitsOn.TASK)
_OPEN = (RecordStatus.RUNNING, RecordStatus.WAITING)


@dataclass(frozen=True, slots=True)
class Definition:
    """What executions are made of: the workflow's name, its graph if it is one, and the types of its steps."""

    name: str
    graph: Graph | None
    types: Mapping[str, str]

    @classmethod
    def of(cls, name: str, document: Document, types: Mapping[str, str]) -> "Definition":
        """That of a version."""
        written = (source_of(document) or {}).get("graph")
        return cls(name, None if written is None else read(written), types)


class Progress(msgspec.Struct, frozen=True):
    """The nodes of an execution: how they ended, what they gave, which is under way, and the output of the whole."""

    summary: ExecutionSummary
    state: dict[str, Json]
    current: str | None
    output: Json


class _Place(msgspec.Struct, frozen=True):
    """The node that a step belongs to; `member` is where its output stands within the step's; a gate has none."""

    id: str
    type: str
    gate: bool = False
    member: str | None = None


def status_of(run: Run) -> Status:
    """The status that a run shows. One that was reached by an event, or that waits for something else than somebody,
    runs."""
    if run.state is RunState.SUSPENDED and run.waits_on not in _FOR_SOMEBODY:
        return "running"
    return STATUS[run.state]


def source_of(document: Document) -> dict[str, Json] | None:
    """What the dialect keeps beside a definition of its own."""
    source = document.get("source")
    return source if isinstance(source, dict) and source.get("dialect") == DIALECT else None


def progress(view: RunView, definition: Definition) -> Progress:
    """How far a run has come. Of a workflow of another dialect the steps are the nodes, by their paths."""
    if definition.graph is None:
        return _of_steps(view, definition.types)
    return _of_graph(view, definition.graph)


def _of_steps(view: RunView, types: Mapping[str, str]) -> Progress:
    places = {step.path: _Place(step.path, types.get(step.step, "")) for step in view.steps}
    found = _gathered(view, places, {}, len(types))
    return msgspec.structs.replace(found, output=_json(view.output))


def _of_graph(view: RunView, graph: Graph) -> Progress:
    members = {"code": "value", "human_wait": "payload"}
    places = {node.step: _Place(node.id, node.type, False, members.get(node.type)) for node in graph.nodes}
    places |= {node.gate: _Place(node.id, node.type, True) for node in graph.nodes}
    done = {step.step for step in view.steps if step.status is RecordStatus.SUCCESS}
    begun = view.run.started_at is not None
    passed = {node.id: _json(view.input) for node in graph.nodes if node.type == "start" and begun}
    found = _gathered(view, places, passed, len(graph.nodes))
    if view.run.state is not RunState.COMPLETED:
        return found
    if any(node.type == "end" and node.fields.get("inputMapping") is not None for node in graph.nodes):
        found = msgspec.structs.replace(found, output=_json(view.output))
    ends = [node.id for node in graph.nodes if node.type == "end" and _reached(view, graph, node, done)]
    completed = [*found.summary.completed_nodes, *ends]
    summary = msgspec.structs.replace(found.summary, completed_nodes=completed)
    return msgspec.structs.replace(found, summary=summary, state=found.state | dict.fromkeys(ends, found.output))


def _reached(view: RunView, graph: Graph, end: Node, done: set[str]) -> bool:
    """Whether an end was come to: by a condition that a step before it has judged, or from a node that ran."""
    for step in view.steps:
        if step.step == end.gate and step.status is RecordStatus.SUCCESS:
            return bool(_json(step.output)["run"])
    return any(edge.source.type == "start" or edge.source.step in done for edge in graph.into[end.step])


def _gathered(view: RunView, places: Mapping[str, _Place], passed: dict[str, Json], total: int) -> Progress:
    completed, failed, errors = list(passed), [], []
    state = dict(passed)
    current: str | None = None
    last: tuple[int, Json] = (-1, None)
    for step in view.steps:
        place = places.get(step.path)
        if place is None:
            continue
        if step.status is RecordStatus.SUCCESS and not place.gate:
            output = _output(step, place)
            completed.append(place.id)
            state[place.id] = output
            last = max(last, (step.ended_seq or 0, output), key=lambda each: each[0])
        elif step.status is RecordStatus.ERROR:
            failed.append(place.id)
            if step.error is not None:
                errors.append(NodeError(place.id, place.type, step.error.message))
        elif step.status in _OPEN and current is None:
            current = place.id
    errors.extend(_of_run(view, errors))
    summary = ExecutionSummary(completed, failed, errors, total)
    return Progress(summary, state, current, last[1] if view.run.state is RunState.COMPLETED else None)


def _of_run(view: RunView, of_nodes: list[NodeError]) -> Iterator[NodeError]:
    """What ended a run and is no fault of a node."""
    if view.run.state is RunState.CANCELLED:
        yield NodeError("", "", "cancelled")
    elif view.error is not None and all(view.error.message != each.error for each in of_nodes):
        yield NodeError("", "", view.error.message)


def _output(step: StepView, place: _Place) -> Json:
    output = _json(step.output)
    if place.member is None:
        return output
    return output.get(place.member) if isinstance(output, dict) else None


def _json(raw: msgspec.Raw) -> Json:
    return values.decode(bytes(raw))
