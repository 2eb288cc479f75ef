"""Events handed to runs. Source: AwaitStep contract 5.2, 13."""

import pytest

from awaitstep_client import AwaitstepApi, awaitstep
from awaitstep_graphs import graph, node, step
from awaitstep_runs import NOWHERE, TARGET, approval, compiled, event, final, held, trigger
from live import Api
from stepwell.values import Json


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


def path(workflow: str) -> str:
    return f"/api/workflows/{workflow}/trigger"


def waits(id: str, type: str = "go") -> Json:
    return node(id, "wait_for_event", eventType=type, timeout="1 hour")


def test_an_event_goes_to_the_wait_that_is_open(client: AwaitstepApi) -> None:
    workflow = compiled(client, approval())
    run = held(client, trigger(client, workflow, {"amount": 4999}))

    response = client("POST", path(workflow), event(run["instanceId"], payload={"approved": True}))

    assert (response.status_code, response.json()) == (200, {"instanceId": run["instanceId"]})
    assert response.headers["X-Stepwell-Event"] == "delivered"
    assert final(client, run)["output"] == {"paid": 4999}


def test_an_event_that_comes_before_its_wait_is_kept_for_it(client: AwaitstepApi) -> None:
    ends = step("end", "return {first: first.payload, second: second.payload}")
    workflow = compiled(client, graph(waits("first", "a"), waits("second", "b"), ends, edges="first>second second>end"))
    run = held(client, trigger(client, workflow))

    early = client("POST", path(workflow), event(run["id"], "b", {"n": 2}))
    client("POST", path(workflow), event(run["id"], "a", {"n": 1}))

    assert early.headers["X-Stepwell-Event"] == "buffered"
    assert final(client, run)["output"] == {"first": {"n": 1}, "second": {"n": 2}}


def test_two_waits_of_one_type_take_two_events_in_their_order(client: AwaitstepApi) -> None:
    ends = step("end", "return [first.payload, second.payload]")
    workflow = compiled(client, graph(waits("first"), waits("second"), ends, edges="first>second second>end"))
    run = held(client, trigger(client, workflow))

    for payload in (1, 2):
        client.answer("POST", path(workflow), event(run["id"], "go", payload))

    assert final(client, run)["output"] == [1, 2]


def test_an_event_for_a_paused_run_counts_when_it_goes_on(client: AwaitstepApi) -> None:
    workflow = compiled(client, approval())
    run = held(client, trigger(client, workflow, {"amount": 1}))
    client.answer("POST", f"/api/workflows/{workflow}/runs/{run['id']}/pause")

    response = client("POST", path(workflow), event(run["id"], payload={"approved": False}))
    client.answer("POST", f"/api/workflows/{workflow}/runs/{run['id']}/resume")

    assert response.headers["X-Stepwell-Event"] == "buffered"
    assert final(client, run)["output"] == {"paid": 0}


@pytest.mark.parametrize("instance", [NOWHERE, f"run_{NOWHERE}", "nothing"])
def test_an_unknown_instance_is_not_found(client: AwaitstepApi, instance: str) -> None:
    workflow = compiled(client, approval())

    assert client.error("POST", path(workflow), event(instance), 404) == "Instance not found"


def test_the_instance_of_another_workflow_is_not_found(client: AwaitstepApi) -> None:
    run = trigger(client, compiled(client, approval()))

    assert client.error("POST", path(compiled(client)), event(run["id"]), 404) == "Instance not found"


def test_a_run_that_has_ended_takes_no_event(client: AwaitstepApi) -> None:
    workflow = compiled(client)
    run = final(client, trigger(client, workflow))

    assert client.error("POST", path(workflow), event(run["id"]), 409) == "Run is complete"


@pytest.mark.parametrize("type", ["", "a b", "a.b", "x" * 101])
def test_a_type_is_made_of_letters_digits_and_dashes(client: AwaitstepApi, type: str) -> None:
    workflow = compiled(client, approval())
    run = trigger(client, workflow)

    answer = client.answer("POST", path(workflow), event(run["id"], type), 422)

    assert [each["path"] for each in answer["details"]] == ["params.eventType"]


def test_an_event_needs_a_connection_as_a_start_does(client: AwaitstepApi) -> None:
    workflow = compiled(client, approval())
    run = trigger(client, workflow)

    body = event(run["id"])
    assert client.error("POST", path(workflow), {**body, "connectionId": "conn_404"}, 404) == "Connection not found"
    client.answer("POST", path(workflow), {"params": body["params"]}, 422)


def test_events_reach_runs_of_a_workflow_that_was_taken_down(client: AwaitstepApi) -> None:
    workflow = compiled(client, approval())
    run = held(client, trigger(client, workflow, {"amount": 5}))
    client.native.data("POST", f"/workflows/{workflow}/pause")

    client.answer("POST", path(workflow), event(run["id"], payload={"approved": True}))

    assert final(client, run)["output"] == {"paid": 5}


def test_mode_start_takes_the_two_names_as_plain_data(client: AwaitstepApi) -> None:
    workflow = compiled(client)
    params = {"instanceId": "i", "eventType": "e"}

    run = client.answer("POST", path(workflow), {"connectionId": TARGET, "params": params, "mode": "start"}, 201)

    assert run["params"] == params


