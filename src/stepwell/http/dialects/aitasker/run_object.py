"""A run as this dialect shows it: one node run for each node. Source: AITasker contract 5, 6."""

from collections.abc import Mapping

import msgspec

from stepwell import cost, values
from stepwell.clock import iso
from stepwell.core import RunView, StepView
from stepwell.http.dialects.aitasker.names import STATUS, node_run_id
from stepwell.http.dialects.aitasker.shown import ShownNode, input_data, output_data
from stepwell.http.dialects.aitasker.wire_runs import NodeCost, NodeRun, RunCosts, WorkflowRun
from stepwell.ids import created_ms
from stepwell.states import RecordStatus, RunState, TaskStatus, WaitsOn
from stepwell.store import Run, Task
from stepwell.values import Json

_TRIGGERS = {"api": "api", "manual": "manual", "schedule": "schedule", "webhook": "webhook", "event": "webhook"}
_UNREACHED = {
    RunState.COMPLETED: "skipped",
    RunState.FAILED: "skipped",
    RunState.TIMED_OUT: "skipped",
    RunState.CANCELLED: "cancelled",
}
_ENDS = {RecordStatus.SUCCESS: "completed", RecordStatus.ERROR: "failed", RecordStatus.SKIPPED: "skipped"}
_OF_TASK = {TaskStatus.CLAIMED: "running", TaskStatus.REVIEW: "review"}
_APART = (WaitsOn.TIMER, WaitsOn.RETRY, WaitsOn.CHILD)


def status_of(run: Run) -> str:
    """The word for a run's state; one that waits for a time or another run is `waiting` though nobody has to act."""
    if run.state is RunState.RUNNING and run.waits_on in _APART:
        return "waiting"
    return STATUS[run.state]


def run_object(view: RunView, nodes: list[ShownNode], document: Mapping[str, Json]) -> WorkflowRun:
    """A run with its node runs, `nodes` being those of its version."""
    run = view.run
    steps, tasks = _newest(view), _tasks(view)
    return WorkflowRun(
        id=run.id,
        workflow_id=run.workflow,
        status=status_of(run),
        created_at=iso(created_ms(run.id)),
        triggered_by="retry" if run.restarted_from is not None else _TRIGGERS.get(run.trigger, "api"),
        trigger_payload=_object(view.input),
        started_at=_time(run.started_at),
        completed_at=_time(run.ended_at),
        error_message=_error_message(view, nodes, document),
        total_cost_cents=cost.cents(run.cost),
        node_runs=[_node_run(view, node, steps.get(node.step), tasks.get(node.step)) for node in nodes],
    )


def costs(view: RunView, nodes: list[ShownNode]) -> RunCosts:
    """What a run and each of its nodes have cost."""
    steps, tasks = _newest(view), _tasks(view)
    spent: dict[str, int] = {}
    for step in view.steps:
        spent[step.step] = spent.get(step.step, 0) + step.cost
    listed = []
    for node in nodes:
        attempts = _attempts(steps.get(node.step), tasks.get(node.step))
        amount = spent.get(node.step, 0)
        listed.append(
            NodeCost(
                workflow_node_id=node.id,
                node_run_id=node_run_id(view.run.id, node.id),
                cost_cents=cost.cents(amount),
                cost_exact=cost.exact(amount),
                attempts=attempts,
                retry_count=max(0, attempts - 1),
            )
        )
    budget = view.run.budget
    return RunCosts(
        total_cost_cents=cost.cents(view.run.cost),
        max_budget_cents=None if budget is None else cost.cents(budget),
        nodes=listed,
    )


def _node_run(view: RunView, node: ShownNode, step: StepView | None, task: Task | None) -> NodeRun:
    run = view.run
    return NodeRun(
        id=node_run_id(run.id, node.id),
        workflow_run_id=run.id,
        workflow_node_id=node.id,
        status=_status(run, step, task),
        created_at=iso(created_ms(run.id)),
        task_id=None if task is None else task.id,
        input_data=input_data(node, step, view),
        output_data=output_data(node, step),
        started_at=None if step is None else _time(step.started_at),
        completed_at=None if step is None or step.status is RecordStatus.SKIPPED else _time(step.ended_at),
    )


def _status(run: Run, step: StepView | None, task: Task | None) -> str:
    if step is None:
        return _UNREACHED.get(run.state, "pending")
    if step.status is RecordStatus.ERROR and step.error is not None and step.error.code == "CANCELLED":
        return "cancelled"
    if step.status is RecordStatus.RUNNING:
        return "running"
    if step.status is RecordStatus.WAITING:
        return "waiting" if task is None else _OF_TASK.get(task.status, "waiting")
    return _ENDS[step.status]


def _error_message(view: RunView, nodes: list[ShownNode], document: Mapping[str, Json]) -> str | None:
    run, error = view.run, view.error
    if run.state is RunState.TIMED_OUT:
        limit_ms = (document.get("settings") or {}).get("timeoutMs")
        return "Run timed out" if limit_ms is None else f"Run timed out after {limit_ms / 1000:g} s"
    if run.state is not RunState.FAILED or error is None:
        return None
    if error.code == "BUDGET_EXCEEDED":
        return error.message.replace("next step needs", "next node needs")
    step = next((each for each in view.steps if each.path == (error.path or error.step)), None)
    node = next((each for each in nodes if each.step == error.step), None)
    if node is None:
        return error.message
    attempts = _attempts(step, _tasks(view).get(node.step))
    times = f"{attempts} attempt{'' if attempts == 1 else 's'}"
    return f"Node {node.fields['position']} ({_title(node, step)}) failed after {times}: {error.message}"


def _title(node: ShownNode, step: StepView | None) -> str:
    """What a node is called, as it was rendered if it came so far."""
    recorded = {} if step is None else _object(step.input)
    template = recorded.get("template")
    rendered = template.get("title") if isinstance(template, dict) else None
    return rendered if isinstance(rendered, str) and rendered else node.title


def _attempts(step: StepView | None, task: Task | None) -> int:
    if step is None or step.status is RecordStatus.SKIPPED:
        return 0
    return step.attempt if task is None else max(task.attempt, 0)


def _newest(view: RunView) -> dict[str, StepView]:
    """The newest path of each step."""
    return {step.step: step for step in view.steps}


def _tasks(view: RunView) -> dict[str, Task]:
    """The newest task of each step."""
    return {task.step: task for task in sorted(view.tasks, key=lambda task: task.id)}


def _object(raw: msgspec.Raw) -> dict[str, Json]:
    value = values.decode(bytes(raw))
    return value if isinstance(value, dict) else {}


def _time(time_ms: int | None) -> str | None:
    return None if time_ms is None else iso(time_ms)
