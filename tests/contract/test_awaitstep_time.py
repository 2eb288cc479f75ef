"""What depends on time in the AwaitStep dialect, which is the test's own here: what starts a workflow by itself does so
only while that is deployed, and a run tells when it was changed. Source: AwaitStep contract 6, 7, 10.3, 13.13."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from awaitstep_client import AwaitstepApi, awaitstep, simple
from awaitstep_graphs import graph, node
from awaitstep_runs import held, trigger
from live import PATIENCE_S, Api, LiveServer, live, transform
from stepwell.auth import SCOPES
from stepwell.clock import FakeClock
from stepwell.settings import RateLimit, Server, Settings
from stepwell.values import Json, encode

AT_NINE = 1_699_952_400_000  # 2023-11-14T09:00:00Z
EACH_MINUTE = "* * * * *"
CONNECTION = {"connectionId": "conn_stepwell"}


@dataclass(frozen=True)
class Town:
    """A server whose time is the test's, and a client of it. The witness is started each minute."""

    client: AwaitstepApi
    server: LiveServer
    clock: FakeClock
    witness: str

    def minutes(self, count: int) -> None:
        """Let minutes pass one by one; what is due in one has started when the next begins."""
        for _ in range(count):
            before = len(self.runs(self.witness))
            self.server.loop.call_soon_threadsafe(self.clock.advance, 60)
            self.counted(self.witness, before + 1)

    def runs(self, workflow: str) -> list[Json]:
        """The runs of a workflow, newest first."""
        return self.client.answer("GET", f"/api/workflows/{workflow}/runs")["data"]

    def counted(self, workflow: str, count: int) -> list[Json]:
        """The runs of a workflow, once there are so many."""
        deadline = time.monotonic() + PATIENCE_S
        while len(found := self.runs(workflow)) < count:
            assert time.monotonic() < deadline, f"{len(found)} runs, not {count}"
            time.sleep(0.005)
        assert len(found) == count
        return found

    def saved(self, trigger: Json = None) -> str:
        """The id of a new workflow whose version is saved and not deployed."""
        workflow = self.client.create()
        self.client.save(workflow, simple() if trigger is None else {**simple(), "trigger": trigger})
        return workflow

    def take_down(self, workflow: str) -> None:
        self.client.answer("POST", f"/api/workflows/{workflow}/takedown", CONNECTION)


@pytest.fixture
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    clock = FakeClock(AT_NINE)
    settings = Settings(
        server=Server(data=tmp_path_factory.mktemp("data")),
        rate_limit=RateLimit(read=0, write=0, execute=0, webhooks=0),
    )
    with live(settings, clock) as server:
        core, workspace = server.parts.core, server.parts.first_workspace
        api = Api(server, workspace, server.call(core.keys.create(workspace, "admin", sorted(SCOPES))).text)
        schedule = {"type": "schedule", "cron": EACH_MINUTE, "catchUp": "all"}
        yield Town(awaitstep(api), server, clock, api.workflow({**transform(), "trigger": schedule}))
        assert server.faults == []


# -- cron


def test_a_cron_trigger_fires_while_it_is_deployed_and_not_before_or_after(town: Town) -> None:
    workflow = town.saved({"type": "cron", "cron": EACH_MINUTE})
    town.minutes(2)
    assert town.runs(workflow) == []
    town.client.deploy(workflow)

    town.minutes(2)
    town.counted(workflow, 2)
    town.take_down(workflow)

    town.minutes(2)
    assert len(town.runs(workflow)) == 2


def test_a_cron_trigger_goes_on_after_the_next_deploy(town: Town) -> None:
    workflow = town.saved({"type": "cron", "cron": EACH_MINUTE})
    town.client.deploy(workflow)
    town.take_down(workflow)
    town.minutes(1)

    town.client.deploy(workflow)

    town.minutes(1)
    town.counted(workflow, 1)


def test_each_of_the_cron_triggers_of_a_deploy_starts_runs(town: Town) -> None:
    workflow = town.saved()
    town.client.deploy(workflow, config={"cronTriggers": ["1 9 * * *", "3 9 * * *"]})

    town.minutes(1)
    town.counted(workflow, 1)
    town.minutes(1)
    assert len(town.runs(workflow)) == 1

    town.minutes(1)
    town.counted(workflow, 2)


def test_cron_triggers_stand_beside_the_trigger_of_the_graph(town: Town) -> None:
    workflow = town.saved({"type": "cron", "cron": "1 9 * * *"})
    town.client.deploy(workflow, config={"cronTriggers": ["2 9 * * *"]})

    town.minutes(2)

    town.counted(workflow, 2)


