"""The command against a real server process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from acceptance.processes import Process, ServerProcess, command
from stepwell.cli import app

SUM = {
    "name": "Sum",
    "slug": "sum",
    "trigger": {"type": "api"},
    "steps": [
        {"id": "more", "type": "transform", "config": {"mapping": {"x": "{{input.x | plus: 1}}"}}},
        {"id": "rest", "type": "wait", "config": {"duration": 100}},
        {"id": "double", "type": "transform", "config": {"mapping": {"y": "{{steps.more.output.x | times: 2}}"}}},
    ],
}
FAILING = {
    "name": "Failing",
    "trigger": {"type": "api"},
    "steps": [{"id": "ask", "type": "api", "config": {"url": "http://127.0.0.1:9/", "method": "GET"}}],
}
RESTING = {
    "name": "Resting",
    "trigger": {"type": "api"},
    "steps": [{"id": "rest", "type": "wait", "config": {"duration": 1, "unit": "hours"}}],
}
QUIET = {"STEPWELL_LOG_LEVEL": "warning"}


class Cli:
    """The command with the address and the key of one server."""

    def __init__(self, server: ServerProcess, key: str, files: Path) -> None:
        self.server = server
        self.key = key
        self._files = files
        self.env = {"STEPWELL_URL": server.url, "STEPWELL_API_KEY": key}

    def __call__(self, *args: str, code: int = 0) -> str:
        """What a command prints. It runs in this process, the server in its own."""
        done = CliRunner().invoke(app, args, env=self.env)
        assert done.exit_code == code, f"{args}: exit code {done.exit_code}\n{done.output}"
        return done.output

    def json(self, *args: str) -> Any:
        return json.loads(self(*args, "--json"))

    def file(self, document: Any) -> str:
        path = self._files / "definition.json"
        path.write_text(json.dumps(document))
        return str(path)


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    data = tmp_path_factory.mktemp("data")
    key = command("key", "create", "--data", str(data)).stdout.strip()
    with ServerProcess(data, QUIET) as server:
        ready = Cli(server, key, tmp_path_factory.mktemp("files"))
        ready("workflow", "apply", ready.file(SUM), "--activate")
        yield ready


def test_the_first_key_is_made_in_the_data_directory_without_a_server(tmp_path: Path) -> None:
    made = command("key", "create", "--data", str(tmp_path / "new"))

    assert made.returncode == 0
    assert made.stdout.startswith("wfk_")
    listed = command("key", "list", "--data", str(tmp_path / "new"), "--json")
    assert [key["prefix"] for key in json.loads(listed.stdout)] == [made.stdout[:8]]


def test_keys_go_over_http_while_a_server_holds_the_directory(cli: Cli) -> None:
    made = cli.json("key", "create", "--data", str(cli.server.data), "--name", "reader", "--scope", "runs:read")

    assert (made["name"], made["scopes"]) == ("reader", ["runs:read"])
    cli("key", "revoke", made["id"], "--data", str(cli.server.data))
    kept = {key["id"]: key for key in cli.json("key", "list", "--data", str(cli.server.data))}
    assert kept[made["id"]]["revokedAt"] is not None


def test_keys_of_a_held_directory_without_an_api_key_are_refused_with_the_way_out(cli: Cli) -> None:
    refused = command("key", "create", "--data", str(cli.server.data))

    assert refused.returncode == 2
    assert "is in use" in refused.stderr
    assert "--api-key" in refused.stderr


def test_apply_creates_then_changes_nothing_then_makes_a_new_version(cli: Cli) -> None:
    document = {**SUM, "name": "Applied", "slug": "applied"}

    outcomes = [cli.json("workflow", "apply", cli.file(document), "--activate")["outcome"] for _ in range(2)]
    changed = cli.json("workflow", "apply", cli.file({**document, "description": "Changed"}))

    assert outcomes == ["created", "unchanged"]
    assert (changed["outcome"], changed["workflow"]["version"]) == ("updated", 2)


def test_apply_removes_optional_fields_that_the_file_has_no_more(cli: Cli) -> None:
    document = {**SUM, "name": "Shrinking", "slug": None}
    del document["slug"]
    cli("workflow", "apply", cli.file({**document, "variables": {"a": 1}}))

    shrunk = cli.json("workflow", "apply", cli.file(document))

    assert (shrunk["outcome"], shrunk["workflow"]["variables"]) == ("updated", None)


def test_apply_prints_each_fault_on_a_line_with_its_field(cli: Cli) -> None:
    steps = [{"id": "a", "type": "nope"}, {"type": "wait", "config": {"duration": 1}}]

    printed = cli("workflow", "apply", cli.file({**SUM, "slug": "bad", "steps": steps}), code=1)

    assert "  steps[0].type: Unknown step type: nope\n" in printed
    assert "  steps[1].id: Step ID is required\n" in printed


def test_workflow_list_and_show_and_activate_tell_of_the_same_workflow(cli: Cli) -> None:
    listed = {workflow["name"]: workflow for workflow in cli.json("workflow", "list")}

    shown = cli.json("workflow", "show", "Sum")

    assert shown["id"] == listed["Sum"]["id"]
    assert shown["steps"] == SUM["steps"]
    assert "active" in cli("workflow", "activate", "sum")


def test_start_wait_shows_each_step_and_the_output(cli: Cli) -> None:
    printed = cli("run", "start", "sum", "--input", '{"x": 1.5}', "--wait")

    lines = [line.split()[:2] for line in printed.splitlines()]
    told = [lines.index(line) for line in (["more", "success"], ["rest", "success"], ["double", "success"])]
    assert told == sorted(told)
    assert 'Output: {"y": 5}\n' in printed


def test_start_wait_of_a_failing_run_ends_with_1_and_tells_the_cause(cli: Cli) -> None:
    cli("workflow", "apply", cli.file(FAILING), "--activate")

    printed = cli("run", "start", "Failing", "--wait", code=1)

    assert "STEP_ERROR" in printed
    assert "ask" in printed


def test_start_reads_its_input_from_a_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text('{"x": 9}')

    ended = cli.json("run", "start", "sum", "--input", f"@{tmp_path / 'input.json'}", "--wait")

    assert ended["output"] == {"y": 20}


def test_start_with_the_same_idempotency_key_returns_the_same_run(cli: Cli) -> None:
    first, second = (cli.json("run", "start", "sum", "--idempotency-key", "k", "--input", '{"x": 1}') for _ in "ab")

    assert first["runId"] == second["runId"]
    assert (first["replayed"], second["replayed"]) == (False, True)


def test_watch_follows_a_run_to_its_end(cli: Cli) -> None:
    run = cli.json("run", "start", "sum", "--input", '{"x": 1}')["runId"]

    events = [json.loads(line) for line in cli("run", "watch", run, "--json").splitlines()]

    assert events[-1]["data"]["status"] == "completed"
    assert [event["id"] for event in events] == sorted(event["id"] for event in events)
    assert [event["data"]["stepId"] for event in events if event["kind"] == "step.completed"] == [
        "more",
        "rest",
        "double",
    ]


def test_watch_tells_of_a_step_while_it_happens_and_ends_with_1_if_the_run_is_cancelled(cli: Cli) -> None:
    cli("workflow", "apply", cli.file(RESTING), "--activate")
    run = cli.json("run", "start", "Resting")["runId"]

    with Process("run", "watch", run, env=cli.env) as watch:
        watch.wait_until(lambda: "  rest  " in watch.log, "the step's line")
        cli("run", "cancel", run)

        assert watch.wait() == 1
        assert f"{run}  cancelled" in watch.log


def test_run_list_filters_and_ends_at_its_limit(cli: Cli) -> None:
    for _ in range(3):
        cli("run", "start", "sum", "--input", '{"x": 1}', "--wait")

    listed = cli.json("run", "list", "--workflow", "wf_sum", "--status", "completed", "--limit", "2")

    assert [run["status"] for run in listed] == ["completed", "completed"]
    assert listed[0]["id"] in cli("run", "list", "--limit", "100")


def test_restart_keeps_what_was_before_the_step(cli: Cli) -> None:
    run = cli.json("run", "start", "sum", "--input", '{"x": 1}', "--wait")["id"]

    restarted = cli.json("run", "restart", run, "--from", "double", "--input", '{"x": 100}', "--wait")

    assert restarted["restartedFromRunId"] == run
    assert restarted["output"] == {"y": 4}
    assert [step.get("reused", False) for step in restarted["stepResults"]] == [True, True, False]


def test_restart_from_an_unknown_step_names_it(cli: Cli) -> None:
    run = cli.json("run", "start", "sum", "--input", '{"x": 1}', "--wait")["id"]

    assert "Step not found: nope" in cli("run", "restart", run, "--from", "nope", code=1)


def test_cancel_of_an_ended_run_tells_why_not(cli: Cli) -> None:
    run = cli.json("run", "start", "sum", "--input", '{"x": 1}', "--wait")["id"]

    assert "Can only cancel running or pending runs" in cli("run", "cancel", run, code=1)


def test_a_wrong_key_is_refused_with_the_way_to_give_one(cli: Cli) -> None:
    refused = command("run", "list", env={**cli.env, "STEPWELL_API_KEY": "wfk_wrong"})

    assert refused.returncode == 1
    assert "Invalid or missing API key" in refused.stderr
    assert "--api-key" in refused.stderr


def test_backup_while_the_server_runs_is_sound_and_says_where_the_vault_key_is(cli: Cli, tmp_path: Path) -> None:
    data, copy = cli.server.data, tmp_path / "copy" / "stepwell.db"
    copy.parent.mkdir()

    printed = cli("db", "backup", str(copy), "--data", str(data))

    assert f"The vault key is not in it: it is {data / 'vault.key'}" in printed
    assert "is sound" in cli("db", "check", "--data", str(copy.parent))
    assert not (copy.parent / "vault.key").exists()


def test_a_backup_starts_a_server_again_with_the_vault_key_beside_it(cli: Cli, tmp_path: Path) -> None:
    cli("db", "backup", str(tmp_path / "stepwell.db"), "--data", str(cli.server.data))
    (tmp_path / "vault.key").write_bytes((cli.server.data / "vault.key").read_bytes())
    (tmp_path / "vault.key").chmod(0o600)

    with ServerProcess(tmp_path, QUIET) as restored:
        listed = command("workflow", "list", "--json", env={**cli.env, "STEPWELL_URL": restored.url})

    assert "Sum" in {workflow["name"] for workflow in json.loads(listed.stdout)}


def test_migrate_is_refused_while_a_server_runs(cli: Cli) -> None:
    assert "is in use" in cli("db", "migrate", "--data", str(cli.server.data), code=2)


def test_a_second_server_on_the_directory_is_refused_with_2_and_without_a_traceback(cli: Cli) -> None:
    second = ServerProcess(cli.server.data)

    with pytest.raises(AssertionError):
        second.wait_ready()

    assert second.wait() == 2
    assert f"in use by another Stepwell process (process {cli.server.pid})" in second.log
    assert "Traceback" not in second.log


def test_a_taken_port_is_refused_with_2_and_names_the_option(cli: Cli, tmp_path: Path) -> None:
    second = ServerProcess(tmp_path, port=cli.server.port)

    assert second.wait() == 2
    assert f"Cannot listen on 127.0.0.1:{cli.server.port}" in second.log
    assert "--port" in second.log


def test_check_of_a_directory_that_a_server_holds_finds_nothing_wrong(cli: Cli) -> None:
    printed = cli("check", "--data", str(cli.server.data))

    assert "A server runs on" in printed
    assert "Nothing is wrong." in printed


@pytest.mark.parametrize("end", [ServerProcess.terminate, ServerProcess.interrupt])
def test_a_signal_ends_the_server_with_0(end: Any, tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        end(server)

        assert server.wait() == 0
        assert json.loads(server.log.splitlines()[-1])["message"] == "server stopped"


def test_a_killed_server_leaves_a_directory_that_the_next_one_takes(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as first:
        first.kill()

    with ServerProcess(tmp_path, port=first.port) as second:
        assert second.url == first.url
