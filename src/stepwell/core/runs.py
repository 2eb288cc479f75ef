"""Use cases on runs: start, watch, cancel, retry, restart, delete."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Literal

import msgspec

from stepwell import values
from stepwell.clock import Clock
from stepwell.core.budgets import Budgets
from stepwell.core.plans import Plans
from stepwell.core.previews import Preview, preview
from stepwell.core.starting import StartedRun, StartRequest, digest_of, new_run
from stepwell.core.views import RunView, StepView, run_view, step_started_view, step_view
from stepwell.definitions import Plan
from stepwell.engine import Engine, carried, restart
from stepwell.engine.ports import ChildEnd
from stepwell.errors import (
    Fault,
    FunctionHasNoRuns,
    IdempotencyConflict,
    InvalidState,
    InvalidStatus,
    InvalidStep,
    NotFound,
    PayloadTooLarge,
    StepwellError,
    ValidationFailed,
)
from stepwell.ids import Ids, created_ms
from stepwell.states import RecordStatus, RunState, WorkflowStatus
from stepwell.store import Loaded, NewRun, Run, RunFilter, Started, Store, Workflow
from stepwell.values import Json

Version = int | Literal["latest"] | None

# Codes of runs that no step need have stopped.
_ENDED_BETWEEN_STEPS = ("TIMEOUT", "SECRET_MISSING", "INTERRUPTED", "BUDGET_EXCEEDED")


class Restarted(msgspec.Struct, frozen=True):
    """A new run that goes on from another. `created_at` is in epoch ms."""

    original: str
    new: str
    workflow: str
    from_step: str | None
    created_at: int


class StreamEvent(msgspec.Struct, frozen=True):
    """Something that happened in a run; ids grow within the run."""

    id: int
    kind: Literal["run.status", "step.started", "step.completed"]
    data: Run | StepView


class Runs:
    """What can be asked of runs. Every method takes the caller's workspace first."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        plans: Plans,
        ids: Ids,
        clock: Clock,
        input_bytes: int,
        budgets: Budgets | None = None,
    ) -> None:
        """`input_bytes` bounds the input of a run, as JSON text."""
        self._store = store
        self._engine = engine
        self._plans = plans
        self._ids = ids
        self._clock = clock
        self._input_bytes = input_bytes
        self._budgets = budgets
        self.takes_runs: Callable[[str], Awaitable[None]] | None = None  # raises if a workspace starts none

    async def start(self, workspace: str, request: StartRequest) -> StartedRun:
        """Start a run; it is on disk when this returns.

        Raises:
            NotFound, InvalidStatus, ValidationFailed, PayloadTooLarge, IdempotencyConflict, BudgetExceeded, Overloaded.
        """
        workflow = await self._workflow(workspace, request.workflow)
        if request.idempotency_key is not None:
            known = await self._store.runs.find_started(
                workspace, workflow.id, request.idempotency_key, digest_of(request), self._clock.now_ms()
            )
            if known is not None:
                return await self._replay(workspace, workflow, known)
        if workflow.status is not WorkflowStatus.ACTIVE and not (
            request.paused_too and workflow.status is WorkflowStatus.PAUSED
        ):
            raise InvalidStatus(f"Workflow must be active to run. Current status: {workflow.status}")
        self._engine.admit()
        if self.takes_runs is not None and request.parent is None:
            await self.takes_runs(workspace)
        if self._budgets is not None:
            await self._budgets.check_start(workspace, request.key)
        plan = await self._plans.get(workspace, workflow.id, workflow.version)
        if plan.inline is not None:
            raise FunctionHasNoRuns
        connection = None
        if request.connection is not None:
            connection = await self._connection(workspace, request.connection)
        if (plan.secrets or plan.trigger_secrets) and request.trigger in ("api", "manual"):
            await self._check_secrets(workspace, workflow.id, plan)
        started = await self._engine.start(
            new_run(workflow, request, plan, self._ids, self._input(plan, request.input), connection), plan
        )
        if started.replayed and request.firing is not None:
            return StartedRun(started.run, workflow.id, workflow.version, RunState.PENDING, replayed=True)
        if started.replayed:
            return await self._replay(workspace, workflow, started)
        return StartedRun(started.run, workflow.id, workflow.version, RunState.PENDING)

    async def start_many(self, workspace: str, requests: list[StartRequest]) -> list[StartedRun | StepwellError]:
        """Start runs, each judged alone; all accepted ones are on disk when this returns."""
        answers = await asyncio.gather(*(self.start(workspace, each) for each in requests), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, StepwellError):
                raise answer
        return [answer for answer in answers if isinstance(answer, StartedRun | StepwellError)]

    async def finished(self, workspace: str, run: str, timeout_s: float) -> RunView | None:
        """The run once it is final; None if it is not within the time, or waits for somebody."""
        deadline = self._clock.monotonic() + timeout_s
        with self._engine.watchers.watch(run) as changed:
            while True:
                changed.clear()
                state = await self._store.runs.state(workspace, run)
                if state is None:
                    raise NotFound("Run not found")
                if state[0].final:
                    return await self.get(workspace, run)
                left = deadline - self._clock.monotonic()
                if left <= 0 or state[0] in (RunState.SUSPENDED, RunState.PAUSED):
                    return None
                await self._clock.wait(changed, left)

    async def get(self, workspace: str, run: str) -> RunView:
        """Everything about a run. Raises NotFound."""
        return run_view(await self._load(workspace, run))

    async def end_of(self, workspace: str, run: str) -> ChildEnd | None:
        """How a run has ended; None if it has not. One that is not there any more counts as cancelled."""
        found = await self._store.runs.get(workspace, run)
        if found is None:
            return ChildEnd(RunState.CANCELLED, None, None, 0)
        if not found.state.final:
            return None
        duration = (found.ended_at or 0) - (found.started_at or found.ended_at or 0)
        return ChildEnd(found.state, found.output, found.error, duration)

    async def page(self, wanted: RunFilter) -> list[Run]:
        """A page of runs, newest first, without their values."""
        return await self._store.runs.page(wanted)

    async def cancel(self, workspace: str, run: str) -> None:
        """End an open run. Raises NotFound, InvalidState."""
        if await self._engine.cancel(workspace, run):
            return
        if await self._store.runs.state(workspace, run) is None:
            raise NotFound("Run not found")
        raise InvalidState("Can only cancel running or pending runs")

    async def delete(self, workspace: str, run: str) -> None:
        """Remove a final run with its journal. Raises NotFound, InvalidState."""
        if await self._store.runs.delete(workspace, run):
            return
        if await self._store.runs.state(workspace, run) is None:
            raise NotFound("Run not found")
        raise InvalidState("Can only delete finished runs")

    async def retry(self, workspace: str, run: str, version: Version = None) -> Restarted:
        """A new run that goes on from the step that stopped this one, with the same input.

        Raises:
            NotFound, InvalidState, InvalidStatus, InvalidStep, ValidationFailed, Overloaded.
        """
        loaded, number, plan, start, error = await self._retry(workspace, run, version)
        restarted = await self._go_on(loaded, number, plan, start, loaded.run.input, same_operations=True)
        if start is None and error["code"] in _ENDED_BETWEEN_STEPS:
            passed = carried.decode(loaded.run.carried).passed
            return msgspec.structs.replace(restarted, from_step=restart.next_step(plan, loaded.records, passed))
        return restarted

    async def restart(
        self, workspace: str, run: str, from_step: str, override: dict[str, Json] | None = None, version: Version = None
    ) -> Restarted:
        """A new run from a step on, named by id or path, with the results before it kept and `override` merged over the
        input.

        Raises:
            NotFound, InvalidState, InvalidStatus, InvalidStep, ValidationFailed, PayloadTooLarge, Overloaded.
        """
        loaded, number, plan, start, given = await self._restart(workspace, run, from_step, override, version)
        return await self._go_on(loaded, number, plan, start, given, same_operations=False)

    async def preview_restart(
        self, workspace: str, run: str, from_step: str, override: dict[str, Json] | None = None, version: Version = None
    ) -> Preview:
        """What such a restart would keep and run; nothing is changed. Raises as `restart` does."""
        loaded, number, plan, start, _ = await self._restart(workspace, run, from_step, override, version)
        return preview(plan, number, loaded, start, same_operations=False)

    async def preview_retry(self, workspace: str, run: str, version: Version = None) -> Preview:
        """What a retry would keep and run; nothing is changed. Raises as `retry` does."""
        loaded, number, plan, start, _ = await self._retry(workspace, run, version)
        return preview(plan, number, loaded, start, same_operations=True)

    async def _retry(
        self, workspace: str, run: str, version: Version
    ) -> tuple[Loaded, int, Plan, str | None, dict[str, Json]]:
        loaded = await self._load(workspace, run)
        if loaded.run.state not in (RunState.FAILED, RunState.TIMED_OUT):
            raise InvalidState("Can only retry failed runs")
        number, plan = await self._version(loaded.run, version)
        error: dict[str, Json] = values.decode(loaded.run.error or b"{}")
        start = restart.stopping_step(plan, loaded.records, error)
        if start is not None and restart.resolve(plan, loaded.records, start) is None:
            raise InvalidStep(f"Step not found: {start}")
        return loaded, number, plan, start, error

    async def _restart(
        self, workspace: str, run: str, from_step: str, override: dict[str, Json] | None, version: Version
    ) -> tuple[Loaded, int, Plan, str, bytes]:
        loaded = await self._load(workspace, run)
        if loaded.run.state not in (RunState.COMPLETED, RunState.FAILED, RunState.TIMED_OUT):
            raise InvalidState("Can only restart completed or failed runs")
        number, plan = await self._version(loaded.run, version)
        start = restart.resolve(plan, loaded.records, from_step)
        if start is None:
            raise InvalidStep(f"Step not found: {from_step}")
        given = loaded.run.input
        if override is not None:
            given = self._input(plan, values.decode(given) | override)
        return loaded, number, plan, start, given

    async def stream(self, workspace: str, run: str, after: int = -1) -> AsyncGenerator[StreamEvent, None]:
        """What is stored after a number, then what happens, until the run is final. Only committed things are seen.

        Raises:
            NotFound: before the first event.
        """
        with self._engine.watchers.watch(run) as changed:
            while True:
                changed.clear()
                loaded = await self._store.runs.load(workspace, run)
                if loaded is None:
                    raise NotFound("Run not found")
                for event in _events(loaded, after):
                    after = event.id
                    yield event
                if loaded.run.state.final:
                    return
                await changed.wait()

    async def _workflow(self, workspace: str, reference: str) -> Workflow:
        workflow = await self._store.workflows.get(workspace, reference)
        if workflow is None:
            raise NotFound("Workflow not found")
        return workflow

    async def _load(self, workspace: str, run: str) -> Loaded:
        loaded = await self._store.runs.load(workspace, run)
        if loaded is None:
            raise NotFound("Run not found")
        return loaded

    async def _replay(self, workspace: str, workflow: Workflow, known: Started) -> StartedRun:
        run = await self._store.runs.get(workspace, known.run)
        if run is None:
            raise NotFound("Run not found")
        if known.mismatch:
            plan = await self._plans.get(workspace, workflow.id, workflow.version)
            if plan.settings.reject_idempotency_conflict:
                message = "Idempotency key was already used with a different request"
                raise IdempotencyConflict(message, details=[{"runId": f"run_{known.run}"}])
        return StartedRun(run.id, run.workflow, run.version, run.state, replayed=True, mismatch=known.mismatch)

    async def _connection(self, workspace: str, reference: str) -> str:
        connection = await self._store.connections.get(workspace, reference)
        if connection is None or connection.status != "active":
            why = "Connection not found" if connection is None else f"Connection is {connection.status}"
            raise ValidationFailed("Invalid request", [Fault(("connectionId",), why)])
        return connection.id

    def _input(self, plan: Plan, given: Json) -> bytes:
        """The input with its defaults, as it is stored."""
        if not isinstance(given, dict):
            raise ValidationFailed("Invalid request", [Fault(("input",), "Expected object")])
        encoded = values.encode(plan.input_schema.apply(given) if plan.input_schema is not None else given)
        if len(encoded) > self._input_bytes:
            raise PayloadTooLarge(self._input_bytes, "Run input")
        return encoded

    async def _check_secrets(self, workspace: str, workflow: str, plan: Plan) -> None:
        known = {secret.name for secret in await self._store.workflows.secrets(workspace, workflow)}
        if missing := sorted((plan.secrets | plan.trigger_secrets) - known):
            faults = [Fault(("secrets", name), f"Secret {name} does not exist") for name in missing]
            raise ValidationFailed("Invalid request", faults)

    async def _version(self, run: Run, version: Version) -> tuple[int, Plan]:
        workflow = await self._workflow(run.workspace, run.workflow)
        if workflow.status not in (WorkflowStatus.ACTIVE, WorkflowStatus.PAUSED):
            raise InvalidStatus(f"Workflow must be active to run. Current status: {workflow.status}")
        number = run.version if version is None else workflow.version if version == "latest" else version
        try:
            return number, await self._plans.get(run.workspace, run.workflow, number)
        except NotFound:
            raise ValidationFailed("Invalid request", [Fault(("version",), f"Version {number} not found")]) from None

    async def _go_on(
        self, loaded: Loaded, version: int, plan: Plan, start: str | None, given: bytes, *, same_operations: bool
    ) -> Restarted:
        run = loaded.run
        if self.takes_runs is not None:
            await self.takes_runs(run.workspace)
        if self._budgets is not None:
            await self._budgets.check_start(run.workspace, run.key)
        earlier = carried.decode(run.carried)
        kept = restart.keep(plan, loaded.records, start, earlier, same_operations=same_operations)
        new = NewRun(
            workspace=run.workspace,
            id=self._ids.new(),
            workflow=run.workflow,
            version=version,
            trigger=run.trigger,
            input=given,
            owner=None,
            trigger_data=run.trigger_data,
            connection=run.connection,
            attempt=run.attempt + 1,
            restarted_from=run.id,
            parent=run.parent,
            depth=run.depth,
            end_user=run.end_user,
            chain=run.chain or run.id,
            mock=run.mock,
            budget=plan.settings.budget,
            over_budget=plan.settings.over_budget,
            key=run.key,
            max_concurrent=plan.settings.max_concurrent_runs,
            records=kept.records,
            carried=carried.encode(kept.carried),
            seq=kept.seq,
        )
        await self._engine.start(new, plan)
        return Restarted(run.id, new.id, run.workflow, start, created_ms(new.id))


def _events(loaded: Loaded, after: int) -> list[StreamEvent]:
    events = []
    if loaded.run.state_seq > after:
        events.append(StreamEvent(loaded.run.state_seq, "run.status", loaded.run))
    for record in loaded.records:
        if record.started_seq > after and record.status is not RecordStatus.SKIPPED:
            events.append(StreamEvent(record.started_seq, "step.started", step_started_view(record)))
        if record.ended_seq is not None and record.ended_seq > after:
            events.append(StreamEvent(record.ended_seq, "step.completed", step_view(record)))
    return sorted(events, key=lambda event: event.id)
