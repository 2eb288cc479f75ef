"""Runs: listed and read. Source: AwaitStep contract 4.1, 6."""

from collections.abc import Callable

from starlette.responses import Response

from stepwell.errors import NotFound
from stepwell.http.dialects.awaitstep.answers import bare
from stepwell.http.dialects.awaitstep.located import run, run_exists, workflow, workflow_exists
from stepwell.http.dialects.awaitstep.names import STATUS, reference
from stepwell.http.dialects.awaitstep.pages import after, listing
from stepwell.http.dialects.awaitstep.run_row import Graphs, run_row, status_of
from stepwell.http.dialects.awaitstep.wire_runs import AllRunsQuery, RunRow, RunsQuery
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.states import RunState
from stepwell.store import Run, RunFilter

_AT_ONCE = 200
_OPEN = (RunState.RUNNING, RunState.SUSPENDED, RunState.PAUSED)


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
        row = await call.core.workflows.row(call.workspace, reference("wf", named))
    except NotFound:
        return bare({"data": [], "nextCursor": None})
    return await _listed(call, row.id)


async def _listed(call: AnyCall, workflow: str | None) -> Response:
    query = call.query
    before = after(query.cursor, "run")
    runs = await _page(call, workflow, query.status, before, query.limit + 1)
    graphs = Graphs(call)
    rows = {}
    for each in runs[: query.limit]:
        view = await call.core.runs.get(call.workspace, each.id)
        rows[each.id] = run_row(view, await graphs.of(view.run), steps=False)
    return listing(runs, query.limit, lambda each: rows[each.id], "run", lambda each: each.id)


async def _page(call: AnyCall, workflow: str | None, word: str | None, before: str | None, limit: int) -> list[Run]:
    if word in ("running", "paused", "waiting"):
        return await _open_runs(call, workflow, _chosen(word), before, limit)
    states = () if word is None else tuple(state for state, known in STATUS.items() if known == word)
    wanted = RunFilter(workspace=call.workspace, workflow=workflow, states=states, before=before, limit=limit)
    return await call.core.runs.page(wanted)


async def _open_runs(
    call: AnyCall, workflow: str | None, chosen: Callable[[Run], bool], before: str | None, limit: int
) -> list[Run]:
    """A page of open runs by what tells more of a run than its state does."""
    found: list[Run] = []
    while True:
        wanted = RunFilter(workspace=call.workspace, workflow=workflow, states=_OPEN, before=before, limit=_AT_ONCE)
        runs = await call.core.runs.page(wanted)
        found += [run for run in runs if chosen(run)]
        if len(found) >= limit or len(runs) < _AT_ONCE:
            return found[:limit]
        before = runs[-1].id


def _chosen(word: str) -> Callable[[Run], bool]:
    """Whether a run is of that word; `waiting` are those that are paused but by nobody."""
    if word == "waiting":
        return lambda run: status_of(run) == "paused" and run.state is not RunState.PAUSED
    return lambda run: status_of(run) == word


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
