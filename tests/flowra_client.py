"""A client of the Flowra dialect: its keys, its header, and its envelopes."""

import time
from dataclasses import dataclass, replace
from typing import Any

import requests

from live import PATIENCE_S, Api
from stepwell.values import Json, decode, encode

SCOPES = (
    "workflows:read",
    "workflows:write",
    "workflows:execute",
    "runs:read",
    "connections:read",
    "connections:write",
)
TRIGGERS = "/trigger_instances"


@dataclass(frozen=True)
class FlowraApi:
    """A client of a workspace with a key of this dialect; `native` is its client of the native API."""

    native: Api
    key: str
    username: str | None = None

    def __call__(self, method: str, path: str, body: Json = None, **options: Any) -> requests.Response:
        headers = {"x-api-key": self.key, **options.pop("headers", {})}
        if self.username is not None:
            headers["x-username"] = self.username
        if body is not None:
            options["data"] = encode(body)
            headers["Content-Type"] = "application/json"
        url = f"{self.native.server.url}/api/v1{path}"
        return requests.request(method, url, headers=headers, timeout=PATIENCE_S, **options)

    @property
    def workspace(self) -> str:
        return self.native.workspace

    def answer(self, method: str, path: str, body: Json = None, status: int = 200, **options: Any) -> Json:
        """The whole of an answer that must have this status."""
        response = self(method, path, body, **options)
        assert response.status_code == status, response.text
        return decode(response.content)

    def upsert(self, slug: str = "schedule", *, status: int | None = None, **body: Json) -> Json:
        """The row of a trigger that is made or changed."""
        if slug == "schedule":
            body.setdefault("triggerConfig", {"cron": "0 9 * * *"})
        response = self("POST", f"{TRIGGERS}/{slug}/upsert", body)
        assert response.status_code in ((200, 201) if status is None else (status,)), response.text
        return decode(response.content)["data"]

    def listed(self, query: str = "") -> list[str]:
        """The ids of the triggers that a query lists."""
        return [row["id"] for row in self.answer("GET", f"{TRIGGERS}/active?{query}")["data"]]

    def user(self, username: str) -> "FlowraApi":
        """The same client for one of the workspace's users."""
        return replace(self, username=username)

    def scoped(self, *scopes: str) -> "FlowraApi":
        """The same workspace with a key of these scopes."""
        return flowra(self.native, scopes)


def flowra(native: Api, scopes: tuple[str, ...] = SCOPES) -> FlowraApi:
    """A client with a new key of the workspace."""
    core = native.server.parts.core
    made = native.server.call(core.keys.create(native.workspace, "flowra", scopes, dialect="flowra"))
    return FlowraApi(native, made.text)


def fire(client: FlowraApi, trigger: str) -> Json:
    """The newest row of the log, once an interval that is made due now has been fired by the server."""
    server = client.native.server
    core, path = server.parts.core, f"{TRIGGERS}/invocation-logs?triggerId={trigger}"
    before = client.answer("GET", path)["total"]
    now = int(time.time() * 1000)
    server.call(core.store.triggers.arm(client.workspace, trigger, now, now))
    server.loop.call_soon_threadsafe(core.triggers.noted, now)
    deadline = time.monotonic() + PATIENCE_S
    while (found := client.answer("GET", path))["total"] == before:
        assert time.monotonic() < deadline, "the schedule does not fire"
        time.sleep(0.005)
    return found["data"][0]


def bare(id: str) -> str:
    """An id without the native prefix."""
    return id.split("_", 1)[1]


def refused(response: requests.Response, status: int, message: str | None = None) -> list[str]:
    """The fields that an answer finds fault with; it must be this refusal, in the contract's form."""
    body = decode(response.content)
    assert (response.status_code, body["success"], body["statusCode"]) == (status, False, status), response.text
    assert set(body) == {"success", "statusCode", "error", "message", "details"}
    assert isinstance(body["message"], str) and body["message"]
    assert message is None or body["message"] == message
    if body["details"]:
        assert body["message"].startswith(body["details"][0]["field"])
    return [detail["field"] for detail in body["details"]]
