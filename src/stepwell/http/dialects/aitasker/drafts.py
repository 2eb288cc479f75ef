"""Workflows of this dialect as native definitions: their settings and nodes, checked as a whole. Source: AITasker
contract 7."""

from collections.abc import Callable, Mapping

from stepwell.core import Core, Draft
from stepwell.errors import Fault, NotFound
from stepwell.http.dialects.aitasker.compiler import Acceptance, compile_nodes
from stepwell.http.dialects.aitasker.names import DIALECT
from stepwell.http.dialects.aitasker.shown import source_of
from stepwell.http.dialects.aitasker.wire_workflows import refused
from stepwell.triggers import trigger_faults
from stepwell.values import Json, Path

Document = dict[str, Json]
Placed = Callable[[int, Path], Path]
"""Where in a request stands what is wrong with the node of that place in the list."""

SECRET, HAS_SECRET = "secret", "has_secret"
SECRET_NAME = "aitasker_webhook"  # of the workflow's secret that senders sign with
SIGNED = "hmac-sha256"
_SHORTEST, _LONGEST = 16, 256
_SETTINGS = ("trigger_type", "trigger_config", "auto_accept", "auto_accept_preferences", "max_budget_cents")
_OF_TRIGGER: Mapping[str, str] = {"filter": "filters"}


def new_source(fields: Mapping[str, Json], nodes: list[dict[str, Json]]) -> Document:
    """What is kept of a new workflow: its settings, the others having their defaults, and its nodes."""
    defaults: Document = {
        "trigger_type": "manual",
        "trigger_config": None,
        "auto_accept": False,
        "auto_accept_preferences": None,
        "max_budget_cents": None,
    }
    return {"dialect": DIALECT, **defaults, **settings(fields), "nodes": nodes}


def settings(fields: Mapping[str, Json]) -> Document:
    """The settings among what was sent, without the secret of a webhook, of which only is kept that there is one."""
    found = {name: fields[name] for name in _SETTINGS if name in fields}
    config = found.get("trigger_config")
    if isinstance(config, dict) and SECRET in config:
        kept = {name: value for name, value in config.items() if name != SECRET}
        found["trigger_config"] = {**kept, HAS_SECRET: True} if config[SECRET] is not None else kept
    return found


def native(core: Core, source: Document, title: str, description: str | None, placed: Placed) -> Document:
    """The native definition of a source.

    Raises:
        ValidationFailed: with every fault, at its place in the request.
    """
    faults: list[Fault] = []
    trigger = _trigger(core, source, faults)
    compiled = compile_nodes(source["nodes"], _acceptance(source, faults))
    faults.extend(_at(fault, placed) for fault in compiled.faults)
    budget = source["max_budget_cents"]
    whole: Document = {
        "name": title,
        "description": description,
        "trigger": trigger,
        **compiled.fields,
        "settings": None if budget is None else {"budgetCents": budget},
    }
    if not faults:
        for fault in core.workflows.faults(whole):
            place = compiled.place(fault.path)
            at = fault.path if place is None else placed(int(place[0]), place[1:])
            faults.append(Fault(at, fault.message))
    if faults:
        raise refused(list(dict.fromkeys(faults)))
    return {**whole, "source": source}


def with_budget(whole: Mapping[str, Json], budget: Json) -> Json:
    """The settings of a definition with another budget, None being none."""
    rest = {name: value for name, value in (whole.get("settings") or {}).items() if name != "budgetCents"}
    return (rest if budget is None else {**rest, "budgetCents": budget}) or None


async def check_scripts(core: Core, workspace: str, nodes: list[dict[str, Json]], placed: Placed) -> None:
    """Raise ValidationFailed if the JavaScript of a node is none."""
    codes = [(index, _code(node)) for index, node in enumerate(nodes)]
    written = [(index, code) for index, code in codes if code is not None]
    if not written:
        return
    told = await core.scripts.faults(workspace, [Draft(code, ("input",)) for _, code in written])
    faults = [
        Fault(placed(index, ("node_config", "params", "code")), wrong)
        for (index, _), wrong in zip(written, told, strict=True)
        if wrong is not None
    ]
    if faults:
        raise refused(faults)


