"""Tasks: claimed, held, delivered and given up by workers, accepted or rejected by people. Source: AITasker contract
4.3, 8."""

from collections.abc import Sequence

import msgspec
from starlette.responses import Response

from stepwell import cost, values
from stepwell.clock import iso
from stepwell.core import Claimed
from stepwell.http.dialects.aitasker.answers import bare, once
from stepwell.http.dialects.aitasker.located import param, workspace
from stepwell.http.dialects.aitasker.names import agent_id, check_path, node_id
from stepwell.http.dialects.aitasker.wire_tasks import (
    ClaimBody,
    CompleteBody,
    FailBody,
    HeartbeatBody,
    Held,
    RejectBody,
    Task,
    TaskPlace,
    TasksQuery,
)
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.ids import created_ms
from stepwell.store import Task as Row

TOTAL = "X-Total-Count"
CENTS_A_DOLLAR = 100


async def list_tasks(call: Call[TasksQuery, None]) -> Response:
    """GET /workspaces/{workspace_id}/tasks."""
    await workspace(call)
    query = call.query
    rows, total = await call.core.tasks.page(
        call.workspace, status=query.status, limit=query.limit, offset=query.offset
    )
    return bare([shown(row) for row in rows], headers={TOTAL: str(total)})


async def get_task(call: Call[None, None]) -> Response:
    """GET /workspaces/{workspace_id}/tasks/{task_id}."""
    await workspace(call)
    return bare(shown(await call.core.tasks.get(call.workspace, param(call, "task_id"))))


async def claim_task(call: Call[None, ClaimBody]) -> Response:
    """POST /workspaces/{workspace_id}/tasks/claim."""
    await workspace(call)
    body = call.body
    types = tuple(body.task_types) if body.task_types else None
    claimed = await call.core.tasks.claim(call.workspace, body.worker_id, types, body.lease_seconds, body.wait_seconds)
    return Response(status_code=204) if claimed is None else bare(_claimed(claimed))


async def hold_task(call: Call[None, HeartbeatBody]) -> Response:
    """POST /workspaces/{workspace_id}/tasks/{task_id}/heartbeat."""
    await workspace(call)
    until = await call.core.tasks.heartbeat(
        call.workspace, param(call, "task_id"), call.body.claim_token, call.body.lease_seconds
    )
    return bare(Held(iso(until)))


async def complete_task(call: Call[None, CompleteBody]) -> Response:
    """POST /workspaces/{workspace_id}/tasks/{task_id}/complete. An Idempotency-Key gets its first answer again."""
    await workspace(call)
    return await once(call, f"complete:{param(call, 'task_id')}", lambda: _completed(call))


async def _completed(call: Call[None, CompleteBody]) -> Response:
    body = call.body
    row = await call.core.tasks.complete(
        call.workspace,
        param(call, "task_id"),
        body.claim_token,
        body.output_data,
        cost=_amount(body.cost_cents),
        score=body.score,
    )
    return bare(shown(row))


async def fail_task(call: Call[None, FailBody]) -> Response:
    """POST /workspaces/{workspace_id}/tasks/{task_id}/fail."""
    await workspace(call)
    body = call.body
    row = await call.core.tasks.fail(
        call.workspace,
        param(call, "task_id"),
        body.claim_token,
        body.error_message,
        retryable=body.retryable,
        cost=_amount(body.cost_cents),
    )
    return bare(shown(row))


async def accept_task(call: Call[None, None]) -> Response:
    """POST /workspaces/{workspace_id}/tasks/{task_id}/accept."""
    await task_exists(call)
    return bare(shown(await call.core.tasks.accept(call.workspace, param(call, "task_id"), call.principal.key_id)))


async def reject_task(call: Call[None, RejectBody]) -> Response:
    """POST /workspaces/{workspace_id}/tasks/{task_id}/reject."""
    await task_exists(call)
    row = await call.core.tasks.reject(call.workspace, param(call, "task_id"), call.principal.key_id, call.body.reason)
    return bare(shown(row))


async def task_exists(call: AnyCall) -> None:
    """Raise NotFound unless the workspace of the path has the path's task."""
    await workspace(call)
    await call.core.tasks.get(call.workspace, param(call, "task_id"))


