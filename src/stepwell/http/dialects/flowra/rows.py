"""Trigger instances as they are shown. Source: Flowra contract 5.3."""

from collections.abc import Iterable
from typing import Literal, cast

from stepwell.core import Core
from stepwell.http.dialects.flowra import tools, wire
from stepwell.http.dialects.flowra.configs import HAS_SECRET, shown
from stepwell.http.dialects.flowra.names import created, time
from stepwell.http.dialects.flowra.users import name_of
from stepwell.store import Trigger
from stepwell.values import decode

STATUSES: dict[str, Literal["ACTIVE", "DISABLED", "ERROR"]] = {
    "active": "ACTIVE",
    "disabled": "DISABLED",
    "error": "ERROR",
}


async def trigger_rows(core: Core, triggers: Iterable[Trigger]) -> dict[str, wire.TriggerRow]:
    """Rows by id; what several of them share is read once."""
    found = list(triggers)
    names = {user: await name_of(core, found[0].workspace, user) for user in {each.end_user for each in found}}
    configs: dict[str | None, str | None] = {None: None}
    for each in found:
        if each.connection not in configs:
            connection = await core.store.connections.get(each.workspace, each.connection or "")
            configs[each.connection] = connection.auth_config if connection is not None else None
    return {each.id: _row(core, each, names[each.end_user], configs[each.connection]) for each in found}


async def trigger_row(core: Core, trigger: Trigger) -> wire.TriggerRow:
    """One row."""
    return (await trigger_rows(core, (trigger,)))[trigger.id]


def _row(core: Core, trigger: Trigger, username: str, auth_config: str | None) -> wire.TriggerRow:
    config = dict(shown(trigger.config))
    if trigger.sealed is not None:
        config[HAS_SECRET] = True
    slug = tools.shown_slug(trigger.slug)
    due = trigger.next_at if trigger.kind == "poll" else trigger.scheduled_at
    return wire.TriggerRow(
        id=trigger.id,
        slug=slug,
        trigger_name=slug,
        tool_slug=slug,
        toolkit_slug=None if slug in tools.OWN_TRIGGERS else _toolkit(trigger),
        type=cast(Literal["schedule", "webhook", "poll"], trigger.kind),
        status=STATUSES[trigger.status],
        is_disabled=trigger.status != "active",
        status_reason=trigger.reason,
        euid=trigger.end_user or trigger.workspace,
        username=username,
        project_id=trigger.workspace,
        workflow_id=trigger.workflow,
        connected_account_id=trigger.connection,
        auth_config_id=auth_config,
        trigger_config=config,
        webhook_url=_address(core, trigger),
        invocation_count=trigger.fired + trigger.refused,
        invocation_errors=trigger.refused,
        last_invoked_at=time(trigger.last_fired_at),
        next_run_at=time(due),
        disabled_at=time(trigger.disabled_at),
        created_at=created(trigger.id),
        updated_at=time(trigger.updated_at) or "",
    )


def _toolkit(trigger: Trigger) -> str:
    event: str = decode(trigger.config).get("event", "")
    return event.partition(".")[0]


def _address(core: Core, trigger: Trigger) -> str | None:
    """Where deliveries are sent: the trigger's own address, or a path that nobody can guess."""
    if trigger.kind != "webhook":
        return None
    if trigger.path is not None:
        return f"{core.public_url}/webhooks/custom/{trigger.workspace}/{trigger.path}"
    return f"{core.public_url}/webhooks/t/{trigger.id}"
