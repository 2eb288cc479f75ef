"""The stage: one case played on the real engine over a real store. Time passes only when nothing else does."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stepwell import values
from stepwell.auth import Vault
from stepwell.cli.testing.cases import Case
from stepwell.cli.testing.mocks import Naps, Notes, StagePorts
from stepwell.cli.testing.outside import Outside
from stepwell.cli.testing.surroundings import Surroundings
from stepwell.clock import FakeClock
from stepwell.core import ApprovalLinks, Approvals, Signals
from stepwell.core.views import Failure, StepView, run_view
from stepwell.engine import Engine
from stepwell.errors import StepError, ValidationFailed
from stepwell.events import Events
from stepwell.http.dialects.loopfour.names import STATUS
from stepwell.ids import TimeOrderedIds
from stepwell.states import RecordStatus
from stepwell.steps import Call, HttpRequest, HttpResponse
from stepwell.steps.ports import Code, Host, Script
from stepwell.store import Loaded, NewRun
from stepwell.store.sqlite import FILE_NAME, SqliteStore
from stepwell.values import Json

LONGEST_S = 60.0  # of real time
QUIET_TURNS = 50  # of the event loop, after which a walk in which nothing happens waits for time to pass
PAUSE_S = 0.001

_FAULTS = ("step.fault", "run.crashed", "store.unavailable")


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a case: the run as `expect` may describe it, faults of the case itself, and the time that passed on
    its clock."""

    actual: dict[str, Json]
    problems: list[str]
    notes: list[str] = field(default_factory=list)  # worth telling if the case failed
    passed_ms: int = 0


class Scripts:
    """The port `steps.Code`: scripts really run. It counts those that do, for while one runs no time passes."""

    def __init__(self, code: Code) -> None:
        self._code = code
        self.running = 0

    async def run(self, workspace: str, script: Script, log: Callable[[str], None], host: Host | None = None) -> Json:
        """See steps.Code."""
        self.running += 1
        try:
            return await self._code.run(workspace, script, log, host)
        finally:
            self.running -= 1


async def play(case: Case, scripts: Scripts) -> Played:
    """Play a case to the end of its run, or until nothing more can happen."""
    try:
        given = case.input if case.plan.input_schema is None else case.plan.input_schema.apply(case.input)
    except ValidationFailed as error:
        return Played({"status": "refused", "error": _refusal(error)}, [])
    with TemporaryDirectory(prefix="stepwell-test-") as folder:
        stage = Stage(Path(folder) / FILE_NAME, case, scripts)
        try:
            async with asyncio.timeout(LONGEST_S):
                return await stage.play(given)
        except TimeoutError:
            return Played({"status": "running"}, [f"The case took longer than {LONGEST_S:g} s of real time"])
        finally:
            await stage.close()


