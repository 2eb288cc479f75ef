"""What endpoints are sent when something happens to runs, read with the library of Standard Webhooks."""

from collections.abc import Iterator

import pytest

from contract.flows import approval, begun, broken, flow, suspended
from live import Api, NewApi, failing, live, transform, waiting
from receiving import Receiver, deliveries, listen, receiving, tried
from stepwell.settings import Admin, Server, Settings
from stepwell.values import Json


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def sent(api: Api, receiver: Receiver, endpoint: Json, count: int) -> list[Json]:
    """So many verified messages, by the order of what they tell."""
    told = [got.verified(endpoint["secret"]) for got in receiver.until(count)]
    return sorted(told, key=lambda message: (message["timestamp"], message["type"] != "run.started"))


def test_a_run_tells_that_it_started_and_completed(api: Api, receiver: Receiver) -> None:
    endpoint = listen(api, f"{receiver.url}/ok")

    run = api.finish(api.workflow(transform()))

    started, completed = sent(api, receiver, endpoint, 2)
    (item,) = api.data("GET", "/runs")
    assert (completed["type"], completed["timestamp"], completed["data"]) == (
        "run.completed",
        run["completedAt"],
        item,
    )
    assert (started["type"], started["timestamp"]) == ("run.started", run["startedAt"])
    assert started["data"] == {**item, "status": "running", "completedAt": None, "durationMs": None}


def test_a_message_is_json_with_the_headers_of_the_standard(api: Api, receiver: Receiver) -> None:
    listen(api, f"{receiver.url}/ok", "run.completed")

    api.finish(api.workflow(transform()))

    (got,) = receiver.until(1)
    assert got.headers["content-type"] == "application/json"
    assert got.id.startswith("dlv_")
    assert got.headers["webhook-timestamp"].isdigit()
    assert got.headers["webhook-signature"].startswith("v1,")
    assert got.headers["user-agent"].startswith("Stepwell/")


def test_a_run_that_fails_tells_its_error(api: Api, receiver: Receiver) -> None:
    endpoint = listen(api, f"{receiver.url}/ok", "run.failed")

    api.finish(api.workflow(failing()))

    (failed,) = sent(api, receiver, endpoint, 1)
    assert (failed["data"]["status"], failed["data"]["error"]["code"]) == ("failed", "CONNECTION_MISSING")


def test_a_run_over_its_time_tells_that_it_failed(api: Api, receiver: Receiver) -> None:
    endpoint = listen(api, f"{receiver.url}/ok", "run.failed")

    api.finish(api.workflow({**waiting(), "settings": {"timeoutMs": 1000}}))

    (failed,) = sent(api, receiver, endpoint, 1)
    assert (failed["type"], failed["data"]["status"]) == ("run.failed", "timeout")
    assert failed["data"]["error"]["code"] == "TIMEOUT"


def test_a_run_that_is_cancelled_tells_so(api: Api, receiver: Receiver) -> None:
    endpoint = listen(api, f"{receiver.url}/ok", "run.cancelled")
    run = api.start(api.workflow(waiting()))

    api.data("POST", f"/runs/{run}/cancel")

    (cancelled,) = sent(api, receiver, endpoint, 1)
    assert (cancelled["data"]["id"], cancelled["data"]["status"]) == (run, "cancelled")


def test_a_run_that_waits_for_an_approval_tells_that_it_is_suspended(api: Api, receiver: Receiver) -> None:
    endpoint = listen(api, f"{receiver.url}/ok", "run.suspended")

    run = begun(api, approval())
    suspended(api, run)

    (told,) = sent(api, receiver, endpoint, 1)
    assert (told["data"]["id"], told["data"]["status"]) == (run, "suspended")


def test_a_run_that_is_paused_tells_that_it_is_suspended(api: Api, receiver: Receiver) -> None:
    endpoint = listen(api, f"{receiver.url}/ok", "run.suspended")
    run = api.start(api.workflow(waiting()))

    api.data("POST", f"/runs/{run}/pause")

    (told,) = sent(api, receiver, endpoint, 1)
    assert (told["data"]["id"], told["data"]["status"]) == (run, "suspended")


def test_an_endpoint_hears_only_what_it_asked_for(api: Api, receiver: Receiver) -> None:
    listen(api, f"{receiver.url}/ok", "run.failed")

    api.finish(api.workflow(transform()))
    api.finish(api.workflow(flow(broken("a"))))

    (got,) = receiver.until(1)
    assert b'"run.failed"' in got.body


def test_another_workspace_hears_nothing(api: Api, new_api: NewApi, receiver: Receiver) -> None:
    other = new_api()
    theirs = listen(other, f"{receiver.url}/theirs", "run.completed")
    listen(api, f"{receiver.url}/ok", "run.completed")

    api.finish(api.workflow(transform()))

    receiver.until(1)
    assert deliveries(other, theirs) == []


def test_redirects_are_not_followed(api: Api, receiver: Receiver) -> None:
    endpoint = listen(api, f"{receiver.url}/moved", "run.completed")

    api.finish(api.workflow(transform()))

    (delivery,) = deliveries(api, endpoint, tried(1))
    assert (delivery["status"], delivery["responseStatus"]) == ("pending", 302)
    assert receiver.at("/ok") == []


def test_410_disables_an_endpoint_with_its_reason(api: Api, receiver: Receiver) -> None:
    endpoint = listen(api, f"{receiver.url}/gone", "run.completed")

    api.finish(api.workflow(transform()))

    (delivery,) = deliveries(api, endpoint, lambda found: bool(found) and found[0]["status"] == "failed")
    kept = api.data("GET", f"/webhook-endpoints/{endpoint['id']}")
    enabled = api.data("PUT", f"/webhook-endpoints/{endpoint['id']}", {"enabled": True})
    assert (delivery["attempts"], delivery["responseStatus"]) == (1, 410)
    assert (kept["enabled"], kept["disabledReason"]) == (False, "The receiver answered 410 Gone")
    assert kept["failingSince"] is not None
    assert (enabled["enabled"], enabled["disabledReason"], enabled["failingSince"]) == (True, None, None)


def test_a_slow_receiver_holds_up_nobody_else(api: Api, receiver: Receiver) -> None:
    listen(api, f"{receiver.url}/slow", "run.completed")
    listen(api, f"{receiver.url}/ok", "run.completed")
    workflow = api.workflow(transform())

    for _ in range(20):
        api.finish(workflow)

    receiver.until(20)
    assert len(receiver.at("/slow")) == 4


def test_a_private_address_is_refused_by_the_rule_of_egress(
    tmp_path_factory: pytest.TempPathFactory, receiver: Receiver
) -> None:
    key = "wfk_admin-key-of-a-server-that-keeps-out"
    settings = Settings(server=Server(data=tmp_path_factory.mktemp("data")), admin=Admin(key=key))
    with live(settings) as server:
        api = Api(server, server.parts.first_workspace, key)
        endpoint = listen(api, f"{receiver.url}/ok")

        told = api.data("POST", f"/webhook-endpoints/{endpoint['id']}/test")

    assert (told["ok"], told["responseStatus"]) == (False, None)
    assert "refused" in told["error"] and "loopback" in told["error"]
    assert receiver.got == []
