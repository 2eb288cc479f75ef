"""The AITasker dialect while time passes: leases, retries, time limits, schedules, keys that end. Source: AITasker
contract 2, 6, 7, 8.1, 12."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from aitasker_client import AitaskerApi, aitasker, detail, shape_node, task_node
from answering import Answering
from live import PATIENCE_S, Api, LiveServer, live, waiting
from stepwell.auth import SCOPES
from stepwell.clock import FakeClock, iso
from stepwell.settings import Egress, RateLimit, Server, Settings
from stepwell.values import Json

WEEK_S = 7 * 24 * 3600


@dataclass(frozen=True)
class Town:
    """A server whose time is the test's, and a client of it."""

    client: AitaskerApi
    server: LiveServer
    clock: FakeClock

    def passes(self, seconds: float) -> None:
        """Let time pass in the server."""
        self.server.loop.call_soon_threadsafe(self.clock.advance, seconds)

    def started(self, *nodes: Json, **fields: Json) -> tuple[str, str]:
        """A workflow of nodes and a run of it."""
        workflow = self.client.workflow(*nodes, **fields)["id"]
        return workflow, self.client.trigger(workflow)["id"]

    def claim(self, **body: Json) -> Any:
        """The task that a worker gets once there is one."""
        deadline = time.monotonic() + PATIENCE_S
        while not (task := self.client("POST", self.client.ws("/tasks/claim"), {"worker_id": "w", **body})).content:
            assert time.monotonic() < deadline, "no task"
            time.sleep(0.005)
        return task.json()

    def runs(self, workflow: str, count: int) -> list[Json]:
        """The runs of a workflow, once there are so many."""
        deadline = time.monotonic() + PATIENCE_S
        while len(found := self.client.answer("GET", f"/workflows/{workflow}/runs")) < count:
            assert time.monotonic() < deadline, f"{len(found)} runs, not {count}"
            time.sleep(0.005)
        return found


@pytest.fixture
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    clock = FakeClock()
    settings = Settings(
        server=Server(data=tmp_path_factory.mktemp("data")),
        egress=Egress(allow_private=True),
        rate_limit=RateLimit(read=0, write=0, execute=0, webhooks=0),
    )
    with live(settings, clock) as server:
        core, workspace = server.parts.core, server.parts.first_workspace
        api = Api(server, workspace, server.call(core.keys.create(workspace, "admin", sorted(SCOPES))).text)
        yield Town(aitasker(api), server, clock)
        assert server.faults == []


