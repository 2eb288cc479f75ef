"""Workflows of the Flowra dialect and what becomes of their executions."""

import time
from collections.abc import Callable
from typing import Any

from flowra_client import FlowraApi
from live import PATIENCE_S
from stepwell.values import Json

BASE = "/workflow/manager"
UNKNOWN = "01890000-0000-7000-8000-000000000000"


def code(id: str, body: str = "return input", **fields: Json) -> Json:
    return {"id": id, "type": "code", "code": body, **fields}


def graph(*nodes: Json, edges: Json = None) -> Json:
    """A graph of nodes in a row, or with these edges."""
    ids = ["s", *(node["id"] for node in nodes)]
    row = [{"from": source, "to": target} for source, target in zip(ids, ids[1:], strict=False)]
    return {"nodes": [{"id": "s", "type": "start"}, *nodes], "edges": row if edges is None else edges}


ASK = {"id": "ask", "type": "human_wait", "humanMessage": "Go on?"}
ASKING = graph(
    ASK,
    code("yes", "return 'yes'"),
    code("no", "return 'no'"),
    edges=[
        {"from": "s", "to": "ask"},
        {"from": "ask", "to": "yes", "condition": "output.approved === true"},
        {"from": "ask", "to": "no", "condition": "!output.approved"},
    ],
)


def made(client: FlowraApi, written: Json, **fields: Json) -> str:
    """The id of a new workflow."""
    body = {"name": "Flow", "graph": written, **fields}
    id: str = client.answer("POST", f"{BASE}/create", body, 201)["data"]["id"]
    return id


def started(client: FlowraApi, workflow: str, **body: Json) -> str:
    """The id of a new execution."""
    id: str = client.answer("POST", f"{BASE}/execute/{workflow}", body, 201)["executionId"]
    return id


def until(client: FlowraApi, execution: str, holds: Callable[[Json], Any]) -> Json:
    """The execution, once something holds of it."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds(found := client.answer("GET", f"{BASE}/executions/{execution}")["data"]):
        assert time.monotonic() < deadline, f"{execution} does not come so far: {found}"
        time.sleep(0.005)
    return found


def come_to(client: FlowraApi, execution: str, status: str) -> Json:
    return until(client, execution, lambda found: found["status"] == status)


def resume(client: FlowraApi, thread: str, status: int = 200, headers: Any = None, **body: Json) -> Json:
    return client.answer(
        "POST", f"{BASE}/executions/thread/{thread}/resume", body, status, **({"headers": headers} if headers else {})
    )


def node(id: str, type: str = "code", **fields: Json) -> Json:
    return {"id": id, "type": type, **({"code": "return 1"} if type == "code" else {}), **fields}


GRAPH: Json = {
    "nodes": [node("s", "start"), node("a", outputSchema={"x": 1}, extra=[1.5, None, {"k": "ä"}])],
    "edges": [{"from": "s", "to": "a", "label": "kept"}],
    "layout": {"a": [1, 2]},
}


def create(client: FlowraApi, **fields: Json) -> Json:
    """A new workflow."""
    return client.answer("POST", f"{BASE}/create", {"name": "Flow", "graph": GRAPH, **fields}, 201)["data"]


def update(client: FlowraApi, workflow: str, **fields: Json) -> Json:
    return client.answer("PATCH", f"{BASE}/update/{workflow}", fields)["data"]


def detail(client: FlowraApi, workflow: str) -> Json:
    return client.answer("GET", f"{BASE}/detail/{workflow}")["data"]
