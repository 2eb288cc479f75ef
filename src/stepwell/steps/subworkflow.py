"""subworkflow: starts a run of another workflow, and waits for it. Source: LoopFour contract 9."""

from dataclasses import dataclass

from stepwell.definitions import Kind, Source
from stepwell.definitions.wording import kind_of
from stepwell.expressions import Scope, Template
from stepwell.steps.fields import (
    flag_field,
    number_field,
    read_flag,
    read_needed_text,
    read_number,
    read_text,
    text_field,
    unfit,
)
from stepwell.values import Json

_MINUTE_MS = 60_000
_LONGEST_MINUTES = 365 * 24 * 60


@dataclass(frozen=True, slots=True)
class ChildWish:
    """The run that a step asks for; `workflow` is an id or slug."""

    workflow: str
    input: dict[str, Json]
    wait: bool
    timeout_ms: int | None
    idempotency_key: str | None


class SubworkflowStep:
    """Output `{result, runId, status, durationMs, reusedExistingRun}`; `result` is null without waiting."""

    name = "subworkflow"
    kind = Kind.CHILD
    default_timeout_ms: int | None = None
    config_schema: Json = {
        "type": "object",
        "required": ["workflowId"],
        "properties": {
            "workflowId": text_field("Id or slug of the workflow.", minLength=1),
            "inputMapping": {"description": "Templates that make the input: an object, or one template that gives it."},
            "waitForCompletion": flag_field("Whether the step ends with the run it starts.", default=True),
            "timeoutMinutes": number_field("Limit of the wait.", exclusiveMinimum=0, maximum=_LONGEST_MINUTES),
            "idempotencyKey": text_field("A run of the workflow with the same key is used instead of a new one."),
        },
    }

    def compile(self, source: Source) -> Template | None:
        given = source.config.get("inputMapping")
        if given is not None and not isinstance(given, dict) and not (isinstance(given, str) and "{{" in given):
            source.fault(("inputMapping",), f"Expected object, received {kind_of(given)}")
        return source.template()

    def resolve(self, program: Template, scope: Scope) -> Json:
        return program.render(scope)

    def wish(self, config: dict[str, Json]) -> ChildWish:
        """What the resolved config asks for. Raises StepError."""
        minutes = read_number(config, "timeoutMinutes")
        if minutes is not None and not 0 < minutes <= _LONGEST_MINUTES:
            raise unfit("timeoutMinutes", f"Expected more than 0 and at most {_LONGEST_MINUTES}")
        given = config.get("inputMapping")
        if given is not None and not isinstance(given, dict):
            raise unfit("inputMapping", "Expected an object")
        return ChildWish(
            workflow=read_needed_text(config, "workflowId"),
            input={} if given is None else given,
            wait=read_flag(config, "waitForCompletion", default=True),
            timeout_ms=None if minutes is None else round(minutes * _MINUTE_MS),
            idempotency_key=read_text(config, "idempotencyKey"),
        )