def shown(row: Row) -> Task:
    """A task as it is answered."""
    return Task(
        id=row.id,
        workspace_id=row.workspace,
        hired_agent_id=agent_id(row.workspace),
        skill_slug=row.task_type,
        title=row.title,
        description=row.description,
        trigger=TaskPlace(row.run, row.workflow, node_id(row.workflow, row.step)),
        status=row.status.value,
        output_data=None if row.output is None else values.decode(row.output),
        proposed_actions={},
        approval_level="auto" if row.auto_accept else "manual",
        approved_by=row.approved_by,
        approved_at=None if row.approved_at is None else iso(row.approved_at),
        cost_usd=row.cost / cost.PER_CENT / CENTS_A_DOLLAR,
        started_at=None if row.started_at is None else iso(row.started_at),
        completed_at=None if row.completed_at is None else iso(row.completed_at),
        created_at=iso(created_ms(row.id)),
    )


def _claimed(claimed: Claimed) -> Task:
    row = claimed.task
    return msgspec.structs.replace(
        shown(row),
        claim_token=claimed.token,
        lease_expires_at=iso(row.lease_until or 0),
        input_data=values.decode(row.input),
        task_template=values.decode(row.template),
    )


def _amount(cents: int | None) -> int | None:
    return None if cents is None else cost.of_cents(cents)


_TASKS = "/workspaces/{workspace_id}/tasks"
_TASK = (Answer(status=200, data=Task),)


def _of_worker(
    name: str, handler: object, body: type, answers: tuple[Answer, ...], summary: str, headers: tuple[str, ...] = ()
) -> Route:
    """A command of the worker that holds a task."""
    return Route(
        method="POST",
        path=f"{_TASKS}/{{task_id}}/{name}",
        handler=handler,  # type: ignore[arg-type]
        scope="tasks:work",
        rate=Rate.EXECUTE,
        summary=summary,
        answers=answers,
        body=body,
        headers=headers,
        errors=("NOT_FOUND", "INVALID_STATE"),
        path_check=check_path,
        exists=task_exists,
    )


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path=_TASKS,
        handler=list_tasks,
        scope="runs:read",
        rate=Rate.READ,
        summary="List the tasks of the workspace, newest first",
        answers=(Answer(status=200, data=Task, listed=True),),
        query=TasksQuery,
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        path_check=check_path,
        exists=workspace,
    ),
    Route(
        method="POST",
        path=f"{_TASKS}/claim",
        handler=claim_task,
        scope="tasks:work",
        rate=Rate.EXECUTE,
        summary="Take the oldest open task for a time; 204 if there is none",
        answers=(*_TASK, Answer(status=204, data=None)),
        body=ClaimBody,
        errors=("NOT_FOUND",),
        path_check=check_path,
        exists=workspace,
    ),
    Route(
        method="GET",
        path=f"{_TASKS}/{{task_id}}",
        handler=get_task,
        scope="runs:read",
        rate=Rate.READ,
        summary="Read a task",
        answers=_TASK,
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        path_check=check_path,
    ),
    _of_worker("heartbeat", hold_task, HeartbeatBody, (Answer(status=200, data=Held),), "Hold a claimed task longer"),
    _of_worker(
        "complete",
        complete_task,
        CompleteBody,
        _TASK,
        "Deliver; it is on disk when this is answered",
        ("Idempotency-Key",),
    ),
    _of_worker("fail", fail_task, FailBody, _TASK, "Give a task up: it is open again, or its node fails"),
    Route(
        method="POST",
        path=f"{_TASKS}/{{task_id}}/accept",
        handler=accept_task,
        scope="tasks:accept",
        rate=Rate.EXECUTE,
        summary="Take a delivery as the result of its node",
        answers=_TASK,
        errors=("NOT_FOUND", "INVALID_STATE", "VALIDATION_ERROR"),
        path_check=check_path,
    ),
    Route(
        method="POST",
        path=f"{_TASKS}/{{task_id}}/reject",
        handler=reject_task,
        scope="tasks:accept",
        rate=Rate.EXECUTE,
        summary="Refuse a delivery: the task is open again, or its node fails",
        answers=_TASK,
        body=RejectBody,
        errors=("NOT_FOUND", "INVALID_STATE"),
        path_check=check_path,
        exists=task_exists,
    ),
)