def test_cron_triggers_do_not_fire_after_a_takedown(town: Town) -> None:
    workflow = town.saved()
    town.client.deploy(workflow, config={"cronTriggers": [EACH_MINUTE]})
    town.take_down(workflow)

    town.minutes(2)

    assert town.runs(workflow) == []


def test_a_deploy_puts_its_cron_triggers_in_the_place_of_those_before(town: Town) -> None:
    workflow = town.saved()
    town.client.deploy(workflow, config={"cronTriggers": ["1 9 * * *", "2 9 * * *", "3 9 * * *"]})

    town.client.deploy(workflow, config={"cronTriggers": ["3 9 * * *"]})

    town.minutes(2)
    assert town.runs(workflow) == []
    town.minutes(1)
    town.counted(workflow, 1)


def test_the_cron_triggers_of_the_stored_settings_hold_for_each_deploy(town: Town) -> None:
    workflow = town.saved()
    town.client.answer("PATCH", f"/api/workflows/{workflow}", {"deployConfig": {"cronTriggers": ["1 9 * * *"]}})
    town.client.deploy(workflow)

    town.minutes(1)

    town.counted(workflow, 1)


def test_a_run_of_a_schedule_reads_when_it_was_due(town: Town) -> None:
    workflow = town.saved()
    town.client.deploy(workflow, config={"cronTriggers": ["1 9 * * *"]})

    town.minutes(1)

    (run,) = town.counted(workflow, 1)
    assert run["params"]["scheduledAt"] == "2023-11-14T09:01:00.000Z"


# -- event


def sent(town: Town, url: str, event: Json) -> requests.Response:
    headers = {"Content-Type": "application/json"}
    return requests.post(url, data=encode(event), headers=headers, timeout=PATIENCE_S)


def address(town: Town, workflow: str) -> str:
    """Where the events of a workflow are sent to."""
    url: str = town.client.native.data("GET", f"/workflows/{workflow.removeprefix('wf_')}")["trigger"]["url"]
    return f"{town.server.url}/{url.split('/', 3)[3]}"


def test_an_event_trigger_takes_events_of_its_type_while_it_is_deployed(town: Town) -> None:
    workflow = town.saved({"type": "event", "eventType": "order-paid"})
    town.client.deploy(workflow)
    url = address(town, workflow)

    assert sent(town, url, {"eventType": "order-paid", "n": 1}).ok
    (run,) = town.counted(workflow, 1)
    assert run["params"] == {"eventType": "order-paid", "n": 1}
    sent(town, url, {"eventType": "order-lost"})
    town.take_down(workflow)
    sent(town, url, {"eventType": "order-paid"})

    town.minutes(2)
    assert len(town.runs(workflow)) == 1


def test_a_workflow_that_was_never_deployed_has_no_address(town: Town) -> None:
    workflow = town.saved({"type": "event", "eventType": "order-paid"})

    native = town.client.native.data("GET", f"/workflows/{workflow.removeprefix('wf_')}")

    assert "url" not in native["trigger"]


# -- the time of a run


def test_a_pause_and_a_resume_move_the_time_of_a_run(town: Town) -> None:
    workflow = town.client.deployed(graph(node("wait", "wait_for_event", eventType="go"), edges=""))
    run = held(town.client, trigger(town.client, workflow))
    path = f"/api/workflows/{workflow}/runs/{run['id']}"
    times = [run["updatedAt"]]
    for verb in ("pause", "resume"):
        town.minutes(1)
        town.client.answer("POST", f"{path}/{verb}")
        times.append(town.client.answer("GET", path)["updatedAt"])

    assert times == ["2023-11-14T09:00:00.000Z", "2023-11-14T09:01:00.000Z", "2023-11-14T09:02:00.000Z"]
    (listed,) = town.client.answer("GET", f"/api/workflows/{workflow}/runs")["data"]
    assert listed["updatedAt"] == times[-1]


# -- lists


def paged(town: Town, path: str) -> list[str]:
    """The ids of a list, two at a time."""
    found: list[str] = []
    params: dict[str, Json] = {"limit": 2}
    while True:
        page = town.client.answer("GET", path, params=params)
        found += [row["id"] for row in page["data"]]
        if page["nextCursor"] is None:
            return found
        params["cursor"] = page["nextCursor"]


def test_what_was_made_at_the_same_time_is_listed_once_each(town: Town) -> None:
    made = [town.client.deployed() for _ in range(5)]
    runs = [trigger(town.client, made[0])["id"] for _ in range(5)]

    assert paged(town, "/api/workflows") == [*made[::-1], town.witness]
    assert paged(town, f"/api/workflows/{made[0]}/runs") == runs[::-1]
    assert len(set(paged(town, "/api/deployments"))) == 5
    assert {row["createdAt"] for row in town.client.answer("GET", "/api/runs")["data"]} == {"2023-11-14T09:00:00.000Z"}
