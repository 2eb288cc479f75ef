"""`stepwell endpoint` and the client, against a real server and receiver."""

import json
from collections.abc import Iterator

import pytest

from contract.commands import Run, commands
from live import Api, transform
from receiving import Receiver, deliveries, receiving, tried
from stepwell.client import ApiError, Client
from stepwell.values import Json


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def run(api: Api) -> Run:
    return commands(api, "endpoint")


def added(run: Run, url: str, *args: str) -> Json:
    return json.loads(run("add", url, *args, "--json"))


def test_add_tells_the_secret_and_list_does_not(run: Run) -> None:
    told = run("add", "https://example.com/hooks", "--event", "run.failed", "--description", "Alerts")
    listed = run("list")

    assert "whsec_" in told and "whsec_" not in listed
    assert "https://example.com/hooks" in listed and "run.failed" in listed


def test_an_address_that_does_not_fit_is_told_with_its_field(run: Run) -> None:
    assert "url: Expected an http or https URL" in run("add", "nowhere", code=1)


def test_a_test_that_is_taken_and_one_that_is_not(run: Run, receiver: Receiver) -> None:
    good, bad = added(run, f"{receiver.url}/ok"), added(run, f"{receiver.url}/broken")

    assert "HTTP 200" in run("test", good["id"])
    assert "HTTP 500" in run("test", bad["id"], code=1)


def test_deliveries_are_listed_and_sent_again(api: Api, run: Run, receiver: Receiver) -> None:
    endpoint = added(run, f"{receiver.url}/once", "--event", "run.completed")
    ended = api.finish(api.workflow(transform()))
    (delivery,) = deliveries(api, endpoint, tried(1))

    listed = run("deliveries", endpoint["id"], "--status", "pending")
    again = run("retry", endpoint["id"], delivery["id"])

    receiver.until(2, "/once")
    assert delivery["id"] in listed and ended["id"] in listed and "HTTP 500" in listed
    assert delivery["id"] in again


def test_rotate_tells_another_secret(run: Run) -> None:
    endpoint = added(run, "https://example.com/hooks")

    rotated = json.loads(run("rotate", endpoint["id"], "--json"))

    assert rotated["secret"] != endpoint["secret"]
    assert "the old one signs too until" in run("rotate", endpoint["id"])


def test_enable_lets_a_disabled_endpoint_begin_anew(api: Api, run: Run, receiver: Receiver) -> None:
    endpoint = added(run, f"{receiver.url}/gone", "--event", "run.completed")
    api.finish(api.workflow(transform()))
    deliveries(api, endpoint, lambda found: bool(found) and found[0]["status"] == "failed")
    disabled = run("list")

    run("enable", endpoint["id"])

    assert "410 Gone" in disabled and "410 Gone" not in run("list")


def test_remove_takes_an_endpoint_away(run: Run) -> None:
    endpoint = added(run, "https://example.com/hooks")

    run("remove", endpoint["id"])

    assert "No endpoints" in run("list")
    assert "Webhook endpoint not found" in run("deliveries", endpoint["id"], code=1)


def test_the_client_does_not_show_a_secret_in_its_repr(api: Api) -> None:
    client = Client(api.server.url, api.key)

    made = client.endpoints.create("https://example.com/hooks", ["run.failed"])

    assert made.secret not in repr(made)
    assert client.endpoints.get(made.id).events == ["run.failed"]
    with pytest.raises(ApiError, match="Webhook endpoint not found"):
        client.endpoints.get("whe_none")
