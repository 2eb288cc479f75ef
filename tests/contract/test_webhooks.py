"""LoopFour contract 11.1 to 11.4, over a socket: where requests arrive, what is stored, run and answered."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from contract.hooks import (
    SECRET,
    connected,
    delivery,
    listening,
    only_run,
    path_of,
    runs_of,
    send,
    send_signed,
    signed_hook,
    taken,
)
from live import Api, NewApi, refused
from stepwell.values import Json, decode

PAID = {"id": "evt_1", "type": "invoice.paid", "amount": 120, "total": "19.90"}


# -- 11.1


def test_the_server_adds_id_and_url_of_a_trigger(api: Api) -> None:
    workflow = api.workflow(listening({"provider": "stripe"}))
    public = api.server.parts.core.public_url

    trigger = api.data("GET", f"/workflows/{workflow}")["trigger"]
    (listed,) = api.data("GET", "/workflows")

    assert trigger["id"] == f"trg_{workflow[3:]}"
    assert trigger["url"] == f"{public}/webhooks/stripe/ws_{api.workspace}"
    assert listed["trigger"] == {name: value for name, value in trigger.items() if name != "state"}


def test_a_trigger_that_no_request_arrives_for_has_no_url(api: Api) -> None:
    workflow = api.workflow({"name": "x", "trigger": {"type": "api"}, "steps": []})

    assert api.data("GET", f"/workflows/{workflow}")["trigger"] == {"type": "api"}


def test_id_and_url_that_are_sent_back_are_not_stored(api: Api) -> None:
    workflow = api.workflow(listening({"path": "orders"}), active=False)
    trigger = api.data("GET", f"/workflows/{workflow}")["trigger"]

    edited = api.data("PUT", f"/workflows/{workflow}", {"trigger": {**trigger, "id": "trg_x", "url": "http://x"}})

    assert edited["trigger"] == trigger


def test_a_webhook_without_path_gets_one_that_cannot_be_guessed_and_keeps_it(api: Api) -> None:
    workflow = api.workflow(listening({}))
    before = api.data("GET", f"/workflows/{workflow}")["trigger"]

    after = api.data("PUT", f"/workflows/{workflow}", {"trigger": {"type": "webhook", "events": ["a"]}})["trigger"]

    assert len(before["path"]) >= 32
    assert (after["path"], after["url"]) == (before["path"], before["url"])


def test_all_faults_of_a_trigger_are_told_with_their_fields(api: Api) -> None:
    trigger = {"path": "a b", "filter": {"a": {"$no": 1}}, "signature": {"scheme": "md5"}, "events": "all"}

    details = refused(
        api.post("/workflows", listening(trigger)), 400, "VALIDATION_ERROR", "Invalid workflow configuration"
    )

    fields = sorted(each["field"] for each in details)
    assert fields == ["trigger.events", "trigger.filter.a.$no", "trigger.path", "trigger.signature.scheme"]


# -- 11.2: addresses


def test_a_custom_path_needs_no_signature(api: Api) -> None:
    workflow = api.workflow(listening({"path": "orders"}))

    event = taken(send(api, path_of(api, workflow), PAID))

    run = only_run(api, workflow)
    assert path_of(api, workflow) == f"/webhooks/custom/ws_{api.workspace}/orders"
    assert run["triggerType"] == "webhook"
    assert run["input"] == PAID
    assert delivery(api, event)["results"][0]["runId"] == run["id"]


def test_a_provider_path_is_verified_by_the_secrets_of_the_providers_connections(api: Api) -> None:
    connected(api, "github", "first-of-the-secrets", SECRET)
    workflow = api.workflow(listening({"provider": "github", "events": ["push"]}))
    path = f"/webhooks/github/ws_{api.workspace}"

    taken(send_signed(api, path, {"n": 1}, "github", X_GitHub_Event="push", X_GitHub_Delivery="d-1"))
    refused(send_signed(api, path, {"n": 2}, "github", "wrong", X_GitHub_Event="push"), 401, "UNAUTHORIZED")
    refused(send(api, path, {"n": 3}, X_GitHub_Event="push"), 401, "UNAUTHORIZED")

    assert only_run(api, workflow)["input"] == {"n": 1}


def test_the_secrets_of_a_connection_may_stand_among_its_credentials(api: Api) -> None:
    credentials = {"accessToken": "ghp_1", "webhookSecrets": [SECRET]}
    api.data("POST", "/connections", {"name": "GitHub", "provider": "github", "credentials": credentials})
    api.workflow(listening({"provider": "github"}))

    taken(send_signed(api, f"/webhooks/github/ws_{api.workspace}", PAID, "github"))


def test_a_workspace_may_be_named_without_prefix(api: Api) -> None:
    api.workflow(listening({"path": "orders"}))

    taken(send(api, f"/webhooks/custom/{api.workspace}/orders", PAID))


def test_a_trigger_is_reached_by_its_id_and_signed(api: Api) -> None:
    workflow = signed_hook(api, {"path": "orders"})
    path = f"/webhooks/t/trg_{workflow[3:]}"

    taken(send_signed(api, path, PAID))
    refused(send(api, path, PAID), 401, "UNAUTHORIZED")

    assert len(runs_of(api, workflow)) == 1


def test_a_trigger_by_id_is_rejected_where_no_secret_is_set(api: Api) -> None:
    workflow = api.workflow(listening({"path": "orders"}))

    refused(send(api, f"/webhooks/t/trg_{workflow[3:]}", PAID), 401, "UNAUTHORIZED")

    (row,) = api.data("GET", "/webhook-deliveries?status=rejected")
    assert row["reason"] == "No signature scheme is set"


def test_a_trigger_by_id_without_verification_takes_everything(api: Api) -> None:
    workflow = api.workflow(listening({"path": "orders", "verifySignature": False}))

    taken(send(api, f"/webhooks/t/{workflow[3:]}", PAID))


def test_a_provider_path_without_secrets_rejects_everything(api: Api) -> None:
    api.workflow(listening({"provider": "stripe"}))

    refused(send_signed(api, f"/webhooks/stripe/ws_{api.workspace}", PAID, "stripe"), 401, "UNAUTHORIZED")

    (row,) = api.data("GET", "/webhook-deliveries")
    assert (row["status"], row["reason"]) == ("rejected", "No secret is set")


def test_a_provider_may_be_verified_by_the_triggers_own_scheme_and_secret(api: Api) -> None:
    workflow = signed_hook(api, {"provider": "acme"})

    taken(send_signed(api, f"/webhooks/acme/ws_{api.workspace}", PAID))

    assert only_run(api, workflow)["input"] == PAID


def test_a_provider_may_go_unverified(api: Api) -> None:
    api.workflow(listening({"provider": "acme", "verifySignature": False}))

    taken(send(api, f"/webhooks/acme/ws_{api.workspace}", PAID))


def test_the_short_provider_path_is_gone_where_there_are_several_workspaces(api: Api, new_api: NewApi) -> None:
    new_api()

    refused(send(api, "/webhooks/stripe", PAID), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "path",
    [
        "/webhooks/custom/ws_{workspace}/nothing",
        "/webhooks/custom/ws_00000000-0000-7000-8000-000000000000/orders",
        "/webhooks/stripe/ws_00000000-0000-7000-8000-000000000000",
        "/webhooks/nobody/ws_{workspace}",
        "/webhooks/Stripe/ws_{workspace}",
        "/webhooks/stripe/nonsense",
        "/webhooks/t/trg_00000000-0000-7000-8000-000000000000",
        "/webhooks/t/nonsense",
        "/webhooks/custom",
        "/webhooks/custom/ws_{workspace}",
        "/webhooks",
        "/webhooks/a/b/c/d",
    ],
)
def test_an_unknown_address_is_not_found_and_nothing_is_stored(api: Api, path: str) -> None:
    refused(send(api, path.format(workspace=api.workspace), PAID), 404, "NOT_FOUND")

    assert api.data("GET", "/webhook-deliveries") == []


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_only_post_is_taken(api: Api, method: str) -> None:
    api.workflow(listening({"path": "orders"}))

    answer = send(api, f"/webhooks/custom/ws_{api.workspace}/orders", PAID, method)

    refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == "POST"


# -- 11.2: what is run


def test_every_matching_workflow_runs(api: Api) -> None:
    first, second = (api.workflow(listening({"path": "orders"})) for _ in range(2))
    other = api.workflow(listening({"path": "orders", "events": ["invoice.sent"]}))
    filtered = api.workflow(listening({"path": "orders", "filter": {"amount": {"$gt": 1000}}}))

    event = taken(send(api, f"/webhooks/custom/ws_{api.workspace}/orders", PAID), 2)

    results = {each["workflowId"]: each for each in delivery(api, event)["results"]}
    assert [len(runs_of(api, each)) for each in (first, second, other, filtered)] == [1, 1, 0, 0]
    assert results[other]["reason"] == "Events of type invoice.paid are not asked for"
    assert results[filtered]["reason"] == "The filter does not match"
    assert {each["status"] for each in results.values()} == {"started", "skipped"}


def test_the_trigger_has_body_headers_and_query(api: Api) -> None:
    workflow = api.workflow(listening({"path": "orders"}))

    taken(send(api, path_of(api, workflow) + "?a=1&b=&a=2", PAID, X_Shop="Berlin"))

    trigger = only_run(api, workflow)["output"]["trigger"]
    assert trigger["type"] == "webhook"
    assert trigger["body"] == PAID
    assert trigger["headers"]["x-shop"] == "Berlin"
    assert trigger["query"] == {"a": "2", "b": ""}


def test_credentials_in_headers_are_masked_wherever_they_are_kept(api: Api) -> None:
    workflow = api.workflow(listening({"path": "orders"}))
    hidden = {"Authorization": "Bearer top", "Cookie": "sid=top", "X-Api-Key": "top", "Proxy_Authorization": "top"}

    event = taken(send(api, path_of(api, workflow), PAID, **{name.replace("-", "_"): v for name, v in hidden.items()}))

    shown = delivery(api, event)["headers"]
    run = only_run(api, workflow)["output"]["trigger"]["headers"]
    for name in ("authorization", "cookie", "x-api-key", "proxy-authorization"):
        assert shown[name] == run[name] == "[secret]"


@pytest.mark.parametrize(
    ("content_type", "body", "given"),
    [
        ("application/x-www-form-urlencoded", b"name=J%C3%BCrgen&n=", {"name": "Jürgen", "n": ""}),
        ("application/xml", b"<paid>1</paid>", {"raw": "<paid>1</paid>"}),
        ("application/json", b"{not json", {"raw": "{not json"}),
        ("text/plain", b'{"a": 19.90}', {"a": Decimal("19.90")}),
        ("multipart/form-data; boundary=x", b"--x--", {"raw": "--x--"}),
        ("image/png", b"\x89PNG\xff", {"raw": "�PNG�"}),
        ("", b'{"a": 1}', {"a": 1}),
        ("application/json", b"", {}),
        ("application/json", b"7", {"raw": "7"}),
    ],
)
def test_any_body_becomes_an_input(api: Api, content_type: str, body: bytes, given: Json) -> None:
    workflow = api.workflow(listening({"path": "orders"}))

    taken(send(api, path_of(api, workflow), body, Content_Type=content_type))

    assert only_run(api, workflow)["input"] == given


def test_numbers_keep_their_digits(api: Api) -> None:
    workflow = api.workflow(listening({"path": "orders"}, {"total": "{{input.total}}"}))

    taken(send(api, path_of(api, workflow), b'{"total": 19.90}'))

    assert str(only_run(api, workflow)["output"]["total"]) == "19.90"


def test_input_that_fails_its_schema_starts_no_run_and_is_noted(api: Api) -> None:
    schema = {"type": "object", "required": ["customer"]}
    workflow = api.workflow(listening({"path": "orders"}, inputSchema=schema))

    event = taken(send(api, path_of(api, workflow), PAID), 0)

    found = delivery(api, event)
    assert (found["status"], runs_of(api, workflow)) == ("processed", [])
    assert found["results"][0]["status"] == "failed"
    assert found["results"][0]["reason"] == "Input validation failed; customer: Required"


def test_the_trigger_has_the_whole_body_where_the_input_is_another(api: Api) -> None:
    schema = {"type": "object", "properties": {"id": {}, "day": {"default": 1}}, "additionalProperties": False}
    workflow = api.workflow(listening({"path": "orders"}, inputSchema=schema))

    taken(send(api, path_of(api, workflow), PAID))

    output = only_run(api, workflow)["output"]
    assert output["input"] == {"id": "evt_1", "day": 1}
    assert output["trigger"]["body"] == PAID


@pytest.mark.parametrize("move", ["pause", None])
def test_a_workflow_that_is_not_active_ignores_what_arrives(api: Api, move: str | None) -> None:
    workflow = api.workflow(listening({"path": "orders"}), active=move is not None)
    if move:
        api.data("POST", f"/workflows/{workflow}/{move}")

    event = taken(send(api, f"/webhooks/custom/ws_{api.workspace}/orders", PAID), 0)

    found = delivery(api, event)
    status = "paused" if move else "draft"
    assert found["status"] == "ignored"
    assert found["reason"] == f"Workflow must be active to run. Current status: {status}"
    assert runs_of(api, workflow) == []


def test_a_disabled_trigger_ignores_what_arrives(api: Api) -> None:
    workflow = api.workflow(listening({"path": "orders", "enabled": False}))

    event = taken(send(api, path_of(api, workflow), PAID), 0)

    assert delivery(api, event)["reason"] == "The trigger is disabled"


def test_the_path_of_an_archived_workflow_is_gone(api: Api) -> None:
    workflow = api.workflow(listening({"path": "orders"}))
    path = path_of(api, workflow)
    api.data("DELETE", f"/workflows/{workflow}")

    refused(send(api, path, PAID), 404, "NOT_FOUND")


# -- 11.2: events that come again


def test_an_event_that_comes_again_starts_nothing(api: Api) -> None:
    workflow = api.workflow(listening({"path": "orders"}))
    path = path_of(api, workflow)

    first = taken(send(api, path, PAID, X_Event_Id="e-1"))
    again = taken(send(api, path, {"other": 1}, X_Event_Id="e-1"), 0, duplicate=True)
    taken(send(api, path, PAID, X_Event_Id="e-2"))

    assert again == first
    assert len(runs_of(api, workflow)) == 2
    (duplicate,) = api.data("GET", "/webhook-deliveries?status=duplicate")
    assert duplicate["duplicateOf"] == first


def test_the_same_id_on_another_path_is_another_event(api: Api) -> None:
    first, second = (api.workflow(listening({"path": path})) for path in ("a", "b"))

    for workflow in (first, second):
        taken(send(api, path_of(api, workflow), PAID, X_Event_Id="e-1"))


def test_events_without_an_id_are_all_taken(api: Api) -> None:
    workflow = api.workflow(listening({"path": "orders"}))

    for _ in range(2):
        taken(send(api, path_of(api, workflow), PAID))

    assert len(runs_of(api, workflow)) == 2


def test_twenty_equal_deliveries_at_once_start_one_run(api: Api) -> None:
    workflow = api.workflow(listening({"path": "orders"}))
    path, together = path_of(api, workflow), threading.Barrier(20)

    def deliver(_: int) -> Json:
        together.wait()
        return decode(send(api, path, PAID, X_Event_Id="e-1").content)

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(deliver, range(20)))

    assert sorted(each["workflowsTriggered"] for each in answers) == [0] * 19 + [1]
    assert len({each["eventId"] for each in answers}) == 1
    assert sum(each.get("duplicate", False) for each in answers) == 19
    only_run(api, workflow)


def test_each_member_of_a_list_is_matched_deduplicated_and_run_by_itself(api: Api) -> None:
    connected(api, "hubspot")
    workflow = api.workflow(listening({"provider": "hubspot", "events": ["contact.*"]}))
    path = f"/webhooks/hubspot/ws_{api.workspace}"
    one, two = ({"eventId": n, "subscriptionType": "contact.creation"} for n in (1, 2))
    deal = {"eventId": 3, "subscriptionType": "deal.creation"}

    event = taken(send_signed(api, path, [one, deal, one], "hubspot"))
    taken(send_signed(api, path, [one, two], "hubspot"))
    taken(send_signed(api, path, [two, one], "hubspot"), 0, duplicate=True)

    inputs = [api.final(run["id"])["input"] for run in runs_of(api, workflow)]
    assert sorted(each["eventId"] for each in inputs) == [1, 2]
    statuses = sorted(each["status"] for each in delivery(api, event)["results"])
    assert statuses == ["skipped", "started"]


def test_an_empty_list_is_stored_and_ignored(api: Api) -> None:
    workflow = api.workflow(listening({"path": "orders"}))

    event = taken(send(api, path_of(api, workflow), []), 0)

    assert delivery(api, event)["status"] == "ignored"


def test_slacks_challenge_is_answered(api: Api) -> None:
    connected(api, "slack")
    workflow = api.workflow(listening({"provider": "slack"}))
    body = {"type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}
    path = f"/webhooks/slack/ws_{api.workspace}"

    answer = send_signed(api, path, body, "slack")

    assert (answer.status_code, decode(answer.content)) == (200, {"challenge": body["challenge"]})
    assert runs_of(api, workflow) == []
    refused(send(api, path, body), 401, "UNAUTHORIZED")


# -- bad input


@pytest.mark.parametrize(("late_ms", "reason"), [(-301_000, "300 s old"), (301_000, "300 s in the future")])
def test_a_stale_or_future_request_is_rejected_and_the_reason_kept(api: Api, late_ms: int, reason: str) -> None:
    workflow = signed_hook(api, {"path": "orders", "signature": {"scheme": "stripe", "secrets": ["{{secrets.HOOK}}"]}})
    now = round(time.time() * 1000)

    refused(send_signed(api, path_of(api, workflow), PAID, "stripe", at_ms=now + late_ms), 401, "UNAUTHORIZED")

    (row,) = api.data("GET", "/webhook-deliveries?status=rejected")
    assert row["reason"] == f"The timestamp is more than {reason}"
    assert runs_of(api, workflow) == []


def test_a_rejected_request_does_not_say_what_was_wrong(api: Api) -> None:
    workflow = signed_hook(api, {"path": "orders"})

    for headers in ({}, {"X_Signature": "zz"}, {"X_Signature": "00" * 32}):
        refused(send(api, path_of(api, workflow), PAID, **headers), 401, "UNAUTHORIZED", "Invalid or missing signature")

    reasons = [row["reason"] for row in api.data("GET", "/webhook-deliveries")]
    assert reasons == [
        "The signature does not match",
        "The header x-signature holds no signature that can be read",
        "The header x-signature is missing",
    ]


def test_a_rejected_event_does_not_stand_in_the_way_of_the_real_one(api: Api) -> None:
    workflow = signed_hook(api, {"path": "orders"})
    path = path_of(api, workflow)

    refused(send(api, path, PAID, X_Event_Id="e-1", X_Signature="00"), 401, "UNAUTHORIZED")
    taken(send_signed(api, path, PAID, X_Event_Id="e-1"))


def test_both_secrets_are_live_during_a_rotation(api: Api) -> None:
    secrets = ["{{secrets.HOOK}}", "{{secrets.NEXT}}"]
    workflow = signed_hook(api, {"path": "orders", "signature": {"scheme": "hmac-sha256", "secrets": secrets}})
    api.data("POST", f"/workflows/{workflow}/secrets", {"key": "NEXT", "value": "the-next-secret"})
    path = path_of(api, workflow)

    taken(send_signed(api, path, PAID))
    taken(send_signed(api, path, PAID, secret="the-next-secret"))
    refused(send_signed(api, path, PAID, secret="neither-of-them"), 401, "UNAUTHORIZED")


def test_a_signature_whose_secret_is_missing_rejects_everything(api: Api) -> None:
    workflow = signed_hook(api, {"path": "orders"})
    api.data("DELETE", f"/workflows/{workflow}/secrets/HOOK")

    refused(send_signed(api, path_of(api, workflow), PAID), 401, "UNAUTHORIZED")


def test_a_start_by_hand_needs_the_secret_of_the_signature_too(api: Api) -> None:
    workflow = signed_hook(api, {"path": "orders"})
    api.data("DELETE", f"/workflows/{workflow}/secrets/HOOK")

    details = refused(api.post(f"/workflows/{workflow}/run", {"input": {}}), 400, "VALIDATION_ERROR")

    assert details == [{"path": ["secrets", "HOOK"], "message": "Secret HOOK does not exist"}]


def test_a_body_of_one_mebibyte_is_taken_and_a_byte_more_is_not(api: Api) -> None:
    workflow = api.workflow(listening({"path": "orders"}, {"n": "{{input.n}}"}))
    path = path_of(api, workflow)
    frame = b'{"n": 1, "pad": ""}'
    whole = frame[:-2] + b"x" * (1024 * 1024 - len(frame)) + frame[-2:]

    refused(send(api, path, whole + b" "), 413, "PAYLOAD_TOO_LARGE")
    assert api.data("GET", "/webhook-deliveries") == []
    taken(send(api, path, whole))

    assert only_run(api, workflow)["output"] == {"n": 1}


def test_the_body_of_a_rejected_request_is_cut(api: Api) -> None:
    workflow = signed_hook(api, {"path": "orders"})

    refused(send(api, path_of(api, workflow), b"x" * 100_000), 401, "UNAUTHORIZED")

    (row,) = api.data("GET", "/webhook-deliveries")
    assert len(delivery(api, row["id"])["rawBody"]) == 16 * 1024
    assert row["reason"].endswith("(the body is cut to 16384 bytes)")


def test_the_raw_body_is_what_is_verified(api: Api) -> None:
    workflow = signed_hook(api, {"path": "orders"})

    taken(send_signed(api, path_of(api, workflow), b'{ "a" : 1.50,\n"b": "\\u00e4" }'))

    assert only_run(api, workflow)["input"] == {"a": 1.5, "b": "ä"}


def test_secrets_of_connections_appear_nowhere(api: Api) -> None:
    connected(api, "github")
    api.workflow(listening({"provider": "github"}))
    path = f"/webhooks/github/ws_{api.workspace}"

    event = taken(send_signed(api, path, PAID, "github"))
    refused(send_signed(api, path, PAID, "github", "wrong"), 401, "UNAUTHORIZED")

    for shown in (f"/webhook-deliveries/{event}", "/webhook-deliveries", "/connections", "/workflows"):
        assert SECRET not in api.get(shown).text


def test_of_workflows_that_share_a_path_one_that_names_no_scheme_hides_none_of_the_others(api: Api) -> None:
    plain = api.workflow(listening({"path": "both"}))
    signature = {"scheme": "github", "secrets": ["{{secrets.HOOK}}"]}
    picky = signed_hook(api, {"path": "both", "signature": signature, "events": ["push"]})

    answer = send_signed(
        api, path_of(api, plain), {"n": 1}, "github", X_GitHub_Event="push", X_GitHub_Delivery="d-both"
    )

    taken(answer, 2)
    assert len(runs_of(api, picky)) == 1
