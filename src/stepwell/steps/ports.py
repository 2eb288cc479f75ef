"""What a step type offers at run time, and the ports through which effects reach the outside."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from stepwell.definitions import StepType
from stepwell.expressions import Scope
from stepwell.values import Json


@dataclass(frozen=True, slots=True)
class ConnectionNeed:
    """Which connection a step needs: one of these providers, perhaps one it names (`config.connection`)."""

    providers: tuple[str, ...]
    named: str | None = None


@dataclass(frozen=True, slots=True)
class ChosenConnection:
    """The connection a step will use; fixed in its running record."""

    id: str
    provider: str


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt of an effect."""

    workspace: str
    workflow_id: str
    run_id: str
    path: str
    attempt: int
    operation_id: str  # the same on every attempt; sent as Idempotency-Key
    now_ms: int  # fixed when the step's record was first written
    timeout_s: float
    connection: ChosenConnection | None
    reveal: Callable[[Json], Json]  # a copy of a value with secret markers opened; call it only when sending
    log: Callable[[str], None] = lambda line: None  # a line for the step's logs
    charge: Callable[[int], None] = lambda amount: None  # what the attempt was billed, also if it fails
    priced: Callable[[int], None] = lambda amount: None  # what it costs by a price list; a declared cost goes first


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """An outgoing request. `body` is sent as it is."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    params: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    timeout_s: float = 30.0
    max_response_bytes: int = 10 * 1024 * 1024
    max_redirects: int = 5


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer, whatever its status. Header names in lower case; `body` decompressed and within the limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str  # after redirects


class Http(Protocol):
    """Outgoing HTTP behind the egress guard."""

    async def send(self, workspace: str, request: HttpRequest) -> HttpResponse:
        """Send a request.

        Raises:
            StepError: kind timeout or network (`outcome_unknown` set if the request may have arrived), or the egress
                guard's refusal (not retryable). An HTTP error status is an answer, not an exception.
        """
        ...


class Actions(Protocol):
    """The actions of connectors, against a connection's real provider or its simulator."""

    async def perform(self, action: str, params: Json, call: Call) -> Json:
        """Run `<provider>.<action>` with rendered parameters; the result is the step's output.

        Raises:
            StepError: kind timeout, network, http or provider.
        """
        ...


class Outbox(Protocol):
    """Actions that the server runs later, whatever has become of the run by then."""

    async def put(self, action: str, params: Json, call: Call, due_ms: int) -> None:
        """Keep an action until its time (epoch ms); durable when this returns. The same operation is kept once."""
        ...


class Code(Protocol):
    """Code of tenants, run in child processes with hard limits. Nothing it does reaches this process."""

    async def run(
        self, workspace: str, script: "Script", log: Callable[[str], None], host: "Host | None" = None
    ) -> Json:
        """The value that the function body returns. What it prints goes to `log`, line by line, 64 KiB at most. A kept
        script may ask `host` for what it cannot do: `await __ask(question)` gives the answer, or throws.

        Raises:
            StepError: kind code (it raised, used too much time or memory, or returned no JSON), or the output is too
                large (OUTPUT_TOO_LARGE).
        """
        ...


Host = Callable[[Json], Awaitable[Json]]
"""Answers a question of a script: any JSON to any JSON. Raises StepError, which the script sees as an Error."""


@dataclass(frozen=True, slots=True)
class Script:
    """A function body with `input` bound; `return` gives the result. `kept`: it may be run by what
    ran other scripts of the workspace; it finds the built-in objects frozen, and nothing of what others did."""

    language: str  # javascript or python; cel for conditions
    code: str
    input: Json
    timeout_ms: int = 30_000
    max_output_bytes: int = 10 * 1024 * 1024
    kept: bool = False


class Functions(Protocol):
    """The functions of a workspace, called in memory."""

    async def value(self, workspace: str, reference: str, payload: Json, request: str) -> Json:
        """What the function of an id or slug answers to a payload; its log lines name the request.

        Raises:
            StepError: kind code: there is none, it failed, or it is busy.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything an effect may use."""

    http: Http
    actions: Actions
    outbox: Outbox
    code: Code
    functions: Functions | None = None  # where there are such


@dataclass(frozen=True, slots=True)
class Price:
    """What is known of a step's cost before it begins. `metered`: the rest is known only afterwards."""

    estimate: int = 0
    metered: bool = False


@runtime_checkable
class PricedType(Protocol):
    """A step type some of whose steps cost something without their definition declaring it."""

    def price(self, program: Any) -> Price:
        """What a step of this program will cost."""
        ...


class PureType(StepType, Protocol):
    """A step type of kind PURE."""

    def evaluate(self, program: Any, scope: Scope) -> tuple[Json, Json]:
        """The resolved config and the output. Raises StepError."""
        ...


class EndType(PureType, Protocol):
    """A step type of kind END. Its output says whether the run, or the arm it stands in, ends here."""


class EffectType(StepType, Protocol):
    """A step type of kind EFFECT."""

    def resolve(self, program: Any, scope: Scope) -> Json:
        """The resolved config, as it is recorded before the first attempt and sent by every attempt."""
        ...

    def connection(self, program: Any, config: Json) -> ConnectionNeed | None:
        """The connection that the resolved config needs."""
        ...

    async def perform(self, program: Any, config: Json, call: Call, ports: Ports) -> Json:
        """One attempt; the output. Raises StepError."""
        ...


class WaitType(StepType, Protocol):
    """A step type of kind WAIT."""

    def begin(self, program: Any, scope: Scope, now_ms: int) -> tuple[Json, int]:
        """The resolved config and the time (epoch ms) at which the wait is over."""
        ...

    def finish(self, config: Json, started_ms: int, now_ms: int) -> Json:
        """The output."""
        ...


class DecidingType(StepType, Protocol):
    """A step type whose steps may have branches."""

    def decide(self, output: Json) -> bool:
        """Whether the output selects the `then` branch."""
        ...
