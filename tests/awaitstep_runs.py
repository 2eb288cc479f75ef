"""Deployed workflows and their runs, for the tests of triggers and runs of the AwaitStep dialect."""

import time
from collections.abc import Callable
from typing import Any

from awaitstep_client import AwaitstepApi
from awaitstep_graphs import graph, node, step
from live import PATIENCE_S
from stepwell.http.dialects.awaitstep.ir import check, compile_ir
from stepwell.values import Json

TARGET = "conn_stepwell"
NOWHERE = "00000000-0000-4000-8000-000000000000"


def approval() -> Json:
    """A graph that waits for a decision and goes one way or the other."""
    ways = [
        {"label": "yes", "condition": "{{decision.payload.approved}} === true"},
        {"label": "no", "condition": ""},
    ]
    return graph(
        node("decision", "wait_for_event", eventType="approval-decision", timeout="72 hours"),
        node("route", "branch", branches=ways),
        step("pay", "return {paid: event.payload.amount}"),
        step("refuse", "return {paid: 0}"),
        edges="decision>route route>pay:yes route>refuse:no",
    )


def compiled(client: AwaitstepApi, ir: Json = None, **fields: Json) -> str:
    """The id of an active workflow that was compiled from a graph, put where a deploy puts it."""
    ir = graph(step("only", "return event.payload"), edges="") if ir is None else ir
    made = compile_ir(check(ir, "workflow"), variables=(), secrets=(), workflows={}, functions={})
    assert made.faults == []
    server, workspace = client.native.server, client.native.workspace
    workflows = server.parts.core.workflows
    document = {"name": "Test", **made.fields, **fields}
    source = {"dialect": "awaitstep", "version": NOWHERE, "ir": ir}
    created = server.call(workflows.create(workspace, document, NOWHERE, source)).workflow.id
    server.call(workflows.activate(workspace, created))
    return f"wf_{created}"


def trigger(client: AwaitstepApi, workflow: str, params: Json = None, **options: Any) -> Json:
    """A new run, as it is answered."""
    body = {"connectionId": TARGET} | ({} if params is None else {"params": params})
    return client.answer("POST", f"/api/workflows/{workflow}/trigger", body, 201, **options)


def event(instance: str, type: str = "approval-decision", payload: Json = None) -> Json:
    """The body that hands an event to a run."""
    return {"connectionId": TARGET, "params": {"instanceId": instance, "eventType": type, "payload": payload}}


def until(client: AwaitstepApi, run: Json, holds: Callable[[Json], Any]) -> Json:
    """A run, once something holds of it as it is shown."""
    deadline = time.monotonic() + PATIENCE_S
    path = f"/api/workflows/{run['workflowId']}/runs/{run['id']}"
    while not holds(found := client.answer("GET", path)):
        assert time.monotonic() < deadline, f"the run does not come so far: {found}"
        time.sleep(0.005)
    return found


def final(client: AwaitstepApi, run: Json) -> Json:
    """A run, once it is final."""
    return until(client, run, lambda found: found["status"] in ("complete", "errored", "terminated"))


def held(client: AwaitstepApi, run: Json) -> Json:
    """A run, once it waits."""
    return until(client, run, lambda found: found["status"] == "paused" and found["waitingFor"])
