"""Versions of a workflow: saved, locked, brought back, removed. Source: AwaitStep contract 4.2, 9."""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType
from starlette.responses import Response

from stepwell import ids
from stepwell.clock import iso, parse_iso
from stepwell.core import VersionDetail
from stepwell.errors import Fault, NotFound, ValidationFailed
from stepwell.http.dialects.awaitstep.answers import BadRequest, bare
from stepwell.http.dialects.awaitstep.ir import Checked, check, script_faults
from stepwell.http.dialects.awaitstep.located import workflow, workflow_exists
from stepwell.http.dialects.awaitstep.names import reference
from stepwell.http.dialects.awaitstep.pages import after, listing
from stepwell.http.dialects.awaitstep.wire_runs import Done
from stepwell.http.dialects.awaitstep.wire_workflows import (
    DeploymentRow,
    FullQuery,
    FullWorkflow,
    NewVersion,
    PageQuery,
    VersionChanges,
    VersionRow,
)
from stepwell.http.dialects.awaitstep.workflows import shown, written
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.ids import created_ms
from stepwell.store import Deployment, SourceVersion, Workflow
from stepwell.values import Json, encode

SHOWN_IN_FULL = 100
LONGEST_NUMBER = 9  # digits


async def list_versions(call: Call[PageQuery, None]) -> Response:
    """GET /api/workflows/{id}/versions."""
    row, query = await workflow(call), call.query
    if await call.core.sources.get(call.workspace, row.id) is None:
        return await _native_versions(call, row)
    before = after(query.cursor, "ver")
    found = await call.core.sources.versions(call.workspace, row.id, before=before, limit=query.limit + 1)
    return listing(found, query.limit, version_row, "ver", lambda each: each.id)


async def get_version(call: Call[None, None]) -> Response:
    """GET /api/workflows/{id}/versions/{vid}."""
    return bare(await _version(call, await workflow(call), call.params["vid"]))


async def full(call: Call[FullQuery, None]) -> Response:
    """GET /api/workflows/{id}/full."""
    row = await workflow(call)
    whole = await shown(call, row)
    version = call.query.version or whole.current_version_id
    return bare(
        FullWorkflow(
            workflow=whole,
            version=None if version is None else await _version(call, row, version),
            versions=await _all_versions(call, row),
            active_deployment=await _active(call, row),
        )
    )


async def save_version(call: Call[None, NewVersion]) -> Response:
    """POST /api/workflows/{id}/versions."""
    source = await written(call)
    checked = await checked_ir(call, call.body.ir, source.kind, "Invalid IR")
    saved, new = await call.core.sources.save(source, encode(call.body.ir), call.principal.key_id)
    return bare(version_row(saved, checked.warnings), 201 if new else 200)


async def lock_version(call: Call[None, VersionChanges]) -> Response:
    """PATCH /api/workflows/{id}/versions/{vid}."""
    source, id = await written(call), version_id(call.params["vid"])
    changed = await call.core.sources.lock(call.workspace, source.workflow, id, locked=call.body.locked)
    return bare(version_row(changed))


async def revert_version(call: Call[None, None]) -> Response:
    """POST /api/workflows/{id}/versions/{vid}/revert."""
    source = await written(call)
    made = await call.core.sources.revert(source, version_id(call.params["vid"]), call.principal.key_id)
    return bare(version_row(made), 201)


async def delete_version(call: Call[None, None]) -> Response:
    """DELETE /api/workflows/{id}/versions/{vid}."""
    await call.core.sources.delete_version(await written(call), version_id(call.params["vid"]))
    return bare(Done())


async def checked_ir(call: AnyCall, ir: Json, kind: str, refusal: str) -> Checked:
    """What is found in an IR that is sound. Raises ValidationFailed of its shape, BadRequest with all else."""
    checked = check(ir, kind)
    if checked.schema_faults:
        raise ValidationFailed("Invalid request", checked.schema_faults, within="body")
    told = await call.core.scripts.faults(call.workspace, checked.drafts)
    faults = [*checked.graph_faults, *script_faults(checked, told)]
    if faults:
        raise BadRequest(refusal, [fault.as_json() for fault in faults])
    return checked


def version_id(text: str) -> str:
    """The version that an id names. Raises NotFound."""
    found = ids.parse(reference("ver", text))
    if found is None:
        raise NotFound("Version not found")
    return found


def version_row(version: SourceVersion, warnings: Sequence[str] | UnsetType = UNSET) -> VersionRow:
    """A version as it is answered; what to know of it where it has just been saved."""
    return VersionRow(
        id=f"ver_{version.id}",
        workflow_id=f"wf_{version.workflow}",
        version=version.number,
        ir=version.body.decode(),
        locked=int(version.locked),
        created_by=version.created_by or None,
        created_at=iso(created_ms(version.id)),
        updated_at=iso(version.updated_at),
        warnings=UNSET if warnings is UNSET else list(warnings),
    )


def deployment_row(deployment: Deployment) -> DeploymentRow:
    """A deployment as it is answered."""
    return DeploymentRow(
        id=f"dep_{deployment.id}",
        workflow_id=f"wf_{deployment.workflow}",
        version_id=None if deployment.version is None else f"ver_{deployment.version}",
        connection_id=f"conn_{deployment.connection}",
        service_name=deployment.service_name,
        service_url=deployment.service_url,
        status=deployment.status,
        error=deployment.error,
        created_at=iso(created_ms(deployment.id)),
    )


