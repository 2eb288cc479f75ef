"""The plan: a definition parsed, checked and compiled into a tree of steps. Immutable; cached by version."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

from stepwell.definitions.inputs import InputSchema
from stepwell.errors import Fault
from stepwell.expressions import Condition, Template
from stepwell.values import Json, Path


class Kind(StrEnum):
    """How the interpreter treats a step type."""

    PURE = "pure"  # computed from the scope; may be computed again after a crash
    CODE = "code"  # computed apart from the loop; may be computed again after a crash
    EFFECT = "effect"  # reaches the outside; everything before it is durable first
    WAIT = "wait"  # ends at a time; the run leaves memory meanwhile
    EVENT = "event"  # ends when an event reaches the run
    APPROVAL = "approval"  # ends when somebody decides
    TASK = "task"  # ends when a worker outside has done it
    CHILD = "child"  # ends when a run that it starts ends
    CONTAINER = "container"  # holds blocks
    END = "end"  # completes the run, or the arm it stands in
    BREAK = "break"  # ends the loop it stands in


class OnError(StrEnum):
    """What a step's final failure does to the run."""

    FAIL = "fail"
    CONTINUE = "continue"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and after what delay an attempt is repeated. Source: LoopFour contract 8.3."""

    max_attempts: int = 1
    initial_delay_ms: int = 1000
    max_delay_ms: int = 30_000
    multiplier: float = 2.0
    jitter: bool = False
    linear: bool = False  # the delay grows by the first one each time, not by the multiplier
    any_error: bool = False  # what no repetition is known to help against is repeated as well

    def delay_ms(self, failed_attempts: int, random: Callable[[], float]) -> int:
        """The delay after the n-th failed attempt, before `Retry-After` is looked at."""
        growth = failed_attempts if self.linear else self.multiplier ** min(failed_attempts - 1, 64)
        full = min(self.initial_delay_ms * growth, self.max_delay_ms)
        return round(full * random()) if self.jitter else round(full)


@dataclass(frozen=True, slots=True)
class Branches:
    """The two ways after a step that decides. `skip_*` are the ids recorded as skipped when that way is not taken:
    every step below it (through nested branches) that no later branch can still select."""

    then: "Block"
    otherwise: "Block"
    skip_then: tuple["Step", ...]
    skip_otherwise: tuple["Step", ...]


class Form(StrEnum):
    """How a container runs what it holds."""

    LOOP = "loop"
    PARALLEL = "parallel"
    RACE = "race"
    TRY = "try"


@dataclass(frozen=True, slots=True)
class Body:
    """One list of steps that a container holds. `ids` are those that stand in it or in branches of it."""

    block: "Block"
    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a plan."""

    id: str
    type: "StepType"
    name: str
    program: Any  # what the step type compiled from the config; only the step type looks inside
    when: Condition | None = None
    retry: RetryPolicy = RetryPolicy()
    on_error: OnError = OnError.FAIL
    fallback: Json = None
    timeout_ms: int | None = None
    idempotent: bool = True
    needs: tuple[str, ...] | None = None
    requires: tuple[tuple[Path, str], ...] = ()  # what must be there when it begins, and how the error calls it
    branches: Branches | None = None
    bodies: tuple[Body, ...] = ()
    iterates: bool = False  # its body runs once for each of many turns, whose paths are numbered
    cost: int | None = None  # of one attempt that succeeds, as the definition declares it, in millionths of a cent

    def inside(self, path: str, turn: int = 0) -> str:
        """What the paths of the steps inside this container begin with, the container's own path being given."""
        return f"{path}[{turn}]." if self.iterates else f"{path}."


@dataclass(frozen=True, slots=True)
class Block:
    """A list of steps: in order, or as a DAG if one of them says `needs`."""

    steps: tuple[Step, ...] = ()
    dag: bool = False


