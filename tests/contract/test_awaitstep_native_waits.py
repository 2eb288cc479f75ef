"""Runs of workflows that were written elsewhere, as the AwaitStep dialect shows them; and the scope of each route.
Source: AwaitStep contract 2, 6."""

import pytest

from awaitstep_client import AwaitstepApi, awaitstep
from awaitstep_runs import NOWHERE, held, trigger, until
from live import Api
from stepwell.http.dialects.awaitstep import DIALECT
from stepwell.values import Json

LONG = {"type": "wait", "config": {"duration": 3_600_000}}
OWN = {
    "workflows:read": "read",
    "runs:read": "read",
    "connections:read": "read",
    "workflows:execute": "deploy",
    "workflows:deploy": "deploy",
    "workflows:write": "write",
    "connections:write": "write",
    "secrets:write": "write",
}
GUARDED = [route for route in DIALECT.routes if route.scope]


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


def native(client: AwaitstepApi, step: Json, **fields: Json) -> str:
    """The id of an active workflow of one step, written natively."""
    return client.native.workflow(
        {"name": "Native", "trigger": {"type": "api"}, "steps": [{"id": "it", **step}], **fields}
    )


@pytest.mark.parametrize(
    ("step", "waits"),
    [
        ({"type": "approval", "config": {"approvers": ["ana@example.com"], "reason": "Well?"}}, "approval"),
        ({"type": "task", "config": {"template": {"title": "Do it"}}}, "task"),
        (LONG, "sleep"),
        ({"type": "wait_for_event", "config": {"eventType": "go"}}, "event"),
    ],
)
def test_what_a_run_waits_for_is_told_by_its_kind(client: AwaitstepApi, step: Json, waits: str) -> None:
    run = held(client, trigger(client, native(client, step)))

    (wait,) = run["waitingFor"]
    assert (run["status"], wait["type"], wait["nodeId"]) == ("paused", waits, "it")


def test_a_run_that_ran_out_of_time_is_errored_with_its_code(client: AwaitstepApi) -> None:
    run = trigger(client, native(client, LONG, settings={"timeoutMs": 50}))

    ended = until(client, run, lambda found: found["status"] == "errored")

    assert ended["errorDetail"]["code"] == "TIMED_OUT"
    assert ended["error"] == ended["errorDetail"]["message"]


def test_a_queued_run_is_paused_and_resumed(client: AwaitstepApi) -> None:
    workflow = native(client, LONG, settings={"maxConcurrentRuns": 1})
    held(client, trigger(client, workflow))
    queued = trigger(client, workflow)
    path = f"/api/workflows/{workflow}/runs/{queued['id']}"
    assert client.answer("GET", path)["status"] == "queued"

    assert client.answer("POST", f"{path}/pause") == {"ok": True}
    paused = client.answer("GET", path)
    assert client.answer("POST", f"{path}/resume") == {"ok": True}

    assert (paused["status"], paused["pausedBy"]) == ("paused", "manual")
    assert client.answer("GET", path)["status"] == "queued"


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: f"{route.method} {route.path}")
def test_each_route_demands_its_scope_and_no_other(client: AwaitstepApi, route: Json) -> None:
    own = OWN[route.scope]
    path = route.path.replace("{node_id}", "step")
    for name in ("{id}", "{run_id}", "{vid}"):
        path = path.replace(name, NOWHERE)
    body = None if route.body is None else {}

    with_it = client.scoped(own)(route.method, path, body)
    others = [scope for scope in ("read", "write", "deploy") if scope != own]
    told = client.scoped(*others).error(route.method, path, body, 403)

    assert told == f"API key missing required scope: {own}"
    assert with_it.status_code not in (401, 403, 405, 500)


def test_a_body_of_another_type_is_refused(client: AwaitstepApi) -> None:
    told = client.error("POST", "/api/workflows", {"name": "a"}, 415, headers={"Content-Type": "application/xml"})

    assert told == "Content-Type must be application/json"
