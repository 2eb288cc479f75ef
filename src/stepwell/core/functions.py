"""Functions: workflows flagged `inline`, run in memory by one call into the sandbox. Nothing of a call is stored but
counters and the last lines of its log, which die with the process. Source: AwaitStep contract 8."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from stepwell import values
from stepwell.auth import CannotOpen, Markers, SecretBox, mask, mask_text
from stepwell.clock import Clock
from stepwell.core.plans import Plans
from stepwell.core.secrets import Secrets
from stepwell.definitions import Plan
from stepwell.errors import StepError
from stepwell.events import Events
from stepwell.states import WorkflowStatus
from stepwell.steps import Script
from stepwell.steps.ports import Code, Host
from stepwell.store import Store
from stepwell.values import InvalidJson, Json

TIMEOUT_S = 30
AT_ONCE = 64  # calls of one function
KEPT_LINES = 500
KEPT_FUNCTIONS = 1000
LONG_BYTES = 256 * 1024

_PROGRAM = """return (async () => {
try { return {done: await (async (input) => {
%s
})(input) ?? null}; }
catch (error) { return {error: String(error?.message || error?.name || error).slice(0, 12000)}; }
})();"""


class FunctionBusy(Exception):
    """So many calls of the function are under way that no more are taken."""


class FunctionStats(msgspec.Struct):
    """Calls of a function since the server started. `total_ms` is how long all of them took."""

    calls: int = 0
    errors: int = 0
    total_ms: float = 0.0
    slowest_ms: float = 0.0


class FunctionLine(msgspec.Struct, frozen=True):
    """A line of a function's log. `at` is in epoch ms."""

    at: int
    request: str
    text: str


@dataclass(frozen=True, slots=True)
class FunctionAnswer:
    """What a call is answered with."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Watched:
    """What is known of a function while the process lives."""

    stats: FunctionStats = field(default_factory=FunctionStats)
    lines: deque[FunctionLine] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    busy: int = 0


class Functions:
    """What can be asked of functions."""

    def __init__(
        self,
        store: Store,
        plans: Plans,
        secrets: Secrets,
        markers: Markers,
        code: Code,
        clock: Clock,
        events: Events,
    ) -> None:
        self._store = store
        self._plans = plans
        self._secrets = secrets
        self._markers = markers
        self._code = code
        self._clock = clock
        self._events = events
        self._watched: OrderedDict[tuple[str, str], _Watched] = OrderedDict()
        self._under_way = 0
        self._quiet = asyncio.Event()  # set whenever no call is under way any more
        self.host_of: Callable[[str, str, str, str | None], Host] | None = None  # by workspace, function, request, key

    async def call(
        self,
        workspace: str,
        workflow: str,
        plan: Plan,
        event: Json,
        *,
        request: Json = None,
        request_id: str = "",
        key: str | None = None,
    ) -> FunctionAnswer:
        """Call a function with an event. Whatever its code does is an answer. `key` is the id of the caller's key.

        Raises:
            FunctionBusy.
        """
        watched = self._of(workspace, workflow)
        if watched.busy >= AT_ONCE:
            raise FunctionBusy
        watched.busy += 1
        self._under_way += 1
        began = self._clock.monotonic()
        answer = _failed("Internal server error")
        try:
            answer = await self._run(workspace, workflow, plan, {"event": event, "request": request}, request_id, key)
        except StepError as error:
            answer = _failed(error.message)
        except asyncio.CancelledError:
            answer = _GIVEN_UP
            raise
        finally:
            watched.busy -= 1
            self._under_way -= 1
            if not self._under_way:
                self._quiet.set()
            self._count(workspace, workflow, request_id, answer.status, (self._clock.monotonic() - began) * 1000)
        return answer

    async def drain(self, grace_s: float) -> None:
        """Wait for the calls under way, at most `grace_s` seconds; none may be let in any more."""
        self._quiet.clear()
        if self._under_way:
            await self._clock.wait(self._quiet, grace_s)

    async def value(self, workspace: str, reference: str, payload: Json, request: str) -> Json:
        """See steps.ports.Functions."""
        workflow = await self._store.workflows.get(workspace, reference.removeprefix("wf_"))
        if workflow is None or workflow.status is not WorkflowStatus.ACTIVE:
            raise StepError(f"Function not found: {reference[:100]}", kind="code")
        plan = await self._plans.get(workspace, workflow.id, workflow.version)
        if plan.inline is None:
            raise StepError(f"Not a function: {reference[:100]}", kind="code")
        try:
            answer = await self.call(workspace, workflow.id, plan, {"payload": payload}, request_id=request)
        except FunctionBusy:
            raise StepError("Function is busy", kind="code", retryable=True) from None
        told = _read(answer.body)
        if answer.status >= 400:
            message = told.get("message") if isinstance(told, dict) else None
            raise StepError(str(message or f"The function answered {answer.status}")[:1900], kind="code")
        return told

    def stats(self, workspace: str, workflow: str) -> FunctionStats:
        """The counters of a function."""
        found = self._watched.get((workspace, workflow))
        return FunctionStats() if found is None else msgspec.structs.replace(found.stats)

    def logs(self, workspace: str, workflow: str, limit: int = KEPT_LINES) -> list[FunctionLine]:
        """The last lines that a function's calls printed, the newest first."""
        found = self._watched.get((workspace, workflow))
        return [] if found is None else list(reversed(found.lines))[:limit]

    async def _run(
        self, workspace: str, workflow: str, plan: Plan, given: dict[str, Json], request_id: str, key: str | None
    ) -> FunctionAnswer:
        secrets = await self._open(workspace, workflow, (plan.inline or {}).get("secrets", []))
        box = self._markers.box(workspace, workflow, secrets)
        (step,) = plan.steps.values()
        lines = self._of(workspace, workflow).lines
        script = Script(
            language="javascript",
            code=_PROGRAM % step.program.code,
            input={**given, "env": {**plan.variables, **secrets}, "now": self._clock.now_ms()},
            timeout_ms=(TIMEOUT_S + 1) * 1000,
            kept=True,
        )

        printed = self._markers.box(workspace, workflow, {**secrets, **_by_line(secrets)})

        def log(line: str) -> None:
            lines.append(FunctionLine(self._clock.now_ms(), request_id, mask_text(printed.hide(line))))

        host = None if self.host_of is None else self.host_of(workspace, workflow, request_id, key)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                told = await self._code.run(workspace, script, log, host)
        except StepError as error:
            told = {"error": error.message}
        except TimeoutError:
            told = {"error": f"Function timed out after {TIMEOUT_S} seconds"}
        told = await _shown(told, box) if isinstance(told, dict) else {}
        if "done" not in told:
            message = str(told.get("error", "The function's result is not JSON"))[:1900]
            log(f"Error: {message}")
            return _failed(message)
        done = told["done"]
        return _answered(done) if (plan.inline or {}).get("triggerCode") else FunctionAnswer(200, values.encode(done))

    async def _open(self, workspace: str, workflow: str, names: list[str]) -> dict[str, str]:
        if not names:
            return {}
        try:
            return await self._secrets.open(workspace, workflow, names)
        except CannotOpen:
            raise StepError("A secret cannot be read; enter it again", code="SECRET_MISSING") from None

    def _of(self, workspace: str, workflow: str) -> _Watched:
        found = self._watched.setdefault((workspace, workflow), _Watched())
        self._watched.move_to_end((workspace, workflow))
        idle = next((place for place, each in self._watched.items() if not each.busy and each is not found), None)
        if len(self._watched) > KEPT_FUNCTIONS and idle is not None:
            del self._watched[idle]
        return found

    def _count(self, workspace: str, workflow: str, request_id: str, status: int, took_ms: float) -> None:
        stats = self._of(workspace, workflow).stats
        stats.calls += 1
        stats.errors += status == 500
        stats.total_ms += took_ms
        stats.slowest_ms = max(stats.slowest_ms, took_ms)
        self._events.emit(
            "function.called",
            workspace=workspace,
            workflow=workflow,
            request=request_id,
            status=status,
            duration_ms=took_ms,
        )


