"""`stepwell demo`: what it prints, and that the lines it tells people to paste work."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from acceptance.processes import Process, command, free_port

UP = "The server is up. Ctrl-C stops it."


@pytest.fixture(scope="module")
def printed() -> str:
    done = command("demo", "--exit", "--port", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def demo() -> Iterator[Process]:
    with Process("demo", "--port", str(free_port())) as running:
        running.wait_until(lambda: UP in running.log, "the demo's run")
        yield running


@pytest.mark.parametrize(("name", "amount"), [("subtotal", "4500"), ("tax", "360"), ("total", "4860")])
def test_it_prints_the_amounts_of_the_finished_run(printed: str, name: str, amount: str) -> None:
    assert re.search(rf"^{name} +{amount} *$", printed, re.MULTILINE)


def test_it_shows_each_step_as_it_happens(printed: str) -> None:
    ended = re.findall(r"^  (\S+)  success\b", printed, re.MULTILINE)

    assert ended == ["calculate-total", "create-invoice", "send-confirmation"]
    assert printed.index("  calculate-total  success") < printed.index("The finished run: completed")


def test_the_invoice_number_of_the_provider_stands_in_the_run_and_in_the_mail(printed: str) -> None:
    assert re.search(r"^invoice +DEMO-0001 \(in_\w+, open\)", printed, re.MULTILINE)
    assert "Subject: Order Confirmed - Invoice #DEMO-0001\n" in printed


def test_it_prints_the_mail_as_the_mail_server_received_it(printed: str) -> None:
    assert "To:      ana@example.com\n" in printed
    assert "<p>Thank you for your order!</p><p>Total: $4860</p>\n" in printed


def test_the_provider_got_a_key_with_every_request(printed: str) -> None:
    keys = re.findall(r"^POST /v1/\S+  Idempotency-Key: (run_\S+)$", printed, re.MULTILINE)

    assert len(keys) == len(set(keys)) == 3


def test_a_taken_port_is_refused_with_2_and_names_the_option(demo: Process) -> None:
    port = str(urlsplit(_calls(demo)[0][2]).port)

    refused = command("demo", "--exit", "--port", port)

    assert refused.returncode == 2
    assert "--port" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="the lines are for curl")
def test_the_curl_lines_start_read_log_and_restart_a_run(demo: Process) -> None:
    start, read, logs, restart = _calls(demo)

    started, run, log, restarted = (_curl(line) for line in (start, read, logs, restart))

    assert started["status"] == "pending"
    assert (run["status"], run["stepResults"][0]["output"]["total"]) == ("completed", 4860)
    assert [entry["stepId"] for entry in log["logs"]] == ["calculate-total", "create-invoice", "send-confirmation"]
    assert (restarted["originalRunId"], restarted["restartFromStepId"]) == (run["id"], "send-confirmation")
    ended = _curl([word.replace(run["id"], restarted["newRunId"]) for word in read], until="completed")
    assert ended["stepResults"][2]["input"]["to"] == "bo@example.com"


def test_a_kept_directory_is_played_again_on_the_same_workflow(tmp_path: Path) -> None:
    first, second = (command("demo", "--exit", "--port", "0", "--data", str(tmp_path)) for _ in "ab")

    assert (first.returncode, second.returncode) == (0, 0)
    workflows = {re.search(r"wf_[0-9a-f-]+, version 1", done.stdout)[0] for done in (first, second)}  # type: ignore[index]
    assert len(workflows) == 1


def test_ctrl_c_ends_the_demo_with_0() -> None:
    with Process("demo", "--port", "0") as running:
        running.wait_until(lambda: UP in running.log, "the demo's run")

        running.interrupt()

        assert running.wait() == 0
        assert "Traceback" not in running.log


def _calls(demo: Process) -> list[list[str]]:
    """The words of each curl line."""
    return [shlex.split(line) for line in demo.log.splitlines() if line.startswith("curl ")]


def _curl(words: list[str], until: str | None = None) -> Any:
    """What a curl line answers; asked again until the status is as wanted."""
    while True:
        answer = json.loads(subprocess.run(words, capture_output=True, check=True, timeout=30).stdout)
        assert answer["success"], answer
        if until is None or answer["data"]["status"] == until:
            return answer["data"]
        assert answer["data"]["status"] in ("pending", "running"), answer
