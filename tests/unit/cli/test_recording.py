"""`stepwell test --from-run`: a run of a real server becomes a case that passes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from live import Api, live
from stepwell.auth import SCOPES
from stepwell.cli.testing import text
from stepwell.client import Client
from stepwell.settings import Egress, Server, Settings
from unit.cli.conftest import Run

NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    settings = Settings(server=Server(data=tmp_path_factory.mktemp("data")), egress=Egress(allow_private=True))
    with live(settings) as server:
        workspace = server.parts.first_workspace
        key = server.call(server.parts.core.keys.create(workspace, "test", sorted(SCOPES)))
        yield Api(server, workspace, key.text)


def recorded(run: Run, api: Api, id: str, file: Path) -> Any:
    """The case file of a run, as it is written to a file."""
    done = run("test", "--from-run", id, "--output", file, "--url", api.server.url, "--api-key", api.key)
    assert done.exit_code == 0, done.output
    return text.read(file.read_text("utf-8")).value


def workflow(*steps: Any, **fields: Any) -> Any:
    return {"name": "Recorded", "trigger": {"type": "api"}, "steps": list(steps), **fields}


def shape(**mapping: Any) -> Any:
    return {"id": "shape", "type": "transform", "config": {"mapping": mapping}}


def invoice(api: Api) -> Any:
    """A step that the simulator of a provider answers."""
    connection = {"name": "sim", "provider": "stripe", "mode": "simulator", "credentials": {"apiKey": "sk_test_1"}}
    name = api.data("POST", "/connections", connection)["id"]
    config = {"connection": name, "customerId": "{{input.customer}}", "amount": 1999}
    return {"id": "invoice", "type": "action", "action": "stripe.createInvoice", "config": config}


def test_a_run_that_completed_becomes_a_case_that_passes(run: Run, api: Api, tmp_path: Path) -> None:
    steps = (invoice(api), shape(number="{{steps.invoice.output.number}}", price=19.9, at="{{run.startedAt}}"))
    ended = api.finish(api.workflow(workflow(*steps)), input={"customer": "cus_1"})

    file = recorded(run, api, ended["id"], tmp_path / "a.test.yaml")

    (case,) = file["cases"]
    assert case["input"] == {"customer": "cus_1"}
    assert list(case["mocks"]) == ["invoice"]
    assert case["expect"]["output"]["number"] == ended["output"]["number"] != ""
    assert case["expect"]["path"] == ["invoice", "shape"]
    played = run("test", tmp_path / "a.test.yaml")
    assert played.exit_code == 0, played.output


def test_every_attempt_of_a_run_that_failed_becomes_a_mock(run: Run, api: Api, tmp_path: Path) -> None:
    retry = {"maxAttempts": 2, "initialDelayMs": 1}
    ask = {"id": "ask", "type": "api", "config": {"url": NOWHERE}, "retryConfig": retry}
    skipped = {**shape(n=1), "id": "never", "when": "false"}
    ended = api.finish(api.workflow(workflow(skipped, ask, shape(n=1))))

    file = recorded(run, api, ended["id"], tmp_path / "a.test.yaml")

    (case,) = file["cases"]
    assert [answer["error"]["kind"] for answer in case["mocks"]["ask"]] == ["network", "network"]
    assert case["expect"]["status"] == "failed"
    assert case["expect"]["path"] == ["ask"]
    played = run("test", tmp_path / "a.test.yaml")
    assert played.exit_code == 0, played.output


def test_the_version_that_ran_is_written_not_the_current_one(run: Run, api: Api, tmp_path: Path) -> None:
    id = api.workflow(workflow(shape(n=1)))
    ended = api.finish(id)
    api.data("PUT", f"/workflows/{id}", {"steps": [shape(n=2)]})

    file = recorded(run, api, ended["id"], tmp_path / "a.test.yaml")

    assert file["workflow"]["steps"] == [shape(n=1)]
    assert run("test", tmp_path / "a.test.yaml").exit_code == 0


def test_secrets_are_not_written_but_their_names(run: Run, api: Api, tmp_path: Path) -> None:
    ask = {"id": "ask", "type": "api", "config": {"url": NOWHERE, "headers": {"k": "{{secrets.KEY}}"}}}
    id = api.workflow(workflow(ask), active=False)
    api.data("POST", f"/workflows/{id}/secrets", {"key": "KEY", "value": "open-sesame"})
    api.data("POST", f"/workflows/{id}/activate")
    ended = api.finish(id)

    file = recorded(run, api, ended["id"], tmp_path / "a.test.yaml")

    assert list(file["cases"][0]["secrets"]) == ["KEY"]
    assert "open-sesame" not in (tmp_path / "a.test.yaml").read_text()
    assert run("test", tmp_path / "a.test.yaml").exit_code == 0


def test_a_run_that_has_not_ended_is_refused(run: Run, api: Api) -> None:
    id = api.start(api.workflow(workflow({"id": "rest", "type": "wait", "config": {"duration": 3_600_000}})))

    refused = run("test", "--from-run", id, STEPWELL_URL=api.server.url, STEPWELL_API_KEY=api.key)

    assert refused.exit_code == 1
    assert "a case can be made of a run that has ended" in refused.stderr


def test_a_case_goes_to_standard_output_if_no_file_is_named(run: Run, api: Api) -> None:
    ended = api.finish(api.workflow(workflow(shape(n=1))))

    done = run("test", "--from-run", ended["id"], STEPWELL_URL=api.server.url, STEPWELL_API_KEY=api.key)

    assert text.read(done.stdout).value["cases"][0]["expect"]["status"] == "completed"


@pytest.mark.parametrize("args", [["x.yaml", "--from-run", "run_1"], ["x.yaml", "--output", "y.yaml"]])
def test_options_that_do_not_go_together_are_refused(run: Run, args: list[str]) -> None:
    assert run("test", *args).exit_code == 2


def test_decisions_events_and_children_of_a_run_become_part_of_its_case(run: Run, api: Api, tmp_path: Path) -> None:
    child = api.workflow({**workflow(shape(y="{{input.x}}")), "name": "Child"})
    approval = {"id": "allow", "type": "approval", "config": {"approvers": ["ana@example.com"], "reason": "Fine"}}
    paid = {"id": "paid", "type": "wait_for_event", "config": {"eventType": "paid"}}
    sub = {"id": "sub", "type": "subworkflow", "config": {"workflowId": child, "inputMapping": {"x": 5}}}
    lost = {**sub, "id": "lost", "config": {"workflowId": "none"}, "errorHandling": {"strategy": "continue"}}
    last = shape(paid="{{steps.paid.output.payload.n}}", y="{{steps.sub.output.result.y}}")
    id = api.start(api.workflow(workflow(approval, paid, sub, lost, last)))
    stream = Client(api.server.url, api.key).runs.stream(id)
    next(event for event in stream if event.data.status == "suspended")
    (waiting,) = api.data("GET", "/approvals?status=pending")
    api.data("POST", f"/approvals/{waiting['id']}/approve", {"approver": "ana@example.com", "comment": "go"})
    api.data("POST", f"/runs/{id}/events", {"type": "paid", "payload": {"n": 3}})
    list(stream)  # ends with the run

    (case,) = recorded(run, api, id, tmp_path / "a.test.yaml")["cases"]

    assert case["expect"]["output"] == {"paid": 3, "y": 5}
    assert case["approvals"]["allow"][0].items() >= {"decision": "approve", "by": "ana@example.com"}.items()
    assert case["events"][0].items() >= {"type": "paid", "payload": {"n": 3}}.items()
    assert case["mocks"]["sub"]["output"] == {"y": 5}
    assert case["mocks"]["lost"]["error"]["code"] == "SUBWORKFLOW_FAILED"
    played = run("test", tmp_path / "a.test.yaml")
    assert played.exit_code == 0, played.output
