"""Feeds: the items of an RSS or Atom address, read by a child process."""

import asyncio
import json
import sys
from pathlib import Path

from stepwell.connectors.conditional import fetch_changed, validators
from stepwell.connectors.items import Found, Item, identity
from stepwell.connectors.polling import Look
from stepwell.errors import StepError
from stepwell.steps.ports import Http, HttpRequest, HttpResponse
from stepwell.values import InvalidJson, Json, decode

MAX_FEED_BYTES = 5 * 1024 * 1024
READ_S = 25.0
PROCESSOR_S = 20
READERS = 2

_PROGRAM = Path(__file__).with_name("feed_child.py")
_ACCEPT = "application/rss+xml, application/atom+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1"


class FeedSource:
    """The source `feed`. Params: `url`."""

    def __init__(self, http: Http, processor_s: int = PROCESSOR_S) -> None:
        """`processor_s` is how long reading one feed may keep a processor busy."""
        self._http = http
        self._processor_s = processor_s
        self._readers = asyncio.Semaphore(READERS)

    async def look(self, look: Look) -> Found:
        """See polling.Source. The state holds what makes the next request conditional."""
        url = look.subscription.params["url"]
        request = HttpRequest(
            "GET",
            url,
            headers={"Accept": _ACCEPT},
            timeout_s=look.timeout_s,
            max_response_bytes=MAX_FEED_BYTES,
        )
        response = await fetch_changed(self._http, look.workspace, request, look.state or {}, look.now_ms)
        if response is None:
            return Found((), look.state)
        async with self._readers:
            feed = await _read(response, self._processor_s)
        return Found(_items(feed), validators(response))

    async def settled(self, look: Look, found: Found) -> None:
        """Nothing remains to be done."""


def _items(feed: dict[str, Json]) -> tuple[Item, ...]:
    """Oldest first: by their dates if all have one, else from the end of the feed."""
    entries = list(reversed(feed["entries"]))
    if all(_moment(entry) for entry in entries):
        entries.sort(key=_moment)
    about = feed["feed"]
    return tuple(Item(identity(entry["id"], entry), {**entry, "feed": about}) for entry in entries)


def _moment(entry: dict[str, Json]) -> str:
    return entry["published"] or entry["updated"] or ""


async def _read(response: HttpResponse, processor_s: int) -> dict[str, Json]:
    """What the child makes of a feed.

    Raises:
        StepError: it is no feed, or one that costs too much to read.
    """
    headers = {"content-type": response.headers.get("content-type", ""), "content-location": response.url}
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-B",
        str(_PROGRAM),
        str(processor_s),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},  # nothing of the server's settings
    )
    try:
        async with asyncio.timeout(READ_S):
            said, _ = await child.communicate(json.dumps(headers).encode() + b"\n" + response.body)
    except TimeoutError:
        raise _unreadable("takes too long to read") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    try:
        feed: dict[str, Json] = decode(said)
    except InvalidJson:
        raise _unreadable("cannot be read: it takes too much time or memory") from None
    if "error" in feed:
        raise _unreadable(feed["error"])
    return feed


def _unreadable(why: str) -> StepError:
    return StepError(f"What the address gave {why}", kind="provider")
