"""A client of the AITasker dialect: its keys, its paths, and what its refusals look like."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from live import PATIENCE_S, Api
from stepwell.values import Json, decode, encode

SCOPES = (
    "workflows:execute",
    "workflows:read",
    "workflows:write",
    "runs:read",
    "tasks:work",
    "tasks:accept",
)


@dataclass(frozen=True)
class AitaskerApi:
    """A client of a workspace with a key of this dialect; `native` is its client of the native API. Paths are below
    `/api/v1`; `ws` makes one below the workspace."""

    native: Api
    key: str

    def __call__(self, method: str, path: str, body: Json = None, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        if body is not None:
            options["data"] = encode(body)
            headers.setdefault("Content-Type", "application/json")
        url = f"{self.native.server.url}/api/v1{path}"
        return requests.request(method, url, headers=headers, timeout=PATIENCE_S, **options)

    @property
    def workspace(self) -> str:
        return self.native.workspace

    def ws(self, path: str = "") -> str:
        """A path below the workspace."""
        return f"/workspaces/{self.workspace}{path}"

    def answer(self, method: str, path: str, body: Json = None, status: int = 200, **options: Any) -> Json:
        """The body of an answer that must have this status."""
        response = self(method, path, body, **options)
        assert response.status_code == status, response.text
        return decode(response.content) if response.content else None

    def workflow(self, *nodes: Json, **fields: Json) -> Json:
        """A new workflow of these nodes, as it is answered."""
        return self.answer("POST", self.ws("/workflows"), {"title": "Test", "nodes": list(nodes), **fields})

    def trigger(self, workflow: str, payload: Json = None) -> Json:
        """A new run, as the trigger endpoint answers it."""
        body = {} if payload is None else {"trigger_payload": payload}
        return self.answer("POST", self.ws(f"/workflows/{workflow}/trigger"), body)

    def run(self, workflow: str, run: str) -> Json:
        """A run as it is now."""
        return self.answer("GET", f"/workflows/{workflow}/runs/{run}")

    def until(self, workflow: str, run: str, holds: Callable[[Json], Any]) -> Json:
        """A run, once something holds of it as it is shown."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds(found := self.run(workflow, run)):
            assert time.monotonic() < deadline, f"{run} does not come so far: {found}"
            time.sleep(0.005)
        return found

    def final(self, workflow: str, run: str) -> Json:
        """A run, once it is final."""
        return self.until(workflow, run, lambda found: found["status"] in ("completed", "failed", "cancelled"))

    def scoped(self, *scopes: str) -> "AitaskerApi":
        """The same workspace with a key of these scopes."""
        return aitasker(self.native, scopes)


def aitasker(api: Api, scopes: tuple[str, ...] = SCOPES) -> AitaskerApi:
    """A client with a new key of the workspace, minted as an admin does it."""
    made = api.data("POST", "/admin/keys", {"name": "aitasker", "scopes": list(scopes), "dialect": "aitasker"})
    return AitaskerApi(api, made["key"])


def task_node(position: int = 0, **fields: Json) -> Json:
    """A node whose work an outside worker does."""
    return {"position": position, "node_type": "task", "task_template": {"title": "Do it", "task_type": "t"}, **fields}


def shape_node(position: int = 0, mapping: Json = None, **fields: Json) -> Json:
    """A node that needs nobody: it makes an object by a template."""
    config = {"operation": "template", "params": {"mapping": {"n": position} if mapping is None else mapping}}
    return {"position": position, "node_type": "transform", "node_config": config, **fields}


def detail(response: requests.Response, status: int) -> Json:
    """The `detail` of an answer that must be this refusal, in the contract's form."""
    body = decode(response.content)
    assert response.status_code == status, response.text
    assert list(body) == ["detail"], body
    return body["detail"]


def places(response: requests.Response) -> list[list[str | int]]:
    """Where an answer that must be 422 finds fault, entry by entry."""
    faults = detail(response, 422)
    assert isinstance(faults, list) and faults, faults
    for fault in faults:
        assert {"type", "loc", "msg"} <= set(fault) <= {"type", "loc", "msg", "input"}, fault
    return [fault["loc"] for fault in faults]
