"""Workflows: written, listed, moved through their life, versioned. Source: LoopFour contract 3."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from msgspec import Raw
from starlette.responses import Response

from stepwell import ids
from stepwell.clock import iso
from stepwell.core import VersionDetail, WorkflowDetail
from stepwell.definitions.document import DOCUMENT
from stepwell.errors import Fault, NotFound, ValidationFailed
from stepwell.http.dialects.loopfour import requests, wire
from stepwell.http.dialects.loopfour.answers import CONFIGURATION, listing, success
from stepwell.http.dialects.loopfour.names import bad_cursor, created, cursor, cursor_id, cursor_text, reference
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.states import WorkflowStatus
from stepwell.store import Trigger, Workflow
from stepwell.values import Json, decode

_DEFINED = ("name", "description", "trigger", "steps", "inputSchema", "outputSchema", "output", "variables", "settings")
_CHANGES: Json = {"type": "object", "properties": {name: {} for name in DOCUMENT["properties"]}}


def workflow(call: AnyCall) -> str:
    """The id or slug in the path."""
    return reference("wf", call.params["id"])


async def workflow_exists(call: AnyCall) -> None:
    """Raise NotFound unless the workflow of the path exists."""
    await call.core.workflows.row(call.workspace, workflow(call))


async def list_workflows(call: Call[requests.WorkflowsQuery, None]) -> Response:
    """GET /workflows."""
    query = call.query
    rows = await call.core.workflows.page(
        call.workspace,
        status=WorkflowStatus(query.status) if query.status else None,
        search=query.search,
        before=cursor_id(query.cursor, "wf"),
        limit=query.limit + 1,
    )
    shown = partial(_item, call)
    return listing(rows, query.limit, shown, lambda row: cursor(ids.created_ms(row.id), f"wf_{row.id}"))


async def create_workflow(call: Call[None, dict[str, Json]]) -> Response:
    """POST /workflows."""
    made = await call.core.workflows.create(call.workspace, _object(call.body), call.principal.key_id)
    return success(await _detail(call, made), 201)


async def get_workflow(call: Call[None, None]) -> Response:
    """GET /workflows/{id}."""
    return success(await _detail(call, await call.core.workflows.get(call.workspace, workflow(call))))


async def put_workflow(call: Call[None, dict[str, Json]]) -> Response:
    """PUT /workflows/{id}."""
    await workflow_exists(call)
    changes = _object(call.body)
    edited = await call.core.workflows.update(call.workspace, workflow(call), changes, call.principal.key_id)
    return success(await _detail(call, edited))


async def put_canvas(call: Call[None, requests.CanvasBody]) -> Response:
    """PATCH /workflows/{id}/canvas."""
    body = call.body
    edited = await call.core.workflows.set_canvas(
        call.workspace, workflow(call), body.canvas_state, body.steps, call.principal.key_id
    )
    return success(await _detail(call, edited))


async def activate_workflow(call: Call[None, None]) -> Response:
    """POST /workflows/{id}/activate and /resume."""
    return success(await _detail(call, await call.core.workflows.activate(call.workspace, workflow(call))))


async def pause_workflow(call: Call[None, None]) -> Response:
    """POST /workflows/{id}/pause."""
    return success(await _detail(call, await call.core.workflows.pause(call.workspace, workflow(call))))


async def archive_workflow(call: Call[None, None]) -> Response:
    """POST /workflows/{id}/archive and DELETE /workflows/{id}."""
    return success(await _detail(call, await call.core.workflows.archive(call.workspace, workflow(call))))


async def duplicate_workflow(call: Call[None, None]) -> Response:
    """POST /workflows/{id}/duplicate."""
    made = await call.core.workflows.duplicate(call.workspace, workflow(call), call.principal.key_id)
    return success(await _detail(call, made), 201)


async def list_versions(call: Call[requests.PageQuery, None]) -> Response:
    """GET /workflows/{id}/versions."""
    await workflow_exists(call)
    query = call.query
    before = None if query.cursor is None else _number(cursor_text(query.cursor))
    if query.cursor is not None and before is None:
        raise bad_cursor()
    rows = await call.core.workflows.versions(call.workspace, workflow(call), before=before, limit=query.limit + 1)
    return listing(rows, query.limit, _version_item, lambda row: cursor(row.created_at, str(row.number)))


async def get_version(call: Call[None, None]) -> Response:
    """GET /workflows/{id}/versions/{n}."""
    stored = await call.core.workflows.row(call.workspace, workflow(call))
    version = await call.core.workflows.version(call.workspace, stored.id, _version_number(call))
    data: dict[str, Any] = {
        "workflowId": f"wf_{stored.id}",
        "version": version.number,
        "createdAt": iso(version.created_at),
        "createdBy": _author(version.created_by),
        "current": version.current,
    }
    return success(_with_definition(version.document, data))


async def restore_version(call: Call[None, None]) -> Response:
    """POST /workflows/{id}/versions/{n}/restore."""
    await workflow_exists(call)
    number = _version_number(call)
    restored = await call.core.workflows.restore(call.workspace, workflow(call), number, call.principal.key_id)
    return success(await _detail(call, restored))


def _object(body: Json) -> dict[str, Json]:
    if not isinstance(body, dict):
        raise ValidationFailed(CONFIGURATION, [Fault((), "Expected object")])
    return body


def _item(call: AnyCall, row: Workflow) -> wire.WorkflowItem:
    return wire.WorkflowItem(
        id=f"wf_{row.id}",
        name=row.name,
        description=row.description,
        status=row.status.value,
        version=row.version,
        trigger=_trigger(call, row.id, decode(row.trigger)),
        created_at=created(row.id),
        updated_at=iso(row.updated_at),
    )


async def _detail(call: AnyCall, detail: WorkflowDetail) -> dict[str, Any]:
    row = detail.workflow
    data: dict[str, Any] = {
        "id": f"wf_{row.id}",
        "slug": row.slug,
        "status": row.status.value,
        "version": row.version,
        "createdAt": created(row.id),
        "updatedAt": iso(row.updated_at),
        "canvasState": None if row.canvas is None else Raw(row.canvas),
        "warnings": detail.warnings,
    }
    shown = _with_definition(detail.document, data)
    trigger = _trigger(call, row.id, detail.document["trigger"])
    own = await call.core.triggers.of_document(call.workspace, row.id)
    return {**shown, "trigger": trigger if own is None else {**trigger, "state": _state(own)}}


def _state(own: Trigger) -> dict[str, Json]:
    """How a trigger is: the server's words for why it does not fire, when it fires next."""
    return {
        "status": own.status,
        "reason": own.reason,
        "nextRunAt": None if own.next_at is None else iso(own.next_at),
        "lastFiredAt": None if own.last_fired_at is None else iso(own.last_fired_at),
        "fired": own.fired,
    }


