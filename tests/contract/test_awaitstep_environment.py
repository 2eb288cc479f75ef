"""The environment of deploys in the AwaitStep dialect: variables of the workspace and of workflows, secrets. Source:
AwaitStep contract 4.2, 4.3, 7, 13.14."""

import pytest

from answering import Answering
from awaitstep_client import AwaitstepApi, awaitstep, simple
from awaitstep_graphs import graph, node, step
from awaitstep_runs import final, trigger
from live import Api
from stepwell.values import Json, decode

TOO_SHORT = "At least 4 characters: a shorter value could not be masked where it appears"


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


def variable(client: AwaitstepApi, name: str, value: str, *, secret: bool = False, status: int = 201) -> Json:
    return client.answer("POST", "/api/env-vars", {"name": name, "value": value, "isSecret": secret}, status)


def calls(header: str) -> Json:
    """A graph of one request with a header."""
    return graph(node("call", "http_request", url="https://example.com", method="GET", headers={"X": header}), edges="")


def copied(client: AwaitstepApi, workflow: str) -> tuple[Json, list[str]]:
    """The variables of what a workflow was compiled to, and the names of its secrets."""
    path = f"/workflows/{workflow.removeprefix('wf_')}"
    secrets = client.native.data("GET", f"{path}/secrets")
    return client.native.data("GET", path).get("variables"), [each["key"] for each in secrets]


def test_a_deploy_copies_only_what_the_graph_reads(client: AwaitstepApi) -> None:
    variable(client, "READ", "1")
    variable(client, "UNREAD", "2")
    variable(client, "TOKEN", "s3cret-word", secret=True)
    variable(client, "OTHER", "another-word", secret=True)
    workflow = client.deployed(calls("{{env.READ}} {{env.TOKEN}}"))

    assert copied(client, workflow) == ({"READ": "1"}, ["TOKEN"])


def test_code_that_names_a_variable_reads_it_alone(client: AwaitstepApi) -> None:
    variable(client, "READ", "1")
    variable(client, "UNREAD", "2")

    workflow = client.deployed(simple("return env.READ + {{env.READ}}"))

    assert copied(client, workflow) == ({"READ": "1"}, [])


def test_code_that_takes_the_whole_environment_reads_every_variable_and_no_secret(client: AwaitstepApi) -> None:
    variable(client, "ONE", "1")
    variable(client, "TWO", "2")
    variable(client, "TOKEN", "s3cret-word", secret=True)
    workflow = client.deployed(simple("return Object.keys(env).sort()"))

    assert copied(client, workflow) == ({"ONE": "1", "TWO": "2"}, [])
    assert final(client, trigger(client, workflow))["output"] == ["ONE", "TWO"]


def test_a_graph_that_reads_nothing_is_given_nothing(client: AwaitstepApi) -> None:
    variable(client, "UNREAD", "2")

    assert copied(client, client.deployed()) == (None, [])


def test_a_changed_variable_takes_effect_at_the_next_deploy(client: AwaitstepApi) -> None:
    made = variable(client, "PLACE", "here")
    workflow = client.deployed(simple("return {{env.PLACE}}"))
    client.answer("PATCH", f"/api/env-vars/{made['id']}", {"value": "there"})
    assert final(client, trigger(client, workflow))["output"] == "here"

    client.deploy(workflow)

    assert final(client, trigger(client, workflow))["output"] == "there"


def test_all_that_is_missing_is_named_in_order(client: AwaitstepApi) -> None:
    workflow = client.create()
    variables = [{"name": "POINTED", "value": "{{global.env.NOWHERE}}"}]
    client.answer("PATCH", f"/api/workflows/{workflow}", {"envVars": variables})
    client.save(workflow, graph(step("a", "return {{env.B}}"), step("b", "return env.A"), edges="a>b"))

    assert client.deploy(workflow, 400) == {"error": "Missing or unresolved environment variables: A, B, POINTED"}


def test_a_workflow_may_point_at_a_secret_of_the_workspace(client: AwaitstepApi) -> None:
    variable(client, "SHARED", "s3cret-word", secret=True)
    workflow = client.create()
    own = [{"name": "TOKEN", "value": "{{global.env.SHARED}}", "isSecret": True}]
    client.answer("PATCH", f"/api/workflows/{workflow}", {"envVars": own})
    client.save(workflow, calls("{{env.TOKEN}}"))

    client.deploy(workflow)

    assert copied(client, workflow) == (None, ["TOKEN"])


def changed_since_deployed(client: AwaitstepApi, upstream: Answering) -> str:
    """A workflow that sends a secret of its own, which was changed after the deploy."""
    workflow = client.create()
    path = f"/api/workflows/{workflow}"
    call = node("call", "http_request", url=upstream.url, method="GET", headers={"X-Token": "{{env.TOKEN}}"})
    client.answer("PATCH", path, {"envVars": [{"name": "TOKEN", "value": "first-word", "isSecret": True}]})
    client.save(workflow, graph(call, edges=""))
    client.deploy(workflow)
    client.answer("PATCH", path, {"envVars": [{"name": "TOKEN", "value": "second-word", "isSecret": True}]})
    return workflow