@pytest.mark.parametrize("params", [{"instanceId": "i"}, {"eventType": "e"}, {"instanceId": 1, "eventType": "e"}])
def test_params_with_one_of_the_names_start_a_run(client: AwaitstepApi, params: Json) -> None:
    assert trigger(client, compiled(client), params)["params"] == params


def test_an_event_of_a_key_is_kept_once(client: AwaitstepApi) -> None:
    ends = step("end", "return [first.payload, second.payload]")
    workflow = compiled(client, graph(waits("first"), waits("second"), ends, edges="first>second second>end"))
    run = held(client, trigger(client, workflow))

    sent = [
        client("POST", path(workflow), event(run["id"], "go", payload), headers={"Idempotency-Key": key})
        for key, payload in (("one", 1), ("one", 1), ("two", 2))
    ]

    assert [each.status_code for each in sent] == [200, 200, 200]
    assert sent[0].headers["X-Stepwell-Event"] == sent[1].headers["X-Stepwell-Event"] == "delivered"
    assert final(client, run)["output"] == [1, 2]


def test_a_key_is_answered_as_before_when_its_run_has_ended(client: AwaitstepApi) -> None:
    workflow, headers = compiled(client, approval()), {"Idempotency-Key": "decided"}
    run = held(client, trigger(client, workflow, {"amount": 1}))
    body = event(run["id"], payload={"approved": True})
    first = client("POST", path(workflow), body, headers=headers)
    final(client, run)

    again = client("POST", path(workflow), body, headers=headers)

    assert (again.status_code, again.json()) == (first.status_code, first.json()) == (200, first.json())
    assert again.headers["X-Stepwell-Event"] == first.headers["X-Stepwell-Event"] == "delivered"


def test_a_key_that_was_refused_counts_when_it_is_sent_again(client: AwaitstepApi) -> None:
    ends = step("end", "return [first.payload, second.payload]")
    workflow = compiled(client, graph(waits("first"), waits("second"), ends, edges="first>second second>end"))
    run, headers = held(client, trigger(client, workflow)), {"Idempotency-Key": "one"}

    client.answer("POST", path(workflow), event(run["id"], "no type", 0), 422, headers=headers)
    for number, key in enumerate(("one", "two"), 1):
        client.answer("POST", path(workflow), event(run["id"], "go", number), headers={"Idempotency-Key": key})

    assert final(client, run)["output"] == [1, 2]


def test_one_wait_is_delivered_one_event(client: AwaitstepApi) -> None:
    ends = step("end", "return [first.payload, second.payload]")
    workflow = compiled(client, graph(waits("first"), waits("second"), ends, edges="first>second second>end"))
    run = held(client, trigger(client, workflow))
    client.answer("POST", f"/api/workflows/{workflow}/runs/{run['id']}/pause")
    for number in (1, 2):
        kept = client("POST", path(workflow), event(run["id"], "go", number))
        assert kept.headers["X-Stepwell-Event"] == "buffered"

    client.answer("POST", f"/api/workflows/{workflow}/runs/{run['id']}/resume")

    assert final(client, run)["output"] == [1, 2]


def test_a_run_keeps_a_thousand_events_that_nothing_has_taken(client: AwaitstepApi) -> None:
    workflow = compiled(client, approval())
    run = held(client, trigger(client, workflow, {"amount": 2}))
    server, workspace = client.native.server, client.native.workspace
    send = server.parts.core.signals.send

    async def fill() -> None:
        for _ in range(999):
            await send(workspace, run["instanceId"], "other", None)

    server.call(fill())

    client.answer("POST", path(workflow), event(run["id"], "other"))
    full = client.error("POST", path(workflow), event(run["id"], "other"), 409)

    assert full == "Event buffer is full"


def test_the_payload_of_the_twin_may_have_100_kb(client: AwaitstepApi) -> None:
    workflow = compiled(client, approval())
    run = held(client, trigger(client, workflow))
    twin = f"/api/v1/workflows/{workflow}/runs/{run['instanceId']}/events"
    sizes = (102_398, 102_399)  # and two quotes

    told = [client("POST", twin, {"eventType": "other", "payload": "x" * size}).status_code for size in sizes]

    assert told == [200, 422]


def test_the_twin_says_whether_a_wait_was_open(client: AwaitstepApi) -> None:
    workflow = compiled(client, approval())
    run = held(client, trigger(client, workflow, {"amount": 3}))
    twin = f"/api/v1/workflows/{workflow}/runs/{run['instanceId']}/events"

    kept = client.answer("POST", twin, {"eventType": "other"})
    taken = client.answer("POST", twin, {"eventType": "approval-decision", "payload": {"approved": True}})

    instance = run["instanceId"]
    assert kept == {"instanceId": instance, "delivered": False}
    assert taken == {"instanceId": instance, "delivered": True}
    assert final(client, run)["output"] == {"paid": 3}
    client.answer("POST", twin, {"eventType": "a b"}, 422)
