"""What OpenAPI promises is true: generated requests, good and bad, get only the answers it tells of."""

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import CHECKS

from asking import ask
from contract.hooks import listening, path_of, send, taken
from live import Api, failing, transform
from stepwell.http import DIALECTS, openapi_document

described = schemathesis.openapi.from_dict(openapi_document(DIALECTS))
few = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

# Bodies that fit their schema and may be refused all the same: a schema cannot say which templates compile, which
# credentials a provider takes, which connections exist, or that a header and a body name the same key.
BEYOND_SCHEMA = {
    "POST /api/v1/workflows",
    "PUT /api/v1/workflows/{id}",
    "PATCH /api/v1/workflows/{id}/canvas",
    "POST /api/v1/workflows/{id}/run",
    "POST /api/v1/events",
    "POST /api/v1/workflows/{id}/secrets",
    "PUT /api/v1/workflows/{id}/secrets/{key}",
    "POST /api/v1/connections",
    "PUT /api/v1/connections/{id}",
    "POST /api/v1/auth-configs",
    "POST /api/v1/connections/{id}/authorize",
    "POST /api/v1/admin/keys",
    "POST /api/v1/webhook-deliveries/{id}/start",
    "POST /api/v1/webhook-endpoints",
    "PUT /api/v1/webhook-endpoints/{id}",
    "POST /api/v1/trigger_instances/{slug}/upsert",
    "PATCH /api/v1/trigger_instances/manage/{triggerId}/status",
    "POST /api/v1/auth_configs",
    "GET /api/v1/connected_accounts",
    "POST /api/v1/external-users",
    "POST /api/v1/workflow/manager/create",
    "PATCH /api/v1/workflow/manager/update/{id}",
    "POST /api/workflows",
    "PATCH /api/workflows/{id}",
    "POST /api/workflows/{id}/versions",
    "POST /api/connections",
    "PATCH /api/connections/{id}",
    "POST /api/env-vars",
    "PATCH /api/env-vars/{id}",
    "POST /api/v1/workspaces/{workspace_id}/workflows",
    "PUT /api/v1/workspaces/{workspace_id}/workflows/{id}",
    "POST /api/v1/workflows/{id}/nodes",
    "PUT /api/v1/workflows/{id}/nodes/{node_id}",
}
ACCEPTANCE = CHECKS.get_one("positive_data_acceptance")
REJECTION = CHECKS.get_one("negative_data_rejection")


@described.parametrize()
@few
def test_every_operation_answers_as_described(case: Case, api: Api) -> None:
    checked(case, api)


@pytest.fixture
def existing(api: Api) -> dict[str, str]:
    """An id of each kind of thing."""
    connection = {"name": "s", "provider": "stripe", "mode": "simulator"}
    return {
        "workflows": api.workflow(transform()),
        "workflow": api.workflow(transform()),
        "runs": api.finish(api.workflow(failing()))["id"],
        "approvals": ask(api, approvers=("ana", "bo")).id,
        "webhook-deliveries": taken(send(api, path_of(api, api.workflow(listening({"path": "orders"}))), {"n": 1})),
        "webhook-endpoints": api.data("POST", "/webhook-endpoints", {"url": "http://127.0.0.1:9/"})["id"],
        "connections": api.data("POST", "/connections", connection)["id"],
        "auth-configs": api.data("POST", "/auth-configs", {"provider": "stripe", "scheme": "API_KEY"})["id"],
        "admin": api.data("POST", "/admin/keys", {"name": "k", "scopes": ["runs:read"]})["id"],
    }


@described.include(path_regex=r"\{id\}").parametrize()
@few
def test_every_operation_answers_as_described_for_things_that_exist(
    case: Case, api: Api, existing: dict[str, str]
) -> None:
    parts = case.path.split("/")
    kind = parts[3] if parts[1:3] == ["api", "v1"] else parts[parts.index("{id}") - 1]
    case.path_parameters["id"] = existing.get(kind, existing["workflows"])
    if kind == "workspaces":
        case.path_parameters |= {"workspace_id": api.workspace, "id": case.path_parameters["id"][3:]}
    elif "/nodes" in case.path:
        case.path_parameters["id"] = existing["workflows"][3:]
    unless = [ACCEPTANCE]  # what exists may be in a state that does not allow the call
    if kind == "workspaces" or "/nodes" in case.path:
        unless.append(REJECTION)  # an id that was made to be no UUID was just replaced by one
    checked(case, api, unless)


def checked(case: Case, api: Api, unless: list[object] | None = None) -> None:
    """Send the request and check the answer. Cursors are opaque: a made-up one is always refused, as are fields that
    the items of a list do not have."""
    for name in ("cursor", "fields") if case.query else ():
        case.query.pop(name, None)
    excluded = unless or ([ACCEPTANCE] if f"{case.method} {case.path}" in BEYOND_SCHEMA else [])
    case.call_and_validate(
        base_url=api.server.url, headers={"x-api-key": api.key}, timeout=10, excluded_checks=excluded
    )
