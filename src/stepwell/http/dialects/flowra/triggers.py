"""Trigger instances: listed, made, switched, removed. Source: Flowra contract 4.1, 5."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.responses import Response

from stepwell.core import Wanted
from stepwell.errors import Fault, InvalidState, NotFound, ValidationFailed
from stepwell.http.dialects.flowra import configs, tools, users, wire
from stepwell.http.dialects.flowra.answers import done, listing, single
from stepwell.http.dialects.flowra.names import found, uuid_of, wanted
from stepwell.http.dialects.flowra.queries import PageQuery, Texts
from stepwell.http.dialects.flowra.rows import trigger_row, trigger_rows
from stepwell.http.dialects.flowra.tools import Tool
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.states import WorkflowStatus
from stepwell.store import EndUser, Trigger, TriggerFilter
from stepwell.triggers import trigger_faults
from stepwell.values import Json, encode

MOST_TRIGGERS, MOST_OF_WORKFLOW = 10_000, 500
_ALL = MOST_TRIGGERS
_ON, _OFF = frozenset({"enable", "enabled", "active"}), frozenset({"disable", "disabled", "inactive"})


class TriggersQuery(PageQuery, kw_only=True):
    """Filters of the list of triggers."""

    connected_account_ids: Texts | None = None
    auth_config_ids: Texts | None = None
    deprecated_connected_account_uuids: Texts | None = None
    deprecated_auth_config_uuids: Texts | None = None
    trigger_ids: Texts | None = None
    trigger_ids_too: Texts | None = msgspec.field(name="trigger_ids", default=None)
    trigger_names: Texts | None = None
    trigger_names_too: Texts | None = msgspec.field(name="trigger_names", default=None)
    workflow_ids: Texts | None = None
    show_disabled: bool = False
    sort_by: Literal["createdAt", "updatedAt", "lastInvokedAt"] = "createdAt"  # type: ignore[assignment]


class UpsertBody(wire.Wire):
    """A trigger as somebody wants it."""

    connected_account_id: str | None = None
    workflow_id: str | None = None
    trigger_config: dict[str, Any] | None = None
    enabled: bool | None = None


class StatusBody(wire.Wire):
    """Whether a trigger is to be on: one of the three, or several that agree; none of them switches it over."""

    status: Annotated[str, Meta(description="enable, enabled, active; disable, disabled, inactive.")] | None = None
    enabled: bool | None = None
    is_disabled: bool | None = None


async def list_triggers(call: Call[TriggersQuery, None]) -> Response:
    """GET /trigger_instances/active."""
    query = call.query
    slugs = _united(query.trigger_names, query.trigger_names_too)
    filtered = TriggerFilter(
        workspace=call.workspace,
        instances=True,
        end_user=await users.only(call),
        ids=wanted(_united(query.trigger_ids, query.trigger_ids_too)),
        slugs=tuple(tools.stored_slug(call.core.connectors, each) for each in slugs) if slugs else None,
        workflows=wanted(query.workflow_ids),
        connections=wanted(_united(query.connected_account_ids, query.deprecated_connected_account_uuids)),
        auth_configs=wanted(_united(query.auth_config_ids, query.deprecated_auth_config_uuids)),
        statuses=None if query.show_disabled else ("active",),
        before=query.before,
        offset=query.start,
        limit=query.limit + 1,
    )
    if query.by_creation and not query.q:
        page, total = await call.core.triggers.page(filtered)
    else:
        page, total = await _sorted(call, filtered)
    rows = await trigger_rows(call.core, page[: query.limit])
    return listing(query, page, total, lambda each: rows[each.id], lambda each: each.id)


async def upsert(call: Call[None, UpsertBody]) -> Response:
    """POST /trigger_instances/{slug}/upsert."""
    slug, tool = _type_of(call)
    user = await users.acting(call)
    config = configs.flattened(call.body.trigger_config or {}, (tools.shown_slug(slug), call.params["slug"].lower()))
    if len(encode(config)) > configs.LONGEST:
        raise _fault(configs.CONFIG, f"Longer than {configs.LONGEST} bytes")
    workflow = await _workflow(call, config)
    account = await _account(call, user, tool)
    existing = await _existing(call, user, slug, account, workflow)
    kept = call.core.triggers.secrets_of(existing) if existing is not None else ()
    meant = configs.meaning(slug, config, tool, account, kept)
    faults = trigger_faults(meant.trigger, call.core.connectors)
    if faults or meant.faults:
        raise ValidationFailed("Invalid request", [*meant.faults, *map(configs.placed, faults)])
    if existing is None:
        await _check_room(call, workflow)
    stored, new = await call.core.triggers.upsert(
        call.workspace,
        Wanted(
            slug=slug,
            config=meant.trigger,
            workflow=workflow,
            end_user=user.id,
            connection=account,
            enabled=call.body.enabled,
            secrets=meant.secrets,
            own_path=meant.own_path,
        ),
    )
    row = await trigger_row(call.core, stored)
    if meant.made is not None:
        row.trigger_config["secret"] = meant.made
    data = wire.UpsertedTrigger(trigger_id=row.id, **{name: getattr(row, name) for name in row.__struct_fields__})
    return single("Trigger created" if new else "Trigger updated", data, 201 if new else 200)


async def set_status(call: Call[None, StatusBody]) -> Response:
    """PATCH /trigger_instances/manage/{triggerId}/status."""
    trigger = await instance(call)
    stored = await call.core.triggers.set_status(call.workspace, trigger.id, _wanted_status(call.body))
    message = "Trigger enabled" if stored.status == "active" else "Trigger disabled"
    return single(message, await trigger_row(call.core, stored))


async def delete(call: Call[None, None]) -> Response:
    """DELETE /trigger_instances/manage/{triggerId}."""
    trigger = await instance(call)
    await call.core.triggers.delete(call.workspace, trigger.id)
    return done("Trigger deleted")


async def instance(call: AnyCall) -> Trigger:
    """The instance that the path names. Raises NotFound, also for one of another user than the header's."""
    only = await users.only(call)
    trigger = await call.core.triggers.get(call.workspace, found(call.params["triggerId"], "Trigger instance"))
    if not trigger.instance or not users.owned(trigger.end_user, only, call.workspace):
        raise NotFound("Trigger instance not found")
    return trigger


