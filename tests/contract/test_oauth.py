"""Accounts connected by OAuth 2, against a real authorization server. Source: LoopFour contract 13, RFC 6749, 7636."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
import requests

from live import Api, LiveServer
from oauth_provider import CLIENT_ID, CLIENT_SECRET, Provider, oauth_provider
from stepwell.core import Wanted
from stepwell.values import Json

GRANT = "authorization_code"


@pytest.fixture
def provider(server: LiveServer) -> Iterator[Provider]:
    with oauth_provider() as made:
        made.client.redirect_uris.append(server.parts.core.authorizations.redirect_uri)
        yield made


def client(provider: Provider, **fields: Json) -> Json:
    urls = {"authorizeUrl": f"{provider.url}/authorize", "tokenUrl": f"{provider.url}/token"}
    return {"clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET, "scopes": ["read"], **urls, **fields}


def connect(api: Api, provider: Provider, connector: str = "slack", **auth: Json) -> str:
    """The id of a new connection of OAuth, whose API is the provider's. That of github proves itself by PKCE."""
    body = {"name": "Team", "provider": connector, "baseUrl": provider.url, "auth": {"type": "oauth2", **auth}}
    id: str = api.data("POST", "/connections", body)["id"]
    return id


def authorize(api: Api, connection: str, **body: Json) -> str:
    url: str = api.data("POST", f"/connections/{connection}/authorize", body)["authorizeUrl"]
    return url


def agree(api: Api, url: str) -> str:
    """Where the provider sends the browser of an owner who agrees, on the server under test."""
    sent = requests.get(url, allow_redirects=False, timeout=10)
    assert sent.status_code == 302, sent.text
    back = urlsplit(sent.headers["Location"])
    return f"{api.server.url}{back.path}?{back.query}"


def come_back(url: str) -> requests.Response:
    return requests.get(url, allow_redirects=False, timeout=10)


def connected(api: Api, provider: Provider) -> str:
    """The id of a connection whose owner has agreed."""
    id = connect(api, provider, **client(provider))
    assert come_back(agree(api, authorize(api, id))).status_code == 200
    return id


def status(api: Api, connection: str) -> tuple[str, str | None]:
    found = api.data("GET", f"/connections/{connection}")
    return found["status"], found["statusReason"]


def posting(api: Api, connection: str, count: int = 1) -> str:
    """A workflow that posts messages at the same time."""
    branches = [
        {
            "steps": [
                {"id": f"post{n}", "type": "slack", "config": {"connection": connection, "channel": "C1", "text": "t"}}
            ]
        }
        for n in range(count)
    ]
    step = {"id": "fan", "type": "parallel", "config": {"branches": branches}} if count > 1 else branches[0]["steps"][0]
    return api.workflow({"name": "Post", "trigger": {"type": "api"}, "steps": [step]})


def age(api: Api, connection: str, provider: Provider) -> None:
    """The access token has ended, and the server knows that it has."""
    core = api.server.parts.core
    row = api.server.call(core.connections.get(api.workspace, connection[5:]))
    ended = msgspec.structs.replace(row, expires_at=1, updated_at=row.updated_at + 1)
    assert api.server.call(core.store.connections.save(ended, seen=row.updated_at))
    provider.end_access()


def test_a_connection_is_pending_until_its_owner_has_agreed(api: Api, provider: Provider) -> None:
    id = connect(api, provider, "github", **client(provider))
    assert status(api, id)[0] == "pending"

    page = come_back(agree(api, authorize(api, id)))

    assert page.status_code == 200 and "is connected" in page.text
    assert status(api, id) == ("active", None)
    assert provider.grants_asked() == [GRANT]


def test_the_owner_is_asked_with_pkce_and_a_state_that_nobody_can_guess(api: Api, provider: Provider) -> None:
    asked = dict(parse_qsl(urlsplit(authorize(api, connect(api, provider, "github", **client(provider)))).query))

    assert asked["code_challenge_method"] == "S256" and len(asked["code_challenge"]) == 43
    assert len(asked["state"]) >= 43
    assert (asked["response_type"], asked["client_id"], asked["scope"]) == ("code", CLIENT_ID, "read")


def test_a_state_counts_once(api: Api, provider: Provider) -> None:
    back = agree(api, authorize(api, connect(api, provider, **client(provider))))
    come_back(back)

    assert come_back(back).status_code == 401
    assert provider.grants_asked() == [GRANT]


def test_a_state_that_was_never_given_out_is_refused(api: Api, provider: Provider) -> None:
    assert come_back(f"{api.server.url}/oauth/callback?state=guess&code=1").status_code == 401
    assert provider.asked == []


def test_a_code_of_another_authorization_does_not_pass_pkce(api: Api, provider: Provider) -> None:
    id = connect(api, provider, "github", **client(provider))
    mine, theirs = agree(api, authorize(api, id)), agree(api, authorize(api, id))
    code = dict(parse_qsl(urlsplit(theirs).query))["code"]
    state = dict(parse_qsl(urlsplit(mine).query))["state"]

    page = come_back(f"{api.server.url}/oauth/callback?state={state}&code={code}")

    assert page.status_code == 400 and "invalid_grant" in page.text
    assert status(api, id)[0] == "pending"


