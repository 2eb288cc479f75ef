"""Workspaces of the AITasker dialect, and the pool of workers of each. Source: AITasker contract 4.3, 10, 12."""

import pytest

from aitasker_client import AitaskerApi, aitasker, detail, places, shape_node
from contract.flows import begun, ended, event, sub, suspended
from live import Api, NewApi, failing, refused, transform
from stepwell.values import decode

WORKSPACE = (
    "id",
    "hired_agent_id",
    "user_id",
    "name",
    "status",
    "settings",
    "metrics_cache",
    "last_active_at",
    "created_at",
    "updated_at",
    "hired_agent",
    "integration_credentials",
)
AGENT = (
    "id",
    "user_id",
    "agent_type",
    "display_name",
    "status",
    "tier",
    "stripe_subscription_id",
    "config",
    "hired_at",
    "paused_at",
    "cancelled_at",
    "created_at",
    "updated_at",
    "persona_name",
)


@pytest.fixture
def client(api: Api) -> AitaskerApi:
    return aitasker(api)


@pytest.fixture
def boss(client: AitaskerApi) -> AitaskerApi:
    return client.scoped("admin")


def test_a_workspace_has_these_keys_and_its_pool_of_workers(client: AitaskerApi) -> None:
    found = client.answer("GET", client.ws())

    assert tuple(found) == WORKSPACE
    assert tuple(found["hired_agent"]) == AGENT
    assert found["id"] == client.workspace
    assert found["hired_agent"]["id"] == found["hired_agent_id"]
    assert (found["hired_agent"]["agent_type"], found["hired_agent"]["tier"]) == ("worker_pool", "self_hosted")
    assert (found["status"], found["settings"], found["integration_credentials"]) == ("active", {}, [])


def test_the_metrics_are_those_of_the_runs_that_there_were(client: AitaskerApi) -> None:
    quiet = client.answer("GET", client.ws())
    node = shape_node()
    node["node_config"]["costCents"] = 7
    workflow = client.workflow(node)["id"]
    run = client.final(workflow, client.trigger(workflow)["id"])

    busy = client.answer("GET", client.ws())

    assert quiet["metrics_cache"] == {"runs_24h": 0, "failed_24h": 0, "cost_cents_30d": 0}
    assert quiet["last_active_at"] is None
    assert busy["metrics_cache"] == {"runs_24h": 1, "failed_24h": 0, "cost_cents_30d": 7}
    assert busy["last_active_at"] == run["created_at"]


def test_the_list_has_the_workspace_of_the_key_alone(client: AitaskerApi) -> None:
    response = client("GET", "/workspaces")

    assert [found["id"] for found in decode(response.content)] == [client.workspace]
    assert response.headers["X-Total-Count"] == "1"


def test_the_operator_makes_a_workspace_with_a_key_that_works_in_it(operator: Api) -> None:
    boss = aitasker(operator, ("admin",))

    made = boss.answer("POST", "/workspaces", {"name": "Campaigns", "settings": {"tone": "dry"}})
    own = boss.answer("GET", f"/workspaces/{made['id']}", headers={"Authorization": f"Bearer {made['api_key']}"})

    assert tuple(made) == (*WORKSPACE, "api_key")
    assert made["api_key"].startswith("aitk_live_")
    assert (own["name"], own["settings"]) == ("Campaigns", {"tone": "dry"})
    assert "api_key" not in own


def test_others_make_no_workspaces(client: AitaskerApi, boss: AitaskerApi) -> None:
    assert detail(client("POST", "/workspaces", {"name": "x"}), 403) == "Missing scope: admin"
    assert detail(boss("POST", "/workspaces", {"name": "x"}), 403) == "Access denied to this resource"


@pytest.mark.parametrize("name", [None, "", "x" * 101])
def test_a_name_has_1_to_100_characters(operator: Api, name: str | None) -> None:
    body = {} if name is None else {"name": name}

    assert places(aitasker(operator, ("admin",))("POST", "/workspaces", body)) == [["body", "name"]]


def test_another_workspace_is_not_found(client: AitaskerApi, new_api: NewApi) -> None:
    other = new_api()

    assert detail(client("GET", f"/workspaces/{other.workspace}"), 404) == "Workspace not found"
    assert places(client("GET", "/workspaces/abc")) == [["path", "workspace_id"]]


def test_agents_is_no_id_of_a_workspace(client: AitaskerApi) -> None:
    assert client("GET", "/workspaces/agents").status_code == 404


def test_pausing_tells_since_when_and_a_repeat_changes_nothing(boss: AitaskerApi) -> None:
    agent = boss.answer("GET", boss.ws())["hired_agent_id"]

    first, second = (boss.answer("POST", f"/workspaces/agents/{agent}/pause") for _ in range(2))

    assert tuple(first) == (*AGENT, "workspace")
    assert (first["status"], first["workspace"]["status"]) == ("paused", "paused")
    assert first["paused_at"] is not None
    assert second["paused_at"] == first["paused_at"]


def test_only_an_admin_pauses_the_pool_of_its_own_workspace(
    client: AitaskerApi, boss: AitaskerApi, new_api: NewApi
) -> None:
    agent = client.answer("GET", client.ws())["hired_agent_id"]
    other = aitasker(new_api())
    foreign = other.answer("GET", other.ws())["hired_agent_id"]

    assert detail(client("POST", f"/workspaces/agents/{agent}/pause"), 403) == "Missing scope: admin"
    assert detail(boss("POST", f"/workspaces/agents/{foreign}/pause"), 404) == "Agent not found"
    assert places(boss("POST", "/workspaces/agents/abc/pause")) == [["path", "agent_id"]]


def test_a_paused_pool_lets_runs_under_way_start_theirs_but_nothing_be_retried(
    client: AitaskerApi, boss: AitaskerApi
) -> None:
    api, agent = client.native, boss.answer("GET", boss.ws())["hired_agent_id"]
    child = api.workflow(transform())
    parent = begun(api, event(), sub(child))
    suspended(api, parent)
    failed = api.finish(api.workflow(failing()))["id"]

    boss.answer("POST", f"/workspaces/agents/{agent}/pause")
    api.data("POST", f"/runs/{parent}/events", {"type": "paid"})

    assert ended(api, parent)["status"] == "completed"
    refused(api.post(f"/runs/{failed}/retry", {}), 400, "INVALID_STATUS")
