"""What compiling a document finds: faults, unknown fields, the names its expressions use; and one step's view of it."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from stepwell.definitions.plan import Bounds, Catalogue, RetryPolicy, StepType
from stepwell.errors import Fault
from stepwell.expressions import CompileFailed, Condition, Template, compile_condition, compile_template
from stepwell.values import Json, Path

ROOT_NAMES = frozenset({"input", "steps", "run", "runId", "now", "workflow", "trigger", "variables", "secrets"})


@dataclass(slots=True)
class Findings:
    """Collects while a document is read; nothing stops at the first fault."""

    faults: list[Fault] = field(default_factory=list)
    unknown: list[Path] = field(default_factory=list)
    references: list[tuple[Path, Path, str | None, bool]] = field(default_factory=list)  # True: evaluated inside it
    reader: str | None = None  # the step whose expressions are being compiled
    secrets: set[str] = field(default_factory=set)

    def fault(self, path: Path, message: str) -> None:
        """Note something wrong at a place of the document."""
        self.faults.append(Fault(path, message))

    def template(
        self, value: Json, path: Path, *, secrets: bool = False, html: bool = False, handlebars: bool = False
    ) -> Template | None:
        """Compile a template that stands at the path; None if it is faulty."""
        try:
            template = compile_template(value, html=html, handlebars=handlebars)
        except CompileFailed as error:
            if isinstance(value, dict | list):  # text by text, so that the names in the good ones are checked too
                for where, text in _texts(value, path):
                    self.template(text, where, secrets=secrets, html=html, handlebars=handlebars)
            else:
                self._note(path, error)
            return None
        self._use(template, path, secrets)
        return template

    def condition(self, value: Json, path: Path, *, inside: bool = False) -> Condition | None:
        """Compile a condition that stands at the path; None if it is faulty."""
        try:
            condition = compile_condition(value)
        except CompileFailed as error:
            self._note(path, error)
            return None
        self._use(condition, path, secrets=False, inside=inside)
        return condition

    def _note(self, path: Path, error: CompileFailed) -> None:
        self.faults.extend(Fault(path + fault.path, fault.message) for fault in error.faults)

    def _use(self, compiled: Template | Condition, path: Path, secrets: bool, inside: bool = False) -> None:
        self.secrets |= compiled.secrets
        for where, name in compiled.references:
            self.references.append((path + where, name, self.reader, inside))
            if name[:1] == ("secrets",) and not secrets:
                self.fault(path + where, "Secrets may stand only in the config of steps that reach outside")

    def check_references(
        self, steps: set[str], variables: Json, names_at: Callable[[str | None, bool], Collection[str]]
    ) -> None:
        """Note every name that does not exist; `names_at` tells which more there are at a step, or inside it. Whether a
        step can have run before is not asked: it reads as null."""
        for path, name, reader, inside in self.references:
            root, part = name[0], name[1] if len(name) > 1 else None
            if root not in ROOT_NAMES and root not in names_at(reader, inside):
                self.fault(path, f"Unknown name: {root}")
            elif root == "steps" and isinstance(part, str) and part not in steps:
                self.fault(path, f"Unknown step: {part}")
            elif root == "variables" and isinstance(part, str) and part not in variables:
                self.fault(path, f"Unknown variable: {part}")


def _texts(value: Json, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(child, (*path, key))


@dataclass(slots=True)
class StepSource:
    """One step's part of a document; the `Source` that step types compile from."""

    findings: Findings
    path: Path
    id: str
    raw: Json
    config: dict[str, Json]
    catalogue: Catalogue
    bounds: Bounds = Bounds()
    ways: tuple[Path, ...] = ()
    holds: bool = False
    iterates: bool = False
    names: tuple[str, ...] = ()
    retry: RetryPolicy | None = None
    timeout_ms: int | None = None
    other_type: StepType | None = None

    def fault(self, path: Path, message: str, *, of_step: bool = False) -> None:
        self.findings.fault((*self.path, *path) if of_step else (*self.path, "config", *path), message)

    def warn(self, *path: str | int) -> None:
        self.findings.unknown.append((*self.path, "config", *path))

    def defaults(self, *, retry: RetryPolicy | None = None, timeout_ms: int | None = None) -> None:
        self.retry = retry or self.retry
        self.timeout_ms = timeout_ms or self.timeout_ms

    def runs_as(self, step_type: StepType) -> None:
        self.other_type = step_type

    def template(
        self, *path: str | int, secrets: bool = False, html: bool = False, handlebars: bool = False
    ) -> Template | None:
        found, value = self.value_at(path)
        where = (*self.path, "config", *path)
        return (
            self.findings.template(value, where, secrets=secrets, html=html, handlebars=handlebars) if found else None
        )

    def condition(self, *path: str | int, inside: bool = False) -> Condition | None:
        found, value = self.value_at(path)
        return self.findings.condition(value, (*self.path, "config", *path), inside=inside) if found else None

    def branches(self, then: Path, otherwise: Path) -> None:
        self.ways = (then, otherwise)

    def bodies(self, *paths: Path, names: tuple[str, ...] = (), iterates: bool = False) -> None:
        self.ways, self.holds, self.names, self.iterates = paths, True, names, iterates

    def name(self, field: str, default: str) -> str:
        name: str = self.config.get(field, default)
        if name in ROOT_NAMES:
            self.fault((field,), f"Reserved name: {name}")
        return name

    def value_at(self, path: Path) -> tuple[bool, Json]:
        """Whether the config has something at the path, and what."""
        node: Json = self.config
        for part in path:
            in_list = isinstance(node, list) and isinstance(part, int) and part < len(node)
            if not in_list and not (isinstance(node, dict) and part in node):
                return False, None
            node = node[part]
        return True, node
