"""Workflows: made, listed, changed, switched, removed. Source: Flowra contract 4.2, 7."""

from collections.abc import Sequence

from starlette.responses import Response

from stepwell.clock import iso
from stepwell.core import Wanted
from stepwell.errors import InvalidState, NotFound, SourceOwned, ValidationFailed
from stepwell.http.dialects.flowra import drafts, tools, users
from stepwell.http.dialects.flowra.answers import done, listing, single
from stepwell.http.dialects.flowra.drafts import TriggerWishes
from stepwell.http.dialects.flowra.names import created, found, time
from stepwell.http.dialects.flowra.progress import DIALECT, Document, source_of
from stepwell.http.dialects.flowra.wire_workflows import (
    ActiveBody,
    ListedWorkflow,
    NewWorkflow,
    Object,
    Workflow,
    WorkflowChanges,
    WorkflowListQuery,
)
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.ids import created_ms
from stepwell.states import WorkflowStatus
from stepwell.store import Workflow as Row
from stepwell.store import WorkflowListing
from stepwell.values import Json

BASE = "/workflow/manager"
A_DRAFT = "Workflow is a draft"
_LISTED = (WorkflowStatus.DRAFT, WorkflowStatus.ACTIVE, WorkflowStatus.PAUSED)
_ORDERS = {"createdAt": "created", "updatedAt": "updated", "name": "name"}


async def workflow(call: AnyCall) -> Row:
    """The workflow that the path names, which is every user's. Raises NotFound, also for one that was deleted."""
    await users.named(call)
    row = await call.core.workflows.row(call.workspace, found(call.params["id"], "Workflow"))
    if row.status is WorkflowStatus.ARCHIVED:
        raise NotFound("Workflow not found")
    return row


async def workflow_exists(call: AnyCall) -> None:
    """The same, where only the refusal counts."""
    await workflow(call)


async def list_workflows(call: Call[WorkflowListQuery, None]) -> Response:
    """GET /workflow/manager/list."""
    await users.named(call)
    query = call.query
    statuses = [status for status in _LISTED if _passes(status, query)]
    wanted = WorkflowListing(
        workspace=call.workspace,
        statuses=tuple(statuses) if query.workflow_type in (None, drafts.STATIC) else (),
        search=query.q or None,
        before=query.before,
        order=_ORDERS[query.sort_by],  # type: ignore[arg-type]
        ascending=query.sort_order == "ASC",
        offset=query.start,
        limit=query.limit + 1,
    )
    rows, total = await call.core.workflows.listing(wanted)
    items = {row.id: await _item(call, row) for row in rows[: query.limit]}
    return listing(query, rows, total, lambda row: items[row.id], lambda row: row.id)


async def create_workflow(call: Call[None, NewWorkflow]) -> Response:
    """POST /workflow/manager/create."""
    await users.named(call)
    body = call.body
    draft = await drafts.checked(call, body, body.name)
    fields = {"trigger": {"type": "api"}, "steps": [], **draft.fields}
    source = {"dialect": DIALECT, "graph": None, "triggers": [], **draft.source}
    made = await call.core.workflows.create(call.workspace, fields, call.principal.key_id, source)
    if draft.triggers is not None:
        await _set_triggers(call, made.workflow.id, draft.triggers)
    if body.graph is not None:
        await _make_ready(call, made.workflow.id, body.is_active)
    return single("Workflow created", await shown(call, made.workflow.id), 201)


async def get_workflow(call: Call[None, None]) -> Response:
    """GET /workflow/manager/detail/{id}."""
    return single("OK", await shown(call, (await workflow(call)).id))


