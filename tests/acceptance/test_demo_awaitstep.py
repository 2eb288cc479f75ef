"""`stepwell demo awaitstep`: a graph is deployed, its runs are steered, a function is called."""

import re

import pytest

from acceptance.processes import command


@pytest.fixture(scope="module")
def printed() -> str:
    done = command("demo", "awaitstep", "--exit", "--port", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_a_graph_is_triggered_only_once_it_is_deployed(printed: str) -> None:
    assert "trigger before a deploy: 400 No version deployed" in printed
    assert re.search(r"deployed: ver_[0-9a-f-]{36}", printed)


def test_a_deploy_is_shown_stage_by_stage(printed: str) -> None:
    told = re.findall(r"^ +(\d+) %  ([A-Z_]+)$", printed, re.MULTILINE)
    assert (told[0], told[-1], len(told)) == (("10", "INITIALIZING"), ("100", "COMPLETED"), 10)


def test_a_run_waits_for_its_event_and_completes_with_it(printed: str) -> None:
    assert re.search(r"triggered: instance [0-9a-f-]{36}, queued", printed)
    assert "polled: paused, waits for approval-decision" in printed
    assert 'approved: complete, output {"paid": 4999}' in printed
    assert re.findall(r"^    (\w+: \w+)$", printed, re.MULTILINE) == [
        "decision: success",
        "route: success",
        "pay: success",
        "refuse: skipped",
    ]


def test_another_run_is_paused_resumed_and_terminated(printed: str) -> None:
    assert "pause: paused, by hand" in printed
    assert "resume: paused again, waits for approval-decision" in printed
    assert "terminate: terminated" in printed
    assert "pause again: 409 Cannot pause a run that is terminated" in printed


def test_a_function_answers_at_once_and_has_no_runs(printed: str) -> None:
    assert 'POST: 200 {"Total": 1500}' in printed
    assert "GET: 200 and no body" in printed
    assert "trigger: 400 A function has no runs" in printed


def test_refusals_are_told(printed: str) -> None:
    assert "no connection: 422 Validation failed, connectionId" in printed
    assert "an unknown one: 404 Connection not found" in printed
