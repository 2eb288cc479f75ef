"""Users, auth configs, connected accounts and the catalogue. Source: Flowra contract 2, 4.3, 5.1, 5.5, 9."""

import pytest

from answering import Answering
from flowra_client import SCOPES, TRIGGERS, FlowraApi, bare, fire, flowra, refused
from live import Api, NewApi
from stepwell.values import Json, decode

ACCOUNTS, CONFIGS, USERS = "/connected_accounts", "/auth_configs", "/external-users"
UNKNOWN = "01890000-0000-7000-8000-000000000000"
MANAGED: Json = {"type": "use_provider_managed_auth"}
ACCOUNT = {
    *("id", "toolkit", "authConfig", "displayName", "label", "eUID", "status", "statusReason", "isDisabled"),
    *("createdAt", "updatedAt"),
}


@pytest.fixture
def client(api: Api) -> FlowraApi:
    return flowra(api)


def auth_config(client: FlowraApi, toolkit: str = "stripe", scheme: str = "API_KEY", **fields: Json) -> str:
    """The id of a new auth config."""
    body = {"toolkit": {"slug": toolkit}, "authConfig": {"type": "use_custom_auth", "authScheme": scheme, **fields}}
    id: str = client.answer("POST", CONFIGS, body, status=201)["data"]["id"]
    return id


def connected(client: FlowraApi, config: str, key: str = "sk_test_1") -> str:
    """The id of a new account."""
    body = {"authConfig": {"id": config}, "connection": {"state": {"authScheme": "API_KEY", "val": {"api_key": key}}}}
    id: str = client.answer("POST", ACCOUNTS, body, status=201)["id"]
    return id


def items(client: FlowraApi, query: str = "") -> list[str]:
    return [item["id"] for item in client.answer("GET", f"{ACCOUNTS}?{query}")["items"]]


# -- users


def test_a_name_in_the_header_makes_a_user_on_first_use(client: FlowraApi) -> None:
    client.user("ada").listed()
    client.user("ada").upsert()

    users = client.answer("GET", USERS)["data"]

    assert [user["username"] for user in users if not user["isDefault"]] == ["ada"]
    assert set(users[0]) == {"id", "username", "isActive", "isDefault", "projectId", "createdAt"}


@pytest.mark.parametrize("name", ["a b", "", "ä", "a/b", "x" * 129])
def test_other_names_are_refused(client: FlowraApi, name: str) -> None:
    header = {"x-username": name.encode()}

    assert refused(client("GET", f"{TRIGGERS}/active", headers=header), 400) == ["x-username"]
    assert refused(client("POST", USERS, {"username": name}), 400) == ["username"]


def test_an_inactive_user_is_refused_until_switched_on(client: FlowraApi) -> None:
    bob = client.answer("POST", USERS, {"username": "bob"}, status=201)["data"]
    toggle = f"{USERS}/{bob['id']}/toggle-active"

    assert client.answer("PUT", toggle)["data"]["isActive"] is False
    for method, path in (("GET", f"{TRIGGERS}/active"), ("POST", f"{TRIGGERS}/schedule/upsert"), ("GET", ACCOUNTS)):
        refused(client.user("bob")(method, path, {} if method == "POST" else None), 403)
    assert client.answer("PUT", toggle)["data"]["isActive"] is True
    assert client.user("bob").listed() == []


def test_users_are_made_once_and_found_by_name(client: FlowraApi) -> None:
    made = client.answer("POST", USERS, {"username": "ada"}, status=201)["data"]

    assert client.answer("POST", USERS, {"username": "ada"})["data"] == made
    assert client.answer("GET", f"{USERS}/username/ada")["data"] == made
    assert client.answer("GET", f"{USERS}/username/nobody")["data"] is None
    assert client.answer("GET", f"{USERS}?q=AD")["total"] == 1


def test_the_default_user_cannot_be_switched_off(client: FlowraApi) -> None:
    client.upsert()

    refused(client("PUT", f"{USERS}/{client.workspace}/toggle-active"), 400)
    refused(client("PUT", f"{USERS}/{UNKNOWN}/toggle-active"), 404)
    assert client.answer("GET", f"{USERS}/username/project_default_user")["data"]["id"] == client.workspace