async def instance_exists(call: AnyCall) -> None:
    """The same, where only the refusal counts."""
    await instance(call)


async def type_exists(call: AnyCall) -> None:
    """Raise NotFound unless the slug of the path is one."""
    _type_of(call)


def _united(*given: list[str] | None) -> list[str] | None:
    """Both spellings of a filter as one."""
    return [text for each in given if each for text in each] or None


def _type_of(call: AnyCall) -> tuple[str, Tool | None]:
    """The slug of the path as it is stored, and the event behind it."""
    given: str = call.params["slug"]
    if given.lower() in tools.OWN_TRIGGERS:
        return tools.OWN_TRIGGERS[given.lower()], None
    tool = tools.event(call.core.connectors, given)
    if tool is None:
        raise NotFound(f"Unknown trigger: {given[:100]}")
    return tool.name, tool


async def _workflow(call: Call[None, UpsertBody], config: dict[str, Json]) -> str | None:
    """The workflow that is to be started, which may stand in either place."""
    beside, within = call.body.workflow_id, config.get("workflowId")
    if within is not None and not isinstance(within, str):
        raise _fault("triggerConfig.workflowId", "Expected string")
    if beside is not None and within is not None and uuid_of(beside) != uuid_of(within):
        raise _fault("triggerConfig.workflowId", "Is another than workflowId")
    given = beside if beside is not None else within
    if given is None:
        return None
    row = await call.core.workflows.row(call.workspace, found(given, "Workflow"))
    if row.status is WorkflowStatus.ARCHIVED:  # which is what a deleted one is
        raise NotFound("Workflow not found")
    return row.id


async def _account(call: Call[None, UpsertBody], user: EndUser, tool: Tool | None) -> str | None:
    """The account that is used, which must be the user's own, of the event's toolkit, and active."""
    given = call.body.connected_account_id
    if given is None:
        if tool is not None and tool.account == "required":
            raise _fault("connectedAccountId", f"Required: {tool.slug.lower()} needs an account of {tool.toolkit}")
        return None
    account = await call.core.store.connections.get(call.workspace, found(given, "Connected account"))
    if account is None or not users.owned(account.end_user, user.id, call.workspace):
        raise NotFound("Connected account not found")
    if tool is not None and tool.account != "none" and account.provider != tool.toolkit:
        raise _fault("connectedAccountId", f"Is an account of {account.provider}, {tool.toolkit} is needed")
    if account.status != "active":
        raise InvalidState(f"The connected account is {account.status}")
    return account.id