class Stage:
    """One store, one engine, one run and those below it."""

    def __init__(self, file: Path, case: Case, scripts: Scripts) -> None:
        self._case = case
        self._clock = FakeClock(case.clock_ms)
        self._ids = TimeOrderedIds(self._clock)
        self._notes = Notes(Naps(self._clock))
        self._happened = 0
        self._scripts = scripts
        self._store = SqliteStore(file, inline=True)
        self._workspace, self._run = self._ids.new(), self._ids.new()
        links = ApprovalLinks(Vault(b"\0" * 32), "http://127.0.0.1")
        self._around = Surroundings(case, self._store, self._clock, self._ids, links, self._notes)
        outside = _Unreachable()
        self._engine = Engine(
            self._store.runs,
            self._around,
            StagePorts(outside, outside, _Dropped(), scripts, mocks=self._around.mocks),
            self._clock,
            self._ids,
            Events((self._note,)),
        )
        self._around.engine = self._engine
        signals = Signals(self._store, self._engine, self._ids, self._clock)
        approvals = Approvals(self._store, self._engine, links, self._clock)
        self._outside = Outside(case, signals, approvals, self._clock)

    async def play(self, given: dict[str, Json]) -> Played:
        """Start the run and let time pass, moment by moment, until it is final or nothing is left to wait for."""
        await self._engine.recover()
        await self._start(given)
        while True:
            await self._settle()
            loaded = await self._loaded()
            if loaded.run.state.final:
                break
            if await self._outside.act(loaded):
                continue
            moment = await self._next_moment()
            if moment is not None:
                self._clock.advance(max(0, moment - self._clock.now_ms()) / 1000)
            elif self._engine.active_runs:
                await asyncio.sleep(PAUSE_S)
            else:
                break
        actual = _actual(loaded) | {"notified": self._around.notified}
        problems = [*self._notes.problems, *self._outside.problems]
        return Played(actual, problems, self._outside.left, self._clock.now_ms() - self._case.clock_ms)

    async def close(self) -> None:
        """End what still walks and let the store go."""
        await self._engine.drain(0)
        await self._store.close()

    async def _start(self, given: dict[str, Json]) -> None:
        trigger = self._case.trigger
        kind = trigger.get("type", self._case.plan.document["trigger"]["type"])
        data = {name: trigger[name] for name in ("headers", "query", "body") if name in trigger}
        new = NewRun(
            workspace=self._workspace,
            id=self._run,
            workflow=self._around.workflow,
            version=1,
            trigger=kind if kind in ("api", "manual", "webhook", "schedule") else "api",
            input=values.encode(given),
            owner=None,
            trigger_data=values.encode(data) if data else None,
        )
        await self._engine.start(new, self._case.plan)

    async def _settle(self) -> None:
        """Let everything happen that can happen without time passing."""
        while True:
            await self._quiet()
            fired = await self._engine.timers.release()
            if not await self._engine.claim() and not fired:
                return

    async def _quiet(self) -> None:
        """Wait until no walk does anything: they have ended, or wait for mocks that take their time."""
        turns = 0
        while self._engine.active_runs and turns < QUIET_TURNS:
            before = self._happened
            await asyncio.sleep(PAUSE_S if self._scripts.running else 0)
            turns = turns + 1 if before == self._happened and not self._scripts.running else 0

    async def _next_moment(self) -> int | None:
        moments = (await self._store.runs.next_timer(), self._notes.naps.next, self._outside.next)
        return min((each for each in moments if each is not None), default=None)

    async def _loaded(self) -> Loaded:
        loaded = await self._store.runs.load(self._workspace, self._run)
        if loaded is None:
            raise LookupError(self._run)
        return loaded

    def _note(self, name: str, fields: Mapping[str, Any]) -> None:
        self._happened += 1
        if name in _FAULTS:
            self._notes.problems.append(f"{name}: {fields.get('error', '')}")


class _Unreachable:
    """The ports to the outside: there is no outside. Mocks are asked before anything could come here."""

    async def send(self, workspace: str, request: HttpRequest) -> HttpResponse:
        """See steps.Http."""
        raise StepError(f"A test case sends no requests: {request.method} {request.url}")

    async def perform(self, action: str, params: Json, call: Call) -> Json:
        """See steps.Actions."""
        raise StepError(f"A test case performs no actions: {action}")


class _Dropped:
    """Actions that the server would run later."""

    async def put(self, action: str, params: Json, call: Call, due_ms: int) -> None:
        """See steps.Outbox."""


def _actual(loaded: Loaded) -> dict[str, Json]:
    """The run as `expect` may describe it."""
    view = run_view(loaded)
    begun = sorted((step for step in view.steps if step.status is not RecordStatus.SKIPPED), key=_started)
    return {
        "status": STATUS[view.run.state],
        "output": values.decode(bytes(view.output)),
        "error": _error(view.error),
        "path": [step.path for step in begun],
        "steps": {step.path: _step(step) for step in view.steps},
    }


def _step(step: StepView) -> dict[str, Json]:
    return {
        "status": str(step.status),
        "input": values.decode(bytes(step.input)),
        "output": values.decode(bytes(step.output)),
        "error": _error(step.error),
        "attempt": step.attempt,
    }


def _started(step: StepView) -> int:
    return step.started_seq


def _error(error: Failure | None) -> Json:
    if error is None:
        return None
    told = {"details": error.details, "stepId": error.step, "path": error.path}
    return {"code": error.code, "message": error.message, **{name: v for name, v in told.items() if v is not None}}


def _refusal(error: ValidationFailed) -> Json:
    """What a client is told of an input that does not fit."""
    fields = {fault.field: fault.message for fault in error.faults}
    return {"code": error.code, "message": error.message, "fields": fields}