def _trigger(call: AnyCall, workflow: str, written: dict[str, Json]) -> dict[str, Json]:
    """A trigger with the id and address that the server adds to those that requests arrive for."""
    url = call.core.inbox.listening.url(call.workspace, workflow, written)
    return written if url is None else {**written, "id": f"trg_{workflow}", "url": url}


def _with_definition(document: dict[str, Json], data: dict[str, Any]) -> dict[str, Any]:
    """The fields of a definition, null where it has none, and the unknown ones as they were sent; then the data."""
    return {name: document.get(name) for name in _DEFINED} | document | data


def _version_item(version: VersionDetail) -> wire.VersionItem:
    return wire.VersionItem(
        version=version.number,
        created_at=iso(version.created_at),
        created_by=_author(version.created_by),
        current=version.current,
    )


def _author(created_by: str) -> str:
    """The id of the key; what is not a key is told as it is."""
    return created_by if ids.parse(created_by) is None else f"key_{created_by}"


def _version_number(call: AnyCall) -> int:
    number = _number(call.params["n"])
    if number is None:
        raise NotFound("Version not found")
    return number


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def _move(path: str, handler: Callable[[AnyCall], Awaitable[Response]], summary: str) -> Route:
    return Route(
        method="POST",
        path=f"/workflows/{{id}}/{path}",
        handler=handler,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary=summary,
        answers=(Answer(status=200, data=wire.WorkflowDetail),),
        errors=("NOT_FOUND", "VALIDATION_ERROR", "INVALID_STATUS"),
    )


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/workflows",
        handler=list_workflows,
        scope="workflows:read",
        rate=Rate.READ,
        summary="List workflows, newest first",
        answers=(Answer(status=200, data=wire.WorkflowItem, listed=True),),
        query=requests.WorkflowsQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="POST",
        path="/workflows",
        handler=create_workflow,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Create a draft",
        answers=(Answer(status=201, data=wire.WorkflowDetail),),
        body=dict,
        body_schema=DOCUMENT,
        errors=("VALIDATION_ERROR", "ALREADY_EXISTS"),
    ),
    Route(
        method="GET",
        path="/workflows/{id}",
        handler=get_workflow,
        scope="workflows:read",
        rate=Rate.READ,
        summary="Read a workflow with its definition",
        answers=(Answer(status=200, data=wire.WorkflowDetail),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="PUT",
        path="/workflows/{id}",
        handler=put_workflow,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Replace the top-level fields that are sent; null removes an optional one",
        answers=(Answer(status=200, data=wire.WorkflowDetail),),
        body=dict,
        body_schema=_CHANGES,
        errors=("NOT_FOUND", "VALIDATION_ERROR", "INVALID_STATUS", "ALREADY_EXISTS", "SOURCE_OWNED"),
        exists=workflow_exists,
    ),
    Route(
        method="DELETE",
        path="/workflows/{id}",
        handler=archive_workflow,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Archive a workflow",
        answers=(Answer(status=200, data=wire.WorkflowDetail),),
        errors=("NOT_FOUND", "INVALID_STATUS"),
    ),
    _move("activate", activate_workflow, "Let a workflow take runs"),
    _move("resume", activate_workflow, "The same as activate"),
    _move("pause", pause_workflow, "Take no new runs; runs in progress go on"),
    _move("archive", archive_workflow, "Put a workflow away for good"),
    Route(
        method="POST",
        path="/workflows/{id}/duplicate",
        handler=duplicate_workflow,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Create a draft of the same definition, without secrets and slug",
        answers=(Answer(status=201, data=wire.WorkflowDetail),),
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
    ),
    Route(
        method="PATCH",
        path="/workflows/{id}/canvas",
        handler=put_canvas,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Store the canvas, and the steps if they are sent",
        answers=(Answer(status=200, data=wire.WorkflowDetail),),
        body=requests.CanvasBody,
        errors=("NOT_FOUND", "VALIDATION_ERROR", "INVALID_STATUS", "SOURCE_OWNED"),
        exists=workflow_exists,
    ),
    Route(
        method="GET",
        path="/workflows/{id}/versions",
        handler=list_versions,
        scope="workflows:read",
        rate=Rate.READ,
        summary="List versions, newest first",
        answers=(Answer(status=200, data=wire.VersionItem, listed=True),),
        query=requests.PageQuery,
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        exists=workflow_exists,
    ),
    Route(
        method="GET",
        path="/workflows/{id}/versions/{n}",
        handler=get_version,
        scope="workflows:read",
        rate=Rate.READ,
        summary="Read one version",
        answers=(Answer(status=200, data=wire.VersionDetail),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="POST",
        path="/workflows/{id}/versions/{n}/restore",
        handler=restore_version,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Copy a version into a new one",
        answers=(Answer(status=200, data=wire.WorkflowDetail),),
        errors=("NOT_FOUND", "VALIDATION_ERROR", "INVALID_STATUS"),
    ),
)
