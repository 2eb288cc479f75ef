"""The page on trigger instances: its sentences, endpoints and parameters, as printed."""

import re

import pytest

from flowra_client import TRIGGERS, FlowraApi, bare, fire, flowra
from live import SEEDS, Api, transform
from snippets import needs_seeds
from stepwell.http import DIALECTS
from stepwell.values import Json

PAGE = SEEDS / "flowra-trigger-instances.txt"
EVERY_MINUTE = {"interval": "1m"}


@pytest.fixture
def client(api: Api) -> FlowraApi:
    return flowra(api)


@pytest.fixture
def workflow(api: Api) -> str:
    return bare(api.workflow(transform()))


def served() -> dict[tuple[str, str], Json]:
    """What the dialect serves: the fields of the query by method and path."""
    (dialect,) = (each for each in DIALECTS if each.name == "flowra")
    return {
        (route.method, dialect.base + route.path): () if route.query is None else route.query.__struct_encode_fields__
        for route in dialect.routes
    }


@needs_seeds
def test_every_endpoint_of_the_page_is_served() -> None:
    printed = re.findall(r"\b(GET|POST|PATCH|DELETE) (/\S+)", PAGE.read_text())

    assert len(printed) >= 5
    for method, path in printed:
        whole = path if path.startswith("/api/v1") else f"/api/v1{path}"
        assert (method, whole) in served()


@needs_seeds
def test_every_parameter_of_the_table_is_read() -> None:
    text = PAGE.read_text()
    table = text[text.index("Query parameterDescription") : text.index("Upsert trigger instance")].splitlines()[1:]
    columns = [re.split("Filter by|Include|Pagination", line)[0] for line in table if line]  # printed without a gap
    names = {name.removesuffix(" (legacy)") for column in columns for name in column.split(", ")}

    assert names == {
        *("connectedAccountIds", "authConfigIds", "trigger_ids", "trigger_names", "triggerNames"),
        *("showDisabled", "page", "limit", "cursor"),
    }
    assert names <= set(served()["GET", "/api/v1/trigger_instances/active"])


def test_the_same_slug_is_an_idempotent_update(client: FlowraApi, workflow: str) -> None:
    first = client.upsert("schedule", workflowId=workflow, triggerConfig={"cron": "0 9 * * *"}, status=201)
    again = client.upsert("schedule", workflowId=workflow, triggerConfig={"cron": "0 9 * * *"}, status=200)
    changed = client.upsert("schedule", workflowId=workflow, triggerConfig={"cron": "0 8 * * *"}, status=200)

    assert first["id"] == again["id"] == changed["id"]
    assert changed["triggerConfig"] == {"cron": "0 8 * * *"}
    assert client.listed() == [first["id"]]


def test_an_instance_has_a_type_and_a_slug_and_is_linked_to_a_workflow(client: FlowraApi, workflow: str) -> None:
    row = client.upsert("schedule", workflowId=workflow)

    assert (row["type"], row["slug"], row["workflowId"]) == ("schedule", "schedule", workflow)
    assert row["connectedAccountId"] is None  # optionally to an account


def test_the_workflow_runs_when_the_trigger_fires(client: FlowraApi, api: Api, workflow: str) -> None:
    row = client.upsert("schedule", workflowId=workflow, triggerConfig=EVERY_MINUTE)

    run = api.final(f"run_{fire(client, row['id'])['executionId']}")

    assert (run["workflowId"], run["status"]) == (f"wf_{workflow}", "completed")


def test_the_list_has_active_instances_and_disabled_ones_on_demand(client: FlowraApi) -> None:
    on = client.user("ada").upsert()["id"]
    off = client.user("bob").upsert(enabled=False)["id"]

    assert client.listed() == [on]
    assert client.listed("showDisabled=true") == [off, on]


def test_the_list_is_paged_by_page_limit_and_cursor(client: FlowraApi) -> None:
    ids = [client.user(name).upsert()["id"] for name in ("a", "b", "c")][::-1]
    first = client.answer("GET", f"{TRIGGERS}/active?limit=2")

    assert [row["id"] for row in first["data"]] == ids[:2]
    assert client.listed("limit=2&page=2") == client.listed(f"limit=2&cursor={first['nextCursor']}") == ids[2:]


@pytest.mark.parametrize(
    "name", ["trigger_ids", "trigger_names", "triggerNames", "connectedAccountIds", "authConfigIds"]
)
def test_each_filter_of_the_table_narrows_the_list(client: FlowraApi, name: str) -> None:
    config = {"toolkit": {"slug": "stripe"}, "authConfig": {"authScheme": "API_KEY"}}
    config_id = client.answer("POST", "/auth_configs", config, status=201)["data"]["id"]
    body = {"authConfig": {"id": config_id}, "connection": {"state": {"val": {"api_key": "sk_1"}}}}
    account = client.answer("POST", "/connected_accounts", body, status=201)["id"]
    row = client.upsert("webhook", connectedAccountId=account)["id"]
    client.upsert("schedule")
    value = {"trigger_ids": row, "connectedAccountIds": account, "authConfigIds": config_id}.get(name, "webhook")

    assert client.listed(f"{name}={value}") == [row]


def test_an_instance_is_disabled_and_enabled_by_its_id(client: FlowraApi) -> None:
    row = client.upsert()["id"]
    path = f"{TRIGGERS}/manage/{row}/status"

    assert client.answer("PATCH", path, {"status": "disable"})["data"]["status"] == "DISABLED"
    assert client.listed() == []
    assert client.answer("PATCH", path, {"status": "enable"})["data"]["status"] == "ACTIVE"
    assert client.listed() == [row]


def test_a_deleted_instance_is_stopped_permanently(client: FlowraApi, workflow: str) -> None:
    row = client.upsert("schedule", workflowId=workflow, triggerConfig=EVERY_MINUTE)
    fire(client, row["id"])

    client.answer("DELETE", f"{TRIGGERS}/manage/{row['id']}")

    core = client.native.server.parts.core
    assert client.listed("showDisabled=true") == []
    assert client.native.server.call(core.store.triggers.find(row["id"])) is None
    assert client.upsert("schedule", workflowId=workflow)["id"] != row["id"]


def test_one_trigger_instance_per_user_runs_for_that_user(client: FlowraApi, api: Api) -> None:
    seen = transform({"user": "{{run.user.username}}"})
    workflow = bare(api.workflow(seen))
    rows = {
        name: client.user(name).upsert("schedule", workflowId=workflow, triggerConfig=EVERY_MINUTE)["id"]
        for name in ("ada", "bob")
    }

    for name, row in rows.items():
        run = api.final(f"run_{fire(client, row)['executionId']}")
        assert run["output"] == {"user": name}
