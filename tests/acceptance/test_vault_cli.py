"""`stepwell vault` on a data directory without a server, and beside one that serves."""

import base64
import os
from pathlib import Path

import pytest

from acceptance.processes import ServerProcess, command


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory that has been used."""
    folder = tmp_path / "data"
    assert command("key", "create", "--data", str(folder)).returncode == 0
    return folder


def test_a_rotation_without_a_server_changes_the_key_file(data: Path) -> None:
    before = (data / "vault.key").read_text()

    done = command("vault", "rotate", "--data", str(data))

    assert done.returncode == 0, done.stderr
    after = (data / "vault.key").read_text()
    assert before != after and len(after.splitlines()) == 1
    assert "Everything is sealed by this key." in command("vault", "status", "--data", str(data)).stdout
    with ServerProcess(data) as server:
        server.wait_ready()


def test_a_key_of_the_environment_takes_over_from_the_file(data: Path) -> None:
    former = (data / "vault.key").read_text().strip()
    env = {"STEPWELL_VAULT_KEY": base64.b64encode(os.urandom(32)).decode()}

    refused = command("vault", "rotate", "--data", str(data), env=env)
    turned = command("vault", "rotate", "--data", str(data), env={**env, "STEPWELL_VAULT_PREVIOUS_KEY": former})
    (data / "vault.key").unlink()
    alone = command("vault", "status", "--data", str(data), env=env)

    assert refused.returncode == 2 and "STEPWELL_VAULT_PREVIOUS_KEY" in refused.stderr
    assert "STEPWELL_VAULT_PREVIOUS_KEY may be removed" in turned.stdout
    assert "Everything is sealed by this key." in alone.stdout


def test_a_server_that_holds_the_directory_is_named(data: Path) -> None:
    with ServerProcess(data) as server:
        server.wait_ready()

        refused = command("vault", "rotate", "--data", str(data))

    assert refused.returncode == 2 and "--api-key" in refused.stderr
