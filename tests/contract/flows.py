"""Workflows of steps that hold, repeat, branch off or wait, and what became of their runs."""

from datetime import datetime

from answering import Answering
from live import Api
from stepwell.clock import iso
from stepwell.values import Json

ANA, BO = "ana@example.com", "bo@example.com"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def flow(*steps: Json, **fields: Json) -> Json:
    return {"name": "Flow", "trigger": {"type": "api"}, "steps": list(steps), **fields}


def make(step: str, **mapping: Json) -> Json:
    return {"id": step, "type": "transform", "config": {"mapping": mapping}}


def call(step: str, upstream: Answering, path: str = "", **config: Json) -> Json:
    return {"id": step, "type": "api", "config": {"url": f"{upstream.url}{path or f'/{step}'}", **config}}


def broken(step: str) -> Json:
    """A step that fails: its workspace has no such connection."""
    return {"id": step, "type": "slack", "config": {"channel": "#a", "text": "t"}}


def hour(step: str) -> Json:
    return {"id": step, "type": "wait", "config": {"duration": 1, "unit": "hours"}}


def soon(step: str, millis: int = 30) -> Json:
    return {"id": step, "type": "wait", "config": {"duration": millis}}


def loop(step: str, *steps: Json, **config: Json) -> Json:
    return {"id": step, "type": "loop", "config": {"steps": list(steps), **config}}


def parallel(step: str, *branches: Json, **config: Json) -> Json:
    return {"id": step, "type": "parallel", "config": {"branches": list(branches), **config}}


def race(step: str, *branches: Json) -> Json:
    return {"id": step, "type": "race", "config": {"branches": list(branches)}}


def attempt(step: str, *steps: Json, **lists: Json) -> Json:
    return {"id": step, "type": "try", "config": {"steps": list(steps), **lists}}


def approval(step: str = "ask", **config: Json) -> Json:
    return {"id": step, "type": "approval", "config": {"approvers": [ANA, BO], "reason": "Refund?", **config}}


def event(step: str = "wait", **config: Json) -> Json:
    return {"id": step, "type": "wait_for_event", "config": {"eventType": "paid", **config}}


def sub(workflow: str, step: str = "sub", **config: Json) -> Json:
    return {"id": step, "type": "subworkflow", "config": {"workflowId": workflow, **config}}


def ran(api: Api, *steps: Json, given: Json = None, **fields: Json) -> Json:
    """A run of these steps, once it is final."""
    return ended(api, begun(api, *steps, given=given, **fields))


def begun(api: Api, *steps: Json, given: Json = None, **fields: Json) -> str:
    return api.start(api.workflow(flow(*steps, **fields)), input=given or {})


def suspended(api: Api, run: str) -> Json:
    return api.until(run, lambda found: found["status"] == "suspended")


def statuses(run: Json) -> dict[str, str]:
    """The status of each entry by its path, or id where it has none."""
    return {entry.get("path", entry["stepId"]): entry["status"] for entry in run["stepResults"]}


def called(upstream: Answering) -> list[str]:
    return [seen.path for seen in upstream.seen]


def pending(api: Api, run: str) -> Json:
    """The approval that a run waits for, once it waits for one."""
    api.until(run, lambda _: _asked(api, run))
    suspended(api, run)
    (row,) = _asked(api, run)
    return row


def ended(api: Api, run: str) -> Json:
    """The run once it is final, though it is or was suspended."""
    return api.until(run, lambda found: found["completedAt"] is not None)


def _epoch_ms(text: str) -> int:
    at = round(datetime.fromisoformat(text).timestamp() * 1000)
    assert iso(at) == text
    return at


def _asked(api: Api, run: str) -> list[Json]:
    return [row for row in api.data("GET", "/approvals?status=pending") if row["runId"] == run]
