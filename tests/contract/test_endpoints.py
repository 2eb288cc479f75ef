"""Webhook endpoints over the API: kept without their secrets, checked with all faults told, paged, of one workspace."""

from collections.abc import Iterator

import pytest
from standardwebhooks import WebhookVerificationError

from live import Api, LiveServer, NewApi, refused, transform
from receiving import Receiver, deliveries, listen, receiving, tried
from stepwell.values import Json

EVENTS = ["run.started", "run.completed", "run.failed", "run.cancelled", "run.suspended"]
URL = "https://example.com/hooks"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def path(endpoint: Json, rest: str = "") -> str:
    return f"/webhook-endpoints/{endpoint['id']}{rest}"


def test_a_new_endpoint_is_answered_with_its_secret_and_hears_everything(api: Api) -> None:
    response = api.post("/webhook-endpoints", {"url": URL})

    made = response.json()["data"]
    assert response.status_code == 201
    assert made["id"].startswith("whe_") and made["secret"].startswith("whsec_")
    assert (made["url"], made["events"], made["enabled"], made["disabledReason"]) == (URL, EVENTS, True, None)


def test_the_secret_is_answered_only_once(api: Api) -> None:
    made = listen(api, URL)

    kept = api.data("GET", path(made))
    edited = api.data("PUT", path(made), {"description": "Alerts"})
    (listed,) = api.data("GET", "/webhook-endpoints")

    secret = made.pop("secret")
    assert made == kept == {**listed, "description": None, "updatedAt": kept["updatedAt"]}
    assert not any(secret in str(each) for each in (kept, edited, listed))


def test_fields_that_are_not_sent_stay(api: Api) -> None:
    made = listen(api, URL, "run.failed")

    edited = api.data("PUT", path(made), {"enabled": False})

    assert (edited["url"], edited["events"], edited["enabled"]) == (URL, ["run.failed"], False)


def test_events_are_kept_once_and_in_the_order_of_the_contract(api: Api) -> None:
    made = listen(api, URL, "run.failed", "run.started", "run.failed")

    assert made["events"] == ["run.started", "run.failed"]


def test_a_removed_endpoint_is_gone(api: Api) -> None:
    made = listen(api, URL)

    assert api.data("DELETE", path(made)) == {"id": made["id"], "deleted": True}

    refused(api.get(path(made)), 404, "NOT_FOUND", "Webhook endpoint not found")


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, [["url"]]),
        ({"url": "ftp://example.com"}, [["url"]]),
        ({"url": "https://"}, [["url"]]),
        ({"url": "https://user:pass@example.com/"}, [["url"]]),
        ({"url": "https://example.com/#part"}, [["url"]]),
        ({"url": "https://example.com/" + "x" * 2048}, [["url"]]),
        ({"url": "https://exa mple.com/"}, [["url"]]),
        ({"url": URL, "events": []}, [["events"]]),
        ({"url": URL, "events": ["run.failed", "run.exploded"]}, [["events", 1]]),
        ({"url": 1, "events": ["no"], "description": 2}, [["url"], ["events", 0], ["description"]]),
    ],
)
def test_what_does_not_fit_is_refused_with_every_fault(api: Api, body: Json, faults: Json) -> None:
    found = refused(api.post("/webhook-endpoints", body), 400, "VALIDATION_ERROR", "Invalid request")

    assert [fault["path"] for fault in found] == faults


def test_an_edit_is_checked_as_a_new_one_is(api: Api) -> None:
    made = listen(api, URL)

    found = refused(api("PUT", path(made), {"url": "ftp://example.com"}), 400, "VALIDATION_ERROR")

    assert found == [{"path": ["url"], "message": "Expected an http or https URL"}]
    assert api.data("GET", path(made))["url"] == URL


def test_a_workspace_has_at_most_50_endpoints(api: Api) -> None:
    for _ in range(50):
        listen(api, URL)

    message = "A workspace has at most 50 webhook endpoints; remove one first"
    refused(api.post("/webhook-endpoints", {"url": URL}), 400, "INVALID_STATE", message)


def test_endpoints_are_listed_newest_first_in_pages(api: Api) -> None:
    made = [listen(api, URL)["id"] for _ in range(3)]

    first = api.get("/webhook-endpoints?limit=2").json()
    second = api.get(f"/webhook-endpoints?limit=2&cursor={first['meta']['cursor']}").json()

    assert [each["id"] for each in first["data"] + second["data"]] == made[::-1]
    assert second["meta"] == {"hasMore": False}


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("GET", "/deliveries"),
        ("POST", "/test"),
        ("POST", "/rotate-secret"),
        ("POST", "/deliveries/dlv_0190a000-0000-7000-8000-000000000000/retry"),
    ],
)
def test_an_endpoint_of_another_workspace_is_unknown(api: Api, new_api: NewApi, method: str, rest: str) -> None:
    made = listen(api, URL)

    refused(new_api()(method, path(made, rest), {}), 404, "NOT_FOUND", "Webhook endpoint not found")

    assert api.data("GET", path(made))["url"] == URL


@pytest.mark.parametrize("id", ["whe_nonsense", "whe_0190a000-0000-7000-8000-000000000000"])
def test_an_unknown_id_is_not_found(api: Api, id: str) -> None:
    refused(api.get(f"/webhook-endpoints/{id}"), 404, "NOT_FOUND", "Webhook endpoint not found")


