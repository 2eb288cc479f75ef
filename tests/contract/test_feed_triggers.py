"""Events that are polled from feeds: each new item starts one run, whatever the feed is made of."""

import asyncio
import time
from collections.abc import Iterator

import msgspec
import pytest

from contract.providers import Place, firings, has_looked, inputs, on_event, poll, provider, row, trigger_when
from live import Api
from stepwell.store import Trigger
from stepwell.values import decode


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    with provider(made.answer) as url:
        made.url = url
        yield made


def rss(*names: str) -> bytes:
    """A feed of items, the newest first, as feeds are."""
    items = "".join(
        f"<item><title>{name}</title><link>https://example.com/{name}</link><guid>{name}</guid>"
        f"<description>About {name}</description></item>"
        for name in names
    )
    return f'<rss version="2.0"><channel><title>News</title>{items}</channel></rss>'.encode()


def titles(api: Api, workflow: str) -> list[str]:
    return [each["title"] for each in inputs(api, workflow)]


def watching(api: Api, place: Place, **fields: object) -> str:
    """A workflow on new items of the place, after its first look."""
    workflow = api.workflow(on_event("rss.new_item", params={"url": place.url}, **fields))
    trigger_when(api, workflow, has_looked)
    return workflow


def test_what_is_there_at_the_first_look_starts_nothing_and_what_comes_later_does(api: Api, place: Place) -> None:
    place.body = rss("old")
    workflow = watching(api, place)

    place.body = rss("newest", "newer", "old")
    poll(api, workflow)

    assert titles(api, workflow) == ["newer", "newest"]


def test_with_first_emit_everything_counts_oldest_first(api: Api, place: Place) -> None:
    place.body = rss("c", "b", "a")

    workflow = watching(api, place, first="emit")

    assert titles(api, workflow) == ["a", "b", "c"]


def test_a_run_is_given_the_item_and_is_a_webhook_run(api: Api, place: Place) -> None:
    place.body = rss()
    workflow = watching(api, place)
    place.body = rss("a")
    poll(api, workflow)

    run = api.data("GET", f"/runs?workflowId={workflow}")[0]
    detail = api.final(run["id"])

    assert detail["triggerType"] == "webhook"
    assert detail["output"]["by"] == "rss.new_item"
    assert detail["input"]["summary"] == "About a"
    assert detail["input"]["feed"] == {"title": "News", "link": None}


def test_an_item_that_is_seen_again_starts_nothing(api: Api, place: Place) -> None:
    place.body = rss()
    workflow = watching(api, place)
    place.body = rss("a")

    poll(api, workflow)
    poll(api, workflow)
    place.body = rss()
    poll(api, workflow)
    place.body = rss("a")
    poll(api, workflow)

    assert titles(api, workflow) == ["a"]


def test_a_poll_that_was_cut_off_before_its_cursor_was_written_starts_nothing_twice(api: Api, place: Place) -> None:
    place.body = rss()
    workflow = watching(api, place)
    place.body = rss("b", "a")
    before = row(api, workflow)
    stale = msgspec.structs.replace(before, next_at=1)  # what it fires counts, its cursor is refused

    poll(api, workflow, stale)
    assert row(api, workflow).cursor == before.cursor
    poll(api, workflow)

    assert titles(api, workflow) == ["a", "b"]


def test_two_polls_at_once_start_one_run_for_an_item(api: Api, place: Place) -> None:
    place.body = rss()
    workflow = watching(api, place)
    place.body = rss("b", "a")
    due = row(api, workflow)

    async def both() -> None:
        polls = api.server.parts.core.polls
        await asyncio.gather(polls.poll(due), polls.poll(due))

    api.server.call(both())

    assert sorted(titles(api, workflow)) == ["a", "b"]


def test_no_more_items_than_asked_for_are_taken_at_a_time_and_the_rest_comes_next(api: Api, place: Place) -> None:
    place.body = rss()
    workflow = watching(api, place, maxItems=2)
    place.body, place.etag = rss("c", "b", "a"), '"1"'

    poll(api, workflow)
    first = titles(api, workflow)
    poll(api, workflow)

    assert (first, titles(api, workflow)) == (["a", "b"], ["a", "b", "c"])


def test_the_feed_is_only_sent_again_if_it_has_changed(api: Api, place: Place) -> None:
    place.body, place.etag = rss("a"), '"1"'
    workflow = watching(api, place)

    poll(api, workflow)
    unchanged = place.seen[-1].headers["if-none-match"]
    place.body, place.etag = rss("b", "a"), '"2"'
    poll(api, workflow)

    assert unchanged == '"1"'
    assert titles(api, workflow) == ["b"]


def test_items_that_a_filter_does_not_let_pass_start_nothing(api: Api, place: Place) -> None:
    place.body = rss()
    workflow = watching(api, place, filter={"title": {"$regex": "^good"}})
    place.body = rss("good-1", "bad-1")

    poll(api, workflow)

    assert titles(api, workflow) == ["good-1"]


def test_another_address_begins_anew(api: Api, place: Place) -> None:
    place.body = rss("a")
    workflow = watching(api, place)
    changed = {"type": "event", "event": "rss.new_item", "params": {"url": f"{place.url}/other"}}

    before = row(api, workflow).cursor
    api.data("PUT", f"/workflows/{workflow}", {"trigger": changed})
    trigger_when(api, workflow, lambda found: has_looked(found) and found.cursor != before)

    assert titles(api, workflow) == []


