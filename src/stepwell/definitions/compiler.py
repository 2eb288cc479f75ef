"""The compiler: a definition document to a plan, or every fault of it at once. Source: LoopFour contract 3.4 and 8."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from stepwell import cost
from stepwell.definitions.blocks import Draft, Layout, Member
from stepwell.definitions.document import DOCUMENT, STEP, unknown_fields
from stepwell.definitions.inputs import InputSchema
from stepwell.definitions.plan import Bounds, Catalogue, OnError, Plan, RetryPolicy, RunSettings, StepType
from stepwell.definitions.references import References
from stepwell.definitions.schemas import MAX_FAULTS, compiled, ordered, schema_faults
from stepwell.definitions.source import Findings, StepSource
from stepwell.definitions.wording import kind_of
from stepwell.errors import Fault, ValidationFailed
from stepwell.expressions import Template
from stepwell.values import InvalidJson, Json, Path, check_depth

TRIGGERS = frozenset({"api", "manual", "webhook", "schedule", "event"})
LATER_TRIGGERS = frozenset({"slack_event", "email_event"})
LATER_STEPS = frozenset({"agent", "data_table", "pdf", "workspace_files"})

TriggerCheck: TypeAlias = Callable[[dict[str, Json]], Iterable[Fault]]
"""Tells every fault of a trigger of a known type; kept above, where cron and signatures are known."""

_IN_ORDER = References(
    {**DOCUMENT, "properties": {**DOCUMENT["properties"], "steps": {"type": "array", "items": STEP}}}
)

_STEP_BUT_ID: Json = {  # ids have the vendor's own messages
    **STEP,
    "required": ["type"],
    "properties": {**STEP["properties"], "id": {}},
}


def compile_definition(
    document: Json,
    step_types: Mapping[str, StepType],
    catalogue: Catalogue,
    bounds: Bounds | None = None,
    check_trigger: TriggerCheck = lambda trigger: (),
) -> Plan:
    """Compile a document.

    Raises:
        ValidationFailed: `Invalid workflow configuration`, with all faults (at most 1000) in the order of contract 1.4.
    """
    try:
        check_depth(document)
    except InvalidJson as error:
        raise ValidationFailed("Invalid workflow configuration", [Fault((), f"Document {error}")]) from None
    compiler = _Compiler(step_types, catalogue, bounds or Bounds(), check_trigger)
    if not isinstance(document, dict):
        compiler.findings.fault((), f"Expected object, received {kind_of(document)}")
        compiler.refuse(document)
    return compiler.plan(document)


class _Compiler:
    """One reading of one document."""

    def __init__(
        self, step_types: Mapping[str, StepType], catalogue: Catalogue, bounds: Bounds, check_trigger: TriggerCheck
    ) -> None:
        self._step_types = step_types
        self._check_trigger = check_trigger
        self._bounds = bounds
        self._catalogue = catalogue
        self.findings = Findings()
        self._drafts: dict[str, Draft] = {}
        self._ids: set[str] = set()
        self._trigger_secrets: set[str] = set()
        self._seen = 0
        self._order = 0

    def plan(self, document: dict[str, Json]) -> Plan:
        fitting = self._fitting(document, DOCUMENT, ())
        self._trigger(fitting.get("trigger", {"type": "api"}))
        for name in ("inputSchema", "outputSchema"):
            if name in fitting:
                self.findings.faults.extend(
                    Fault((name, *fault.path), fault.message) for fault in schema_faults(fitting[name])
                )
        root = self._steps(fitting.get("steps", []), ("steps",), depth=1)
        output = self._output(fitting)
        layout = Layout(self._drafts, root, self._ids, self.findings, self._bounds.nesting)
        variables = fitting.get("variables", {})
        self.findings.check_references(self._ids, variables, layout.names_at)
        self._check_inline(fitting)
        self.refuse(document)
        block, steps = layout.build()
        return Plan(
            document=document,
            root=block,
            steps=steps,
            parents=layout.parents,
            within=layout.within,
            output=output,
            input_schema=_schema(fitting, "inputSchema"),
            output_schema=_schema(fitting, "outputSchema"),
            variables=variables,
            settings=_settings(fitting.get("settings", {})),
            secrets=frozenset(self.findings.secrets),
            trigger_secrets=frozenset(self._trigger_secrets),
            inline=_inline(fitting),
            entry=(fitting.get("source") or {}).get("http"),
            warnings=tuple(f"Unknown field: {Fault(path, '').field}" for path in self.findings.unknown),
        )

    def refuse(self, document: Json) -> None:
        """Raise what was found wrong, if anything was."""
        if self.findings.faults:
            faults = ordered(self.findings.faults[:MAX_FAULTS], _IN_ORDER, document)
            raise ValidationFailed("Invalid workflow configuration", faults)

    def _fitting(self, value: dict[str, Json], schema: Json, path: Path) -> dict[str, Json]:
        """The members of an object that fit its schema; the others are faults. Null stands for an absent member."""
        required = schema.get("required", ())
        known = schema.get("properties", {})
        value = {
            name: child for name, child in value.items() if child is not None or name in required or name not in known
        }
        faults = compiled(schema).faults(value)
        self.findings.faults.extend(Fault(path + fault.path, fault.message) for fault in faults)
        self.findings.unknown.extend(path + field for field in unknown_fields(value, schema))
        faulty = {fault.path[0] for fault in faults if fault.path}
        return {name: child for name, child in value.items() if name not in faulty}

    def _trigger(self, trigger: dict[str, Json]) -> None:
        type_ = trigger["type"]
        if type_ in LATER_TRIGGERS:
            self.findings.fault(("trigger", "type"), f"Trigger type not available: {type_}")
        elif type_ not in TRIGGERS:
            self.findings.fault(("trigger", "type"), f"Unknown trigger type: {type_}"[:300])
        elif type_ in ("api", "manual"):
            self.findings.unknown.extend(("trigger", name) for name in trigger if name != "type")
        else:
            self.findings.faults.extend(self._check_trigger(trigger))
        if "signature" in trigger:
            self._signature(trigger["signature"])

    def _signature(self, signature: Json) -> None:
        seen = len(self.findings.references)
        self.findings.template(signature, ("trigger", "signature"), secrets=True)
        self._trigger_secrets, self.findings.secrets = self.findings.secrets, set()  # the first that are met
        for path, name, _, _ in self.findings.references[seen:]:
            if name[0] != "secrets":
                self.findings.fault(path, "Only secrets.<NAME> may stand here")

    def _check_inline(self, fitting: dict[str, Json]) -> None:
        inline = _inline(fitting)
        if inline is None:
            return
        steps = fitting.get("steps", [])
        only = steps[0] if len(steps) == 1 and isinstance(steps[0], dict) else {}
        if only.get("type") != "code" or (only.get("config") or {}).get("language", "javascript") != "javascript":
            self.findings.fault(("steps",), "A function has exactly one step, of type code, in JavaScript")
        auth = inline.get("auth") or {}
        if auth.get("type") == "secret" and not auth.get("secretName"):
            self.findings.fault(("inline", "auth", "secretName"), "Required")

    def _output(self, fitting: dict[str, Json]) -> Template | None:
        return self.findings.template(fitting["output"], ("output",)) if "output" in fitting else None

    def _steps(self, items: list[Json], path: Path, depth: int) -> list[Member]:
        """Compile the steps written in a list, and say which steps the list names."""
        members = []
        for index, item in enumerate(items):
            where = (*path, index)
            self._order += 1
            order = self._order
            if isinstance(item, dict):
                id = self._step(item, where, depth)
            elif isinstance(item, str) and depth > 1:
                id = item
            else:
                expected = "object" if depth == 1 else "string or object"
                self.findings.fault(where, f"Expected {expected}, received {kind_of(item)}")
                continue
            if id is not None:
                members.append(Member(id, where, order))
        return members

    def _step(self, written: dict[str, Json], path: Path, depth: int) -> str | None:
        """Compile one step and what is written inside it; its id if it has a good one."""
        self._seen += 1
        id = self._id(written.get("id"), (*path, "id"))
        if self._seen > self._bounds.steps or depth > self._bounds.nesting:
            self._too_much(path, depth)
            return id
        raw = self._fitting(written, _STEP_BUT_ID, path)
        step_type = self._type(raw, path)
        if step_type is None or (written.get("config") is not None and "config" not in raw):
            return id
        config = self._fitting(raw.get("config", {}), step_type.config_schema, (*path, "config"))
        source = StepSource(self.findings, path, id or "", raw, config, self._catalogue, self._bounds)
        reader, self.findings.reader = self.findings.reader, id
        draft = self._draft(source, step_type)
        self.findings.reader = reader
        if id is not None:
            self._drafts.setdefault(id, draft)
        for way in source.ways:
            _, items = source.value_at(way)
            draft.ways.append(self._steps(items or [], (*path, "config", *way), depth + 1))
        return id

    def _id(self, id: Json, path: Path) -> str | None:
        if id is None or id == "":
            self.findings.fault(path, "Step ID is required")
        elif not isinstance(id, str):
            self.findings.fault(path, f"Expected string, received {kind_of(id)}")
        elif not compiled(STEP["properties"]["id"]).is_valid(id):
            self.findings.fault(path, "Step ID takes 1 to 128 letters, digits, _ and -, and does not begin with -")
        else:
            if id in self._ids:
                self.findings.fault(path, f"Duplicate step ID: {id}")
            self._ids.add(id)
            return id
        return None

    def _too_much(self, path: Path, depth: int) -> None:
        if depth > self._bounds.nesting:
            self.findings.fault(path, f"Steps are nested deeper than {self._bounds.nesting}")
        elif self._seen == self._bounds.steps + 1:
            self.findings.fault(("steps",), f"More than {self._bounds.steps} steps")

    def _type(self, raw: dict[str, Json], path: Path) -> StepType | None:
        name = raw.get("type")
        if name is None:
            return None
        if name not in self._step_types:
            fate = "Step type not available" if name in LATER_STEPS else "Unknown step type"
            self.findings.fault((*path, "type"), f"{fate}: {name}"[:300])
        return self._step_types.get(name)

    def _draft(self, source: StepSource, step_type: StepType) -> Draft:
        raw, path = source.raw, source.path
        program = step_type.compile(source)
        handling = raw.get("errorHandling", {})
        declared = cost.parse(raw["costCents"]) if "costCents" in raw else None
        if "costCents" in raw and declared is None:
            self.findings.fault((*path, "costCents"), f"Takes at most {cost.DECIMALS} decimals")
        timeout_ms = raw.get("timeoutMs", source.timeout_ms or step_type.default_timeout_ms)
        return Draft(
            id=source.id,
            path=path,
            type=source.other_type or step_type,
            name=raw.get("name") or source.id,
            program=program,
            when=self.findings.condition(raw["when"], (*path, "when")) if "when" in raw else None,
            retry=_retry(raw.get("retryConfig"), handling, source.retry),
            on_error=OnError(handling.get("strategy", "fail")),
            fallback=handling.get("fallback"),
            timeout_ms=None if timeout_ms is None else int(timeout_ms),
            idempotent=raw.get("idempotent", True),
            needs=tuple(raw["needs"]) if "needs" in raw else None,
            requires=tuple(_required(each) for each in raw.get("requires", ())),
            cost=declared,
            holds=source.holds,
            iterates=source.iterates,
            names=source.names,
        )


def _retry(given: Json, handling: dict[str, Json], of_type: RetryPolicy | None) -> RetryPolicy:
    """The policy of a step. Source: contract 8.3; `retryConfig` wins over what the step type's config says (9.5)."""
    if given is None:
        if of_type is not None:
            return of_type
        if handling.get("strategy") != "retry":
            return RetryPolicy()
        given = {}
    return RetryPolicy(
        max_attempts=int(given.get("maxAttempts", 3)),
        initial_delay_ms=int(given.get("initialDelayMs", 1000)),
        max_delay_ms=int(given.get("maxDelayMs", 30_000)),
        multiplier=1.0 if given.get("backoff") == "fixed" else float(given.get("backoffMultiplier", 2)),
        jitter=given.get("jitter", False),
        linear=given.get("backoff") == "linear",
        any_error=given.get("retryOn") == "any",
    )


def _required(written: dict[str, Json]) -> tuple[Path, str]:
    path = tuple(written["path"])
    return path, written.get("as") or ".".join(map(str, path))


def _settings(settings: dict[str, Json]) -> RunSettings:
    timeout_ms, most = settings.get("timeoutMs"), settings.get("maxConcurrentRuns")
    budget = settings.get("budgetCents")
    return RunSettings(
        timeout_ms=None if timeout_ms is None else int(timeout_ms),
        max_concurrent_runs=None if most is None else int(most),
        reject_idempotency_conflict=settings.get("idempotencyConflict") == "reject",
        budget=None if budget is None else cost.of_cents(int(budget)),
        over_budget=settings.get("overBudget", "stop"),
    )


def _inline(fitting: dict[str, Json]) -> Json:
    inline = fitting.get("inline")
    return {} if inline is True else inline if isinstance(inline, dict) else None


def _schema(fitting: dict[str, Json], name: str) -> InputSchema | None:
    return InputSchema(fitting[name]) if name in fitting else None
