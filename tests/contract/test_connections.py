"""Connections over HTTP, line by line of the LoopFour contract 13, and links at which users connect accounts."""

import re
from collections.abc import Iterator

import pytest
import requests

from answering import Answering
from live import Api, NewApi
from oauth_provider import CLIENT_ID, CLIENT_SECRET, Provider, oauth_provider
from stepwell.core import StartRequest
from stepwell.store import EndUser
from stepwell.values import Json

STRIPE = {"name": "Billing", "provider": "stripe", "credentials": {"apiKey": "sk_live_clear"}}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
FIELDS = {
    "id", "name", "provider", "status", "externalAccountId", "isDefault", "lastSyncedAt", "createdAt", "updatedAt",
}  # fmt: skip


@pytest.fixture
def provider(api: Api) -> Iterator[Provider]:
    with oauth_provider() as made:
        made.client.redirect_uris.append(api.server.parts.core.authorizations.redirect_uri)
        yield made


def user(api: Api, name: str = "bob") -> EndUser:
    return api.server.call(api.server.parts.core.accounts.acting(api.workspace, name))


def made(api: Api, **fields: Json) -> Json:
    return api.data("POST", "/connections", {**STRIPE, **fields})


def test_the_object_has_every_field_and_no_credentials(api: Api) -> None:
    connection = made(api, slug="billing")

    assert set(connection) >= FIELDS | {"slug", "mode"}
    assert connection["id"].startswith("conn_") and connection["status"] == "active"
    assert TIME.fullmatch(connection["createdAt"]) and connection["lastSyncedAt"] is None
    assert "sk_live_clear" not in str(connection)


def test_the_list_is_filtered_by_provider_and_status(api: Api) -> None:
    first, second = made(api), made(api, provider="slack", credentials={"botToken": "xoxb-1"})

    assert [each["id"] for each in api.data("GET", "/connections")] == [second["id"], first["id"]]
    assert [each["id"] for each in api.data("GET", "/connections?provider=stripe")] == [first["id"]]
    assert api.data("GET", "/connections?status=expired") == []
    assert api.get("/connections?status=nothing").status_code == 400
    assert len(api.data("GET", "/connections?limit=1")) == 1


def test_a_created_connection_answers_201_and_delete_says_so(api: Api) -> None:
    answer = api.post("/connections", STRIPE)
    id = answer.json()["data"]["id"]

    assert answer.status_code == 201
    assert api.data("DELETE", f"/connections/{id}") == {"id": id, "deleted": True}
    assert api.get(f"/connections/{id}").status_code == 404


def test_another_workspaces_connection_is_unknown(api: Api, new_api: NewApi) -> None:
    id = made(api)["id"]
    other = new_api()

    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/authorize")):
        assert other(method, f"/connections/{id}{path}", {}).status_code == 404


@pytest.mark.parametrize(
    ("provider", "credentials"),
    [
        ("stripe", {"apiKey": "sk"}),
        ("slack", {"botToken": "xoxb"}),
        ("hubspot", {"accessToken": "pat"}),
        ("resend", {"apiKey": "re", "from": "a@example.com"}),
        ("smtp", {"host": "mail.example.com", "port": 587, "tls": "starttls", "from": "a@example.com"}),
    ],
)
def test_the_credentials_of_each_provider(api: Api, provider: str, credentials: Json) -> None:
    made(api, provider=provider, credentials=credentials)
    for name in credentials:
        partial = {key: value for key, value in credentials.items() if key != name}
        answer = api.post("/connections", {"name": "x", "provider": provider, "credentials": partial})
        assert answer.status_code == 400
        assert answer.json()["error"]["details"] == [{"path": ["credentials", name], "message": "Required"}]


def test_a_simulator_needs_no_credentials(api: Api) -> None:
    assert made(api, credentials=None, mode="simulator")["mode"] == "simulator"


def test_a_new_default_ends_the_former_one(api: Api) -> None:
    first, second = made(api, isDefault=True), made(api, isDefault=True)

    shown = {each["id"]: each["isDefault"] for each in api.data("GET", "/connections")}
    assert shown == {first["id"]: False, second["id"]: True}


def test_a_named_connection_that_is_not_active_fails_the_step(api: Api) -> None:
    id = made(
        api,
        auth={
            "type": "oauth2",
            "clientId": "c",
            "tokenUrl": "https://example.com/t",
            "authorizeUrl": "https://example.com/a",
        },
        credentials=None,
    )["id"]
    step = {
        "id": "pay",
        "type": "action",
        "config": {"action": "stripe.createCustomer", "connection": id, "params": {"email": "a@example.com"}},
    }

    run = api.finish(api.workflow({"name": "Pay", "trigger": {"type": "api"}, "steps": [step]}))

    assert run["error"]["code"] == "CONNECTION_MISSING" and "pending" in run["error"]["message"]


# Tests of connections


