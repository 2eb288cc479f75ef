"""action: one action of a connector, such as `stripe.createInvoice`. Source: LoopFour contract 9.1."""

from dataclasses import dataclass

from stepwell.definitions import ActionSpec, Kind, Schema, Source
from stepwell.expressions import Scope, Template, compile_template
from stepwell.steps.api import ApiProgram, ApiStep
from stepwell.steps.fields import read_text, text_field
from stepwell.steps.ports import Call, ConnectionNeed, Ports, Price
from stepwell.values import Json, Path

_CHOOSING = ("operation", "connection", "connector", "action")
_API = "api.request"


@dataclass(frozen=True, slots=True)
class ActionProgram:
    """The action, the config field by field, and which fields of it are no parameters."""

    spec: ActionSpec
    fields: dict[str, Template]
    choosing: frozenset[str]


class ActionStep:
    """Output is the provider's response object. The action `api.request` is the step type `api`."""

    name = "action"
    kind = Kind.EFFECT
    default_timeout_ms: int | None = 30_000
    config_schema: Json = {
        "type": "object",
        "description": "The action's parameters.",
        "properties": {
            "connection": text_field("Id or slug of the connection to use."),
            "operation": text_field("The action's name, if the step has no `action`."),
            "connector": text_field("The connector's name, with `action` beside it."),
        },
        "additionalProperties": True,
    }

    def __init__(self, api: ApiStep) -> None:
        self._api = api

    def compile(self, source: Source) -> ActionProgram | ApiProgram | None:
        name, path, of_step = _named(source)
        if name == _API:
            return self._compile_api(source)
        spec = source.catalogue.action(name)
        if spec is None:
            connector = name.partition(".")[0]
            known = connector in source.catalogue.connectors()
            wrong = f"Unknown action: {name}" if known else f"Unknown connector: {connector}"
            source.fault(path, wrong[:300] if name else "Required", of_step=of_step)
            source.template(secrets=True)
            return None
        properties = spec.params.get("properties", {})
        choosing = frozenset(field for field in _CHOOSING if field not in properties)
        templates = {name: source.template(name, secrets=True) for name in source.config}
        fields = {name: template for name, template in templates.items() if template is not None}
        _check_params(source, spec, choosing, fields)
        return ActionProgram(spec, fields, choosing)

    def resolve(self, program: ActionProgram | ApiProgram, scope: Scope) -> Json:
        if isinstance(program, ApiProgram):
            return self._api.resolve(program, scope)
        return {name: template.render(scope) for name, template in program.fields.items()}

    def connection(self, program: ActionProgram | ApiProgram, config: Json) -> ConnectionNeed | None:
        if isinstance(program, ApiProgram):
            return None
        return ConnectionNeed((program.spec.provider,), read_text(config, "connection"))

    def price(self, program: ActionProgram | ApiProgram) -> Price:
        """See steps.ports.PricedType."""
        if isinstance(program, ApiProgram):
            return Price()
        return Price(program.spec.price or 0, program.spec.metered)

    async def perform(self, program: ActionProgram | ApiProgram, config: Json, call: Call, ports: Ports) -> Json:
        if isinstance(program, ApiProgram):
            return await self._api.perform(program, config, call, ports)
        params = {name: value for name, value in config.items() if name not in program.choosing}
        return await ports.actions.perform(program.spec.name, call.reveal(params), call)

    def _compile_api(self, source: Source) -> ApiProgram | None:
        config = {name: value for name, value in source.config.items() if name not in _CHOOSING}
        faults = Schema(self._api.config_schema).faults(config)
        for fault in faults:
            source.fault(fault.path, fault.message)
        return None if faults else self._api.compile(source)


def _named(source: Source) -> tuple[str, Path, bool]:
    """The full name of the action, and where it is written (below the step, or below its config)."""
    config = source.config
    written = source.raw.get("action")
    operation = config.get("operation", config.get("action"))
    connector = config.get("connector", written)
    if written is not None and ("." in written or not isinstance(operation, str)):
        return written, ("action",), True
    where: Path = ("operation",) if "operation" in config else ("action",)
    if not isinstance(operation, str):
        return "", ("action",), True
    return operation if "." in operation or connector is None else f"{connector}.{operation}", where, False


def _check_params(source: Source, spec: ActionSpec, choosing: frozenset[str], fields: dict[str, Template]) -> None:
    """Missing parameters, literal ones of the wrong form, and unknown ones."""
    properties = spec.params.get("properties", {})
    for name in spec.required:
        if name not in source.config:
            source.fault((name,), "Required")
    for name in fields:
        if name in properties:
            _check_given(source, spec, name)
        elif name not in choosing and properties and not spec.params.get("additionalProperties"):
            source.warn(name)


def _check_given(source: Source, spec: ActionSpec, name: str) -> None:
    """What is wrong with the parts of a parameter that are written out; those with templates are left to the run."""
    shared = {key: part for key, part in spec.params.items() if key in ("$defs", "definitions")}
    schema = Schema({**shared, "properties": {name: spec.params["properties"][name]}})
    for fault in schema.faults({name: source.config[name]}):
        if not _holds_template(source.config, fault.path):
            source.fault(fault.path, fault.message)


def _holds_template(node: Json, path: Path) -> bool:
    for part in path:
        if isinstance(node, dict):
            node = node.get(part)
        else:
            node = node[part] if isinstance(node, list) and isinstance(part, int) and part < len(node) else None
    return node is not None and not compile_template(node).literal
