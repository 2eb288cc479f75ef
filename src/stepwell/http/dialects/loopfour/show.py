"""A run as the dialect shows it: the core's read model, renamed. Source: LoopFour contract 5.1-5.4."""

from typing import Any, cast

from msgspec import UNSET, Raw

from stepwell import cost, values
from stepwell.clock import iso
from stepwell.core import Failure, Preview, PreviewStep, RunView, StepView, failure
from stepwell.http.dialects.loopfour import wire
from stepwell.http.dialects.loopfour.names import STATUS, created, prefixed, suspend_reason, time
from stepwell.states import RecordStatus
from stepwell.store import Approval, Run

_STEP_STATUS: dict[RecordStatus, wire.StepStatus] = {
    RecordStatus.RUNNING: "running",
    RecordStatus.WAITING: "waiting",
    RecordStatus.SUCCESS: "completed",
    RecordStatus.ERROR: "failed",
    RecordStatus.SKIPPED: "skipped",
}


def item(run: Run) -> wire.RunItem:
    """A run in a list."""
    error = failure(run.error)
    return wire.RunItem(
        id=f"run_{run.id}",
        workflow_id=f"wf_{run.workflow}",
        status=STATUS[run.state],
        trigger_type=run.trigger,
        started_at=time(run.started_at),
        completed_at=time(run.ended_at),
        duration_ms=_duration(run.started_at, run.ended_at),
        error=None if error is None else wire.Failure(code=error.code, message=error.message),
        created_at=created(run.id),
        cost_cents=cost.number(run.cost) if run.cost else UNSET,
    )


def detail(view: RunView) -> wire.RunDetail:
    """Everything about a run."""
    return wire.RunDetail(**_fields(view))


def synced(view: RunView) -> wire.SyncRun:
    """Everything about a run whose start waited for it."""
    id = f"run_{view.run.id}"
    return wire.SyncRun(run_id=id, vendor_run_id=id, **_fields(view))


def logs(view: RunView) -> wire.RunLogs:
    """A run's log."""
    run = view.run
    return wire.RunLogs(
        run_id=f"run_{run.id}",
        workflow_id=f"wf_{run.workflow}",
        status=STATUS[run.state],
        logs=[_entry(step) for step in view.steps],
        started_at=time(run.started_at),
        completed_at=time(run.ended_at),
        duration_ms=_duration(run.started_at, run.ended_at),
        error=_run_failure(view.error),
    )


def step_result(step: StepView) -> wire.StepResult:
    """What became of a step."""
    return wire.StepResult(
        step_id=step.step,
        status=step.status.value,
        started_at=time(step.started_at),
        completed_at=time(step.ended_at),
        duration_ms=_step_duration(step),
        input=step.input,
        output=step.output,
        attempt=step.attempt,
        cost_cents=cost.number(step.cost),
        error=UNSET if step.error is None else _step_failure(step.error),
        path=step.path if in_turn(step.path) else UNSET,
        reused=True if step.reused else UNSET,
    )


def approval(row: Approval) -> wire.ApprovalItem:
    """A decision that a run waits for."""
    return wire.ApprovalItem(
        id=f"apr_{row.id}",
        run_id=f"run_{row.run}",
        workflow_id=f"wf_{row.workflow}",
        step_id=row.step,
        status=cast(wire.ApprovalStatus, row.status),
        reason=row.reason,
        context=Raw(b"null" if row.context is None else row.context),
        approvers=list(row.approvers),
        require_all=row.require_all,
        decisions=[wire.DecisionItem(**{**each, "at": iso(each["at"])}) for each in values.decode(row.decisions)],
        expires_at=time(row.expires_at),
        created_at=created(row.id),
    )


def in_turn(path: str) -> bool:
    """Whether a path stands inside a turn of a loop or of a parallel; only there an id alone does not tell it."""
    return "[" in path


def shown_path(path: str) -> str:
    """How clients name a path: by the step's id where that tells it."""
    return path if in_turn(path) else path.rpartition(".")[2]


def preview(found: Preview) -> wire.RestartPreview:
    """What a retry or restart would do."""
    return wire.RestartPreview(
        restart_from_step_id=None if found.from_step is None else shown_path(found.from_step),
        workflow_version=found.version,
        reused=[_previewed(step) for step in found.reused],
        would_run=[_previewed(step) for step in found.runs],
    )


def _previewed(step: PreviewStep) -> wire.PreviewedStep:
    path = step.path if in_turn(step.path) else UNSET
    return wire.PreviewedStep(step_id=step.step, path=path, type=step.type, side_effects=step.effects)


def _fields(view: RunView) -> dict[str, Any]:
    run = view.run
    return {
        "id": f"run_{run.id}",
        "workflow_id": f"wf_{run.workflow}",
        "status": STATUS[run.state],
        "trigger_type": run.trigger,
        "input": view.input,
        "output": view.output,
        "step_results": [step_result(step) for step in view.steps],
        "steps": [_state(step) for step in view.steps],
        "workflow_version": run.version,
        "restarted_from_run_id": prefixed("run", run.restarted_from),
        "connection_id": prefixed("conn", run.connection),
        "parent_run_id": prefixed("run", run.parent),
        "suspend_reason": suspend_reason(run),
        "attempt": run.attempt,
        "started_at": time(run.started_at),
        "completed_at": time(run.ended_at),
        "duration_ms": _duration(run.started_at, run.ended_at),
        "error": _run_failure(view.error),
        "created_at": created(run.id),
        "cost_cents": cost.number(run.cost),
        "budget_cents": UNSET if run.budget is None else cost.number(run.budget),
        "waiting_for": UNSET if run.state.final else view.waiting_for,
    }


def _state(step: StepView) -> wire.StepState:
    return wire.StepState(id=shown_path(step.path), status=_STEP_STATUS[step.status], output=step.output)


def _entry(step: StepView) -> wire.LogEntry:
    attempts = [
        wire.AttemptEntry(
            attempt=attempt.number,
            started_at=time(attempt.started_at),
            completed_at=time(attempt.ended_at),
            error=None if attempt.error is None else _step_failure(attempt.error),
        )
        for attempt in step.attempts
    ]
    return wire.LogEntry(
        step_id=step.step,
        status=step.status.value,
        started_at=time(step.started_at),
        completed_at=time(step.ended_at),
        duration_ms=_step_duration(step),
        input=step.input,
        output=step.output,
        error=None if step.error is None else _step_failure(step.error),
        attempt=step.attempt,
        path=step.path if in_turn(step.path) else UNSET,
        reused=True if step.reused else UNSET,
        attempts=attempts or UNSET,
        logs=list(step.logs) or UNSET,
    )


def _run_failure(error: Failure | None) -> wire.RunFailure | None:
    if error is None:
        return None
    step = UNSET if error.step is None else error.step
    details = error.details if error.code == "BUDGET_EXCEEDED" else UNSET
    return wire.RunFailure(code=error.code, message=error.message, step_id=step, step=step, details=details)


def _step_failure(error: Failure) -> wire.StepFailure:
    details = UNSET if error.details is None else error.details
    return wire.StepFailure(code=error.code, message=error.message, details=details)


def _step_duration(step: StepView) -> int | None:
    return 0 if step.status is RecordStatus.SKIPPED else _duration(step.started_at, step.ended_at)


def _duration(started_ms: int | None, ended_ms: int | None) -> int | None:
    return None if started_ms is None or ended_ms is None else ended_ms - started_ms