async def update_workflow(call: Call[None, WorkflowChanges]) -> Response:
    """PATCH /workflow/manager/update/{id}."""
    row = await workflow(call)
    body = call.body
    owned = source_of(await _document(call, row)) is not None
    draft = await drafts.checked(call, body, row.name)
    if draft.source and not owned:
        raise SourceOwned("This workflow was not written in Flowra; edit its steps and triggers where it was")
    source = draft.source if owned else None
    if draft.fields or source:
        await call.core.workflows.update(call.workspace, row.id, draft.fields, call.principal.key_id, source)
    if draft.triggers is not None:
        await _set_triggers(call, row.id, draft.triggers)
    if body.graph is not None and row.status is WorkflowStatus.DRAFT:
        await _make_ready(call, row.id, body.is_active)
    elif body.is_active is not None:
        await _switch(call, row, body.is_active)
    return single("Workflow updated", await shown(call, row.id))


async def delete_workflow(call: Call[None, None]) -> Response:
    """DELETE /workflow/manager/delete/{id}."""
    row = await workflow(call)
    if (await call.core.workflows.counts(call.workspace, row.id)).open:
        raise InvalidState("Workflow has executions that have not ended")
    await call.core.workflows.archive(call.workspace, row.id)
    await call.core.triggers.delete_of_workflow(call.workspace, row.id)
    return done("Workflow deleted")


async def set_active(call: Call[None, ActiveBody]) -> Response:
    """PATCH /workflow/manager/activeStatus/{id}."""
    row = await workflow(call)
    await _switch(call, row, call.body.active_status)
    message = "Workflow activated" if call.body.active_status else "Workflow deactivated"
    return single(message, await shown(call, row.id))


async def shown(call: AnyCall, workflow_id: str) -> Workflow:
    """A workflow as it is now."""
    row = await call.core.workflows.row(call.workspace, workflow_id)
    document = await _document(call, row)
    fields = await _fields(call, row, document)
    return Workflow(graph=(source_of(document) or {}).get("graph"), **fields)


async def _item(call: AnyCall, row: Row) -> ListedWorkflow:
    return ListedWorkflow(**await _fields(call, row, await _document(call, row)))


async def _document(call: AnyCall, row: Row) -> Document:
    return (await call.core.workflows.version(call.workspace, row.id, row.version)).document


async def _fields(call: AnyCall, row: Row, document: Document) -> Object:
    source = source_of(document) or {}
    counts = await call.core.workflows.counts(row.workspace, row.id)
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "project_id": row.workspace,
        "agent": None,
        "provenance": source.get("provenance"),
        "triggers": await _triggers(call, row, document),
        "workflow_type": drafts.STATIC,
        "is_active": row.status is WorkflowStatus.ACTIVE,
        "lifecycle": "draft" if row.status is WorkflowStatus.DRAFT else "ready",
        "is_public": bool(source.get("isPublic", False)),
        "version": f"1.0.{row.version - 1}",
        "execution_count": counts.all,
        "successful_execution_count": counts.completed,
        "failed_execution_count": counts.failed,
        "last_executed_at": None if counts.newest is None else iso(created_ms(counts.newest)),
        "connections": [],
        "tools": list(dict.fromkeys(_tools(document.get("steps")))),
        "created_at": created(row.id),
        "updated_at": time(row.updated_at),
    }


async def _triggers(call: AnyCall, row: Row, document: Document) -> list[Object]:
    """The triggers of a workflow as they were sent, without those whose rows were removed since; one that was written
    in another dialect has its schedule, or is started by hand."""
    source = source_of(document)
    if source is None:
        trigger = document["trigger"]
        if trigger["type"] == "schedule" and "cron" in trigger:
            return [{"kind": "cron", "expression": trigger["cron"], "timezone": trigger.get("timezone", "UTC")}]
        return [{"kind": "manual"}]
    listed: list[Object] = source.get("triggers") or []
    if not any(each.get("kind") != "manual" for each in listed):
        return listed
    store = call.core.store.triggers
    slugs = {each.slug for each in await store.of_workflow(row.workspace, row.id)}
    left: list[Object] = []
    crons = 0
    for each in listed:
        there = True
        if each["kind"] == "cron":
            there, crons = drafts.cron_slug(crons) in slugs, crons + 1
        elif each.get("triggerId") is not None:
            there = await store.get(row.workspace, found(each["triggerId"], "Trigger instance")) is not None
        if there:
            left.append(each)
    return left


