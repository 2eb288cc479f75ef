"""Keys past their date, and what falls due while a run is paused, by a clock of the test's own. Source: AwaitStep
contract 2, 7."""

from collections.abc import Iterator

import pytest
import requests

from awaitstep_client import AwaitstepApi, awaitstep
from awaitstep_graphs import graph, node, step
from awaitstep_runs import compiled, final, held, trigger
from live import PATIENCE_S, Api, live
from stepwell.auth import SCOPES
from stepwell.clock import FakeClock
from stepwell.settings import RateLimit, Server, Settings

NOON = 1_699_963_200_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture
def client(tmp_path_factory: pytest.TempPathFactory, clock: FakeClock) -> Iterator[AwaitstepApi]:
    settings = Settings(
        server=Server(data=tmp_path_factory.mktemp("data")),
        rate_limit=RateLimit(read=0, write=0, execute=0, webhooks=0),
    )
    with live(settings, clock) as server:
        core, workspace = server.parts.core, server.parts.first_workspace
        yield awaitstep(Api(server, workspace, server.call(core.keys.create(workspace, "a", sorted(SCOPES))).text))
        assert server.faults == []


def passes(client: AwaitstepApi, clock: FakeClock, seconds: int) -> None:
    async def advance() -> None:
        clock.advance(seconds)

    client.native.server.call(advance())


def test_a_key_past_its_date_is_told_so(client: AwaitstepApi, clock: FakeClock) -> None:
    server = client.native.server
    keys, expires = server.parts.core.keys, NOON + 60_000
    made = server.call(keys.create(client.native.workspace, "short", ["read"], dialect="awaitstep", expires_at=expires))
    headers = {"Authorization": f"Bearer {made.text}"}
    before = requests.get(f"{server.url}/api/runs", headers=headers, timeout=PATIENCE_S)

    passes(client, clock, 61)
    after = requests.get(f"{server.url}/api/runs", headers=headers, timeout=PATIENCE_S)

    assert before.status_code == 200
    assert (after.status_code, after.json()) == (401, {"error": "API key expired"})


def test_a_time_that_comes_while_a_run_is_paused_counts_when_it_goes_on(client: AwaitstepApi, clock: FakeClock) -> None:
    ir = graph(node("nap", "sleep", duration="1 hour"), step("end", "return 'woken'"), edges="nap>end")
    run = held(client, trigger(client, compiled(client, ir)))
    path = f"/api/workflows/{run['workflowId']}/runs/{run['id']}"
    client.answer("POST", f"{path}/pause")

    passes(client, clock, 2 * 3600)
    paused = client.answer("GET", path)
    client.answer("POST", f"{path}/resume")

    assert (paused["status"], paused["pausedBy"]) == ("paused", "manual")
    assert final(client, run)["output"] == "woken"
