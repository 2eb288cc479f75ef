"""end and break: end completes the run, or the arm it stands in; break ends its loop. Source: LoopFour contract 9."""

from stepwell.definitions import Kind, Source
from stepwell.expressions import Condition, Scope
from stepwell.values import Json


class EndStep:
    """`evaluate` answers whether the run ends here: always, or if `condition` holds."""

    name = "end"
    kind = Kind.END
    default_timeout_ms: int | None = None
    config_schema: Json = {
        "type": "object",
        "properties": {
            "condition": {"type": ["string", "object"], "description": "It counts only if this holds."},
        },
    }

    def compile(self, source: Source) -> Condition | None:
        return source.condition("condition")

    def evaluate(self, program: Condition | None, scope: Scope) -> tuple[Json, Json]:
        if program is None:
            return {}, True
        return {"condition": program.resolve(scope)}, program.evaluate(scope)


class BreakStep(EndStep):
    """The same for the loop it stands in."""

    name = "break"
    kind = Kind.BREAK
