"""Feeds that cost their parser too much: read in a child that is ended."""

import time
from contextlib import suppress

import pytest
from aiohttp import web

from stepwell.connectors import FeedSource, GuardedHttp, Look
from stepwell.errors import StepError
from stepwell.triggers import Subscription
from stepwell.values import Json
from unit.connectors.servers import Serve


def look(url: str) -> Look:
    """A first look at a feed, all of whose items count."""
    subscription = Subscription(
        event="rss.new_item",
        params={"url": url},
        connection=None,
        interval_s=300,
        first="emit",
        most_items=100,
        filter=None,
    )
    return Look(
        workspace="w",
        trigger="t",
        subscription=subscription,
        connection=None,
        state=None,
        limit=100,
        now_ms=0,
        timeout_s=30,
    )


async def test_a_feed_that_keeps_its_parser_busy_is_given_up(http: GuardedHttp, serve: Serve) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"<rss><channel><item>" + b"<a " * 1_000_000)

    url = await serve(answer)
    began = time.monotonic()

    with pytest.raises(StepError, match="cannot be read: it takes too much time or memory"):
        await FeedSource(http, processor_s=1).look(look(url))

    assert time.monotonic() - began < 8


async def test_entities_that_multiply_cost_no_more_than_a_feed_may(http: GuardedHttp, serve: Serve) -> None:
    entities = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10))
    feed = (
        f"<?xml version='1.0'?><!DOCTYPE l [<!ENTITY l0 'lol'>{entities}]>"
        "<rss version='2.0'><channel><item><guid>1</guid><title>&l9;</title></item></channel></rss>"
    )

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=feed.encode())

    url = await serve(answer)
    began = time.monotonic()

    titles: list[Json] = []
    with suppress(StepError):  # too much time or memory; a fast processor ends them at the parser's own limit
        titles = [item.data["title"] for item in (await FeedSource(http, processor_s=1).look(look(url))).items]

    assert time.monotonic() - began < 8
    assert all(len(title) <= 16_384 for title in titles)


async def test_texts_of_items_are_bounded(http: GuardedHttp, serve: Serve) -> None:
    long = "x" * 1_000_000
    feed = f"<rss version='2.0'><channel><item><guid>1</guid><title>{long}</title><description>{long}</description>"

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=f"{feed}</item></channel></rss>".encode())

    found = await FeedSource(http).look(look(await serve(answer)))

    assert (len(found.items[0].data["title"]), len(found.items[0].data["summary"])) == (16_384, 131_072)
