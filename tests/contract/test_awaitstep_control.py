"""Runs paused, resumed and terminated. Source: AwaitStep contract 7, 13."""

import pytest

from awaitstep_client import AwaitstepApi, awaitstep
from awaitstep_runs import NOWHERE, approval, compiled, final, held, trigger, until
from live import Api, waiting
from stepwell.values import Json


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


def place(run: Json, base: str = "/api") -> str:
    return f"{base}/workflows/{run['workflowId']}/runs/{run['id']}"


@pytest.mark.parametrize("base", ["/api", ""])
def test_a_run_is_paused_resumed_and_terminated(client: AwaitstepApi, base: str) -> None:
    run = held(client, trigger(client, compiled(client, approval())))

    assert client.answer("POST", f"{place(run, base)}/pause") == {"ok": True}
    paused = client.answer("GET", place(run))
    assert (paused["status"], paused["pausedBy"], len(paused["waitingFor"])) == ("paused", "manual", 1)
    assert client.answer("POST", f"{place(run, base)}/resume") == {"ok": True}
    assert "pausedBy" not in held(client, run)
    assert client.answer("POST", f"{place(run, base)}/terminate") == {"ok": True}
    ended = client.answer("GET", place(run))
    assert (ended["status"], ended["output"], ended["error"], ended["waitingFor"]) == ("terminated", None, None, [])


@pytest.mark.parametrize("verb", ["pause", "resume", "terminate"])
def test_a_run_that_has_ended_is_not_steered(client: AwaitstepApi, verb: str) -> None:
    run = final(client, trigger(client, compiled(client)))

    assert client.error("POST", f"{place(run)}/{verb}", status=409) == f"Cannot {verb} a run that is complete"


def test_a_paused_run_is_not_paused_again(client: AwaitstepApi) -> None:
    run = held(client, trigger(client, compiled(client, approval())))
    client.answer("POST", f"{place(run)}/pause")

    assert client.error("POST", f"{place(run)}/pause", status=409) == "Cannot pause a run that is paused"


def test_a_run_that_waits_for_an_event_is_not_resumed(client: AwaitstepApi) -> None:
    run = held(client, trigger(client, compiled(client, approval())))

    error = client.error("POST", f"{place(run)}/resume", status=409)

    assert error == 'Run is waiting for event "approval-decision"; deliver it instead'


def test_a_terminated_run_has_no_timer(client: AwaitstepApi) -> None:
    run = held(client, trigger(client, client.native.workflow(waiting())))

    client.answer("POST", f"{place(run)}/terminate")

    server = client.native.server
    loaded = server.call(server.parts.core.store.runs.load(client.native.workspace, run["instanceId"]))
    assert loaded is not None
    assert loaded.timers == ()


def test_with_a_run_the_runs_end_that_it_waits_for(client: AwaitstepApi) -> None:
    child = client.native.workflow(waiting())
    call = {"id": "call", "type": "subworkflow", "config": {"workflowId": child, "input": {}}}
    parent = client.native.workflow({"name": "Parent", "trigger": {"type": "api"}, "steps": [call]})
    run = until(client, trigger(client, parent), lambda found: found["waitingFor"])

    client.answer("POST", f"{place(run)}/terminate")

    inner = {"workflowId": child, "id": run["waitingFor"][0]["runId"]}
    assert final(client, inner)["status"] == "terminated"


@pytest.mark.parametrize("verb", ["pause", "resume", "terminate"])
def test_an_unknown_run_is_not_found(client: AwaitstepApi, verb: str) -> None:
    path = f"/api/workflows/{compiled(client)}/runs/{NOWHERE}/{verb}"

    assert client.error("POST", path, status=404) == "Run not found"


def test_the_twin_of_terminate_is_delete(client: AwaitstepApi) -> None:
    run = held(client, trigger(client, compiled(client, approval())))

    assert client.answer("DELETE", place(run, "/api/v1")) == {"ok": True}
    assert client.answer("GET", place(run))["status"] == "terminated"
    assert client.error("DELETE", place(run, "/api/v1"), status=409) == "Cannot terminate a run that is terminated"


def test_a_key_that_only_reads_controls_nothing(client: AwaitstepApi) -> None:
    run = trigger(client, compiled(client, approval()))

    error = client.scoped("read").error("POST", f"{place(run)}/pause", status=403)

    assert error == "API key missing required scope: deploy"
