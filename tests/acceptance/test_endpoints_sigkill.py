"""A server that is killed at random moments while runs end: what a receiver of webhooks may rely on."""

import asyncio
import os
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from acceptance.load import SETTINGS, Api, Load, many, transform, until, wait
from acceptance.processes import ServerProcess, free_port
from receiving import Got, receiving

DEATHS = 4
CLIENTS = 4
SEED = int(os.environ.get("SIGKILL_SEED", random.randrange(2**32)))
ENDS = {"completed": "run.completed", "failed": "run.failed"}


@dataclass(frozen=True)
class Aftermath:
    """What is left when the load has stopped and the last server has sent everything."""

    secret: str
    runs: dict[str, Any]
    got: list[Got]
    deliveries: list[Any]

    def messages(self) -> dict[tuple[str, str], list[Got]]:
        """What came, by run and event."""
        found = defaultdict(list)
        for got in self.got:
            told = got.verified(self.secret)
            found[told["data"]["id"], told["type"]].append(got)
        return found


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    print(f"SIGKILL_SEED={SEED}")
    yield asyncio.run(_deaths_while_runs_end(tmp_path_factory.mktemp("data")))


async def _deaths_while_runs_end(data: Path) -> Aftermath:
    chance, port = random.Random(SEED), free_port()
    with receiving() as receiver:
        async with Api(f"http://127.0.0.1:{port}") as api:
            with await _serve(data, port):
                endpoint = await api.data("POST", "/webhook-endpoints", {"url": f"{receiver.url}/ok"})
                workflows = [
                    await api.publish("quick", transform("one", n="{{input.n}}")),
                    await api.publish("rest", transform("one", n="{{input.n}}"), wait("rest", 100)),
                    await api.publish("fail", transform("one", n="{{input.n}}"), _broken("two")),
                ]
            load = Load(api, workflows, chance)
            loading = asyncio.ensure_future(load.run(CLIENTS))
            for _ in range(DEATHS):
                with await _serve(data, port):
                    await asyncio.sleep(chance.uniform(0, 0.8))
            with await _serve(data, port):
                load.stop()
                await loading
                await api.all_ended()
                path = f"/webhook-endpoints/{endpoint['id']}/deliveries"
                await until(lambda: _none_pending(api, path), "the end of all deliveries")
                details = await many(api.run(run["id"]) for run in await api.listed())
                failed = await api.data("GET", f"{path}?status=failed")
    repeats = len(receiver.got) - len({got.id for got in receiver.got})
    print(f"{DEATHS} deaths, {len(details)} runs, {len(receiver.got)} messages, {repeats} of them again after a death")
    return Aftermath(endpoint["secret"], {run["id"]: run for run in details}, receiver.got, failed)


def _broken(step: str) -> Any:
    """A step that fails: nothing listens there."""
    return {
        "id": step,
        "type": "api",
        "config": {"url": f"http://127.0.0.1:{free_port()}/"},
        "retryConfig": {"maxAttempts": 1},
    }


async def _none_pending(api: Api, path: str) -> bool:
    return not await api.data("GET", f"{path}?status=pending&limit=1")


async def _serve(data: Path, port: int) -> ServerProcess:
    return await asyncio.to_thread(ServerProcess(data, SETTINGS, port).wait_ready)


def test_the_end_of_every_run_arrives(after: Aftermath) -> None:
    wanted = {(id, ENDS[run["status"]]) for id, run in after.runs.items()}

    assert wanted == {(run, type) for run, type in after.messages() if type != "run.started"}
    assert len(after.runs) > 50


def test_the_start_of_every_run_arrives(after: Aftermath) -> None:
    assert {run for run, type in after.messages() if type == "run.started"} == set(after.runs)


def test_each_event_has_one_webhook_id_and_one_body(after: Aftermath) -> None:
    for event, messages in after.messages().items():
        assert len({(got.id, got.body) for got in messages}) == 1, event


def test_no_two_events_share_a_webhook_id(after: Aftermath) -> None:
    events = defaultdict(set)
    for event, messages in after.messages().items():
        events[messages[0].id].add(event)

    assert [each for each in events.values() if len(each) > 1] == []


def test_what_is_told_of_an_end_is_what_the_run_shows(after: Aftermath) -> None:
    for (id, type), messages in after.messages().items():
        told, run = messages[0].verified(after.secret), after.runs[id]
        if type != "run.started":
            assert (told["timestamp"], told["data"]["status"]) == (run["completedAt"], run["status"])


def test_no_delivery_was_given_up(after: Aftermath) -> None:
    assert after.deliveries == []
