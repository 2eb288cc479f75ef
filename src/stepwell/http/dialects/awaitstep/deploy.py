"""Deploys: a version is compiled and becomes the one that runs. Source: AwaitStep contract 4.2, 7."""

from collections.abc import AsyncGenerator, Collection, Mapping
from typing import Final

from starlette.responses import Response

from stepwell.core import VersionRefused
from stepwell.errors import Fault, StepwellError, ValidationFailed
from stepwell.http.dialects.awaitstep.answers import JSON, BadRequest, bare
from stepwell.http.dialects.awaitstep.functions import compile_function
from stepwell.http.dialects.awaitstep.ir import Checked, CompiledIr, GraphFault, compile_ir
from stepwell.http.dialects.awaitstep.located import idempotency_key, workflow_exists
from stepwell.http.dialects.awaitstep.names import DIALECT, reference
from stepwell.http.dialects.awaitstep.pages import after, listing
from stepwell.http.dialects.awaitstep.versions import checked_ir, deployment_row, version_id
from stepwell.http.dialects.awaitstep.wire_workflows import (
    DeployBody,
    Deployed,
    DeploymentRow,
    Object,
    PageQuery,
    Success,
    TakedownBody,
)
from stepwell.http.dialects.awaitstep.workflows import kept, written
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.http.sse import ServerEvent, event_stream
from stepwell.states import WorkflowStatus
from stepwell.store import Answered, Deployment, SourceVersion, SourceWorkflow
from stepwell.values import decode

_MEANT: Final = ("auth", "cronTriggers", "route")
_KEPT: Final = ("compatibilityDate", "compatibilityFlags", "customDomain", "limits", "observability", "placement")
_AT_ONCE = 200
_STAGES: Final = (
    "INITIALIZING",
    "GENERATING_CODE",
    "CODE_READY",
    "DETECTING_BINDINGS",
    "BINDINGS_READY",
    "CREATING_WORKER",
    "DEPLOYING",
    "WORKER_DEPLOYED",
    "UPDATING_WORKFLOW",
    "COMPLETED",
)


class CompileFailed(StepwellError):
    """A version cannot be compiled to what runs."""

    code = "COMPILE_ERROR"


async def deploy(call: Call[None, DeployBody]) -> Response:
    """POST /api/workflows/{id}/deploy."""
    source = await written(call)
    place = f"awaitstep:deploy:{source.workflow}"
    answered, _ = await call.core.repeats.once(
        call.workspace, place, idempotency_key(call), lambda: _deployed(call, source)
    )
    return Response(answered.body, answered.status, media_type=JSON)


