"""Workflows and connections named by their slugs. Source: AwaitStep contract 1, 13, check 3; the page's requests."""

import pytest

from awaitstep_client import AwaitstepApi, awaitstep
from awaitstep_graphs import graph, step
from awaitstep_runs import TARGET, compiled, final
from live import Api, NewApi
from stepwell.values import Json

PARAMS = {"orderId": "ord_001", "userId": "usr_42", "amount": 4999}


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


def target(client: AwaitstepApi) -> str:
    """The id of the workspace's own connection."""
    id: str = client.answer("GET", "/api/connections")["data"][0]["id"]
    return id


def deployed(client: AwaitstepApi) -> str:
    """A workflow that was written and deployed in this dialect."""
    id: str = client.answer("POST", "/api/workflows", {"name": "Order"}, 201)["id"]
    client.answer(
        "POST", f"/api/workflows/{id}/versions", {"ir": graph(step("a", "return event.payload"), edges="")}, 201
    )
    client.answer("POST", f"/api/workflows/{id}/deploy", {"connectionId": TARGET})
    return id


def test_the_ids_of_the_page_work_literally(client: AwaitstepApi) -> None:
    client.answer("PATCH", f"/api/workflows/{deployed(client)}", {"slug": "abc123"})
    client.answer("PATCH", f"/api/connections/{target(client)}", {"slug": "xyz789"})

    body = {"connectionId": "conn_xyz789", "params": PARAMS}
    run = client.answer("POST", "/api/workflows/wf_abc123/trigger", body, 201)

    ended = final(client, {"workflowId": "wf_abc123", "id": run["instanceId"]})
    assert (ended["status"], ended["output"]) == ("complete", PARAMS)


def test_a_slug_that_another_has_is_refused(client: AwaitstepApi) -> None:
    first, second = compiled(client), compiled(client)
    client.answer("PATCH", f"/api/workflows/{first}", {"slug": "abc123"})

    error = client.error("PATCH", f"/api/workflows/{second}", {"slug": "abc123"}, 409)

    assert error == "A workflow with the slug abc123 already exists"


@pytest.mark.parametrize("slug", ["", "a b", "x" * 65, "a/b"])
def test_a_slug_takes_letters_digits_and_dashes(client: AwaitstepApi, slug: str) -> None:
    places = (f"/api/workflows/{compiled(client)}", f"/api/connections/{target(client)}")

    told = [client.answer("PATCH", place, {"slug": slug}, 422)["details"] for place in places]

    assert [[each["path"] for each in details] for details in told] == [["slug"], ["slug"]]


def test_a_slug_that_was_taken_away_names_nothing(client: AwaitstepApi) -> None:
    workflow = compiled(client)
    for slug in ("abc123", None):
        client.answer("PATCH", f"/api/workflows/{workflow}", {"slug": slug})
        client.answer("PATCH", f"/api/connections/{TARGET}", {"slug": "xyz789" if slug else None})

    unknown = client.error("POST", "/api/workflows/wf_abc123/trigger", {"connectionId": TARGET}, 404)
    gone = client.error("POST", f"/api/workflows/{workflow}/trigger", {"connectionId": "conn_xyz789"}, 404)

    assert (unknown, gone) == ("Workflow not found", "Connection not found")


def test_the_target_keeps_its_own_name_beside_its_slug(client: AwaitstepApi) -> None:
    client.answer("PATCH", f"/api/connections/{TARGET}", {"slug": "xyz789"})

    runs = [
        client.answer("POST", f"/api/workflows/{compiled(client)}/trigger", {"connectionId": named}, 201)
        for named in (TARGET, "conn_xyz789", "xyz789")
    ]

    assert {run["connectionId"] for run in runs} == {target(client)}


@pytest.mark.parametrize("change", [{"name": "Other"}, {"credentials": {"key": "x"}}])
def test_nothing_else_of_the_target_is_changed(client: AwaitstepApi, change: Json) -> None:
    error = client.error("PATCH", f"/api/connections/{TARGET}", {**change, "slug": "xyz789"})

    assert error == "Only the slug of the stepwell connection can be changed"


def test_the_slug_of_one_workspace_names_nothing_in_another(client: AwaitstepApi, new_api: NewApi) -> None:
    client.answer("PATCH", f"/api/workflows/{compiled(client)}", {"slug": "abc123"})

    other = awaitstep(new_api())

    assert (
        other.error("POST", "/api/workflows/wf_abc123/trigger", {"connectionId": TARGET}, 404) == "Workflow not found"
    )
