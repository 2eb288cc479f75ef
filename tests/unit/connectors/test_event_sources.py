"""Events that a manifest has polled by one of its actions."""

import copy
from typing import Any

import msgspec
import pytest
from aiohttp import web

from stepwell.clock import FakeClock
from stepwell.connectors import (
    BadManifest,
    ConnectorActions,
    Connectors,
    EventSources,
    GuardedHttp,
    Look,
    Manifest,
    OpenConnection,
    SmtpMail,
    compile_manifest,
)
from stepwell.errors import StepError
from stepwell.triggers import Subscription
from stepwell.values import Json
from unit.connectors.servers import Counters, Serve

NEW_ORDER: dict[str, Any] = {
    "title": "A new order",
    "params": {"type": "object", "properties": {"shop": {"type": "string"}, "status": {"type": "string"}}},
    "output": {"id": 1},
    "poll": {
        "call": {
            "action": "listOrders",
            "params": {"shop": "{{params.shop}}", "status": "{{params.status}}", "since": "{{cursor}}"},
        },
        "items": "{{answer.orders}}",
        "id": "{{item.number}}-{{item.version}}",
        "cursor": "{{answer.next}}",
    },
}
ACME: dict[str, Any] = {
    "name": "acme",
    "title": "Acme",
    "base_url": "https://acme.test",
    "auth": {"kind": "bearer", "field": "key"},
    "credentials": {"key": {"title": "Key", "secret": True}},
    "failure": {"message": "{{answer.message}}"},
    "actions": {
        "listOrders": {
            "title": "List",
            "params": {"type": "object", "properties": {"shop": {}, "status": {}, "since": {}}},
            "requests": [
                {
                    "name": "list",
                    "method": "GET",
                    "path": "/{{params.shop}}",
                    "query": {"status": "{{params.status}}", "since": "{{params.since}}"},
                }
            ],
            "simulate": [{"output": {"orders": []}}],
        }
    },
    "triggers": {"newOrder": NEW_ORDER},
}


def sources(http: GuardedHttp, mail: SmtpMail, clock: FakeClock, connection: OpenConnection) -> EventSources:
    connectors = Connectors({"acme": compile_manifest(msgspec.convert(ACME, Manifest))})

    async def opened(workspace: str, id: str) -> OpenConnection:
        return connection

    return EventSources(connectors, ConnectorActions(connectors, http, mail, opened, Counters(), clock), {})


def look(connection: OpenConnection, state: Json = None) -> Look:
    subscription = Subscription(
        event="acme.newOrder",
        params={"shop": "one"},
        connection=None,
        interval_s=300,
        first="skip",
        most_items=100,
        filter=None,
    )
    return Look(
        workspace="w",
        trigger="t",
        subscription=subscription,
        connection=connection,
        state=state,
        limit=100,
        now_ms=0,
        timeout_s=5,
    )


async def test_items_ids_and_cursor_come_from_the_answer_oldest_first(
    http: GuardedHttp, mail: SmtpMail, clock: FakeClock, serve: Serve
) -> None:
    queries: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        queries.append({"path": request.path, **request.query, "auth": request.headers["Authorization"]})
        return web.json_response({"orders": [{"number": 2, "version": 1}, {"number": 1, "version": 3}], "next": "n2"})

    connection = OpenConnection("c", "acme", "live", await serve(answer), {"key": "the-secret"})
    asked = sources(http, mail, clock, connection)

    first = await asked.look(look(connection))
    await asked.look(look(connection, first.state))

    assert [item.id for item in first.items] == ["1-3", "2-1"]
    assert first.state == {"cursor": "n2"}
    assert queries == [
        {"path": "/one", "auth": "Bearer the-secret"},
        {"path": "/one", "since": "n2", "auth": "Bearer the-secret"},
    ]


async def test_an_answer_without_a_list_is_a_failure(
    http: GuardedHttp, mail: SmtpMail, clock: FakeClock, serve: Serve
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"orders": "none"})

    connection = OpenConnection("c", "acme", "live", await serve(answer), {"key": "the-secret"})

    with pytest.raises(StepError, match="holds no list"):
        await sources(http, mail, clock, connection).look(look(connection))


async def test_a_simulated_connection_finds_what_its_action_makes_up(
    http: GuardedHttp, mail: SmtpMail, clock: FakeClock
) -> None:
    connection = OpenConnection("c", "acme", "simulator")

    found = await sources(http, mail, clock, connection).look(look(connection))

    assert found.items == ()


def test_what_runs_get_is_told_as_a_schema_with_an_example() -> None:
    output = {"id": 1, "lines": [{"sku": "a"}], "paid": True, "note": None}
    manifest = compile_manifest(msgspec.convert(changed("output", value=output), Manifest))

    assert manifest.events["newOrder"].spec.output == {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}},
            "paid": {"type": "boolean"},
            "note": {},
        },
        "examples": [output],
    }


def changed(*path: str, value: Any) -> dict[str, Any]:
    manifest = copy.deepcopy(ACME)
    place: Any = manifest["triggers"]["newOrder"]
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return manifest


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        (changed("colour", value="red"), "triggers: Object contains unknown field `colour`"),
        (changed("title", value=5), "triggers: Expected `str`"),
        (changed("poll", value=None), "triggers.newOrder needs either webhook or poll"),
        (
            changed("webhook", value={"scheme": "github", "events": []}),
            "triggers.newOrder needs either webhook or poll",
        ),
        (changed("params", value={"type": "thing"}), "triggers.newOrder.params is not a JSON Schema"),
        (changed("poll", "call", "action", value="nothing"), "triggers.newOrder names nothing"),
        (changed("poll", "items", value=None), "needs a source, or call, items and id"),
        (changed("poll", "source", value="feed"), "needs a source, or call, items and id"),
        (changed("poll", "interval_s", value=5), "interval_s must be from 60"),
        (changed("poll", "id", value="{{item.id"), "item.id"),
        (
            changed("poll", value=None)
            | {
                "triggers": {
                    "newOrder": {
                        **{name: value for name, value in NEW_ORDER.items() if name != "poll"},
                        "webhook": {"scheme": "github", "events": ["a"], "setup": {"action": "listOrders"}},
                    }
                }
            },
            "has a setup and no teardown",
        ),
    ],
)
def test_a_manifest_with_a_fault_in_its_triggers_is_refused(manifest: dict[str, Any], told: str) -> None:
    with pytest.raises(BadManifest) as refusal:
        compile_manifest(msgspec.convert(manifest, Manifest))

    assert told in str(refusal.value)