def status(town: Town, task: Json, wanted: str) -> Any:
    """A task, once it has a status."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := town.client.answer("GET", town.client.ws(f"/tasks/{task['id']}")))["status"] != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.005)
    return found


def test_a_lease_that_ends_opens_the_task_and_uses_an_attempt(town: Town) -> None:
    workflow, run = town.started(task_node(max_retries=1))
    first = town.claim(lease_seconds=30)
    town.passes(31)
    status(town, first, "open")

    late = town.client(
        "POST",
        town.client.ws(f"/tasks/{first['id']}/complete"),
        {"claim_token": first["claim_token"], "output_data": {}},
    )
    second = town.claim(lease_seconds=30)
    town.passes(31)
    done = town.client.final(workflow, run)

    assert detail(late, 409) == "Claim is not held"
    assert second["id"] == first["id"]
    assert done["error_message"].startswith("Node 0 (Do it) failed after 2 attempts: ")
    assert len(done["node_runs"]) == 1


def test_a_heartbeat_keeps_a_lease_from_ending(town: Town) -> None:
    town.started(task_node())
    task = town.claim(lease_seconds=30)
    path = town.client.ws(f"/tasks/{task['id']}")

    held = town.client.answer("POST", f"{path}/heartbeat", {"claim_token": task["claim_token"], "lease_seconds": 300})
    town.passes(60)
    delivered = town.client.answer("POST", f"{path}/complete", {"claim_token": task["claim_token"], "output_data": {}})

    assert held == {"lease_expires_at": iso(town.clock.now_ms() - 60_000 + 300_000)}
    assert delivered["status"] == "review"


def test_a_lease_is_five_minutes_if_nothing_is_said(town: Town) -> None:
    town.started(task_node())

    assert town.claim()["lease_expires_at"] == iso(town.clock.now_ms() + 300_000)


@pytest.mark.parametrize(("config", "seconds"), [(None, WEEK_S), ({"timeoutSeconds": 60}, 60)])
def test_a_task_that_nobody_does_fails_with_the_time_of_its_node(town: Town, config: Json, seconds: int) -> None:
    workflow, run = town.started(task_node(node_config=config))
    town.client.until(workflow, run, lambda found: found["status"] == "waiting")
    town.passes(seconds - 1)
    assert town.client.run(workflow, run)["status"] == "waiting"

    town.passes(2)
    done = town.client.final(workflow, run)

    assert (done["status"], done["node_runs"][0]["status"]) == ("failed", "failed")
    [task] = town.client.answer("GET", town.client.ws("/tasks"))
    assert task["status"] == "failed"


@pytest.mark.parametrize(("retries", "delays"), [(0, []), (1, [1]), (5, [1, 2, 4, 8, 16])])
def test_retries_come_after_a_second_and_then_after_twice_as_long(
    town: Town, upstream: Answering, retries: int, delays: list[int]
) -> None:
    upstream.statuses = [400] * 9
    config = {"provider": "http", "params": {"url": upstream.url}}
    node = {"position": 0, "node_type": "api_call", "node_config": config, "max_retries": retries}
    workflow, run = town.started(node)

    def failed(attempts: int) -> bool:
        costs = town.client.answer("GET", town.client.ws(f"/workflows/{workflow}/runs/{run}/costs"))
        if costs["nodes"][0]["attempts"] != attempts:
            return False
        return bool(town.client.run(workflow, run)["node_runs"][0]["status"] == "waiting")

    for attempt, delay in enumerate(delays, 1):
        town.client.until(workflow, run, lambda _, attempt=attempt: failed(attempt))
        town.passes(delay - 0.1)
        assert len(upstream.seen) == attempt
        town.passes(0.1)
    done = town.client.final(workflow, run)

    times = "attempt" if retries == 0 else "attempts"
    assert len(upstream.seen) == retries + 1
    assert f"failed after {retries + 1} {times}: " in done["error_message"]
    assert len(done["node_runs"]) == 1


def test_a_run_that_takes_too_long_has_failed_and_says_so(town: Town) -> None:
    workflow = town.client.native.workflow({**waiting(), "settings": {"timeoutMs": 60_000}}).removeprefix("wf_")
    run = town.client.trigger(workflow)["id"]
    town.client.until(workflow, run, lambda found: found["started_at"] is not None)

    town.passes(61)
    done = town.client.final(workflow, run)

    assert (done["status"], done["error_message"]) == ("failed", "Run timed out after 60 s")


def test_a_schedule_starts_runs_while_its_workflow_is_active(town: Town) -> None:
    config = {"cron": "* * * * *", "timezone": "UTC"}
    scheduled, witness = (
        town.client.workflow(shape_node(), trigger_type="schedule", trigger_config=config)["id"] for _ in range(2)
    )

    town.passes(60)
    [run] = town.runs(scheduled, 1)
    town.runs(witness, 1)
    town.client.answer("PUT", f"/workflows/{scheduled}", {"status": "paused"})
    town.passes(60)
    town.runs(witness, 2)

    assert run["triggered_by"] == "schedule"
    assert len(town.runs(scheduled, 1)) == 1


def test_a_key_past_its_date_is_an_invalid_token(town: Town) -> None:
    keys, expires = town.server.parts.core.keys, town.clock.now_ms() + 60_000
    made = town.server.call(
        keys.create(town.client.workspace, "short", ["runs:read"], dialect="aitasker", expires_at=expires)
    )
    headers = {"Authorization": f"Bearer {made.text}"}
    assert town.client("GET", town.client.ws(), headers=headers).status_code == 200

    town.passes(61)
    town.server.call(_turn())

    assert detail(town.client("GET", town.client.ws(), headers=headers), 401) == "Invalid token"


async def _turn() -> None:
    """Done when what the loop was told before is done."""
