"""Mocks: what stands for the world outside in a case, and the step types that ask them instead of it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, cast

from stepwell.clock import FakeClock
from stepwell.definitions import Kind, Source, StepType
from stepwell.errors import StepError
from stepwell.expressions import Scope
from stepwell.steps import STEP_TYPES, Call, ConnectionNeed, EffectType, Ports
from stepwell.steps.api import ApiProgram
from stepwell.values import Json

MOCKED: Final = frozenset({Kind.EFFECT, Kind.CHILD})
"""The kinds of steps that reach outside and therefore need a mock."""

NOT_MOCKED = "NOT_MOCKED"
"""The code of a step that reaches outside and finds no mock."""

STAND_IN = "mocked"
"""The step of a workflow that a mock stands for."""

_YEAR_MS = 365 * 24 * 3600 * 1000
_RETRYABLE = (408, 425, 429)
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as a case gives it; what it leaves out follows from the rest."""

    code: str
    message: str | None
    kind: str | None
    retryable: bool | None
    http_status: int | None
    retry_after_ms: int | None

    def raised(self, *, careful: bool) -> StepError:
        """The error of an attempt. A careful step is one that is not repeated if its request may have arrived."""
        kind = self.kind or ("http" if self.http_status else "provider" if self.code == "STEP_ERROR" else None)
        return StepError(
            self.message or self._told(kind),
            code=self.code,
            kind=kind,
            http_status=self.http_status,
            retryable=self._retried(kind, careful=careful) if self.retryable is None else self.retryable,
            retry_after_ms=self.retry_after_ms,
            outcome_unknown=kind == "timeout",
        )

    def _retried(self, kind: str | None, *, careful: bool) -> bool:
        status = self.http_status
        if status is not None:
            return status == 429 or (not careful and (status in _RETRYABLE or status >= 500))
        return kind == "network" or (kind == "timeout" and not careful)

    def _told(self, kind: str | None) -> str:
        if self.http_status is not None:
            return f"HTTP {self.http_status} {_PHRASES.get(self.http_status, '')}".strip()
        return {"timeout": "Connection timeout", "network": "Connection refused"}.get(kind or "", "The step failed")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one attempt of a step gets, after so long."""

    output: Json
    error: Failure | None
    after_ms: int


@dataclass(frozen=True, slots=True)
class Mock:
    """The answers for a step or a path: one for all its calls, or one for each."""

    answers: tuple[Answer, ...]
    repeats: bool


class Naps:
    """Mocks that take their time: the moments, in epoch ms, at which they answer."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._ends: Counter[int] = Counter()

    @property
    def next(self) -> int | None:
        """When the first of them answers."""
        return min(self._ends.elements(), default=None)

    async def take(self, ms: int) -> None:
        """Let so much time pass on the case's clock."""
        end = self._clock.now_ms() + ms
        self._ends[end] += 1
        try:
            await self._clock.wait(asyncio.Event(), ms / 1000)
        finally:
            self._ends[end] -= 1


@dataclass(frozen=True, slots=True)
class Notes:
    """What the mocks of all runs of a case share: naps, how often each was asked, and what went wrong with them."""

    naps: Naps
    calls: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def problem(self, message: str) -> StepError:
        """Note that the case itself is at fault; the error with which the step ends."""
        if message not in self.problems:
            self.problems.append(message)
        return StepError(message, code=NOT_MOCKED)


