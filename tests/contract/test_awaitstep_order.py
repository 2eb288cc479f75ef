"""Which refusal comes first, for each two that stand beside each other. Source: AwaitStep contract 3."""

import pytest
import requests

from awaitstep_client import AwaitstepApi, awaitstep
from awaitstep_runs import NOWHERE, TARGET, approval, compiled, event, final, trigger
from live import PATIENCE_S, Api
from stepwell.values import Json

FUNCTION: Json = {
    "name": "f",
    "trigger": {"type": "api"},
    "inline": True,
    "steps": [{"id": "graph", "type": "code", "config": {"language": "javascript", "code": "return {}"}}],
}
UNKNOWN = {"connectionId": "conn_404"}


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


def path(workflow: str) -> str:
    return f"/api/workflows/{workflow}/trigger"


def test_no_key_comes_before_an_unknown_workflow(api: Api) -> None:
    response = requests.post(f"{api.server.url}{path(NOWHERE)}", json={}, timeout=PATIENCE_S)

    assert (response.status_code, response.json()) == (401, {"error": "Unauthorized"})


def test_a_missing_scope_comes_before_an_unknown_workflow(client: AwaitstepApi) -> None:
    error = client.scoped("read").error("POST", path(NOWHERE), {}, 403)

    assert error == "API key missing required scope: deploy"


def test_an_unknown_workflow_comes_before_a_faulty_body(client: AwaitstepApi) -> None:
    assert client.error("POST", path(NOWHERE), {"params": 1}, 404) == "Workflow not found"


def test_a_function_comes_before_a_faulty_body(client: AwaitstepApi) -> None:
    error = client.error("POST", path(client.native.workflow(FUNCTION)), {"params": 1})

    assert error.startswith("A function has no runs")


def test_a_faulty_body_comes_before_an_unknown_connection(client: AwaitstepApi) -> None:
    answer = client.answer("POST", path(compiled(client)), {**UNKNOWN, "params": 1}, 422)

    assert [each["path"] for each in answer["details"]] == ["params"]


def test_a_faulty_event_comes_before_an_unknown_connection(client: AwaitstepApi) -> None:
    client.answer("POST", path(compiled(client)), {**event(NOWHERE, "a b"), **UNKNOWN}, 422)


def test_an_unknown_connection_comes_before_an_unknown_instance(client: AwaitstepApi) -> None:
    error = client.error("POST", path(compiled(client)), {**event(NOWHERE), **UNKNOWN}, 404)

    assert error == "Connection not found"


def test_an_unknown_instance_comes_before_a_workflow_that_is_not_deployed(client: AwaitstepApi) -> None:
    workflow = compiled(client)
    client.native.data("POST", f"/workflows/{workflow}/pause")

    assert client.error("POST", path(workflow), event(NOWHERE), 404) == "Instance not found"


def test_the_end_of_a_run_comes_before_a_workflow_that_is_not_deployed(client: AwaitstepApi) -> None:
    workflow = compiled(client)
    run = final(client, trigger(client, workflow))
    client.native.data("POST", f"/workflows/{workflow}/pause")

    assert client.error("POST", path(workflow), event(run["id"]), 409) == "Run is complete"


def test_an_unknown_connection_comes_before_a_workflow_that_is_not_deployed(client: AwaitstepApi) -> None:
    workflow = compiled(client, approval())
    client.native.data("POST", f"/workflows/{workflow}/pause")

    assert client.error("POST", path(workflow), UNKNOWN, 404) == "Connection not found"
    assert client.error("POST", path(workflow), {"connectionId": TARGET}) == "No version deployed"
