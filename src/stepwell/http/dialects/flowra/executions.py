"""Executions: started, listed, read, answered, cancelled. Source: Flowra contract 4.2, 8."""

import asyncio
from collections.abc import Sequence

from msgspec import UNSET
from starlette.responses import Response

from stepwell.clock import iso
from stepwell.core import Reply, RunView, StartRequest
from stepwell.errors import Fault, NotFound, ValidationFailed
from stepwell.http.dialects.flowra import drafts, users
from stepwell.http.dialects.flowra.answers import listing, single
from stepwell.http.dialects.flowra.graphs import EVENT_PREFIX
from stepwell.http.dialects.flowra.names import found, time, uuid_of
from stepwell.http.dialects.flowra.progress import STATES, Definition, Progress, progress, status_of
from stepwell.http.dialects.flowra.wire_workflows import (
    ExecuteBody,
    Execution,
    ExecutionsQuery,
    ListedExecution,
    Object,
    ResumeBody,
    ResumedExecution,
    StartedExecution,
    ThreadStatus,
    Usage,
)
from stepwell.http.dialects.flowra.workflows import A_DRAFT, BASE, workflow, workflow_exists
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.states import RunState, WorkflowStatus
from stepwell.store import Run, RunListing, WorkflowListing
from stepwell.values import Json, decode

LONGEST_KEY = 255
MOST_NAMED = 100  # workflows whose executions a text finds
_ITEMS_A_TURN = 10  # that are read before others get a turn of the loop
_ORDERS = {"createdAt": "created", "startedAt": "started", "updatedAt": "updated"}
_REPLAYED = {"Idempotency-Replayed": "true"}


class Definitions:
    """The definitions that the executions of one answer were made of, each read once."""

    def __init__(self, call: AnyCall) -> None:
        self._call = call
        self._known: dict[tuple[str, int], Definition] = {}

    async def of(self, run: Run) -> Definition:
        """The definition of a run's version."""
        place = (run.workflow, run.version)
        if place not in self._known:
            workflows = self._call.core.workflows
            row = await workflows.row(run.workspace, run.workflow)
            version = await workflows.version(run.workspace, *place)
            types = await workflows.step_types(run.workspace, *place)
            self._known[place] = Definition.of(row.name, version.document, types)
        return self._known[place]


async def execute(call: Call[None, ExecuteBody]) -> Response:
    """POST /workflow/manager/execute/{id}."""
    row = await workflow(call)
    if row.status is WorkflowStatus.DRAFT:
        raise ValidationFailed(A_DRAFT, [])
    body = call.body
    user = await users.acting(call)
    chain = None if body.thread_id is None else await _thread_of(call, body.thread_id, row.id)
    started = await call.core.runs.start(
        call.workspace,
        StartRequest(
            workflow=row.id,
            input=body.input,
            idempotency_key=_key(call),
            end_user=user.id,
            chain=chain,
            mock=body.mode == "test",
            paused_too=True,
            key=call.principal.key_id,
        ),
    )
    thread, status = chain or started.run, "running"
    if started.replayed:
        run = await _run(call, started.run)
        thread, status = _thread(run), status_of(run)
    data = StartedExecution(started.run, thread, row.id, status)  # type: ignore[arg-type]
    if not started.replayed:
        return single("Execution started", data, 201, beside=True)
    response = single("Execution started before", data, beside=True)
    response.headers.update(_REPLAYED)
    return response


async def list_executions(call: Call[ExecutionsQuery, None]) -> Response:
    """GET /workflow/manager/executions."""
    given = call.query.workflow_id
    if given is None:
        return await _listed(call, None)
    uuid = uuid_of(given)
    return await _listed(call, () if uuid is None else (uuid,))


async def list_executions_of(call: Call[ExecutionsQuery, None]) -> Response:
    """GET /workflow/manager/{id}/executions."""
    row = await workflow(call)
    other = call.query.workflow_id
    return await _listed(call, (row.id,) if other is None or uuid_of(other) == row.id else ())


async def get_execution(call: Call[None, None]) -> Response:
    """GET /workflow/manager/executions/{executionId}."""
    return single("OK", await _detail(call, await _named(call)))


async def thread_status(call: Call[None, None]) -> Response:
    """GET /workflow/manager/executions/thread/{threadId}/status."""
    run = await call.core.threads.newest(call.workspace, _thread_id(call), *await _owner(call))
    view = await call.core.runs.get(call.workspace, run.id)
    progressed = progress(view, await Definitions(call).of(run))
    data = ThreadStatus(
        thread_id=_thread(run),
        execution_id=run.id,
        workflow_id=run.workflow,
        status=status_of(view.run),
        current_node_id=progressed.current,
        state=progressed.state,
        completed_nodes=progressed.summary.completed_nodes,
        failed_nodes=progressed.summary.failed_nodes,
        errors=progressed.summary.errors,
        usage=Usage(),
    )
    return single("OK", data, beside=True)


