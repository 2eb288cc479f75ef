"""Who may call what in the AITasker dialect, and in which order it is told: keys, rates, ids, scopes, pairs of ids.
Source: AITasker contract 2, 3."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from aitasker_client import SCOPES as ALL
from aitasker_client import AitaskerApi, aitasker, detail, places, shape_node, task_node
from live import Api, NewApi, live
from stepwell.auth import SCOPES
from stepwell.settings import RateLimit, Server, Settings
from stepwell.values import Json

ID = "00000000-0000-4000-8000-000000000000"
CALLS = (
    ("POST", "/workspaces/{ws}/workflows/{id}/trigger", "workflows:execute"),
    ("GET", "/workspaces/{ws}/workflows/{id}/runs", "runs:read"),
    ("GET", "/workflows/{id}/runs", "runs:read"),
    ("GET", "/workspaces/{ws}/workflows/{id}/runs/{run}", "runs:read"),
    ("GET", "/workflows/{id}/runs/{run}", "runs:read"),
    ("GET", "/workspaces/{ws}/workflows/{id}/runs/{run}/costs", "runs:read"),
    ("POST", "/workspaces/{ws}/workflows/{id}/runs/{run}/cancel", "workflows:execute"),
    ("POST", "/workflows/{id}/runs/{run}/cancel", "workflows:execute"),
    ("GET", "/workspaces/{ws}/workflows", "workflows:read"),
    ("POST", "/workspaces/{ws}/workflows", "workflows:write"),
    ("GET", "/workspaces/{ws}/workflows/{id}", "workflows:read"),
    ("PUT", "/workspaces/{ws}/workflows/{id}", "workflows:write"),
    ("DELETE", "/workspaces/{ws}/workflows/{id}", "workflows:write"),
    ("GET", "/workflows/{id}/nodes", "workflows:read"),
    ("POST", "/workflows/{id}/nodes", "workflows:write"),
    ("GET", "/workflows/{id}/nodes/{node}", "workflows:read"),
    ("PUT", "/workflows/{id}/nodes/{node}", "workflows:write"),
    ("DELETE", "/workflows/{id}/nodes/{node}", "workflows:write"),
    ("GET", "/workspaces/{ws}/tasks", "runs:read"),
    ("GET", "/workspaces/{ws}/tasks/{task}", "runs:read"),
    ("POST", "/workspaces/{ws}/tasks/claim", "tasks:work"),
    ("POST", "/workspaces/{ws}/tasks/{task}/heartbeat", "tasks:work"),
    ("POST", "/workspaces/{ws}/tasks/{task}/complete", "tasks:work"),
    ("POST", "/workspaces/{ws}/tasks/{task}/fail", "tasks:work"),
    ("POST", "/workspaces/{ws}/tasks/{task}/accept", "tasks:accept"),
    ("POST", "/workspaces/{ws}/tasks/{task}/reject", "tasks:accept"),
    ("POST", "/workspaces", "admin"),
    ("POST", "/workspaces/agents/{agent}/pause", "admin"),
    ("POST", "/workspaces/agents/{agent}/resume", "admin"),
)
BODIES: dict[str, Json] = {
    "heartbeat": {"claim_token": "ct_x"},
    "complete": {"claim_token": "ct_x", "output_data": {}},
    "fail": {"claim_token": "ct_x", "error_message": "x"},
    "claim": {"worker_id": "w"},
    "workflows": {"title": "x"},
    "nodes": {**shape_node()},
}


@pytest.fixture
def client(api: Api) -> AitaskerApi:
    return aitasker(api)


def path_of(written: str, workspace: str, id: str = ID) -> str:
    """A path with a workspace and the same id in every other place."""
    return written.format(ws=workspace, id=id, run=id, node=id, task=id, agent=id)


def body_of(method: str, path: str) -> Json:
    """A body that fits."""
    return None if method in ("GET", "DELETE") else BODIES.get(path.rsplit("/", 1)[1], {})


# -- keys


def test_a_revoked_key_is_an_invalid_token(client: AitaskerApi) -> None:
    [made] = [key for key in client.native.data("GET", "/admin/keys") if key["name"] == "aitasker"]
    client.native.data("DELETE", f"/admin/keys/{made['id']}")

    assert detail(client("GET", client.ws()), 401) == "Invalid token"


# -- scopes


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
def test_each_call_needs_its_scope_and_says_so_before_anything_is_looked_for(
    client: AitaskerApi, method: str, path: str, scope: str
) -> None:
    narrow = client.scoped(*(each for each in ALL if each != scope))

    refused = narrow(method, path_of(path, str(uuid4())), body_of(method, path))

    assert detail(refused, 403) == f"Missing scope: {scope}"


def test_every_key_reads_its_workspace(client: AitaskerApi) -> None:
    worker = client.scoped("tasks:work")

    assert worker.answer("GET", worker.ws())["id"] == client.workspace
    assert [each["id"] for each in worker.answer("GET", "/workspaces")] == [client.workspace]


# -- ids and pairs


@pytest.mark.parametrize(("method", "path", "scope"), [call for call in CALLS if "{" in call[1]])
@pytest.mark.parametrize("bad", ["abc", "3c90c3cc-0d44-4b50-8888-8dd25736052", "3c90c3cc0d444b5088888dd25736052ag"])
def test_malformed_ids_of_every_path_are_all_told(
    client: AitaskerApi, method: str, path: str, scope: str, bad: str
) -> None:
    names = {"ws": "workspace_id", "id": "workflow_id", "run": "run_id", "node": "node_id", "task": "task_id"}
    found = [part[1:-1] for part in path.split("/") if part.startswith("{")]

    refused = client(method, path_of(path, bad, bad), body_of(method, path))

    assert places(refused) == [["path", names.get(each, "agent_id")] for each in found]


@pytest.mark.parametrize(("method", "path", "scope"), [call for call in CALLS if "{ws}" in call[1]])
def test_another_workspace_in_a_path_is_not_found_whatever_else_it_names(
    client: AitaskerApi, new_api: NewApi, method: str, path: str, scope: str
) -> None:
    foreign = aitasker(new_api())
    own = client.workflow(task_node())["id"]

    refused = client(method, path_of(path, foreign.workspace, own), body_of(method, path))

    assert detail(refused, 404) == "Workspace not found"


@pytest.mark.parametrize("name", ["heartbeat", "complete", "fail"])
def test_a_worker_names_its_own_workspace(client: AitaskerApi, new_api: NewApi, name: str) -> None:
    client.trigger(client.workflow(task_node())["id"])
    task = client.answer("POST", client.ws("/tasks/claim"), {"worker_id": "w", "wait_seconds": 10})
    foreign = new_api().workspace
    body = {**BODIES[name], "claim_token": task["claim_token"]}

    refused = client("POST", f"/workspaces/{foreign}/tasks/{task['id']}/{name}", body)

    assert detail(refused, 404) == "Workspace not found"
    assert client.answer("GET", client.ws(f"/tasks/{task['id']}"))["status"] == "claimed"


@pytest.mark.parametrize(
    ("method", "path", "noun"),
    [
        ("GET", "/runs/{id}", "Run"),
        ("GET", "/runs/{id}/costs", "Run"),
        ("POST", "/runs/{id}/cancel", "Run"),
        ("GET", "", "Workflow"),
        ("POST", "/trigger", "Workflow"),
    ],
)
def test_what_is_of_another_workflow_or_workspace_is_not_found(
    client: AitaskerApi, new_api: NewApi, method: str, path: str, noun: str
) -> None:
    other = aitasker(new_api())
    foreign = other.workflow(shape_node())["id"]
    run = client.trigger(client.workflow(shape_node())["id"])["id"]
    workflow = foreign if noun == "Workflow" else client.workflow(shape_node())["id"]

    refused = client(method, client.ws(f"/workflows/{workflow}{path.format(id=run)}"), body_of(method, path or "/"))

    assert detail(refused, 404) == f"{noun} not found"


def test_a_node_of_another_workflow_is_not_found_and_not_to_depend_on(client: AitaskerApi) -> None:
    node = client.workflow(shape_node())["nodes"][0]["id"]
    path = f"/workflows/{client.workflow()['id']}/nodes"

    assert detail(client("GET", f"{path}/{node}"), 404) == "Node not found"
    assert places(client("POST", path, shape_node(depends_on=[node]))) == [["body", "depends_on"]]


@pytest.mark.parametrize("name", ["heartbeat", "complete", "fail", "accept", "reject"])
def test_an_unknown_task_is_not_found(client: AitaskerApi, name: str) -> None:
    refused = client("POST", client.ws(f"/tasks/{ID}/{name}"), BODIES.get(name, {}))

    assert detail(refused, 404) == "Task not found"


# -- rates


@pytest.fixture
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AitaskerApi]:
    """A client of a server that takes one read, two writes and one start a minute."""
    settings = Settings(
        server=Server(data=tmp_path_factory.mktemp("rates")),
        rate_limit=RateLimit(read=1, write=2, execute=1, webhooks=0),
    )
    with live(settings) as server:
        core, workspace = server.parts.core, server.parts.first_workspace
        yield aitasker(Api(server, workspace, server.call(core.keys.create(workspace, "admin", sorted(SCOPES))).text))


def test_every_answer_tells_of_the_rate_and_one_too_many_is_429_before_the_path_is_judged(
    hurried: AitaskerApi,
) -> None:
    first = hurried("GET", hurried.ws())
    refused = hurried("GET", "/workspaces/abc")

    assert (first.headers["X-RateLimit-Limit"], first.headers["X-RateLimit-Remaining"]) == ("1", "0")
    assert detail(refused, 429) == "Rate limit exceeded"
    assert int(refused.headers["Retry-After"]) >= 1
    assert (refused.headers["X-RateLimit-Limit"], refused.headers["X-RateLimit-Remaining"]) == ("1", "0")


def test_a_key_is_asked_for_before_its_rate(hurried: AitaskerApi) -> None:
    hurried("GET", hurried.ws())

    assert detail(hurried("GET", hurried.ws(), headers={"Authorization": "Bearer aitk_no"}), 401) == "Invalid token"
