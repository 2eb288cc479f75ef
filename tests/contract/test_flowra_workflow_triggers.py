"""The triggers of a workflow: its schedules, and the instances that it names. Source: Flowra contract 7.1, 12."""

import time

import pytest

from flowra_client import TRIGGERS, FlowraApi, flowra
from flowra_flows import BASE, code, create, detail, graph, update
from live import PATIENCE_S, Api
from stepwell.values import Json

HOUR_MS = 3_600_000


@pytest.fixture
def client(api: Api) -> FlowraApi:
    return flowra(api)


def test_schedules_of_a_workflow_are_rows_that_are_due(client: FlowraApi) -> None:
    crons = [
        {"kind": "cron", "expression": "0 9 * * *", "timezone": "Europe/Berlin"},
        {"kind": "cron", "expression": "*/5 * * * *"},
    ]
    made = create(client, triggers=[{"kind": "manual"}, *crons])

    rows = client.answer("GET", f"{TRIGGERS}/active?workflowIds={made['id']}")["data"]

    assert made["triggers"] == [{"kind": "manual"}, *crons]
    assert sorted(row["triggerConfig"]["cron"] for row in rows) == ["*/5 * * * *", "0 9 * * *"]
    assert {row["type"] for row in rows} == {"schedule"}
    assert all(row["nextRunAt"] for row in rows)


def test_triggers_are_replaced_as_a_whole(client: FlowraApi) -> None:
    cron = {"kind": "cron", "expression": "0 9 * * *"}
    made = create(client, triggers=[cron, {**cron, "expression": "0 8 * * *"}])
    first = set(client.listed())

    fewer = update(client, made["id"], triggers=[{**cron, "expression": "0 7 * * *"}])
    (left,) = client.listed()
    none = update(client, made["id"], triggers=[])

    assert len(first) == 2
    assert left in first
    assert [each["expression"] for each in fewer["triggers"]] == ["0 7 * * *"]
    assert (none["triggers"], client.listed()) == ([], [])


def test_a_schedule_stands_beside_one_that_somebody_attached(client: FlowraApi) -> None:
    made = create(client, triggers=[{"kind": "cron", "expression": "0 9 * * *"}])
    attached = client.upsert(workflowId=made["id"])

    update(client, made["id"], triggers=[])

    assert client.listed() == [attached["id"]]


def test_a_removed_trigger_is_named_no_more(client: FlowraApi) -> None:
    row = client.upsert("webhook", triggerConfig={})
    named = {"kind": "trigger_tool", "toolSlug": "webhook", "triggerId": row["id"]}
    made = create(client, triggers=[named, {"kind": "cron", "expression": "0 9 * * *"}])

    client.answer("DELETE", f"{TRIGGERS}/manage/{row['id']}")
    left = detail(client, made["id"])["triggers"]

    assert made["triggers"][0] == named
    assert [each["kind"] for each in left] == ["cron"]


def test_an_inactive_workflow_has_nothing_due(client: FlowraApi) -> None:
    made = create(client, triggers=[{"kind": "cron", "expression": "0 9 * * *"}])

    client.answer("PATCH", f"{BASE}/activeStatus/{made['id']}", {"activeStatus": False})
    (off,) = client.answer("GET", f"{TRIGGERS}/active")["data"]
    client.answer("PATCH", f"{BASE}/activeStatus/{made['id']}", {"activeStatus": True})
    (on,) = client.answer("GET", f"{TRIGGERS}/active")["data"]

    assert (off["nextRunAt"], bool(on["nextRunAt"])) == (None, True)


def fire_now(client: FlowraApi, trigger: str) -> None:
    """Let the last nine o'clock of a schedule still be due."""
    server, now = client.native.server, round(time.time() * 1000)
    nine = (now - 9 * HOUR_MS) // (24 * HOUR_MS) * 24 * HOUR_MS + 9 * HOUR_MS
    core = server.parts.core
    assert server.call(core.store.triggers.arm(client.workspace, trigger, nine, now))
    server.loop.call_soon_threadsafe(core.triggers.noted, now)


def executions(client: FlowraApi, count: int) -> list[Json]:
    """The executions of the workspace, once there are so many that have ended."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = client.answer("GET", f"{BASE}/executions?status=completed")["data"]
        if len(found) >= count:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.01)


def test_a_schedule_starts_the_workflow_for_its_user_and_tells_of_itself(client: FlowraApi) -> None:
    ada = client.user("ada")
    seen = graph(code("a", inputMapping={"trigger": "{{trigger}}", "user": "{{user.username}}"}))
    made = create(ada, graph=seen, triggers=[{"kind": "cron", "expression": "0 9 * * *"}])
    (row,) = client.listed()

    fire_now(client, row)
    (execution,) = executions(client, 1)

    output = execution["outputData"]
    assert (execution["workflowId"], output["user"]) == (made["id"], "ada")
    assert (output["trigger"]["id"], output["trigger"]["type"]) == (row, "schedule")
    assert set(output["trigger"]) == {"id", "slug", "type", "firedAt", "scheduledFor"}


def test_an_inactive_workflow_is_started_by_hand_only(client: FlowraApi) -> None:
    made = create(client, triggers=[{"kind": "cron", "expression": "0 9 * * *"}])
    client.answer("PATCH", f"{BASE}/activeStatus/{made['id']}", {"activeStatus": False})

    client.answer("POST", f"{BASE}/execute/{made['id']}", {}, 201)

    assert client.answer("GET", f"{TRIGGERS}/active")["data"][0]["nextRunAt"] is None
    assert len(executions(client, 1)) == 1
    assert client.answer("GET", f"{BASE}/executions")["total"] == 1


def test_a_trigger_without_workflow_starts_those_that_name_it(client: FlowraApi) -> None:
    row = client.upsert(triggerConfig={"cron": "0 9 * * *", "input": {"n": 7}})
    named = {"kind": "trigger_tool", "toolSlug": "schedule"}
    by_id = create(client, graph=graph(code("a", "return input.n")), triggers=[{**named, "triggerId": row["id"]}])
    by_slug = create(client, graph=graph(code("a", "return input.n")), triggers=[named])
    create(client)

    fire_now(client, row["id"])
    found = executions(client, 2)

    assert {each["workflowId"] for each in found} == {by_id["id"], by_slug["id"]}
    assert [each["outputData"] for each in found] == [7, 7]


def test_a_workflow_that_names_a_trigger_no_more_is_not_started_by_it(client: FlowraApi) -> None:
    row = client.upsert()
    named = [{"kind": "trigger_tool", "toolSlug": "schedule", "triggerId": row["id"]}]
    one, other = create(client, triggers=named), create(client, triggers=named)
    update(client, one["id"], triggers=[])

    fire_now(client, row["id"])

    assert [each["workflowId"] for each in executions(client, 1)] == [other["id"]]
    assert client.answer("GET", f"{BASE}/executions")["total"] == 1
