"""A case made of a run that a server recorded: its definition, its input, and what came from outside as mocks."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import UNSET

from stepwell.cli.testing import text
from stepwell.cli.testing.mocks import MOCKED, step_of
from stepwell.client import FINAL, Client, ClientError, Failure, RunDetail, StepResult
from stepwell.clock import parse_iso
from stepwell.connectors import Connectors, load_manifests
from stepwell.definitions import Kind, Plan, compile_definition
from stepwell.errors import ValidationFailed
from stepwell.steps import STEP_TYPES
from stepwell.values import Json

_DEFINITION = (
    "name",
    "description",
    "trigger",
    "inputSchema",
    "outputSchema",
    "variables",
    "steps",
    "output",
    "settings",
)


def recorded(client: Client, run: str) -> str:
    """The text of a case file that plays a run again.

    Raises:
        ClientError: the run has not ended, or its definition is not known any more.
    """
    found = client.runs.get(run)
    if found.status not in FINAL or found.status == "cancelled":
        raise ClientError(f"{run} is {found.status}; a case can be made of a run that has ended by itself")
    document = client.workflows.version(found.workflow_id, found.workflow_version)
    definition = {name: document[name] for name in _DEFINITION if document.get(name) is not None}
    try:
        plan = compile_definition(definition, STEP_TYPES, Connectors(load_manifests()))
    except ValidationFailed as error:
        raise ClientError(f"This version of Stepwell cannot read the definition: {error.faults[0].message}") from None
    steps = client.runs.logs(run).logs
    case: dict[str, Json] = {"name": f"like {found.id}", "input": found.input, "clock": found.started_at}
    if found.trigger_type != "api":
        case["trigger"] = {"type": found.trigger_type}
    parts = {
        "mocks": dict(_mocks(plan, steps)),
        "events": list(_events(plan, steps)),
        "approvals": dict(_approvals(plan, steps)),
        "secrets": {name: f"the secret {name}" for name in sorted(plan.secrets)},
    }
    case |= {name: part for name, part in parts.items() if part}
    case["expect"] = _expected(found, steps)
    whole = {"name": f"{document['name']}: a recorded run", "workflow": definition, "cases": [case]}
    return f"# Made of {found.id}, version {found.workflow_version} of {found.workflow_id}.\n{text.write(whole)}"


def _mocks(plan: Plan, steps: list[StepResult]) -> Iterator[tuple[str, Json]]:
    """What each execution of an effect gave: one answer, or one for each attempt."""
    for step in steps:
        kind = _type(plan, step).kind
        if step.status == "skipped" or kind not in MOCKED:
            continue
        answers = [{"error": _error(attempt["error"])} for attempt in _failed_before(step)]
        last = _child_answer(step) if kind is Kind.CHILD else _answer(step)
        yield step.place, [*answers, last] if answers else last


def _answer(step: StepResult) -> Json:
    return {"error": _error(step.error)} if isinstance(step.error, Failure) else {"output": step.output}


def _child_answer(step: StepResult) -> Json:
    """What the run that a subworkflow step started came to."""
    took = {"after": f"{step.duration_ms}ms"} if step.duration_ms else {}
    if not isinstance(step.error, Failure):
        return {"output": step.output.get("result") if isinstance(step.output, dict) else None, **took}
    details = {} if step.error.details is UNSET else step.error.details
    if details.get("kind") == "timeout":
        return {"output": None, "after": f"{2 * (step.duration_ms or 1)}ms"}
    return {"error": _error(details.get("error") or step.error), **took}


def _failed_before(step: StepResult) -> list[Mapping[str, Any]]:
    """The attempts before the last one; those that a crash cut off left nothing that could be played again."""
    attempts = [] if step.attempts is UNSET else step.attempts[:-1]
    return [each for each in attempts if each["error"] and each["error"]["code"] != "INTERRUPTED"]


def _events(plan: Plan, steps: list[StepResult]) -> Iterator[Json]:
    for step in steps:
        output = step.output if isinstance(step.output, dict) else {}
        if _type(plan, step).name == "wait_for_event" and output.get("receivedAt"):
            yield {"at": output["receivedAt"], "type": output["type"], "payload": output.get("payload")}


def _approvals(plan: Plan, steps: list[StepResult]) -> Iterator[tuple[str, Json]]:
    for step in steps:
        output = step.output if isinstance(step.output, dict) else {}
        if _type(plan, step).name == "approval" and output.get("decisions"):
            approvers = _listed_names(step.input)
            yield step.place, [_decision(step, decision, approvers) for decision in output["decisions"]]


def _decision(step: StepResult, decision: dict[str, Json], approvers: list[str]) -> Json:
    """A decision, so long after the question as it was; whoever decided with a key, in nobody's name, is left out."""
    asked, decided = parse_iso(step.started_at or ""), parse_iso(decision.get("at") or "")
    given = {
        "by": decision.get("approver") if decision.get("approver") in approvers else None,
        "comment": decision.get("comment"),
        "after": f"{decided - asked}ms" if asked and decided and decided > asked else None,
    }
    return {"decision": decision["decision"], **{name: value for name, value in given.items() if value}}


def _listed_names(config: Json) -> list[str]:
    given = config.get("approvers") if isinstance(config, dict) else None
    return [name.strip() for name in (given.split(",") if isinstance(given, str) else given or [])]


def _expected(found: RunDetail, steps: list[StepResult]) -> Json:
    expected: dict[str, Json] = {"status": found.status}
    if found.status == "completed":
        expected["output"] = found.output
    elif found.error is not None:
        expected["error"] = {"code": found.error.code}
        if found.error.code != "SUBWORKFLOW_FAILED":  # that message names a run
            expected["error"]["message"] = found.error.message
    expected["path"] = [step.place for step in steps if step.status != "skipped"]
    expected["steps"] = {step.place: {"status": step.status} for step in steps}
    return expected


def _error(error: Failure | Mapping[str, Any]) -> Json:
    """An error as a mock gives it."""
    if isinstance(error, Failure):
        code, message, details = error.code, error.message, error.details
    else:
        code, message, details = error["code"], error["message"], error.get("details", UNSET)
    written: dict[str, Json] = {"code": code, "message": message}
    known = {} if details is UNSET else details
    return written | {name: known[name] for name in ("kind", "retryable", "httpStatus") if name in known}


def _type(plan: Plan, step: StepResult) -> Any:
    return plan.steps[step_of(step.place)].type
