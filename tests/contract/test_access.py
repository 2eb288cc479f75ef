"""Who may ask for what: keys, scopes and ids. Source: LoopFour contract 1.3, 1.4, 1.6 and 2."""

from collections.abc import Iterator

import pytest
import requests

from live import Api, NewApi, refused, transform
from stepwell.auth import SCOPES
from stepwell.http import DIALECTS
from stepwell.http.routes import Route

UNKNOWN = "01890000-0000-7000-8000-000000000000"
GRANTED = {
    "workflows:read": {
        "GET /workflows",
        "GET /workflows/{id}",
        "GET /workflows/{id}/versions",
        "GET /workflows/{id}/versions/{n}",
        "GET /workflows/{id}/schedule/next",
        "GET /workflows/{id}/schedule/history",
        "GET /webhook-endpoints",
        "GET /webhook-endpoints/{id}",
        "GET /webhook-endpoints/{id}/deliveries",
    },
    "workflows:write": {
        "POST /workflows",
        "PUT /workflows/{id}",
        "DELETE /workflows/{id}",
        "POST /workflows/{id}/activate",
        "POST /workflows/{id}/resume",
        "POST /workflows/{id}/pause",
        "POST /workflows/{id}/archive",
        "POST /workflows/{id}/duplicate",
        "PATCH /workflows/{id}/canvas",
        "POST /workflows/{id}/versions/{n}/restore",
        "POST /webhook-endpoints",
        "PUT /webhook-endpoints/{id}",
        "DELETE /webhook-endpoints/{id}",
        "POST /webhook-endpoints/{id}/rotate-secret",
        "POST /webhook-endpoints/{id}/test",
        "POST /webhook-endpoints/{id}/deliveries/{deliveryId}/retry",
    },
    "workflows:execute": {
        "POST /workflows/{id}/run",
        "POST /workflows/{id}/run/batch",
        "POST /runs/{id}/cancel",
        "POST /runs/{id}/retry",
        "POST /runs/{id}/restart",
        "POST /runs/{id}/pause",
        "POST /runs/{id}/resume",
        "POST /runs/{id}/events",
        "POST /events",
        "POST /approvals/{id}/approve",
        "POST /approvals/{id}/reject",
        "POST /webhook-deliveries/{id}/replay",
        "POST /webhook-deliveries/{id}/start",
    },
    "runs:read": {
        "GET /runs",
        "GET /runs/{id}",
        "GET /runs/{id}/logs",
        "GET /runs/{id}/stream",
        "GET /approvals",
        "GET /approvals/{id}",
        "GET /webhook-deliveries",
        "GET /webhook-deliveries/{id}",
    },
    "runs:write": {"DELETE /runs/{id}"},
    "connections:read": {
        "GET /connections",
        "GET /connections/{id}",
        "GET /auth-configs",
        "GET /auth-configs/{id}",
        "GET /connectors",
        "GET /connectors/{name}",
    },
    "connections:write": {
        "POST /connections",
        "PUT /connections/{id}",
        "DELETE /connections/{id}",
        "POST /connections/{id}/test",
        "POST /connections/{id}/authorize",
        "POST /auth-configs",
        "DELETE /auth-configs/{id}",
    },
    "secrets:write": {
        "GET /workflows/{id}/secrets",
        "POST /workflows/{id}/secrets",
        "PUT /workflows/{id}/secrets/{key}",
        "DELETE /workflows/{id}/secrets/{key}",
    },
    "admin": {
        "GET /admin/keys",
        "POST /admin/keys",
        "DELETE /admin/keys/{id}",
        "GET /admin/workspaces",
        "POST /admin/workspaces",
        "GET /admin/workspaces/{id}",
        "GET /admin/vault",
        "GET /admin/budget",
        "PUT /admin/budget",
        "DELETE /admin/budget",
        "GET /admin/keys/{id}/budget",
        "PUT /admin/keys/{id}/budget",
        "DELETE /admin/keys/{id}/budget",
        "POST /admin/vault/rotate",
        "POST /connectors",
        "DELETE /connectors/{name}",
    },
}
OF_OTHERS = {"workflows:deploy", "tasks:work", "tasks:accept"}  # what they grant is in other dialects
WITHOUT_KEY = {"GET /approvals/{id}/decide", "POST /approvals/{id}/decide"}
BODIES = {"POST /workflows/{id}/secrets": {"key": "K", "value": "long enough"}}


def routes() -> Iterator[Route]:
    for dialect in DIALECTS:
        if dialect.name == "loopfour":
            yield from dialect.routes


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_each_scope_grants_what_the_table_says() -> None:
    granted: dict[str, set[str]] = {scope: set() for scope in SCOPES - OF_OTHERS}
    without_key = set()
    for route in routes():
        (without_key if route.scope is None else granted[route.scope]).add(named(route))

    assert (granted, without_key) == (GRANTED, WITHOUT_KEY)


