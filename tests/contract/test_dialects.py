"""Which dialect answers: by the path, and only on a shared one by the key. Source: LoopFour contract 1.1, Flowra 13."""

import pytest
import requests

from flowra_client import TRIGGERS, flowra, refused
from live import Api, live, transform
from live import refused as refused_natively
from stepwell.auth import DIALECTS as KEYS
from stepwell.settings import Admin, RateLimit, Server, Settings
from stepwell.values import Json, decode

BEGINNINGS = {"loopfour": 32, "flowra": 40}


@pytest.mark.parametrize(("dialect", "characters"), BEGINNINGS.items())
def test_keys_begin_as_their_dialect_says(api: Api, dialect: str, characters: int) -> None:
    body = {"name": "k", "scopes": ["runs:read"], "dialect": dialect}

    made = api.data("POST", "/admin/keys", body)

    prefix = KEYS[dialect].prefix
    assert (made["key"].startswith(prefix), len(made["key"])) == (True, len(prefix) + characters)
    assert made["dialect"] == dialect


def test_a_key_of_flowra_has_no_scopes_of_others(api: Api) -> None:
    body = {"name": "k", "scopes": ["secrets:write", "runs:write"], "dialect": "flowra"}

    details = refused_natively(api.post("/admin/keys", body), 400, "VALIDATION_ERROR")

    assert [fault["path"] for fault in details] == [["scopes", 0], ["scopes", 1]]


def test_a_path_of_one_dialect_is_answered_in_its_form_whatever_the_key(api: Api) -> None:
    client = flowra(api)

    assert set(decode(api.get(f"{TRIGGERS}/active").content)) >= {"total", "nextCursor"}
    assert set(decode(client("GET", "/workflows").content)) == {"success", "data", "meta"}
    refused(api("DELETE", f"{TRIGGERS}/manage/x"), 404, "Trigger instance not found")
    refused_natively(client("GET", "/workflows/nope"), 404, "NOT_FOUND")
    refused_natively(client.scoped("runs:read")("GET", "/workflows"), 403, "FORBIDDEN")
    refused(api.with_scopes("runs:read").get(f"{TRIGGERS}/active"), 403)


def test_without_a_key_the_path_says_in_which_form(api: Api) -> None:
    base = f"{api.server.url}/api/v1"
    ours, native = (requests.get(base + path, timeout=10) for path in (f"{TRIGGERS}/active", "/workflows"))

    refused(ours, 401, "Invalid or missing API key")
    assert ours.headers["WWW-Authenticate"] == "Bearer"
    refused_natively(native, 401, "UNAUTHORIZED", "Invalid or missing API key")


def test_both_ways_to_send_a_key_work_and_the_header_of_its_own_counts(api: Api) -> None:
    url = f"{api.server.url}/api/v1/users/profile"
    key, other = flowra(api).key, flowra(api).key

    bearer = requests.get(url, headers={"Authorization": f"Bearer {key}"}, timeout=10)
    both = requests.get(url, headers={"Authorization": "Bearer wrong", "x-api-key": other}, timeout=10)

    assert (bearer.status_code, both.status_code) == (200, 200)
    assert decode(bearer.content)["data"]["id"] != decode(both.content)["data"]["id"]


def test_other_methods_are_refused_in_the_form_of_the_path(api: Api) -> None:
    ours = api("PUT", f"{TRIGGERS}/active")

    refused(ours, 405)
    assert ours.headers["Allow"] == "GET"
    refused_natively(flowra(api)("PATCH", "/workflows"), 405, "METHOD_NOT_ALLOWED")


def test_unknown_paths_are_refused_in_the_form_of_what_is_nearest(api: Api) -> None:
    client = flowra(api)

    refused(api.get(f"{TRIGGERS}/nothing/here"), 404, "Route not found")
    refused_natively(client("GET", "/runs/x/nothing"), 404, "NOT_FOUND", "Route not found")
    refused(client("GET", "/nothing"), 404, "Route not found")
    refused_natively(api.get("/nothing"), 404, "NOT_FOUND", "Route not found")


def test_bodies_that_are_too_large_or_no_json_are_refused_in_the_form_of_the_path(api: Api) -> None:
    client = flowra(api)
    path = f"{TRIGGERS}/schedule/upsert"

    refused(client("POST", path, {"triggerConfig": {"note": "x" * 1024 * 1024}}), 413)
    refused(client("POST", path, headers={"Content-Type": "text/xml"}, data="<a/>"), 415)
    refused(client("POST", path, headers={"Content-Type": "application/json"}, data="{"), 400)


def test_too_many_requests_are_refused_in_the_form_of_the_path(tmp_path_factory: pytest.TempPathFactory) -> None:
    key = "wfk_the-admin-key-of-this-test-alone"
    settings = Settings(
        server=Server(data=tmp_path_factory.mktemp("rates")),
        admin=Admin(key=key),
        rate_limit=RateLimit(read=1, write=0, execute=0, webhooks=0),
    )
    with live(settings) as server:
        api = Api(server, server.parts.first_workspace, key)
        assert api.get(f"{TRIGGERS}/active").status_code == 200

        ours, native = api.get(f"{TRIGGERS}/active"), api.get("/workflows")

    refused(ours, 429)
    assert int(ours.headers["Retry-After"]) >= 1
    refused_natively(native, 429, "RATE_LIMITED")


def test_a_native_workflow_is_started_by_an_instance(api: Api) -> None:
    document: Json = transform(slug="own")
    workflow = api.workflow(document)

    row = flowra(api).upsert(workflowId=workflow)

    assert row["workflowId"] == workflow.removeprefix("wf_")
