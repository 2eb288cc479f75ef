"""Tasks of the AITasker dialect: claimed, delivered, given up, accepted and rejected over HTTP. Source: AITasker
contract 4.3, 8, 12."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from aitasker_client import AitaskerApi, aitasker, detail, places, shape_node, task_node
from live import Api
from stepwell.values import Json, decode

TASK = (
    "id",
    "workspace_id",
    "hired_agent_id",
    "skill_slug",
    "title",
    "description",
    "schedule_type",
    "trigger",
    "status",
    "priority",
    "output_data",
    "proposed_actions",
    "approval_level",
    "approved_by",
    "approved_at",
    "cost_usd",
    "started_at",
    "completed_at",
    "created_at",
)
OF_CLAIM = ("claim_token", "lease_expires_at", "input_data", "task_template")


@pytest.fixture
def client(api: Api) -> AitaskerApi:
    return aitasker(api)


def copy_node(position: int = 0, **fields: Json) -> Json:
    """A task whose title and input come from the payload."""
    template = {"title": "Write copy for {{topic}}", "task_type": "copy"}
    mapping = {"topic": "trigger.topic"}
    return task_node(position, **{"task_template": template, "input_mapping": mapping, **fields})


def claim(client: AitaskerApi, **body: Json) -> Any:
    """The task that a worker gets."""
    return client.answer("POST", client.ws("/tasks/claim"), {"worker_id": "w1", "wait_seconds": 10, **body})


def command(client: AitaskerApi, task: Json, name: str, **body: Json) -> Any:
    """What a worker's command on its task answers."""
    return client("POST", client.ws(f"/tasks/{task['id']}/{name}"), {"claim_token": task["claim_token"], **body})


def complete(client: AitaskerApi, task: Json, **body: Json) -> Any:
    """A delivered task."""
    response = command(client, task, "complete", **{"output_data": {"text": "Save 20%"}, **body})
    assert response.status_code == 200, response.text
    return decode(response.content)


def started(client: AitaskerApi, *nodes: Json, **fields: Json) -> tuple[str, str]:
    """A workflow of nodes and a run of it."""
    workflow = client.workflow(*nodes, **fields)["id"]
    return workflow, client.trigger(workflow, {"topic": "spring sale"})["id"]


def test_a_worker_claims_and_delivers_and_a_person_accepts(client: AitaskerApi) -> None:
    workflow, run = started(client, copy_node(), shape_node(1, {"text": "{{nodes.0.output.text}}"}))

    task = claim(client)
    delivered = complete(client, task, cost_cents=120)
    waiting = client.run(workflow, run)
    accepted = client.answer("POST", client.ws(f"/tasks/{task['id']}/accept"))
    done = client.final(workflow, run)

    assert tuple(task) == (*TASK, *OF_CLAIM)
    assert tuple(delivered) == TASK
    assert (task["status"], task["title"], task["input_data"]) == (
        "claimed",
        "Write copy for spring sale",
        {"topic": "spring sale"},
    )
    assert task["task_template"] == {"title": "Write copy for spring sale", "task_type": "copy"}
    assert task["claim_token"].startswith("ct_")
    assert task["trigger"] == {
        "run_id": run,
        "workflow_id": workflow,
        "node_id": waiting["node_runs"][0]["workflow_node_id"],
    }
    assert (delivered["status"], waiting["status"]) == ("review", "waiting")
    assert [node["status"] for node in waiting["node_runs"]] == ["review", "pending"]
    assert (accepted["status"], accepted["cost_usd"]) == ("accepted", Decimal("1.2"))
    assert accepted["approved_by"] and accepted["approved_at"]
    assert (done["status"], done["total_cost_cents"]) == ("completed", 120)
    assert [node["task_id"] for node in done["node_runs"]] == [task["id"], None]
    assert [node["output_data"] for node in done["node_runs"]] == [{"text": "Save 20%"}] * 2


def test_twenty_workers_never_share_a_task(client: AitaskerApi) -> None:
    workflow = client.workflow(*(task_node(0, parallel_group=1) for _ in range(10)))["id"]
    run = client.trigger(workflow)["id"]
    client.until(workflow, run, lambda found: all(node["task_id"] for node in found["node_runs"]))

    def ask(number: int) -> Any:
        return client("POST", client.ws("/tasks/claim"), {"worker_id": f"w{number}"})

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(ask, range(20)))

    taken = [decode(answer.content)["id"] for answer in answers if answer.status_code == 200]
    assert (len(taken), len(set(taken))) == (10, 10)
    assert [answer.status_code for answer in answers].count(204) == 10