def test_a_test_of_a_simulator_is_well(api: Api) -> None:
    id = made(api, credentials=None, mode="simulator")["id"]

    tested = api.data("POST", f"/connections/{id}/test")

    assert (tested["ok"], tested["status"], tested["message"]) == (True, "active", "The simulator answers")
    assert api.data("GET", f"/connections/{id}")["lastSyncedAt"] is not None


def test_a_refused_test_marks_the_connection_and_new_credentials_mend_it(api: Api, upstream: Answering) -> None:
    id = made(api, provider="slack", credentials={"botToken": "xoxb-clear-1"}, baseUrl=upstream.url)["id"]
    upstream.body = b'{"ok":false,"error":"invalid_auth"}'

    tested = api.data("POST", f"/connections/{id}/test")

    assert (tested["ok"], tested["status"]) == (False, "error") and "invalid_auth" in tested["message"]
    shown = api.data("GET", f"/connections/{id}")
    assert shown["status"] == "error" and "invalid_auth" in shown["statusReason"]
    mended = api.data("PUT", f"/connections/{id}", {"credentials": {"botToken": "xoxb-clear-2"}})
    assert (mended["status"], mended["statusReason"]) == ("active", None)


def test_a_key_that_may_only_send_is_good_though_it_may_not_list(api: Api, upstream: Answering) -> None:
    credentials = {"apiKey": "re_clear_1", "from": "a@example.com"}
    id = made(api, provider="resend", credentials=credentials, baseUrl=upstream.url)["id"]
    upstream.status = 401
    upstream.body = b'{"name":"restricted_api_key","message":"This key may only send"}'

    tested = api.data("POST", f"/connections/{id}/test")

    assert (tested["ok"], tested["status"]) == (True, "active")


def test_a_test_that_succeeds_mends_a_connection_that_had_failed(api: Api, upstream: Answering) -> None:
    id = made(api, provider="slack", credentials={"botToken": "xoxb-clear-1"}, baseUrl=upstream.url)["id"]
    upstream.body = b'{"ok":false,"error":"invalid_auth"}'
    api.data("POST", f"/connections/{id}/test")
    upstream.body = b'{"ok":true}'

    assert api.data("POST", f"/connections/{id}/test")["status"] == "active"


def test_a_provider_that_cannot_be_reached_leaves_the_status(api: Api) -> None:
    id = made(api, provider="slack", credentials={"botToken": "xoxb-1"}, baseUrl="http://127.0.0.1:9")["id"]

    tested = api.data("POST", f"/connections/{id}/test")

    assert (tested["ok"], tested["status"]) == (False, "active")
    assert api.data("GET", f"/connections/{id}")["status"] == "active"


def test_a_refusal_in_a_run_does_not_mark_the_connection(api: Api, upstream: Answering) -> None:
    id = made(api, provider="slack", credentials={"botToken": "xoxb-1"}, baseUrl=upstream.url)["id"]
    upstream.statuses = [401]
    step = {"id": "post", "type": "slack", "config": {"connection": id, "channel": "C1", "text": "t"}}

    run = api.finish(api.workflow({"name": "Post", "trigger": {"type": "api"}, "steps": [step]}))

    assert run["status"] == "failed"
    assert api.data("GET", f"/connections/{id}")["status"] == "active"


def test_an_unreachable_mail_server_is_told(api: Api) -> None:
    credentials = {"host": "127.0.0.1", "port": 9, "tls": "none", "from": "a@example.com"}
    id = made(api, provider="smtp", credentials=credentials)["id"]

    tested = api.data("POST", f"/connections/{id}/test")

    assert not tested["ok"] and "127.0.0.1" in tested["message"]


# Auth configs


def config(api: Api, **fields: Json) -> Json:
    body = {"provider": "slack", "scheme": "BEARER_TOKEN", **fields}
    return api.data("POST", "/auth-configs", body)


def test_auth_configs_are_made_listed_read_and_removed(api: Api, new_api: NewApi) -> None:
    first, second = config(api, name="First"), config(api)

    assert first["id"].startswith("ac_") and first["name"] == "First" and second["name"] == "Slack"
    assert [each["id"] for each in api.data("GET", "/auth-configs")] == [second["id"], first["id"]]
    assert api.data("GET", f"/auth-configs/{first['id']}") == first
    assert new_api().get(f"/auth-configs/{first['id']}").status_code == 404
    assert api.data("DELETE", f"/auth-configs/{first['id']}") == {"id": first["id"], "deleted": True}
    assert api.get(f"/auth-configs/{first['id']}").status_code == 404


def test_auth_configs_are_paged(api: Api) -> None:
    ids = [config(api)["id"] for _ in range(3)]
    answer = api.get("/auth-configs?limit=2").json()

    rest = api.data("GET", f"/auth-configs?limit=2&cursor={answer['meta']['cursor']}")

    assert [each["id"] for each in answer["data"]] + [each["id"] for each in rest] == ids[::-1]


def test_a_bad_auth_config_is_told_with_every_fault(api: Api) -> None:
    answer = api.post("/auth-configs", {"provider": "nothing", "scheme": "OAUTH2", "credentials": {"scopes": 1}})

    paths = [detail["path"] for detail in answer.json()["error"]["details"]]
    assert answer.status_code == 400
    assert paths == [["provider"], ["credentials", "clientId"], ["credentials", "scopes"]]


