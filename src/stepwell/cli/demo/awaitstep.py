"""The story of graphs: one is deployed, triggered, polled and steered, and decided on; a function is called."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from stepwell.cli.demo.story import Scene, title, wait_for
from stepwell.cli.output import json_text, say
from stepwell.client import Client, ClientError

PATIENCE_S = 20.0
TARGET = "conn_stepwell"
SCOPES = ("read", "write", "deploy")
AMOUNT = 4999
NOT_FOUND, REFUSED, CONFLICT, UNFIT = 404, 400, 409, 422


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a key, as a client of the dialect; without a key for what needs none."""

    url: str
    key: str | None = None

    def __call__(self, method: str, path: str, body: Any = None, expected: int = 200) -> Any:
        """The JSON of an answer, None without a body. Raises ClientError unless the status is the expected one."""
        try:
            with self._sent(method, path, body) as answer:
                status, told = answer.status, answer.read()
        except HTTPError as error:
            status, told = error.code, error.read()
        if status != expected:
            raise ClientError(f"{method} {path} answered {status}: {told.decode(errors='replace')[:500]}")
        return json.loads(told) if told else None

    def follow(self, path: str, body: Any) -> Iterator[Any]:
        """The data of each event of a stream, as they come. Raises HTTPError if there is no stream."""
        with self._sent("POST", path, body) as answer:
            for line in answer:
                if line.startswith(b"data: "):
                    yield json.loads(line.removeprefix(b"data: "))

    def _sent(self, method: str, path: str, body: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        headers |= {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        sent = None if body is None else json_text(body, indent=0).encode()
        request = Request(f"{self.url}{path}", data=sent, headers=headers, method=method)  # noqa: S310 - ours
        return urlopen(request, timeout=PATIENCE_S)  # noqa: S310 - the demo's own server


def tell_awaitstep(scene: Scene) -> None:
    """Deploy a graph and take its runs through their lives, then call a function.

    Raises:
        ClientError: the server answered other than the story says.
    """
    client = Client(scene.url, scene.admin_key)
    wait_for(client)
    title("Stepwell demo: graphs, events, functions")
    say(f"Server      {scene.url}, data in {scene.data}{'' if scene.kept else ' (removed at the end)'}")
    say(f"Key         ask_..., with the scopes {', '.join(SCOPES)}")
    caller = Caller(scene.url, client.keys.create("demo", list(SCOPES), dialect="awaitstep").key)
    workflow = _show_deploy(caller)
    _show_event(caller, workflow)
    _show_control(caller, workflow)
    _show_function(caller, scene.url)
    _show_refusals(caller, workflow)


def _show_deploy(caller: Caller) -> str:
    title("A graph that waits for a decision, saved and deployed")
    workflow: str = caller("POST", "/api/workflows", {"name": "Pay after approval"}, 201)["id"]
    early = caller("POST", f"/api/workflows/{workflow}/trigger", {"connectionId": TARGET}, REFUSED)
    say(f"  trigger before a deploy: {REFUSED} {early['error']}")
    _save(caller, workflow, _approval())
    say("  deployed, stage by stage:")
    *stages, result = caller.follow(f"/api/workflows/{workflow}/deploy-stream", {"connectionId": TARGET})
    for told in stages:
        say(f"    {told['progress']:>3} %  {told['stage']}")
    if not result["success"]:
        raise ClientError(f"The deploy failed: {result['error']}")
    say(f"  deployed: {result['versionId']}")
    return workflow


def _show_event(caller: Caller, workflow: str) -> None:
    title("A run waits, and an event lets it go on")
    run = _trigger(caller, workflow)
    say(f"  triggered: instance {run['instanceId']}, {run['status']}")
    held = _until(caller, run, ("paused",))
    say(f"  polled: {held['status']}, waits for {held['waitingFor'][0]['eventType']}")
    event = {"instanceId": run["instanceId"], "eventType": "approval-decision", "payload": {"approved": True}}
    caller("POST", f"/api/workflows/{workflow}/trigger", {"connectionId": TARGET, "params": event})
    done = _until(caller, run, ("complete", "errored"))
    say(f"  approved: {done['status']}, output {json_text(done['output'], indent=0)}")
    for step in done["steps"]:
        say(f"    {step['nodeId']}: {step['status']}")


def _show_control(caller: Caller, workflow: str) -> None:
    title("Another run is paused, resumed and terminated")
    run = _trigger(caller, workflow)
    _until(caller, run, ("paused",))
    caller("POST", f"{_place(run)}/pause")
    paused = caller("GET", _place(run))
    say(f"  pause: {paused['status']}, by {'hand' if paused.get('pausedBy') == 'manual' else 'a wait'}")
    caller("POST", f"{_place(run)}/resume")
    resumed = _until(caller, run, ("paused",))
    say(f"  resume: {resumed['status']} again, waits for {resumed['waitingFor'][0]['eventType']}")
    caller("POST", f"{_place(run)}/terminate")
    say(f"  terminate: {caller('GET', _place(run))['status']}")
    again = caller("POST", f"{_place(run)}/pause", expected=CONFLICT)
    say(f"  pause again: {CONFLICT} {again['error']}")


def _show_function(caller: Caller, url: str) -> None:
    title("A function: a call, an answer, no run")
    function: str = caller("POST", "/api/workflows", {"name": "Total", "kind": "script"}, 201)["id"]
    code = "return event.payload.qty * event.payload.price"
    _save(caller, function, _graph("script", [_node("total", "step", "EXPORT_Total", code=code)], []))
    caller("POST", f"/api/workflows/{function}/deploy", {"connectionId": TARGET})
    anybody = Caller(url)
    answer = anybody("POST", f"/fn/{function}", {"qty": 3, "price": 500})
    say(f"  POST: 200 {json_text(answer, indent=0)}")
    empty = anybody("GET", f"/fn/{function}")
    say(f"  GET: 200 {'and no body' if empty is None else empty}")
    refused = caller("POST", f"/api/workflows/{function}/trigger", {"connectionId": TARGET}, REFUSED)
    say(f"  trigger: {REFUSED} {refused['error']}")


def _show_refusals(caller: Caller, workflow: str) -> None:
    title("What is refused")
    path = f"/api/workflows/{workflow}/trigger"
    bare = caller("POST", path, {}, UNFIT)
    say(f"  no connection: {UNFIT} {bare['error']}, {bare['details'][0]['path']}")
    say(f"  an unknown one: {NOT_FOUND} {caller('POST', path, {'connectionId': 'conn_404'}, NOT_FOUND)['error']}")


def _approval() -> Any:
    ways = [
        {"label": "yes", "condition": "{{decision.payload.approved}} === true"},
        {"label": "no", "condition": ""},
    ]
    nodes = [
        _node("decision", "wait_for_event", eventType="approval-decision", timeout="72 hours"),
        _node("route", "branch", branches=ways),
        _node("pay", "step", code="return {paid: event.payload.amount}"),
        _node("refuse", "step", code="return {paid: 0}"),
    ]
    return _graph("workflow", nodes, [("decision", "route", None), ("route", "pay", "yes"), ("route", "refuse", "no")])


def _node(id: str, type: str, name: str | None = None, **data: Any) -> Any:
    place = {"position": {"x": 0, "y": 0}, "version": "1.0.0", "provider": "stepwell"}
    return {"id": id, "type": type, "name": name or id, **place, "data": data}


def _graph(kind: str, nodes: list[Any], edges: list[tuple[str, str, str | None]]) -> Any:
    at = "2026-01-15T10:00:00.000Z"
    listed = [
        {"id": f"e{index}", "source": source, "target": target} | ({} if label is None else {"label": label})
        for index, (source, target, label) in enumerate(edges)
    ]
    metadata = {"name": "Demo", "version": 1, "createdAt": at, "updatedAt": at}
    return {"kind": kind, "metadata": metadata, "nodes": nodes, "edges": listed, "entryNodeId": nodes[0]["id"]}


def _save(caller: Caller, workflow: str, ir: Any) -> None:
    saved = caller("POST", f"/api/workflows/{workflow}/versions", {"ir": ir}, 201)
    say(f"  saved: {saved['id']}")


def _trigger(caller: Caller, workflow: str) -> Any:
    body = {"connectionId": TARGET, "params": {"amount": AMOUNT}}
    return caller("POST", f"/api/workflows/{workflow}/trigger", body, 201)


def _place(run: Any) -> str:
    return f"/api/workflows/{run['workflowId']}/runs/{run['instanceId']}"


def _until(caller: Caller, run: Any, words: tuple[str, ...]) -> Any:
    """The run, once its status is one of these."""
    end = time.monotonic() + PATIENCE_S
    while (found := caller("GET", _place(run)))["status"] not in words:
        if time.monotonic() > end:
            raise ClientError(f"The run is {found['status']} after {PATIENCE_S:.0f} s")
        time.sleep(0.02)
    return found