def test_there_is_nothing_to_claim_and_only_wanted_types_are_given(client: AitaskerApi) -> None:
    workflow, run = started(client, copy_node())
    client.until(workflow, run, lambda found: found["status"] == "waiting")

    other = client("POST", client.ws("/tasks/claim"), {"worker_id": "w", "task_types": ["design"]})
    wanted = client.answer("POST", client.ws("/tasks/claim"), {"worker_id": "w", "task_types": ["design", "copy"]})

    assert (other.status_code, other.content) == (204, b"")
    assert wanted["skill_slug"] == "copy"


def test_a_worker_that_waits_gets_what_opens_meanwhile(client: AitaskerApi) -> None:
    workflow = client.workflow(copy_node())["id"]

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(claim, client, wait_seconds=30)
        run = client.trigger(workflow, {"topic": "x"})["id"]

    assert waiting.result()["trigger"]["run_id"] == run


def test_giving_up_opens_the_task_again_until_the_attempts_are_used_up(client: AitaskerApi) -> None:
    workflow, run = started(client, copy_node(max_retries=1))

    told = []
    for _ in range(2):
        task = claim(client)
        told.append(decode(command(client, task, "fail", error_message="too hard").content)["status"])
    done = client.final(workflow, run)

    assert told == ["open", "failed"]
    assert done["error_message"] == "Node 0 (Write copy for spring sale) failed after 2 attempts: too hard"
    assert done["node_runs"][0]["output_data"]["error"]["attempts"] == 2


def test_what_is_not_to_be_retried_fails_at_once(client: AitaskerApi) -> None:
    workflow, run = started(client, copy_node(max_retries=5))

    task = decode(command(client, claim(client), "fail", error_message="no", retryable=False).content)

    assert (task["status"], client.final(workflow, run)["status"]) == ("failed", "failed")


def test_a_rejected_delivery_is_done_again(client: AitaskerApi) -> None:
    workflow, run = started(client, copy_node(max_retries=1))
    first = claim(client)
    complete(client, first)

    rejected = client.answer("POST", client.ws(f"/tasks/{first['id']}/reject"), {"reason": "too short"})
    second = claim(client)
    complete(client, second, output_data={"text": "longer"})
    client.answer("POST", client.ws(f"/tasks/{second['id']}/accept"))

    assert (rejected["status"], rejected["output_data"]) == ("open", None)
    assert second["id"] == first["id"]
    assert second["claim_token"] != first["claim_token"]
    assert client.final(workflow, run)["node_runs"][0]["output_data"] == {"text": "longer"}


def test_an_old_or_wrong_token_holds_nothing_and_a_repeat_of_the_same_delivery_is_no_error(client: AitaskerApi) -> None:
    started(client, copy_node(max_retries=1))
    first = claim(client)
    command(client, first, "fail", error_message="x")
    second = claim(client)

    old = command(client, first, "complete", output_data={})
    wrong = command(client, {**second, "claim_token": "ct_wrong"}, "heartbeat")
    delivered = [complete(client, second) for _ in range(2)]

    assert (detail(old, 409), detail(wrong, 409)) == ("Claim is not held", "Claim is not held")
    assert delivered[0] == delivered[1]


def test_a_heartbeat_moves_the_end_of_the_lease(client: AitaskerApi) -> None:
    started(client, copy_node())
    task = claim(client, lease_seconds=30)

    held = decode(command(client, task, "heartbeat", lease_seconds=3600).content)

    assert list(held) == ["lease_expires_at"]
    assert held["lease_expires_at"] > task["lease_expires_at"]


