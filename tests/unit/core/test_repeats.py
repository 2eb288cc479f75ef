"""Repeats: the first answer is given again for a day, and acted is once."""

import asyncio
from pathlib import Path

import pytest

from stepwell.auth import load_vault
from stepwell.clock import FakeClock
from stepwell.core.repeats import KEPT_MS, Repeats
from stepwell.store import Answered
from stepwell.store.sqlite import SqliteStore


class Caller:
    """Calls under keys, each with an answer of its own."""

    def __init__(self, repeats: Repeats, workspace: str) -> None:
        self.repeats, self.workspace, self.acted = repeats, workspace, 0

    async def __call__(self, key: str | None, place: str = "orders") -> bytes:
        async def act() -> Answered:
            self.acted += 1
            await asyncio.sleep(0)
            return Answered(200, b"%d" % self.acted)

        return (await self.repeats.once(self.workspace, place, key, act))[0].body


@pytest.fixture
def call(store: SqliteStore, workspace: str, clock: FakeClock, tmp_path: Path) -> Caller:
    return Caller(Repeats(store, load_vault(None, tmp_path / "keys"), clock), workspace)


async def test_a_key_gets_its_first_answer_for_a_day(call: Caller, clock: FakeClock) -> None:
    first = await call("k")
    clock.advance(KEPT_MS / 1000 - 1)
    within = await call("k")
    clock.advance(1)

    assert (first, within, await call("k")) == (b"1", b"1", b"2")


async def test_places_have_keys_of_their_own_and_without_a_key_all_act(call: Caller) -> None:
    assert [await call("k"), await call("k", "invoices"), await call(None), await call(None)] == [
        b"1",
        b"2",
        b"3",
        b"4",
    ]


async def test_of_calls_at_once_one_acts(call: Caller) -> None:
    assert await asyncio.gather(*(call("k") for _ in range(5))) == [b"1"] * 5


async def test_a_restart_forgets_no_answer(
    call: Caller, store: SqliteStore, workspace: str, clock: FakeClock, tmp_path: Path
) -> None:
    await call("k")

    again = Caller(Repeats(store, load_vault(None, tmp_path / "keys"), clock), workspace)

    assert (await again("k"), again.acted) == (b"1", 0)