# -- auth configs


def test_auth_configs_never_show_their_credentials(client: FlowraApi) -> None:
    secret = {"clientId": "app-1", "clientSecret": "very-secret"}
    body = {"toolkit": {"slug": "HubSpot"}, "authConfig": {"authScheme": "oauth2", "credentials": secret}}

    made = client("POST", CONFIGS, {**body, "authConfig": {**body["authConfig"], "displayName": "Ours"}})  # type: ignore[dict-item]

    assert made.status_code == 201, made.text
    row = decode(made.content)["data"]
    assert (row["toolkit"]["slug"], row["authScheme"], row["displayName"]) == ("hubspot", "OAUTH2", "Ours")
    assert client.answer("GET", f"{CONFIGS}/{row['id']}")["data"] == row
    assert client.answer("GET", f"{CONFIGS}?toolkitSlug=hubspot")["data"] == [row]
    for response in (made, client("GET", CONFIGS)):
        assert "very-secret" not in response.text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"toolkit": {"slug": "stripe"}, "authConfig": MANAGED}, "authConfig.authScheme"),
        ({"toolkit": {"slug": "stripe"}, "authConfig": {**MANAGED, "authScheme": "OAUTH2"}}, "authConfig.type"),
        ({"toolkit": {"slug": "nope"}, "authConfig": {"authScheme": "API_KEY"}}, "toolkit.slug"),
        ({"toolkit": {"slug": "stripe"}, "authConfig": {"authScheme": "SMOKE"}}, "authConfig.authScheme"),
        ({"toolkit": "stripe", "authConfig": {"authScheme": "API_KEY"}}, "toolkit"),
        ({"authConfig": {"authScheme": "API_KEY"}}, "toolkit"),
    ],
)
def test_faults_of_an_auth_config_name_their_field(client: FlowraApi, body: Json, field: str) -> None:
    assert refused(client("POST", CONFIGS, body), 400)[0] == field


def test_an_auth_config_is_removed_once_no_account_uses_it(client: FlowraApi, new_api: NewApi) -> None:
    config = auth_config(client)
    account = connected(client, config)

    refused(flowra(new_api())("GET", f"{CONFIGS}/{config}"), 404)
    refused(client("DELETE", f"{CONFIGS}/{config}"), 409)
    client.answer("DELETE", f"{ACCOUNTS}/{account}")
    client.answer("DELETE", f"{CONFIGS}/{config}")
    refused(client("DELETE", f"{CONFIGS}/{config}"), 404)


def test_auth_configs_are_ten_a_page(client: FlowraApi) -> None:
    for _ in range(11):
        auth_config(client)

    page = client.answer("GET", CONFIGS)

    assert (len(page["data"]), page["limit"], page["total"], page["totalPages"]) == (10, 10, 11, 2)
    last = client.answer("GET", f"{CONFIGS}?page=2")["data"]
    assert len(last) == 1
    assert client.answer("GET", f"{CONFIGS}?cursor={page['nextCursor']}")["data"] == last
    assert client.answer("GET", f"{CONFIGS}?sortOrder=ASC&limit=1")["data"] == last


# -- accounts


def test_a_key_connects_at_once_and_is_never_shown(client: FlowraApi) -> None:
    config = auth_config(client)
    state = {"authScheme": "API_KEY", "val": {"api_key": "sk_very_secret"}}

    made = client.user("ada")("POST", ACCOUNTS, {"authConfig": {"id": config}, "connection": {"state": state}})

    body = decode(made.content)
    assert made.status_code == 201
    assert set(body) == {"id", "connectionData", "status", "redirectUrl"}
    assert (body["status"], body["redirectUrl"]) == ("ACTIVE", None)
    item = client.answer("GET", f"{ACCOUNTS}/{body['id']}")["data"]
    assert set(item) == ACCOUNT
    assert (item["toolkit"]["slug"], item["authConfig"]) == ("stripe", {"id": config, "authScheme": "API_KEY"})
    for response in (made, client("GET", ACCOUNTS), client("GET", f"{ACCOUNTS}/{body['id']}")):
        assert "sk_very_secret" not in response.text


