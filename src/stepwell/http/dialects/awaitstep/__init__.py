"""The AwaitStep dialect: graphs that are deployed, runs with instance ids, functions."""

from dataclasses import replace

from stepwell.http.dialects.awaitstep import (
    calls,
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
from stepwell.http.routes import Dialect, Route

__all__ = ["DIALECT"]


def _told(route: Route) -> Route:
    """A route with the refusals of what is sent: of a query 422, of a body that is no JSON 400."""
    of_query = () if route.query is None else ("VALIDATION_ERROR",)
    of_body = () if route.body is None else ("BAD_REQUEST",)
    return replace(route, errors=tuple(dict.fromkeys((*route.errors, *of_query, *of_body))))


_ROUTES = (
    *trigger.ROUTES,
    *events.ROUTES,
    *runs.ROUTES,
    *control.ROUTES,
    *workflows.ROUTES,
    *versions.ROUTES,
    *deploy.ROUTES,
    *calls.ROUTES,
    *env_vars.ROUTES,
    *connections.ROUTES,
    *projects.ROUTES,
)
DIALECT = Dialect(
    name="awaitstep",
    base="",
    routes=tuple(map(_told, _ROUTES)),
    refusal=refusal,
    error_schema=error_schema,
    envelope=envelope,
    statuses=STATUSES,
    run_states=STATUS,
    ids=IDS,
)