def test_reading_and_changing_need_their_scopes(api: Api) -> None:
    made = listen(api, URL)
    reader, writer = api.with_scopes("workflows:read"), api.with_scopes("workflows:write")

    assert reader.get(path(made)).ok and reader.get(path(made, "/deliveries")).ok
    assert writer.post(path(made, "/rotate-secret")).ok
    for method, rest in (("PUT", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/rotate-secret")):
        refused(reader(method, path(made, rest), {}), 403, "FORBIDDEN")
    refused(writer.get(path(made)), 403, "FORBIDDEN")


def test_a_test_is_sent_at_once_and_told_with_the_receivers_answer(api: Api, receiver: Receiver) -> None:
    made = listen(api, f"{receiver.url}/ok")

    told = api.data("POST", path(made, "/test"))

    (got,) = receiver.got
    (kept,) = deliveries(api, made)
    assert (told["ok"], told["responseStatus"], told["error"], told["deliveryId"]) == (True, 200, None, got.id)
    assert got.verified(made["secret"])["data"] == {"endpointId": made["id"]}
    assert (kept["id"], kept["type"], kept["runId"], kept["status"]) == (got.id, "endpoint.test", None, "delivered")


def test_a_test_that_fails_says_why(api: Api, receiver: Receiver) -> None:
    told = api.data("POST", path(listen(api, f"{receiver.url}/broken"), "/test"))

    assert (told["ok"], told["responseStatus"], told["error"]) == (False, 500, "HTTP 500")


def test_a_rotated_endpoint_signs_with_both_secrets(api: Api, receiver: Receiver) -> None:
    made = listen(api, f"{receiver.url}/ok")

    rotated = api.data("POST", path(made, "/rotate-secret"))
    api.data("POST", path(made, "/test"))

    (got,) = receiver.got
    assert rotated["secret"] != made["secret"] and rotated["oldSecretUntil"] is not None
    assert got.verified(rotated["secret"]) == got.verified(made["secret"])
    with pytest.raises(WebhookVerificationError):
        got.verified("whsec_" + "A" * 44)


def test_deliveries_are_listed_newest_first_by_status_and_in_pages(api: Api, receiver: Receiver) -> None:
    made = listen(api, f"{receiver.url}/once", "run.completed")
    workflow = api.workflow(transform())
    runs = []
    for number in range(3):
        runs.append(api.finish(workflow)["id"])
        deliveries(api, made, tried(number + 1))

    def listed(query: str) -> Json:
        return api.get(path(made, f"/deliveries?{query}")).json()

    first = listed("limit=2")
    second = listed(f"limit=2&cursor={first['meta']['cursor']}")
    assert [each["runId"] for each in first["data"] + second["data"]] == runs[::-1]
    assert [each["runId"] for each in listed("status=pending")["data"]] == runs[:1]
    assert [each["runId"] for each in listed("status=delivered")["data"]] == runs[:0:-1]
    refused(api.get(path(made, "/deliveries?status=lost")), 400, "VALIDATION_ERROR")
    refused(api.get(path(made, "/deliveries?cursor=lost")), 400, "VALIDATION_ERROR")


def test_a_delivery_is_sent_again_on_demand_under_its_id(api: Api, receiver: Receiver) -> None:
    made = listen(api, f"{receiver.url}/once", "run.completed")
    api.finish(api.workflow(transform()))
    (failed,) = deliveries(api, made, tried(1))

    again = api.post(path(made, f"/deliveries/{failed['id']}/retry"))

    first, second = receiver.until(2, "/once")
    (kept,) = deliveries(api, made, lambda found: found[0]["attempts"] == 2)
    assert (again.status_code, again.json()["data"]["status"]) == (202, "pending")
    assert (first.id, first.body) == (second.id, second.body)
    assert (kept["status"], kept["nextAttemptAt"]) == ("delivered", None)
    assert [each["responseStatus"] for each in kept["tries"]] == [500, 200]


def test_a_delivery_of_a_disabled_endpoint_is_not_sent_again(api: Api, receiver: Receiver) -> None:
    made = listen(api, f"{receiver.url}/ok")
    delivery = api.data("POST", path(made, "/test"))["deliveryId"]
    api.data("PUT", path(made), {"enabled": False})

    message = "The webhook endpoint is disabled; enable it first"
    refused(api.post(path(made, f"/deliveries/{delivery}/retry")), 400, "INVALID_STATE", message)


def test_an_unknown_delivery_is_not_found(api: Api) -> None:
    made = listen(api, URL)

    for id in ("dlv_nonsense", "dlv_0190a000-0000-7000-8000-000000000000"):
        refused(api.post(path(made, f"/deliveries/{id}/retry")), 404, "NOT_FOUND", "Delivery not found")


def test_secrets_stand_in_no_file_of_the_server(api: Api, server: LiveServer) -> None:
    made = listen(api, URL)
    rotated = api.data("POST", path(made, "/rotate-secret"))

    files = [file.read_bytes() for file in server.parts.core.store.database.path.parent.iterdir()]  # type: ignore[attr-defined]

    for secret in (made["secret"], rotated["secret"]):
        assert not any(secret.removeprefix("whsec_").encode() in content for content in files)
