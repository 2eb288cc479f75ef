"""What is known of a function's calls since the server started. Source: AwaitStep contract 4.3, 8."""

from typing import Annotated

from msgspec import Meta, Struct
from starlette.responses import Response

from stepwell.clock import iso
from stepwell.http.dialects.awaitstep.answers import BadRequest, bare
from stepwell.http.dialects.awaitstep.located import is_function, workflow, workflow_exists
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.store import Workflow


class Stats(Struct, rename="camel"):
    """Counters of a function; times in ms."""

    calls: int
    errors: int
    average_ms: float
    slowest_ms: float


class Line(Struct, rename="camel"):
    """A line that a call printed, or its error."""

    at: str
    request_id: str
    message: str


class LogQuery(Struct):
    """How many lines are wanted."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 100


async def stats(call: Call[None, None]) -> Response:
    """GET /api/workflows/{id}/stats."""
    found = call.core.functions.stats(call.workspace, (await _function(call)).id)
    average = found.total_ms / found.calls if found.calls else 0.0
    return bare(Stats(found.calls, found.errors, round(average, 3), round(found.slowest_ms, 3)))


async def logs(call: Call[LogQuery, None]) -> Response:
    """GET /api/workflows/{id}/logs, the newest first."""
    found = call.core.functions.logs(call.workspace, (await _function(call)).id, call.query.limit)
    return bare({"data": [Line(iso(each.at), each.request, each.text) for each in found], "nextCursor": None})


async def _function(call: AnyCall) -> Workflow:
    row = await workflow(call)
    if not await is_function(call, row):
        raise BadRequest("Only functions have stats and logs; a workflow has runs")
    return row


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/workflows/{id}/stats",
        handler=stats,
        scope="workflows:read",
        rate=Rate.READ,
        summary="Read the call counters of a function",
        answers=(Answer(status=200, data=Stats),),
        errors=("NOT_FOUND", "BAD_REQUEST"),
    ),
    Route(
        method="GET",
        path="/api/workflows/{id}/logs",
        handler=logs,
        scope="workflows:read",
        rate=Rate.READ,
        summary="Read the last lines that calls of a function printed",
        answers=(Answer(status=200, data=Line, listed=True),),
        query=LogQuery,
        errors=("NOT_FOUND", "BAD_REQUEST"),
        exists=workflow_exists,
    ),
)