async def resume(call: Call[None, ResumeBody]) -> Response:
    """POST /workflow/manager/executions/thread/{threadId}/resume."""
    body = call.body
    value: Json = True
    if body.resume_value is not UNSET:
        value = body.resume_value
    elif body.input is not UNSET:
        value = body.input
    user = await users.named(call)
    by = call.principal.key_name if user is None else user.username
    reply = Reply(
        approved=_approved(value),
        payload=lambda event: _payload(event, value, by, call.clock.now_ms()),
        by=by,
        run=None if body.execution_id is None else found(body.execution_id, "Execution"),
        key=_key(call),
    )
    run = await call.core.threads.resume(call.workspace, _thread_id(call), reply, *await _owner(call))
    run = await _run(call, run.id)
    return single("Execution resumed", ResumedExecution(run.id, _thread(run), status_of(run)), beside=True)


async def cancel(call: Call[None, None]) -> Response:
    """POST /workflow/manager/executions/{executionId}/cancel."""
    run = await _named(call)
    await call.core.runs.cancel(call.workspace, run.id)
    return single("Execution cancelled", await _detail(call, run))


async def _listed(call: Call[ExecutionsQuery, None], workflows: tuple[str, ...] | None) -> Response:
    query = call.query
    if query.q:
        workflows = await _of_name(call, query.q, workflows)
    chain = None if query.thread_id is None else uuid_of(query.thread_id)
    if query.thread_id is not None and chain is None:
        workflows = ()
    end_user, unowned = await _owner(call)
    wanted = RunListing(
        workspace=call.workspace,
        workflows=workflows,
        states=STATES[query.status] if query.status else (),
        end_user=end_user,
        unowned=unowned,
        chain=chain,
        before=query.before,
        order=_ORDERS[query.sort_by],  # type: ignore[arg-type]
        ascending=query.sort_order == "ASC",
        offset=query.start,
        limit=query.limit + 1,
    )
    runs, total = await call.core.threads.page(wanted)
    items: dict[str, ListedExecution] = {}
    definitions, user = Definitions(call), end_user or call.workspace
    for place, run in enumerate(runs[: query.limit]):
        if place % _ITEMS_A_TURN == 0:
            await asyncio.sleep(0)
        items[run.id] = ListedExecution(**(await _fields(call, run, definitions, user))[0])
    return listing(query, runs, total, lambda each: items[each.id], lambda each: each.id)


async def _detail(call: AnyCall, run: Run) -> Execution:
    user = await users.only(call) or call.workspace
    fields, progressed = await _fields(call, run, Definitions(call), user)
    return Execution(state=progressed.state, **fields)


async def _fields(call: AnyCall, run: Run, definitions: Definitions, user: str) -> tuple[Object, Progress]:
    """What is shown of an execution; `user` is who asks."""
    view = await call.core.runs.get(call.workspace, run.id)
    run = view.run
    definition = await definitions.of(run)
    progressed = progress(view, definition)
    fields = {
        "id": run.id,
        "workflow_id": run.workflow,
        "workflow_name": definition.name,
        "project_id": run.workspace,
        "euid": run.end_user or run.workspace,
        "is_own_execution": (run.end_user or run.workspace) == user,
        "thread_id": _thread(run),
        "input_data": decode(bytes(view.input)),
        "output_data": progressed.output,
        "status": status_of(run),
        "current_node_id": progressed.current,
        "execution_summary": progressed.summary,
        "execution_mode": "test" if run.mock else "production",
        "workflow_type": drafts.STATIC,
        "started_at": time(run.started_at),
        "completed_at": time(run.ended_at),
        "execution_duration_ms": _duration(view),
        "usage": Usage(),
        "cancelled": True if run.state is RunState.CANCELLED else UNSET,
    }
    return fields, progressed


def _duration(view: RunView) -> int | None:
    run = view.run
    return None if run.ended_at is None else run.ended_at - (run.started_at or run.ended_at)


async def _owner(call: AnyCall) -> tuple[str | None, bool]:
    """The user whose executions alone exist for the request, None for all; and whether those of nobody are the user's,
    as they are the default user's."""
    only = await users.only(call)
    return only, only == call.workspace


async def _run(call: AnyCall, run: str) -> Run:
    """A run as it is stored. Raises NotFound, also for one of another user than the header's."""
    stored = await call.core.store.runs.get(call.workspace, run)
    only = await users.only(call)
    if stored is None or only not in (None, stored.end_user or stored.workspace):
        raise NotFound("Execution not found")
    return stored


async def _named(call: AnyCall) -> Run:
    """The run that the path names. Raises NotFound."""
    return await _run(call, found(call.params["executionId"], "Execution"))


