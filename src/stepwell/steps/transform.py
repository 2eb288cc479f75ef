"""transform: makes a new value from others, by a mapping, by rules or by a script. Source: LoopFour contract 9.2."""

from dataclasses import dataclass

from stepwell.definitions import Kind, Schema, Source
from stepwell.definitions.schemas import schema_faults
from stepwell.definitions.wording import kind_of
from stepwell.expressions import Scope, Template, regex
from stepwell.steps.code import CodeProgram, CodeStep, compiled
from stepwell.steps.fields import choice_field, flag_field, read_choice, read_flag, text_field, unfit
from stepwell.steps.items import SELECT, WHERE, ItemsProgram, ItemsStep
from stepwell.steps.rules import ACTIONS, CHECKS, NORMALIZATIONS, Rules, is_conversion, reshaped
from stepwell.values import Json

RULE_FIELDS = ("sourceData", "action", "mappingRules", "normalizations", "validationRules", "strict")

_LIST: Json = {"type": "array"}
_TEXTS = {
    "mappingRules": ("source", "target", "transform"),
    "normalizations": ("field", "type"),
    "validationRules": ("field", "rule", "message"),
}


@dataclass(frozen=True, slots=True)
class Mapping:
    """The mapping form: the output is the rendered mapping."""

    template: Template


@dataclass(frozen=True, slots=True)
class RulesProgram:
    """The rules form: each field's template, and the schema as it was written."""

    fields: tuple[tuple[str, Template], ...]
    target: Schema | None


class TransformStep:
    """Output is the rendered mapping, what the rules make of `sourceData`, or what the script returns."""

    name = "transform"
    kind = Kind.PURE
    default_timeout_ms: int | None = None
    config_schema: Json = {
        "type": "object",
        "properties": {
            "mapping": {"type": "object", "description": "Templates; the output has the same keys."},
            "sourceData": {"description": "What the rules work on; an array is treated item by item."},
            "action": choice_field("What the rules do.", *ACTIONS, default="transform"),
            "mappingRules": {
                **_LIST,
                "items": {
                    "type": "object",
                    "required": ["source", "target"],
                    "properties": {
                        "source": text_field("Dotted path in the source."),
                        "target": text_field("Dotted path in the output."),
                        "transform": text_field("A conversion: string, number, date, default:<text> ..."),
                    },
                },
            },
            "normalizations": {
                **_LIST,
                "items": {
                    "type": "object",
                    "required": ["field", "type"],
                    "properties": {
                        "field": text_field("Dotted path."),
                        "type": choice_field("How it is normalised.", *NORMALIZATIONS),
                    },
                },
            },
            "validationRules": {
                **_LIST,
                "items": {
                    "type": "object",
                    "required": ["field", "rule"],
                    "properties": {
                        "field": text_field("Dotted path."),
                        "rule": choice_field("What is checked.", *CHECKS),
                        "value": {"description": "The type, limit, pattern or list that the rule needs."},
                        "message": text_field("Told instead of the standard message."),
                    },
                },
            },
            "targetSchema": {"type": "object", "description": "JSON Schema of each result."},
            "strict": flag_field("Fail the step on any error.", default=False),
            "script": text_field("JavaScript: a function body that returns the output.", minLength=1),
            "code": text_field("Another name of `script`.", minLength=1),
            "input": {"description": "What the script sees as `input`."},
            **ItemsStep.config_schema["properties"],
        },
    }

    def __init__(self, code: CodeStep) -> None:
        self._code = code
        self._items = ItemsStep()

    def compile(self, source: Source) -> Mapping | RulesProgram | CodeProgram | ItemsProgram | None:
        config, written = source.config, source.raw.get("config", {})
        scripts = tuple(name for name in ("script", "code") if name in config)
        if scripts:
            return self._script(source, scripts)
        if "items" in config or WHERE in config or SELECT in config:
            return self._of_items(source)
        if "mapping" in config:
            for name in RULE_FIELDS:
                if name in config:
                    source.fault((name,), "Not allowed together with mapping")
            template = source.template("mapping")
            return None if template is None else Mapping(template)
        if "sourceData" not in config:
            if "mapping" not in written and "script" not in written and "code" not in written:
                source.fault(("mapping",), "Required")
            return None
        return self._rules(source)

    def evaluate(self, program: Mapping | RulesProgram, scope: Scope) -> tuple[Json, Json]:
        if isinstance(program, Mapping):
            output = program.template.render(scope)
            return {"mapping": output}, output
        config = {name: template.render(scope) for name, template in program.fields}
        _check_texts(config)
        rules = Rules(
            action=read_choice(config, "action", ACTIONS, "transform"),
            mapping=config.get("mappingRules", []),
            normalizations=config.get("normalizations", []),
            checks=config.get("validationRules", []),
            target=program.target,
            strict=read_flag(config, "strict", default=False),
        )
        if program.target is not None:
            config["targetSchema"] = program.target.document
        return config, reshaped(config["sourceData"], rules)

    def _script(self, source: Source, scripts: tuple[str, ...]) -> CodeProgram | None:
        for name in (*scripts[1:], "mapping", *RULE_FIELDS):
            if name in source.config:
                source.fault((name,), f"Not allowed together with {scripts[0]}")
        source.runs_as(self._code)
        source.defaults(timeout_ms=self._code.default_timeout_ms)
        return compiled(source, scripts[0])

    def _of_items(self, source: Source) -> ItemsProgram | None:
        for name in ("mapping", *RULE_FIELDS):
            if name in source.config:
                source.fault((name,), "Not allowed together with items")
        if "items" not in source.config:
            source.fault(("items",), "Required")
        source.runs_as(self._items)
        source.defaults(timeout_ms=self._items.default_timeout_ms)
        return self._items.compile(source)

    def _rules(self, source: Source) -> RulesProgram:
        config = source.config
        for index, rule in enumerate(config.get("mappingRules", [])):
            conversion = rule.get("transform", "string")
            if "{" not in conversion and not is_conversion(conversion):
                source.fault(("mappingRules", index, "transform"), f"Unknown transform: {conversion}"[:300])
        for index, check in enumerate(config.get("validationRules", [])):
            if check["rule"] == "pattern":
                self._check_pattern(source, index, check.get("value"))
        templates = [(name, source.template(name)) for name in RULE_FIELDS if name in config]
        target = self._target(source)
        return RulesProgram(tuple((name, template) for name, template in templates if template is not None), target)

    def _check_pattern(self, source: Source, index: int, pattern: Json) -> None:
        where = ("validationRules", index, "value")
        if not isinstance(pattern, str):
            source.fault(where, "Required" if pattern is None else "Expected string")
            return
        try:
            regex(pattern)
        except ValueError as error:
            source.fault(where, str(error)[:300])

    def _target(self, source: Source) -> Schema | None:
        if "targetSchema" not in source.config:
            return None
        schema = source.config["targetSchema"]
        faults = schema_faults(schema)
        for fault in faults:
            source.fault(("targetSchema", *fault.path), fault.message)
        return None if faults else Schema(schema)


def _check_texts(config: dict[str, Json]) -> None:
    """A template may have put something else where a rule needs text."""
    for name, fields in _TEXTS.items():
        for index, rule in enumerate(config.get(name, [])):
            for field in fields:
                if field in rule and not isinstance(rule[field], str):
                    raise unfit(f"{name}[{index}].{field}", f"Expected string, received {kind_of(rule[field])}")
