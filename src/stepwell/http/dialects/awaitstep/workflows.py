"""Workflows: made, listed, changed, removed. Source: AwaitStep contract 4.2."""

from msgspec import UNSET
from starlette.responses import Response

from stepwell.clock import iso
from stepwell.core import BULLETS, Draft
from stepwell.errors import Fault, InvalidState, NotFound, ValidationFailed
from stepwell.http.dialects.awaitstep.answers import BadRequest, bare
from stepwell.http.dialects.awaitstep.deploy_config import check_config
from stepwell.http.dialects.awaitstep.functions import TRIGGER_NAMES
from stepwell.http.dialects.awaitstep.located import workflow, workflow_exists
from stepwell.http.dialects.awaitstep.names import DIALECT
from stepwell.http.dialects.awaitstep.pages import after, listing
from stepwell.http.dialects.awaitstep.run_row import status_of
from stepwell.http.dialects.awaitstep.wire_runs import Done
from stepwell.http.dialects.awaitstep.wire_workflows import (
    DeleteQuery,
    EnvVar,
    Kind,
    NewWorkflow,
    PageQuery,
    WorkflowChanges,
    WorkflowRow,
)
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.ids import created_ms
from stepwell.states import RunState, WorkflowStatus
from stepwell.store import RunFilter, SourceWorkflow, Workflow
from stepwell.values import decode, encode

OPEN = tuple(state for state in RunState if not state.final)
_AT_ONCE = 100


async def list_workflows(call: Call[PageQuery, None]) -> Response:
    """GET /api/workflows."""
    query = call.query
    rows = await call.core.workflows.page(call.workspace, before=after(query.cursor, "wf"), limit=query.limit + 1)
    shown = {row.id: await _listed(call, row) for row in rows[: query.limit]}
    return listing(rows, query.limit, lambda row: shown[row.id], "wf", lambda row: row.id)


async def create_workflow(call: Call[None, NewWorkflow]) -> Response:
    """POST /api/workflows."""
    body = call.body
    draft = {"name": body.name, "description": body.description}
    row = await call.core.sources.create(call.workspace, body.kind, draft, call.principal.key_id, DIALECT)
    return bare(await shown(call, row), 201)


async def get_workflow(call: Call[None, None]) -> Response:
    """GET /api/workflows/{id}."""
    return bare(await shown(call, await workflow(call)))


async def update_workflow(call: Call[None, WorkflowChanges]) -> Response:
    """PATCH /api/workflows/{id}."""
    row, body = await workflow(call), call.body
    source = await call.core.sources.get(call.workspace, row.id)
    if body.dependencies is not UNSET and body.dependencies not in (None, "", "{}", {}, [], "[]"):
        raise BadRequest("package dependencies are not supported")
    if body.trigger_code not in (UNSET, None, "") and (source is None or source.kind != "script"):
        raise BadRequest("triggerCode is only used by functions")
    if source is not None:
        await _settings(call, source, body)
    given = {"name": body.name, "description": body.description, "slug": body.slug}
    changes = {name: value for name, value in given.items() if value is not UNSET}
    if changes:
        made_of = (await call.core.workflows.get(call.workspace, row.id)).document.get("source")
        await call.core.workflows.update(call.workspace, row.id, changes, call.principal.key_id, made_of)
    return bare(await shown(call, await workflow(call)))


async def delete_workflow(call: Call[DeleteQuery, None]) -> Response:
    """DELETE /api/workflows/{id}."""
    row = await workflow(call)
    wanted = RunFilter(workspace=call.workspace, workflow=row.id, states=OPEN, limit=_AT_ONCE)
    while runs := await call.core.runs.page(wanted):
        if not call.query.force:
            raise InvalidState("Workflow has runs that have not ended")
        for run in runs:
            try:
                await call.core.runs.cancel(call.workspace, run.id)
            except InvalidState:
                continue  # it ended meanwhile
    await call.core.sources.delete(call.workspace, row.id)
    await _delete_runs(call, row.id)
    return bare(Done())


async def written(call: AnyCall) -> SourceWorkflow:
    """The workflow of the path, which is written in this dialect. Raises NotFound, BadRequest."""
    row = await workflow(call)
    source = await call.core.sources.get(call.workspace, row.id)
    if source is None:
        raise BadRequest("This workflow is not written in this form; edit it where it is")
    return source