async def _set_triggers(call: AnyCall, workflow_id: str, wishes: TriggerWishes) -> None:
    """Replace the triggers of a workflow: its schedules become rows of its own, other instances are linked."""
    user = await users.acting(call)
    kept = set()
    for cron in wishes.crons:
        wanted = Wanted(slug=cron.slug, config=cron.config, workflow=workflow_id, end_user=user.id)
        stored, _ = await call.core.triggers.upsert(call.workspace, wanted)
        kept.add(stored.id)
    for row in await call.core.store.triggers.of_workflow(call.workspace, workflow_id):
        if row.instance and drafts.is_cron(row.slug) and row.id not in kept:
            await call.core.triggers.delete(call.workspace, row.id)
    await call.core.store.triggers.link(call.workspace, workflow_id, wishes.targets)


async def _make_ready(call: AnyCall, workflow_id: str, active: bool | None) -> None:
    """A workflow with a graph is no draft; it is active unless that is not wanted."""
    await call.core.workflows.activate(call.workspace, workflow_id)
    if active is False:
        await call.core.workflows.pause(call.workspace, workflow_id)


async def _switch(call: AnyCall, row: Row, active: bool) -> None:
    if row.status is WorkflowStatus.DRAFT:
        raise ValidationFailed(A_DRAFT, [])
    if active:
        await call.core.workflows.activate(call.workspace, row.id)
    else:
        await call.core.workflows.pause(call.workspace, row.id)


def _passes(status: WorkflowStatus, query: WorkflowListQuery) -> bool:
    draft, active = status is WorkflowStatus.DRAFT, status is WorkflowStatus.ACTIVE
    return query.lifecycle in (None, "draft" if draft else "ready") and query.is_active in (None, active)


def _tools(steps: Json) -> list[str]:
    """The slugs of the actions that steps use, nested ones included."""
    slugs: list[str] = []
    left = [steps]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left.extend(reversed(value))
        elif isinstance(value, dict):
            if value.get("type") == "action" and isinstance(value.get("action"), str):
                slugs.append(tools.slug_of(value["action"]))
            left.extend(child for child in value.values() if isinstance(child, dict | list))
    return slugs


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path=f"{BASE}/list",
        handler=list_workflows,
        scope="workflows:read",
        rate=Rate.READ,
        summary="List workflows, without their graphs",
        answers=(Answer(status=200, data=ListedWorkflow, listed=True),),
        query=WorkflowListQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="POST",
        path=f"{BASE}/create",
        handler=create_workflow,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Make a workflow; with a graph it is ready",
        answers=(Answer(status=201, data=Workflow),),
        body=NewWorkflow,
    ),
    Route(
        method="GET",
        path=f"{BASE}/detail/{{id}}",
        handler=get_workflow,
        scope="workflows:read",
        rate=Rate.READ,
        summary="Read a workflow",
        answers=(Answer(status=200, data=Workflow),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="PATCH",
        path=f"{BASE}/update/{{id}}",
        handler=update_workflow,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Change a workflow",
        answers=(Answer(status=200, data=Workflow),),
        body=WorkflowChanges,
        errors=("NOT_FOUND", "SOURCE_OWNED"),
        exists=workflow_exists,
    ),
    Route(
        method="DELETE",
        path=f"{BASE}/delete/{{id}}",
        handler=delete_workflow,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Remove a workflow with its trigger instances",
        answers=(Answer(status=200, data=None),),
        errors=("NOT_FOUND", "INVALID_STATE"),
    ),
    Route(
        method="PATCH",
        path=f"{BASE}/activeStatus/{{id}}",
        handler=set_active,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Let triggers start a workflow, or not",
        answers=(Answer(status=200, data=Workflow),),
        body=ActiveBody,
        errors=("NOT_FOUND",),
        exists=workflow_exists,
    ),
)
