"""Changing the vault's key: what older keys have sealed opens, and what was signed stays signed."""

import stat
from pathlib import Path

import pytest

from stepwell.auth import CannotOpen, Vault, check_vault, load_vault
from stepwell.errors import StartupRefused
from stepwell.store.sqlite import FILE_NAME, SqliteStore

KEY, OTHER = bytes(range(32)), bytes(32)


def test_a_new_key_seals_and_the_older_ones_open(tmp_path: Path) -> None:
    vault = load_vault(None, tmp_path)
    sealed = vault.seal("w", "r", b"before")

    vault.turn()

    assert vault.open("w", "r", sealed) == b"before"
    assert not sealed.startswith(vault.head) and vault.seal("w", "r", b"after").startswith(vault.head)


def test_a_new_key_is_in_the_file_before_it_seals(tmp_path: Path) -> None:
    vault = load_vault(None, tmp_path)
    sealed = vault.seal("w", "r", b"before")
    vault.turn()

    again = load_vault(None, tmp_path)

    assert again.open("w", "r", sealed) == b"before"
    assert again.open("w", "r", vault.seal("w", "r", b"after")) == b"after"
    assert stat.S_IMODE((tmp_path / "vault.key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["vault.key"]


def test_a_key_file_that_cannot_be_written_leaves_the_key_as_it_is(tmp_path: Path) -> None:
    vault = load_vault(None, tmp_path / "data")
    before = vault.key_id
    (tmp_path / "data").rename(tmp_path / "moved")

    with pytest.raises(OSError, match="No such file"):
        vault.turn()

    assert vault.key_id == before


def test_a_value_that_was_wrapped_anew_needs_no_older_key(tmp_path: Path) -> None:
    vault = load_vault(None, tmp_path)
    sealed = vault.seal("w", "r", b"s3cret")
    vault.turn()

    wrapped = vault.rewrap("w", "r", sealed)
    assert vault.forget_older() == 1

    assert vault.open("w", "r", wrapped) == b"s3cret"
    with pytest.raises(CannotOpen, match="another vault key"):
        vault.open("w", "r", sealed)
    assert load_vault(None, tmp_path).open("w", "r", wrapped) == b"s3cret"


def test_a_value_is_wrapped_anew_only_in_its_place(tmp_path: Path) -> None:
    vault = load_vault(None, tmp_path)
    sealed = vault.seal("w", "r", b"s3cret")
    vault.turn()

    with pytest.raises(CannotOpen, match="another record"):
        vault.rewrap("w", "other", sealed)


def test_previous_keys_of_the_settings_only_open(tmp_path: Path) -> None:
    sealed = Vault(OTHER).seal("w", "r", b"before")

    vault = load_vault(KEY, tmp_path, (OTHER,))

    assert vault.open("w", "r", sealed) == b"before"
    assert vault.seal("w", "r", b"x").startswith(Vault(KEY).head)


async def test_signatures_stay_when_the_key_changes(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / FILE_NAME)
    first = Vault(OTHER)
    await check_vault(first, store.keys)
    made = first.sign("text"), first.approval_token("a", "ana")
    turned = Vault(KEY, [OTHER])
    await check_vault(turned, store.keys)
    probe = await store.keys.vault_probe(b"")
    await store.seals.replace_probe(probe, turned.probe())
    alone = Vault(KEY)
    await check_vault(alone, store.keys)

    assert (turned.sign("text"), turned.approval_token("a", "ana")) == made
    assert (alone.sign("text"), alone.approval_token("a", "ana")) == made
    await store.close()


async def test_a_start_with_only_a_new_key_is_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / FILE_NAME)
    await check_vault(Vault(OTHER), store.keys)

    with pytest.raises(StartupRefused, match="STEPWELL_VAULT_PREVIOUS_KEY"):
        await check_vault(Vault(KEY), store.keys)
    await store.close()
