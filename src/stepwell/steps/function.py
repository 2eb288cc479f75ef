"""function: calls a function of the workspace. Source: AwaitStep contract 10.2."""

from stepwell.definitions import Kind, Source
from stepwell.errors import StepError
from stepwell.expressions import Scope, Template
from stepwell.steps.fields import read_needed_text, text_field
from stepwell.steps.ports import Call, ConnectionNeed, Ports
from stepwell.values import Json


class FunctionStep:
    """Output `{value}`: what the function answers."""

    name = "function"
    kind = Kind.EFFECT
    default_timeout_ms: int | None = 30_000
    config_schema: Json = {
        "type": "object",
        "required": ["function"],
        "properties": {
            "function": text_field("Id or slug of the function.", minLength=1),
            "payload": {"description": "What the function's code sees as the event's payload."},
        },
    }

    def compile(self, source: Source) -> Template | None:
        return source.template()

    def resolve(self, program: Template, scope: Scope) -> Json:
        return program.render(scope)

    def connection(self, program: Template, config: Json) -> ConnectionNeed | None:
        return None

    async def perform(self, program: Template, config: Json, call: Call, ports: Ports) -> Json:
        if ports.functions is None:
            raise StepError("Functions cannot be called here", kind="code")
        reference = read_needed_text(config, "function")
        return {"value": await ports.functions.value(call.workspace, reference, config.get("payload"), call.run_id)}
