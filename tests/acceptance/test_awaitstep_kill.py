"""A server that is killed right after it has taken an event. Source: AwaitStep contract 13, check 6."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from acceptance.load import Answer, until
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


async def test_an_event_of_a_key_counts_once_if_the_server_dies_before_its_answer_is_read(place: Place) -> None:
    server = await place.serve()
    waits = [{"id": id, "type": "wait_for_event", "config": {"eventType": "go"}} for id in ("first", "second")]
    mapping = {id: f"{{{{steps.{id}.output.payload.n}}}}" for id in ("first", "second")}
    workflow = await place.api.publish(
        "kill", *waits, {"id": "end", "type": "transform", "config": {"mapping": mapping}}
    )
    run = (await place.api.whole("POST", f"/workflows/{workflow}/run", {"input": {}}))["data"]["runId"]
    await until(lambda: _waits(place, run), "the first wait")

    def send(key: str, payload: Any) -> Coroutine[Any, Any, Answer]:
        body = {"eventType": "go", "payload": payload}
        return place.api.ask("POST", f"/workflows/{workflow}/runs/{run}/events", body, key=key)

    first = asyncio.ensure_future(send("one", {"n": 1, "mark": "in the log"}))
    await until(lambda: _logged(place, b"in the log"), "the commit")
    server.kill()
    await asyncio.gather(first, return_exceptions=True)  # an answer that came all the same is lost on the way
    await place.serve()
    await until(lambda: _waits_at(place, workflow, run, "second"), "the second wait")
    again = await send("one", {"n": 1})
    await send("two", {"n": 2})
    await until(lambda: _ended(place, run), "the end")

    assert (again.status, again.body["delivered"], again.headers["X-Stepwell-Event"]) == (200, True, "delivered")
    assert (await place.api.data("GET", f"/runs/{run}"))["output"] == {"first": 1, "second": 2}


async def _waits(place: Place, run: str) -> bool:
    return bool((await place.api.data("GET", f"/runs/{run}"))["status"] == "suspended")


async def _ended(place: Place, run: str) -> bool:
    return (await place.api.data("GET", f"/runs/{run}"))["status"] in ("completed", "failed")


async def _logged(place: Place, mark: bytes) -> bool:
    return mark in place.wal.read_bytes()


async def _waits_at(place: Place, workflow: str, run: str, step: str) -> bool:
    found = await place.api.whole("GET", f"/workflows/{workflow}/runs/{run}")
    return [wait["nodeId"] for wait in found["waitingFor"]] == [step]