async def _all_versions(call: AnyCall, row: Workflow) -> list[VersionRow]:
    """The versions of a workflow, newest first, as many as are shown with it."""
    core = call.core
    if await core.sources.get(call.workspace, row.id) is None:
        listed = await core.workflows.versions(call.workspace, row.id, limit=SHOWN_IN_FULL)
        return [_elsewhere(row, each) for each in listed]
    found = await core.sources.versions(call.workspace, row.id, limit=SHOWN_IN_FULL)
    return [version_row(each) for each in found]


async def _active(call: AnyCall, row: Workflow) -> DeploymentRow | None:
    """The deploy of the version that runs."""
    source = await call.core.sources.get(call.workspace, row.id)
    if source is None or source.deployed_version is None:
        return None
    listed = await call.core.sources.deployments(call.workspace, workflow=row.id, before=None, limit=SHOWN_IN_FULL)
    done = (each for each in listed if (each.version, each.status) == (source.deployed_version, "success"))
    return next(map(deployment_row, done), None)


async def _version(call: AnyCall, row: Workflow, named: str) -> VersionRow:
    if await call.core.sources.get(call.workspace, row.id) is not None:
        return version_row(await call.core.sources.version(call.workspace, row.id, version_id(named)))
    number = named.removeprefix("ver_")
    if not number.isascii() or not number.isdigit() or len(number) > LONGEST_NUMBER:
        raise NotFound("Version not found")
    return _elsewhere(row, await call.core.workflows.version(call.workspace, row.id, int(number)))


async def _native_versions(call: Call[PageQuery, None], row: Workflow) -> Response:
    """A page of the versions of a workflow that was written elsewhere; their ids are their numbers."""
    limit = call.query.limit
    before = _number_after(call.query.cursor)
    found = await call.core.workflows.versions(call.workspace, row.id, before=before, limit=limit + 1)
    page = found[:limit]
    cursor = f"ver_{page[-1].number}_{iso(page[-1].created_at)}" if len(found) > limit else None
    return bare({"data": [_elsewhere(row, each) for each in page], "nextCursor": cursor})


def _number_after(cursor: str | None) -> int | None:
    """The number after which a page of such versions starts. Raises ValidationFailed."""
    if cursor is None:
        return None
    number, _, time = cursor.removeprefix("ver_").rpartition("_")
    if not number.isascii() or not number.isdigit() or len(number) > LONGEST_NUMBER or parse_iso(time) is None:
        raise ValidationFailed("Invalid request", [Fault(("cursor",), "Expected a cursor")], within="query")
    return int(number)


def _elsewhere(row: Workflow, version: VersionDetail) -> VersionRow:
    """A version of a workflow that was written elsewhere."""
    return VersionRow(
        id=f"ver_{version.number}",
        workflow_id=f"wf_{row.id}",
        version=version.number,
        ir=None,
        locked=0,
        created_by=version.created_by,
        created_at=iso(version.created_at),
        updated_at=iso(version.created_at),
    )


_ROW = (Answer(status=200, data=VersionRow),)

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/workflows/{id}/full",
        handler=full,
        scope="workflows:read",
        rate=Rate.READ,
        summary="Read a workflow with its versions",
        answers=(Answer(status=200, data=FullWorkflow),),
        query=FullQuery,
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        exists=workflow_exists,
    ),
    Route(
        method="GET",
        path="/api/workflows/{id}/versions",
        handler=list_versions,
        scope="workflows:read",
        rate=Rate.READ,
        summary="List versions, newest first",
        answers=(Answer(status=200, data=VersionRow, listed=True),),
        query=PageQuery,
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        exists=workflow_exists,
    ),
    Route(
        method="POST",
        path="/api/workflows/{id}/versions",
        handler=save_version,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Save a graph; the newest version is overwritten unless it is deployed or locked",
        answers=(Answer(status=201, data=VersionRow), Answer(status=200, data=VersionRow)),
        body=NewVersion,
        errors=("NOT_FOUND", "BAD_REQUEST"),
        exists=workflow_exists,
    ),
    Route(
        method="GET",
        path="/api/workflows/{id}/versions/{vid}",
        handler=get_version,
        scope="workflows:read",
        rate=Rate.READ,
        summary="Read a version",
        answers=_ROW,
        errors=("NOT_FOUND",),
    ),
    Route(
        method="PATCH",
        path="/api/workflows/{id}/versions/{vid}",
        handler=lock_version,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Lock or unlock a version",
        answers=_ROW,
        body=VersionChanges,
        errors=("NOT_FOUND", "BAD_REQUEST"),
        exists=workflow_exists,
    ),
    Route(
        method="POST",
        path="/api/workflows/{id}/versions/{vid}/revert",
        handler=revert_version,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Make an old version the newest again",
        answers=(Answer(status=201, data=VersionRow),),
        errors=("NOT_FOUND", "BAD_REQUEST"),
    ),
    Route(
        method="DELETE",
        path="/api/workflows/{id}/versions/{vid}",
        handler=delete_version,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Remove a version that is neither locked nor in use",
        answers=(Answer(status=200, data=Done),),
        errors=("NOT_FOUND", "BAD_REQUEST"),
    ),
)
