"""The commands that need no server."""

import json
from pathlib import Path

import pytest
from jsonschema_rs import validator_for

from stepwell import __version__
from unit.cli.conftest import Run

EXAMPLE = Path(__file__).parents[3] / "examples" / "process-customer-order.json"
COMMANDS = ["serve", "demo", "check", "schema", "openapi", "workflow", "run", "key", "db"]


def test_version_is_printed(run: Run) -> None:
    assert run("--version").stdout == f"{__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    shown = run(command, "--help")

    assert shown.exit_code == 0
    assert command in run("--help").stdout
    assert "Usage:" in shown.stdout


@pytest.mark.parametrize("command", ["workflow list", "run list", "key list"])
def test_every_listing_has_json(run: Run, command: str) -> None:
    assert "--json" in run(*command.split(), "--help", TERMINAL_WIDTH="200").stdout


def test_schema_takes_the_example_and_refuses_a_step_without_an_id(run: Run, tmp_path: Path) -> None:
    assert run("schema", "--output", tmp_path / "schema.json").exit_code == 0

    schema = validator_for(json.loads((tmp_path / "schema.json").read_text()), offline=True)
    example = json.loads(EXAMPLE.read_text())
    assert schema.is_valid(example)
    del example["steps"][0]["id"]
    assert not schema.is_valid(example)


def test_openapi_tells_of_the_start_of_a_run(run: Run) -> None:
    document = json.loads(run("openapi").stdout)

    assert document["openapi"] == "3.1.0"
    assert "post" in document["paths"]["/api/v1/workflows/{id}/run"]


def test_output_that_cannot_be_written_is_wrong_use(run: Run, tmp_path: Path) -> None:
    refused = run("schema", "--output", tmp_path / "missing" / "schema.json")

    assert refused.exit_code == 2
    assert "cannot be written" in refused.stderr


def test_the_demo_plays_the_published_example() -> None:
    played = Path(__file__).parents[3] / "src" / "stepwell" / "cli" / "demo" / EXAMPLE.name

    assert played.read_bytes() == EXAMPLE.read_bytes()


@pytest.mark.parametrize("command", ["list", "revoke key_1"])
def test_keys_of_a_directory_without_a_database_are_refused(run: Run, tmp_path: Path, command: str) -> None:
    refused = run("key", *command.split(), "--data", tmp_path / "none")

    assert refused.exit_code == 2
    assert "There is no database" in refused.stderr
    assert not (tmp_path / "none").exists()


def test_a_key_with_an_unknown_scope_is_refused_by_its_name(run: Run, tmp_path: Path) -> None:
    refused = run("key", "create", "--data", tmp_path, "--scope", "runs:read", "--scope", "nope")

    assert refused.exit_code == 2
    assert "scopes[1]: Unknown scope: nope" in refused.stderr


def test_a_key_is_revoked_in_the_data_directory(run: Run, tmp_path: Path) -> None:
    made = json.loads(run("key", "create", "--data", tmp_path, "--json").stdout)

    assert run("key", "revoke", made["id"], "--data", tmp_path).exit_code == 0

    (key,) = json.loads(run("key", "list", "--data", tmp_path, "--json").stdout)
    assert key["revokedAt"] is not None
    assert "key" not in key


def test_a_key_that_is_not_there_cannot_be_revoked(run: Run, tmp_path: Path) -> None:
    run("key", "create", "--data", tmp_path)

    refused = run("key", "revoke", "key_1", "--data", tmp_path)

    assert refused.exit_code == 1
    assert "Key not found" in refused.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "not JSON"), ("[1]", "expected a JSON object"), ("@none.json", "none.json cannot be read")],
)
def test_an_input_that_is_no_object_is_wrong_use(run: Run, text: str, told: str) -> None:
    refused = run("run", "start", "sum", "--input", text, "--api-key", "k", TERMINAL_WIDTH="200")

    assert refused.exit_code == 2
    assert "--input" in refused.stderr
    assert told in refused.stderr


def test_a_server_that_is_not_there_is_told_with_its_address(run: Run) -> None:
    refused = run("run", "list", "--url", "http://127.0.0.1:1", "--api-key", "k")

    assert refused.exit_code == 1
    assert "http://127.0.0.1:1" in refused.stderr


def test_an_address_that_is_none_is_told(run: Run) -> None:
    refused = run("run", "list", "--url", "localhost:3000", "--api-key", "k")

    assert refused.exit_code == 1
    assert "localhost:3000 is no address of a server" in refused.stderr


def test_serve_refuses_settings_with_every_fault(run: Run, tmp_path: Path) -> None:
    refused = run("serve", "--data", tmp_path, STEPWELL_LOG_LEVEL="loud", STEPWELL_RATE_LIMIT_READ="-1")

    assert refused.exit_code == 2
    assert "log.level (STEPWELL_LOG_LEVEL)" in refused.stderr
    assert "rate_limit.read (STEPWELL_RATE_LIMIT_READ)" in refused.stderr
