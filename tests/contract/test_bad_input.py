"""Bad input: each kind has its answer. Source: LoopFour contract 1.1, 1.3-1.5 and 2."""

import base64
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest
import requests

from live import Api, NewApi, refused, transform
from stepwell.values import Json, encode

UNKNOWN = "01890000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    "body",
    [
        b'{"input": ',
        b"not json",
        b'{"input": {"n": NaN}}',
        b'{"input": {"n": Infinity}}',
        b'{"input": {"n": -Infinity}}',
        b'{"input": {"s": "\xff"}}',
        b'{"input": {"s": "\\ud800"}}',
        b'{"input": ' + b'{"a":' * 129 + b"1" + b"}" * 129 + b"}",
        b'{"input": ' + b"[" * 100_000,
        b'{"input": {"n": 1e401}}',
        b'{"input": {"n": ' + b"1" * 401 + b"}}",
        b"{} {}",
    ],
    ids=[
        "cut",
        "text",
        "nan",
        "infinity",
        "-infinity",
        "utf-8",
        "surrogate",
        "deep",
        "deeper",
        "exponent",
        "digits",
        "two",
    ],
)
def test_a_body_that_is_no_json_is_refused(api: Api, body: bytes) -> None:
    workflow = api.workflow(transform())

    response = api.post(f"/workflows/{workflow}/run", data=body)

    assert refused(response, 400, "VALIDATION_ERROR", "Request body is not valid JSON") is None


def test_of_equal_keys_the_last_counts(api: Api) -> None:
    workflow = api.workflow(transform())

    response = api.post(f"/workflows/{workflow}/run", data=b'{"input": {"n": 1, "n": 2}, "input": {"n": 3, "n": 4}}')

    assert api.final(response.json()["data"]["runId"])["input"] == {"n": 4}


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({"input": []}, [(["input"], "Expected object, received array")]),
        ({"input": None}, [(["input"], "Expected object, received null")]),
        ({"input": "x"}, [(["input"], "Expected object, received string")]),
        ({"connectionId": 1}, [(["connectionId"], "Expected string or null, received number")]),
        ({"idempotencyKey": ""}, [(["idempotencyKey"], None)]),
        ({"idempotencyKey": "k" * 256}, [(["idempotencyKey"], None)]),
        ({"maxExecutionTimeMs": 60_001}, [(["maxExecutionTimeMs"], "Number must be less than or equal to 60000")]),
        ({"mode": "later"}, [(["mode"], "Invalid enum value. Expected 'async' | 'sync', received 'later'")]),
        ({"mode": 1, "input": 1, "connectionId": 1}, [(["input"], None), (["connectionId"], None), (["mode"], None)]),
        ([], [([], "Expected object, received array")]),
        ({"connectionId": UNKNOWN}, [(["connectionId"], None)]),
    ],
)
def test_all_faults_of_a_body_are_listed_in_order(api: Api, body: Json, faults: list[tuple[Json, str | None]]) -> None:
    workflow = api.workflow(transform())

    details = refused(api.post(f"/workflows/{workflow}/run", body), 400, "VALIDATION_ERROR", "Invalid request")

    assert [fault["path"] for fault in details] == [path for path, _ in faults]
    for fault, (_, message) in zip(details, faults, strict=True):
        assert message is None or fault["message"] == message


def test_unknown_fields_of_a_body_are_ignored(api: Api) -> None:
    workflow = api.workflow(transform())

    assert api.post(f"/workflows/{workflow}/run", {"unknown": 1}).status_code == 202


def test_an_empty_body_is_an_empty_object(api: Api) -> None:
    workflow = api.workflow(transform())

    assert api.post(f"/workflows/{workflow}/run").status_code == 202


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/x+json",
        "text/plain",
        "application/x-www-form-urlencoded",
    ],
)
def test_these_content_types_are_read_as_json(api: Api, content_type: str) -> None:
    workflow = api.workflow(transform())

    response = api.post(f"/workflows/{workflow}/run", data=b"{}", headers={"Content-Type": content_type})

    assert response.status_code == 202


