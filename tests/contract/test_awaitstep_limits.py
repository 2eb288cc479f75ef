"""The limits of the AwaitStep contract, section 11, each where a client meets it."""

from typing import Any

import pytest

from awaitstep_client import AwaitstepApi, awaitstep
from awaitstep_graphs import graph, node, step
from awaitstep_runs import approval, compiled, event, final, held, trigger
from live import Api
from stepwell.values import Json

KB_100 = 102_400


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


def told(client: AwaitstepApi, ir: Json) -> list[tuple[str, str]]:
    """The faults of a version that is refused: path and message."""
    answer = client.answer("POST", f"/api/workflows/{client.create()}/versions", {"ir": ir}, 400)
    return [(detail["path"], detail["message"]) for detail in answer["details"]]


def repeated(**data: Json) -> Json:
    """A graph of one loop."""
    return graph(node("turns", "loop", **data), step("turn", "return 1"), edges="turns>turn:body")


def test_a_graph_has_at_most_500_compiled_steps(client: AwaitstepApi) -> None:
    waits = [node(f"w{number}", "wait_for_event", eventType="x") for number in range(251)]  # two steps each
    edges = " ".join(f"w{number}>w{number + 1}" for number in range(250))

    assert [message for _, message in told(client, graph(*waits, edges=edges))] == ["More than 500 compiled steps"]
    client.save(client.create(), graph(*waits[:250], edges=edges.rpartition(" ")[0]))


def test_a_loop_has_at_most_10000_turns_when_it_is_saved(client: AwaitstepApi) -> None:
    client.save(client.create(), repeated(loopType="times", count=10_000))

    expected = [("ir.nodes[0].data.count", "Expected a whole number from 0 to 10000")]
    assert told(client, repeated(loopType="times", count=10_001)) == expected


def test_a_loop_has_at_most_10000_turns_when_it_runs(client: AwaitstepApi) -> None:
    workflow = compiled(client, repeated(loopType="times", count="{{event.payload.count}}"))

    run = final(client, trigger(client, workflow, {"count": 10_001}))

    assert run["status"] == "errored"
    assert "10000" in run["error"]


@pytest.mark.parametrize(("type", "field"), [("sleep", "duration"), ("wait_for_event", "timeout")])
def test_a_sleep_or_a_wait_takes_at_most_365_days(client: AwaitstepApi, type: str, field: str) -> None:
    def ir(length: str) -> Json:
        more: dict[str, Any] = {"eventType": "x"} if type == "wait_for_event" else {}
        return graph(node("long", type, **{field: length}, **more), edges="")

    client.save(client.create(), ir("365 days"))

    assert told(client, ir("366 days")) == [(f"ir.nodes[0].data.{field}", "At most 365 days")]


def test_the_payload_of_an_event_may_have_100_kb(client: AwaitstepApi) -> None:
    workflow = compiled(client, approval())
    run = trigger(client, workflow, {"amount": 1})
    held(client, run)
    around = len(b'{"comments":""}')

    over = event(run["instanceId"], payload={"comments": "x" * (KB_100 - around + 1)})
    refused = client("POST", f"/api/workflows/{workflow}/trigger", over)
    fits = event(run["instanceId"], payload={"approved": True, "comments": "x" * (KB_100 - 200)})
    client.answer("POST", f"/api/workflows/{workflow}/trigger", fits)

    assert (refused.status_code, refused.json()["error"]) == (422, "Validation failed")
    assert final(client, run)["output"] == {"paid": 1}


def test_a_step_has_at_most_30_seconds_and_says_so(client: AwaitstepApi) -> None:
    saved = client.save(client.create(), graph(step("slow", "return 1", config={"timeout": "31 seconds"}), edges=""))

    assert "A timeout of a step is at most 30 seconds" in str(saved)


@pytest.mark.parametrize("path", ["/api/workflows", "/api/runs"])
def test_a_page_has_at_most_100_items(client: AwaitstepApi, path: str) -> None:
    assert client("GET", f"{path}?limit=100").status_code == 200
    assert client("GET", f"{path}?limit=101").status_code == 422
