"""loop: runs its steps for each item, a number of times, or while a condition holds. Source: LoopFour contract 9.6."""

from dataclasses import dataclass

from stepwell.definitions import Form, Kind, Source
from stepwell.definitions.wording import kind_of
from stepwell.errors import StepError
from stepwell.expressions import Condition, Scope, Template, is_number_like, to_number
from stepwell.steps.fields import NAME, STEPS, number_field, read_number, unfit
from stepwell.values import Json

DEFAULT_TURNS, MOST_TURNS = 100, 10_000
MOST_AT_ONCE = 100
TYPES = ("forEach", "for", "while")

_CONDITION: Json = {"type": ["string", "object", "array"]}


@dataclass(frozen=True, slots=True)
class LoopProgram:
    """What a loop evaluates, and what its turns see: the item, if there are items, and the index by these names."""

    form: str
    collection: Template | None
    numbers: dict[str, Template]
    wanted: Condition | None
    enough: Condition | None
    item: str
    index: str
    most: int = MOST_TURNS

    def names(self, items: list[Json] | None, turn: int) -> dict[str, Json]:
        """The root names of a turn."""
        return {self.item: turn if items is None else items[turn], self.index: turn}


class LoopStep:
    """Output `{results, count, currentItem, currentIndex}`; `results[i]` is the last output of turn i."""

    name = "loop"
    kind = Kind.CONTAINER
    form = Form.LOOP
    default_timeout_ms: int | None = None
    config_schema: Json = {
        "type": "object",
        "required": ["steps"],
        "properties": {
            "loopType": {"enum": list(TYPES), "default": "forEach", "description": "What decides how often it runs."},
            "collection": {"type": ["string", "array"], "description": "Of forEach: the items."},
            "iterations": number_field("Of for: how many turns.", minimum=0),
            "whileCondition": {**_CONDITION, "description": "Of while: looked at before each turn."},
            "breakCondition": {**_CONDITION, "description": "Looked at after each turn; ends the loop if it holds."},
            "steps": {**STEPS, "minItems": 1, "description": "The body: ids or steps written inline."},
            "itemVariable": {**NAME, "default": "item", "description": "The item's name inside."},
            "indexVariable": {**NAME, "default": "index", "description": "The turn's number inside, from 0."},
            "maxIterations": number_field(
                "More turns fail the step with LOOP_LIMIT.", minimum=1, maximum=MOST_TURNS, default=DEFAULT_TURNS
            ),
            "batchSize": number_field("Turns that run at a time.", minimum=1, maximum=MOST_AT_ONCE, default=1),
        },
    }

    def compile(self, source: Source) -> LoopProgram:
        config, written = source.config, source.raw.get("config", {})
        form = config.get("loopType", "forEach")
        item, index = source.name("itemVariable", "item"), source.name("indexVariable", "index")
        source.bodies(("steps",), names=(item, index), iterates=True)
        if item == index:
            source.fault(("indexVariable",), "Must differ from itemVariable")
        needed = {"forEach": "collection", "for": "iterations", "while": "whileCondition"}[form]
        if needed not in written:
            source.fault((needed,), "Required")
        most = config.get("maxIterations")
        if is_number_like(most) and to_number(most) > source.bounds.turns:
            source.fault(("maxIterations",), f"Number must be less than or equal to {source.bounds.turns}")
        numbers: dict[str, Template] = {
            name: template
            for name in ("iterations", "maxIterations", "batchSize")
            if name in config and (template := source.template(name)) is not None
        }
        return LoopProgram(
            form,
            source.template("collection") if form == "forEach" else None,
            numbers,
            source.condition("whileCondition", inside=True) if form == "while" else None,
            source.condition("breakCondition", inside=True),
            item,
            index,
            source.bounds.turns,
        )

    def open(self, program: LoopProgram, scope: Scope) -> dict[str, Json]:
        """What the loop has decided: `{loopType, maxIterations, batchSize}` and `collection` or `iterations`.

        Raises:
            StepError: LOOP_LIMIT, there are more turns than allowed; TEMPLATE_ERROR.
        """
        given = {name: template.render(scope) for name, template in program.numbers.items()}
        config: dict[str, Json] = {
            "loopType": program.form,
            "maxIterations": whole_number(given, "maxIterations", min(DEFAULT_TURNS, program.most), 1, program.most),
            "batchSize": whole_number(given, "batchSize", 1, 1, MOST_AT_ONCE),
        }
        turns = 0
        if program.collection is not None:
            config["collection"] = items_of(program.collection, "collection", scope)
            turns = len(config["collection"])
        elif program.form == "for":
            turns = config["iterations"] = whole_number(given, "iterations", 0, 0, 10**9)
        if turns > config["maxIterations"]:
            raise too_many(turns, config["maxIterations"])
        return config


def items_of(template: Template, name: str, scope: Scope) -> list[Json]:
    """The items that a template gives. Raises StepError if that is not a list."""
    items = template.render(scope)
    if not isinstance(items, list):
        raise unfit(name, f"Expected array, received {kind_of(items)}")
    return items


def whole_number(config: Json, name: str, default: int, least: int, most: int) -> int:
    """The whole number of a rendered field. Raises StepError if it is another thing or out of bounds."""
    value = read_number(config, name)
    if value is None:
        return default
    if value != value.to_integral_value() or not least <= value <= most:
        raise unfit(name, f"Expected a whole number from {least} to {most}")
    return int(value)


def too_many(turns: int | str, most: int) -> StepError:
    """The error of a loop with more turns than it may have."""
    return StepError(
        f"The loop has {turns} turns, maxIterations allows {most}", code="LOOP_LIMIT", details={"maxIterations": most}
    )
