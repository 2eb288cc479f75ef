"""Webhooks of trigger instances, the log of what triggers were called on for, replay. Source: Flowra contract 5, 6."""

import time
from collections.abc import Callable

import pytest
import requests

from flowra_client import TRIGGERS, FlowraApi, bare, fire, flowra, refused
from live import Api, NewApi, transform
from stepwell.triggers import SCHEMES, Inbound
from stepwell.values import Json, decode, encode

LOGS = f"{TRIGGERS}/invocation-logs"
LOG = {
    *("id", "triggerId", "toolSlug", "source", "status", "payload", "error", "workflowId", "executionId", "threadId"),
    *("eUID", "durationMs", "replayOf", "createdAt"),
}
UNKNOWN = "01890000-0000-7000-8000-000000000000"
SECRET = "0123456789abcdef"


@pytest.fixture
def client(api: Api) -> FlowraApi:
    return flowra(api)


@pytest.fixture
def workflow(api: Api) -> str:
    return bare(api.workflow(transform()))


def send(client: FlowraApi, row: Json, body: Json, **headers: str) -> requests.Response:
    """A delivery to the address of a trigger."""
    path = row["webhookUrl"][row["webhookUrl"].index("/webhooks/") :]
    headers = {"Content-Type": "application/json", **headers}
    return requests.post(client.native.server.url + path, data=encode(body), headers=headers, timeout=10)


def signed(scheme: str, secret: str, body: Json, **headers: str) -> dict[str, str]:
    """The headers by which a sender proves itself."""
    inbound = Inbound(method="POST", url="", headers=headers, query={}, body=encode(body))
    return {**headers, **SCHEMES[scheme].sign(inbound, secret, int(time.time() * 1000))}


def logs(client: FlowraApi, query: str = "") -> list[Json]:
    found: list[Json] = client.answer("GET", f"{LOGS}?{query}")["data"]
    return found


def test_a_delivery_starts_a_run_with_the_inputs_of_the_contract(client: FlowraApi, api: Api, workflow: str) -> None:
    config = {"input": {"plan": "pro", "payload": "replaced"}}
    row = client.user("ada").upsert("webhook", workflowId=workflow, triggerConfig=config)

    answer = send(client, row, {"amount": 5})

    assert (answer.status_code, answer.json()["workflowsTriggered"]) == (200, 1)
    (log,) = logs(client)
    run = api.final(f"run_{log['executionId']}")
    told = run["input"]["trigger"]
    assert (told["id"], told["slug"], told["type"]) == (row["id"], "webhook", "webhook")
    assert set(told) == {"id", "slug", "type", "firedAt"}
    assert run["input"] == {"plan": "pro", "trigger": told, "payload": {"amount": 5}}
    assert run["triggerType"] == "webhook"


def test_a_log_row_has_exactly_the_listed_fields(client: FlowraApi, workflow: str) -> None:
    row = client.user("ada").upsert("webhook", workflowId=workflow)
    send(client, row, {"n": 1})

    (log,) = logs(client)

    assert set(log) == LOG
    assert (log["triggerId"], log["toolSlug"], log["source"]) == (row["id"], "webhook", "local_webhook")
    assert (log["status"], log["error"], log["payload"]) == ("success", None, {"n": 1})
    assert (log["workflowId"], log["threadId"], log["eUID"]) == (workflow, log["executionId"], row["eUID"])
    assert log["replayOf"] is None


def test_a_right_signature_starts_a_run_and_a_wrong_one_is_logged(client: FlowraApi, workflow: str) -> None:
    row = client.upsert("webhook", workflowId=workflow, triggerConfig={"secret": SECRET})
    body = {"n": 1}

    right = send(client, row, body, **signed("hmac-sha256", SECRET, body))
    wrong = send(client, row, body, **signed("hmac-sha256", "another secret!!", body))
    none = send(client, row, body)

    assert [each.status_code for each in (right, wrong, none)] == [200, 401, 401]
    assert [log["status"] for log in logs(client)] == ["error", "error", "success"]
    bad = logs(client, "status=error")[0]
    assert (set(bad), bad["executionId"], bad["payload"]) == (LOG, None, None)
    assert bad["error"]
    assert client.answer("GET", f"{TRIGGERS}/active")["data"][0]["status"] == "ACTIVE"


def test_bad_signatures_never_switch_a_trigger_off(client: FlowraApi, workflow: str) -> None:
    row = client.upsert("webhook", workflowId=workflow, triggerConfig={"secret": SECRET})

    for _ in range(12):
        send(client, row, {})

    assert client.listed() == [row["id"]]
    assert len(logs(client, "status=error&limit=100")) == 12


