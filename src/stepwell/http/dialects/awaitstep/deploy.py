"""Deploys: a version is made the one that runs, is taken down, and what came of each try. Source: AwaitStep contract
4.2, 7."""

import asyncio
from collections.abc import AsyncGenerator

from starlette.responses import Response

from stepwell.errors import StepwellError
from stepwell.http.dialects.awaitstep.answers import JSON, bare, refusal
from stepwell.http.dialects.awaitstep.deploying import STAGES, Tell, deployed
from stepwell.http.dialects.awaitstep.located import idempotency_key, workflow, workflow_exists
from stepwell.http.dialects.awaitstep.names import reference
from stepwell.http.dialects.awaitstep.pages import after, listing
from stepwell.http.dialects.awaitstep.versions import deployment_row
from stepwell.http.dialects.awaitstep.wire_workflows import (
    DeployBody,
    Deployed,
    DeploymentRow,
    Object,
    PageQuery,
    Success,
    TakedownBody,
)
from stepwell.http.dialects.awaitstep.workflows import written
from stepwell.http.routes import Answer, Call, Rate, Route
from stepwell.http.sse import ServerEvent, event_stream
from stepwell.states import WorkflowStatus
from stepwell.store import Answered, SourceWorkflow
from stepwell.values import decode


async def deploy(call: Call[None, DeployBody]) -> Response:
    """POST /api/workflows/{id}/deploy."""
    answered, _ = await _answered(call, await written(call), lambda stage: None)
    return Response(answered.body, answered.status, media_type=JSON)


async def deploy_stream(call: Call[None, DeployBody]) -> Response:
    """POST /api/workflows/{id}/deploy-stream. What is wrong with the request is told before the stream begins, as
    `deploy` tells it. A deploy goes on to its end whether or not anybody listens."""
    progress = _Progress()
    working = asyncio.ensure_future(_follow(call, await written(call), progress))
    first = await progress.events.get()
    if first is None:
        await working  # raises why nothing was begun

    async def stream() -> AsyncGenerator[ServerEvent, None]:
        event = first
        while event is not None:
            yield event
            event = await progress.events.get()
        await working

    return event_stream(stream(), lambda event: event, call.clock)


async def take_down(call: Call[None, TakedownBody]) -> Response:
    """POST /api/workflows/{id}/takedown."""
    row = await workflow(call)
    await call.core.targets.resolve(call.workspace, reference("conn", call.body.connection_id))
    source = await call.core.sources.get(call.workspace, row.id)
    if source is not None:
        await call.core.sources.take_down(source)
    elif row.status is WorkflowStatus.ACTIVE:
        await call.core.workflows.pause(call.workspace, row.id)
    return bare(Success())


async def list_deployments(call: Call[PageQuery, None]) -> Response:
    """GET /api/workflows/{id}/deployments, and of the whole workspace GET /api/deployments."""
    query = call.query
    of = (await workflow(call)).id if "id" in call.params else None
    before = after(query.cursor, "dep")
    found = await call.core.sources.deployments(call.workspace, workflow=of, before=before, limit=query.limit + 1)
    return listing(found, query.limit, deployment_row, "dep", lambda each: each.id)


async def _answered(call: Call[None, DeployBody], source: SourceWorkflow, tell: Tell) -> tuple[Answered, bool]:
    """What a deploy is answered, and whether that is the answer of an earlier one under the same key."""

    async def act() -> Answered:
        answer = bare(await deployed(call, source, tell))
        return Answered(answer.status_code, bytes(answer.body))

    place = f"awaitstep:deploy:{source.workflow}"
    return await call.core.repeats.once(call.workspace, place, idempotency_key(call), act)


class _Progress:
    """What is told of a deploy while it goes on: the events of a stream, None at its end."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[ServerEvent | None] = asyncio.Queue()
        self.begun = False
        self._count = 0
        self._percent = 0

    def stage(self, stage: str) -> None:
        """The work has come so far."""
        self._percent = 100 * (STAGES.index(stage) + 1) // len(STAGES)
        self._progress(stage, stage.replace("_", " ").capitalize())

    def failed(self, error: StepwellError) -> None:
        """The work ends early."""
        told = decode(bytes(refusal(error).body))
        self._progress("FAILED", told["error"])
        self.result({"success": False, **told})

    def result(self, body: Object) -> None:
        """The last event."""
        self._put("result", body)

    def _progress(self, stage: str, message: str) -> None:
        self._put("progress", {"stage": stage, "message": message, "progress": self._percent})

    def _put(self, kind: str, data: Object) -> None:
        self.begun = True
        self._count += 1
        self.events.put_nowait(ServerEvent(self._count, kind, data))


async def _follow(call: Call[None, DeployBody], source: SourceWorkflow, progress: _Progress) -> None:
    """Deploy and tell of it. Raises what is found wrong before the first stage."""
    try:
        answered, again = await _answered(call, source, progress.stage)
        for stage in STAGES if again else ():
            progress.stage(stage)
        progress.result(decode(answered.body))
    except StepwellError as error:
        if not progress.begun:
            raise
        progress.failed(error)
    finally:
        progress.events.put_nowait(None)


def _listed(path: str, summary: str) -> Route:
    return Route(
        method="GET",
        path=path,
        handler=list_deployments,
        scope="workflows:read",
        rate=Rate.READ,
        summary=summary,
        answers=(Answer(status=200, data=DeploymentRow, listed=True),),
        query=PageQuery,
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        exists=workflow_exists if "{id}" in path else None,
    )


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/workflows/{id}/deploy",
        handler=deploy,
        scope="workflows:deploy",
        rate=Rate.WRITE,
        summary="Let a version run; the newest one if none is named",
        answers=(Answer(status=200, data=Deployed),),
        body=DeployBody,
        headers=("Idempotency-Key",),
        errors=("NOT_FOUND", "BAD_REQUEST", "COMPILE_ERROR", "UNSUPPORTED_PROVIDER"),
        exists=workflow_exists,
    ),
    Route(
        method="POST",
        path="/api/workflows/{id}/deploy-stream",
        handler=deploy_stream,
        scope="workflows:deploy",
        rate=Rate.WRITE,
        summary="Let a version run, told of as a stream of events",
        answers=(Answer(status=200, data=Deployed, content="text/event-stream"),),
        body=DeployBody,
        headers=("Idempotency-Key",),
        errors=("NOT_FOUND", "BAD_REQUEST", "COMPILE_ERROR", "UNSUPPORTED_PROVIDER"),
        exists=workflow_exists,
    ),
    Route(
        method="POST",
        path="/api/workflows/{id}/takedown",
        handler=take_down,
        scope="workflows:deploy",
        rate=Rate.WRITE,
        summary="Take no more runs; those in progress go on",
        answers=(Answer(status=200, data=Success),),
        body=TakedownBody,
        errors=("NOT_FOUND", "UNSUPPORTED_PROVIDER", "BAD_REQUEST"),
        exists=workflow_exists,
    ),
    _listed("/api/workflows/{id}/deployments", "List the deployments of a workflow, newest first"),
    _listed("/api/deployments", "List the deployments of the workspace, newest first"),
)