def test_a_changed_secret_of_a_workflow_takes_effect_at_the_next_deploy(
    client: AwaitstepApi, upstream: Answering
) -> None:
    workflow = changed_since_deployed(client, upstream)

    final(client, trigger(client, workflow))
    client.deploy(workflow)
    final(client, trigger(client, workflow))

    assert [seen.headers["x-token"] for seen in upstream.seen] == ["first-word", "second-word"]


def test_a_deploy_that_fails_leaves_the_secrets_of_what_runs(client: AwaitstepApi, upstream: Answering) -> None:
    workflow = changed_since_deployed(client, upstream)
    client.save(workflow, graph(node("wait", "wait_for_event", eventType="{{env.TOKEN}}"), edges=""))

    client.deploy(workflow, 422)

    final(client, trigger(client, workflow))
    assert [seen.headers["x-token"] for seen in upstream.seen] == ["first-word"]


def test_a_secret_that_a_workflow_lost_is_missing_at_the_next_deploy(client: AwaitstepApi) -> None:
    workflow = client.create()
    path = f"/api/workflows/{workflow}"
    client.answer("PATCH", path, {"envVars": [{"name": "TOKEN", "value": "first-word", "isSecret": True}]})
    client.save(workflow, calls("{{env.TOKEN}}"))
    client.deploy(workflow)

    client.answer("PATCH", path, {"envVars": []})

    assert client.deploy(workflow, 400) == {"error": "Missing or unresolved environment variables: TOKEN"}


# -- secrets that are too short to be masked


def test_a_secret_of_the_workspace_that_could_not_be_masked_is_refused(client: AwaitstepApi) -> None:
    answer = variable(client, "TOKEN", "abc", secret=True, status=422)

    assert answer["details"] == [{"path": "value", "message": TOO_SHORT}]
    assert client.answer("GET", "/api/env-vars")["data"] == []


def test_a_short_variable_does_not_become_a_secret(client: AwaitstepApi) -> None:
    made = variable(client, "PLACE", "abc")

    answer = client.answer("PATCH", f"/api/env-vars/{made['id']}", {"isSecret": True}, 422)

    assert answer["details"] == [{"path": "value", "message": TOO_SHORT}]


def test_a_secret_of_a_workflow_that_could_not_be_masked_is_refused(client: AwaitstepApi) -> None:
    body = {"envVars": [{"name": "TOKEN", "value": "abc", "isSecret": True}]}

    answer = client.answer("PATCH", f"/api/workflows/{client.create()}", body, 422)

    assert answer["details"] == [{"path": "envVars[0].value", "message": TOO_SHORT}]


# -- variables of the workspace


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"name": "lower", "value": "x"}, "name"),
        ({"name": "1ST", "value": "x"}, "name"),
        ({"name": "A-B", "value": "x"}, "name"),
        ({"name": "A", "value": ""}, "value"),
        ({"name": "A", "value": "x" * 10_001}, "value"),
        ({"name": "A"}, "value"),
    ],
)
def test_a_variable_that_is_not_fit_is_refused(client: AwaitstepApi, body: Json, path: str) -> None:
    answer = client.answer("POST", "/api/env-vars", body, 422)

    assert answer["error"] == "Validation failed"
    assert [each["path"] for each in answer["details"]] == [path]


def test_a_value_may_have_ten_thousand_characters(client: AwaitstepApi) -> None:
    assert variable(client, "LONG", "x" * 10_000)["value"] == "x" * 10_000


def test_a_variable_is_not_renamed_to_one_that_is_there(client: AwaitstepApi) -> None:
    variable(client, "TAKEN", "1")
    other = variable(client, "FREE", "2")

    client.error("PATCH", f"/api/env-vars/{other['id']}", {"name": "TAKEN"}, 409)

    assert client.answer("PATCH", f"/api/env-vars/{other['id']}", {"name": "OPEN"})["name"] == "OPEN"


def test_the_bullets_keep_the_secret_of_the_workspace(client: AwaitstepApi) -> None:
    made = variable(client, "TOKEN", "s3cret-word", secret=True)
    kept = client.answer("PATCH", f"/api/env-vars/{made['id']}", {"value": made["value"]})
    assert kept["value"] == "•" * 8

    opened = client.answer("PATCH", f"/api/env-vars/{made['id']}", {"isSecret": False})

    assert opened["value"] == "s3cret-word"


def test_variables_go_on_at_their_cursor(client: AwaitstepApi) -> None:
    for name in ("A", "B", "C"):
        variable(client, name, "1")

    first = client.answer("GET", "/api/env-vars", params={"limit": 2})
    rest = client.answer("GET", "/api/env-vars", params={"limit": 2, "cursor": first["nextCursor"]})

    assert [row["name"] for row in (*first["data"], *rest["data"])] == ["C", "B", "A"]
    assert rest["nextCursor"] is None


def test_the_variables_of_a_workflow_are_read_back_as_text(client: AwaitstepApi) -> None:
    workflow = client.create()
    given = [{"name": "A", "value": "1", "isSecret": False}]

    changed = client.answer("PATCH", f"/api/workflows/{workflow}", {"envVars": given})

    assert decode(changed["envVars"].encode()) == given