def test_an_owner_who_refuses_leaves_the_connection_pending_with_the_reason(api: Api, provider: Provider) -> None:
    id = connect(api, provider, **client(provider))

    page = come_back(agree(api, authorize(api, id) + "&deny=1"))

    assert page.status_code == 400
    state, reason = status(api, id)
    assert state == "pending" and "denied" in str(reason)


def test_a_wrong_client_secret_is_told_and_nothing_is_connected(api: Api, provider: Provider) -> None:
    id = connect(api, provider, **client(provider, clientSecret="not-the-secret"))

    page = come_back(agree(api, authorize(api, id)))

    assert page.status_code == 400 and "invalid_client" in page.text
    assert status(api, id)[0] == "pending"


def test_what_comes_back_is_shown_as_text(api: Api, provider: Provider) -> None:
    state = dict(parse_qsl(urlsplit(authorize(api, connect(api, provider, **client(provider)))).query))["state"]

    page = come_back(f"{api.server.url}/oauth/callback?state={state}&error=<script>alert(1)</script>")

    assert "<script>" not in page.text
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_a_step_sends_the_access_token(api: Api, provider: Provider) -> None:
    id = connected(api, provider)

    run = api.finish(posting(api, id))

    assert run["status"] == "completed"
    assert provider.called == [provider.tokens[0].access_token]


def test_a_token_is_renewed_before_it_ends_and_the_new_refresh_token_is_kept(api: Api, provider: Provider) -> None:
    id = connected(api, provider)
    workflow = posting(api, id)
    for _ in range(2):
        age(api, id, provider)
        assert api.finish(workflow)["status"] == "completed"

    assert provider.grants_asked() == [GRANT, "refresh_token", "refresh_token"]
    sent = [form["refresh_token"] for form in provider.asked[1:]]
    assert sent == [provider.tokens[0].refresh_token, provider.tokens[1].refresh_token]


def test_a_token_that_the_provider_rejects_is_renewed_and_the_request_sent_again(api: Api, provider: Provider) -> None:
    id = connected(api, provider)
    provider.end_access()

    run = api.finish(posting(api, id))

    assert run["status"] == "completed"
    assert provider.called == [provider.tokens[1].access_token]


def test_steps_at_the_same_time_renew_once(api: Api, provider: Provider) -> None:
    id = connected(api, provider)
    workflow = posting(api, id, count=8)
    age(api, id, provider)
    provider.token_delay_s = 0.1

    with ThreadPoolExecutor(3) as threads:
        runs = list(threads.map(lambda _: api.finish(workflow), range(3)))

    assert [run["status"] for run in runs] == ["completed"] * 3
    assert provider.grants_asked() == [GRANT, "refresh_token"]
    assert len(provider.called) == 24


def test_a_revoked_refresh_token_expires_the_connection(api: Api, provider: Provider) -> None:
    id = connected(api, provider)
    provider.revoke()

    run = api.finish(posting(api, id))

    assert run["status"] == "failed"
    assert run["error"]["code"] == "CONNECTION_MISSING" and "invalid_grant" in run["error"]["message"]
    state, reason = status(api, id)
    assert state == "expired" and "no longer accepts" in str(reason)


def test_an_expired_connection_disables_the_triggers_that_use_it(api: Api, provider: Provider) -> None:
    id = connected(api, provider)
    workflow = posting(api, id)
    core = api.server.parts.core
    config = {"type": "schedule", "cron": "0 0 1 1 *"}
    wanted = Wanted(slug="schedule", config=config, workflow=workflow[3:], connection=id[5:])
    trigger, _ = api.server.call(core.triggers.upsert(api.workspace, wanted))
    provider.revoke()

    api.finish(workflow)

    found = api.server.call(core.triggers.get(api.workspace, trigger.id))
    assert (found.status, found.reason) == ("error", "connected_account_expired")


def test_a_token_endpoint_that_is_down_is_tried_again_by_the_step(api: Api, provider: Provider) -> None:
    id = connected(api, provider)
    age(api, id, provider)
    provider.down = True
    step = {
        "id": "post",
        "type": "slack",
        "config": {"connection": id, "channel": "C1", "text": "t"},
        "retryConfig": {"maxAttempts": 2, "initialDelayMs": 20, "backoff": "fixed"},
    }
    workflow = api.workflow({"name": "Post", "trigger": {"type": "api"}, "steps": [step]})

    run = api.finish(workflow)

    assert run["status"] == "failed"
    assert provider.grants_asked() == [GRANT, "refresh_token", "refresh_token"]
    assert status(api, id)[0] == "active"


