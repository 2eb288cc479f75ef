"""The page on the trigger endpoint: its request as printed, and the fields and kinds of its answer."""

import re

import pytest

from aitasker_client import AitaskerApi, aitasker, shape_node
from live import SEEDS, Api
from snippets import bash, needs_curl, needs_seeds, snippet
from stepwell.ids import parse
from stepwell.values import Json, decode

PAGE = SEEDS / "aitasker-trigger-workflow.txt"


@pytest.fixture
def client(api: Api) -> AitaskerApi:
    return aitasker(api)


def printed() -> Json:
    """The example of an answer."""
    text = PAGE.read_text()
    start = text.index('{\n  "id"')
    return decode(text[start : text.index("\n}\n", start) + 2])


def request(client: AitaskerApi, workflow: str) -> str:
    """The printed request against this server: only host, token and ids are put in."""
    text = snippet(PAGE, "curl --request POST", "}\n'")
    return (
        text.replace("https://api.example.com", client.native.server.url)
        .replace("<token>", client.key)
        .replace("{workspace_id}", client.workspace)
        .replace("{workflow_id}", workflow)
    )


@needs_seeds
@needs_curl
def test_the_printed_request_starts_a_run_whose_answer_has_the_printed_fields_in_order(client: AitaskerApi) -> None:
    workflow = client.workflow(shape_node())["id"]

    run = bash(request(client, workflow) + " --silent")

    example = printed()
    assert list(run) == list(example)
    assert list(run["node_runs"][0]) == list(example["node_runs"][0])
    assert (run["workflow_id"], run["trigger_payload"], run["total_cost_cents"]) == (workflow, {}, 0)


@needs_seeds
def test_a_run_that_has_ended_has_values_of_the_printed_kinds(client: AitaskerApi) -> None:
    workflow = client.workflow(shape_node(mapping={}))["id"]
    run = client.final(workflow, client.trigger(workflow)["id"])

    nullable = {"error_message", "task_id"}  # as the page's own table says of the first
    example = printed()
    for shown, wanted in ((run, example), (run["node_runs"][0], example["node_runs"][0])):
        assert {name for name in shown if type(shown[name]) is not type(wanted[name])} <= nullable


@needs_seeds
def test_ids_are_uuids_and_times_are_in_utc(client: AitaskerApi) -> None:
    workflow = client.workflow(shape_node())["id"]
    run = client.final(workflow, client.trigger(workflow)["id"])
    (node,) = run["node_runs"]

    ids = (run["id"], run["workflow_id"], node["id"], node["workflow_run_id"], node["workflow_node_id"])
    times = (run["created_at"], run["started_at"], run["completed_at"], node["started_at"], node["completed_at"])
    assert all(parse(id) == id for id in ids)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time) for time in times)