@pytest.mark.parametrize("content_type", ["application/xml", "multipart/form-data", "text/html", "json"])
def test_other_content_types_are_refused(api: Api, content_type: str) -> None:
    response = api.post(f"/workflows/{UNKNOWN}/run", data=b"{}", headers={"Content-Type": content_type})

    refused(response, 415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_body_over_the_limit_is_refused(api: Api) -> None:
    response = api.post(f"/workflows/{UNKNOWN}/run", data=b'{"input":{"s":"' + b"x" * 1_048_576 + b'"}}')

    refused(response, 413, "PAYLOAD_TOO_LARGE")


def test_a_body_over_the_limit_is_refused_though_its_length_is_not_declared(api: Api) -> None:
    response = api.post(f"/workflows/{UNKNOWN}/run", data=iter([b"x" * 600_000, b"x" * 600_000]))

    refused(response, 413, "PAYLOAD_TOO_LARGE")


def test_a_batch_may_be_ten_times_as_large(api: Api) -> None:
    workflow = api.workflow(transform())
    items = [{"input": {"s": "x" * 500_000}} for _ in range(4)]

    assert api.data("POST", f"/workflows/{workflow}/run/batch", {"items": items})["accepted"] == 4


@pytest.mark.parametrize("id", ["x", UNKNOWN, f"run_{UNKNOWN}", f"wf_{UNKNOWN}", "run_", "%00", "..", "é", "x" * 5000])
@pytest.mark.parametrize(
    ("method", "path", "what"),
    [
        ("GET", "/runs/{}", "Run"),
        ("GET", "/runs/{}/logs", "Run"),
        ("GET", "/runs/{}/stream", "Run"),
        ("POST", "/runs/{}/cancel", "Run"),
        ("POST", "/runs/{}/retry", "Run"),
        ("DELETE", "/runs/{}", "Run"),
        ("GET", "/workflows/{}", "Workflow"),
        ("POST", "/workflows/{}/run", "Workflow"),
        ("POST", "/workflows/{}/activate", "Workflow"),
        ("GET", "/workflows/{}/versions", "Workflow"),
        ("GET", "/connections/{}", "Connection"),
    ],
)
def test_a_malformed_id_is_answered_as_an_unknown_one(api: Api, id: str, method: str, path: str, what: str) -> None:
    url = f"{api.server.url}/api/v1{path.replace('{}', id)}"
    prepared = requests.Request(method, url, headers={"x-api-key": api.key}).prepare()
    prepared.url = url if id == ".." else prepared.url

    with requests.Session() as session:
        response = session.send(prepared, timeout=10)

    refused(response, 404, "NOT_FOUND", None if id == ".." else f"{what} not found")


def test_what_belongs_to_another_workspace_is_not_found(new_api: NewApi) -> None:
    owner, stranger = new_api(), new_api()
    workflow = owner.workflow(transform())
    run = owner.finish(workflow)["id"]
    connection = owner.data("POST", "/connections", {"name": "s", "provider": "stripe", "mode": "simulator"})["id"]

    for method, path in [
        ("GET", f"/runs/{run}"),
        ("POST", f"/runs/{run}/cancel"),
        ("POST", f"/runs/{run}/retry"),
        ("DELETE", f"/runs/{run}"),
        ("GET", f"/workflows/{workflow}"),
        ("POST", f"/workflows/{workflow}/run"),
        ("DELETE", f"/workflows/{workflow}"),
        ("GET", f"/connections/{connection}"),
        ("DELETE", f"/connections/{connection}"),
    ]:
        refused(stranger(method, path), 404, "NOT_FOUND")
    assert stranger.data("GET", "/runs") == []


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "!!!!",
        base64.urlsafe_b64encode(b"[]").decode(),
        base64.urlsafe_b64encode(b'{"ts": 1}').decode(),
        base64.urlsafe_b64encode(b'{"ts": "1", "id": "run_1"}').decode(),
        base64.urlsafe_b64encode(encode({"ts": 1, "id": "run_x"})).decode(),
    ],
)
@pytest.mark.parametrize("path", ["/runs", "/workflows", "/connections", "/admin/keys", "/admin/workspaces"])
def test_a_bad_cursor_is_refused(api: Api, path: str, cursor: str) -> None:
    details = refused(api.get(path, params={"cursor": cursor}), 400, "VALIDATION_ERROR")

    assert [fault["path"] for fault in details] == [["cursor"]]


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"limit": "1.5"}, "limit"),
        ({"limit": ""}, "limit"),
        ({"status": "done"}, "status"),
        ({"triggerType": "magic"}, "triggerType"),
        ({"createdAfter": "yesterday"}, "createdAfter"),
    ],
)
def test_a_bad_filter_is_refused(api: Api, query: dict[str, str], path: str) -> None:
    details = refused(api.get("/runs", params=query), 400, "VALIDATION_ERROR", "Invalid request")

    assert [fault["path"] for fault in details] == [[path]]


