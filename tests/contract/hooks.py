"""Senders of webhooks, and workflows that listen."""

import time
from collections.abc import Mapping
from typing import Any

import requests

from live import PATIENCE_S, Api
from stepwell.triggers import SCHEMES, Inbound
from stepwell.values import Json, decode, encode

SECRET = "a-secret-of-the-tests"
ECHO = {"input": "{{input}}", "trigger": "{{trigger}}"}


def listening(trigger: Json, output: Json = None, **fields: Json) -> Json:
    """A workflow with a webhook trigger; its run's output shows input and trigger."""
    step = {"id": "shape", "type": "transform", "config": {"mapping": output or ECHO}}
    return {"name": "Hook", "trigger": {"type": "webhook", **trigger}, "steps": [step], **fields}


def signed_hook(api: Api, trigger: Json | None = None, **fields: Json) -> str:
    """An active workflow on a path of its own whose requests are signed as hmac-sha256 with SECRET."""
    signature = {"scheme": "hmac-sha256", "secrets": ["{{secrets.HOOK}}"]}
    workflow = api.workflow(listening({"signature": signature, **(trigger or {})}, **fields), active=False)
    api.data("POST", f"/workflows/{workflow}/secrets", {"key": "HOOK", "value": SECRET})
    api.data("POST", f"/workflows/{workflow}/activate")
    return workflow


def connected(api: Api, provider: str = "github", *secrets: str) -> None:
    """A connection of a provider that signs what it sends."""
    credentials = {"stripe": {"apiKey": "sk_test_1"}, "slack": {"botToken": "xoxb-1"}}
    body = {"name": provider, "provider": provider, "credentials": credentials.get(provider, {"accessToken": "at_1"})}
    api.data("POST", "/connections", {**body, "webhookSecrets": list(secrets or (SECRET,))})


def path_of(api: Api, workflow: str) -> str:
    """Where a workflow's requests arrive, below the server's root."""
    url: str = api.data("GET", f"/workflows/{workflow}")["trigger"]["url"]
    return url.removeprefix(api.server.parts.core.public_url)


def send(api: Api, path: str, body: Json | bytes = None, method: str = "POST", **headers: str) -> requests.Response:
    """A request without a key. `_` in header names stands for `-`."""
    raw = body if isinstance(body, bytes) else encode({} if body is None else body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent: Mapping[str, Any] = {"Content-Type": "application/json"} | named
    return requests.request(method, f"{api.server.url}{path}", data=raw, headers=sent, timeout=PATIENCE_S)


def send_signed(
    api: Api,
    path: str,
    body: Json | bytes = None,
    scheme: str = "hmac-sha256",
    secret: str = SECRET,
    at_ms: int | None = None,
    **headers: str,
) -> requests.Response:
    """A request signed as a sender of the scheme signs it."""
    raw = body if isinstance(body, bytes) else encode({} if body is None else body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = Inbound(method="POST", url=f"{api.server.parts.core.public_url}{path}", headers=named, query={}, body=raw)
    now = round(time.time() * 1000) if at_ms is None else at_ms
    return send(api, path, raw, **headers, **SCHEMES[scheme].sign(request, secret, now))


def taken(response: requests.Response, triggered: int = 1, **more: Json) -> str:
    """The event id of an answer that says exactly this."""
    body = decode(response.content)
    assert response.status_code == 200, response.text
    event: str = body["eventId"]
    assert event.startswith("evt_")
    assert body == {"received": True, "eventId": event, "workflowsTriggered": triggered, **more}
    return event


def delivery(api: Api, event: str) -> Json:
    """A delivery, whole."""
    return api.data("GET", f"/webhook-deliveries/{event}")


def runs_of(api: Api, workflow: str) -> list[Json]:
    """The runs of a workflow, newest first."""
    found: list[Json] = api.data("GET", f"/runs?workflowId={workflow}&limit=100")
    return found


def only_run(api: Api, workflow: str) -> Json:
    """The one run of a workflow, once it is final."""
    (run,) = runs_of(api, workflow)
    return api.final(run["id"])
