"""task: holds the run until a worker outside has done a piece of work. Source: AITasker contract 7.1, 8."""

from dataclasses import dataclass

from stepwell import cost
from stepwell.definitions import Kind, RetryPolicy, Source
from stepwell.errors import StepError
from stepwell.expressions import Scope, Template
from stepwell.steps.fields import flag_field, number_field, read_flag, read_number, read_text, text_field, unfit
from stepwell.steps.ports import Price
from stepwell.values import Json

WEEK_MS = 7 * 24 * 3600 * 1000
ATTEMPTS = 2
LONGEST_TITLE = 1000
NO_BUDGET = (
    "budget_cents must be a number of cents, from 0 with at most 6 decimals, such as 150; "
    "not a text or a template: budgets are asked before the step begins"
)


@dataclass(frozen=True, slots=True)
class TaskProgram:
    """The config as a template, and what the work is expected to cost (millionths of a cent)."""

    template: Template
    estimate: int


@dataclass(frozen=True, slots=True)
class TaskWish:
    """The work that a step asks for, as it was rendered. Below `min_score`, or above `max_cost` (millionths of a cent),
    a delivery is not accepted by itself."""

    title: str
    description: str | None
    task_type: str | None
    template: dict[str, Json]
    input: dict[str, Json]
    auto_accept: bool
    min_score: int | None
    max_cost: int | None


class TaskStep:
    """Output is what the worker delivered, an object."""

    name = "task"
    kind = Kind.TASK
    default_timeout_ms: int | None = None
    config_schema: Json = {
        "type": "object",
        "required": ["template"],
        "properties": {
            "template": {
                "type": "object",
                "required": ["title"],
                "description": "What is to be done: `title`, `description`, `task_type`, `budget_cents` and more.",
                "properties": {
                    "title": text_field("What workers read first.", minLength=1),
                    "description": {"type": ["string", "null"], "description": "More about it."},
                    "task_type": {"type": ["string", "null"], "description": "By which workers choose."},
                    "budget_cents": {"description": "What it is expected to cost: a number, no template."},
                },
                "additionalProperties": True,
            },
            "input": {"type": "object", "description": "What the worker is given.", "additionalProperties": True},
            "autoAccept": flag_field("A delivery needs no person to accept it.", default=False),
            "acceptance": {
                "type": "object",
                "description": "What must hold for that.",
                "properties": {
                    "minScore": number_field("The least score.", minimum=0, maximum=100),
                    "maxCostCents": number_field("The most that it may have cost.", minimum=0),
                },
            },
        },
    }

    def compile(self, source: Source) -> TaskProgram | None:
        source.defaults(timeout_ms=WEEK_MS, retry=RetryPolicy(max_attempts=ATTEMPTS))
        template = source.template()
        wanted = source.config.get("template")
        budget = wanted.get("budget_cents") if isinstance(wanted, dict) else None
        estimate = cost.parse(budget)
        if budget is not None and estimate is None:
            source.fault(("template", "budget_cents"), NO_BUDGET)
        return None if template is None else TaskProgram(template, estimate or 0)

    def price(self, program: TaskProgram) -> Price:
        """See steps.ports.PricedType."""
        return Price(program.estimate, metered=True)

    def resolve(self, program: TaskProgram, scope: Scope) -> Json:
        """The resolved config. Raises StepError."""
        return program.template.render(scope)

    def wish(self, config: Json) -> TaskWish:
        """What a resolved config asks for. Raises StepError."""
        template, given = config.get("template"), config.get("input") or {}
        if not isinstance(template, dict):
            raise unfit("template", "Expected object")
        if not isinstance(given, dict):
            raise unfit("input", "Expected object")
        acceptance = config.get("acceptance") or {}
        score, most = read_number(acceptance, "minScore"), read_number(acceptance, "maxCostCents")
        return TaskWish(
            title=_text(template, "title", needed=True)[:LONGEST_TITLE],
            description=_text(template, "description") or None,
            task_type=_text(template, "task_type") or None,
            template=template,
            input=given,
            auto_accept=read_flag(config, "autoAccept", default=False),
            min_score=None if score is None else round(score),
            max_cost=None if most is None else cost.of_cents(most),
        )


def _text(template: dict[str, Json], name: str, *, needed: bool = False) -> str:
    try:
        text = read_text(template, name) or ""
    except StepError as error:
        raise StepError(f"template.{error.message}", code=error.code) from None
    if needed and not text:
        raise unfit(f"template.{name}", "Required")
    return text
