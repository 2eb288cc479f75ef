"""Events that are polled from a JSON endpoint."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from contract.providers import Place, has_looked, inputs, on_event, poll, provider, row, trigger_when
from live import Api, live, refused
from stepwell.settings import Admin, Egress, Server, Settings
from stepwell.values import Json, decode


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place(body=b"[]")
    with provider(made.answer) as url:
        made.url = url
        yield made


def watching(api: Api, place: Place, *, params: Json = None, **fields: Json) -> str:
    workflow = api.workflow(on_event("http_poll.new_item", params={"url": place.url, **(params or {})}, **fields))
    trigger_when(api, workflow, has_looked)
    return workflow


def show(place: Place, value: Json) -> None:
    place.body = json.dumps(value).encode()


def test_new_members_of_the_list_start_runs_from_the_end_of_the_list(api: Api, place: Place) -> None:
    show(place, [{"id": 1}])
    workflow = watching(api, place)

    show(place, [{"id": 3}, {"id": 2}, {"id": 1}])
    poll(api, workflow)

    assert inputs(api, workflow) == [{"id": 2}, {"id": 3}]


def test_list_and_id_are_found_by_their_paths(api: Api, place: Place) -> None:
    params = {"items": "data.orders", "id": "meta.number", "order": "oldestFirst"}
    show(place, {"data": {"orders": [{"meta": {"number": "a"}}, {"meta": {"number": "b"}}]}})
    workflow = watching(api, place, params=params, first="emit")

    show(place, {"data": {"orders": [{"meta": {"number": "b"}, "changed": True}]}})
    poll(api, workflow)

    assert inputs(api, workflow) == [{"meta": {"number": "a"}}, {"meta": {"number": "b"}}]


def test_members_without_an_id_are_told_apart_by_what_they_hold(api: Api, place: Place) -> None:
    workflow = watching(api, place)

    show(place, ["b", "a", "a"])
    poll(api, workflow)
    poll(api, workflow)

    assert inputs(api, workflow) == [{"value": "a"}, {"value": "b"}]


def test_what_the_answer_gives_as_cursor_is_sent_next_time(api: Api, place: Place) -> None:
    show(place, {"items": [], "next": 17})
    workflow = watching(
        api, place, params={"items": "items", "query": {"a": "1"}, "cursor": {"path": "next", "param": "since"}}
    )

    poll(api, workflow)

    queries = [parse_qs(urlsplit(seen.path).query) for seen in place.seen]
    assert queries == [{"a": ["1"]}, {"a": ["1"], "since": ["17"]}]


def test_the_cursor_stays_until_everything_before_it_was_dealt_with(api: Api, place: Place) -> None:
    show(place, {"items": [], "next": 1})
    params = {"items": "items", "cursor": {"path": "next", "param": "since"}}
    workflow = watching(api, place, params=params, maxItems=1)

    show(place, {"items": [{"id": 2}, {"id": 1}], "next": 2})
    poll(api, workflow)
    poll(api, workflow)
    poll(api, workflow)

    assert [parse_qs(urlsplit(seen.path).query).get("since") for seen in place.seen] == [None, ["1"], ["1"], ["2"]]
    assert inputs(api, workflow) == [{"id": 1}, {"id": 2}]


def test_method_headers_and_body_are_sent(api: Api, place: Place) -> None:
    watching(api, place, params={"method": "POST", "headers": {"X-Shop": "1"}, "body": {"status": "open"}})

    seen = place.seen[0]
    assert (seen.method, seen.headers["x-shop"], decode(seen.body)) == ("POST", "1", {"status": "open"})


def test_a_connection_is_one_header_and_shows_nowhere(api: Api, place: Place) -> None:
    credentials = {"value": "Bearer the-token-of-the-shop"}
    body = {"name": "Shop", "provider": "http_poll", "credentials": credentials, "slug": "shop"}
    api.data("POST", "/connections", body)
    workflow = watching(api, place, connection="shop")
    show(place, [{"id": 1, "echo": "Bearer the-token-of-the-shop"}])

    poll(api, workflow)

    assert place.seen[0].headers["authorization"] == "Bearer the-token-of-the-shop"
    assert inputs(api, workflow) == [{"id": 1, "echo": "[secret]"}]


def test_a_connection_that_is_not_named_is_not_used(api: Api, place: Place) -> None:
    body = {"name": "Shop", "provider": "http_poll", "credentials": {"value": "Bearer x"}, "isDefault": True}
    api.data("POST", "/connections", body)

    watching(api, place)

    assert "authorization" not in place.seen[0].headers


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "The address sent an answer that is not JSON"),
        (b'{"id": 1}', "The answer holds no list at its root"),
        (b'{"n": 1e999999}', "The address sent an answer that is not JSON"),
    ],
)
def test_an_answer_without_a_list_is_a_reason(api: Api, place: Place, body: bytes, reason: str) -> None:
    place.body = body

    workflow = api.workflow(on_event("http_poll.new_item", params={"url": place.url}))
    failed = trigger_when(api, workflow, lambda found: found.reason)

    assert failed.reason == f"poll_failed: {reason}"


def test_a_connection_that_is_not_there_refuses_the_activation(api: Api, place: Place) -> None:
    document = on_event("http_poll.new_item", params={"url": place.url}, connection="nobody")
    workflow = api.data("POST", "/workflows", document)["id"]

    details = refused(api.post(f"/workflows/{workflow}/activate"), 400, "VALIDATION_ERROR")

    assert [(each["field"], each["message"]) for each in details] == [("trigger.connection", "Connection not found")]


def test_a_bad_trigger_is_refused_with_all_its_faults(api: Api) -> None:
    bad = on_event("http_poll.new_item", params={"url": 7, "what": 1}, interval={"value": 5, "unit": "seconds"})

    details = refused(api.post("/workflows", bad), 400, "VALIDATION_ERROR")

    assert {each["field"] for each in details} == {
        "trigger.params.url",
        "trigger.params.what",
        "trigger.interval.value",
    }


def test_a_server_that_starts_again_goes_on_where_it_was(tmp_path: Path, place: Place) -> None:
    settings = Settings(
        server=Server(data=tmp_path),
        admin=Admin(key="wfk_admin-key-of-the-restart-test"),
        egress=Egress(allow_private=True),
    )
    show(place, [{"id": 1}])
    with live(settings) as server:
        api = Api(server, server.parts.first_workspace, "wfk_admin-key-of-the-restart-test")
        workflow = watching(api, place)
        show(place, [{"id": 2}, {"id": 1}])
        poll(api, workflow)

    show(place, [{"id": 3}, {"id": 2}, {"id": 1}])
    with live(settings) as server:
        api = replace(api, server=server)
        due = row(api, workflow).next_at
        poll(api, workflow)

        assert due is not None
        assert inputs(api, workflow) == [{"id": 2}, {"id": 3}]