async def shown(call: AnyCall, row: Workflow) -> WorkflowRow:
    """A workflow as it is now."""
    source = await call.core.sources.get(call.workspace, row.id)
    kind: Kind = "script" if source is not None and source.kind == "script" else "workflow"
    variables = []
    for each in decode(source.env_vars) if source is not None else ():
        hidden = each["secret"] and each["value"] is None
        value = BULLETS if hidden else each["value"]
        variables.append({"name": each["name"], "value": value, "isSecret": each["secret"]})
    current = None if source is None else source.current_version
    first = await call.core.workflows.versions(row.workspace, row.id, before=2, limit=1)
    return WorkflowRow(
        id=f"wf_{row.id}",
        project_id=row.workspace,
        created_by=first[0].created_by if first else None,
        name=row.name,
        description=row.description,
        kind=kind,
        current_version_id=f"ver_{row.version}" if source is None else None if current is None else f"ver_{current}",
        env_vars=encode(variables).decode(),
        trigger_code=None if source is None else source.trigger_code,
        dependencies="{}",
        deploy_config="{}" if source is None else source.deploy_config.decode(),
        created_at=iso(created_ms(row.id)),
        updated_at=iso(max(row.updated_at, 0 if source is None else source.updated_at)),
    )


async def _delete_runs(call: AnyCall, workflow: str) -> None:
    """Forget the runs of a workflow that takes no more; one that was started at the last moment goes on."""
    before = None
    while runs := await call.core.runs.page(
        RunFilter(workspace=call.workspace, workflow=workflow, before=before, limit=_AT_ONCE)
    ):
        for run in runs:
            try:
                await call.core.runs.delete(call.workspace, run.id)
            except (InvalidState, NotFound):
                continue
        before = runs[-1].id


async def _listed(call: AnyCall, row: Workflow) -> WorkflowRow:
    made = await shown(call, row)
    source = await call.core.sources.get(call.workspace, row.id)
    if source is None:
        made.deploy_version_id = f"ver_{row.version}" if row.status is WorkflowStatus.ACTIVE else None
    else:
        made.deploy_version_id = None if source.deployed_version is None else f"ver_{source.deployed_version}"
    made.deploy_status = None if made.deploy_version_id is None else "success"
    runs = await call.core.runs.page(RunFilter(workspace=call.workspace, workflow=row.id, limit=1))
    made.last_run_status = status_of(runs[0]) if runs else None
    made.last_run_at = iso(created_ms(runs[0].id)) if runs else None
    return made


async def _settings(call: AnyCall, source: SourceWorkflow, body: WorkflowChanges) -> None:
    named = [] if body.env_vars is UNSET else [each.name for each in body.env_vars]
    if len(set(named)) < len(named):
        raise ValidationFailed("Invalid request", [Fault(("envVars",), "Names must differ")], within="body")
    if body.trigger_code is UNSET and body.deploy_config is UNSET and body.env_vars is UNSET:
        return
    config = decode(source.deploy_config)
    if body.deploy_config is not UNSET:
        config = body.deploy_config or {}
        check_config(config, source.kind, "deployConfig", call.core.public_url)
    if isinstance(body.trigger_code, str):
        (told,) = await call.core.scripts.faults(
            call.workspace, [Draft(body.trigger_code, TRIGGER_NAMES, located=True)]
        )
        if told is not None:
            raise ValidationFailed("Invalid request", [Fault(("triggerCode",), told)], within="body")
    await call.core.sources.change(
        source,
        trigger_code=source.trigger_code if body.trigger_code is UNSET else body.trigger_code,
        deploy_config=config,
        env_vars=None if body.env_vars is UNSET else [_variable(each) for each in body.env_vars],
    )


def _variable(each: EnvVar) -> dict[str, str | bool | None]:
    return {"name": each.name, "value": each.value, "secret": each.is_secret}


_ROW = (Answer(status=200, data=WorkflowRow),)

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/workflows",
        handler=list_workflows,
        scope="workflows:read",
        rate=Rate.READ,
        summary="List workflows, newest first",
        answers=(Answer(status=200, data=WorkflowRow, listed=True),),
        query=PageQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="POST",
        path="/api/workflows",
        handler=create_workflow,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Make a workflow or a function",
        answers=(Answer(status=201, data=WorkflowRow),),
        body=NewWorkflow,
        errors=("BAD_REQUEST",),
    ),
    Route(
        method="GET",
        path="/api/workflows/{id}",
        handler=get_workflow,
        scope="workflows:read",
        rate=Rate.READ,
        summary="Read a workflow",
        answers=_ROW,
        errors=("NOT_FOUND",),
    ),
    Route(
        method="PATCH",
        path="/api/workflows/{id}",
        handler=update_workflow,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Change a workflow; what is not sent stays",
        answers=_ROW,
        body=WorkflowChanges,
        errors=("NOT_FOUND", "BAD_REQUEST"),
        exists=workflow_exists,
    ),
    Route(
        method="DELETE",
        path="/api/workflows/{id}",
        handler=delete_workflow,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Remove a workflow with its versions and deployments",
        answers=(Answer(status=200, data=Done),),
        query=DeleteQuery,
        errors=("NOT_FOUND", "INVALID_STATE", "VALIDATION_ERROR"),
        exists=workflow_exists,
    ),
)
