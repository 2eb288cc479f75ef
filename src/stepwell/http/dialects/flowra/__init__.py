"""The Flowra dialect: triggers beside workflows, end users with their own accounts, as the vendor's client asks."""

from stepwell.http.dialects.flowra import (
    accounts,
    auth_configs,
    catalogue,
    end_users,
    executions,
    logs,
    profile,
    triggers,
    workflows,
)
from stepwell.http.dialects.flowra.answers import STATUSES, envelope, error_schema, refusal
from stepwell.http.dialects.flowra.names import IDS
from stepwell.http.dialects.flowra.progress import STATUS
from stepwell.http.dialects.flowra.queries import folded
from stepwell.http.routes import Dialect

__all__ = ["DIALECT"]

DIALECT = Dialect(
    name="flowra",
    base="/api/v1",
    routes=(
        *triggers.ROUTES,
        *logs.ROUTES,
        *workflows.ROUTES,
        *executions.ROUTES,
        *accounts.ROUTES,
        *auth_configs.ROUTES,
        *end_users.ROUTES,
        *catalogue.ROUTES,
        *profile.ROUTES,
    ),
    refusal=refusal,
    error_schema=error_schema,
    envelope=envelope,
    statuses=STATUSES,
    folded=folded,
    run_states=STATUS,
    ids=IDS,
)