class Mocks:
    """The mocks of one run: the case's own, or one that a subworkflow step has started."""

    def __init__(self, by_step: Mapping[str, Mock], notes: Notes, where: str = "") -> None:
        """`where` says which run's they are: the keys that lead to them in the case, such as `subworkflows.billing`."""
        self._by_step = by_step
        self._notes = notes
        self._where = f"{where}." if where else ""

    async def answer(self, step_type: str, call: Call, *, careful: bool) -> Json:
        """The output of an attempt. Raises StepError."""
        mock = self.of(call.path)
        if mock is None:
            hint = f"{self._where}mocks: {{{step_of(call.path)}: {{output: ...}}}}"
            raise self._notes.problem(
                f"{call.path} ({step_type}) reaches outside and has no mock. Add to the case:  {hint}  (or error: ...)"
            )
        key, found = mock
        answer = self._next(key, found, call.path)
        naps = self._notes.naps
        if answer.after_ms > call.timeout_s * 1000:
            await naps.take(round(call.timeout_s * 1000))
            raise Failure("STEP_ERROR", None, "timeout", None, None, None).raised(careful=careful)
        if answer.after_ms:
            await naps.take(answer.after_ms)
        if answer.error is not None:
            raise answer.error.raised(careful=careful)
        return answer.output

    def of(self, path: str) -> tuple[str, Mock] | None:
        """The mock of a path, or of its step, with its key; None if there is none."""
        return next(((key, self._by_step[key]) for key in (path, step_of(path)) if key in self._by_step), None)

    def _next(self, key: str, mock: Mock, path: str) -> Answer:
        if mock.repeats:
            return mock.answers[0]
        place = f"{self._where}mocks.{key}"
        self._notes.calls[place] += 1
        number = self._notes.calls[place]
        if number <= len(mock.answers):
            return mock.answers[number - 1]
        given = f"{len(mock.answers)} answer{'s are' if len(mock.answers) > 1 else ' is'} given"
        raise self._notes.problem(
            f"{path} is call {number} of {place}, for which {given}. Add one, or write one mock without a list, which "
            "answers every call."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePorts(Ports):
    """The ports of a case: nothing outside can be reached through them, but the mocks of a run (by its id) can."""

    mocks: Callable[[str], Mocks]


class MockedEffect:
    """An effect whose attempts ask the case's mocks; all before the attempt is as it really is."""

    kind = Kind.EFFECT

    def __init__(self, real: EffectType, types: Mapping[str, StepType]) -> None:
        self._real = real
        self._types = types
        self.name = real.name
        self.default_timeout_ms = real.default_timeout_ms
        self.config_schema = real.config_schema

    def compile(self, source: Source) -> Any:
        return self._real.compile(cast(Source, _MockedSource(source, self._types)))

    def resolve(self, program: Any, scope: Scope) -> Json:
        return self._real.resolve(program, scope)

    def connection(self, program: Any, config: Json) -> ConnectionNeed | None:
        return self._real.connection(program, config)

    async def perform(self, program: Any, config: Json, call: Call, ports: Ports) -> Json:
        careful = isinstance(program, ApiProgram) and _careful(config)
        return await cast(StagePorts, ports).mocks(call.run_id).answer(self.name, call, careful=careful)


class _MockedSource:
    """A step's source; a step that runs as another type runs as the mocked one."""

    def __init__(self, source: Source, types: Mapping[str, StepType]) -> None:
        self._source = source
        self._types = types

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def runs_as(self, step_type: StepType) -> None:
        self._source.runs_as(self._types.get(step_type.name, step_type))


def mocked_types() -> dict[str, StepType]:
    """All step types, the effects among them with mocks."""
    types: dict[str, StepType] = dict(STEP_TYPES)
    for name, real in STEP_TYPES.items():
        if real.kind is Kind.EFFECT:
            types[name] = MockedEffect(cast(EffectType, real), types)
    return types


def stand_in(workflow: str) -> Json:
    """The definition of a workflow whose runs come to what a mock says: the mock of its only step."""
    step = {"id": STAND_IN, "type": "api", "config": {"url": "http://mocked"}, "timeoutMs": _YEAR_MS}
    return {"name": workflow, "trigger": {"type": "api"}, "steps": [step]}


def step_of(path: str) -> str:
    """The id of the step that a path is an execution of: `charge` of `each-line[1].charge`."""
    return path.rpartition(".")[2]


def _careful(config: Json) -> bool:
    method = str(config.get("method", "GET")).upper()
    return method in ("POST", "PATCH") and config.get("retryNonIdempotent") is not True