async def _existing(
    call: AnyCall, user: EndUser, slug: str, account: str | None, workflow: str | None
) -> Trigger | None:
    """The instance of this identity."""
    filtered = TriggerFilter(
        workspace=call.workspace,
        instances=True,
        end_user=user.id,
        slugs=(slug,),
        workflows=(workflow,) if workflow else None,
        connections=(account,) if account else None,
        limit=_ALL,
    )
    rows, _ = await call.core.triggers.page(filtered)
    return next((row for row in rows if (row.connection, row.workflow) == (account, workflow)), None)


async def _check_room(call: AnyCall, workflow: str | None) -> None:
    """Raise InvalidState if there are as many instances as there may be."""
    of_all = TriggerFilter(workspace=call.workspace, instances=True, limit=0)
    if (await call.core.triggers.page(of_all))[1] >= MOST_TRIGGERS:
        raise InvalidState(f"The project has {MOST_TRIGGERS} triggers, which is as many as there may be")
    if workflow is not None:
        of_workflow = msgspec.structs.replace(of_all, workflows=(workflow,))
        if (await call.core.triggers.page(of_workflow))[1] >= MOST_OF_WORKFLOW:
            raise InvalidState(f"The workflow has {MOST_OF_WORKFLOW} triggers, which is as many as there may be")


async def _sorted(call: Call[TriggersQuery, None], filtered: TriggerFilter) -> tuple[list[Trigger], int]:
    """A page in another order, or of what a text is looked for in: there are so few that all are read."""
    query = call.query
    whole = msgspec.structs.replace(filtered, offset=0, limit=_ALL)
    rows, _ = await call.core.triggers.page(whole)
    if query.q:
        rows = [row for row in rows if query.q.lower() in f"{row.slug} {row.config.decode()}".lower()]
    if not query.by_creation:
        key = {
            "createdAt": lambda row: row.id,
            "updatedAt": lambda row: (row.updated_at, row.id),
            "lastInvokedAt": lambda row: (row.last_fired_at or 0, row.id),
        }[query.sort_by]
        rows.sort(key=key, reverse=query.sort_order == "DESC")
    return rows[filtered.offset : filtered.offset + filtered.limit], len(rows)


def _wanted_status(body: StatusBody) -> bool | None:
    """Whether the trigger is to be on; None to switch it over."""
    said = dict(_said(body))
    if len(set(said.values())) > 1:
        raise _fault(list(said)[-1], "Contradicts the other fields")
    return next(iter(said.values()), None)


def _said(body: StatusBody) -> Iterator[tuple[str, bool]]:
    if body.status is not None:
        word = body.status.lower()
        if word not in _ON | _OFF:
            raise _fault("status", f"Expected one of {', '.join(sorted(_ON))}, {', '.join(sorted(_OFF))}")
        yield "status", word in _ON
    if body.enabled is not None:
        yield "enabled", body.enabled
    if body.is_disabled is not None:
        yield "isDisabled", not body.is_disabled


def _fault(field: str, message: str) -> ValidationFailed:
    return ValidationFailed("Invalid request", [Fault(tuple(field.split(".")), message)])


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/trigger_instances/active",
        handler=list_triggers,
        scope="workflows:read",
        rate=Rate.READ,
        summary="List trigger instances, active ones unless more is asked for",
        answers=(Answer(status=200, data=wire.TriggerRow, listed=True),),
        query=TriggersQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="POST",
        path="/trigger_instances/{slug}/upsert",
        handler=upsert,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Make a trigger instance, or give the same one another config",
        answers=(
            Answer(status=201, data=wire.UpsertedTrigger),
            Answer(status=200, data=wire.UpsertedTrigger),
        ),
        body=UpsertBody,
        errors=("NOT_FOUND", "INVALID_STATE"),
        exists=type_exists,
    ),
    Route(
        method="PATCH",
        path="/trigger_instances/manage/{triggerId}/status",
        handler=set_status,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Switch a trigger instance on or off, or over",
        answers=(Answer(status=200, data=wire.TriggerRow),),
        body=StatusBody,
        errors=("NOT_FOUND", "INVALID_STATE"),
        exists=instance_exists,
    ),
    Route(
        method="DELETE",
        path="/trigger_instances/manage/{triggerId}",
        handler=delete,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Remove a trigger instance for good",
        answers=(Answer(status=200, data=None),),
        errors=("NOT_FOUND",),
    ),
)