async def deploy_stream(call: Call[None, DeployBody]) -> Response:
    """POST /api/workflows/{id}/deploy-stream. What is wrong is told before the stream begins, as `deploy` tells it."""
    answered = await _deployed(call, await written(call))
    told = [{"stage": stage, "message": stage.replace("_", " ").capitalize()} for stage in _STAGES]
    events = [
        ServerEvent(at, "progress", {**each, "progress": 100 * at // len(told)}) for at, each in enumerate(told, 1)
    ]
    events.append(ServerEvent(len(told) + 1, "result", decode(answered.body)))

    async def stream() -> AsyncGenerator[ServerEvent, None]:
        for event in events:
            yield event

    return event_stream(stream(), lambda event: event, call.clock)


async def take_down(call: Call[None, TakedownBody]) -> Response:
    """POST /api/workflows/{id}/takedown."""
    row = await kept(call)
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
    workflow = (await kept(call)).id if "id" in call.params else None
    before = after(query.cursor, "dep")
    found = await call.core.sources.deployments(call.workspace, workflow=workflow, before=before, limit=query.limit + 1)
    return listing(found, query.limit, deployment_row, "dep", lambda each: each.id)


async def _deployed(call: Call[None, DeployBody], source: SourceWorkflow) -> Answered:
    await call.core.sources.check_unlocked(source)
    connection = await call.core.targets.resolve(call.workspace, reference("conn", call.body.connection_id))
    noted = Deployment(
        workspace=call.workspace,
        id="",
        workflow=source.workflow,
        version=None,
        connection=connection,
        service_name=f"awaitstep-{source.workflow}",
        service_url=None,
        status="failed",
    )
    version = None
    try:
        config, warnings = _config(source, call.body.config)
        version = await _chosen(call, source)
        url, found = await _made(call, source, version, config)
    except StepwellError as error:
        await call.core.sources.note(_with(noted, version, None, "failed", error.message[:500]))
        raise
    done = await call.core.sources.note(_with(noted, version, url, "success", None))
    answer = bare(
        Deployed(
            success=True,
            deployment_id=f"dep_{done.id}",
            version_id=f"ver_{version.id}",
            url=url,
            dashboard_url=call.core.public_url,
            warnings=[*found, *warnings],
        )
    )
    return Answered(answer.status_code, bytes(answer.body))


def _with(
    noted: Deployment, version: SourceVersion | None, url: str | None, status: str, error: str | None
) -> Deployment:
    return Deployment(
        workspace=noted.workspace,
        id="",
        workflow=noted.workflow,
        version=None if version is None else version.id,
        connection=noted.connection,
        service_name=noted.service_name,
        service_url=url,
        status=status,
        error=error,
    )


def _config(source: SourceWorkflow, given: Object | None) -> tuple[Object, list[str]]:
    """The settings of a deploy, and what to know of them. Raises ValidationFailed."""
    config = {**decode(source.deploy_config), **(given or {})}
    faults = [Fault(("config", name), "Unknown setting") for name in config if name not in _MEANT and name not in _KEPT]
    crons = config.get("cronTriggers", [])
    if not isinstance(crons, list) or not all(isinstance(each, str) for each in crons) or len(crons) > 1:
        faults.append(Fault(("config", "cronTriggers"), "Expected at most one cron expression"))
    auth = config.get("auth")
    if auth is not None and (not isinstance(auth, dict) or auth.get("type") not in ("key", "secret")):
        faults.append(Fault(("config", "auth", "type"), "Expected key or secret"))
    if "route" in config and config["route"] is not None:
        faults.append(Fault(("config", "route"), "Addresses of their own are not served yet"))
    if faults:
        raise ValidationFailed("Invalid deployment config", faults, within="body")
    return config, [f"deployConfig.{name} has no meaning here" for name in config if name in _KEPT]


async def _chosen(call: Call[None, DeployBody], source: SourceWorkflow) -> SourceVersion:
    if call.body.version_id is not None:
        named = await call.core.sources.version(call.workspace, source.workflow, version_id(call.body.version_id))
        if named.locked:
            raise VersionRefused("Version is locked")
        return named
    newest = await call.core.sources.versions(call.workspace, source.workflow, limit=1)
    if not newest:
        raise VersionRefused("No version to use")
    return newest[0]


async def _made(
    call: AnyCall, source: SourceWorkflow, version: SourceVersion, config: Object
) -> tuple[str | None, tuple[str, ...]]:
    """Compile a version and let it run; the URL at which it is called, and what to know of it."""
    core = call.core
    ir = decode(version.body)
    checked = await checked_ir(call, ir, source.kind, "IR validation failed")
    known = await core.sources.resolve(source)
    workflows, functions = await _targets(call, checked)
    compiled = compile_ir(
        checked,
        variables=known.variables.keys(),
        secrets=known.secrets.keys() | known.kept,
        workflows=workflows,
        functions=functions,
    )
    missing = sorted({*known.missing, *compiled.missing})
    if missing:
        raise BadRequest(f"Missing or unresolved environment variables: {', '.join(missing)}")
    await core.sources.keep_secrets(call.workspace, source.workflow, known.secrets)
    if source.kind == "script":
        body = _function(source, checked, config, known.secrets.keys() | known.kept)
        body["variables"] = known.variables or None
        await _put(call, source, version, body, {"dialect": DIALECT, "version": version.id}, compiled)
        return f"{core.public_url}/fn/wf_{source.workflow}", compiled.warnings
    if compiled.faults:
        raise BadRequest("IR validation failed", [fault.as_json() for fault in compiled.faults])
    body = {**compiled.fields, "variables": known.variables or None}
    if crons := config.get("cronTriggers"):
        if body["trigger"] != {"type": "api"}:
            raise CompileFailed("Compile error: the trigger of this workflow leaves no place for cronTriggers")
        body["trigger"] = {"type": "schedule", "cron": crons[0], "timezone": "UTC"}
    made_of: Object = {"dialect": DIALECT, "version": version.id}
    trigger = ir.get("trigger") or {}
    http = trigger.get("type") == "http"
    made_of["http"] = {"method": trigger.get("method", "POST"), "auth": config.get("auth")} if http else None
    await _put(call, source, version, body, made_of, compiled)
    return (f"{core.public_url}/fn/wf_{source.workflow}" if http else None), compiled.warnings


async def _put(
    call: AnyCall, source: SourceWorkflow, version: SourceVersion, body: Object, made_of: Object, compiled: CompiledIr
) -> None:
    """Let a compiled version run. Raises CompileFailed."""
    try:
        await call.core.sources.deploy(source, version, body, made_of, call.principal.key_id)
    except ValidationFailed as error:
        raise CompileFailed(_told(compiled, error)) from None


def _function(source: SourceWorkflow, checked: Checked, config: Object, secrets: Collection[str]) -> Object:
    """The native definition of a function: the whole graph as one script. Raises BadRequest."""
    program = compile_function(checked, source.trigger_code)
    if program.faults:
        faults = [
            fault.as_json() if isinstance(fault, GraphFault) else {"path": fault.field, "message": fault.message}
            for fault in program.faults
        ]
        raise BadRequest("IR validation failed", faults)
    inline: Object = {"secrets": sorted(secrets), "triggerCode": bool(source.trigger_code)}
    if config.get("auth") is not None:
        inline["auth"] = config["auth"]
    code = {"language": "javascript", "code": program.code}
    return {"trigger": {"type": "api"}, "inline": inline, "steps": [{"id": "graph", "type": "code", "config": code}]}


def _told(compiled: CompiledIr, error: ValidationFailed) -> str:
    """What the core refuses, by the nodes that it comes from."""
    told = []
    for fault in error.faults[:5]:
        node = compiled.node_at(fault.path)
        told.append(f"{fault.field if node is None else node}: {fault.message}")
    return f"Compile error: {'; '.join(told)}"[:1000]


async def _targets(call: AnyCall, checked: Checked) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The workflows and functions of the workspace by every name that a node may have for them."""
    workflows: dict[str, str] = {}
    functions: dict[str, str] = {}
    if not any(node.type in ("sub_workflow", "sub_script") for node in checked.graph.nodes):
        return workflows, functions
    before = None
    while rows := await call.core.workflows.page(call.workspace, before=before, limit=_AT_ONCE):
        for row in rows:
            source = await call.core.sources.get(call.workspace, row.id)
            known = functions if source is not None and source.kind == "script" else workflows
            for name in (row.name, row.slug, f"awaitstep-{row.id}", f"wf_{row.id}", row.id):
                if name:
                    known[name] = row.id
        before = rows[-1].id
    return workflows, functions


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