def _read(body: bytes) -> Json:
    try:
        return values.decode(body) if body else None
    except InvalidJson:
        return body.decode(errors="replace")


async def _shown(told: Json, box: SecretBox) -> Json:
    """What a script told, its secrets masked. A long one is gone through in a thread: the loop has others to serve."""
    if len(values.encode(told)) > LONG_BYTES:
        return await asyncio.to_thread(lambda: mask(box.hide(told)))
    return mask(box.hide(told))


def _by_line(secrets: dict[str, str]) -> dict[str, str]:
    """The lines of those of several lines: what is printed comes line by line."""
    each = {name: value.splitlines() for name, value in secrets.items()}
    return {f"{name}-{at}": line for name, lines in each.items() if len(lines) > 1 for at, line in enumerate(lines)}


def _failed(message: str) -> FunctionAnswer:
    return FunctionAnswer(500, values.encode({"message": message}))


_GIVEN_UP = FunctionAnswer(499)  # whoever called it waits no more: no error of the function
_WITHOUT_BODY = (204, 205, 304)


def _answered(done: Json) -> FunctionAnswer:
    """What code that answers requests itself returned: `{status, headers, body}`."""
    wrong = _failed("The function must return {status, headers, body}")
    if not isinstance(done, dict) or not done.keys() <= {"status", "headers", "body"}:
        return wrong
    status, headers, body = done.get("status", 200), done.get("headers", {}), done.get("body")
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        return wrong
    if not isinstance(headers, dict) or not all(map(_is_header, headers.items())):
        return wrong
    if status in _WITHOUT_BODY:
        body = None
    content = b"" if body is None else body.encode() if isinstance(body, str) else values.encode(body)
    return FunctionAnswer(status, content, {name.lower(): value for name, value in headers.items()})


def _is_header(pair: tuple[str, Json]) -> bool:
    name, value = pair
    plain = isinstance(value, str) and value.isascii() and value.isprintable()
    return plain and name.isascii() and name.replace("-", "").isalnum() and name.lower() not in _OWN


_OWN = frozenset({"content-length", "transfer-encoding", "connection", "date", "x-request-id"})