@pytest.mark.parametrize(
    ("preferences", "delivery", "status"),
    [
        (None, {}, "accepted"),
        ({"min_score": 80}, {"score": 80}, "accepted"),
        ({"min_score": 80}, {"score": 79}, "review"),
        ({"min_score": 80}, {}, "review"),
        ({"max_cost_cents": 10}, {"cost_cents": 10}, "accepted"),
        ({"max_cost_cents": 10}, {"cost_cents": 11}, "review"),
    ],
)
def test_a_delivery_is_accepted_by_itself_if_the_preferences_hold(
    client: AitaskerApi, preferences: Json, delivery: Json, status: str
) -> None:
    workflow, run = started(client, copy_node(), auto_accept=True, auto_accept_preferences=preferences)

    task = complete(client, claim(client), **delivery)

    assert (task["status"], task["approval_level"], task["approved_by"]) == (status, "auto", None)
    if status == "accepted":
        assert client.final(workflow, run)["status"] == "completed"


def test_a_worker_may_not_accept_what_it_delivers(client: AitaskerApi) -> None:
    started(client, copy_node())
    worker = client.scoped("tasks:work")
    task = claim(worker)
    complete(worker, task)

    refused = worker("POST", worker.ws(f"/tasks/{task['id']}/accept"))

    assert detail(refused, 403) == "Missing scope: tasks:accept"


def test_only_a_delivery_can_be_decided_and_once(client: AitaskerApi) -> None:
    started(client, copy_node())
    task = claim(client)
    path = client.ws(f"/tasks/{task['id']}")
    early = client("POST", f"{path}/accept")
    complete(client, task)
    client.answer("POST", f"{path}/accept")

    late = client("POST", f"{path}/reject", {})

    assert (detail(early, 409), detail(late, 409)) == ("Task is claimed", "Task is accepted")


def test_tasks_are_listed_by_status(client: AitaskerApi) -> None:
    workflow, run = started(client, copy_node(0, parallel_group=1), copy_node(0, parallel_group=1))
    client.until(workflow, run, lambda found: all(node["task_id"] for node in found["node_runs"]))
    task = claim(client)

    response = client("GET", client.ws("/tasks?status=claimed"))

    assert [each["id"] for each in decode(response.content)] == [task["id"]]
    assert response.headers["X-Total-Count"] == "1"
    assert len(client.answer("GET", client.ws("/tasks?limit=1"))) == 1
    assert client.answer("GET", client.ws(f"/tasks/{task['id']}")) == {name: task[name] for name in TASK}
    assert places(client("GET", client.ws("/tasks?status=done"))) == [["query", "status"]]


def test_every_fault_of_a_claim_is_told(client: AitaskerApi) -> None:
    refused = client("POST", client.ws("/tasks/claim"), {"lease_seconds": 29, "wait_seconds": 31})

    assert sorted(places(refused)) == [["body", "lease_seconds"], ["body", "wait_seconds"], ["body", "worker_id"]]


def test_tasks_of_another_workspace_are_not_found(client: AitaskerApi) -> None:
    started(client, copy_node())
    task = claim(client)

    assert detail(client("GET", client.ws(f"/tasks/{client.workspace}")), 404) == "Task not found"
    assert detail(client("GET", f"/workspaces/{task['id']}/tasks/{task['id']}"), 404) == "Workspace not found"


def test_after_a_failure_open_tasks_are_given_up_and_claimed_ones_finish(client: AitaskerApi) -> None:
    def beside(**fields: Json) -> Json:
        return copy_node(0, parallel_group=1, max_retries=0, **fields)

    workflow, run = started(client, beside(), beside(), beside(), auto_accept=True)
    client.until(workflow, run, lambda found: all(node["task_id"] for node in found["node_runs"]))
    failing, working = claim(client), claim(client)

    command(client, failing, "fail", error_message="no")
    shown = client.until(workflow, run, lambda found: "skipped" in [node["status"] for node in found["node_runs"]])
    complete(client, working)
    done = client.final(workflow, run)

    assert sorted(node["status"] for node in shown["node_runs"]) == ["failed", "running", "skipped"]
    assert sorted(node["status"] for node in done["node_runs"]) == ["completed", "failed", "skipped"]
    assert done["status"] == "failed"
    assert sorted(task["status"] for task in client.answer("GET", client.ws("/tasks"))) == [
        "accepted",
        "cancelled",
        "failed",
    ]


def test_a_variable_that_is_not_there_fails_the_node_by_name(client: AitaskerApi) -> None:
    workflow, run = started(client, copy_node(task_template={"title": "For {{trigger.budget}}"}))

    done = client.final(workflow, run)

    assert "Missing variable" in done["error_message"] and "task_template.title" in done["error_message"]