def test_each_request_counts_in_its_category() -> None:
    execute = GRANTED["workflows:execute"] | {"POST /approvals/{id}/decide"}

    for route in routes():
        category = "execute" if named(route) in execute else "read" if route.method == "GET" else "write"
        assert route.rate == category, named(route)


@pytest.mark.parametrize("scope", sorted(GRANTED))
def test_without_its_scope_nothing_is_answered(api: Api, scope: str) -> None:
    without = api.with_scopes(*(GRANTED.keys() - {scope, "admin"}))

    for each in GRANTED[scope]:
        method, path = each.split()
        response = without(
            method, path.format(id=UNKNOWN, n=1, key="K", name="stripe", deliveryId=UNKNOWN), BODIES.get(each)
        )
        assert refused(response, 403, "FORBIDDEN", f"Missing required scope: {scope}") == [{"scope": scope}]


def test_an_admin_key_may_do_everything_in_its_workspace(api: Api) -> None:
    boss = api.with_scopes("admin")
    workflow = boss.workflow(transform())

    assert boss.finish(workflow)["status"] == "completed"
    assert boss.get("/connections").status_code == 200


def test_an_expired_key_is_refused_when_it_is_made(api: Api) -> None:
    body = {"name": "k", "scopes": ["runs:read"], "expiresAt": "2020-01-01T00:00:00Z"}

    details = refused(api.post("/admin/keys", body), 400, "VALIDATION_ERROR", "Invalid request")

    assert [fault["path"] for fault in details] == [["expiresAt"]]


def test_a_key_shows_when_it_ends_and_when_it_was_used(api: Api) -> None:
    body = {"name": "k", "scopes": ["runs:read", "workflows:read"], "expiresAt": "2999-01-01T00:00:00Z"}
    made = api.data("POST", "/admin/keys", body)
    requests.get(f"{api.server.url}/api/v1/runs", headers={"x-api-key": made["key"]}, timeout=10)

    (listed,) = (each for each in api.data("GET", "/admin/keys") if each["id"] == made["id"])

    assert (made["lastUsedAt"], made["expiresAt"]) == (None, "2999-01-01T00:00:00.000Z")
    assert listed["lastUsedAt"] >= made["createdAt"]
    assert (listed["scopes"], listed["dialect"]) == (["runs:read", "workflows:read"], "loopfour")


def test_several_keys_live_at_once(api: Api) -> None:
    one, other = api.with_scopes("runs:read"), api.with_scopes("runs:read")

    assert [each.get("/runs").status_code for each in (one, other, api)] == [200, 200, 200]


def test_an_id_is_accepted_with_and_without_prefix_and_answered_with_it(api: Api) -> None:
    workflow = api.workflow(transform())
    run = api.finish(workflow)["id"]
    connection = api.data("POST", "/connections", {"name": "s", "provider": "stripe", "mode": "simulator"})["id"]

    for path, id, prefix in (
        ("runs", run, "run_"),
        ("workflows", workflow, "wf_"),
        ("connections", connection, "conn_"),
    ):
        for written in (id, id.removeprefix(prefix), id.removeprefix(prefix).upper()):
            assert api.data("GET", f"/{path}/{written}")["id"] == id
    assert api.finish(workflow, connectionId=connection.removeprefix("conn_"))["connectionId"] == connection


def test_an_exact_id_wins_over_a_slug(api: Api) -> None:
    id = api.workflow(transform(name="First"))
    api.workflow(transform(name="Second", slug=id.removeprefix("wf_")))

    assert api.data("GET", f"/workflows/{id}")["name"] == "First"


def test_a_slug_of_another_workspace_is_not_found(new_api: NewApi) -> None:
    owner, stranger = new_api(), new_api()
    owner.workflow(transform(slug="daily"))

    refused(stranger.post("/workflows/wf_daily/run", {}), 404, "NOT_FOUND", "Workflow not found")


@pytest.mark.parametrize("path", ["/runs", "/workflows", "/connections", "/admin/keys"])
def test_every_list_is_paged_newest_first(api: Api, path: str) -> None:
    workflow = api.workflow(transform())
    for number in range(2):
        api.start(workflow)
        api.workflow(transform(name=f"w{number}"))
        api.data("POST", "/connections", {"name": "s", "provider": "stripe", "mode": "simulator"})
        api.with_scopes("runs:read")
    whole = [each["id"] for each in api.data("GET", path)]

    pages, cursor = [], ""
    while cursor is not None:
        page = api.get(f"{path}?limit=1{cursor and f'&cursor={cursor}'}").json()
        pages.append([each["id"] for each in page["data"]])
        assert page["meta"]["hasMore"] is ("cursor" in page["meta"])
        cursor = page["meta"].get("cursor")

    assert pages == [[id] for id in whole] and whole == sorted(whole, reverse=True)
