"""How steps and blocks end their turns, and the records that say so."""

from enum import Enum, auto
from typing import TypeAlias

from stepwell import values
from stepwell.definitions import Kind, OnError, Step
from stepwell.engine.gear import Gear
from stepwell.engine.journal import Journal
from stepwell.errors import StepError
from stepwell.states import RecordStatus
from stepwell.store import Record
from stepwell.values import Json

CANCELLED = values.encode(StepError("The step was cancelled", code="CANCELLED").as_json())


class Outcome(Enum):
    """How a block or step ended its turn."""

    DONE = auto()
    WAITING = auto()  # nothing more can happen before a timer or signal
    ENDED = auto()  # an `end` step: the run, or the arm it stands in, is complete
    BROKE = auto()  # a `break` step: the loop it stands in is


_JUMPS = {b'{"jump":"ended"}': Outcome.ENDED, b'{"jump":"broke"}': Outcome.BROKE}
_JUMP_DATA = {outcome: data for data, outcome in _JUMPS.items()}


class RunStopped(Exception):
    """A step's error stops what it stands in. The error is that of the record, with the id and path of the step that
    failed first."""

    def __init__(self, step: Step, record: Record) -> None:
        error: dict[str, Json] = values.decode(record.error or b"{}")
        super().__init__(error.get("message"))
        self.error = {
            "code": error["code"],
            "message": error["message"],
            "stepId": error.get("stepId", step.id),
            "path": error.get("path", record.path),
        }
        self.started_seq = record.started_seq


class Halted(Exception):
    """This walk ends before its next step: the run is paused, or the process stops."""


Landing: TypeAlias = Outcome | RunStopped | Halted
"""How a step that ran beside others ended its turn."""


def goes_on_after_error(step: Step) -> bool:
    """Whether the run continues when this step ends in an error. Source: LoopFour contract 8.3."""
    return step.on_error is OnError.CONTINUE or (step.on_error is OnError.RETRY and step.fallback is not None)


def jump(step: Step, record: Record) -> Outcome:
    """What a step that succeeded does to what it stands in."""
    if record.status is not RecordStatus.SUCCESS:
        return Outcome.DONE
    match step.type.kind:
        case Kind.END:
            return Outcome.ENDED
        case Kind.BREAK:
            return Outcome.BROKE
        case Kind.CONTAINER if record.data is not None:
            return _JUMPS.get(record.data, Outcome.DONE)
    return Outcome.DONE


class Recorder:
    """Writes the ends of steps of one walk."""

    def __init__(self, journal: Journal, gear: Gear) -> None:
        self._journal = journal
        self._gear = gear

    def succeed(self, step: Step, path: str, now: int, output: bytes | None, jump: Outcome = Outcome.DONE) -> Record:
        """The step succeeded; `jump` is what a jump inside it goes on doing to what the step stands in."""
        more = {"data": _JUMP_DATA[jump]} if jump in _JUMP_DATA else {}
        record = self._journal.write(path, step.id, RecordStatus.SUCCESS, now, output=output, **more)
        self._gear.events.emit("step.finished", run=self._journal.run.id, path=path, status="success")
        return record

    def fail(self, step: Step, path: str, now: int, error: dict[str, Json], output: bytes | None = None) -> Record:
        """The step failed; its output is its fallback, else what it has all the same."""
        if step.fallback is not None:
            output = values.encode(step.fallback)
        self._gear.events.emit("step.finished", run=self._journal.run.id, path=path, status="error")
        return self._journal.write(path, step.id, RecordStatus.ERROR, now, error=values.encode(error), output=output)

    def skip(self, step: Step, path: str, now: int) -> Record:
        """The step does not run."""
        return self._journal.write(path, step.id, RecordStatus.SKIPPED, now, attempt=0, started_at=None)