def test_events_and_filters_that_are_not_meant_are_skipped(client: FlowraApi, workflow: str) -> None:
    config = {"events": ["invoice.*"], "filters": {"amount": {"$gt": 10}, "paid": True}}
    row = client.upsert("webhook", workflowId=workflow, triggerConfig=config)

    triggered = [
        send(client, row, body).json()["workflowsTriggered"]
        for body in (
            {"type": "invoice.paid", "amount": 11, "paid": True},
            {"type": "invoice.paid", "amount": 9, "paid": True},
            {"type": "invoice.paid", "amount": 11, "paid": False},
            {"type": "order.paid", "amount": 11, "paid": True},
        )
    ]

    assert triggered == [1, 0, 0, 0]
    assert [log["status"] for log in logs(client)] == ["skipped", "skipped", "skipped", "success"]
    assert all(log["error"] for log in logs(client, "status=skipped"))


def test_the_same_event_id_starts_one_run(client: FlowraApi, workflow: str) -> None:
    row = client.upsert("webhook", workflowId=workflow, triggerConfig={"verification": "standard_webhooks"})
    secret, body = row["triggerConfig"]["secret"], {"n": 1}
    headers = signed("standard-webhooks", secret, body, **{"webhook-id": "msg_1"})

    first, second = send(client, row, body, **headers), send(client, row, body, **headers)

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["eventId"] == second.json()["eventId"]
    assert (first.json()["workflowsTriggered"], second.json()["workflowsTriggered"]) == (1, 0)
    assert [log["status"] for log in logs(client)] == ["success"]


def test_a_disabled_trigger_or_a_paused_workflow_starts_nothing(client: FlowraApi, api: Api, workflow: str) -> None:
    row = client.upsert("webhook", workflowId=workflow, triggerConfig={"secret": SECRET})
    headers = signed("hmac-sha256", SECRET, {})

    api.data("POST", f"/workflows/{workflow}/pause")
    paused = send(client, row, {}, **headers).json()["workflowsTriggered"]
    api.data("POST", f"/workflows/{workflow}/resume")
    client.answer("PATCH", f"{TRIGGERS}/manage/{row['id']}/status")
    disabled = send(client, row, {}, **headers).json()["workflowsTriggered"]
    client.answer("PATCH", f"{TRIGGERS}/manage/{row['id']}/status")
    on = send(client, row, {}, **headers).json()["workflowsTriggered"]

    assert (paused, disabled, on) == (0, 0, 1)
    assert [log["status"] for log in logs(client)] == ["success", "skipped", "skipped"]


def test_the_address_dies_with_the_trigger(client: FlowraApi, workflow: str) -> None:
    rows = [
        client.upsert("webhook", workflowId=workflow),
        client.user("ada").upsert("webhook", workflowId=workflow, triggerConfig={"secret": SECRET}),
    ]

    for row in rows:
        client.answer("DELETE", f"{TRIGGERS}/manage/{row['id']}")

    assert [send(client, row, {}).status_code for row in rows] == [404, 404]


@pytest.fixture
def fired(client: FlowraApi, workflow: str) -> Callable[[], tuple[Json, Json]]:
    """A delivery that started a run: the trigger's row, and that of the log."""

    def deliver() -> tuple[Json, Json]:
        row = client.upsert("webhook", workflowId=workflow)
        send(client, row, {"n": 1})
        return row, logs(client)[0]

    return deliver


def test_a_replay_starts_a_second_run(client: FlowraApi, api: Api, fired: Callable[[], tuple[Json, Json]]) -> None:
    _, log = fired()

    again = client.answer("POST", f"{LOGS}/{log['id']}/replay-webhook", status=201)

    assert set(again["data"]) == {"logId", "executionId", "threadId"}
    newest = logs(client)[0]
    assert (newest["id"], newest["replayOf"], newest["status"]) == (again["data"]["logId"], log["id"], "success")
    assert newest["executionId"] == again["data"]["executionId"] != log["executionId"]
    assert api.final(f"run_{newest['executionId']}")["input"]["payload"] == {"n": 1} == newest["payload"]


def test_a_replay_is_refused_while_the_trigger_is_off_or_gone(
    client: FlowraApi, fired: Callable[[], tuple[Json, Json]]
) -> None:
    row, log = fired()
    path = f"{LOGS}/{log['id']}/replay-webhook"

    client.answer("PATCH", f"{TRIGGERS}/manage/{row['id']}/status")
    refused(client("POST", path), 409, "The trigger is disabled")
    client.answer("DELETE", f"{TRIGGERS}/manage/{row['id']}")

    refused(client("POST", path), 409, "The trigger was deleted")
    assert [each["id"] for each in logs(client)] == [log["id"]]


def test_a_replay_of_what_is_not_there_is_not_found(
    client: FlowraApi, new_api: NewApi, fired: Callable[[], tuple[Json, Json]]
) -> None:
    _, log = fired()

    strangers = (client.user("bob"), flowra(new_api()))
    for who, id in ((client, UNKNOWN), (client, "x"), *((stranger, log["id"]) for stranger in strangers)):
        refused(who("POST", f"{LOGS}/{id}/replay-webhook"), 404, "Invocation log not found")


