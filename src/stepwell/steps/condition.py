"""condition: decides which branch the run takes. Source: LoopFour contract 7.1 and 9."""

from stepwell.definitions import Kind, Source
from stepwell.expressions import Condition, Scope
from stepwell.steps.fields import STEPS, text_field
from stepwell.values import Json

FORMS = ("conditions", "expression", "condition")


class ConditionStep:
    """Output `{"result": true}`; `then` or `else` follows."""

    name = "condition"
    kind = Kind.PURE
    default_timeout_ms: int | None = None
    config_schema: Json = {
        "type": "object",
        "required": ["then"],
        "properties": {
            "conditions": {
                "type": ["object", "array", "string"],
                "description": "A comparison {left, operator, right}, a group, or a list of {field, operator, value}.",
            },
            "combineOperator": {"enum": ["AND", "OR"], "default": "AND", "description": "How a list is combined."},
            "expression": text_field("A CEL expression."),
            "condition": {"type": ["string", "object"], "description": "The same as `expression` or `conditions`."},
            "then": {**STEPS, "description": "Steps that run if the condition holds: ids or steps written inline."},
            "else": {**STEPS, "description": "Steps that run if it does not."},
        },
    }

    def compile(self, source: Source) -> Condition | None:
        source.branches(("then",), ("else",))
        given = [form for form in FORMS if form in source.config]
        if not given:
            if not any(form in source.raw.get("config", {}) for form in FORMS):
                source.fault(("conditions",), "Required")
            return None
        for other in given[1:]:
            source.fault((other,), f"Not allowed together with {given[0]}")
        return source.condition()

    def evaluate(self, program: Condition, scope: Scope) -> tuple[Json, Json]:
        return program.resolve(scope), {"result": program.evaluate(scope)}

    def decide(self, output: Json) -> bool:
        """Whether the `then` branch is taken. A kept result may be of a version where the step had another type."""
        return isinstance(output, dict) and output.get("result") is True
