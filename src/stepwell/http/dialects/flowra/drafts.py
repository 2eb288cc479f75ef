"""What is sent of a workflow, checked as a whole and told as a native definition. Source: Flowra contract 7."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from stepwell.errors import Fault, ValidationFailed
from stepwell.http.dialects.flowra import configs, tools
from stepwell.http.dialects.flowra.graph_scripts import drafts
from stepwell.http.dialects.flowra.graphs import Compiled, compile_graph
from stepwell.http.dialects.flowra.names import uuid_of
from stepwell.http.dialects.flowra.wire_workflows import WorkflowChanges
from stepwell.http.routes import AnyCall
from stepwell.triggers import trigger_faults
from stepwell.values import Json, Path

MOST_TRIGGERS = 500
STATIC = "static"
NO_AGENT = "Node type not available: llm_agent"
CRON = "cron"  # the slug of a workflow's own schedules, which no upsert has: there it is an alias
_CRON_FIELDS: Mapping[Path, Path] = {
    ("trigger", "cron"): ("expression",),
    ("triggerConfig", "cron"): ("expression",),
    ("trigger", "timezone"): ("timezone",),
}


class Cron(msgspec.Struct, frozen=True):
    """A schedule of a workflow: the slug of its row, and the row's config."""

    slug: str
    config: dict[str, Json]


class TriggerWishes(msgspec.Struct, frozen=True):
    """What the `triggers` of a workflow ask for: rows of schedules, and the instances it names by id or slug."""

    crons: tuple[Cron, ...]
    targets: tuple[str, ...]


class Draft(msgspec.Struct, frozen=True):
    """A workflow that was sent and has no faults: native fields, changes to its source, and its triggers if given."""

    fields: dict[str, Json]
    source: dict[str, Json]
    triggers: TriggerWishes | None


async def checked(call: AnyCall, body: WorkflowChanges, name: str) -> Draft:
    """What was sent, with every fault told at once. `name` is the workflow's, if the body has none.

    Raises:
        ValidationFailed.
    """
    fields: dict[str, Json] = {}
    source: dict[str, Json] = {}
    faults: list[Fault] = []
    if body.name is not msgspec.UNSET:
        fields["name"] = body.name
    if body.description is not msgspec.UNSET:
        fields["description"] = body.description
    if body.agent is not None:
        faults.append(Fault(("agent",), NO_AGENT))
    if body.workflow_type not in (None, STATIC):
        faults.append(Fault(("workflowType",), NO_AGENT if body.agent is None else f"Expected {STATIC}"))
    if body.graph is not None:
        compiled = await _compiled(call, body.graph, fields.get("name", name), faults)
        source["graph"] = body.graph
        fields |= {"inputSchema": None, "outputSchema": None, "output": None, **compiled.fields}
    wishes = None
    if body.triggers is not msgspec.UNSET:
        source["triggers"] = body.triggers or []
        wishes = await _wishes(call, body.triggers or [], faults)
    beside = (("isPublic", body.is_public), ("provenance", body.provenance))
    source |= {member: value for member, value in beside if value is not msgspec.UNSET}
    if faults:
        raise ValidationFailed("Invalid request", list(_once(faults)))
    return Draft(fields, source, wishes)


async def _compiled(call: AnyCall, graph: Json, name: str, faults: list[Fault]) -> Compiled:
    """A graph compiled; its faults, those of its scripts and those that the core finds are added, each at its place in
    the graph."""
    compiled = compile_graph(graph, {tool.slug: tool.name for tool in tools.actions(call.core.connectors)})
    faults.extend(compiled.faults)
    told = await call.core.scripts.faults(call.workspace, drafts(compiled.scripts))
    for script, wrong in zip(compiled.scripts, told, strict=True):
        if wrong is not None:
            faults.append(Fault(script.path, wrong))
    native = {"name": name or "-", "trigger": {"type": "api"}, **compiled.fields}
    found = call.core.workflows.faults(native)
    faults.extend(Fault(compiled.place(fault.path), fault.message) for fault in found)
    return compiled


async def _wishes(call: AnyCall, written: list[Json], faults: list[Fault]) -> TriggerWishes:
    crons: list[Cron] = []
    targets: list[str] = []
    if len(written) > MOST_TRIGGERS:
        faults.append(Fault(("triggers",), f"More than {MOST_TRIGGERS} triggers"))
        return TriggerWishes((), ())
    for index, item in enumerate(written):
        at: Path = ("triggers", index)
        if not isinstance(item, dict):
            faults.append(Fault(at, "Expected object"))
            continue
        match item.get("kind"):
            case "manual":
                pass
            case "cron":
                crons.append(Cron(cron_slug(len(crons)), _schedule(call, item, at, faults)))
            case "trigger_tool":
                target = await _target(call, item, at, faults)
                targets += [] if target is None else [target]
            case None:
                faults.append(Fault((*at, "kind"), "Required"))
            case other:
                faults.append(Fault((*at, "kind"), f"Expected manual, cron or trigger_tool, received {other}"[:300]))
    return TriggerWishes(tuple(crons), tuple(dict.fromkeys(targets)))


def cron_slug(place: int) -> str:
    """The slug of a workflow's schedule at a place among them."""
    return CRON if place == 0 else f"{CRON}-{place + 1}"


def is_cron(slug: str) -> bool:
    """Whether a row is a workflow's own schedule."""
    return slug == CRON or slug.startswith(f"{CRON}-")


def _schedule(call: AnyCall, item: dict[str, Json], at: Path, faults: list[Fault]) -> dict[str, Json]:
    config = {"cron": item.get("expression")}
    if item.get("timezone") is not None:
        config["timezone"] = item["timezone"]
    if not isinstance(config["cron"], str):
        faults.append(Fault((*at, "expression"), "Required" if config["cron"] is None else "Expected string"))
        return {}
    meant = configs.meaning(tools.SCHEDULE, config, None, None, ())
    for fault in (*meant.faults, *trigger_faults(meant.trigger, call.core.connectors)):
        place = _CRON_FIELDS.get(fault.path[:2], ())
        faults.append(Fault((*at, *place), fault.message))
    return meant.trigger


async def _target(call: AnyCall, item: dict[str, Json], at: Path, faults: list[Fault]) -> str | None:
    """What a workflow is linked to: the instance that is named, or the slug of instances without a workflow."""
    given = item.get("triggerId")
    if given is not None:
        uuid = uuid_of(given) if isinstance(given, str) else None
        found = None if uuid is None else await call.core.store.triggers.get(call.workspace, uuid)
        if found is None or not found.instance:
            faults.append(Fault((*at, "triggerId"), "Unknown trigger instance"))
            return None
        return found.id
    slug = item.get("toolSlug")
    if not isinstance(slug, str) or not slug:
        faults.append(Fault((*at, "toolSlug"), "Required" if slug in (None, "") else "Expected string"))
        return None
    own = tools.OWN_TRIGGERS.get(slug.lower())
    tool = None if own else tools.event(call.core.connectors, slug)
    if own is None and tool is None:
        faults.append(Fault((*at, "toolSlug"), f"Unknown trigger: {slug}"[:300]))
        return None
    return own if tool is None else tool.slug.lower()


def _once(faults: Iterable[Fault]) -> Iterator[Fault]:
    seen: set[tuple[str, str]] = set()
    for fault in faults:
        mark = (fault.field, fault.message)
        if mark not in seen:
            seen.add(mark)
            yield fault
