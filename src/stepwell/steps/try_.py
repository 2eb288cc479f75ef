"""try: steps whose failure is caught. Source: LoopFour contract 9."""

from stepwell.definitions import Form, Kind, Source
from stepwell.expressions import Scope
from stepwell.steps.fields import STEPS
from stepwell.values import Json

STEPS_BODY, CATCH_BODY, FINALLY_BODY = range(3)


class TryStep:
    """Output `{ok, error, result}`. In `catch` the root name `error` is `{code, message, stepId}`."""

    name = "try"
    kind = Kind.CONTAINER
    form = Form.TRY
    default_timeout_ms: int | None = None
    config_schema: Json = {
        "type": "object",
        "required": ["steps"],
        "properties": {
            "steps": {**STEPS, "minItems": 1, "description": "What is tried: ids or steps written inline."},
            "catch": {**STEPS, "description": "What runs after a failure; without it the failure goes on."},
            "finally": {**STEPS, "description": "What runs in any case, at the end."},
        },
    }

    def compile(self, source: Source) -> bool:
        """Whether failures are caught."""
        source.bodies(("steps",), ("catch",), ("finally",), names=("error",))
        return bool(source.config.get("catch"))

    def open(self, program: bool, scope: Scope) -> dict[str, Json]:
        """A try decides nothing when it opens."""
        return {}
