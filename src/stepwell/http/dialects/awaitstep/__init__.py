"""The AwaitStep dialect: graphs that are deployed, runs with instance ids, functions."""

from stepwell.http.dialects.awaitstep import (
    connections,
    control,
    deploy,
    env_vars,
    events,
    projects,
    runs,
    trigger,
    versions,
    workflows,
)
from stepwell.http.dialects.awaitstep.answers import STATUSES, envelope, error_schema, refusal
from stepwell.http.dialects.awaitstep.names import IDS, STATUS
from stepwell.http.routes import Dialect

__all__ = ["DIALECT"]

DIALECT = Dialect(
    name="awaitstep",
    base="",
    routes=(
        *trigger.ROUTES,
        *events.ROUTES,
        *runs.ROUTES,
        *control.ROUTES,
        *workflows.ROUTES,
        *versions.ROUTES,
        *deploy.ROUTES,
        *env_vars.ROUTES,
        *connections.ROUTES,
        *projects.ROUTES,
    ),
    refusal=refusal,
    error_schema=error_schema,
    envelope=envelope,
    statuses=STATUSES,
    run_states=STATUS,
    ids=IDS,
)
