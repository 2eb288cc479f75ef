"""The LoopFour dialect: Stepwell's own API, the richest of the four."""

from stepwell.http.dialects.loopfour import (
    admin,
    approvals,
    auth_configs,
    budgets,
    connections,
    connectors,
    deliveries,
    endpoints,
    events,
    runs,
    schedules,
    secrets,
    starts,
    vault,
    workflows,
)
from stepwell.http.dialects.loopfour.answers import STATUSES, envelope, error_schema, refusal
from stepwell.http.dialects.loopfour.names import IDS, STATUS
from stepwell.http.routes import Dialect

__all__ = ["DIALECT"]

DIALECT = Dialect(
    name="loopfour",
    base="/api/v1",
    routes=(
        *starts.ROUTES,
        *runs.ROUTES,
        *events.ROUTES,
        *approvals.ROUTES,
        *workflows.ROUTES,
        *schedules.ROUTES,
        *secrets.ROUTES,
        *connections.ROUTES,
        *auth_configs.ROUTES,
        *connectors.ROUTES,
        *endpoints.ROUTES,
        *deliveries.ROUTES,
        *admin.ROUTES,
        *budgets.ROUTES,
        *vault.ROUTES,
    ),
    refusal=refusal,
    error_schema=error_schema,
    envelope=envelope,
    statuses=STATUSES,
    absent=("/runs/bulk",),
    run_states=STATUS,
    ids=IDS,
)
