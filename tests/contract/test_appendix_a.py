"""LoopFour contract, appendix A: each worked example, literally."""

import pytest
import requests

from live import ROOT, Api, refused
from stepwell.values import Json, decode

EXAMPLE: Json = decode((ROOT / "examples" / "process-customer-order.json").read_bytes())
ITEMS = [{"productId": "p1", "quantity": 2, "price": 1999}, {"productId": "p2", "quantity": 1, "price": 502}]
INPUT = {"customerId": "cus_1", "customerEmail": "ana@example.com", "items": ITEMS}
TOTAL = {"subtotal": 4500, "tax": 360, "total": 4860}
SENT = {"messageId": "msg_sim_0001", "status": "sent"}
INVOICE = {
    "id": "in_sim_0001",
    "number": "SIM-0001",
    "customer": "cus_1",
    "amount_due": 4860,
    "currency": "usd",
    "status": "open",
    "metadata": {"source": "api-order"},
}
EMAIL = {
    "action": "send",
    "to": "ana@example.com",
    "subject": "Order Confirmed - Invoice #SIM-0001",
    "body": {"html": "<p>Thank you for your order!</p><p>Total: $4860</p>"},
}
TIMES = ("startedAt", "completedAt", "durationMs", "createdAt")


@pytest.fixture
def workflow(api: Api) -> str:
    for provider in ("stripe", "resend"):
        api.data("POST", "/connections", {"name": provider, "provider": provider, "mode": "simulator"})
    return api.workflow(EXAMPLE)


def start(api: Api, workflow: str, given: Json = INPUT, key: str | None = "process-order-1") -> requests.Response:
    return api.post(f"/workflows/{workflow}/run", {"input": given, "idempotencyKey": key})


def without_times(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: without_times(child) for name, child in value.items() if name not in TIMES}
    return [without_times(child) for child in value] if isinstance(value, list) else value


def test_a1_start_answers_202_with_the_run_id_and_version(api: Api, workflow: str) -> None:
    response = start(api, workflow)

    body = decode(response.content)
    run = body["data"]["runId"]
    expected = {"runId": run, "status": "pending", "workflowId": workflow, "workflowVersion": 1}
    assert (response.status_code, body) == (202, {"success": True, "data": expected})
    assert run.startswith("run_")


def test_a1_finished_run_shows_every_step_in_both_lists(api: Api, workflow: str) -> None:
    run = api.finish(workflow, input=INPUT)

    results = [
        ("calculate-total", {"mapping": TOTAL}, TOTAL),
        ("create-invoice", None, INVOICE),
        ("send-confirmation", EMAIL, SENT),
    ]
    config = {"customerId": "cus_1", "amount": 4860, "metadata": {"source": "api-order"}}
    assert without_times(run) == {
        "id": run["id"],
        "workflowId": workflow,
        "status": "completed",
        "triggerType": "api",
        "input": INPUT,
        "output": SENT,
        "stepResults": [
            {
                "stepId": step,
                "status": "success",
                "attempt": 1,
                "input": given or config,
                "output": output,
                "costCents": 0,
            }
            for step, given, output in results
        ],
        "steps": [{"id": step, "status": "completed", "output": output} for step, _, output in results],
        "workflowVersion": 1,
        "restartedFromRunId": None,
        "connectionId": None,
        "parentRunId": None,
        "suspendReason": None,
        "attempt": 1,
        "error": None,
        "costCents": 0,
    }
    assert all(name in run and all(name in step for step in run["stepResults"]) for name in TIMES[:3])


def test_a2_amounts_are_exact_decimals(api: Api, workflow: str) -> None:
    items = '[{"quantity": 1, "price": 4.35}, {"quantity": 3, "price": 0.7}]'
    run = api.finish(workflow, input={**INPUT, "items": decode(items)})

    text = api.get(f"/runs/{run['id']}").text
    assert '"subtotal":6.45,"tax":0.516,"total":6.966}' in text
    assert '"amount":6.966' in text
    assert '"amount_due":7,' in text


def test_a3_equal_repeat_answers_with_the_first_run_and_its_current_status(api: Api, workflow: str) -> None:
    run = decode(start(api, workflow).content)["data"]["runId"]
    api.final(run)

    again = start(api, workflow)

    data = {"runId": run, "status": "completed", "workflowId": workflow, "workflowVersion": 1}
    assert (again.status_code, decode(again.content)) == (202, {"success": True, "data": data})
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Mismatch" not in again.headers
    assert len(api.data("GET", "/runs")) == 1


