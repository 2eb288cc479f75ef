"""A server that is killed again and again under a stream of webhooks: what was acknowledged has its run, once."""

import asyncio
import io
import itertools
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from acceptance.load import GONE, LOOK_S, SETTINGS, Api, many, transform
from acceptance.processes import ServerProcess, free_port
from stepwell.triggers import SCHEMES, Inbound
from stepwell.values import encode

DEATHS = 4
SENDERS = 3
SECRET = "a-secret-of-the-acceptance-tests"
SEED = int(os.environ.get("SIGKILL_SEED", random.randrange(2**32)))


@dataclass
class Stream:
    """Senders that repeat an event with an id until it is acknowledged, and send one without an id once."""

    url: str
    acknowledged: dict[str, str] = field(default_factory=dict)  # what was sent: event id of the first answer
    differing: list[str] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)  # events without an id whose answer never came
    stopped: bool = False

    async def run(self) -> None:
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            for sender in range(SENDERS):
                group.create_task(self._send_all(session, sender))

    async def _send_all(self, session: aiohttp.ClientSession, sender: int) -> None:
        for number in itertools.count():
            if self.stopped:
                return
            named = number % 4 != 0
            event = f"{'named' if named else 'nameless'}-{sender}-{number}"
            while not await self._send(session, event, named=named) and named:  # noqa: ASYNC110 - a process is asked
                await asyncio.sleep(LOOK_S)

    async def _send(self, session: aiohttp.ClientSession, event: str, *, named: bool) -> bool:
        body = encode({"event": event})
        headers = SCHEMES["hmac-sha256"].sign(
            Inbound(method="POST", url="", headers={}, query={}, body=body), SECRET, 0
        )
        if named:
            headers["x-event-id"] = event
        try:
            async with session.post(
                self.url, data=io.BytesIO(body), headers=headers, timeout=aiohttp.ClientTimeout(5)
            ) as answer:
                told = await answer.json()
        except GONE:
            self.lost |= set() if named else {event}
            return False
        if answer.status != 200:
            assert answer.status == 503, told  # honest: nothing was acknowledged
            return False
        first = self.acknowledged.setdefault(event, told["eventId"])
        if first != told["eventId"]:
            self.differing.append(event)
        return True


@dataclass(frozen=True)
class Aftermath:
    """What is left when the stream has ended and the last server has had the time to end every run."""

    stream: Stream
    runs: Counter[str]  # how many runs each event has
    deliveries: dict[str, Any]  # by event: the delivery that it was acknowledged with


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    print(f"SIGKILL_SEED={SEED}")
    yield asyncio.run(_deaths_under_a_stream(tmp_path_factory.mktemp("data")))


async def _deaths_under_a_stream(data: Path) -> Aftermath:
    chance, port = random.Random(SEED), free_port()
    async with Api(f"http://127.0.0.1:{port}") as api:
        with await _serve(data, port):
            stream = Stream(await _listening(api))
        streaming = asyncio.ensure_future(stream.run())
        for _ in range(DEATHS):
            with await _serve(data, port):
                await asyncio.sleep(chance.uniform(0.05, 0.6))
        with await _serve(data, port):
            stream.stopped = True
            await streaming
            await api.all_ended()
            runs = await many(api.run(run["id"]) for run in await api.listed())
            shown = await many(api.data("GET", f"/webhook-deliveries/{id}") for id in stream.acknowledged.values())
    print(f"{DEATHS} deaths, {len(stream.acknowledged)} events acknowledged, {len(stream.lost)} answers lost")
    counts = Counter(str(run["input"]["event"]) for run in runs if run["status"] == "completed")
    return Aftermath(stream, counts, dict(zip(stream.acknowledged, shown, strict=True)))


async def _listening(api: Api) -> str:
    """Where an active workflow takes signed webhooks."""
    signature = {"scheme": "hmac-sha256", "secrets": ["{{secrets.HOOK}}"]}
    trigger = {"type": "webhook", "path": "stream", "signature": signature}
    document = {"name": "Stream", "trigger": trigger, "steps": [transform("take", event="{{input.event}}")]}
    workflow = await api.data("POST", "/workflows", document)
    await api.data("POST", f"/workflows/{workflow['id']}/secrets", {"key": "HOOK", "value": SECRET})
    active = await api.data("POST", f"/workflows/{workflow['id']}/activate")
    url: str = active["trigger"]["url"]
    return url


async def _serve(data: Path, port: int) -> ServerProcess:
    return await asyncio.to_thread(ServerProcess(data, SETTINGS, port).wait_ready)


def test_every_acknowledged_event_has_one_run(after: Aftermath) -> None:
    assert {event: after.runs[event] for event in after.stream.acknowledged} == dict.fromkeys(
        after.stream.acknowledged, 1
    )
    assert len(after.stream.acknowledged) > 100


def test_no_event_has_two_runs(after: Aftermath) -> None:
    assert {event: count for event, count in after.runs.items() if count > 1} == {}


def test_an_answer_that_was_lost_leaves_one_run_or_none(after: Aftermath) -> None:
    assert set(after.runs) - set(after.stream.acknowledged) <= after.stream.lost


def test_an_event_is_acknowledged_with_one_id(after: Aftermath) -> None:
    assert after.stream.differing == []


def test_each_delivery_shows_its_run(after: Aftermath) -> None:
    for event, delivery in after.deliveries.items():
        assert delivery["body"] == {"event": event}
        assert [result["status"] for result in delivery["results"]] == ["started"], delivery
        assert delivery["status"] == "processed"
