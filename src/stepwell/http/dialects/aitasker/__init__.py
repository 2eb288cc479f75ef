"""The AITasker dialect: nodes, task work for outside workers, and what it all costs."""

from stepwell.http.dialects.aitasker import nodes, runs, tasks, workflows, workspaces
from stepwell.http.dialects.aitasker.answers import STATUSES, envelope, error_schema, refusal
from stepwell.http.dialects.aitasker.names import IDS, STATUS
from stepwell.http.routes import Dialect

__all__ = ["DIALECT"]

DIALECT = Dialect(
    name="aitasker",
    base="/api/v1",
    routes=(*runs.ROUTES, *workflows.ROUTES, *nodes.ROUTES, *tasks.ROUTES, *workspaces.ROUTES),
    refusal=refusal,
    error_schema=error_schema,
    envelope=envelope,
    statuses=STATUSES,
    run_states=STATUS,
    ids=IDS,
)
