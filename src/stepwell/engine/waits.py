"""Steps that wait: for a time, an event, a decision, or the end of another run."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias, TypeVar, cast

from stepwell import values
from stepwell.definitions import Kind, Step
from stepwell.engine.encoding import encode_config, encode_output
from stepwell.engine.gear import Gear
from stepwell.engine.journal import Journal
from stepwell.engine.outcomes import Recorder
from stepwell.errors import StepError
from stepwell.states import RecordStatus, RunState, TaskStatus, WaitsOn
from stepwell.steps import (
    ApprovalProgram,
    ApprovalStep,
    SubworkflowStep,
    TaskStep,
    TaskWish,
    WaitForEventStep,
    WaitType,
)
from stepwell.store import Approval, Record, RunEvent, Task
from stepwell.values import Json

Scope: TypeAlias = dict[str, Any]
T = TypeVar("T")

RECHECK_MS = 1000  # how often the end of a run that another run started is looked for
ROOM_MS = 30_000  # how often a step that waits for room among the workspace's tasks looks again


class Waits:
    """The waiting steps of one walk. Each verb gives the final record, or None if the step still waits."""

    def __init__(self, journal: Journal, gear: Gear, recorder: Recorder) -> None:
        self._journal = journal
        self._gear = gear
        self._recorder = recorder
        self._kinds: dict[Kind, Callable[[Step, str, Record | None, Scope, int], Awaitable[Record | None]]] = {
            Kind.WAIT: self._time,
            Kind.EVENT: self._event,
            Kind.APPROVAL: self._approval,
            Kind.CHILD: self._child,
            Kind.TASK: self._task,
        }

    async def advance(self, step: Step, path: str, record: Record | None, scope: Scope, now: int) -> Record | None:
        """Begin to wait, or see whether the wait is over.

        Raises:
            Refused, StoreUnavailable.
        """
        try:
            ended = await self._kinds[step.type.kind](step, path, record, scope, now)
            if ended is None and step.timeout_ms is not None:
                self._within_time(path, step.timeout_ms, begun=record is not None, now=now)
            return ended
        except StepError as error:
            return self._recorder.fail(step, path, self._gear.clock.now_ms(), error.as_json())

    def _within_time(self, path: str, timeout_ms: int, *, begun: bool, now: int) -> None:
        """Hold a step that still waits to the limit that it sets itself. Raises StepError when that is over."""
        if not begun:
            self._journal.set_timer(path, "deadline", now + timeout_ms)
        elif not self._journal.waits(path, "deadline"):
            self._cancel_awaited(path)
            raise StepError(f"The step took longer than {timeout_ms} ms", kind="timeout")

    def _cancel_awaited(self, path: str) -> None:
        record = self._journal.get(path)
        data = (self._journal.value(record.data) if record else None) or {}
        if "child" in data and data.get("awaited") and not data.get("reused"):
            self._journal.cancel_child(data["child"])

    def _begin(self, step: Step, path: str, now: int, config: Json, data: dict[str, Json]) -> Record:
        raw = encode_config(config)
        more = {"input": raw, "data": values.encode(data)}
        return self._journal.write(path, step.id, RecordStatus.WAITING, now, **more)

    def _update(self, record: Record, now: int, **data: Json) -> Record:
        changed = values.encode({**(self._journal.value(record.data) or {}), **data})
        return self._journal.write(record.path, record.step, RecordStatus.WAITING, now, data=changed)

    def _done(self, step: Step, path: str, now: int, output: Json) -> Record:
        raw = encode_output(output, self._gear.limits.step_output_bytes)
        return self._recorder.succeed(step, path, now, raw)

    async def _time(self, step: Step, path: str, record: Record | None, scope: Scope, now: int) -> Record | None:
        waiting = cast(WaitType, step.type)
        if record is None:
            config, due = waiting.begin(step.program, scope, now)
            record = self._begin(step, path, now, config, {"due": due})
            if due > now:
                self._journal.set_timer(path, "wait", due)
        if self._journal.waits(path, "wait"):
            self._journal.wait(path, WaitsOn.TIMER)
            return None
        config = self._journal.value(record.input)
        return self._done(step, path, now, waiting.finish(config, record.started_at or now, now))

    async def _event(self, step: Step, path: str, record: Record | None, scope: Scope, now: int) -> Record | None:
        waiting = cast(WaitForEventStep, step.type)
        if record is None:
            config, type, timeout_ms = waiting.begin(step.program, scope)
            due = None if timeout_ms is None else now + timeout_ms
            record = self._begin(step, path, now, config, {"event": type, "due": due})
            self._journal.expect(path, type)
            if due is not None:
                self._journal.set_timer(path, "event", due)
        config, data = self._journal.value(record.input), self._journal.value(record.data)
        wanted = waiting.filter(config)

        def fits(event: RunEvent) -> bool:
            return wanted is None or wanted.matches(values.decode(event.payload))

        event = self._journal.take(data["event"], fits)
        if event is not None:
            payload = values.decode(event.payload)
            return self._done(step, path, now, waiting.received(event.type, payload, event.id, event.received_at))
        if data["due"] is not None and not self._journal.waits(path, "event"):
            return self._done(step, path, now, waiting.timed_out(step.program, data["event"]))
        self._journal.wait(path, WaitsOn.EVENT)
        return None

    async def _approval(self, step: Step, path: str, record: Record | None, scope: Scope, now: int) -> Record | None:
        asking = cast(ApprovalStep, step.type)
        program: ApprovalProgram = step.program
        if record is None:
            record = self._ask(step, path, scope, now)
        config, data = self._journal.value(record.input), self._journal.value(record.data)
        approval = self._journal.approval(path)
        if approval is not None and approval.status != "pending":
            decisions = values.decode(approval.decisions)
            return self._done(step, path, now, asking.decided(program, approval.status, decisions, now))
        wish = asking.wish(config)
        self._journal.wait(path, WaitsOn.APPROVAL)
        if approval is None:
            return None
        if self._journal.run.mock:
            return None  # nobody is told of what is only tried out
        if not data.get("told"):
            await self._journal.flush()
            await self._gear.environment.notify(approval, wish, wish.approvers, escalated=False)
            self._update(record, now, told=True)
        elif wish.escalate_to and not data.get("escalated") and not self._journal.waits(path, "escalate"):
            await self._gear.environment.notify(approval, wish, wish.escalate_to, escalated=True)
            self._update(record, now, escalated=True)
        return None

    def _ask(self, step: Step, path: str, scope: Scope, now: int) -> Record:
        asking = cast(ApprovalStep, step.type)
        config = asking.resolve(step.program, scope)
        wish = asking.wish(config)
        run, id = self._journal.run, self._gear.ids.new()
        link = self._gear.environment.approval_link
        due = now + wish.timeout_ms
        record = self._begin(step, path, now, config, {"approval": id, "due": due})
        self._journal.ask(
            Approval(
                workspace=run.workspace,
                id=id,
                run=run.id,
                workflow=run.workflow,
                path=path,
                step=step.id,
                status="pending",
                reason=wish.reason,
                approvers=wish.approvers,
                require_all=wish.require_all,
                context=None if wish.context is None else values.encode(wish.context),
                tokens=tuple((approver, link(id, approver)[1]) for approver in wish.approvers),
                expires_at=due,
            )
        )
        self._journal.set_timer(path, "approval", due)
        if wish.escalate_to:
            self._journal.set_timer(path, "escalate", now + wish.timeout_ms // 2)
        return record

    async def _task(self, step: Step, path: str, record: Record | None, scope: Scope, now: int) -> Record | None:
        asking = cast(TaskStep, step.type)
        if record is None:
            config = asking.resolve(step.program, scope)
            wish = asking.wish(config)
            record = self._begin(step, path, now, config, {"task": self._gear.ids.new()})
            if self._journal.run.mock:
                return self._done(step, path, now, {"mock": True, "input": config})  # nobody works on what is tried out
            self._hand_out(step, record, wish, now)
        task = self._journal.task(path)
        if task is None and not self._journal.winds_up(path):
            if not self._journal.waits(path, "room"):
                self._hand_out(step, record, asking.wish(self._journal.value(record.input)), now)
            self._journal.wait(path, WaitsOn.TASK)
            return None
        if task is None:
            return self._recorder.skip(step, path, now)
        if task.status is TaskStatus.ACCEPTED:
            output = self._journal.value(task.output)
            self._journal.write(path, step.id, RecordStatus.WAITING, now, attempt=task.attempt)
            return self._done(step, path, now, output)
        if task.status is TaskStatus.FAILED:
            error = self._journal.value(task.error) or {}
            self._journal.write(path, step.id, RecordStatus.WAITING, now, attempt=task.attempt)
            raise StepError(error.get("message", "The task failed"), code="TASK_FAILED")
        if task.status is TaskStatus.OPEN:
            if self._journal.winds_up(path):
                return self._recorder.skip(step, path, now)  # nobody has begun it, and nothing comes of it any more
            self._journal.tell_workers()
        self._journal.wait(path, WaitsOn.TASK)
        return None

    def _hand_out(self, step: Step, record: Record, wish: TaskWish, now: int) -> None:
        run = self._journal.run
        task = Task(
            workspace=run.workspace,
            id=self._journal.value(record.data)["task"],
            run=run.id,
            workflow=run.workflow,
            path=record.path,
            step=step.id,
            status=TaskStatus.OPEN,
            title=wish.title,
            description=wish.description,
            task_type=wish.task_type,
            template=values.encode(wish.template),
            input=values.encode(wish.input),
            declared=step.cost or 0,
            max_attempts=step.retry.max_attempts,
            auto_accept=wish.auto_accept,
            min_score=wish.min_score,
            max_cost=wish.max_cost,
            updated_at=now,
        )
        self._journal.hand_out(task, self._gear.limits.tasks)
        self._journal.set_timer(record.path, "room", now + ROOM_MS)  # it goes with the commit that opens the task

    async def _child(self, step: Step, path: str, record: Record | None, scope: Scope, now: int) -> Record | None:
        starting = cast(SubworkflowStep, step.type)
        if record is None:
            config = starting.resolve(step.program, scope)
            wish = starting.wish(config)
            record = self._begin(step, path, now, config, {"awaited": wish.wait})
            if wish.timeout_ms is not None and wish.wait:
                self._journal.set_timer(path, "child", now + wish.timeout_ms)
        config, data = self._journal.value(record.input), self._journal.value(record.data)
        wish = starting.wish(config)
        if "child" not in data:
            await self._journal.flush()
            child, reused = await _uncut(self._gear.environment.start_child(self._journal.run, path, wish))
            data = {**data, "child": child, "reused": reused}
            record = self._update(record, now, child=child, reused=reused)
        child, reused = data["child"], data["reused"]
        output = {"result": None, "runId": f"run_{child}", "status": "pending", "durationMs": 0}
        output["reusedExistingRun"] = reused
        if not wish.wait:
            return self._done(step, path, now, output)
        end = await self._gear.environment.child_end(self._journal.run.workspace, child)
        now = self._gear.clock.now_ms()
        if end is None:
            self._wait_for_child(path, wish.timeout_ms, child, reused, now)
            return None
        if end.state is not RunState.COMPLETED:
            raise _failed(child, end.state, self._journal.value(end.error))
        output |= {"result": self._journal.value(end.output), "status": "completed", "durationMs": end.duration_ms}
        return self._done(step, path, now, output)

    def _wait_for_child(self, path: str, timeout_ms: int | None, child: str, reused: bool, now: int) -> None:
        if timeout_ms is not None and not self._journal.waits(path, "child"):
            if not reused:
                self._journal.cancel_child(child)
            raise StepError(f"The run run_{child} did not end in time", kind="timeout", outcome_unknown=True)
        if reused and not self._journal.waits(path, "recheck"):
            self._journal.set_timer(path, "recheck", now + RECHECK_MS)  # it tells its own parent, not this run
        self._journal.wait(path, WaitsOn.CHILD)


async def _uncut(start: Coroutine[Any, Any, T]) -> T:
    """A start that goes on though the walk that asked for it is cancelled: the engine counts what is open."""
    task = asyncio.ensure_future(start)
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return await asyncio.shield(task)


def _failed(child: str, state: RunState, error: Json) -> StepError:
    cause = f": {error['message']}" if isinstance(error, dict) else ""
    details: dict[str, Json] = {"runId": f"run_{child}", "status": str(state)}
    if isinstance(error, dict):
        details["error"] = {name: error[name] for name in ("code", "message", "stepId") if name in error}
    return StepError(f"The run run_{child} ended {state}{cause}", code="SUBWORKFLOW_FAILED", details=details)
