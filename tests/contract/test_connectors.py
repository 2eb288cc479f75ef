"""Connectors made of OpenAPI documents, as clients add and use them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml

from answering import Answering
from live import Api, refused, transform
from stepwell.store import StoredConnector
from stepwell.values import Json, decode

DOCUMENT = (Path(__file__).parent / "petstore.yaml").read_text()
KEY = "shop-key-123456"


@pytest.fixture
def shop(operator: Api, upstream: Answering) -> Iterator[str]:
    """The connector of the pet shop, at the upstream."""
    operator.data("POST", "/connectors", {"name": "petshop", "document": DOCUMENT, "baseUrl": f"{upstream.url}/shop"})
    yield "petshop"
    operator("DELETE", "/connectors/petshop")


def act(api: Api, action: str, config: Json, given: Json = None, **connection: Json) -> Json:
    """A finished run of one action on a new connection."""
    fields = {"name": "Shop", "provider": "petshop", "credentials": {"shopKey": KEY}, "isDefault": True, **connection}
    api.data("POST", "/connections", fields)
    step = {"id": "only", "type": "action", "action": f"petshop.{action}", "config": config}
    return api.finish(api.workflow(transform(steps=[step])), input=given or {})


def output(run: Json) -> Json:
    return run["steps"][0]["output"]


def test_a_document_becomes_typed_actions_and_a_list_of_what_is_not_imported(operator: Api, shop: str) -> None:
    found = operator.data("GET", "/connectors/petshop")

    assert [action["name"] for action in found["actions"]] == [
        "petshop.listPets",
        "petshop.addPet",
        "petshop.getPetById",
        "petshop.deletePetsByPetId",
        "petshop.ordersPlaceOrder",
        "petshop.setNote",
        "petshop.listOwners",
    ]
    assert [skipped["operation"] for skipped in found["skipped"]] == ["POST /pets/{petId}/photo", "GET /legacy"]
    assert "multipart/form-data" in found["skipped"][0]["reason"]
    assert [(field["name"], field["title"], field["secret"]) for field in found["credentials"]] == [
        ("shopKey", "X-Shop-Key (header)", True),
        ("accessToken", "Access token", True),
    ]
    assert found["auth"] == ["header", "bearer"]
    assert found["oauth"] == {
        "authorizeUrl": "https://petshop.example.com/authorize",
        "tokenUrl": "https://petshop.example.com/token",
        "scopes": ["read", "write"],
    }
    assert found["test"] == "petshop.listPets"


def test_parameters_go_where_the_document_says(api: Api, shop: str, upstream: Answering) -> None:
    upstream.body = b'[{"id": 1, "name": "Rex"}]'
    config = {
        "X-Trace": "{{input.trace}}",
        "limit": "{{input.limit}}",
        "tags": ["a b", "c"],
        "ids": [1, 2],
        "filter": {"kind": "cat"},
        "sort_by": "age",
        "session": "a;b",
    }

    run = act(api, "listPets", config, {"trace": "t-1", "limit": "5"})

    assert output(run) == [{"id": 1, "name": "Rex"}]
    seen = upstream.seen[0]
    path, _, query = seen.path.partition("?")
    assert (seen.method, path) == ("GET", "/shop/pets")
    assert parse_qsl(query) == [
        ("limit", "5"),
        ("tags", "a b"),
        ("tags", "c"),
        ("ids", "1,2"),
        ("filter[kind]", "cat"),
        ("sort[by]", "age"),
    ]
    assert seen.headers["x-trace"] == "t-1"
    assert seen.headers["x-shop-key"] == KEY
    assert seen.headers["cookie"] == "session=a%3Bb"
    assert seen.body == b""


def test_what_is_not_given_is_not_sent(api: Api, shop: str, upstream: Answering) -> None:
    act(api, "listPets", {})

    assert urlsplit(upstream.seen[0].path).query == ""
    assert "x-trace" not in upstream.seen[0].headers
    assert "cookie" not in upstream.seen[0].headers


@pytest.mark.parametrize(
    ("id", "path"), [("a/b?c#d", "/shop/pets/a%2Fb%3Fc%23d"), ("é {{x}}", "/shop/pets/%C3%A9%20%7B%7Bx%7D%7D")]
)
def test_what_is_in_a_path_stays_in_its_segment(api: Api, shop: str, upstream: Answering, id: str, path: str) -> None:
    act(api, "getPetById", {"petId": "{{input.id}}"}, {"id": id})

    assert upstream.seen[0].path == path


@pytest.mark.parametrize("id", ["..", ".", ""])
def test_an_id_that_would_climb_is_never_sent(api: Api, shop: str, upstream: Answering, id: str) -> None:
    run = act(api, "getPetById", {"petId": "{{input.id}}"}, {"id": id})

    assert run["status"] == "failed"
    assert upstream.seen == []


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\n", "a\x00b"])
def test_a_header_that_would_hold_another_is_never_sent(api: Api, shop: str, upstream: Answering, value: str) -> None:
    run = act(api, "listPets", {"X-Trace": "{{input.trace}}"}, {"trace": value})

    assert run["error"]["message"] == "Header X-Trace holds a line break or control character"
    assert upstream.seen == []


def test_a_json_body_is_sent_as_it_is_given(api: Api, shop: str, upstream: Answering) -> None:
    body = {"name": "{{input.name}}", "born": None, "kind": "dog", "more": {"price": "{{input.price}}"}}

    act(api, "addPet", {"body": body}, {"name": "Rex", "price": 19.90})

    seen = upstream.seen[0]
    assert (seen.method, seen.path, seen.headers["content-type"]) == ("POST", "/shop/pets", "application/json")
    assert seen.body == b'{"name":"Rex","born":null,"kind":"dog","more":{"price":19.9}}'
    assert seen.headers["idempotency-key"].endswith(":only")


def test_a_form_body_repeats_the_names_of_lists(api: Api, shop: str, upstream: Answering) -> None:
    act(api, "ordersPlaceOrder", {"body": {"pet": "Rex & Co", "extras": ["bowl", "lead"]}})

    seen = upstream.seen[0]
    assert (seen.method, seen.headers["content-type"]) == ("POST", "application/x-www-form-urlencoded")
    assert seen.body == b"pet=Rex+%26+Co&extras=bowl&extras=lead"


def test_an_optional_body_that_is_absent_is_not_sent(api: Api, shop: str, upstream: Answering) -> None:
    act(api, "ordersPlaceOrder", {})

    assert upstream.seen[0].body == b""
    assert "form" not in upstream.seen[0].headers.get("content-type", "")


def test_text_goes_and_comes_as_text(api: Api, shop: str, upstream: Answering) -> None:
    upstream.body = b"kept: 007"

    run = act(api, "setNote", {"body": "feed at 7"})

    assert output(run) == "kept: 007"
    seen = upstream.seen[0]
    assert (seen.method, seen.path, seen.headers["content-type"]) == ("PUT", "/shop/note", "text/plain")
    assert seen.body == b"feed at 7"


def test_an_operation_without_an_id_is_named_by_method_and_path(api: Api, shop: str, upstream: Answering) -> None:
    upstream.body = b""

    run = act(api, "deletePetsByPetId", {"petId": "7"})

    assert (upstream.seen[0].method, upstream.seen[0].path) == ("DELETE", "/shop/pets/7")
    assert output(run) is None


def test_a_failure_is_read_from_the_usual_error_bodies(api: Api, shop: str, upstream: Answering) -> None:
    upstream.statuses, upstream.body = (
        [422],
        json.dumps({"error": {"message": f"no {KEY}", "code": "bad_pet"}}).encode(),
    )

    run = act(api, "getPetById", {"petId": "7"})

    assert run["error"]["message"] == "no [secret]"
    details = run["stepResults"][0]["error"]["details"]
    assert details == {"kind": "http", "retryable": False, "httpStatus": 422, "providerCode": "bad_pet"}


def test_a_simulator_answers_from_the_documents_examples(api: Api, shop: str, upstream: Answering) -> None:
    run = act(api, "addPet", {"body": {"name": "Rex"}}, mode="simulator")

    assert output(run) == {"id": 7, "name": "Rex {{not a template}}"}
    assert upstream.seen == []


def test_a_simulator_answers_from_the_documents_schemas(api: Api, shop: str) -> None:
    run = act(api, "getPetById", {"petId": "7"}, mode="simulator")

    assert output(run) == {"id": 1, "name": "text", "born": "2024-01-15", "kind": "cat"}


def test_steps_are_checked_against_the_document_when_they_are_saved(api: Api, shop: str) -> None:
    def step(id: str, action: str, config: Json) -> Json:
        return {"id": id, "type": "action", "action": action, "config": config}

    steps = [
        step("a", "petshop.getPetById", {}),
        step("b", "petshop.listPets", {"limit": 500, "tags": "red", "sort_by": "size"}),
        step("c", "petshop.addPet", {"body": {"kind": "cow", "born": "{{input.born}}"}}),
        step("d", "petshop.listPets", {"limit": "{{input.limit}}", "tags": ["{{input.tag}}", 7]}),
        step("e", "petshop.sing", {}),
    ]

    details = refused(api.post("/workflows", transform(steps=steps)), 400, "VALIDATION_ERROR")

    assert {(detail["field"], detail["message"]) for detail in details} == {
        ("steps[0].config.petId", "Required"),
        ("steps[1].config.limit", "Number must be less than or equal to 100"),
        ("steps[1].config.tags", "Expected array, received string"),
        ("steps[1].config.sort_by", "Invalid enum value. Expected 'name' | 'age', received 'size'"),
        ("steps[2].config.body.name", "Required"),
        ("steps[2].config.body.kind", "Invalid enum value. Expected 'cat' | 'dog', received 'cow'"),
        ("steps[3].config.tags[1]", "Expected string, received number"),
        ("steps[4].action", "Unknown action: petshop.sing"),
    }


def test_a_document_may_come_as_json_and_its_server_relative_to_its_address(operator: Api) -> None:
    document = yaml.safe_load(DOCUMENT) | {"servers": [{"url": "../api"}]}
    body = {"name": "relative", "document": document, "url": "http://127.0.0.1:9/docs/v2/openapi.json"}

    added = operator.data("POST", "/connectors", body)

    assert added["baseUrl"] == "http://127.0.0.1:9/docs/api"
    operator.data("DELETE", "/connectors/relative")


def test_the_server_reads_a_document_from_its_address(operator: Api, upstream: Answering) -> None:
    upstream.body = json.dumps(yaml.safe_load(DOCUMENT) | {"servers": [{"url": "/"}]}).encode()

    added = operator.data("POST", "/connectors", {"name": "fetched", "url": f"{upstream.url}/openapi.json"})

    assert (added["source"], added["baseUrl"]) == (f"{upstream.url}/openapi.json", upstream.url)
    assert upstream.seen[0].path == "/openapi.json"
    operator.data("DELETE", "/connectors/fetched")


def test_the_address_of_a_document_that_cannot_be_read_is_a_fault(operator: Api, upstream: Answering) -> None:
    upstream.statuses = [404]
    for url, told in (
        (f"{upstream.url}/x", "The address answered 404, not a document"),
        ("file:///etc/passwd", "Not an http or https URL"),
        ("http://169.254.169.254/", "Connection to 169.254.169.254 refused: it is a metadata address"),
    ):
        details = refused(operator.post("/connectors", {"name": "x", "url": url}), 400, "VALIDATION_ERROR")
        assert details == [{"path": ["url"], "message": told}]


def test_connectors_are_listed_with_their_actions(api: Api, shop: str) -> None:
    found = {each["name"]: each for each in api.data("GET", "/connectors")}

    assert found["petshop"]["builtIn"] is False
    assert {"name": "petshop.listPets", "title": "List pets"} in found["petshop"]["actions"]
    assert found["stripe"]["builtIn"] is True
    assert {"name": "stripe.createInvoice"}.items() <= found["stripe"]["actions"][0].items()


def test_a_connector_that_comes_with_stepwell_is_shown_and_cannot_be_replaced_or_removed(operator: Api) -> None:
    assert operator.data("GET", "/connectors/stripe")["builtIn"] is True

    body = {"name": "stripe", "document": DOCUMENT, "replace": True}
    refused(operator.post("/connectors", body), 409, "ALREADY_EXISTS")
    refused(operator("DELETE", "/connectors/stripe"), 409, "ALREADY_EXISTS")


def test_a_name_that_is_taken_is_refused_unless_it_is_to_be_replaced(operator: Api, shop: str) -> None:
    refused(operator.post("/connectors", {"name": "petshop", "document": DOCUMENT}), 409, "ALREADY_EXISTS")

    replaced = operator.data("POST", "/connectors", {"name": "petshop", "document": DOCUMENT, "replace": True})

    assert replaced["baseUrl"] == "https://petshop.example.com/shop/v3"


def test_a_removed_connector_is_gone_at_once(operator: Api, api: Api, shop: str) -> None:
    operator.data("DELETE", "/connectors/petshop")

    refused(operator.get("/connectors/petshop"), 404, "NOT_FOUND")
    refused(operator("DELETE", "/connectors/petshop"), 404, "NOT_FOUND")
    step = {"id": "a", "type": "action", "action": "petshop.listPets", "config": {}}
    refused(api.post("/workflows", transform(steps=[step])), 400, "VALIDATION_ERROR")


def test_only_admins_of_the_first_workspace_change_connectors(operator: Api, api: Api, shop: str) -> None:
    body = {"name": "mine", "document": DOCUMENT}
    refused(api.post("/connectors", body), 403, "FORBIDDEN")
    refused(api("DELETE", "/connectors/petshop"), 403, "FORBIDDEN")
    refused(operator.with_scopes("connections:write").post("/connectors", body), 403, "FORBIDDEN")
    refused(api.with_scopes("runs:read").get("/connectors"), 403, "FORBIDDEN")


@pytest.mark.parametrize(
    ("change", "path", "told"),
    [
        ({"name": "Pet Shop"}, ["name"], "A connector's name takes"),
        ({"name": "api"}, ["name"], "The name api is taken"),
        ({"document": "openapi: [1"}, ["document"], "The document is not YAML"),
        ({"document": '{"openapi": '}, ["document"], "The document is not JSON"),
        ({"document": "just words"}, ["document"], "Expected an OpenAPI document"),
        ({"document": {"swagger": "2.0"}}, ["document", "swagger"], "Swagger 2.0 is not read"),
        ({"document": {"openapi": "4.0.0", "paths": {}}}, ["document", "openapi"], "Expected OpenAPI 3.0 or 3.1"),
        ({"document": {"openapi": "3.1.0"}}, ["document", "paths"], "The document has no paths"),
        ({"baseUrl": "file:///etc"}, ["baseUrl"], "Expected an http or https URL"),
        ({"document": None}, ["document"], "Required, unless url is given"),
    ],
)
def test_bad_input_is_told_with_its_place(operator: Api, change: Json, path: list[str], told: str) -> None:
    body: dict[str, Any] = {"name": "bad", "document": DOCUMENT, **change}
    if body["document"] is None:
        del body["document"]

    details = refused(operator.post("/connectors", body), 400, "VALIDATION_ERROR")

    assert [detail["path"] for detail in details] == [path]
    assert details[0]["message"].startswith(told)


def test_a_document_of_several_megabytes_fits_and_one_beyond_ten_does_not(operator: Api) -> None:
    small = yaml.safe_load(DOCUMENT)
    large = small | {"x-padding": "x" * (3 * 1024 * 1024)}
    operator.data("POST", "/connectors", {"name": "large", "document": large})
    operator.data("DELETE", "/connectors/large")

    too_large = small | {"x-padding": "x" * (10 * 1024 * 1024)}
    refused(operator.post("/connectors", {"name": "large", "document": too_large}), 413, "PAYLOAD_TOO_LARGE")


def test_a_stored_connector_is_there_after_a_start(operator: Api, api: Api, shop: str, upstream: Answering) -> None:
    core = operator.server.parts.core
    core.connectors.drop("petshop")
    assert operator.get("/connectors/petshop").status_code == 404

    operator.server.call(core.library.load())

    assert len(decode(operator.get("/connectors/petshop").content)["data"]["actions"]) == 7
    act(api, "getPetById", {"petId": "7"})
    assert upstream.seen[0].path == "/shop/pets/7"


def test_a_stored_connector_that_cannot_be_read_is_left_out_and_stops_nothing(operator: Api, shop: str) -> None:
    core = operator.server.parts.core
    broken = StoredConnector(
        name="broken",
        title="Broken",
        source=None,
        manifest=b'{"name": "broken", "colour": "red"}',
        skipped=b"[]",
        created_at=0,
        updated_at=0,
    )
    operator.server.call(core.store.connectors.put(broken, replace=False))

    operator.server.call(core.library.load())

    names = [each["name"] for each in operator.data("GET", "/connectors")]
    assert "petshop" in names
    assert "broken" not in names
    operator.data("DELETE", "/connectors/broken")
