"""Runs as this dialect shows them: by the nodes of the graph that a version was compiled from, else by the core's
steps. Source: AwaitStep contract 6."""

import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec
from msgspec import UNSET

from stepwell import ids, values
from stepwell.clock import iso
from stepwell.core import Failure, RunView, StepView
from stepwell.http.dialects.awaitstep.ir import NodeSteps, node_steps
from stepwell.http.dialects.awaitstep.names import DIALECT, STATUS, WAITS
from stepwell.http.dialects.awaitstep.wire_runs import ErrorDetail, NodeRow, RunRow, Waiting
from stepwell.http.routes import AnyCall
from stepwell.states import RecordStatus, RunState, WaitsOn
from stepwell.store import Run
from stepwell.values import Json

GRAPHS = 200  # that are kept as read
_ADDED = re.compile(r"(?:__\d+)?__(?:arm|args|cond|out)$")
_THROWN = re.compile(r"([A-Za-z_$][\w$]*): (.*)", re.DOTALL)
_LINE = re.compile(r" \(line \d+\)$")


class Graph(msgspec.Struct, frozen=True):
    """What a version was made of: its id, and its nodes in order; None if it was written elsewhere, then the types of
    the core's steps count."""

    version: str
    nodes: tuple[NodeSteps, ...] | None = None
    types: Mapping[str, str] = {}

    def node_of(self, step: str) -> str:
        """The node that a step of the core belongs to."""
        for node in self.nodes or ():
            if step in (node.step, node.output_step):
                return node.node_id
        return step if self.nodes is None else _ADDED.sub("", step)


class Graphs:
    """The graphs of the runs of one answer, each read once."""

    def __init__(self, call: AnyCall) -> None:
        self._call = call
        self._known: dict[tuple[str, int], Graph] = {}

    async def of(self, run: Run) -> Graph:
        """The graph of a run's version."""
        place = (run.workflow, run.version)
        if place not in self._known:
            self._known[place] = await self._read(run)
        return self._known[place]

    async def _read(self, run: Run) -> Graph:
        core = self._call.core
        document = (await core.workflows.version(run.workspace, run.workflow, run.version)).document
        source = document.get("source")
        if not isinstance(source, dict) or source.get("dialect") != DIALECT:
            types = await core.workflows.step_types(run.workspace, run.workflow, run.version)
            return Graph(f"ver_{run.version}", None, types)
        version = str(source.get("version", run.version)).removeprefix("ver_")
        written = values.encode(source["ir"]) if "ir" in source else None
        if written is None and ids.parse(version) is not None:
            row = await core.store.sources.version(run.workspace, run.workflow, version)
            written = None if row is None else row.body
        return Graph(f"ver_{version}", () if written is None else _nodes(written))


@lru_cache(GRAPHS)
def _nodes(ir: bytes) -> tuple[NodeSteps, ...]:
    return tuple(node_steps(values.decode(ir)))


def status_of(run: Run) -> str:
    """Its word for a run: one whose work waits for a time or another run is paused as well."""
    if run.state is RunState.RUNNING and run.waits_on is not None and run.waits_on is not WaitsOn.RETRY:
        return "paused"
    return STATUS[run.state]


def run_row(view: RunView, graph: Graph, *, steps: bool) -> RunRow:
    """The whole row of a run."""
    run = view.run
    output = _run_output(view, graph) if run.state is RunState.COMPLETED else None
    failed = run.state in (RunState.FAILED, RunState.TIMED_OUT)
    detail = _run_error(view, graph) if failed and view.error is not None else None
    created = ids.created_ms(run.id)
    return RunRow(
        id=f"run_{run.id}",
        instance_id=run.id,
        workflow_id=f"wf_{run.workflow}",
        version_id=graph.version,
        connection_id=None if run.connection is None else f"conn_{run.connection}",
        status=status_of(run),
        paused_by="manual" if run.state is RunState.PAUSED else UNSET,
        output=output,
        output_json=values.encode(output).decode() if run.state is RunState.COMPLETED else None,
        error=None if detail is None else detail.message,
        error_detail=detail,
        waiting_for=_waiting(view, graph),
        params=view.input,
        started_at=_time(run.started_at),
        completed_at=_time(run.ended_at),
        created_at=iso(created),
        updated_at=iso(max([created, *_moments(view)])),
        steps=_steps(view, graph) if steps else UNSET,
    )


