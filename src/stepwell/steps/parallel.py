"""parallel and race: branches that run beside each other. Source: LoopFour contract 9.6 and 9."""

from dataclasses import dataclass
from decimal import Decimal

from stepwell.definitions import Form, Kind, Source
from stepwell.expressions import Scope, Template
from stepwell.steps.fields import NAME, STEPS, number_field, unfit
from stepwell.steps.loop import items_of, whole_number
from stepwell.values import Json

DEFAULT_AT_ONCE, MOST_AT_ONCE = 10, 1000
MOST_ARMS = 10_000
STRATEGIES = ("wait-all", "fail-fast")

_BRANCHES: Json = {
    "type": "array",
    "minItems": 1,
    "maxItems": 100,
    "items": {
        "type": ["array", "object"],
        "items": {"type": ["string", "object"]},
        "required": ["steps"],
        "properties": {"id": {"type": "string", "maxLength": 128}, "steps": STEPS},
    },
    "description": "Lists of ids or of steps written inline, or objects {id, steps}.",
}


@dataclass(frozen=True, slots=True)
class Arms:
    """The arms of a step: one for each named branch, or one for each of the items that `source` gives."""

    names: tuple[str | int, ...]
    source: Template | None
    item: str
    fail_fast: bool
    at_once: Template | None
    most: int = MOST_ARMS

    def inside(self, items: list[Json] | None, arm: int) -> dict[str, Json]:
        """The root names that an arm adds."""
        return {} if items is None else {self.item: items[arm], "index": arm}


class ParallelStep:
    """Output `{results, errors, completedCount}`; `results[i]` is the last output of branch i, null if it failed."""

    name = "parallel"
    kind = Kind.CONTAINER
    form = Form.PARALLEL
    default_timeout_ms: int | None = None
    config_schema: Json = {
        "type": "object",
        "properties": {
            "branches": _BRANCHES,
            "forEachSource": {"type": ["string", "array"], "description": "Items; `steps` run once for each."},
            "forEachAs": {**NAME, "default": "item", "description": "The item's name inside."},
            "steps": {**STEPS, "minItems": 1, "description": "Of forEachSource: what runs for each item."},
            "strategy": {
                "enum": list(STRATEGIES),
                "default": "wait-all",
                "description": "What the first failure does: nothing yet, or end the others.",
            },
            "waitForAll": {"type": "boolean", "description": "false means the strategy fail-fast."},
            "concurrency": number_field(
                "Arms that run at a time.", minimum=1, maximum=MOST_AT_ONCE, default=DEFAULT_AT_ONCE
            ),
            "timeoutMs": {"type": "integer", "minimum": 1, "description": "Limit of the whole step."},
        },
    }

    def compile(self, source: Source) -> Arms:
        config, written = source.config, source.raw.get("config", {})
        template = None
        item = source.name("forEachAs", "item")
        if "forEachSource" in written:
            if "branches" in config:
                source.fault(("branches",), "Not allowed together with forEachSource")
            if "steps" not in written:
                source.fault(("steps",), "Required")
            template = source.template("forEachSource")
            source.bodies(("steps",), names=(item, "index"), iterates=True)
            names: tuple[str | int, ...] = ()
            if item == "index":
                source.fault(("forEachAs",), "Reserved name: index")
        else:
            if "branches" not in written:
                source.fault(("branches",), "Required")
            names = branches(source)
        timeout = config.get("timeoutMs")
        source.defaults(timeout_ms=None if timeout is None else int(Decimal(timeout)))
        fail_fast = config.get("strategy") == "fail-fast" or config.get("waitForAll") is False
        return Arms(names, template, item, fail_fast, source.template("concurrency"), source.bounds.turns)

    def open(self, program: Arms, scope: Scope) -> dict[str, Json]:
        """What it has decided: `{strategy, concurrency}`, and `forEachSource` if it has items. Raises StepError."""
        given = {} if program.at_once is None else {"concurrency": program.at_once.render(scope)}
        config: dict[str, Json] = {
            "strategy": STRATEGIES[program.fail_fast],
            "concurrency": whole_number(given, "concurrency", DEFAULT_AT_ONCE, 1, MOST_AT_ONCE),
        }
        if program.source is not None:
            items = items_of(program.source, "forEachSource", scope)
            if len(items) > program.most:
                raise unfit("forEachSource", f"At most {program.most} items, received {len(items)}")
            config["forEachSource"] = items
        return config


class RaceStep:
    """Output `{branch, value}` of the branch that settled first; if that failed, so does the step."""

    name = "race"
    kind = Kind.CONTAINER
    form = Form.RACE
    default_timeout_ms: int | None = None
    config_schema: Json = {"type": "object", "required": ["branches"], "properties": {"branches": _BRANCHES}}

    def compile(self, source: Source) -> Arms:
        return Arms(branches(source), None, "item", fail_fast=True, at_once=None)

    def open(self, program: Arms, scope: Scope) -> dict[str, Json]:
        """A race decides nothing when it opens."""
        return {}


def branches(source: Source) -> tuple[str | int, ...]:
    """Declare the branches of a step; their names: the id that is written, else the place."""
    paths: list[tuple[str | int, ...]] = []
    names: list[str | int] = []
    for index, branch in enumerate(source.config.get("branches", [])):
        named = isinstance(branch, dict)
        paths.append(("branches", index, "steps") if named else ("branches", index))
        names.append(branch.get("id", index) if named else index)
        if names[-1] in names[:-1]:
            source.fault(("branches", index, "id"), f"Duplicate branch: {names[-1]}")
    source.bodies(*paths)
    return tuple(names)