async def keep_secret(core: Core, workspace: str, workflow: str, fields: Mapping[str, Json]) -> None:
    """Store the secret that a webhook's config brings along."""
    config = fields.get("trigger_config")
    given = config.get(SECRET) if isinstance(config, dict) else None
    if given is None:
        return
    try:
        await core.secrets.replace(workspace, workflow, SECRET_NAME, given)
    except NotFound:
        await core.secrets.create(workspace, workflow, SECRET_NAME, given)


def secret_faults(fields: Mapping[str, Json]) -> list[Fault]:
    """What is wrong with the secret that a webhook's config brings along."""
    config = fields.get("trigger_config")
    given = config.get(SECRET) if isinstance(config, dict) else None
    if given is None or (isinstance(given, str) and _SHORTEST <= len(given.strip()) <= _LONGEST):
        return []
    return [Fault(("trigger_config", SECRET), f"Expected {_SHORTEST} to {_LONGEST} characters")]


def shown_trigger(document: Mapping[str, Json]) -> tuple[str, Json]:
    """The trigger_type and trigger_config of a workflow, wherever it was written."""
    source = source_of(document)
    if source is not None:
        return source["trigger_type"], source["trigger_config"]
    trigger = document["trigger"]
    match trigger["type"]:
        case "schedule":
            return "schedule", {name: trigger[name] for name in ("cron", "timezone", "interval") if name in trigger}
        case "webhook":
            return "webhook", {"filters": trigger["filter"]} if trigger.get("filter") else {}
        case "event":
            return "webhook", {"event": trigger.get("event")}
    return "manual", None


def webhook_url(core: Core, workspace: str, workflow: str, document: Mapping[str, Json]) -> str | None:
    """Where the deliveries of a workflow are to be sent; None if none arrive for it."""
    trigger = document["trigger"]
    if trigger["type"] != "webhook":
        return None
    base = f"{core.public_url}/webhooks"
    if trigger.get("provider") not in (None, "custom"):
        return f"{base}/{trigger['provider']}/{workspace}"
    if source_of(document) is not None and "signature" in trigger:
        return f"{base}/t/{workflow}"
    return f"{base}/custom/{workspace}/{trigger['path']}"


def _trigger(core: Core, source: Document, faults: list[Fault]) -> Document:
    config = source["trigger_config"] or {}
    match source["trigger_type"]:
        case "schedule":
            trigger = {"type": "schedule", **{name: config[name] for name in ("cron", "timezone") if name in config}}
            if config.get("cron") is None:
                faults.append(Fault(("trigger_config", "cron"), "Required"))
                return {"type": "api"}
        case "webhook":
            trigger = {"type": "webhook"}
            if config.get("filters") is not None:
                trigger["filter"] = config["filters"]
            if config.get(HAS_SECRET):
                trigger["signature"] = {"scheme": SIGNED, "secrets": [f"{{{{secrets.{SECRET_NAME}}}}}"]}
        case _:
            return {"type": "api"}
    for fault in trigger_faults(trigger, core.connectors):
        place = fault.path[1:]
        member = _OF_TRIGGER.get(str(place[0]), place[0]) if place else None
        faults.append(Fault(("trigger_config", *(() if member is None else (member, *place[1:]))), fault.message))
    return trigger


def _acceptance(source: Document, faults: list[Fault]) -> Acceptance:
    preferences = source["auto_accept_preferences"] or {}
    for name, most in (("min_score", 100), ("max_cost_cents", 10**12)):
        value = preferences.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most):
            faults.append(Fault(("auto_accept_preferences", name), f"Expected integer from 0 to {most}"))
            preferences = {key: each for key, each in preferences.items() if key != name}
    return Acceptance(source["auto_accept"], preferences)


def _at(fault: Fault, placed: Placed) -> Fault:
    if not fault.path:
        return Fault(("nodes",), fault.message)
    return Fault(placed(int(fault.path[0]), fault.path[1:]), fault.message)


def _code(node: Mapping[str, Json]) -> str | None:
    config = node["node_config"] or {}
    params = config.get("params")
    if node["node_type"] != "transform" or config.get("operation") != "code" or not isinstance(params, dict):
        return None
    code = params.get("code")
    return code if isinstance(code, str) and code.strip() else None
