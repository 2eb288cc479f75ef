"""The one read model of a run: what is stored, masked and ready to be shown. Dialects only rename it."""

from collections.abc import Iterable

import msgspec

from stepwell import values
from stepwell.auth import mask_encoded
from stepwell.core.tasks import shown_task
from stepwell.core.waiting import OpenWait, open_waits, waiting_for
from stepwell.engine.newborn import newborn
from stepwell.states import RecordStatus, RunState
from stepwell.store import Loaded, NewRun, Record, Run, Task
from stepwell.values import Json

Raw = msgspec.Raw
NULL = Raw(b"null")


class Failure(msgspec.Struct, frozen=True):
    """Why a run or step failed. `details` is `{kind, httpStatus?, retryable}` of a failed step; `path` of a run's error
    is where the step stands if it stands inside a container."""

    code: str
    message: str
    details: Json = None
    step: str | None = None
    path: str | None = None


class Attempt(msgspec.Struct, frozen=True):
    """One attempt of a step; times in epoch ms."""

    number: int
    started_at: int | None
    ended_at: int | None
    error: Failure | None


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one path. Input and output are JSON text, masked; times are epoch ms.

    `attempts` is empty unless there was more than one; `logs` are the lines that code printed in its last attempt.
    """

    path: str
    step: str
    status: RecordStatus
    attempt: int
    reused: bool
    started_at: int | None
    ended_at: int | None
    input: Raw
    output: Raw
    error: Failure | None
    attempts: tuple[Attempt, ...]
    logs: tuple[str, ...]
    started_seq: int
    ended_seq: int | None
    cost: int = 0  # of all attempts, in millionths of a cent


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """A run with its steps in the order in which they were started or skipped."""

    run: Run
    input: Raw
    output: Raw
    error: Failure | None
    steps: tuple[StepView, ...]
    waiting_for: str | None = None  # why an open run does not go on, in a sentence
    waits: tuple[OpenWait, ...] = ()  # what its steps wait for
    tasks: tuple[Task, ...] = ()  # work that its steps have handed out


def run_view(loaded: Loaded) -> RunView:
    """Everything about a run."""
    run = loaded.run
    return RunView(
        run=run,
        input=shown(run.input),
        output=shown(run.output if run.state is RunState.COMPLETED else None),
        error=failure(run.error),
        steps=tuple(map(step_view, loaded.records)),
        waiting_for=waiting_for(loaded),
        waits=open_waits(loaded),
        tasks=tuple(map(shown_task, loaded.tasks)),
    )


def start_view(new: NewRun) -> RunView:
    """A run as its start stored it, whatever it has come to since."""
    return run_view(newborn(new))


def step_view(record: Record) -> StepView:
    """One step of a run."""
    error = failure(record.error) if record.status is RecordStatus.ERROR else None
    return StepView(
        path=record.path,
        step=record.step,
        status=record.status,
        attempt=record.attempt,
        reused=record.reused,
        started_at=record.started_at,
        ended_at=record.ended_at,
        input=shown(record.input),
        output=shown(record.output),
        error=error,
        attempts=_attempts(record, error),
        logs=_logs(record),
        started_seq=record.started_seq,
        ended_seq=record.ended_seq,
        cost=record.cost,
    )


def step_started_view(record: Record) -> StepView:
    """One step of a run as it was when it started."""
    started = msgspec.structs.replace(
        record, status=RecordStatus.RUNNING, attempt=1, ended_at=None, ended_seq=None, output=None, attempts=None
    )
    return step_view(started)


def failure(raw: bytes | None) -> Failure | None:
    """The error of a run or step, masked."""
    if raw is None:
        return None
    return _failure(values.decode(mask_encoded(raw)))


def shown(raw: bytes | None) -> Raw:
    """A recorded value as it may be shown."""
    return NULL if raw is None else Raw(mask_encoded(raw))


def _failure(error: dict[str, Json]) -> Failure:
    return Failure(error["code"], error["message"], error.get("details"), error.get("stepId"), error.get("path"))


def _attempts(record: Record, error: Failure | None) -> tuple[Attempt, ...]:
    if record.attempts is None:
        return ()
    failed: Iterable[dict[str, Json]] = values.decode(mask_encoded(record.attempts))
    attempts = [Attempt(a["attempt"], a["startedAt"], a["completedAt"], _failure(a["error"])) for a in failed]
    if attempts[-1].number < record.attempt:
        began = values.decode(record.data)["began"] if record.data else record.started_at
        attempts.append(Attempt(record.attempt, began, record.ended_at, error))
    return tuple(attempts)


def _logs(record: Record) -> tuple[str, ...]:
    if record.data is None or b'"logs"' not in record.data:
        return ()
    data = values.decode(mask_encoded(record.data))
    return tuple(data.get("logs", ())) if isinstance(data, dict) else ()
