"""Runs: listed and read. Source: AwaitStep contract 4.1, 6."""

from collections.abc import Mapping

from starlette.responses import Response

from stepwell.errors import NotFound
from stepwell.http.dialects.awaitstep.answers import bare
from stepwell.http.dialects.awaitstep.located import named_workflow, run, run_exists, workflow, workflow_exists
from stepwell.http.dialects.awaitstep.names import STATUS
from stepwell.http.dialects.awaitstep.pages import after, listing
from stepwell.http.dialects.awaitstep.run_row import Graphs, run_row
from stepwell.http.dialects.awaitstep.wire_runs import AllRunsQuery, RunRow, RunsQuery
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.states import RunState
from stepwell.store import RunFilter

_CHOSEN: Mapping[str, tuple[RunState, ...]] = {
    "paused": (RunState.RUNNING, RunState.SUSPENDED, RunState.PAUSED),
    "waiting": (RunState.RUNNING, RunState.SUSPENDED),
}
"""What else than the states of its name a word selects: running ones as far as they wait."""


async def get_run(call: Call[None, None]) -> Response:
    """GET /api/workflows/{id}/runs/{run_id}."""
    view = await run(call)
    return bare(run_row(view, await Graphs(call).of(view.run), steps=True))


async def list_runs(call: Call[RunsQuery, None]) -> Response:
    """GET /api/workflows/{id}/runs."""
    return await _listed(call, (await workflow(call)).id)


async def list_all_runs(call: Call[AllRunsQuery, None]) -> Response:
    """GET /api/runs."""
    named = call.query.workflow_id
    if named is None:
        return await _listed(call, None)
    try:
        row = await named_workflow(call, named)
    except NotFound:
        return bare({"data": [], "nextCursor": None})
    return await _listed(call, row.id)


async def _listed(call: AnyCall, workflow: str | None) -> Response:
    query = call.query
    before = after(query.cursor, "run")
    runs = await call.core.runs.page(_filter(call, workflow, query.status, before, query.limit + 1))
    graphs = Graphs(call)
    rows = {}
    for each in runs[: query.limit]:
        view = await call.core.runs.get(call.workspace, each.id)
        rows[each.id] = run_row(view, await graphs.of(view.run), steps=False)
    return listing(runs, query.limit, lambda each: rows[each.id], "run", lambda each: each.id)


def _filter(call: AnyCall, workflow: str | None, word: str | None, before: str | None, limit: int) -> RunFilter:
    states = () if word is None else _CHOSEN.get(word) or tuple(state for state in STATUS if STATUS[state] == word)
    return RunFilter(
        workspace=call.workspace,
        workflow=workflow,
        states=states,
        waiting=None if word is None else word != "running",
        before=before,
        limit=limit,
    )


_LIST = (Answer(status=200, data=RunRow, listed=True),)
_ONE = (Answer(status=200, data=RunRow),)

ROUTES: tuple[Route, ...] = (
    *(
        Route(
            method="GET",
            path=f"{base}/workflows/{{id}}/runs/{{run_id}}",
            handler=get_run,
            scope="runs:read",
            rate=Rate.READ,
            summary="Read a run with its nodes, by run id or instance id",
            answers=_ONE,
            errors=("NOT_FOUND",),
            exists=run_exists,
        )
        for base in ("/api", "/api/v1")
    ),
    *(
        Route(
            method="GET",
            path=f"{base}/workflows/{{id}}/runs",
            handler=list_runs,
            scope="runs:read",
            rate=Rate.READ,
            summary="List the runs of a workflow, newest first",
            answers=_LIST,
            query=RunsQuery,
            errors=("NOT_FOUND", "VALIDATION_ERROR"),
            exists=workflow_exists,
        )
        for base in ("/api", "/api/v1")
    ),
    Route(
        method="GET",
        path="/api/runs",
        handler=list_all_runs,
        scope="runs:read",
        rate=Rate.READ,
        summary="List the runs of the workspace, newest first",
        answers=_LIST,
        query=AllRunsQuery,
        errors=("VALIDATION_ERROR",),
    ),
)
