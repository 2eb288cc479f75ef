"""The work of a deploy: a version is chosen, checked, compiled and made the one that runs. Source: AwaitStep contract
4.2, 7."""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Final

import msgspec

from stepwell.core import VersionRefused, Wanted
from stepwell.errors import Fault, NotFound, StepwellError, ValidationFailed
from stepwell.http.dialects.awaitstep.answers import BadRequest
from stepwell.http.dialects.awaitstep.deploy_config import check_config, schedules, warnings
from stepwell.http.dialects.awaitstep.deploy_route import address
from stepwell.http.dialects.awaitstep.functions import compile_function
from stepwell.http.dialects.awaitstep.ir import Checked, CompiledIr, GraphFault, compile_ir, http_method
from stepwell.http.dialects.awaitstep.names import DIALECT, reference
from stepwell.http.dialects.awaitstep.versions import checked_ir, version_id
from stepwell.http.dialects.awaitstep.wire_workflows import DeployBody, Deployed, Object
from stepwell.http.routes import AnyCall, Call
from stepwell.store import Deployment, SourceVersion, SourceWorkflow
from stepwell.values import decode

STAGES: Final = (
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
Tell = Callable[[str], None]
_AT_ONCE = 200
_SCHEDULE = "deploy-cron-"  # what the slugs of cronTriggers begin with


class CompileFailed(StepwellError):
    """A version cannot be compiled to what runs."""

    code = "COMPILE_ERROR"


class _Work(msgspec.Struct, frozen=True):
    """A version on its way: what it is compiled to, from where, and what it needs."""

    body: Object
    made_of: Object
    compiled: CompiledIr
    secrets: Mapping[str, str]
    url: str | None


async def deployed(call: Call[None, DeployBody], source: SourceWorkflow, tell: Tell) -> Deployed:
    """Let the version that is asked for run. `tell` hears each of STAGES when the work has come so far; what is wrong
    with the request itself is found before the first. A try is kept, whatever becomes of it.

    Raises:
        VersionRefused, NotFound, UnsupportedProvider, InvalidConfig: before the first stage.
        BadRequest, CompileFailed: after it.
    """
    core, workspace = call.core, call.workspace
    await core.sources.check_unlocked(source)
    tried = Deployment(
        workspace=workspace,
        id="",
        workflow=source.workflow,
        version=None,
        connection=await core.targets.resolve(workspace, reference("conn", call.body.connection_id)),
        service_name=f"awaitstep-{source.workflow}",
        service_url=None,
        status="failed",
    )
    try:
        version = await _named(call, source)
        config = {**decode(source.deploy_config), **(call.body.config or {})}
        check_config(config, source.kind, "config", core.public_url)
        if version is None:
            raise VersionRefused("No version to use") if call.body.version_id is None else NotFound("Version not found")
        tried = msgspec.structs.replace(tried, version=version.id)
        work = await _deploy(call, source, version, config, tell)
    except StepwellError as error:
        await core.sources.note(msgspec.structs.replace(tried, error=error.message[:500]))
        raise
    done = await core.sources.note(msgspec.structs.replace(tried, service_url=work.url, status="success"))
    tell("COMPLETED")
    return Deployed(
        success=True,
        deployment_id=f"dep_{done.id}",
        version_id=f"ver_{version.id}",
        url=work.url,
        dashboard_url=core.public_url,
        warnings=[*work.compiled.warnings, *warnings(config)],
    )


async def _named(call: Call[None, DeployBody], source: SourceWorkflow) -> SourceVersion | None:
    """The version that is asked for, the newest one if none is. Raises VersionRefused if it is locked."""
    sources, workspace, workflow = call.core.sources, call.workspace, source.workflow
    found: SourceVersion | None = None
    if call.body.version_id is None:
        newest = await sources.versions(workspace, workflow, limit=1)
        found = newest[0] if newest else None
    else:
        with suppress(NotFound):
            found = await sources.version(workspace, workflow, version_id(call.body.version_id))
    if found is not None and found.locked:
        raise VersionRefused("Version is locked")
    return found


async def _deploy(call: AnyCall, source: SourceWorkflow, version: SourceVersion, config: Object, tell: Tell) -> _Work:
    core, workflow = call.core, source.workflow
    tell("INITIALIZING")
    ir = decode(version.body)
    tell("GENERATING_CODE")
    checked = await checked_ir(call, ir, source.kind, "IR validation failed")
    tell("CODE_READY")
    tell("DETECTING_BINDINGS")
    work = await _compiled(call, source, version, checked, config)
    tell("BINDINGS_READY")
    tell("CREATING_WORKER")
    before = (await core.workflows.get(call.workspace, workflow)).document
    if faults := core.workflows.faults({**before, **work.body}):  # found before anything that runs is touched
        raise CompileFailed(_told(work.compiled, faults))
    tell("DEPLOYING")
    await core.sources.set_route(source, address(config))
    await core.sources.keep_secrets(call.workspace, workflow, work.secrets)
    try:
        await core.sources.deploy(source, version, work.body, work.made_of, call.principal.key_id)
    except ValidationFailed as error:
        raise CompileFailed(_told(work.compiled, error.faults)) from None
    tell("WORKER_DEPLOYED")
    tell("UPDATING_WORKFLOW")
    await _set_schedules(call, workflow, schedules(config))
    return work


async def _compiled(
    call: AnyCall, source: SourceWorkflow, version: SourceVersion, checked: Checked, config: Object
) -> _Work:
    """What a sound version is compiled to in the environment of its workflow. Raises BadRequest."""
    known = await call.core.sources.resolve(source)
    workflows, functions = await _targets(call, checked)
    compiled = compile_ir(
        checked,
        variables=known.variables.keys(),
        secrets=known.secrets.keys(),
        workflows=workflows,
        functions=functions,
    )
    function = source.kind == "script"
    code = _code(checked, source, workflows, functions) if function else ""
    if compiled.faults and not function:
        raise BadRequest("IR validation failed", [fault.as_json() for fault in compiled.faults])
    auth = config.get("auth") or {}
    guard = {auth["secretName"]} if auth.get("type") == "secret" else set()
    missing = sorted({*known.missing, *compiled.missing, *(guard - known.secrets.keys())})
    if missing:
        raise BadRequest(f"Missing or unresolved environment variables: {', '.join(missing)}")
    whole = compiled.reads_all or bool(source.trigger_code)
    variables = known.variables if whole else _only(known.variables, compiled.env)
    secrets = known.secrets if whole and function else _only(known.secrets, compiled.env | guard)
    made_of: Object = {"dialect": DIALECT, "version": version.id}
    trigger = checked.graph.trigger
    http = trigger.get("type") == "http"
    if function:
        body = _function(code, config, secrets, guarded=bool(source.trigger_code))
    else:
        body = {**compiled.fields}
        made_of["http"] = {"method": http_method(trigger), "auth": config.get("auth")} if http else None
    body["variables"] = variables or None
    return _Work(
        body=body,
        made_of=made_of,
        compiled=compiled,
        secrets=secrets,
        url=f"{call.core.public_url}/fn/wf_{source.workflow}" if function or http else None,
    )


def _only(values: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """Those of these names."""
    return {name: value for name, value in values.items() if name in names}


def _code(checked: Checked, source: SourceWorkflow, workflows: Mapping[str, str], functions: Mapping[str, str]) -> str:
    """The program of a function: its whole graph. Raises BadRequest."""
    program = compile_function(checked, source.trigger_code, workflows=workflows, functions=functions)
    if program.faults:
        faults = [
            fault.as_json() if isinstance(fault, GraphFault) else {"path": fault.field, "message": fault.message}
            for fault in program.faults
        ]
        raise BadRequest("IR validation failed", faults)
    return program.code


def _function(code: str, config: Object, secrets: Collection[str], *, guarded: bool) -> Object:
    """The native definition of a function; `guarded` says that a program of its own takes every method."""
    inline: Object = {"secrets": sorted(secrets), "triggerCode": guarded}
    if config.get("auth") is not None:
        inline["auth"] = config["auth"]
    step = {"id": "graph", "type": "code", "config": {"language": "javascript", "code": code}}
    return {"trigger": {"type": "api"}, "inline": inline, "steps": [step]}


def _told(compiled: CompiledIr, faults: list[Fault]) -> str:
    """What the core refuses, by the nodes that it comes from."""
    told = []
    for fault in faults[:5]:
        node = compiled.node_at(fault.path)
        told.append(f"{fault.field if node is None else node}: {fault.message}")
    return f"Compile error: {'; '.join(told)}"[:1000]


async def _set_schedules(call: AnyCall, workflow: str, crons: list[str]) -> None:
    """Give a workflow these schedules beside its trigger, and no others of earlier deploys."""
    kept = set()
    for index, cron in enumerate(crons, 1):
        wanted = Wanted(
            slug=f"{_SCHEDULE}{index}", config={"type": "schedule", "cron": cron, "timezone": "UTC"}, workflow=workflow
        )
        stored, _ = await call.core.triggers.upsert(call.workspace, wanted)
        kept.add(stored.id)
    for row in await call.core.store.triggers.of_workflow(call.workspace, workflow):
        if row.instance and row.slug.startswith(_SCHEDULE) and row.id not in kept:
            await call.core.triggers.delete(call.workspace, row.id)


async def _targets(call: AnyCall, checked: Checked) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The workflows and functions of the workspace by every name that a node may have for them; functions also by
    their addresses, as far as nodes use them."""
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
    for node in checked.graph.nodes:
        address = node.data.get("workerName")
        if node.type == "sub_script" and isinstance(address, str) and address not in functions:
            place = await call.core.store.sources.route(address.strip("/").removeprefix("fn/"))
            if place is not None and place[0] == call.workspace:
                functions[address] = place[1]
    return workflows, functions
