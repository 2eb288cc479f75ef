"""A server that is killed right after it has taken an event. Source: AwaitStep contract 13, check 6."""

from pathlib import Path

from acceptance.load import until
from acceptance.place import Place


async def test_an_event_that_was_answered_counts_after_a_death(place: Place, tmp_path: Path) -> None:
    server = await place.serve()
    wait = {"id": "decision", "type": "wait_for_event", "config": {"eventType": "approval-decision"}}
    shape = {
        "id": "pay",
        "type": "transform",
        "config": {"mapping": {"ok": "{{steps.decision.output.payload.approved}}"}},
    }
    workflow = await place.api.publish("kill", wait, shape)
    run = (await place.api.whole("POST", f"/workflows/{workflow}/run", {"input": {}}))["data"]["runId"]
    await until(lambda: _waits(place, run), "the wait")

    sent = await place.api.ask(
        "POST",
        f"/workflows/{workflow}/runs/{run}/events",
        {"eventType": "approval-decision", "payload": {"approved": True}},
    )
    server.kill()

    assert (sent.status, sent.body) == (200, {"instanceId": run.removeprefix("run_"), "delivered": True})
    await place.serve()
    await until(lambda: _ended(place, run), "the end")
    found = await place.api.data("GET", f"/runs/{run}")
    assert (found["status"], found["output"]) == ("completed", {"ok": True})


async def _waits(place: Place, run: str) -> bool:
    return bool((await place.api.data("GET", f"/runs/{run}"))["status"] == "suspended")


async def _ended(place: Place, run: str) -> bool:
    return (await place.api.data("GET", f"/runs/{run}"))["status"] in ("completed", "failed")
