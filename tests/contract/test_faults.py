"""A fault of the server: told without its words, logged with the request's id. Source: LoopFour contract 1.4."""

import dataclasses
from collections.abc import Mapping, MutableMapping
from typing import Any

from live import Api
from stepwell.auth import Principal
from stepwell.clock import SystemClock
from stepwell.events import Events
from stepwell.http import create_app
from stepwell.services import Metrics
from stepwell.settings import Settings
from stepwell.values import decode


class Broken:
    """An authenticator that fails in a way nobody foresaw."""

    async def authenticate(self, text: str | None) -> Principal:
        raise RuntimeError("no such table: keys")


Told = list[tuple[str, Mapping[str, Any]]]
Message = MutableMapping[str, Any]


async def broken(api: Api, path: str) -> tuple[Message, Message, Told]:
    """Head and body of the answer to a request that a fault meets, and the events of it."""
    told: Told = []
    core = dataclasses.replace(api.server.parts.core, authenticator=Broken())  # type: ignore[arg-type]
    events = Events([lambda name, fields: told.append((name, fields))])
    app = create_app(core, Settings(), events, SystemClock(), Metrics())
    sent: list[Message] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    headers = [(b"x-api-key", b"k"), (b"x-request-id", b"mine")]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    head, body = sent
    return head, body, told


async def test_a_fault_is_told_without_its_words_and_logged_with_the_request_id(api: Api) -> None:
    head, body, told = await broken(api, "/api/v1/runs")

    error = {"code": "INTERNAL_ERROR", "message": "Internal server error"}
    assert (head["status"], decode(body["body"])) == (500, {"success": False, "error": error})
    assert (b"x-request-id", b"mine") in head["headers"]
    fault, request = told
    assert (fault[0], fault[1]["request"]) == ("http.fault", "mine")
    assert "no such table" in fault[1]["error"]
    assert (request[0], request[1]["status"]) == ("http.request", 500)


async def test_the_awaitstep_dialect_tells_the_request_id(api: Api) -> None:
    head, body, _ = await broken(api, "/api/runs")

    assert (head["status"], decode(body["body"])) == (500, {"error": "Internal server error", "requestId": "mine"})
