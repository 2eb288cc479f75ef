"""Schedules: when they fire next, and what came of the times before. Source: LoopFour contract 12, ours the history."""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta
from starlette.responses import Response

from stepwell import ids
from stepwell.clock import iso
from stepwell.http.dialects.loopfour import requests
from stepwell.http.dialects.loopfour.answers import listing, success
from stepwell.http.dialects.loopfour.names import created, cursor, cursor_id, prefixed, time
from stepwell.http.dialects.loopfour.wire import Wire
from stepwell.http.dialects.loopfour.workflows import workflow, workflow_exists
from stepwell.http.routes import Answer, Call, Rate, Route
from stepwell.store import Firing

_FIRING = "fir"


class NextFiring(Wire):
    """A time at which a schedule fires: in UTC, and local with its offset."""

    at: str
    local: str


class NextFirings(Wire):
    """The next times of a schedule. Warnings tell in words what clocks being set does to them, and why none fires."""

    timezone: str
    next: tuple[NextFiring, ...]
    warnings: tuple[str, ...]


class FiringItem(Wire):
    """What came of one time of a schedule: a run, or the reason why there is none."""

    id: str
    scheduled_at: str | None
    fired_at: str
    status: Annotated[str, Meta(extra_json_schema={"enum": ["started", "skipped", "failed"]})]
    reason: str | None
    run_id: str | None


async def next_firings(call: Call[requests.NextQuery, None]) -> Response:
    """GET /workflows/{id}/schedule/next."""
    found = await call.core.schedules.preview(call.workspace, workflow(call), call.query.count)
    shown = tuple(NextFiring(at=iso(due.at_ms), local=due.local) for due in found.next)
    return success(NextFirings(timezone=found.timezone, next=shown, warnings=found.warnings))


async def list_firings(call: Call[requests.PageQuery, None]) -> Response:
    """GET /workflows/{id}/schedule/history."""
    query = call.query
    before = cursor_id(query.cursor, _FIRING)
    rows = await call.core.schedules.history(call.workspace, workflow(call), before, query.limit + 1)
    return listing(rows, query.limit, _item, lambda row: cursor(ids.created_ms(row.id), f"{_FIRING}_{row.id}"))


def _item(row: Firing) -> FiringItem:
    return FiringItem(
        id=f"{_FIRING}_{row.id}",
        scheduled_at=time(row.scheduled_at),
        fired_at=created(row.id),
        status=row.status,
        reason=row.reason,
        run_id=prefixed("run", row.run),
    )


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/workflows/{id}/schedule/next",
        handler=next_firings,
        scope="workflows:read",
        rate=Rate.READ,
        summary="When the schedule fires next",
        answers=(Answer(status=200, data=NextFirings),),
        query=requests.NextQuery,
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        exists=workflow_exists,
    ),
    Route(
        method="GET",
        path="/workflows/{id}/schedule/history",
        handler=list_firings,
        scope="workflows:read",
        rate=Rate.READ,
        summary="What came of the times of the schedule, newest first",
        answers=(Answer(status=200, data=FiringItem, listed=True),),
        query=requests.PageQuery,
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        exists=workflow_exists,
    ),
)
