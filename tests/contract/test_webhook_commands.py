"""`stepwell webhook` and the client, against a real server."""

import json

import pytest

from contract.commands import Run, commands
from contract.hooks import delivery, listening, path_of, runs_of, send, taken
from live import Api


@pytest.fixture
def run(api: Api) -> Run:
    return commands(api, "webhook")


@pytest.fixture
def workflow(api: Api) -> str:
    return api.workflow(listening({"path": "orders", "events": ["order.*"]}))


def test_deliveries_are_listed_and_filtered(api: Api, run: Run, workflow: str) -> None:
    path = path_of(api, workflow)
    paid = taken(send(api, path, {"type": "order.paid"}))
    other = taken(send(api, path, {"type": "else"}), 0)

    shown = run("deliveries")
    ignored = json.loads(run("deliveries", "--status", "ignored", "--workflow", workflow, "--json"))

    assert paid in shown
    assert "order.paid" in shown
    assert [each["id"] for each in ignored] == [other]
    assert run("deliveries", "--provider", "stripe").strip() == "No deliveries."


def test_a_delivery_is_shown_with_its_runs(api: Api, run: Run, workflow: str) -> None:
    event = taken(send(api, path_of(api, workflow), {"type": "order.paid", "n": 7}, X_Shop="Berlin"))
    (started,) = runs_of(api, workflow)

    shown = run("show", event)

    for part in (event, "processed", "x-shop: Berlin", '"n": 7', started["id"], workflow):
        assert part in shown
    known = delivery(api, event)
    del known["eventId"]  # the same as the id
    assert json.loads(run("show", event, "--json")) == known


def test_a_delivery_is_replayed(api: Api, run: Run, workflow: str) -> None:
    event = taken(send(api, path_of(api, workflow), {"type": "order.paid"}))

    assert "runs started: 1" in run("replay", event)
    assert len(runs_of(api, workflow)) == 2


def test_another_workflow_is_started_on_a_delivery(api: Api, run: Run, workflow: str) -> None:
    event = taken(send(api, path_of(api, workflow), {"type": "order.paid"}))
    other = api.workflow({**listening({}), "trigger": {"type": "api"}})

    shown = run("replay", event, "--workflow", other)

    (started,) = runs_of(api, other)
    assert shown.strip() == f"{started['id']}  started"


def test_an_unknown_delivery_is_told(run: Run) -> None:
    assert "Delivery not found (NOT_FOUND)" in run("show", "evt_nothing", code=1)
