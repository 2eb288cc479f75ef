"""Workflows: made, listed, changed, removed, below the workspace and below the key's own. Source: AITasker contract
4.2, 7, 13."""

from collections.abc import Mapping, Sequence

from msgspec import UNSET
from starlette.responses import Response

from stepwell.clock import iso
from stepwell.errors import Fault, InvalidState
from stepwell.http.dialects.aitasker import drafts
from stepwell.http.dialects.aitasker.answers import bare, once
from stepwell.http.dialects.aitasker.located import DELETED, document, is_kept, workflow, workflow_exists, workspace
from stepwell.http.dialects.aitasker.names import check_path, owner_id, uuid_of
from stepwell.http.dialects.aitasker.nodes import shown_nodes
from stepwell.http.dialects.aitasker.shown import source_of
from stepwell.http.dialects.aitasker.twins import twins
from stepwell.http.dialects.aitasker.wire_workflows import (
    ListedNode,
    NewWorkflow,
    Object,
    Workflow,
    WorkflowChanges,
    WorkflowsQuery,
    node_fields,
    refused,
    sent,
    whole_node,
)
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.ids import TimeOrderedIds, created_ms
from stepwell.states import WORKFLOW_TRANSITIONS, WorkflowStatus
from stepwell.store import Workflow as Row
from stepwell.store import WorkflowListing
from stepwell.values import Json, Path

TOTAL = "X-Total-Count"
_LISTED = (WorkflowStatus.DRAFT, WorkflowStatus.ACTIVE, WorkflowStatus.PAUSED)
_AT_ONCE = 200  # archived workflows that are looked through at a time
_OF_TRIGGER = ("trigger_type", "trigger_config")


async def list_workflows(call: Call[WorkflowsQuery, None]) -> Response:
    """GET /workflows, and below the workspace."""
    await workspace(call)
    query = call.query
    if query.status == "archived":
        found = await _archived(call)
        rows, total = found[query.offset : query.offset + query.limit], len(found)
    else:
        statuses = _LISTED if query.status is None else (WorkflowStatus(query.status),)
        wanted = WorkflowListing(workspace=call.workspace, statuses=statuses, offset=query.offset, limit=query.limit)
        rows, total = await call.core.workflows.listing(wanted)
    return bare([await _shown(call, row) for row in rows], headers={TOTAL: str(total)})


async def create_workflow(call: Call[None, NewWorkflow]) -> Response:
    """POST /workflows, and below the workspace. The same Idempotency-Key gets the first answer again."""
    await workspace(call)
    return await once(call, "workflows", lambda: _created(call))


async def _created(call: Call[None, NewWorkflow]) -> Response:
    fields = sent(call.body)
    nodes = _listed(call, call.body.nodes)
    _check(fields, call.body)
    source = drafts.new_source(fields, nodes)
    native = drafts.native(call.core, source, fields["title"], fields.get("description"), _in_list)
    await drafts.check_scripts(call.core, call.workspace, nodes, _in_list)
    made = await call.core.workflows.create(call.workspace, native, call.principal.key_id, source)
    id = made.workflow.id
    await drafts.keep_secret(call.core, call.workspace, id, fields)
    wanted = WorkflowStatus(fields.get("status", "active"))
    if wanted is WorkflowStatus.PAUSED:
        await call.core.workflows.activate(call.workspace, id)
    await _move(call, await call.core.workflows.row(call.workspace, id), wanted)
    return bare(await shown(call, id))


async def get_workflow(call: Call[None, None]) -> Response:
    """GET /workflows/{id}, and below the workspace."""
    return bare(await _shown(call, await workflow(call)))


async def update_workflow(call: Call[None, WorkflowChanges]) -> Response:
    """PUT /workflows/{id}, and below the workspace."""
    row = await workflow(call)
    fields = sent(call.body)
    editable(row)
    target = WorkflowStatus(fields.get("status", row.status))
    _check_move(row, target)
    owned = source_of(await document(call, row)) is not None

    def changed(whole: Object) -> Object:
        return _changed(call, whole, fields) if owned else _renamed(whole, fields)

    if owned:
        _check(fields, call.body)
    await call.core.workflows.revise(call.workspace, row.id, changed, call.principal.key_id)
    if owned:
        await drafts.keep_secret(call.core, call.workspace, row.id, fields)
    await _move(call, row, target)
    return bare(await shown(call, row.id))


async def delete_workflow(call: Call[None, None]) -> Response:
    """DELETE /workflows/{id}, and below the workspace."""
    row = await workflow(call)
    if (await call.core.workflows.counts(call.workspace, row.id)).open:
        raise InvalidState("Workflow has runs that have not ended")

    def marked(whole: Object) -> Object:
        return {**whole, "source": {**whole["source"], DELETED: True}}

    if source_of(await document(call, row)) is not None:
        await call.core.workflows.revise(call.workspace, row.id, marked, call.principal.key_id, archived=True)
    await call.core.workflows.archive(call.workspace, row.id)
    await call.core.triggers.delete_of_workflow(call.workspace, row.id)
    return Response(status_code=204)


async def shown(call: AnyCall, id: str) -> Workflow:
    """A workflow as it is now."""
    return await _shown(call, await call.core.workflows.row(call.workspace, id))


def editable(row: Row) -> None:
    """Raise InvalidState if a workflow was put away for good."""
    if row.status is WorkflowStatus.ARCHIVED:
        raise InvalidState("Workflow is archived")


