"""Keys: their text, and whom they let in."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from stepwell.auth import SCOPES, Authenticator, granted, hash_key, new_key_text
from stepwell.clock import FakeClock
from stepwell.errors import Unauthorized
from stepwell.ids import TimeOrderedIds
from stepwell.store import Key, Keys
from stepwell.store.sqlite import FILE_NAME, SqliteStore

TEXT = "wfk_" + "a" * 32


class CountingKeys:
    """The verbs that authentication uses, on a real store, counted."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self.looked_up = 0
        self.touched = 0

    async def find(self, hash: bytes) -> Key | None:
        self.looked_up += 1
        return await self._keys.find(hash)

    async def touch(self, workspace: str, key: str, now: int) -> None:
        self.touched += 1
        await self._keys.touch(workspace, key, now)

    def __getattr__(self, name: str) -> object:
        return getattr(self._keys, name)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def keys(tmp_path: Path) -> AsyncIterator[CountingKeys]:
    store = SqliteStore(tmp_path / FILE_NAME)
    yield CountingKeys(store.keys)
    await store.close()


@pytest.fixture
async def key(keys: Keys, clock: FakeClock) -> Key:
    ids = TimeOrderedIds(clock)
    key = Key(
        workspace=ids.new(),
        id=ids.new(),
        hash=hash_key(TEXT),
        prefix=TEXT[:8],
        name="CI",
        scopes=("runs:read", "gone:scope"),
        dialect="loopfour",
        expires_at=clock.now_ms() + 3_600_000,
    )
    await keys.create(key)
    return key


def test_a_key_text_is_the_prefix_and_32_characters() -> None:
    texts = {new_key_text("loopfour") for _ in range(100)}

    assert len(texts) == 100
    assert all(re.fullmatch(r"wfk_[A-Za-z0-9_-]{32}", text) for text in texts)


def test_admin_includes_every_scope() -> None:
    assert granted("loopfour", ["admin"]) == SCOPES
    assert granted("loopfour", ["runs:read", "runs:write"]) == {"runs:read", "runs:write"}
    assert granted("unknown", ["runs:read"]) == frozenset()


async def test_a_key_lets_its_principal_in(keys: Keys, clock: FakeClock, key: Key) -> None:
    principal = await Authenticator(keys, clock).authenticate(TEXT)

    assert (principal.workspace, principal.key_id, principal.key_name) == (key.workspace, key.id, "CI")
    assert (principal.scopes, principal.dialect) == ({"runs:read"}, "loopfour")


@pytest.mark.parametrize("text", [None, "", "wfk_unknown", TEXT + "a", TEXT.upper(), "\ud800", "é"])
async def test_no_key_and_unknown_keys_are_refused(keys: Keys, clock: FakeClock, key: Key, text: str | None) -> None:
    with pytest.raises(Unauthorized, match="Invalid or missing API key"):
        await Authenticator(keys, clock).authenticate(text)


async def test_a_known_key_is_not_looked_up_again_within_a_minute(
    keys: CountingKeys, clock: FakeClock, key: Key
) -> None:
    authenticator = Authenticator(keys, clock)

    for _ in range(3):
        await authenticator.authenticate(TEXT)

    assert (keys.looked_up, keys.touched) == (1, 1)


async def test_the_time_of_use_is_written_at_most_once_a_minute(keys: CountingKeys, clock: FakeClock, key: Key) -> None:
    authenticator = Authenticator(keys, clock)

    await authenticator.authenticate(TEXT)
    await Authenticator(keys, clock).authenticate(TEXT)  # as after a restart
    clock.advance(61)
    await authenticator.authenticate(TEXT)

    assert keys.touched == 2
    stored = await keys.find(key.hash)
    assert stored is not None
    assert stored.last_used_at == clock.now_ms()


async def test_an_expired_key_is_refused_even_if_it_is_known(keys: Keys, clock: FakeClock, key: Key) -> None:
    authenticator = Authenticator(keys, clock)
    await authenticator.authenticate(TEXT)

    clock.jump(3600)

    with pytest.raises(Unauthorized):
        await authenticator.authenticate(TEXT)


async def test_a_revoked_key_that_is_forgotten_is_refused_at_once(keys: Keys, clock: FakeClock, key: Key) -> None:
    authenticator = Authenticator(keys, clock)
    await authenticator.authenticate(TEXT)

    await keys.revoke(key.workspace, key.id, clock.now_ms())
    authenticator.forget(key.id)

    with pytest.raises(Unauthorized):
        await authenticator.authenticate(TEXT)


async def test_a_key_revoked_elsewhere_is_refused_within_a_minute(keys: Keys, clock: FakeClock, key: Key) -> None:
    authenticator = Authenticator(keys, clock)
    await authenticator.authenticate(TEXT)
    await keys.revoke(key.workspace, key.id, clock.now_ms())

    clock.advance(60)

    with pytest.raises(Unauthorized):
        await authenticator.authenticate(TEXT)


async def test_a_key_revoked_while_it_is_read_is_not_remembered(keys: CountingKeys, clock: FakeClock, key: Key) -> None:
    authenticator = Authenticator(keys, clock)
    find = keys.find

    async def find_then_revoke(hash: bytes) -> Key | None:
        found = await find(hash)
        await keys.revoke(key.workspace, key.id, clock.now_ms())
        authenticator.forget(key.id)
        return found

    keys.find = find_then_revoke  # type: ignore[method-assign]
    await authenticator.authenticate(TEXT)
    keys.find = find  # type: ignore[method-assign]

    with pytest.raises(Unauthorized):
        await authenticator.authenticate(TEXT)


async def test_forgetting_one_key_keeps_the_others(keys: CountingKeys, clock: FakeClock, key: Key) -> None:
    other = msgspec.structs.replace(key, id=TimeOrderedIds(clock).new(), hash=hash_key("wfk_other"))
    await keys.create(other)
    authenticator = Authenticator(keys, clock)
    for text in (TEXT, "wfk_other"):
        await authenticator.authenticate(text)

    authenticator.forget(key.id)
    for text in (TEXT, "wfk_other"):
        await authenticator.authenticate(text)

    assert keys.looked_up == 3


async def test_the_admin_key_of_the_settings_is_an_admin_of_its_workspace(keys: Keys, clock: FakeClock) -> None:
    authenticator = Authenticator(keys, clock, admin_key="any text at all", admin_workspace="w")

    principal = await authenticator.authenticate("any text at all")

    assert (principal.workspace, principal.scopes) == ("w", SCOPES)
    with pytest.raises(Unauthorized):
        await authenticator.authenticate("any other text")