def test_an_expired_account_is_active_once_its_owner_has_agreed_again(api: Api, provider: Provider) -> None:
    id = connected(api, provider)
    provider.revoke()
    api.finish(posting(api, id))

    come_back(agree(api, authorize(api, id)))

    assert status(api, id) == ("active", None)
    assert api.finish(posting(api, id))["status"] == "completed"


def test_client_credentials_need_no_owner(api: Api, provider: Provider) -> None:
    id = connect(api, provider, grant="client_credentials", **client(provider))

    assert status(api, id)[0] == "active"
    assert api.finish(posting(api, id))["status"] == "completed"
    assert provider.grants_asked() == ["client_credentials"]
    assert api.post(f"/connections/{id}/authorize").status_code == 400


def test_the_client_may_be_an_auth_configs(api: Api, provider: Provider) -> None:
    body = {"provider": "slack", "scheme": "OAUTH2", "credentials": client(provider), "name": "Our app"}
    config = api.data("POST", "/auth-configs", body)
    id = connect(api, provider, authConfigId=config["id"])

    come_back(agree(api, authorize(api, id)))

    assert api.data("GET", f"/connections/{id}")["authConfigId"] == config["id"]
    assert api.finish(posting(api, id))["status"] == "completed"
    refused = api("DELETE", f"/auth-configs/{config['id']}")
    assert refused.status_code == 400 and "1 connected accounts" in refused.text


def test_a_browser_is_sent_on_only_to_origins_that_the_client_names(api: Api, provider: Provider) -> None:
    id = connect(api, provider, **client(provider, callbackUrls=["https://app.example/"]))
    for url in (
        "https://evil.example/x",
        "https://app.example.evil.example/",
        "//evil.example",
        "javascript:alert(1)",
        "https://app.example@evil.example/",
        "https:\\\\evil.example",
        "https://app.example:444/",
    ):
        answer = api.post(f"/connections/{id}/authorize", {"callbackUrl": url})
        assert answer.status_code == 400, url
        assert answer.json()["error"]["details"][0]["path"] == ["callbackUrl"]

    back = come_back(agree(api, authorize(api, id, callbackUrl="https://app.example/done?x=1")))

    assert back.status_code == 302
    bare = id[5:]
    assert back.headers["Location"] == f"https://app.example/done?x=1&status=success&connectedAccountId={bare}"


def test_no_answer_tells_a_token_or_secret(api: Api, provider: Provider) -> None:
    id = connected(api, provider)
    run = api.finish(posting(api, id))

    told = "".join(
        api.get(path).text
        for path in (f"/connections/{id}", "/connections", f"/runs/{run['id']}", f"/runs/{run['id']}/logs")
    )

    assert [secret for secret in provider.secrets if secret in told] == []


@pytest.mark.parametrize(
    ("auth", "path"),
    [
        ({"type": "oauth2"}, ["auth", "clientId"]),
        ({"type": "oauth2", "clientId": "c"}, ["auth", "tokenUrl"]),
        ({"type": "oauth2", "clientId": "c", "grant": "password"}, ["auth", "grant"]),
        ({"type": "oauth2", "authConfigId": "ac_00000000-0000-7000-8000-000000000000"}, ["auth", "authConfigId"]),
        ({"type": "oauth2", "clientId": "c", "tokenUrl": "ftp://x"}, ["auth", "tokenUrl"]),
        ({"type": "oauth2", "clientId": "c", "scopes": "read"}, ["auth", "scopes"]),
        ({"type": "magic"}, ["auth", "type"]),
    ],
)
def test_a_bad_auth_is_refused_with_its_place(api: Api, auth: Json, path: list[str]) -> None:
    answer = api.post("/connections", {"name": "Team", "provider": "stripe", "auth": auth})

    assert answer.status_code == 400
    assert path in [detail["path"] for detail in answer.json()["error"]["details"]]


def test_a_step_whose_time_is_up_does_not_lose_the_new_refresh_token(api: Api, provider: Provider) -> None:
    id = connected(api, provider)
    age(api, id, provider)
    provider.token_delay_s = 1.6
    step = {"id": "post", "type": "slack", "config": {"connection": id, "channel": "C1", "text": "t"}, "timeoutMs": 100}
    hasty = api.workflow({"name": "Hasty", "trigger": {"type": "api"}, "steps": [step]})

    cut_off = api.finish(hasty)
    later = api.finish(posting(api, id))

    assert (cut_off["status"], later["status"]) == ("failed", "completed")
    assert provider.grants_asked() == [GRANT, "refresh_token"]


def test_a_token_without_a_refresh_token_is_used_until_it_is_rejected(api: Api, provider: Provider) -> None:
    connected(api, provider)
    id = connect(api, provider, accessToken=provider.tokens[0].access_token)
    workflow = posting(api, id)
    assert api.finish(workflow)["status"] == "completed"
    provider.end_access()

    run = api.finish(workflow)

    assert run["error"]["code"] == "CONNECTION_MISSING"
    assert status(api, id)[0] == "expired"
    assert provider.grants_asked() == [GRANT]