def test_the_list_of_accounts_has_no_envelope_and_is_filtered(client: FlowraApi) -> None:
    stripe, slack = auth_config(client), auth_config(client, "slack", "BEARER_TOKEN")
    first = connected(client.user("ada"), stripe)
    second = connected(client.user("bob"), stripe)
    link = client.user("bob").answer("POST", f"{ACCOUNTS}/link", {"authConfigId": slack}, status=201)
    third = link["connectedAccountId"]
    ada = client.answer("GET", f"{USERS}/username/ada")["data"]["id"]

    page = client.answer("GET", f"{ACCOUNTS}?limit=2")

    assert set(page) == {"items", "nextCursor", "totalPages", "currentPage", "totalItems"}
    assert (page["totalItems"], page["totalPages"], page["currentPage"]) == (3, 2, 1)
    assert [item["id"] for item in page["items"]] == [third, second]
    assert items(client, f"limit=2&cursor={page['nextCursor']}") == [first]
    assert items(client, f"eUIDs={ada}") == items(client.user("ada")) == [first]
    assert items(client.user("bob"), f"eUIDs={ada}") == []
    assert items(client, "sortOrder=ASC&limit=2") == [first, second]
    assert items(client, "sortOrder=ASC&limit=2&page=2") == [third]
    assert items(client, "toolkitSlugs=SLACK,hubspot") == [third]
    assert items(client, "statuses=INITIATED") == items(client, f"authConfigIds={slack}") == [third]
    assert items(client, f"connectedAccountIds={first}&connectedAccountIds={second}") == [second, first]
    assert refused(client("GET", f"{ACCOUNTS}?statuses=BROKEN"), 400) == ["statuses"]


def test_a_link_is_made_for_thirty_minutes(client: FlowraApi) -> None:
    link = client.answer("POST", f"{ACCOUNTS}/link", {"authConfigId": auth_config(client)}, status=201)

    item = client.answer("GET", f"{ACCOUNTS}/{link['connectedAccountId']}")["data"]
    assert set(link) == {"redirectUrl", "linkToken", "expiresAt", "connectedAccountId"}
    assert link["redirectUrl"].endswith(f"/connect?token={link['linkToken']}")
    assert (item["status"], item["createdAt"] < link["expiresAt"]) == ("INITIATED", True)


def test_accounts_are_renamed_and_removed(client: FlowraApi) -> None:
    id = connected(client, auth_config(client))

    assert client.answer("PATCH", f"{ACCOUNTS}/{id}", {"displayName": "Shop"})["data"]["displayName"] == "Shop"
    assert refused(client("PATCH", f"{ACCOUNTS}/{id}", {"displayName": " "}), 400) == ["displayName"]
    assert client.answer("DELETE", f"{ACCOUNTS}/{id}") == {"success": True, "message": "Connected account deleted"}
    refused(client("DELETE", f"{ACCOUNTS}/{id}"), 404, "Connected account not found")


def test_accounts_of_others_do_not_exist(client: FlowraApi, new_api: NewApi) -> None:
    id = connected(client.user("ada"), auth_config(client))

    for other in (client.user("bob"), flowra(new_api())):
        for method, body in (("GET", None), ("PATCH", {"displayName": "x"}), ("DELETE", None)):
            refused(other(method, f"{ACCOUNTS}/{id}", body), 404)
    assert items(client) == [id]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"authConfig": {"id": UNKNOWN}}, 404, None),
        ({"authConfig": {"id": "x"}}, 404, None),
        ({"authConfig": {}}, 400, "authConfig.id"),
        ({}, 400, "authConfig"),
    ],
)
def test_an_account_needs_an_auth_config(client: FlowraApi, body: Json, status: int, field: str | None) -> None:
    assert refused(client("POST", ACCOUNTS, body), status) == ([] if field is None else [field])


def test_an_account_of_another_scheme_or_without_key_is_refused(client: FlowraApi) -> None:
    config = {"id": auth_config(client)}

    other = {"authScheme": "BASIC", "val": {"username": "a", "password": "b"}}
    assert refused(client("POST", ACCOUNTS, {"authConfig": config, "connection": {"state": other}}), 400) == [
        "connection.state.authScheme"
    ]
    assert refused(client("POST", ACCOUNTS, {"authConfig": config}), 400)[0].startswith("connection.state.val")


