"""A server under load, killed again and again at random moments: what its clients and its upstream may rely on."""

import asyncio
import os
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from acceptance.load import SETTINGS, Api, Load, api_step, many, transform, until, wait
from acceptance.processes import ServerProcess, command, free_port
from acceptance.upstream import Seen, Upstream
from stepwell.clock import parse_iso

DEATHS = 12
CLIENTS = 6
WAIT_MS = 300
LATENCY_S = 0.05  # of the upstream, so that deaths cut effects off
SEED = int(os.environ.get("SIGKILL_SEED", random.randrange(2**32)))


@dataclass(frozen=True)
class Aftermath:
    """What is left when the load has stopped and the last server has had the time to end every run."""

    data: Path
    paths: dict[str, list[str]]  # workflow id: the paths of its steps
    effects: dict[str, list[str]]  # workflow id: those that reach outside
    acknowledged: dict[str, tuple[str, str]]  # key: run, workflow
    doubled: list[str]
    listed: list[Any]
    runs: dict[str, Any]  # id: detail
    seen: list[Seen]

    @property
    def cut_off(self) -> int:
        """How many charges were sent again: nothing but a death makes that happen."""
        charges = [each.key for each in self.seen if each.path.startswith("/charge")]
        return len(charges) - len(set(charges))

    def sent(self) -> dict[tuple[str, str], list[Seen]]:
        """The requests of each effect: by the start's key and the step."""
        sent = defaultdict(list)
        for each in self.seen:
            sent[each.body["of"], each.body["step"]].append(each)
        return sent


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    print(f"SIGKILL_SEED={SEED}")
    data = tmp_path_factory.mktemp("data")
    yield asyncio.run(_deaths_under_load(data))


async def _deaths_under_load(data: Path) -> Aftermath:
    chance, port = random.Random(SEED), free_port()
    async with Upstream(latency_s=LATENCY_S) as upstream, Api(f"http://127.0.0.1:{port}") as api:
        definitions = _workflows(upstream.url)
        with await _serve(data, port):
            workflows = {await api.publish(name, *steps): steps for name, steps in definitions.items()}
        load = Load(api, list(workflows), chance)
        loading = asyncio.ensure_future(load.run(CLIENTS))
        for death in range(DEATHS):
            await _life(data, port, api, chance, hasty=death % 2 == 1)
        with await _serve(data, port):
            load.stop()
            await loading
            await api.all_ended()
            listed = await api.listed()
            details = await many(api.run(run["id"]) for run in listed)
    steps = {workflow: [step["id"] for step in each] for workflow, each in workflows.items()}
    effects = {workflow: [step["id"] for step in each if step["type"] == "api"] for workflow, each in workflows.items()}
    runs = {run["id"]: run for run in details}
    after = Aftermath(data, steps, effects, load.acknowledged, load.doubled, listed, runs, upstream.seen)
    print(
        f"{DEATHS} deaths, {len(runs)} runs, {len(upstream.seen)} requests, {after.cut_off} of them cut off by a death"
    )
    return after


async def _life(data: Path, port: int, api: Api, chance: random.Random, *, hasty: bool) -> None:
    """A server from its start to its death. A hasty one is killed at any moment, its start and recovery included. The
    others first end what they found, so that no run has three deaths in a row, which would rightly interrupt it."""
    if hasty:
        with ServerProcess(data, SETTINGS, port):
            await asyncio.sleep(chance.uniform(0, 1))
    else:
        with await _serve(data, port):
            born_ms = int(time.time() * 1000)
            await until(lambda: api.ended_before(born_ms), "the end of what was open at the start")
            await asyncio.sleep(chance.uniform(0, 1))


async def _serve(data: Path, port: int) -> ServerProcess:
    """A server that is ready; the upstream and the clients go on meanwhile."""
    return await asyncio.to_thread(ServerProcess(data, SETTINGS, port).wait_ready)


def _workflows(upstream: str) -> dict[str, list[Any]]:
    return {
        "sums": [
            transform("one", n="{{input.n | plus: 1}}"),
            transform("two", n="{{steps.one.output.n | times: 2}}"),
            transform("three", n="{{steps.two.output.n}}", key="{{input.key}}"),
        ],
        "charge": [
            transform("prepare", amount="{{input.n}}"),
            api_step("charge", f"{upstream}/charge/once"),
            transform("tell", key="{{input.key}}", id="{{steps.charge.output.data.id}}"),
        ],
        "rest": [
            api_step("before", f"{upstream}/charge/before"),
            wait("rest", WAIT_MS),
            api_step("after", f"{upstream}/charge/after"),
            transform("tell", key="{{input.key}}"),
        ],
        "flaky": [
            api_step("try", f"{upstream}/flaky/try", attempts=20, careful=False),
            transform("tell", key="{{input.key}}"),
        ],
    }


def test_every_acknowledged_start_is_there(after: Aftermath) -> None:
    assert {run for run, _ in after.acknowledged.values()} <= after.runs.keys()
    assert len(after.acknowledged) > 100


def test_no_key_was_acknowledged_with_two_runs(after: Aftermath) -> None:
    assert after.doubled == []


def test_each_key_started_one_run_and_the_list_shows_it_once(after: Aftermath) -> None:
    keys = sorted(run["input"]["key"] for run in after.runs.values())

    assert keys == sorted(after.acknowledged)
    assert len(after.listed) == len({run["id"] for run in after.listed}) == len(keys)


def test_every_run_ends_with_its_own_result(after: Aftermath) -> None:
    for key, (id, _) in after.acknowledged.items():
        run = after.runs[id]
        assert (run["status"], run["error"]) == ("completed", None), run
        assert run["output"]["key"] == key


def test_each_path_has_one_final_record(after: Aftermath) -> None:
    for run in after.runs.values():
        results = [(result["stepId"], result["status"]) for result in run["stepResults"]]
        assert results == [(path, "success") for path in after.paths[run["workflowId"]]]


def test_timers_fire_at_or_after_their_time(after: Aftermath) -> None:
    rests = [result for run in after.runs.values() for result in run["stepResults"] if result["stepId"] == "rest"]

    assert rests
    assert min(_ms(rest["completedAt"]) - _ms(rest["startedAt"]) for rest in rests) >= WAIT_MS


def test_every_effect_was_sent_and_all_its_repeats_carry_one_key(after: Aftermath) -> None:
    wanted = {
        (key, effect): {f"{run}:{effect}"}
        for key, (run, workflow) in after.acknowledged.items()
        for effect in after.effects[workflow]
    }

    assert {effect: {each.key for each in requests} for effect, requests in after.sent().items()} == wanted


def test_deaths_cut_effects_off_and_these_were_sent_again(after: Aftermath) -> None:
    assert after.cut_off > 0


def test_requests_with_equal_keys_have_equal_bodies(after: Aftermath) -> None:
    bodies = defaultdict(list)
    for each in after.seen:
        bodies[each.key].append(each.body)

    assert all(body == sent[0] for sent in bodies.values() for body in sent)


def test_an_effect_after_a_wait_is_sent_only_when_the_wait_is_over(after: Aftermath) -> None:
    sent = after.sent()
    rested = [key for key, (_, workflow) in after.acknowledged.items() if "rest" in after.paths[workflow]]

    assert rested
    for key in rested:
        assert sent[key, "after"][0].at - sent[key, "before"][0].at >= WAIT_MS


def test_the_file_is_sound(after: Aftermath) -> None:
    checked = command("db", "check", "--data", str(after.data))

    assert checked.returncode == 0, checked.stdout + checked.stderr


def _ms(time: str) -> int:
    found = parse_iso(time)
    assert found is not None
    return found
