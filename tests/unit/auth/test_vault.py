"""The vault: what is sealed opens only with its key and in its place."""

import stat
from pathlib import Path

import pytest

from stepwell.auth import CannotOpen, Vault, check_vault, load_vault
from stepwell.errors import StartupRefused
from stepwell.store.sqlite import FILE_NAME, SqliteStore

KEY, OTHER = bytes(range(32)), bytes(32)


def test_a_sealed_value_opens_in_its_place() -> None:
    sealed = Vault(KEY).seal("w", "r", b"s3cret")

    assert Vault(KEY).open("w", "r", sealed) == b"s3cret"
    assert b"s3cret" not in sealed


@pytest.mark.parametrize(("workspace", "record"), [("w", "other"), ("other", "r:s"), ("w:r", "s"), ("", "w:r:s")])
def test_a_sealed_value_opens_in_no_other_place(workspace: str, record: str) -> None:
    vault = Vault(KEY)

    with pytest.raises(CannotOpen, match="another record"):
        vault.open(workspace, record, vault.seal("w", "r:s", b"s3cret"))


def test_a_sealed_value_opens_with_no_other_key() -> None:
    with pytest.raises(CannotOpen, match="another vault key"):
        Vault(OTHER).open("w", "r", Vault(KEY).seal("w", "r", b"s3cret"))


def test_an_approvers_token_is_always_the_same_and_nobody_elses() -> None:
    token = Vault(KEY).approval_token("a1", "ana")
    others = [
        Vault(OTHER).approval_token("a1", "ana"),
        Vault(KEY).approval_token("a2", "ana"),
        Vault(KEY).approval_token("a1", "bo"),
        Vault(KEY).approval_token("a1a", "na"),
    ]

    assert Vault(KEY).approval_token("a1", "ana") == token
    assert len({token, *others}) == 5
    assert len(token) == 43


def test_a_changed_byte_is_noticed_wherever_it_is() -> None:
    vault = Vault(KEY)
    sealed = vault.seal("w", "r", b"s3cret")

    for position in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[position] ^= 1
        with pytest.raises(CannotOpen):
            vault.open("w", "r", bytes(damaged))


@pytest.mark.parametrize("length", [0, 1, 8, 9, 40, 80])
def test_a_sealed_value_that_was_cut_off_does_not_open(length: int) -> None:
    vault = Vault(KEY)

    with pytest.raises(CannotOpen):
        vault.open("w", "r", vault.seal("w", "r", b"s3cret")[:length])


def test_equal_values_are_sealed_differently() -> None:
    vault = Vault(KEY)

    assert vault.seal("w", "r", b"same") != vault.seal("w", "r", b"same")


def test_the_repr_of_a_vault_holds_no_key() -> None:
    assert repr(KEY) not in repr(Vault(KEY)) and KEY.hex() not in repr(Vault(KEY))


def test_the_key_file_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    data = tmp_path / "data"

    sealed = load_vault(None, data).seal("w", "r", b"x")

    assert load_vault(None, data).open("w", "r", sealed) == b"x"
    assert stat.S_IMODE((data / "vault.key").stat().st_mode) == 0o600
    assert [path.name for path in data.iterdir()] == ["vault.key"]


def test_the_key_of_the_settings_wins_over_the_file(tmp_path: Path) -> None:
    sealed = load_vault(KEY, tmp_path).seal("w", "r", b"x")

    assert Vault(KEY).open("w", "r", sealed) == b"x"
    assert list(tmp_path.iterdir()) == []


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    load_vault(None, tmp_path)
    (tmp_path / "vault.key").chmod(0o640)

    with pytest.raises(StartupRefused, match="chmod 600"):
        load_vault(None, tmp_path)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff\xfe"])
def test_a_key_file_without_a_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vault.key"
    path.touch(0o600)
    path.write_bytes(content)

    with pytest.raises(StartupRefused, match="holds no key"):
        load_vault(None, tmp_path)


async def test_a_start_with_another_key_is_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / FILE_NAME)

    await check_vault(Vault(KEY), store.keys)
    await check_vault(Vault(KEY), store.keys)
    with pytest.raises(StartupRefused, match="STEPWELL_VAULT_KEY"):
        await check_vault(Vault(OTHER), store.keys)

    await store.close()