def _moments(view: RunView) -> list[int]:
    times = [view.run.started_at, view.run.ended_at, view.run.steered_at]
    times += [time for step in view.steps for time in (step.started_at, step.ended_at)]
    return [time for time in times if time is not None]


def _run_output(view: RunView, graph: Graph) -> Json:
    """The value of the node that ended last; of a workflow written elsewhere the run's own output."""
    if graph.nodes is None:
        return values.decode(bytes(view.output))
    by_step = {node.output_step: node for node in graph.nodes if node.counts}
    ended = [step for step in view.steps if step.step in by_step and step.status is RecordStatus.SUCCESS]
    if not ended:
        return None
    last = max(ended, key=lambda step: step.ended_seq or 0)
    return _value(last, by_step[last.step])


def _value(step: StepView, node: NodeSteps) -> Json:
    value = values.decode(bytes(step.output))
    for part in node.output_path:
        if isinstance(value, dict) and part in value:
            value = value[str(part)]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def _run_error(view: RunView, graph: Graph) -> ErrorDetail:
    assert view.error is not None
    error = view.error
    at = next((step for step in view.steps if step.path == (error.path or error.step)), None)
    code = "TIMED_OUT" if view.run.state is RunState.TIMED_OUT else error.code
    if at is not None and at.error is not None:
        error = msgspec.structs.replace(error, details=at.error.details)
    return _error(error, graph, code, error.step, None if at is None else at.attempt)


def _error(error: Failure, graph: Graph, code: str, step: str | None, attempts: int | None) -> ErrorDetail:
    name, message = code, error.message
    if code == "EVENT_TIMEOUT":
        name = "TimeoutError"
    elif code == "STEP_ERROR":
        thrown = _THROWN.fullmatch(message)
        of_code = isinstance(error.details, dict) and error.details.get("kind") == "code"
        name, message = (thrown[1], _LINE.sub("", thrown[2])) if thrown and of_code else ("Error", message)
    return ErrorDetail(name, message, code, None if step is None else graph.node_of(step), attempts)


def _waiting(view: RunView, graph: Graph) -> list[Waiting]:
    found = []
    for wait in view.waits:
        until = UNSET if wait.until is None or wait.kind in ("child", "approval", "task") else iso(wait.until)
        found.append(
            Waiting(
                type=WAITS[wait.kind],
                node_id=graph.node_of(wait.step),
                event_type=wait.type or UNSET,
                run_id=UNSET if wait.child is None else f"run_{wait.child}",
                until=until,
            )
        )
    return found


def _steps(view: RunView, graph: Graph) -> list[NodeRow]:
    latest = {step.step: step for step in view.steps}  # of a node in a loop the last turn counts
    if graph.nodes is None:
        return [_row(latest.get(id), graph, id, id, type) for id, type in graph.types.items()]
    rows = []
    for node in graph.nodes:
        row = _row(latest.get(node.step), graph, node.node_id, node.name, node.type)
        told = latest.get(node.output_step)
        row.output = _value(told, node) if told is not None and told.status is RecordStatus.SUCCESS else None
        rows.append(row)
    return rows


def _row(step: StepView | None, graph: Graph, node_id: str, name: str, type: str) -> NodeRow:
    error = None
    if step is not None and step.error is not None:
        error = _error(step.error, graph, step.error.code, step.step, step.attempt)
    return NodeRow(
        node_id=node_id,
        name=name,
        type=type,
        status="pending" if step is None else str(step.status),
        attempts=0 if step is None else step.attempt,
        started_at=None if step is None else _time(step.started_at),
        completed_at=None if step is None else _time(step.ended_at),
        output=None if step is None else values.decode(bytes(step.output)),
        error=error,
    )


def _time(at: int | None) -> str | None:
    return None if at is None else iso(at)
