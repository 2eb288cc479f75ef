"""Repeats: a call that is sent again under the same key gets the answer of the first time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec

from stepwell.auth import Vault
from stepwell.clock import Clock
from stepwell.store import Answered, Store

KEPT_MS = 24 * 3600 * 1000
FORGOTTEN_AT_ONCE = 20  # with each answer that is kept


class Repeats:
    """Answers of calls by their keys, for 24 hours. They are kept sealed: an answer may hold a key that is shown
    once."""

    def __init__(self, store: Store, vault: Vault, clock: Clock) -> None:
        self._store = store.sources
        self._vault = vault
        self._clock = clock
        self._acting: dict[tuple[str, str, str], tuple[asyncio.Lock, int]] = {}

    async def once(
        self, workspace: str, place: str, key: str | None, act: Callable[[], Awaitable[Answered]]
    ) -> tuple[Answered, bool]:
        """What the call is answered, and whether it was answered so before. `place` names what is called; without a key
        it always acts. Of two calls of one key at once the second waits for the first. A refusal is not kept."""
        if key is None:
            return await act(), False
        async with self._alone((workspace, place, key)):
            now = self._clock.now_ms()
            known = await self._store.repeat(workspace, place, key, now - KEPT_MS)
            record = sealed_for(place, key)
            if known is not None:
                body = self._vault.open(workspace, record, known.body)
                return msgspec.structs.replace(known, body=body), True
            answered = await act()
            sealed = self._vault.seal(workspace, record, answered.body)
            await self._store.put_repeat(workspace, place, key, now, msgspec.structs.replace(answered, body=sealed))
            await self._store.forget_repeats(now - KEPT_MS, FORGOTTEN_AT_ONCE)
            return answered, False

    @asynccontextmanager
    async def _alone(self, place: tuple[str, str, str]) -> AsyncIterator[None]:
        lock, users = self._acting.get(place, (asyncio.Lock(), 0))
        self._acting[place] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._acting[place]
            if users == 1:
                del self._acting[place]
            else:
                self._acting[place] = (lock, users - 1)


def sealed_for(place: str, key: str) -> str:
    """What an answer is sealed for."""
    return f"repeat:{place}:{key}"
