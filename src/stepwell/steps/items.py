"""The form of transform that goes over a list: keeps the items of which a CEL expression holds, or makes another value
of each. Source: AITasker contract 7.1."""

from dataclasses import dataclass
from decimal import Decimal

from stepwell.definitions import Kind, Source
from stepwell.definitions.wording import kind_of
from stepwell.errors import StepError
from stepwell.expressions import CelOfItems, Scope, SyntaxFault, Template, compile_cel_of_items
from stepwell.steps.fields import text_field, unfit
from stepwell.steps.ports import Call, ConnectionNeed, Ports, Script
from stepwell.values import Json

WHERE, SELECT = "where", "select"


@dataclass(frozen=True, slots=True)
class ItemsProgram:
    """The list's template, and the expression with the name of its field."""

    items: Template
    field: str
    expression: CelOfItems


class ItemsStep:
    """Output is `{"items": [...]}`."""

    name = "transform"
    kind = Kind.CODE
    default_timeout_ms: int | None = 30_000
    config_schema: Json = {
        "type": "object",
        "properties": {
            "items": {"description": "The list that `where` or `select` goes over."},
            WHERE: text_field("CEL over `item`: the items of which it holds stay.", minLength=1),
            SELECT: text_field("CEL over `item`: what each item becomes.", minLength=1),
        },
    }

    def compile(self, source: Source) -> ItemsProgram | None:
        config = source.config
        named = [name for name in (WHERE, SELECT) if name in config]
        if len(named) != 1:
            source.fault((WHERE,), "Not allowed together with select" if named else "Required, or select")
            return None
        items = source.template("items")
        try:
            expression = compile_cel_of_items(config[named[0]])
        except SyntaxFault as fault:
            source.fault((named[0],), fault.located(config[named[0]]))
            return None
        for name in sorted(str(path[0]) for path in expression.references):
            source.fault((named[0],), f"Unknown name: {name}; only item is known here"[:300])
        return None if items is None else ItemsProgram(items, named[0], expression)

    def resolve(self, program: ItemsProgram, scope: Scope) -> Json:
        return {"items": program.items.render(scope), program.field: program.expression.text}

    def connection(self, program: ItemsProgram, config: Json) -> ConnectionNeed | None:
        return None

    async def perform(self, program: ItemsProgram, config: Json, call: Call, ports: Ports) -> Json:
        items = config["items"]
        if not isinstance(items, list):
            raise unfit("items", f"Expected array, received {kind_of(items)}")
        text, variables = program.expression.question(items)
        answer = await ports.code.run(call.workspace, Script("cel", text, variables), call.log)
        if "error" in answer:
            raise StepError(f"{program.field}: {answer['error'][1]}"[:500], code="CONDITION_ERROR")
        found = answer["value"]
        if program.field == SELECT:
            return {"items": [_exact(value) for value in found]}
        for index, holds in enumerate(found):
            if not isinstance(holds, bool):
                raise StepError(f"{WHERE}: of item {index} the result is no boolean", code="CONDITION_ERROR")
        return {"items": [item for item, holds in zip(items, found, strict=True) if holds]}


def _exact(value: Json) -> Json:
    """What CEL computed in doubles, whole numbers as such."""
    if isinstance(value, float | Decimal):
        return int(value) if value == int(value) else Decimal(str(value))
    if isinstance(value, dict):
        return {name: _exact(child) for name, child in value.items()}
    return [_exact(child) for child in value] if isinstance(value, list) else value