# Links


def link(api: Api, scheme: str, credentials: Json = None, callback_url: str | None = None) -> tuple[str, str]:
    """The address of a link for bob on the server under test, and the connection it is of."""
    core = api.server.parts.core
    row = api.server.call(core.accounts.create_config(api.workspace, "slack", scheme, credentials))
    given = api.server.call(core.accounts.link(user(api), row, callback_url))
    return f"{api.server.url}/connect?token={given.token}", f"conn_{given.connection}"


def test_a_link_asks_for_what_the_connector_needs_and_connects_once(api: Api) -> None:
    url, connection = link(api, "BEARER_TOKEN")
    assert api.data("GET", f"/connections/{connection}")["status"] == "pending"
    page = requests.get(url, timeout=10)
    assert page.status_code == 200 and 'name="botToken"' in page.text and 'type="password"' in page.text

    done = requests.post(url, data={"botToken": "xoxb-of-bob"}, timeout=10)

    assert done.status_code == 200 and "Connected" in done.text
    shown = api.data("GET", f"/connections/{connection}")
    assert (shown["status"], shown["endUserId"]) == ("active", user(api).id)
    assert requests.post(url, data={"botToken": "xoxb-other"}, timeout=10).status_code == 401
    assert requests.get(url, timeout=10).status_code == 401


def test_a_link_that_was_filled_in_badly_can_be_used_again(api: Api) -> None:
    url, connection = link(api, "BEARER_TOKEN")

    assert requests.post(url, data={}, timeout=10).status_code == 400
    assert requests.post(url, data={"botToken": "xoxb-of-bob"}, timeout=10).status_code == 200
    assert api.data("GET", f"/connections/{connection}")["status"] == "active"


def test_a_link_of_oauth_leads_to_the_provider(api: Api, provider: Provider) -> None:
    client = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "scopes": "read",
        "authorizeUrl": f"{provider.url}/authorize",
        "tokenUrl": f"{provider.url}/token",
        "callbackUrls": ["https://app.example"],
    }
    url, connection = link(api, "OAUTH2", client, "https://app.example/done")

    page = requests.post(url, data={}, timeout=10).text
    found = re.search(r'href="([^"]+)"', page)
    assert found is not None
    sent = requests.get(found[1].replace("&amp;", "&"), allow_redirects=False, timeout=10).headers["Location"]
    back = requests.get(
        api.server.url + sent.partition("://")[2].partition("/")[1] + sent.partition("://")[2].partition("/")[2],
        allow_redirects=False,
        timeout=10,
    )

    assert back.status_code == 302 and back.headers["Location"].startswith("https://app.example/done?status=success")
    assert api.data("GET", f"/connections/{connection}")["status"] == "active"


def test_an_unknown_link_is_refused_with_a_page(api: Api) -> None:
    answer = requests.get(f"{api.server.url}/connect?token=guess", timeout=10)

    assert answer.status_code == 401 and "text/html" in answer.headers["Content-Type"]


# Runs of end users


def test_a_run_knows_its_user_and_takes_the_users_account(api: Api, upstream: Answering) -> None:
    core, bob = api.server.parts.core, user(api)
    upstream.body = b'{"ok":true}'
    row = api.server.call(core.accounts.create_config(api.workspace, "slack", "BEARER_TOKEN"))
    account, _ = api.server.call(core.accounts.connect(bob, row, {"token": "xoxb-of-bob"}))
    api.data("PUT", f"/connections/conn_{account.id}", {"baseUrl": upstream.url})
    steps = [
        {
            "id": "who",
            "type": "transform",
            "config": {"mapping": {"name": "{{run.user.username}}", "id": "{{run.user.id}}"}},
        },
        {"id": "post", "type": "slack", "config": {"channel": "C1", "text": "t"}},
    ]
    workflow = api.workflow({"name": "Who", "trigger": {"type": "api"}, "steps": steps})

    run = api.final(started(api, workflow, end_user=bob.id))

    assert run["status"] == "completed"
    assert run["steps"][0]["output"] == {"name": "bob", "id": bob.id}
    assert upstream.seen[0].headers["authorization"] == "Bearer xoxb-of-bob"


def test_a_mock_run_reaches_no_provider(api: Api) -> None:
    steps = [{"id": "post", "type": "slack", "config": {"channel": "C1", "text": "t"}}]
    workflow = api.workflow({"name": "Mock", "trigger": {"type": "api"}, "steps": steps})

    run = api.final(started(api, workflow, mock=True))

    assert run["status"] == "completed"
    output = run["steps"][0]["output"]
    assert output["mock"] is True and output["input"]["channel"] == "C1"


def started(api: Api, workflow: str, **fields: Json) -> str:
    """The id of a run that only the server itself can start: of an end user, or a mock."""
    request = StartRequest(workflow=workflow[3:], **fields)
    return f"run_{api.server.call(api.server.parts.core.runs.start(api.workspace, request)).run}"
