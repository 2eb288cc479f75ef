"""LoopFour contract 11.2 and 11.3: what a request says - its body, its events, their types and ids."""

import hashlib
from collections.abc import Mapping

import pytest

from stepwell.triggers import SCHEMES, Event, Inbound, body_of, challenge_of, events_of, scheme_of_provider
from stepwell.values import Json, encode

FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


def events(scheme: str | None, body: Json, headers: Mapping[str, str] | None = None) -> tuple[Event, ...]:
    raw = body if isinstance(body, bytes) else encode(body)
    request = Inbound(method="POST", url="", headers=headers or {}, query={}, body=raw)
    return events_of(request, body_of(request.headers, raw), None if scheme is None else SCHEMES[scheme])


def event(scheme: str | None, body: Json, headers: Mapping[str, str] | None = None) -> Event:
    (found,) = events(scheme, body, headers)
    return found


@pytest.mark.parametrize(
    ("headers", "body", "found"),
    [
        ({"content-type": "application/json"}, b'{"a": 1}', {"a": 1}),
        ({"content-type": "text/plain"}, b'{"a": 1}', {"a": 1}),
        ({}, b'{"a": 1}', {"a": 1}),
        (FORM, b"a=1&b=%C3%A4&c=", {"a": "1", "b": "ä", "c": ""}),
        (FORM, b'{"a": 1}', {"a": 1}),
        ({"content-type": "application/xml"}, b"<a>\xc3\xa4</a>", {"raw": "<a>ä</a>"}),
        ({"content-type": "application/json"}, b"{broken", {"raw": "{broken"}),
        ({"content-type": "application/json"}, b'"text"', {"raw": '"text"'}),
        ({}, b"\xff\xfe", {"raw": "��"}),
        ({}, b"", {}),
        ({}, b" \n", {}),
        ({}, b"[1, 2]", [1, 2]),
    ],
)
def test_a_body_is_an_object_a_list_or_raw_text(headers: dict[str, str], body: bytes, found: Json) -> None:
    assert body_of(headers, body) == found


@pytest.mark.parametrize("field", ["type", "eventType", "event_type", "event", "subscriptionType"])
def test_the_type_is_in_the_body(field: str) -> None:
    assert event(None, {field: "order.paid"}).type == "order.paid"


def test_the_first_field_present_is_the_type() -> None:
    assert event(None, {"subscriptionType": "c", "event": {"type": "b"}, "event_type": "a"}).type == "a"


def test_slacks_type_is_that_of_its_event() -> None:
    body = {"type": "event_callback", "event_id": "Ev1", "event": {"type": "app_mention"}}

    assert event("slack", body) == Event(body, "app_mention", "Ev1")


@pytest.mark.parametrize(
    ("body", "type"),
    [({"action": "opened"}, "pull_request.opened"), ({}, "pull_request"), ({"action": 7}, "pull_request")],
)
def test_githubs_type_is_its_header_and_the_action(body: Json, type: str) -> None:
    found = event("github", body, {"x-github-event": "pull_request", "x-github-delivery": "d-1"})

    assert (found.type, found.id) == (type, "d-1")


def test_shopifys_type_and_id_are_headers() -> None:
    found = event("shopify", {"id": 5}, {"x-shopify-topic": "orders/create", "x-shopify-webhook-id": "w-1"})

    assert (found.type, found.id) == ("orders/create", "w-1")


@pytest.mark.parametrize(
    ("scheme", "body", "headers", "id"),
    [
        ("stripe", {"id": "evt_9"}, {}, "evt_9"),
        ("hubspot", {"eventId": 100}, {}, "100"),
        ("standard-webhooks", {"id": "no"}, {"webhook-id": "msg_1"}, "msg_1"),
        ("pandadoc", {}, {"x-pandadoc-webhook-event-id": "p-1"}, "p-1"),
        ("justpaid", {"externalEventId": "x", "id": "y"}, {}, "x"),
        ("justpaid", {"id": "y"}, {}, "y"),
        ("hmac-sha256", {"id": "no"}, {"x-event-id": "e-1"}, "e-1"),
        ("hmac-sha1", {"id": "no"}, {}, None),
        ("ed25519", {}, {"x-event-id": "e-1"}, "e-1"),
        (None, {}, {"x-event-id": "e-1"}, "e-1"),
        (None, {"id": "no"}, {}, None),
        ("stripe", {"id": True}, {}, None),
        ("stripe", {"id": ""}, {}, None),
    ],
)
def test_the_id_of_an_event(scheme: str | None, body: Json, headers: dict[str, str], id: str | None) -> None:
    assert event(scheme, body, headers).id == id


@pytest.mark.parametrize("scheme", ["intuit", "pandadoc"])
def test_the_hash_of_the_body_stands_for_an_id(scheme: str) -> None:
    body = b'{"a":1}'

    assert event(scheme, body).id == f"sha256:{hashlib.sha256(body).hexdigest()}"


def test_a_long_id_is_hashed() -> None:
    assert len(event("stripe", {"id": "x" * 5000}).id or "") == 71


def test_each_member_of_a_list_is_an_event_with_its_own_id() -> None:
    found = events("hubspot", [{"eventId": 1, "subscriptionType": "contact.creation"}, {"eventId": 2}, 3])

    assert [(each.id, each.type) for each in found] == [("1", "contact.creation"), ("2", None), (None, None)]
    assert found[2].body == {"raw": "3"}


def test_members_that_share_an_id_of_the_request_are_told_apart_by_their_place() -> None:
    found = events("pandadoc", [{"event": "a"}, {"event": "b"}], {"x-pandadoc-webhook-event-id": "p-1"})

    assert [each.id for each in found] == ["p-1#0", "p-1#1"]


def test_an_empty_list_has_no_event() -> None:
    assert events("hubspot", []) == ()


def test_slacks_challenge_is_read() -> None:
    body = {"type": "url_verification", "challenge": "abc"}

    assert challenge_of(SCHEMES["slack"], body) == "abc"
    assert challenge_of(SCHEMES["stripe"], body) is None
    assert challenge_of(SCHEMES["slack"], {"type": "url_verification", "challenge": 5}) is None


def test_quickbooks_signs_as_intuit_does() -> None:
    assert scheme_of_provider("quickbooks") is SCHEMES["intuit"]
    assert scheme_of_provider("acme") is None