def test_a_resource_that_does_not_exist_counts_before_a_malformed_body(api: Api) -> None:
    refused(api.post(f"/workflows/{UNKNOWN}/run", data=b"{"), 404, "NOT_FOUND", "Workflow not found")
    refused(api.post(f"/runs/{UNKNOWN}/restart", {}), 404, "NOT_FOUND", "Run not found")


def test_a_missing_scope_counts_before_an_unknown_id(api: Api) -> None:
    reader = api.with_scopes("runs:read")

    details = refused(
        reader.post(f"/workflows/{UNKNOWN}/run", {}), 403, "FORBIDDEN", "Missing required scope: workflows:execute"
    )

    assert details == [{"scope": "workflows:execute"}]


@pytest.mark.parametrize(
    "headers", [{}, {"x-api-key": ""}, {"x-api-key": "wfk_unknown"}, {"Authorization": "Basic eDp5"}]
)
def test_without_a_good_key_nothing_is_answered(api: Api, headers: dict[str, str]) -> None:
    response = requests.get(f"{api.server.url}/api/v1/runs", headers=headers, timeout=10)

    refused(response, 401, "UNAUTHORIZED", "Invalid or missing API key")


def test_a_bearer_key_is_accepted_and_x_api_key_counts_before_it(api: Api) -> None:
    url, bearer = f"{api.server.url}/api/v1/runs", {"Authorization": f"Bearer {api.key}"}

    assert requests.get(url, headers=bearer, timeout=10).status_code == 200
    refused(requests.get(url, headers={**bearer, "x-api-key": "wfk_no"}, timeout=10), 401, "UNAUTHORIZED")


def test_unknown_routes_are_404_and_other_methods_405_with_allow(api: Api) -> None:
    refused(api.get("/agents"), 404, "NOT_FOUND", "Route not found")
    refused(api.post("/runs/bulk", {}), 404, "NOT_FOUND", "Route not found")
    refused(api.post(f"/runs/{UNKNOWN}/approvals", {}), 404, "NOT_FOUND", "Route not found")
    wrong = api("PATCH", f"/runs/{UNKNOWN}")
    refused(wrong, 405, "METHOD_NOT_ALLOWED")
    assert wrong.headers["Allow"] == "DELETE, GET"
    for method in ("HEAD", "OPTIONS"):
        other = api(method, "/runs")
        assert (other.status_code, other.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("path", ["/agents", "/tables", "/blocks", "/templates", "/connections/stripe/auth-url"])
def test_what_comes_later_is_no_route(api: Api, path: str) -> None:
    for method in ("GET", "POST"):
        refused(api(method, path), 404, "NOT_FOUND", "Route not found")


def test_every_answer_tells_the_date(api: Api) -> None:
    for path in ("/runs", "/nowhere"):
        told = parsedate_to_datetime(api.get(path).headers["Date"])
        assert abs((datetime.now(UTC) - told).total_seconds()) < 60


@pytest.mark.parametrize(("given", "kept"), [("abc-1.2_3", True), ("x" * 129, False), ("a b", False)])
def test_every_answer_has_a_request_id_the_clients_if_it_is_fit(api: Api, given: str, kept: bool) -> None:
    for path in ("/runs", "/nowhere"):
        answered = api.get(path, headers={"X-Request-Id": given}).headers["X-Request-Id"]
        assert answered and (answered == given) is kept


def test_both_idempotency_keys_with_different_values_are_refused(api: Api) -> None:
    workflow = api.workflow(transform())

    body = {"idempotencyKey": "a"}
    response = api.post(f"/workflows/{workflow}/run", body, headers={"Idempotency-Key": "b"})

    assert [fault["path"] for fault in refused(response, 400, "VALIDATION_ERROR")] == [["idempotencyKey"]]
