"""`stepwell budget` and the client's budgets, against a real server."""

import json

import pytest

from contract.commands import Run, commands
from live import Api, transform
from stepwell.client import ApiError, Client


@pytest.fixture
def run(api: Api) -> Run:
    return commands(api, "budget")


def spend(api: Api, cents: int) -> None:
    """Let a run cost so much."""
    step = {"id": "a", "type": "transform", "config": {"mapping": {"x": 1}}, "costCents": cents}
    api.finish(api.workflow(transform(steps=[step])), input={})


def test_a_budget_is_set_shown_and_cleared(api: Api, run: Run) -> None:
    run("set", "500", "--over-budget", "ask")
    spend(api, 30)

    shown = json.loads(run("show", "--json"))
    assert (shown["amountCents"], shown["overBudget"], shown["spentCents"]) == (500, "ask", 30)
    assert "500" in run("show")

    assert run("clear").strip() == "The budget is removed."
    run("show", code=1)


def test_a_key_has_a_budget_of_its_own(api: Api, run: Run) -> None:
    key = api.data("POST", "/admin/keys", {"name": "worker", "scopes": ["runs:read"]})["id"]

    run("set", "7", "--key", key)

    assert json.loads(run("show", "--key", key, "--json"))["amountCents"] == 7
    run("show", code=1)  # the workspace's


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["set", "--", "-1"], "greater than or equal to 0"),
        (["set", "x"], "unable to parse string as an integer"),
        (["set", "1", "--over-budget", "warn"], "stop"),
    ],
)
def test_what_is_no_budget_is_refused(run: Run, args: list[str], told: str) -> None:
    assert told in " ".join(run(*args, code=2).replace("│", " ").split())


def test_a_key_that_there_is_not_is_told(run: Run) -> None:
    assert "not found" in run("set", "1", "--key", "key_018bcfe5-6800-7000-a897-7ff494d2efb7", code=1).lower()


def test_the_client_sets_reads_and_clears_budgets(api: Api) -> None:
    client = Client(api.server.url, api.key)

    made = client.budgets.set(25, over_budget="stop")
    read = client.budgets.get()
    client.budgets.clear()

    with pytest.raises(ApiError, match="not found"):
        client.budgets.get()
    assert made == read
    assert (read.amount_cents, read.over_budget) == (25, "stop")