async def _shown(call: AnyCall, row: Row) -> Workflow:
    whole = await document(call, row)
    source = source_of(whole) or {}
    trigger_type, config = drafts.shown_trigger(whole)
    return Workflow(
        id=row.id,
        user_id=owner_id(row.workspace),
        title=row.name,
        trigger_type=trigger_type,
        status=row.status.value,
        created_at=iso(created_ms(row.id)),
        updated_at=iso(row.updated_at),
        description=row.description,
        trigger_config=config,
        auto_accept=source.get("auto_accept", False),
        auto_accept_preferences=source.get("auto_accept_preferences"),
        max_budget_cents=(whole.get("settings") or {}).get("budgetCents"),
        nodes=await shown_nodes(call, row, whole),
        workspace_id=row.workspace,
        webhook_url=drafts.webhook_url(call.core, row.workspace, row.id, whole) or UNSET,
    )


async def _archived(call: AnyCall) -> list[Row]:
    """The archived workflows that are still shown, newest first."""
    found: list[Row] = []
    offset = 0
    while True:
        wanted = WorkflowListing(
            workspace=call.workspace, statuses=(WorkflowStatus.ARCHIVED,), offset=offset, limit=_AT_ONCE
        )
        rows, _ = await call.core.workflows.listing(wanted)
        found += [row for row in rows if is_kept(await document(call, row))]
        if len(rows) < _AT_ONCE:
            return found
        offset += _AT_ONCE


def _listed(call: AnyCall, written: list[ListedNode]) -> list[Object]:
    """The nodes that come with a new workflow, each with its own id or a new one."""
    ids, now = TimeOrderedIds(call.clock), call.clock.now_ms()
    faults: list[Fault] = []
    nodes: list[Object] = []
    seen: set[str] = set()
    for index, node in enumerate(written):
        at: Path = ("nodes", index)
        id = ids.new() if node.id is None else uuid_of(node.id)
        if id is None:
            faults.append(Fault((*at, "id"), "Input should be a valid UUID"))
        elif id in seen:
            faults.append(Fault((*at, "id"), f"Duplicate id: {id}"))
        else:
            seen.add(id)
        nodes.append(whole_node(node_fields(node, faults, at), id or "", now))
    if faults:
        raise refused(faults, call.body)
    return nodes


def _check(fields: Object, body: WorkflowChanges) -> None:
    if faults := drafts.secret_faults(fields):
        raise refused(faults, body)


def _in_list(index: int, path: Path) -> Path:
    return ("nodes", index, *path)


def _changed(call: AnyCall, whole: Object, fields: Mapping[str, Json]) -> Object:
    """The definition of a workflow of this dialect with what was sent."""
    source = {**whole["source"], **drafts.settings(fields)}
    title, description = fields.get("title", whole["name"]), fields.get("description", whole.get("description"))
    made = drafts.native(call.core, source, title, description, _in_list)
    if not any(name in fields for name in _OF_TRIGGER):
        made["trigger"] = whole["trigger"]
    return {**whole, **made, "settings": drafts.with_budget(whole, source["max_budget_cents"])}


def _renamed(whole: Object, fields: Mapping[str, Json]) -> Object:
    """The definition of a workflow of another dialect with as much of what was sent as may change here."""
    changed = dict(whole)
    if "title" in fields:
        changed["name"] = fields["title"]
    if "description" in fields:
        changed["description"] = fields["description"]
    if "max_budget_cents" in fields:
        changed["settings"] = drafts.with_budget(whole, fields["max_budget_cents"])
    return changed


def _check_move(row: Row, target: WorkflowStatus) -> None:
    if target is not row.status and target not in WORKFLOW_TRANSITIONS[row.status]:
        raise InvalidState(f"Workflow cannot go from {row.status} to {target}")


async def _move(call: AnyCall, row: Row, target: WorkflowStatus) -> None:
    if target is row.status:
        return
    match target:
        case WorkflowStatus.ACTIVE:
            await call.core.workflows.activate(call.workspace, row.id)
        case WorkflowStatus.PAUSED:
            await call.core.workflows.pause(call.workspace, row.id)
        case WorkflowStatus.ARCHIVED:
            await call.core.workflows.archive(call.workspace, row.id)


_SHOWN = (Answer(status=200, data=Workflow),)


ROUTES: Sequence[Route] = twins(
    Route(
        method="GET",
        path="/workflows",
        handler=list_workflows,
        scope="workflows:read",
        rate=Rate.READ,
        summary="List workflows, newest first; archived ones if asked for",
        answers=(Answer(status=200, data=Workflow, listed=True),),
        query=WorkflowsQuery,
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        path_check=check_path,
        exists=workspace,
    ),
    Route(
        method="POST",
        path="/workflows",
        handler=create_workflow,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Make a workflow with its nodes",
        answers=_SHOWN,
        body=NewWorkflow,
        headers=("Idempotency-Key",),
        errors=("NOT_FOUND",),
        path_check=check_path,
        exists=workspace,
    ),
    Route(
        method="GET",
        path="/workflows/{id}",
        handler=get_workflow,
        scope="workflows:read",
        rate=Rate.READ,
        summary="Read a workflow with its nodes",
        answers=_SHOWN,
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        path_check=check_path,
    ),
    Route(
        method="PUT",
        path="/workflows/{id}",
        handler=update_workflow,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Change a workflow; what is not sent stays",
        answers=_SHOWN,
        body=WorkflowChanges,
        errors=("NOT_FOUND", "INVALID_STATE"),
        path_check=check_path,
        exists=workflow_exists,
    ),
    Route(
        method="DELETE",
        path="/workflows/{id}",
        handler=delete_workflow,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Remove a workflow whose runs have all ended",
        answers=(Answer(status=204, data=None),),
        errors=("NOT_FOUND", "INVALID_STATE", "VALIDATION_ERROR"),
        path_check=check_path,
    ),
)