# -- triggers of accounts


def test_two_accounts_on_one_slug_are_two_rows(client: FlowraApi) -> None:
    config = auth_config(client)
    first, second = connected(client, config), connected(client, config)

    rows = [client.upsert(connectedAccountId=account) for account in (first, second, f"conn_{first}")]

    assert rows[0]["id"] == rows[2]["id"] != rows[1]["id"]
    assert (rows[0]["connectedAccountId"], rows[0]["authConfigId"]) == (first, config)
    for name in ("connectedAccountIds", "deprecatedConnectedAccountUuids"):
        assert client.listed(f"{name}={first}") == [rows[0]["id"]]
    for name in ("authConfigIds", "deprecatedAuthConfigUuids"):
        assert client.listed(f"{name}={config}") == [rows[1]["id"], rows[0]["id"]]


def test_an_account_must_be_the_users_own_and_active(client: FlowraApi) -> None:
    config = auth_config(client)
    of_ada = connected(client.user("ada"), config)
    pending = client.answer("POST", f"{ACCOUNTS}/link", {"authConfigId": config}, status=201)["connectedAccountId"]
    body = {"triggerConfig": {"cron": "0 9 * * *"}}

    for who in (client, client.user("bob")):
        response = who("POST", f"{TRIGGERS}/schedule/upsert", {**body, "connectedAccountId": of_ada})
        refused(response, 404, "Connected account not found")
    refused(client("POST", f"{TRIGGERS}/schedule/upsert", {**body, "connectedAccountId": pending}), 409)


def test_a_removed_account_puts_its_triggers_into_error(client: FlowraApi) -> None:
    config = auth_config(client)
    ada, bob = connected(client.user("ada"), config), connected(client.user("bob"), config)
    of_ada = client.user("ada").upsert(connectedAccountId=ada)["id"]
    of_bob = client.user("bob").upsert(connectedAccountId=bob)["id"]

    client.answer("DELETE", f"{ACCOUNTS}/{bob}")

    assert client.listed() == [of_ada]
    (row,) = client.answer("GET", f"{TRIGGERS}/active?showDisabled=1&triggerIds={of_bob}")["data"]
    assert (row["status"], row["statusReason"]) == ("ERROR", "connected_account_deleted")
    refused(client("PATCH", f"{TRIGGERS}/manage/{of_bob}/status", {"enabled": True}), 409)


def test_each_users_trigger_acts_with_that_users_credentials(client: FlowraApi, api: Api, upstream: Answering) -> None:
    app = auth_config(client)
    native = {}
    for name in ("ada", "bob"):
        native[name] = connected(client.user(name), app, key=f"sk_{name}")
        api.data("PUT", f"/connections/conn_{native[name]}", {"baseUrl": upstream.url})
    step = {"id": "pay", "type": "action", "action": "stripe.createCustomer", "config": {"email": "a@b.example"}}
    workflow = bare(api.workflow({"name": "Pay", "trigger": {"type": "api"}, "steps": [step]}))
    config = {"interval": "1m"}
    rows = {
        name: client.user(name).upsert(workflowId=workflow, connectedAccountId=account, triggerConfig=config)
        for name, account in native.items()
    }

    upstream.body = b'{"id": "cus_1"}'
    for name, row in rows.items():
        run = api.final(f"run_{fire(client, row['id'])['executionId']}")
        assert run["status"] == "completed", run["error"]
        assert f"sk_{name}" in upstream.seen[-1].headers["authorization"]
    client.answer("DELETE", f"{ACCOUNTS}/{native['bob']}")
    assert api.final(f"run_{fire(client, rows['ada']['id'])['executionId']}")["status"] == "completed"
    assert client.user("bob").listed() == []


# -- connector events, the catalogue, the key


