"""The vendor's own client, unchanged, against this server. Source: Flowra contract 12.1."""

from typing import Any

import pytest
import requests
from flowra import Flowra
from flowra.errors import FlowraAPIError

from flowra_client import bare, flowra
from live import Api, transform


@pytest.fixture
def sdk(api: Api) -> Flowra:
    return Flowra(api_key=flowra(api).key, base_url=api.server.url)


@pytest.fixture
def workflow(api: Api) -> str:
    return bare(api.workflow(transform()))


def listed(sdk: Flowra, **query: Any) -> list[str]:
    return [row["id"] for row in sdk.triggers.list(**query)["data"]]


def test_triggers_are_upserted_listed_switched_and_removed(sdk: Flowra, workflow: str) -> None:
    body = {"workflowId": workflow, "triggerConfig": {"cron": "0 9 * * *", "timezone": "Europe/Berlin"}}

    first = sdk.as_user("ada").triggers.upsert("schedule", body)["data"]
    again = sdk.as_user("ada").triggers.upsert("schedule", body)["data"]
    assert first["triggerId"] == again["triggerId"]
    assert listed(sdk, triggerNames=["schedule", "webhook"]) == listed(sdk, trigger_ids=[first["id"]]) == [first["id"]]
    assert listed(sdk.as_user("bob")) == []

    assert sdk.triggers.set_status(first["id"])["data"]["status"] == "DISABLED"
    assert (listed(sdk), listed(sdk, showDisabled=True)) == ([], [first["id"]])
    assert listed(sdk, showDisabled=False) == []
    assert sdk.triggers.set_status(first["id"])["data"]["status"] == "ACTIVE"

    assert sdk.triggers.remove(first["id"])["success"] is True
    with pytest.raises(FlowraAPIError) as gone:
        sdk.triggers.remove(first["id"])
    assert (gone.value.status_code, str(gone.value)) == (404, "Trigger instance not found")


def test_logs_are_read_and_a_webhook_is_replayed(sdk: Flowra, api: Api, workflow: str) -> None:
    row = sdk.triggers.upsert("webhook", {"workflowId": workflow})["data"]
    path = row["webhookUrl"][row["webhookUrl"].index("/webhooks/") :]
    assert requests.post(api.server.url + path, json={"n": 1}, timeout=10).json()["workflowsTriggered"] == 1

    (log,) = sdk.triggers.invocation_logs(triggerId=row["id"], source="local_webhook")["data"]
    again = sdk.triggers.replay_webhook(log["id"])["data"]

    newest = sdk.triggers.invocation_logs(limit=1)["data"][0]
    assert (newest["id"], newest["replayOf"]) == (again["logId"], log["id"])
    assert newest["executionId"] == again["executionId"]


def test_faults_reach_the_caller_in_words(sdk: Flowra) -> None:
    with pytest.raises(FlowraAPIError) as refusal:
        sdk.triggers.upsert("schedule", {"triggerConfig": {"cron": "61 * * * *"}})

    assert refusal.value.status_code == 400
    assert str(refusal.value).startswith("triggerConfig.cron: ")


def test_accounts_are_connected_listed_and_removed(sdk: Flowra) -> None:
    config = sdk.auth_configs.create(
        {"toolkit": {"slug": "stripe"}, "authConfig": {"type": "use_custom_auth", "authScheme": "API_KEY"}}
    )["data"]
    state = {"authScheme": "API_KEY", "val": {"api_key": "sk_1"}}
    made = sdk.as_user("ada").connections.create({"authConfig": {"id": config["id"]}, "connection": {"state": state}})
    link = sdk.as_user("ada").connections.create_link({"authConfigId": config["id"]})

    assert (made["status"], made["redirectUrl"]) == ("ACTIVE", None)
    ids = [item["id"] for item in sdk.connections.list(toolkitSlugs=["stripe"])["items"]]
    assert ids == [link["connectedAccountId"], made["id"]]
    assert sdk.connections.update(made["id"], {"displayName": "Shop"})["data"]["displayName"] == "Shop"
    for id in ids:
        sdk.connections.remove(id)
    assert sdk.auth_configs.list()["data"] == [sdk.auth_configs.get(config["id"])["data"]]
    sdk.auth_configs.remove(config["id"])
    assert sdk.auth_configs.list()["total"] == 0


def test_users_are_made_found_and_switched_off(sdk: Flowra) -> None:
    ada = sdk.users.create({"username": "ada"})["data"]

    assert sdk.users.get_by_username("ada")["data"] == ada
    assert sdk.users.get_by_username("nobody")["data"] is None
    assert ada in sdk.users.list()["data"]
    assert sdk.users.toggle_active(ada["id"])["data"]["isActive"] is False
    with pytest.raises(FlowraAPIError) as refusal:
        sdk.as_user("ada").triggers.list()
    assert refusal.value.status_code == 403


def test_the_catalogue_and_the_profile_are_read(sdk: Flowra, api: Api) -> None:
    tools = sdk.tools.list(kind="actions", q="create_invoice")["data"]

    assert "STRIPE_CREATE_INVOICE" in [tool["slug"] for tool in tools]
    assert sdk.tools.get("STRIPE_CREATE_INVOICE")["data"]["toolkitSlug"] == "stripe"
    assert "stripe" in [toolkit["slug"] for toolkit in sdk.toolkits.list(limit=100)["data"]]
    assert sdk.get_profile()["data"]["projectId"] == api.workspace