def test_another_interval_goes_on_where_it_was(api: Api, place: Place) -> None:
    place.body = rss("a")
    workflow = watching(api, place)
    place.body = rss("b", "a")
    every = {"value": 2, "unit": "minutes"}
    changed = {"type": "event", "event": "rss.new_item", "params": {"url": place.url}, "interval": every}

    api.data("PUT", f"/workflows/{workflow}", {"trigger": changed})
    trigger_when(api, workflow, lambda found: len(decode(found.cursor or b"null")["seen"]) == 2)

    assert titles(api, workflow) == ["b"]


def test_a_failure_is_noted_and_the_next_poll_is_put_off(api: Api, place: Place) -> None:
    place.body = rss()
    workflow = watching(api, place)
    place.status = 500

    once = poll(api, workflow)
    twice = poll(api, workflow)

    assert once.reason == "poll_failed: The address answered 500"
    assert twice.status == "active"
    assert _delay(twice) > 1.5 * _delay(once) > 2 * 300_000 * 0.7


def test_a_provider_that_says_when_is_asked_then(api: Api, place: Place) -> None:
    place.body = rss()
    workflow = watching(api, place)
    place.status, place.retry_after = 429, 3000

    put_off = poll(api, workflow)

    assert 2_900_000 < _delay(put_off) <= 3_000_000


def test_ten_failures_in_a_row_put_the_trigger_into_error(api: Api, place: Place) -> None:
    place.body = rss()
    workflow = watching(api, place)
    place.status = 404

    states = [poll(api, workflow).status for _ in range(10)]

    assert states == ["active"] * 9 + ["error"]
    assert row(api, workflow).reason == "poll_failed: The address answered 404"


def test_a_success_ends_the_failures(api: Api, place: Place) -> None:
    place.body = rss()
    workflow = watching(api, place)
    place.status = 500
    poll(api, workflow)

    place.status = 200
    good = poll(api, workflow)

    assert good.reason is None
    assert decode(good.cursor or b"")["failures"] == 0


def test_a_paused_workflow_is_not_polled_and_goes_on_where_it_was(api: Api, place: Place) -> None:
    place.body = rss("a")
    workflow = watching(api, place)

    api.data("POST", f"/workflows/{workflow}/pause")
    paused = row(api, workflow).next_at
    place.body = rss("b", "a")
    api.data("POST", f"/workflows/{workflow}/activate")
    trigger_when(api, workflow, lambda found: len(decode(found.cursor or b"null")["seen"]) == 2)

    assert paused is None
    assert titles(api, workflow) == ["b"]


def test_an_item_whose_input_is_refused_is_told_of_and_not_tried_again(api: Api, place: Place) -> None:
    place.body = rss()
    document = on_event("rss.new_item", params={"url": place.url})
    workflow = api.workflow({**document, "inputSchema": {"type": "object", "required": ["nothing"]}})
    trigger_when(api, workflow, has_looked)
    place.body = rss("a")

    poll(api, workflow)
    poll(api, workflow)

    assert [status for status, _ in firings(api, workflow)] == ["failed"]
    assert "nothing" in str(firings(api, workflow)[0][1])


def test_an_atom_feed_is_read_as_well(api: Api, place: Place) -> None:
    place.body = (
        b'<feed xmlns="http://www.w3.org/2005/Atom"><title>Atom</title>'
        b"<entry><id>urn:2</id><title>later</title><updated>2024-01-02T00:00:00Z</updated></entry>"
        b"<entry><id>urn:3</id><title>last</title><updated>2024-01-03T00:00:00+01:00</updated></entry>"
        b"<entry><id>urn:1</id><title>first</title><updated>2024-01-01T00:00:00Z</updated></entry></feed>"
    )

    workflow = watching(api, place, first="emit")

    assert titles(api, workflow) == ["first", "later", "last"]
    assert inputs(api, workflow)[2]["updated"] == "2024-01-02T23:00:00Z"


HOSTILE = {
    "a page": b"<html><body>Sign in</body></html>",
    "nothing": b"",
    "bytes": bytes(range(256)) * 20,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_feed_is_a_failure_and_holds_nobody_up(api: Api, place: Place, body: bytes) -> None:
    place.body = body
    workflow = api.workflow(on_event("rss.new_item", params={"url": place.url}))

    failed = trigger_when(api, workflow, lambda found: found.reason)

    assert failed.reason is not None
    assert failed.reason.startswith("poll_failed: What the address gave ")


def test_entities_are_not_followed(api: Api, place: Place) -> None:
    place.body = (
        b"<?xml version='1.0'?><!DOCTYPE r [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
        b"<rss version='2.0'><channel><item><guid>1</guid><title>t&x;</title></item></channel></rss>"
    )

    workflow = watching(api, place, first="emit")

    assert "root" not in str(inputs(api, workflow))


def test_a_feed_that_is_too_large_is_refused(api: Api, place: Place) -> None:
    place.body = rss("a") + b" " * (5 * 1024 * 1024)
    workflow = api.workflow(on_event("rss.new_item", params={"url": place.url}))

    failed = trigger_when(api, workflow, lambda found: found.reason)

    assert failed.reason == "poll_failed: Response is larger than 5242880 bytes"


def _delay(trigger: Trigger) -> int:
    """How long after the poll the next one is due, by the clock of now."""
    assert trigger.next_at is not None
    return trigger.next_at - round(time.time() * 1000)
