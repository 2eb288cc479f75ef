"""Costs and budgets, as clients see them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from aitasker_client import AitaskerApi, aitasker
from answering import Answering
from awaitstep_client import AwaitstepApi, awaitstep
from flowra_client import FlowraApi, flowra
from live import Api, refused, transform
from stepwell.values import Json

USAGE = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
COMPLETION = {"id": "c1", "object": "chat.completion", "model": "gpt-4o-mini-2024-07-18", "choices": [], "usage": USAGE}


def asks(api: Api, upstream: Answering, **fields: Json) -> Json:
    """A step that asks a model at the upstream."""
    upstream.body = json.dumps(COMPLETION).encode()
    connection = {"name": "Model", "provider": "openai", "credentials": {"apiKey": "sk-1"}, "isDefault": True}
    api.data("POST", "/connections", {**connection, "baseUrl": f"{upstream.url}/v1"})
    config = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
    return {"id": "ask", "type": "action", "action": "openai.createChatCompletion", "config": config, **fields}


def test_a_call_of_a_model_costs_what_its_answer_says_that_it_used(api: Api, upstream: Answering) -> None:
    run = api.finish(api.workflow(transform(steps=[asks(api, upstream)])), input={})

    assert float(run["costCents"]) == 0.045
    assert [float(step["costCents"]) for step in run["stepResults"]] == [0.045]
    assert [float(item["costCents"]) for item in api.data("GET", "/runs")] == [0.045]
    assert "budgetCents" not in run


def test_a_declared_cost_goes_before_the_usage(api: Api, upstream: Answering) -> None:
    run = api.finish(api.workflow(transform(steps=[asks(api, upstream, costCents=0.4)])), input={})

    assert float(run["costCents"]) == 0.4


def test_a_model_that_nobody_knows_costs_nothing(api: Api, upstream: Answering) -> None:
    step = asks(api, upstream)
    upstream.body = json.dumps({**COMPLETION, "model": "gpt-4o-mini-of-ours"}).encode()
    run = api.finish(api.workflow(transform(steps=[step])), input={})

    assert run["costCents"] == 0


def steps(*costs: float) -> list[Json]:
    mapping = {"mapping": {"x": 1}}
    return [
        {"id": f"s{number}", "type": "transform", "config": mapping, "costCents": cents}
        for number, cents in enumerate(costs)
    ]


def test_a_run_over_its_budget_fails_with_the_figures(api: Api) -> None:
    workflow = api.workflow(transform(steps=steps(480, 50), settings={"budgetCents": 500}))
    run = api.finish(workflow, input={})

    assert (run["status"], run["costCents"], run["budgetCents"]) == ("failed", 480, 500)
    assert run["error"] == {
        "code": "BUDGET_EXCEEDED",
        "message": "Budget of 500 cents exceeded: 480 spent, next step needs 50",
        "details": {"budgetCents": 500, "spentCents": 480, "neededCents": 50},
    }


@pytest.mark.parametrize(("body", "status"), [(None, "completed"), ({"budgetCents": 530}, "completed")])
def test_a_run_that_asks_goes_on_when_it_is_resumed(api: Api, body: Json, status: str) -> None:
    settings = {"budgetCents": 500, "overBudget": "ask"}
    workflow = api.workflow(transform(steps=steps(480, 50), settings=settings))
    run = api.data("POST", f"/workflows/{workflow}/run", {"input": {}})["runId"]
    paused = api.until(run, lambda found: found["status"] == "suspended")
    assert paused["waitingFor"] == "The run is paused: Budget of 500 cents exceeded: 480 spent, next step needs 50"

    api.data("POST", f"/runs/{run}/resume", body)

    ended = api.until(run, lambda found: found["status"] == status)
    assert ended["costCents"] == 530


def test_a_spent_monthly_budget_of_the_workspace_refuses_starts(api: Api) -> None:
    refused(api("GET", "/admin/budget"), 404, "NOT_FOUND")
    workflow = api.workflow(transform(steps=steps(10)))
    api.data("PUT", "/admin/budget", {"amountCents": 10})
    api.finish(workflow, input={})

    response = api("POST", f"/workflows/{workflow}/run", {"input": {}})
    refused(response, 409, "BUDGET_EXCEEDED")
    assert response.json()["error"]["message"].startswith(
        "Monthly budget of the workspace of 10 cents exceeded: 10 spent in "
    )
    shown = api.data("GET", "/admin/budget")
    assert (shown["amountCents"], shown["overBudget"], shown["spentCents"]) == (10, "stop", 10)
    api.data("DELETE", "/admin/budget")
    assert api.finish(workflow, input={})["status"] == "completed"


def test_runs_at_the_same_time_stay_within_a_monthly_budget_together(api: Api, upstream: Answering) -> None:
    upstream.delay_s = 0.2
    paid = {"id": "paid", "type": "api", "config": {"method": "POST", "url": f"{upstream.url}/paid"}, "costCents": 3}
    workflow = api.workflow(transform(steps=[paid]))
    api.data("PUT", "/admin/budget", {"amountCents": 10})

    batch = api.data("POST", f"/workflows/{workflow}/run/batch", {"items": [{"input": {"n": n}} for n in range(8)]})
    ended = [api.final(item["runId"]) for item in batch["results"]]

    assert sorted(run["status"] for run in ended) == ["completed"] * 3 + ["failed"] * 5
    assert len(upstream.seen) == 3
    assert api.data("GET", "/admin/budget")["spentCents"] == 9


def test_a_budget_of_a_key_counts_only_what_that_key_started(api: Api) -> None:
    made = api.data("POST", "/admin/keys", {"name": "worker", "scopes": ["workflows:execute", "runs:read"]})
    other = Api(api.server, api.workspace, made["key"])
    workflow = api.workflow(transform(steps=steps(10)))
    api.data("PUT", f"/admin/keys/{made['id']}/budget", {"amountCents": 10, "overBudget": "stop"})
    api.finish(workflow, input={})
    assert api.data("GET", f"/admin/keys/{made['id']}/budget")["spentCents"] == 0

    other.finish(workflow, input={})

    refused(other("POST", f"/workflows/{workflow}/run", {"input": {}}), 409, "BUDGET_EXCEEDED")
    assert api.finish(workflow, input={})["status"] == "completed"


def by_awaitstep(client: AwaitstepApi, workflow: str) -> str:
    body = {"connectionId": "conn_stepwell", "params": {}}
    return str(client.answer("POST", f"/api/workflows/{workflow}/trigger", body, 201)["id"])


def by_flowra(client: FlowraApi, workflow: str) -> str:
    begun = client.answer("POST", f"/workflow/manager/execute/{workflow}", {"input": {}}, 201)
    return f"run_{begun['executionId'].rpartition('_')[2]}"


def by_aitasker(client: AitaskerApi, workflow: str) -> str:
    return f"run_{client.trigger(workflow.removeprefix('wf_'), {})['id']}"


@pytest.mark.parametrize(("made", "start"), [(awaitstep, by_awaitstep), (flowra, by_flowra), (aitasker, by_aitasker)])
def test_the_key_of_every_dialect_pays_for_what_it_starts(
    api: Api, made: Callable[[Api], Any], start: Callable[[Any, str], str]
) -> None:
    workflow, client = api.workflow(transform(steps=steps(10))), made(api)
    (key,) = [each["id"] for each in api.data("GET", "/admin/keys") if each["name"] == made.__name__]
    api.data("PUT", f"/admin/keys/{key}/budget", {"amountCents": 10, "overBudget": "stop"})

    api.until(start(client, workflow), lambda run: run["status"] == "completed")

    assert api.data("GET", f"/admin/keys/{key}/budget")["spentCents"] == 10


def test_a_budget_takes_only_whole_cents_and_a_key_that_exists(api: Api) -> None:
    refused(api("PUT", "/admin/budget", {"amountCents": 0.5}), 400, "VALIDATION_ERROR")
    refused(api("PUT", "/admin/budget", {"amountCents": -1}), 400, "VALIDATION_ERROR")
    unknown = "key_018bcfe5-6800-7000-a897-7ff494d2efb7"
    refused(api("PUT", f"/admin/keys/{unknown}/budget", {"amountCents": 5}), 404, "NOT_FOUND")


@pytest.mark.parametrize("cents", [-1, 0.0000001, "1", 10**13])
def test_a_cost_that_is_none_is_a_fault_at_save(api: Api, cents: Json) -> None:
    error = refused(api("POST", "/workflows", transform(steps=steps(cents))), 400, "VALIDATION_ERROR")
    assert [fault["field"] for fault in error] == ["steps[0].costCents"]