async def execution_exists(call: AnyCall) -> None:
    """The same, where only the refusal counts."""
    await _named(call)


async def thread_exists(call: AnyCall) -> None:
    """Raise NotFound unless there is such a thread."""
    await call.core.threads.newest(call.workspace, _thread_id(call), *await _owner(call))


async def _thread_of(call: AnyCall, given: str, of_workflow: str) -> str:
    """The thread that a run is to be started on: one of the same workflow."""
    run = await call.core.threads.newest(call.workspace, found(given, "Thread"), *await _owner(call))
    if run.workflow != of_workflow:
        raise ValidationFailed("Invalid request", [Fault(("threadId",), "Is a thread of another workflow")])
    return _thread(run)


async def _of_name(call: AnyCall, text: str, among: tuple[str, ...] | None) -> tuple[str, ...]:
    """The workflows whose names hold a text."""
    wanted = WorkflowListing(workspace=call.workspace, statuses=tuple(WorkflowStatus), search=text, limit=MOST_NAMED)
    rows, _ = await call.core.workflows.listing(wanted)
    return tuple(row.id for row in rows if among is None or row.id in among)


def _thread_id(call: AnyCall) -> str:
    return found(call.params["threadId"], "Thread")


def _thread(run: Run) -> str:
    return run.chain or run.id


def _approved(value: Json) -> bool:
    """Whether an answer is a yes: the value itself if it is a boolean, or its `approved`; else yes."""
    said = value.get("approved") if isinstance(value, dict) else value
    return said if isinstance(said, bool) else True


def _payload(event: str, value: Json, by: str, now_ms: int) -> Json:
    """What an event carries: a human wait is told who said what, any other gets the value."""
    if not event.startswith(EVENT_PREFIX):
        return value
    return {"approved": _approved(value), "value": value, "resumedAt": iso(now_ms), "by": by}


def _key(call: AnyCall) -> str | None:
    """The header `Idempotency-Key`."""
    header: bytes | None = call.headers.get(b"idempotency-key")
    if header is None:
        return None
    key = header.decode("latin-1")
    if not 1 <= len(key) <= LONGEST_KEY:
        message = f"The header takes 1 to {LONGEST_KEY} characters"
        raise ValidationFailed("Invalid request", [Fault(("Idempotency-Key",), message)])
    return key


ROUTES: Sequence[Route] = (
    Route(
        method="POST",
        path=f"{BASE}/execute/{{id}}",
        handler=execute,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="Start an execution, also of a workflow that is not active",
        answers=(
            Answer(status=201, data=StartedExecution),
            Answer(status=200, data=StartedExecution, headers=("Idempotency-Replayed",)),
        ),
        body=ExecuteBody,
        headers=("Idempotency-Key",),
        errors=("NOT_FOUND", "IDEMPOTENCY_CONFLICT"),
        exists=workflow_exists,
        sheds=True,
    ),
    Route(
        method="GET",
        path=f"{BASE}/executions",
        handler=list_executions,
        scope="runs:read",
        rate=Rate.READ,
        summary="List executions",
        answers=(Answer(status=200, data=ListedExecution, listed=True),),
        query=ExecutionsQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="GET",
        path=f"{BASE}/{{id}}/executions",
        handler=list_executions_of,
        scope="runs:read",
        rate=Rate.READ,
        summary="List the executions of a workflow",
        answers=(Answer(status=200, data=ListedExecution, listed=True),),
        query=ExecutionsQuery,
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        exists=workflow_exists,
    ),
    Route(
        method="GET",
        path=f"{BASE}/executions/{{executionId}}",
        handler=get_execution,
        scope="runs:read",
        rate=Rate.READ,
        summary="Read an execution with the outputs of its nodes",
        answers=(Answer(status=200, data=Execution),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="GET",
        path=f"{BASE}/executions/thread/{{threadId}}/status",
        handler=thread_status,
        scope="runs:read",
        rate=Rate.READ,
        summary="Read how the newest execution of a thread is",
        answers=(Answer(status=200, data=ThreadStatus),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="POST",
        path=f"{BASE}/executions/thread/{{threadId}}/resume",
        handler=resume,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="Answer the newest paused execution of a thread",
        answers=(Answer(status=200, data=ResumedExecution),),
        body=ResumeBody,
        headers=("Idempotency-Key",),
        errors=("NOT_FOUND", "INVALID_STATE"),
        exists=thread_exists,
    ),
    Route(
        method="POST",
        path=f"{BASE}/executions/{{executionId}}/cancel",
        handler=cancel,
        scope="workflows:execute",
        rate=Rate.EXECUTE,
        summary="Cancel an execution that has not ended",
        answers=(Answer(status=200, data=Execution),),
        errors=("NOT_FOUND", "INVALID_STATE"),
    ),
)