def test_a_rejected_delivery_cannot_be_replayed(client: FlowraApi, workflow: str) -> None:
    send(client, client.upsert("webhook", workflowId=workflow, triggerConfig={"secret": SECRET}), {})

    (log,) = logs(client)

    refused(client("POST", f"{LOGS}/{log['id']}/replay-webhook"), 409)


def test_the_log_is_filtered_and_paged(client: FlowraApi, workflow: str) -> None:
    ada = client.user("ada").upsert("webhook", workflowId=workflow)
    bob = client.user("bob").upsert("webhook", workflowId=workflow)
    for row in (ada, bob, ada):
        send(client, row, {})
    ids = [log["id"] for log in logs(client)]

    def listed(query: str, who: FlowraApi = client) -> list[str]:
        return [log["id"] for log in logs(who, query)]

    assert listed(f"triggerId={bob['id']}") == [ids[1]]
    assert listed("source=local_webhook&toolSlug=WEBHOOK&status=success") == ids
    assert listed("source=connected_webhook") == listed("source=poll_scheduler") == listed("status=error") == []
    assert listed("toolSlug=schedule") == listed("triggerId=x") == []
    assert listed("", client.user("ada")) == [ids[0], ids[2]]
    assert listed("sortOrder=ASC&limit=2") == ids[:0:-1]
    assert listed("sortOrder=ASC&limit=2&page=2") == ids[:1]
    page = client.answer("GET", f"{LOGS}?limit=2")
    assert (page["total"], page["totalPages"], page["hasNextPage"]) == (3, 2, True)
    assert listed(f"limit=2&cursor={page['nextCursor']}") == ids[2:]
    assert logs(client, "fields=status,source")[0] == {"id": ids[0], "source": "local_webhook", "status": "success"}


@pytest.mark.parametrize(
    ("query", "field"),
    [("source=email", "source"), ("status=started", "status"), ("sortBy=updatedAt", "sortBy"), ("limit=101", "limit")],
)
def test_bad_values_of_the_log_are_refused(client: FlowraApi, query: str, field: str) -> None:
    assert refused(client("GET", f"{LOGS}?{query}"), 400) == [field]


def test_errors_of_inputs_are_logged_and_ten_in_a_row_switch_a_trigger_off(client: FlowraApi, api: Api) -> None:
    schema = {"type": "object", "required": ["never"], "properties": {"never": {"type": "string"}}}
    workflow = bare(api.workflow({**transform(), "inputSchema": schema}))
    row = client.upsert("webhook", workflowId=workflow)

    for _ in range(10):
        send(client, row, {})

    assert client.listed() == []
    (shown,) = client.answer("GET", f"{TRIGGERS}/active?showDisabled=1")["data"]
    assert (shown["status"], shown["statusReason"], shown["isDisabled"]) == ("ERROR", "too_many_failures", True)
    assert (shown["invocationCount"], shown["invocationErrors"]) == (10, 10)
    assert {log["status"] for log in logs(client)} == {"error"}
    on = client.answer("PATCH", f"{TRIGGERS}/manage/{row['id']}/status", {"status": "enable"})["data"]
    assert (on["status"], on["statusReason"]) == ("ACTIVE", None)


def test_a_schedule_is_logged_and_cannot_be_replayed(client: FlowraApi, api: Api, workflow: str) -> None:
    row = client.upsert(workflowId=workflow, triggerConfig={"interval": "1m", "input": {"k": 1}})

    log = fire(client, row["id"])

    assert (log["source"], log["toolSlug"]) == ("poll_scheduler", "schedule")
    assert (log["status"], log["payload"]) == ("success", {})
    run = api.final(f"run_{log['executionId']}")
    assert run["input"]["payload"] == {} and run["input"]["k"] == 1
    assert set(run["input"]["trigger"]) == {"id", "slug", "type", "firedAt", "scheduledFor"}
    assert run["triggerType"] == "schedule"
    assert refused(client("POST", f"{LOGS}/{log['id']}/replay-webhook"), 400) == ["logId"]


def test_a_row_without_workflow_starts_every_workflow_that_names_it(client: FlowraApi, api: Api) -> None:
    row = client.upsert("webhook")
    workflows = [bare(api.workflow(transform())) for _ in range(3)]
    store = api.server.parts.core.store.triggers
    api.server.call(store.link(client.workspace, workflows[0], (row["id"],)))
    api.server.call(store.link(client.workspace, workflows[1], ("webhook",)))

    answer = send(client, row, {})

    assert answer.json()["workflowsTriggered"] == 2
    assert {log["workflowId"] for log in logs(client)} == set(workflows[:2])
    assert decode(answer.content)["received"] is True