@dataclass(frozen=True, slots=True)
class RunSettings:
    """`settings` of a definition."""

    timeout_ms: int | None = None
    max_concurrent_runs: int | None = None
    reject_idempotency_conflict: bool = False
    budget: int | None = None  # of each run, in millionths of a cent
    over_budget: Literal["stop", "ask"] = "stop"


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled definition."""

    document: Json
    root: Block
    steps: dict[str, Step]  # every step of the document by id, in document order
    parents: dict[str, str | None]  # the id of the step whose branch or list holds a step, None at the root
    within: dict[str, tuple[str, ...]] = field(default_factory=dict)  # the containers around a step, outermost first
    output: Template | None = None
    input_schema: InputSchema | None = None
    output_schema: InputSchema | None = None
    variables: Json = field(default_factory=dict)
    settings: RunSettings = RunSettings()
    secrets: frozenset[str] = frozenset()  # names of the secrets the steps use
    trigger_secrets: frozenset[str] = frozenset()  # and of those the trigger verifies with; no run sees them
    inline: Json = None  # of a function: what its calls need; None of a workflow that has runs
    entry: Json = None  # of a workflow that a plain HTTP call starts: `method`, and what `auth` it needs
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """What the catalogue knows of an action: enough to check a step at save."""

    name: str  # stripe.createInvoice
    provider: str  # stripe
    required: tuple[str, ...]
    params: Json  # JSON Schema of the parameters
    price: int | None = None  # of one call, in millionths of a cent
    metered: bool = False  # what a call costs is known from its answer


class Catalogue(Protocol):
    """The actions that connectors offer."""

    def action(self, name: str) -> ActionSpec | None:
        """The action of that full name, or None."""
        ...

    def connectors(self) -> tuple[str, ...]:
        """The names of all connectors."""
        ...

    def offering(self, action: str) -> tuple[str, ...]:
        """The connectors that offer an action of that short name (`sendEmail`)."""
        ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large definitions may be; settings of the section `limits`."""

    steps: int = 500
    nesting: int = 16
    turns: int = 10_000  # of a loop, and arms of a parallel


class Source(Protocol):
    """One step's part of a document, as a step type sees it while compiling. Paths are below the step's `config`."""

    id: str
    raw: Json  # the whole step object
    config: dict[str, Json]
    catalogue: Catalogue
    bounds: Bounds

    def fault(self, path: Path, message: str, *, of_step: bool = False) -> None:
        """Note something wrong below `config` (below the step itself with `of_step`); compiling goes on so that all
        faults are found."""
        ...

    def warn(self, *path: str | int) -> None:
        """Note a field below `config` that nothing acts on."""
        ...

    def defaults(self, *, retry: RetryPolicy | None = None, timeout_ms: int | None = None) -> None:
        """What counts when the step itself has no `retryConfig` or no `timeoutMs`."""
        ...

    def template(
        self, *path: str | int, secrets: bool = False, html: bool = False, handlebars: bool = False
    ) -> Template | None:
        """Compile the value at the path (default: the whole config) as a template, its faults and references checked.
        None if it is absent or faulty. `secrets` says whether `secrets.*` may stand in it."""
        ...

    def runs_as(self, step_type: "StepType") -> None:
        """The step runs as another type, whose program `compile` returns."""
        ...

    def condition(self, *path: str | int, inside: bool = False) -> Condition | None:
        """Compile the value at the path as a condition of the contract's section 7. One that a container evaluates
        `inside` knows the names it gives."""
        ...

    def branches(self, then: Path, otherwise: Path) -> None:
        """Declare that the lists of ids or inline steps at the two paths are the step's branches; they become
        `Step.branches`."""
        ...

    def bodies(self, *paths: Path, names: tuple[str, ...] = (), iterates: bool = False) -> None:
        """Declare that the lists of ids or inline steps at the paths are what the container holds; they become
        `Step.bodies`. Inside, these names stand at the root of the scope."""
        ...

    def name(self, field: str, default: str) -> str:
        """The root name that a field of `config` chooses; one that the engine itself uses is a fault."""
        ...


class StepType(Protocol):
    """One type of step. `compile` is called once per version; the runtime methods depend on `kind` (see steps/)."""

    name: str
    kind: Kind
    default_timeout_ms: int | None
    config_schema: Json  # JSON Schema of the config: checked at save, and what editors complete

    def compile(self, source: Source) -> Any:
        """The program of a step: templates compiled, and checked what `config_schema` cannot say. Members of the config
        that do not fit `config_schema` are not in `source.config`. Faults go to `source.fault`."""
        ...


class ContainerType(StepType, Protocol):
    """A step type of kind CONTAINER."""

    form: Form


FaultSink = Callable[[Fault], None]
