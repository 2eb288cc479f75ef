"""`stepwell check` and `stepwell db` on data directories in every condition."""

import json
from pathlib import Path

import pytest

from stepwell.store.sqlite import DirectoryLock
from unit.cli.conftest import Run


@pytest.fixture
def data(run: Run, tmp_path: Path) -> Path:
    """A data directory that was in use."""
    assert run("key", "create", "--data", tmp_path / "data").exit_code == 0
    return tmp_path / "data"


def test_check_prints_every_setting_with_its_value(run: Run, data: Path) -> None:
    shown = run("check", "--data", data, STEPWELL_RATE_LIMIT_READ="77")

    assert shown.exit_code == 0
    (line,) = [line.split() for line in shown.stdout.splitlines() if line.startswith("rate_limit.read ")]
    assert line[1:4] == ["77", "1000", "STEPWELL_RATE_LIMIT_READ"]


def test_check_never_prints_a_secret(run: Run, data: Path) -> None:
    secret = "a-key-nobody-may-see"

    for extra in ([], ["--json"]):
        assert secret not in run("check", "--data", data, *extra, STEPWELL_ADMIN_KEY=secret).output


def test_check_lists_every_problem_of_the_settings_at_once(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[engine]\nmax_active_runs = 0\nspeed = 1\n")

    shown = run("check", "--config", tmp_path / "bad.toml", STEPWELL_SERVER_PORT="x")

    assert shown.exit_code == 1
    assert "3 things to mend" in shown.stderr
    for name in ("engine.max_active_runs", "engine.speed", "server.port"):
        assert name in shown.stderr


def test_check_makes_nothing(run: Run, tmp_path: Path) -> None:
    assert run("check", "--data", tmp_path / "none").exit_code == 0
    assert not (tmp_path / "none").exists()


def test_check_finds_the_vault_key_that_fits(run: Run, data: Path) -> None:
    shown = run("check", "--data", data)

    assert f"{data / 'vault.key'}; it opens what is in the database" in shown.stdout


def test_check_finds_a_vault_key_of_another_database(run: Run, data: Path) -> None:
    shown = run("check", "--data", data, STEPWELL_VAULT_KEY="00" * 32)

    assert shown.exit_code == 1
    assert "The vault key is not the one" in shown.stderr


def test_check_finds_a_vault_key_that_is_gone(run: Run, data: Path) -> None:
    (data / "vault.key").unlink()

    shown = run("check", "--data", data)

    assert shown.exit_code == 1
    assert f"The vault key {data / 'vault.key'} is missing" in shown.stderr
    assert not (data / "vault.key").exists()


def test_check_finds_a_vault_key_that_others_may_read(run: Run, data: Path) -> None:
    (data / "vault.key").chmod(0o644)

    shown = run("check", "--data", data)

    assert shown.exit_code == 1
    assert "chmod 600" in shown.stderr


def test_check_tells_of_a_server_on_the_directory(run: Run, data: Path) -> None:
    lock = DirectoryLock(data)
    try:
        findings = json.loads(run("check", "--data", data, "--json").stdout)["findings"]
    finally:
        lock.release()

    assert findings[0] == f"A server runs on {data}."


def test_check_finds_a_file_that_is_no_database(run: Run, data: Path) -> None:
    (data / "stepwell.db").write_bytes(b"no database at all" * 1000)

    shown = run("check", "--data", data)

    assert shown.exit_code == 1
    assert "stepwell.db" in shown.stderr


def test_db_check_of_a_damaged_file_ends_with_1(run: Run, data: Path) -> None:
    file = data / "stepwell.db"
    whole = file.read_bytes()
    file.write_bytes(whole[:8192] + b"\xff" * 4096 + whole[12288:])

    shown = run("db", "check", "--data", data)

    assert shown.exit_code == 1
    assert "is damaged" in shown.stderr


def test_db_check_of_a_file_that_is_no_database_ends_with_1(run: Run, data: Path) -> None:
    (data / "stepwell.db").write_bytes(b"no database at all" * 1000)

    shown = run("db", "check", "--data", data)

    assert shown.exit_code == 1
    assert "is damaged" in shown.stderr


def test_db_check_of_a_sound_file_says_so(run: Run, data: Path) -> None:
    shown = run("db", "check", "--data", data)

    assert (shown.exit_code, shown.stdout) == (0, f"{data / 'stepwell.db'} is sound.\n")


@pytest.mark.parametrize("command", ["check", "migrate", "backup"])
def test_db_commands_on_a_directory_without_a_database_are_refused(run: Run, tmp_path: Path, command: str) -> None:
    file = [tmp_path / "copy.db"] if command == "backup" else []

    refused = run("db", command, *file, "--data", tmp_path)

    assert refused.exit_code == 2
    assert "There is no database" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_db_backup_does_not_overwrite(run: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("mine")

    refused = run("db", "backup", tmp_path / "copy.db", "--data", data)

    assert refused.exit_code == 2
    assert (tmp_path / "copy.db").read_text() == "mine"


def test_db_backup_names_the_setting_if_the_vault_key_comes_from_it(run: Run, data: Path, tmp_path: Path) -> None:
    shown = run("db", "backup", tmp_path / "copy.db", "--data", data, STEPWELL_VAULT_KEY="00" * 32)

    assert "STEPWELL_VAULT_KEY" in shown.stdout


def test_db_migrate_of_a_current_file_changes_nothing(run: Run, data: Path) -> None:
    shown = run("db", "migrate", "--data", data)

    assert (shown.exit_code, "already" in shown.stdout) == (0, True)


def test_db_migrate_of_a_held_directory_is_refused(run: Run, data: Path) -> None:
    lock = DirectoryLock(data)
    try:
        refused = run("db", "migrate", "--data", data)
    finally:
        lock.release()

    assert refused.exit_code == 2
    assert "is in use" in refused.stderr
