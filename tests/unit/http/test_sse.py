"""Server-Sent Events."""

import asyncio
from collections.abc import AsyncGenerator

from stepwell.clock import FakeClock
from stepwell.http.sse import COMMENT_S, ServerEvent, event_stream


async def test_a_comment_is_sent_while_nothing_happens_and_then_the_event() -> None:
    clock = FakeClock()
    happened = asyncio.Event()

    async def events() -> AsyncGenerator[int, None]:
        await happened.wait()
        yield 7

    lines = event_stream(events(), lambda n: ServerEvent(n, "run.status", {"n": n}), clock).body_iterator
    first = asyncio.ensure_future(anext(lines))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    clock.advance(COMMENT_S)

    assert await first == b": still here\n\n"
    happened.set()
    assert await anext(lines) == b'id: 7\nevent: run.status\ndata: {"n":7}\n\n'
    assert [line async for line in lines] == []


async def test_a_stream_that_is_dropped_ends_its_source() -> None:
    ended = asyncio.Event()

    async def events() -> AsyncGenerator[int, None]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            ended.set()

    lines = event_stream(events(), lambda n: ServerEvent(n, "run.status", n), FakeClock()).body_iterator
    await anext(lines)
    second = asyncio.ensure_future(anext(lines))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait((second,))

    assert ended.is_set()
