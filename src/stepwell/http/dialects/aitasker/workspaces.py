"""Workspaces, and the pool of workers that each has, as its hired agent. Source: AITasker contract 4.3, 10."""

from collections.abc import Sequence

import msgspec
from starlette.responses import Response

from stepwell import cost, values
from stepwell.auth import ADMIN
from stepwell.clock import iso
from stepwell.errors import NotFound
from stepwell.http.dialects.aitasker.answers import bare, once
from stepwell.http.dialects.aitasker.located import param, workspace
from stepwell.http.dialects.aitasker.names import DIALECT, agent_id, check_path, owner_id
from stepwell.http.dialects.aitasker.wire_tasks import (
    Agent,
    AgentWithWorkspace,
    Credential,
    Metrics,
    NewWorkspace,
    PageQuery,
    Workspace,
)
from stepwell.http.routes import ANY_KEY, Answer, AnyCall, Call, Rate, Route
from stepwell.ids import created_ms
from stepwell.store import Workspace as Row

MOST_CREDENTIALS = 200
TOTAL = "X-Total-Count"


async def get_workspace(call: Call[None, None]) -> Response:
    """GET /workspaces/{workspace_id}."""
    await workspace(call)
    return bare(await shown(call, await _row(call)))


async def list_workspaces(call: Call[PageQuery, None]) -> Response:
    """GET /workspaces: the key's own."""
    listed = [await shown(call, await _row(call))]
    query = call.query
    return bare(listed[query.offset : query.offset + query.limit], headers={TOTAL: str(len(listed))})


async def create_workspace(call: Call[None, NewWorkspace]) -> Response:
    """POST /workspaces: with a key for it. The same Idempotency-Key gets the first answer again, the key included."""
    await may_create(call)
    return await once(call, "workspaces", lambda: _created(call))


async def _created(call: Call[None, NewWorkspace]) -> Response:
    body = call.body
    row = await call.core.workspaces.create(call.workspace, body.name, body.settings)
    key = await call.core.keys.create(row.id, f"{body.name} (admin)"[:100], [ADMIN], dialect=DIALECT)
    return bare(msgspec.structs.replace(await shown(call, row), api_key=key.text))


async def may_create(call: AnyCall) -> None:
    """Raise Forbidden unless the key is of the first workspace."""
    call.core.workspaces.check_may_create(call.workspace)


async def pause_agent(call: Call[None, None]) -> Response:
    """POST /workspaces/agents/{agent_id}/pause."""
    await agent_exists(call)
    await call.core.workspaces.pause(call.workspace)
    return await _agent(call)


async def resume_agent(call: Call[None, None]) -> Response:
    """POST /workspaces/agents/{agent_id}/resume."""
    await agent_exists(call)
    await call.core.workspaces.resume(call.workspace)
    return await _agent(call)


async def agent_exists(call: AnyCall) -> None:
    """Raise NotFound unless the path names the pool of the key's workspace."""
    if param(call, "agent_id") != agent_id(call.workspace):
        raise NotFound("Agent not found")


async def shown(call: AnyCall, row: Row) -> Workspace:
    """A workspace as it is now."""
    activity = await call.core.store.lists.activity(row.id, call.clock.now_ms())
    connections = await call.core.connections.page(row.id, limit=MOST_CREDENTIALS)
    return Workspace(
        id=row.id,
        hired_agent_id=agent_id(row.id),
        user_id=owner_id(row.id),
        name=row.name,
        status="active" if row.paused_at is None else "paused",
        settings=values.decode(row.settings),
        metrics_cache=Metrics(activity.runs, activity.failed, cost.cents(activity.cost)),
        last_active_at=None if activity.newest is None else iso(created_ms(activity.newest)),
        created_at=iso(created_ms(row.id)),
        updated_at=_updated(row),
        hired_agent=agent_of(row),
        integration_credentials=[
            Credential(each.provider, each.status, iso(created_ms(each.id))) for each in connections
        ],
    )


async def _row(call: AnyCall) -> Row:
    return await call.core.workspaces.get(call.workspace, call.workspace)


async def _agent(call: AnyCall) -> Response:
    row = await _row(call)
    agent = agent_of(row)
    fields = {name: getattr(agent, name) for name in Agent.__struct_fields__}
    return bare(AgentWithWorkspace(**fields, workspace=await shown(call, row)))


def agent_of(row: Row) -> Agent:
    """The pool of workers of a workspace."""
    created = iso(created_ms(row.id))
    return Agent(
        id=agent_id(row.id),
        user_id=owner_id(row.id),
        status="active" if row.paused_at is None else "paused",
        config={},
        hired_at=created,
        paused_at=None if row.paused_at is None else iso(row.paused_at),
        created_at=created,
        updated_at=_updated(row),
    )


def _updated(row: Row) -> str:
    return iso(created_ms(row.id) if row.updated_at is None else row.updated_at)


_AGENT = (Answer(status=200, data=AgentWithWorkspace),)
ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/workspaces",
        handler=list_workspaces,
        scope=ANY_KEY,
        rate=Rate.READ,
        summary="List the workspaces of the key: its own",
        answers=(Answer(status=200, data=Workspace, listed=True),),
        query=PageQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="POST",
        path="/workspaces",
        handler=create_workspace,
        scope=ADMIN,
        rate=Rate.WRITE,
        summary="Make a workspace, with an admin key for it; for keys of the first workspace",
        answers=(Answer(status=200, data=Workspace),),
        body=NewWorkspace,
        headers=("Idempotency-Key",),
        exists=may_create,
    ),
    Route(
        method="GET",
        path="/workspaces/{workspace_id}",
        handler=get_workspace,
        scope=ANY_KEY,
        rate=Rate.READ,
        summary="Read a workspace with its pool of workers",
        answers=(Answer(status=200, data=Workspace),),
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        path_check=check_path,
    ),
    Route(
        method="POST",
        path="/workspaces/agents/{agent_id}/pause",
        handler=pause_agent,
        scope=ADMIN,
        rate=Rate.WRITE,
        summary="Let the workspace start no runs; those in progress go on",
        answers=_AGENT,
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        path_check=check_path,
    ),
    Route(
        method="POST",
        path="/workspaces/agents/{agent_id}/resume",
        handler=resume_agent,
        scope=ADMIN,
        rate=Rate.WRITE,
        summary="Let the workspace start runs again",
        answers=_AGENT,
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        path_check=check_path,
    ),
)
