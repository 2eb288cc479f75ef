"""A server that is killed in the middle of a run of nodes: one done, one in a worker's hands, one not begun. Source:
AITasker contract 8.2, 12, check 3."""

from typing import Any

import pytest

from acceptance.load import until
from acceptance.place import Place
from acceptance.upstream import Upstream

Before = tuple[str, Any, Any]
"""Where the run is read, the run as it was shown last, and the task as its worker has it."""


@pytest.fixture
async def before(place: Place, upstream: Upstream) -> Before:
    """A run that has sent its first request and whose task is claimed; its server is killed and another one serves."""
    server = await place.serve()
    workflow = await _ask(place, "POST", "/workspaces/{ws}/workflows", _campaign(upstream))
    started = await _ask(
        place,
        "POST",
        f"/workspaces/{{ws}}/workflows/{workflow['id']}/trigger",
        {"trigger_payload": {"topic": "spring sale"}},
    )
    path = f"/workspaces/{{ws}}/workflows/{workflow['id']}/runs/{started['id']}"
    task = await _ask(place, "POST", "/workspaces/{ws}/tasks/claim", {"worker_id": "w1", "wait_seconds": 20})
    shown = await _ask(place, "GET", path)
    assert _statuses(shown) == ["completed", "running", "pending"]

    server.kill()
    await place.serve()
    return path, shown, task


async def test_a_run_that_was_answered_ends_though_the_server_dies_at_once(place: Place) -> None:
    server = await place.serve()
    shape = {"operation": "template", "params": {"mapping": {"topic": "{{trigger.topic}}"}}}
    nodes = [{"position": position, "node_type": "transform", "node_config": shape} for position in range(3)]
    workflow = await _ask(place, "POST", "/workspaces/{ws}/workflows", {"title": "Shapes", "nodes": nodes})
    path = f"/workspaces/{{ws}}/workflows/{workflow['id']}"
    started = await _ask(place, "POST", f"{path}/trigger", {"trigger_payload": {"topic": "x"}})
    server.kill()
    await place.serve()

    done = await _final(place, f"{path}/runs/{started['id']}")

    assert (started["status"], done["status"], _statuses(done)) == ("pending", "completed", ["completed"] * 3)
    assert [run["id"] for run in await _ask(place, "GET", f"{path}/runs")] == [started["id"]]


async def test_what_was_done_and_claimed_is_shown_as_before_the_death(place: Place, before: Before) -> None:
    path, shown, task = before

    assert await _ask(place, "GET", path) == shown
    assert (await _ask(place, "GET", f"/workspaces/{{ws}}/tasks/{task['id']}"))["status"] == "claimed"


async def test_the_worker_delivers_after_the_death_and_nothing_runs_twice(
    place: Place, upstream: Upstream, before: Before
) -> None:
    path, shown, task = before

    delivered = await _deliver(place, task)
    done = await _final(place, path)

    assert delivered["status"] == "accepted"
    assert (done["status"], _statuses(done)) == ("completed", ["completed"] * 3)
    assert done["node_runs"][0] == shown["node_runs"][0]
    assert done["node_runs"][1]["output_data"] == {"text": "Save 20%"}
    assert [(each.path, each.body) for each in upstream.seen] == [
        ("/charge/brief", {"topic": "spring sale"}),
        ("/charge/publish", {"text": "Save 20%"}),
    ]
    costs = await _ask(place, "GET", f"{path}/costs")
    assert (done["total_cost_cents"], [node["attempts"] for node in costs["nodes"]]) == (125, [1, 1, 1])


async def test_a_delivery_that_was_answered_counts_after_a_second_death(
    place: Place, upstream: Upstream, before: Before
) -> None:
    path, _, task = before
    delivered = await _deliver(place, task)
    place.servers[-1].kill()
    await place.serve()

    repeated = await _deliver(place, task)
    done = await _final(place, path)

    assert repeated == delivered
    assert (done["status"], done["total_cost_cents"]) == ("completed", 125)
    assert len({each.key for each in upstream.at("/charge/publish")}) == 1


def _campaign(upstream: Upstream) -> Any:
    """A request, then a worker's task, then a request with what was delivered."""

    def call(position: int, name: str, body: Any, **config: Any) -> Any:
        params = {"method": "POST", "url": f"{upstream.url}/charge/{name}", "body": body}
        return {
            "position": position,
            "node_type": "api_call",
            "node_config": {"provider": "http", "params": params, **config},
        }

    work = {"position": 1, "task_template": {"title": "Write copy", "task_type": "copy"}}
    nodes = [
        call(0, "brief", {"topic": "{{trigger.topic}}"}, costCents=5),
        work,
        call(2, "publish", {"text": "{{nodes.1.output.text}}"}),
    ]
    return {"title": "Campaign", "auto_accept": True, "nodes": nodes}


async def _deliver(place: Place, task: Any) -> Any:
    body = {"claim_token": task["claim_token"], "output_data": {"text": "Save 20%"}, "cost_cents": 120}
    return await _ask(place, "POST", f"/workspaces/{{ws}}/tasks/{task['id']}/complete", body)


async def _final(place: Place, path: str) -> Any:
    async def ended() -> Any:
        found = await _ask(place, "GET", path)
        return found if found["status"] in ("completed", "failed", "cancelled") else None

    return await until(ended, "the end of the run")


def _statuses(run: Any) -> list[str]:
    return [node["status"] for node in run["node_runs"]]


async def _ask(place: Place, method: str, path: str, body: Any = None) -> Any:
    """What a path of the workspace answers, asked with the admin's key, which may use the paths of every dialect."""
    (workspace,) = await place.api.whole("GET", "/workspaces")
    return await place.api.whole(method, path.format(ws=workspace["id"]), body)
