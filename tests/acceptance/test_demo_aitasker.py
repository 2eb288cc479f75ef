"""`stepwell demo aitasker`: nodes, a worker, a person, costs and a budget, all over HTTP."""

import re

import pytest

from acceptance.processes import command


@pytest.fixture(scope="module")
def printed() -> str:
    done = command("demo", "aitasker", "--exit", "--port", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_faulty_payloads_and_ids_are_named(printed: str) -> None:
    assert "422 body.trigger_payload dict_type" in printed
    assert "422 path.workspace_id uuid_parsing, path.workflow_id uuid_parsing" in printed


def test_the_nodes_go_from_pending_over_running_and_review_to_completed(printed: str) -> None:
    nodes = re.findall(r"^  nodes: (.*)$", printed, re.MULTILINE)

    assert nodes[:4] == [
        "task pending, api_call pending, transform pending",
        "task running, api_call pending, transform pending",
        "task review, api_call pending, transform pending",
        "task completed, api_call completed, transform completed",
    ]


def test_the_worker_delivers_and_a_person_accepts(printed: str) -> None:
    assert "claims 'Write copy for spring sale'" in printed
    assert 'delivers {"text": "Save 20%"} for 120 cents: task review' in printed
    assert "the worker may not accept it: 403 Missing scope: tasks:accept" in printed
    assert "a person accepts it: task accepted, 1.2 USD" in printed


def test_the_cost_is_told_in_all_and_by_node(printed: str) -> None:
    assert "The finished run: completed, 125 cents" in printed
    assert "costs by node: task 120, api_call 5, transform 0; 125 of 500 cents" in printed


def test_the_budget_stops_the_second_run_before_the_node_that_would_break_it(printed: str) -> None:
    told = printed[printed.index("A run that hits its budget") :]

    assert re.search(r"run \S+: failed, 480 cents", told)
    assert "Budget of 500 cents exceeded: 480 spent, next node needs 50" in told
    assert "nodes: task completed, transform skipped" in told


def test_it_tells_how_to_trigger_another_run(printed: str) -> None:
    path = re.search(r"^  POST (\S+/trigger) ", printed, re.MULTILINE)
    assert path is not None

    told = printed[printed.index("Another run by hand") :]

    assert re.search(rf"^  curl -X POST http://127\.0\.0\.1:\d+{path[1]} \\$", told, re.MULTILINE)
    assert re.search(r"-H 'Authorization: Bearer aitk_live_[\w-]{40}'", told)
    assert """-d '{"trigger_payload": {"topic": "spring sale", "customer": "cus_1"}}'""" in told
