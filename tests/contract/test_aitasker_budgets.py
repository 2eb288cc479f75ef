"""What runs of the AITasker dialect cost, and what their budgets keep them from. Source: AITasker contract 9, 12."""

from typing import Any

import pytest

from aitasker_client import AitaskerApi, aitasker, shape_node, task_node
from live import Api
from stepwell.values import Json


@pytest.fixture
def client(api: Api) -> AitaskerApi:
    return aitasker(api)


def priced(position: int, cents: Json) -> Json:
    """A node that declares what it costs."""
    node: dict[str, Any] = shape_node(position)
    node["node_config"]["costCents"] = cents
    return node


def budgeted(position: int, cents: Json, **fields: Json) -> Json:
    """A task that tells what it is expected to cost."""
    return task_node(position, task_template={"title": "Do it", "budget_cents": cents}, **fields)


def work(client: AitaskerApi, command: str = "complete", **body: Json) -> Json:
    """The next task, delivered or given up."""
    task = client.answer("POST", client.ws("/tasks/claim"), {"worker_id": "w", "wait_seconds": 10})
    sent = {"output_data": {}} if command == "complete" else {"error_message": "no"}
    path = client.ws(f"/tasks/{task['id']}/{command}")
    return client.answer("POST", path, {"claim_token": task["claim_token"], **sent, **body})


def costs(client: AitaskerApi, run: Json) -> Json:
    return client.answer("GET", client.ws(f"/workflows/{run['workflow_id']}/runs/{run['id']}/costs"))


def test_an_attempt_that_failed_costs_what_it_reported(client: AitaskerApi) -> None:
    workflow = client.workflow(task_node(max_retries=2), auto_accept=True)["id"]
    run = client.trigger(workflow)

    work(client, "fail", cost_cents=30)
    midway = client.run(workflow, run["id"])
    work(client, cost_cents=120)
    done = client.final(workflow, run["id"])

    [node] = costs(client, run)["nodes"]
    assert (midway["total_cost_cents"], done["total_cost_cents"]) == (30, 150)
    assert (node["cost_cents"], node["cost_exact"], node["attempts"], node["retry_count"]) == (150, "150", 2, 1)
    assert list(node) == ["workflow_node_id", "node_run_id", "cost_cents", "cost_exact", "attempts", "retry_count"]
    assert node["node_run_id"] == done["node_runs"][0]["id"]


def test_a_worker_that_reports_nothing_costs_what_the_node_declares(client: AitaskerApi) -> None:
    workflow = client.workflow(task_node(node_config={"costCents": 7}), auto_accept=True)["id"]
    run = client.trigger(workflow)

    work(client)

    assert client.final(workflow, run["id"])["total_cost_cents"] == 7


def test_what_a_worker_reports_counts_more_than_what_the_node_declares(client: AitaskerApi) -> None:
    workflow = client.workflow(task_node(node_config={"costCents": 7}), auto_accept=True)["id"]
    run = client.trigger(workflow)

    delivered = work(client, cost_cents=2)

    assert client.final(workflow, run["id"])["total_cost_cents"] == 2
    assert float(delivered["cost_usd"]) == 0.02


def test_a_task_is_not_opened_whose_budget_would_break_that_of_the_run(client: AitaskerApi) -> None:
    nodes = [priced(0, 480), budgeted(1, 50), shape_node(2)]
    workflow = client.workflow(*nodes, max_budget_cents=500)["id"]

    run = client.final(workflow, client.trigger(workflow)["id"])

    assert run["error_message"] == "Budget of 500 cents exceeded: 480 spent, next node needs 50"
    assert [node["status"] for node in run["node_runs"]] == ["completed", "skipped", "skipped"]
    assert run["node_runs"][1]["task_id"] is None
    assert client.answer("GET", client.ws("/tasks")) == []
    assert costs(client, run)["max_budget_cents"] == 500


def test_a_budget_that_is_just_met_is_not_exceeded(client: AitaskerApi) -> None:
    workflow = client.workflow(priced(0, 480), priced(1, 20), shape_node(2), max_budget_cents=500)["id"]

    run = client.final(workflow, client.trigger(workflow)["id"])

    assert (run["status"], run["total_cost_cents"]) == ("completed", 500)


def test_a_spent_budget_keeps_a_task_from_opening_though_it_asks_for_nothing(client: AitaskerApi) -> None:
    workflow = client.workflow(priced(0, 500), task_node(1), max_budget_cents=500)["id"]

    run = client.final(workflow, client.trigger(workflow)["id"])

    assert run["error_message"] == "Budget of 500 cents exceeded: 500 spent, next node needs 0"


def test_work_in_flight_ends_when_the_budget_is_exceeded(client: AitaskerApi) -> None:
    nodes = [task_node(0, parallel_group=1), task_node(0, parallel_group=1), priced(1, 1)]
    workflow = client.workflow(*nodes, max_budget_cents=100, auto_accept=True)["id"]
    run = client.trigger(workflow)["id"]

    work(client, cost_cents=150)
    work(client, cost_cents=10)
    done = client.final(workflow, run)

    assert (done["status"], done["total_cost_cents"]) == ("failed", 160)
    assert [node["status"] for node in done["node_runs"]] == ["completed", "completed", "skipped"]
    assert done["error_message"] == "Budget of 100 cents exceeded: 160 spent, next node needs 1"


def test_without_a_budget_nothing_is_capped(client: AitaskerApi) -> None:
    workflow = client.workflow(priced(0, 10**6), priced(1, 10**6))["id"]

    assert client.final(workflow, client.trigger(workflow)["id"])["total_cost_cents"] == 2 * 10**6


def test_another_budget_counts_for_later_runs_only(client: AitaskerApi) -> None:
    workflow = client.workflow(task_node(0), priced(1, 50), max_budget_cents=100, auto_accept=True)["id"]
    first = client.trigger(workflow)["id"]
    client.until(workflow, first, lambda found: found["node_runs"][0]["task_id"])

    client.answer("PUT", f"/workflows/{workflow}", {"max_budget_cents": 10})
    work(client)
    second = client.trigger(workflow)["id"]
    work(client)

    assert client.final(workflow, first)["status"] == "completed"
    assert client.final(workflow, second)["error_message"] == (
        "Budget of 10 cents exceeded: 0 spent, next node needs 50"
    )
