"""The lines that the README tells people to paste after `make demo` work as they stand."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from acceptance.processes import Process, free_port

README = Path(__file__).parents[2] / "README.md"
UP = "The server is up. Ctrl-C stops it."


@pytest.mark.skipif(shutil.which("curl") is None, reason="the lines are for curl")
def test_the_shell_lines_start_follow_read_log_and_restart_a_run() -> None:
    port = free_port()
    with Process("demo", "--port", str(port)) as demo:
        demo.wait_until(lambda: UP in demo.log, "the demo's run")
        key = re.search(r"wfk_\S+", demo.log)
        assert key is not None
        lines = _lines().replace("wfk_...", key[0]).replace(":3000", f":{port}")

        done = subprocess.run(["sh", "-e"], input=lines, capture_output=True, text=True, timeout=60, check=True)

    stream, _, answers = done.stdout.partition('{"success"')
    assert stream.count("event: step.completed") == 3
    run, logs, restarted = _objects('{"success"' + answers)
    assert (run["status"], run["stepResults"][0]["output"]["subtotal"]) == ("completed", 3998)
    assert [entry["status"] for entry in logs["logs"]] == ["success"] * 3
    assert (restarted["originalRunId"], restarted["restartFromStepId"]) == (run["id"], "send-confirmation")


def _lines() -> str:
    """The block that begins with the key."""
    found = re.search(r"```sh\n(KEY=.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def _objects(text: str) -> list[Any]:
    """The data of answers that stand one behind the other."""
    decoder, found = json.JSONDecoder(), []
    while text:
        value, end = decoder.raw_decode(text)
        assert value["success"], value
        found.append(value["data"])
        text = text[end:].lstrip()
    return found
