"""Runs started by the trigger endpoint. Source: AwaitStep contract 3, 5.1, 13."""

import pytest

from awaitstep_client import AwaitstepApi, awaitstep
from awaitstep_runs import NOWHERE, TARGET, compiled, final, trigger
from live import Api, NewApi, transform
from stepwell.ids import parse
from stepwell.values import Json, decode, encode

ROW = (
    "id",
    "instanceId",
    "workflowId",
    "versionId",
    "connectionId",
    "status",
    "output",
    "outputJson",
    "error",
    "errorDetail",
    "waitingFor",
    "params",
    "startedAt",
    "completedAt",
    "createdAt",
    "updatedAt",
)


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


def path(workflow: str) -> str:
    return f"/api/workflows/{workflow}/trigger"


def details(client: AwaitstepApi, workflow: str, body: Json) -> Json:
    answer = client.answer("POST", path(workflow), body, 422)
    assert answer["error"] == "Validation failed"
    return [(each["path"], each["message"]) for each in answer["details"]]


def of_length(length: int) -> Json:
    """Params whose JSON has so many bytes."""
    return {"é": "x" * (length - len(encode({"é": ""})))}


def test_a_trigger_answers_the_whole_row_of_a_queued_run(client: AwaitstepApi) -> None:
    workflow = compiled(client)

    run = trigger(client, workflow, {"orderId": "ord_001"})

    assert tuple(run) == ROW
    assert parse(run["instanceId"]) == run["instanceId"] == run["id"].removeprefix("run_")
    assert (run["workflowId"], run["status"], run["params"]) == (workflow, "queued", {"orderId": "ord_001"})
    assert (run["output"], run["outputJson"], run["error"], run["waitingFor"]) == (None, None, None, [])


def test_nodes_read_params_as_the_payload_of_the_event(client: AwaitstepApi) -> None:
    run = final(client, trigger(client, compiled(client), {"orderId": "ord_001"}))

    assert (run["status"], run["output"], run["outputJson"]) == (
        "complete",
        {"orderId": "ord_001"},
        '{"orderId":"ord_001"}',
    )


def test_without_params_a_run_has_none(client: AwaitstepApi) -> None:
    assert trigger(client, compiled(client))["params"] == {}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("connectionId", "Required")]),
        ({"connectionId": 7}, [("connectionId", "Expected string")]),
        ({"connectionId": TARGET, "params": [1]}, [("params", "Expected object")]),
        ({"params": None}, [("connectionId", "Required"), ("params", "Expected object")]),
    ],
)
def test_a_faulty_body_is_refused_at_its_path(client: AwaitstepApi, body: Json, expected: Json) -> None:
    assert details(client, compiled(client), body) == expected


def test_params_may_have_100_kb_as_compact_json(client: AwaitstepApi) -> None:
    workflow = compiled(client)

    assert trigger(client, workflow, of_length(102_400))["status"] == "queued"
    over = {"connectionId": TARGET, "params": of_length(102_401)}
    assert details(client, workflow, over) == [("params", "Trigger params must be under 100 KB")]


@pytest.mark.parametrize("named", [f"conn_{NOWHERE}", "conn_404", "unknown"])
def test_an_unknown_connection_is_not_found(client: AwaitstepApi, named: str) -> None:
    assert client.error("POST", path(compiled(client)), {"connectionId": named}, 404) == "Connection not found"


def test_a_connection_of_another_provider_is_no_target(client: AwaitstepApi) -> None:
    body = {"provider": "slack", "name": "Slack", "credentials": {"botToken": "xoxb-1"}}
    made = client.native.post("/connections", body)
    assert made.ok, made.text
    connection = decode(made.content)["data"]["id"]

    error = client.error("POST", path(compiled(client)), {"connectionId": connection})

    assert error == "Unsupported provider: slack"


def test_an_unknown_or_foreign_workflow_is_not_found_before_the_body_is_looked_at(
    client: AwaitstepApi, new_api: NewApi
) -> None:
    foreign = compiled(awaitstep(new_api()))

    for workflow in ("wf_nowhere", f"wf_{NOWHERE}", foreign):
        assert client.error("POST", path(workflow), {}, 404) == "Workflow not found"


def test_a_workflow_that_is_not_active_is_not_deployed(client: AwaitstepApi) -> None:
    draft = client.native.workflow(transform(), active=False)
    paused = compiled(client)
    client.native.data("POST", f"/workflows/{paused}/pause")

    for workflow in (draft, paused):
        assert client.error("POST", path(workflow), {"connectionId": TARGET}) == "No version deployed"


def test_a_function_has_no_runs_whatever_the_body(client: AwaitstepApi) -> None:
    code = {"id": "graph", "type": "code", "config": {"language": "javascript", "code": "return {}"}}
    document = {"name": "f", "trigger": {"type": "api"}, "inline": True, "steps": [code]}
    workflow = client.native.workflow(document)

    for body in ({}, {"connectionId": TARGET}):
        error = client.error("POST", path(workflow), body)
        assert error == "A function has no runs; call its URL with an HTTP POST instead"


def test_a_workflow_written_elsewhere_is_triggered_as_well(client: AwaitstepApi) -> None:
    run = final(client, trigger(client, client.native.workflow(transform()), {"n": 1}))

    assert (run["output"], run["versionId"]) == ({"seen": {"n": 1}}, "ver_1")


def test_input_that_does_not_fit_the_schema_is_refused_below_params(client: AwaitstepApi) -> None:
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "number"}}}
    workflow = client.native.workflow(transform(inputSchema=schema))

    found = details(client, workflow, {"connectionId": TARGET, "params": {"n": "x"}})

    assert [place for place, _ in found] == ["params.n"]


def test_the_same_idempotency_key_starts_one_run_and_repeats_the_answer(client: AwaitstepApi) -> None:
    workflow, headers = compiled(client), {"Idempotency-Key": "k1"}

    first = trigger(client, workflow, {"n": 1}, headers=headers)
    again = trigger(client, workflow, {"n": 1}, headers=headers)

    assert again == first
    assert len(client.answer("GET", f"/api/workflows/{workflow}/runs")["data"]) == 1


def test_deploy_alone_triggers_and_controls_and_read_alone_reads(client: AwaitstepApi) -> None:
    workflow = compiled(client)
    deploy, read = client.scoped("deploy"), client.scoped("read")

    run = trigger(deploy, workflow)
    one = f"/api/workflows/{workflow}/runs/{run['id']}"

    assert deploy.error("GET", one, status=403) == "API key missing required scope: read"
    assert read.answer("GET", one)["id"] == run["id"]
    refused = read.error("POST", path(workflow), {"connectionId": TARGET}, 403)
    assert refused == "API key missing required scope: deploy"


def test_malformed_json_is_refused(client: AwaitstepApi) -> None:
    headers = {"Content-Type": "application/json"}
    response = client("POST", path(compiled(client)), headers=headers, data=b"{")

    assert (response.status_code, response.json()) == (400, {"error": "Malformed JSON"})


def test_the_twin_starts_a_run_without_a_connection(client: AwaitstepApi) -> None:
    workflow = compiled(client)

    run = client.answer("POST", f"/api/v1/workflows/{workflow}/runs", {"input": {"n": 2}}, 201)

    assert tuple(run) == ROW
    assert final(client, run)["output"] == {"n": 2}
    twin = client.answer("GET", f"/api/v1/workflows/{workflow}/runs/{run['id']}")
    assert twin == client.answer("GET", f"/api/workflows/{workflow}/runs/{run['id']}")
