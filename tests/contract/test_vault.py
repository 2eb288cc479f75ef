"""The vault over HTTP and the command: another key while the server serves, and no secret in clear on the disk."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from answering import Answering
from live import Api
from stepwell.cli import app
from stepwell.settings import Settings
from stepwell.store import sqlite
from stepwell.values import Json

Run = Callable[..., str]
TOKEN, SECRET, CLIENT = "xoxb-clear-9f8e7d6c5b4a", "hook-secret-5f4e3d2c1b0a", "client-clear-0a1b2c3d4e5f"


@pytest.fixture
def run(operator: Api) -> Run:
    """What a command prints."""
    env = {"STEPWELL_URL": operator.server.url, "STEPWELL_API_KEY": operator.key}

    def run(*args: str, code: int = 0, stdin: str | None = None) -> str:
        done = CliRunner().invoke(app, list(args), env=env, input=stdin)
        assert done.exit_code == code, done.output
        return done.output

    return run


def using(api: Api, upstream: Answering) -> str:
    """A workflow that sends a secret and a connection's token."""
    connection = api.data(
        "POST",
        "/connections",
        {"name": "Team", "provider": "slack", "credentials": {"botToken": TOKEN}, "baseUrl": upstream.url},
    )["id"]
    api.data(
        "POST",
        "/auth-configs",
        {
            "provider": "slack",
            "scheme": "OAUTH2",
            "credentials": {
                "clientId": "c",
                "clientSecret": CLIENT,
                "tokenUrl": "https://example.com/token",
                "authorizeUrl": "https://example.com/authorize",
            },
        },
    )
    steps = [
        {"id": "post", "type": "slack", "config": {"connection": connection, "channel": "C1", "text": "t"}},
        {
            "id": "call",
            "type": "api",
            "config": {"url": f"{upstream.url}/call", "headers": {"X-Token": "{{secrets.HOOK}}"}},
        },
    ]
    workflow = api.workflow({"name": "Use", "trigger": {"type": "api"}, "steps": steps}, active=False)
    api.data("POST", f"/workflows/{workflow}/secrets", {"key": "HOOK", "value": SECRET})
    api.data("POST", f"/workflows/{workflow}/activate")
    return workflow


def sent(api: Api, upstream: Answering, workflow: str) -> list[str | None]:
    """What a run has sent of the token and the secret."""
    upstream.seen.clear()
    upstream.body = b'{"ok":true}'
    assert api.finish(workflow)["status"] == "completed"
    return [upstream.seen[0].headers.get("authorization"), upstream.seen[1].headers.get("x-token")]


def test_a_rotation_while_the_server_serves_changes_the_key_and_nothing_else(
    api: Api, operator: Api, run: Run, upstream: Answering, settings: Settings
) -> None:
    workflow = using(api, upstream)
    before = operator.data("GET", "/admin/vault")

    told = run("vault", "rotate")

    after = operator.data("GET", "/admin/vault")
    assert "values sealed anew" in told and "Everything is sealed by key" in told
    assert after["keyId"] != before["keyId"]
    assert (after["olderKeyIds"], after["remaining"], after["done"]) == ([], {}, True)
    assert sent(api, upstream, workflow) == [f"Bearer {TOKEN}", SECRET]
    assert len((settings.server.data / "vault.key").read_text().splitlines()) == 1


def test_a_run_that_waits_goes_on_with_its_secrets_after_a_rotation(api: Api, run: Run, upstream: Answering) -> None:
    wait = {"id": "wait", "type": "wait_for_event", "config": {"eventType": "go"}}
    call = {
        "id": "call",
        "type": "api",
        "config": {"url": f"{upstream.url}/call", "headers": {"X-Token": "{{steps.name.output.data.token}}"}},
    }
    name = {
        "id": "name",
        "type": "api",
        "config": {"url": f"{upstream.url}/name", "headers": {"X-Token": "{{secrets.HOOK}}"}},
    }
    upstream.body = json.dumps({"token": SECRET}).encode()
    workflow = api.workflow({"name": "Wait", "trigger": {"type": "api"}, "steps": [name, wait, call]}, active=False)
    api.data("POST", f"/workflows/{workflow}/secrets", {"key": "HOOK", "value": SECRET})
    api.data("POST", f"/workflows/{workflow}/activate")
    started = api.start(workflow)
    api.until(started, lambda shown: shown["status"] == "suspended")

    run("vault", "rotate")
    api.data("POST", f"/runs/{started}/events", {"type": "go"})

    api.until(started, lambda shown: shown["status"] == "completed")
    assert [seen.headers.get("x-token") for seen in upstream.seen] == [SECRET, SECRET]


def test_the_status_of_the_vault_is_told_without_a_key(run: Run, settings: Settings) -> None:
    told = run("vault", "status")

    key = (settings.server.data / "vault.key").read_text().strip()
    assert told.startswith("key ") and key not in told


@pytest.mark.parametrize(("method", "path"), [("GET", "/admin/vault"), ("POST", "/admin/vault/rotate")])
def test_only_the_first_workspaces_admins_reach_the_vault(api: Api, operator: Api, method: str, path: str) -> None:
    assert api(method, path).status_code == 403
    assert operator.with_scopes("connections:write")(method, path).status_code == 403


def test_no_secret_is_in_clear_in_the_data_directory_or_a_backup(
    api: Api, upstream: Answering, settings: Settings, tmp_path: Path
) -> None:
    workflow = using(api, upstream)
    assert sent(api, upstream, workflow) == [f"Bearer {TOKEN}", SECRET]
    sqlite.backup(settings.server.data / sqlite.FILE_NAME, tmp_path / "backup.db")

    files = [path for path in (*settings.server.data.rglob("*"), *tmp_path.rglob("*")) if path.is_file()]

    assert {path.name for path in files} >= {sqlite.FILE_NAME, "backup.db"}
    held: Json = [
        (path.name, clear) for path in files for clear in (TOKEN, SECRET, CLIENT) if clear.encode() in path.read_bytes()
    ]
    assert held == []


def test_add_reads_credentials_from_standard_input_and_prints_none(run: Run) -> None:
    told = run("connection", "add", "slack", "--slug", "cli-team", stdin=json.dumps({"botToken": TOKEN}))
    listed = run("connection", "list")

    assert "active" in told and "cli-team" in listed
    assert TOKEN not in told + listed


def test_add_refuses_what_is_no_json_without_repeating_it(run: Run) -> None:
    assert TOKEN not in run("connection", "add", "slack", stdin=TOKEN, code=2)


def test_a_simulators_test_is_well_and_it_can_be_removed(run: Run) -> None:
    made = json.loads(run("connection", "add", "stripe", "--simulator", "--json"))

    assert "The simulator answers" in run("connection", "test", made["id"])
    assert "is removed" in run("connection", "remove", made["id"])
    assert "Connection not found" in run("connection", "test", made["id"], code=1)
