"""Server-Sent Events: a stream of events as an answer that stays open."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, NamedTuple, TypeVar

import msgspec
from starlette.responses import StreamingResponse

from stepwell.clock import Clock

T = TypeVar("T")

COMMENT_S = 15.0
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

_encode = msgspec.json.Encoder(decimal_format="number").encode


class ServerEvent(NamedTuple):
    """One event; `data` becomes a line of JSON."""

    id: int
    kind: str
    data: Any


def event_stream(events: AsyncGenerator[T, None], shown: Callable[[T], ServerEvent], clock: Clock) -> StreamingResponse:
    """An answer that sends the events as they come, and a comment every 15 s so that no proxy closes the line."""
    return StreamingResponse(_lines(events, shown, clock), headers=HEADERS, media_type="text/event-stream")


async def _lines(
    events: AsyncGenerator[T, None], shown: Callable[[T], ServerEvent], clock: Clock
) -> AsyncIterator[bytes]:
    async with aclosing(events):
        while True:
            coming = asyncio.ensure_future(anext(events, None))
            arrived = _arrival(coming)
            try:
                while not await clock.wait(arrived, COMMENT_S):
                    yield b": still here\n\n"
            finally:
                if not coming.done():
                    coming.cancel()
                    await asyncio.wait((coming,))
            event = coming.result()
            if event is None:
                return
            id, kind, data = shown(event)
            yield b"id: %d\nevent: %s\ndata: %s\n\n" % (id, kind.encode(), _encode(data))


def _arrival(coming: "asyncio.Future[T | None]") -> asyncio.Event:
    """Set when the next event, or the end, is there."""
    arrived = asyncio.Event()
    coming.add_done_callback(lambda _: arrived.set())
    return arrived
