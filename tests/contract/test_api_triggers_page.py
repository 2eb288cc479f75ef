"""The API Triggers page: its requests, responses and snippets, as printed."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from live import SEEDS, Api, refused, transform
from snippets import bash, local, needs_curl, needs_node, needs_seeds, node, snippet
from stepwell.values import Json, decode

PAGE = SEEDS / "loopfour-api-triggers.txt"

INVOICE_SCHEMA: Json = {
    "type": "object",
    "required": ["customerId", "amount"],
    "properties": {
        "customerId": {"type": "string", "pattern": "^cus_[a-zA-Z0-9]+$"},
        "amount": {"type": "number", "minimum": 100},
        "currency": {"type": "string", "enum": ["usd", "eur", "gbp"], "default": "usd"},
    },
}
GOOD = {"customerId": "cus_xxx", "amount": 9900}


@needs_seeds
@needs_curl
def test_the_basic_curl_call_starts_a_run(api: Api) -> None:
    workflow = api.workflow(transform())
    script = snippet(PAGE, "curl -X POST http://localhost:3000/api/v1/workflows/{WORKFLOW_ID}/run", "}'")

    body = bash(local(script, api).replace("{WORKFLOW_ID}", workflow))

    assert (body["success"], body["data"]["status"], body["data"]["workflowId"]) == (True, "pending", workflow)
    assert api.final(body["data"]["runId"])["input"] == GOOD


@needs_seeds
@needs_curl
def test_the_idempotent_curl_call_starts_one_run_however_often_it_is_made(api: Api) -> None:
    workflow = api.workflow(transform())
    script = snippet(PAGE, "curl -X POST http://localhost:3000/api/v1/workflows/{id}/run", "}'")
    script = local(script, api).replace("{id}", workflow)

    first, second = bash(script), bash(script)

    assert first["data"]["runId"] == second["data"]["runId"]
    assert len(api.data("GET", "/runs")) == 1


@needs_seeds
@needs_curl
def test_the_curl_call_without_a_content_type_starts_a_run(api: Api) -> None:
    workflow = api.workflow(transform())
    script = snippet(PAGE, "curl -X POST", "}'", after="# Simulate a Stripe webhook")

    body = bash(local(script, api).replace("{id}", workflow))

    assert api.final(body["data"]["runId"])["input"]["type"] == "invoice.paid"


@needs_seeds
@needs_curl
def test_the_curl_call_of_the_crontab_starts_a_workflow_by_its_slug(api: Api) -> None:
    api.workflow(transform(slug="daily_report"))
    script = snippet(PAGE, "curl -X POST https://api.example.com", "}'").replace(
        "https://api.example.com", api.server.url
    )

    body = bash(script, API_KEY=api.key)

    assert body["data"]["status"] == "pending"


@needs_seeds
@needs_curl
def test_the_curl_call_that_reads_a_run_works(api: Api) -> None:
    run = api.finish(api.workflow(transform()))["id"]
    script = snippet(PAGE, "curl http://localhost:3000/api/v1/runs/{RUN_ID}", 'YOUR_API_KEY"')

    body = bash(local(script, api).replace("{RUN_ID}", run))

    assert (body["data"]["id"], body["data"]["status"]) == (run, "completed")


@needs_seeds
@needs_node
def test_the_fetch_call_starts_a_run(api: Api) -> None:
    workflow = api.workflow(transform())
    script = snippet(PAGE, "const response = await fetch(", "console.log('Run ID:', data.runId);")

    printed = node(f"const workflowId = '{workflow}';" + local(script, api), API_KEY=api.key)

    assert api.final(printed.removeprefix("Run ID: "))["input"] == GOOD


@needs_seeds
def test_the_python_call_starts_a_run(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    workflow = api.workflow(transform())
    script = snippet(PAGE, "import requests", "print(f\"Run ID: {data['runId']}\")")

    exec(local(script, api), {"workflow_id": workflow, "api_key": api.key})

    assert api.final(capsys.readouterr().out.strip().removeprefix("Run ID: "))["input"] == GOOD


@needs_seeds
@needs_node
def test_the_polling_loop_returns_the_output(api: Api) -> None:
    run = api.finish(api.workflow(transform({"invoiceId": "inv_123"})))["id"]
    script = local(snippet(PAGE, "async function waitForCompletion", "Timeout waiting for workflow');\n}"), api)

    call = f"console.log(JSON.stringify(await waitForCompletion('{run}')))"
    printed = node(f"const API_KEY = '{api.key}';{script}\n{call}")

    assert decode(printed) == {"invoiceId": "inv_123"}


def test_input_is_read_by_index_and_hyphenated_ids(api: Api) -> None:
    output = {"to": "{{input.customer.email}}", "subject": "Order for {{input.items.0.product}}"}
    workflow = api.workflow(transform(output))
    items = [{"product": "Widget", "quantity": 2, "price": 1999}]

    run = api.finish(workflow, input={"customer": {"email": "customer@example.com"}, "items": items})

    assert run["output"] == {"to": "customer@example.com", "subject": "Order for Widget"}


def test_a_default_of_the_input_schema_is_filled_in(api: Api) -> None:
    workflow = api.workflow(transform(inputSchema=INVOICE_SCHEMA))

    assert api.finish(workflow, input=GOOD)["input"] == {**GOOD, "currency": "usd"}


@pytest.mark.parametrize(
    ("given", "path", "message"),
    [
        ({"amount": 100}, ["customerId"], "Required"),
        ({"customerId": "x", "amount": 100}, ["customerId"], "Invalid"),
        ({"customerId": 5, "amount": 100}, ["customerId"], "Expected string, received number"),
        ({"customerId": "cus_1", "amount": 99}, ["amount"], "Number must be greater than or equal to 100"),
        (
            {"customerId": "cus_1", "amount": 100, "currency": "xyz"},
            ["currency"],
            "Invalid enum value. Expected 'usd' | 'eur' | 'gbp', received 'xyz'",
        ),
    ],
)
def test_input_that_does_not_fit_is_refused(api: Api, given: Json, path: Json, message: str) -> None:
    workflow = api.workflow(transform(inputSchema=INVOICE_SCHEMA))

    response = api.post(f"/workflows/{workflow}/run", {"input": given})

    details = refused(response, 400, "VALIDATION_ERROR", "Input validation failed")
    assert details == [{"path": path, "message": message}]


def test_a_run_takes_the_connection_that_is_named(api: Api) -> None:
    body = {"name": "p", "provider": "stripe", "mode": "simulator", "slug": "production_stripe"}
    connection = api.data("POST", "/connections", body)["id"]

    run = api.finish(api.workflow(transform()), connectionId="conn_production_stripe")

    assert run["connectionId"] == connection


def test_an_unknown_workflow_is_not_found(api: Api) -> None:
    refused(api.post("/workflows/wf_abc/run", {}), 404, "NOT_FOUND", "Workflow not found")


def test_a_start_needs_the_scope_execute(api: Api) -> None:
    workflow = api.workflow(transform())

    assert api.with_scopes("workflows:execute").post(f"/workflows/{workflow}/run", {}).status_code == 202
    refused(api.with_scopes("workflows:write").post(f"/workflows/{workflow}/run", {}), 403, "FORBIDDEN")


def test_many_clients_with_one_key_start_one_run(api: Api) -> None:
    workflow = api.workflow(transform())
    script = {"idempotencyKey": "sync-1", "input": {"customerId": "c"}}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.post(f"/workflows/{workflow}/run", script), range(16)))

    assert len({answer.json()["data"]["runId"] for answer in answers}) == 1