def test_a3_repeat_with_another_body_answers_the_same_and_says_so(api: Api, workflow: str) -> None:
    run = decode(start(api, workflow).content)["data"]["runId"]

    again = start(api, workflow, {**INPUT, "items": [{**ITEMS[0], "quantity": 3}]})

    assert (again.status_code, decode(again.content)["data"]["runId"]) == (202, run)
    assert (again.headers["Idempotency-Replayed"], again.headers["Idempotency-Mismatch"]) == ("true", "true")


def test_a3_repeat_with_another_body_is_refused_if_the_workflow_says_reject(api: Api, workflow: str) -> None:
    api.data("PUT", f"/workflows/{workflow}", {"settings": {"idempotencyConflict": "reject"}})
    run = decode(start(api, workflow).content)["data"]["runId"]

    again = start(api, workflow, {**INPUT, "items": []})

    message = "Idempotency key was already used with a different request"
    assert refused(again, 409, "IDEMPOTENCY_CONFLICT", message) == [{"runId": run}]


def test_a4_restart_keeps_the_steps_before_and_runs_the_rest_with_the_new_input(api: Api, workflow: str) -> None:
    first = api.finish(workflow, input=INPUT)["id"]
    body = {"fromStepId": "send-confirmation", "overrideInput": {"customerEmail": "bo@example.com"}}

    response = api.post(f"/runs/{first}/restart", body)

    data = decode(response.content)["data"]
    assert (response.status_code, without_times(data)) == (
        202,
        {
            "originalRunId": first,
            "newRunId": data["newRunId"],
            "workflowId": workflow,
            "restartFromStepId": "send-confirmation",
            "status": "pending",
        },
    )
    run = api.final(data["newRunId"])
    assert (run["status"], run["restartedFromRunId"], run["attempt"]) == ("completed", first, 2)
    assert run["input"] == {**INPUT, "customerEmail": "bo@example.com"}
    assert [(step["output"], step.get("reused")) for step in run["stepResults"][:2]] == [(TOTAL, True), (INVOICE, True)]
    sent = run["stepResults"][2]
    assert (sent["input"]["to"], sent["output"]) == ("bo@example.com", {"messageId": "msg_sim_0002", "status": "sent"})


def test_a4_restart_from_an_unknown_step_is_refused(api: Api, workflow: str) -> None:
    run = api.finish(workflow, input=INPUT)["id"]

    response = api.post(f"/runs/{run}/restart", {"fromStepId": "invalid-step-id"})

    refused(response, 400, "INVALID_STEP", "Step not found: invalid-step-id")


def test_a5_a_completed_run_is_neither_retried_nor_cancelled(api: Api, workflow: str) -> None:
    run = api.finish(workflow, input=INPUT)["id"]

    refused(api.post(f"/runs/{run}/retry"), 400, "INVALID_STATE", "Can only retry failed runs")
    refused(api.post(f"/runs/{run}/cancel"), 400, "INVALID_STATE", "Can only cancel running or pending runs")


def test_a5_retry_goes_on_from_the_failed_step(api: Api, workflow: str) -> None:
    resend = next(each for each in api.data("GET", "/connections") if each["provider"] == "resend")
    api.data("DELETE", f"/connections/{resend['id']}")
    failed = api.finish(workflow, input=INPUT)
    assert (failed["status"], failed["steps"][2]["status"]) == ("failed", "failed")
    assert (failed["stepResults"][2]["status"], failed["error"]["stepId"]) == ("error", "send-confirmation")

    response = api.post(f"/runs/{failed['id']}/retry")

    data = decode(response.content)["data"]
    assert (response.status_code, data["originalRunId"], data["restartFromStepId"], data["status"]) == (
        202,
        failed["id"],
        "send-confirmation",
        "pending",
    )
    retried = api.final(data["newRunId"])
    assert [step.get("reused") for step in retried["stepResults"]] == [True, True, None]


def test_a6_a_missing_field_is_required(api: Api, workflow: str) -> None:
    response = start(api, workflow, {"items": []})

    assert refused(response, 400, "VALIDATION_ERROR", "Input validation failed") == [
        {"path": ["customerId"], "message": "Required"}
    ]


def test_a6_all_faults_are_listed_in_the_order_of_the_schema(api: Api, workflow: str) -> None:
    response = start(api, workflow, {"items": [{"quantity": 0}]})

    assert refused(response, 400, "VALIDATION_ERROR", "Input validation failed") == [
        {"path": ["customerId"], "message": "Required"},
        {"path": ["items", 0, "quantity"], "message": "Number must be greater than or equal to 1"},
    ]


def test_a7_a_draft_does_not_run(api: Api) -> None:
    draft = api.workflow(EXAMPLE, active=False)

    response = start(api, draft)

    refused(response, 400, "INVALID_STATUS", "Workflow must be active to run. Current status: draft")