def test_tools_are_listed_by_kind(client: FlowraApi) -> None:
    fields = {
        *("id", "slug", "name", "description", "toolkitSlug", "type"),
        *("inputParameters", "outputParameters", "noAuth"),
    }

    def listed(query: str) -> list[Json]:
        found: list[Json] = client.answer("GET", f"/tools?limit=100&{query}")["data"]
        return found

    actions, triggers = listed("kind=actions&toolkitSlugs=stripe"), listed("kind=triggers")
    assert set(actions[0]) == fields
    assert {tool["type"] for tool in actions} == {"action"}
    assert "STRIPE_CREATE_INVOICE" in [tool["slug"] for tool in actions]
    assert {tool["type"] for tool in triggers} == {"poll", "webhook"}
    assert listed("q=create_invoice&kind=all")
    assert (
        client.answer("GET", "/tools/byId/stripe_create_invoice")["data"]
        == client.answer("GET", "/tools/byId/STRIPE_CREATE_INVOICE")["data"]
    )
    refused(client("GET", "/tools/byId/NOPE"), 404, "Tool not found")
    assert refused(client("GET", "/tools?kind=webhooks"), 400) == ["kind"]


def test_toolkits_are_the_connectors(client: FlowraApi) -> None:
    toolkits = client.answer("GET", "/toolkits?limit=100")["data"]

    stripe = next(each for each in toolkits if each["slug"] == "stripe")
    assert (stripe["noAuth"], stripe["toolsCount"] > 0) == (False, True)
    assert [each["slug"] for each in client.answer("GET", "/toolkits?q=Stripe")["data"]] == ["stripe"]


def test_the_profile_tells_of_the_key(client: FlowraApi) -> None:
    data = client.scoped("connections:read").answer("GET", "/users/profile")["data"]

    assert set(data) == {"id", "name", "projectId", "scopes"}
    assert (data["name"], data["projectId"], data["scopes"]) == ("flowra", client.workspace, ["connections:read"])


def test_an_event_of_a_connector_is_a_trigger(client: FlowraApi) -> None:
    config = {"url": "https://example.com/feed.xml"}

    row = client.upsert("RSS_NEW_ITEM", triggerConfig=config)

    assert (row["slug"], row["toolkitSlug"], row["type"]) == ("rss_new_item", "rss", "poll")
    assert row["triggerConfig"] == config
    assert client.upsert("rss_new_item", triggerConfig=config)["id"] == row["id"]
    assert client.listed("triggerNames=Rss_New_Item") == [row["id"]]
    response = client("POST", f"{TRIGGERS}/rss_new_item/upsert", {"triggerConfig": {"url": 5, "interval": "30s"}})
    assert set(refused(response, 400)) == {"triggerConfig.url", "triggerConfig.interval"}


def test_an_event_that_needs_an_account_wants_one_of_its_toolkit(client: FlowraApi) -> None:
    events = client.answer("GET", "/tools?kind=triggers&limit=100")["data"]
    needing = next(event["slug"] for event in events if not event["noAuth"])
    stripe = connected(client, auth_config(client))

    response = client("POST", f"{TRIGGERS}/{needing}/upsert", {})
    other = client("POST", f"{TRIGGERS}/{needing}/upsert", {"connectedAccountId": stripe})

    assert refused(response, 400) == ["connectedAccountId"]
    assert refused(other, 400) == ["connectedAccountId"]


def test_scopes_are_as_in_the_table(api: Api) -> None:
    of_scope = {
        "workflows:read": [("GET", f"{TRIGGERS}/active"), ("GET", "/tools"), ("GET", "/toolkits")],
        "workflows:write": [
            ("POST", f"{TRIGGERS}/schedule/upsert"),
            ("PATCH", f"{TRIGGERS}/manage/{UNKNOWN}/status"),
            ("DELETE", f"{TRIGGERS}/manage/{UNKNOWN}"),
        ],
        "workflows:execute": [("POST", f"{TRIGGERS}/invocation-logs/{UNKNOWN}/replay-webhook")],
        "runs:read": [("GET", f"{TRIGGERS}/invocation-logs")],
        "connections:read": [("GET", ACCOUNTS), ("GET", CONFIGS), ("GET", USERS)],
        "connections:write": [("POST", ACCOUNTS), ("POST", CONFIGS), ("POST", USERS)],
    }
    for scope, calls in of_scope.items():
        without = flowra(api, tuple(each for each in SCOPES if each != scope))
        for method, path in calls:
            body = {} if method == "POST" else None
            refused(without(method, path, body), 403, f"Missing required scope: {scope}")
