"""The story of nodes: a workflow whose work an outside worker does and a person accepts, and what it costs."""

import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from stepwell.cli.demo.story import Scene, title, wait_for
from stepwell.cli.output import json_text, say
from stepwell.client import Client, ClientError

PATIENCE_S = 20.0
PAYLOAD = {"trigger_payload": {"topic": "spring sale", "customer": "cus_1"}}
BUDGET_CENTS = 500
FINAL = ("completed", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a key, as a client of the dialect; paths are below `/api/v1`."""

    url: str
    key: str

    def __call__(self, method: str, path: str, body: Any = None, expected: int = 200) -> Any:
        """The JSON of an answer, None without a body. Raises ClientError unless the status is the expected one."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        sent = None if body is None else json_text(body, indent=0).encode()
        request = Request(f"{self.url}/api/v1{path}", data=sent, headers=headers, method=method)  # noqa: S310 - ours
        try:
            with urlopen(request, timeout=PATIENCE_S + 10) as answer:  # noqa: S310 - the demo's own server
                status, told = answer.status, answer.read()
        except HTTPError as error:
            status, told = error.code, error.read()
        if status != expected:
            raise ClientError(f"{method} {path} answered {status}: {told.decode(errors='replace')[:500]}")
        return json.loads(told) if told else None


@dataclass(frozen=True, slots=True)
class Cast:
    """A new workspace and who acts in it, each with a key of their own."""

    workspace: str
    owner: Caller
    worker: Caller
    reviewer: Caller

    @property
    def base(self) -> str:
        """Where the paths of the workspace begin."""
        return f"/workspaces/{self.workspace}"


def tell_aitasker(scene: Scene) -> None:
    """Run nodes of all kinds to their end, then a workflow that its budget stops.

    Raises:
        ClientError: the server refused something, or a run did not end as it should.
    """
    wait_for(Client(scene.url, scene.admin_key))
    title("Stepwell demo: nodes, workers, costs")
    say(f"Server      {scene.url}, data in {scene.data}{'' if scene.kept else ' (removed at the end)'}")
    cast = _cast(scene)
    path = _show_campaign(cast, scene)
    _show_budget(cast)
    _show_how_to_go_on(cast, path)


def _cast(scene: Scene) -> Cast:
    title("A workspace of its own")
    key = Client(scene.url, scene.admin_key).keys.create("demo-operator", ["admin"], dialect="aitasker").key
    made = Caller(scene.url, key)("POST", "/workspaces", {"name": "Campaigns"})
    say(f"  {made['name']}: {made['id']}, {made['status']}, its pool of workers {made['hired_agent_id']}")
    keys = Client(scene.url, made["api_key"]).keys
    worker = keys.create("worker", ["tasks:work"], dialect="aitasker").key
    reviewer = keys.create("reviewer", ["tasks:accept"], dialect="aitasker").key
    say("  keys: its owner's, one that only works on tasks, one that only accepts them")
    callers = (Caller(scene.url, key) for key in (made["api_key"], worker, reviewer))
    return Cast(made["id"], *callers)


def _show_campaign(cast: Cast, scene: Scene) -> str:
    """Where the campaign is triggered."""
    title("A workflow of three nodes")
    say(f"  POST /api/v1{cast.base}/workflows")
    workflow = cast.owner("POST", f"{cast.base}/workflows", _campaign(scene))
    say(f"  {workflow['title']}: {workflow['id']}, at most {workflow['max_budget_cents']} cents a run")
    for node in workflow["nodes"]:
        say(f"  node {node['position']}  {node['node_type']:<10} {node['id']}")
    path = f"{cast.base}/workflows/{workflow['id']}/trigger"
    _show_refusals(cast, path)

    title("Triggered")
    say(f"  POST /api/v1{path} {json_text(PAYLOAD, indent=0)}")
    run = cast.owner("POST", path, PAYLOAD)
    say(f"  run {run['id']}: {run['status']}, {run['total_cost_cents']} cents")
    place = f"/workflows/{workflow['id']}/runs/{run['id']}"
    _show_nodes(workflow, run)
    task = _claim(cast)
    _show_nodes(workflow, cast.owner("GET", place))
    _deliver(cast, task, {"text": "Save 20%"}, 120)
    say(f"  the worker may not accept it: 403 {_refused(cast.worker, cast, task, 403)}")
    _show_nodes(workflow, _until(cast, place, lambda run: run["node_runs"][0]["status"] == "review"))
    accepted = cast.reviewer("POST", f"{cast.base}/tasks/{task['id']}/accept")
    say(f"  a person accepts it: task {accepted['status']}, {accepted['cost_usd']} USD")
    run = _until(cast, place, lambda run: run["status"] in FINAL)
    if run["status"] != "completed":
        raise ClientError(f"The demo's run ended {run['status']}: {run['error_message']}")

    title(f"The finished run: {run['status']}, {run['total_cost_cents']} cents")
    _show_nodes(workflow, run)
    say(f"  result: {json_text(run['node_runs'][-1]['output_data'], indent=0)}")
    costs = cast.owner("GET", f"{cast.base}{place}/costs")
    types = [node["node_type"] for node in workflow["nodes"]]
    by_node = ", ".join(f"{of} {its['cost_exact']}" for of, its in zip(types, costs["nodes"], strict=True))
    say(f"  costs by node: {by_node}; {costs['total_cost_cents']} of {costs['max_budget_cents']} cents")
    return path


def _show_refusals(cast: Cast, path: str) -> None:
    for what, where, body in (
        ("a payload that is a list", path, {"trigger_payload": [1]}),
        ("ids that are none", "/workspaces/abc/workflows/def/trigger", {}),
    ):
        faults = cast.owner("POST", where, body, expected=422)["detail"]
        places = ", ".join(f"{'.'.join(map(str, fault['loc']))} {fault['type']}" for fault in faults)
        say(f"  {what}: 422 {places}")


def _show_budget(cast: Cast) -> None:
    title("A run that hits its budget")
    nodes = [
        {"position": 0, "node_type": "task", "task_template": {"title": "Record the spot", "task_type": "voice"}},
        _template(1, {"spot": "{{nodes.0.output.file}}"}, cost_cents=50),
    ]
    fields = {"title": "Radio spot", "auto_accept": True, "max_budget_cents": BUDGET_CENTS, "nodes": nodes}
    workflow = cast.owner("POST", f"{cast.base}/workflows", fields)
    run = cast.owner("POST", f"{cast.base}/workflows/{workflow['id']}/trigger", {})
    _deliver(cast, _claim(cast), {"file": "spot.mp3"}, 480)
    place = f"/workflows/{workflow['id']}/runs/{run['id']}"
    run = _until(cast, place, lambda run: run["status"] in FINAL)
    say(f"  run {run['id']}: {run['status']}, {run['total_cost_cents']} cents")
    say(f"  {run['error_message']}")
    _show_nodes(workflow, run)
    if run["status"] != "failed":
        raise ClientError(f"The budget did not stop the run: it ended {run['status']}")


def _claim(cast: Cast) -> Any:
    """The next task, as an outside worker has taken it."""
    task = cast.worker("POST", f"{cast.base}/tasks/claim", {"worker_id": "ada", "wait_seconds": PATIENCE_S})
    if task is None:
        raise ClientError(f"No task was open within {PATIENCE_S:.0f} s")
    say(f"  worker ada claims {task['title']!r} until {task['lease_expires_at']}")
    return task


def _deliver(cast: Cast, task: Any, output: Any, cents: int) -> None:
    """The worker is done with a task."""
    delivery = {"claim_token": task["claim_token"], "output_data": output, "cost_cents": cents}
    done = cast.worker("POST", f"{cast.base}/tasks/{task['id']}/complete", delivery)
    say(f"  ada delivers {json_text(output, indent=0)} for {cents} cents: task {done['status']}")


def _show_how_to_go_on(cast: Cast, path: str) -> None:
    title("Another run by hand, while the server is up")
    say(f"  curl -X POST {cast.owner.url}/api/v1{path} \\")
    say(f"    -H 'Authorization: Bearer {cast.owner.key}' -H 'Content-Type: application/json' \\")
    say(f"    -d '{json_text(PAYLOAD, indent=0)}'")


def _refused(caller: Caller, cast: Cast, task: Any, status: int) -> str:
    detail: str = caller("POST", f"{cast.base}/tasks/{task['id']}/accept", expected=status)["detail"]
    return detail


def _until(cast: Cast, place: str, holds: Any) -> Any:
    """The run, once something holds of it as it is shown."""
    end = time.monotonic() + PATIENCE_S
    while not holds(run := cast.owner("GET", place)):
        if time.monotonic() > end:
            raise ClientError(f"The run did not come so far within {PATIENCE_S:.0f} s: {run['status']}")
        time.sleep(0.02)
    return run


def _show_nodes(workflow: Any, run: Any) -> None:
    types = {node["id"]: node["node_type"] for node in workflow["nodes"]}
    shown = (f"{types[node['workflow_node_id']]} {node['status']}" for node in run["node_runs"])
    say(f"  nodes: {', '.join(shown)}")


def _campaign(scene: Scene) -> dict[str, Any]:
    headers = {
        "Authorization": f"Bearer {scene.stripe.api_key}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    invoice = {
        "method": "POST",
        "url": f"{scene.stripe.url}/v1/invoices",
        "headers": headers,
        "body": {"customer": "{{trigger.customer}}", "metadata[copy]": "{{nodes.0.output.text}}"},
    }
    copy = {"title": "Write copy for {{topic}}", "task_type": "copy", "budget_cents": 150}
    result = {"copy": "{{nodes.0.output.text}}", "invoice": "{{nodes.1.output.status}}"}
    return {
        "title": "Campaign",
        "max_budget_cents": BUDGET_CENTS,
        "nodes": [
            {
                "position": 0,
                "node_type": "task",
                "task_template": copy,
                "input_mapping": {"topic": "trigger.topic"},
            },
            {
                "position": 1,
                "node_type": "api_call",
                "node_config": {"provider": "http", "params": invoice, "costCents": 5},
            },
            _template(2, result),
        ],
    }


def _template(position: int, mapping: dict[str, str], cost_cents: int | None = None) -> dict[str, Any]:
    config: dict[str, Any] = {"operation": "template", "params": {"mapping": mapping}}
    if cost_cents is not None:
        config["costCents"] = cost_cents
    return {"position": position, "node_type": "transform", "node_config": config}
