"""The LoopFour dialect: Stepwell's own API, the richest of the four."""

from stepwell.http.dialects.loopfour import admin, approvals, connections, events, runs, secrets, starts, workflows
from stepwell.http.dialects.loopfour.answers import STATUSES, error_schema, refusal
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
        *secrets.ROUTES,
        *connections.ROUTES,
        *admin.ROUTES,
    ),
    refusal=refusal,
    error_schema=error_schema,
    statuses=STATUSES,
    absent=("/runs/bulk",),
)
