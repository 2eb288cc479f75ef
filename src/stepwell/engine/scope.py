"""What the expressions of a run see: its input, its steps, and the rest of the names of the LoopFour contract 6.2."""

from collections.abc import Callable, Iterator
from typing import Any

from stepwell.clock import iso
from stepwell.definitions import Form, Plan
from stepwell.engine.journal import Journal
from stepwell.engine.ports import SecretBox
from stepwell.expressions import ANSWERS, MISSING
from stepwell.store import Record
from stepwell.values import Json


class StepView:
    """One step as later ones see it: its output, and below that its status, error, input and attempt."""

    __slots__ = ("_journal", "_record")

    def __init__(self, journal: Journal, record: Record) -> None:
        self._journal = journal
        self._record = record

    def lookup(self, segment: str | int) -> Any:
        output = self._journal.output(self._record.path)
        if segment == "output":
            return output
        if isinstance(output, dict) and segment in output:
            return output[segment]
        match segment:
            case "status":
                return str(self._record.status)
            case "error":
                return self._journal.value(self._record.error)
            case "input":
                return self._journal.value(self._record.input)
            case "attempt":
                return self._record.attempt
            case "result":
                return output
        return MISSING

    def plain(self) -> Json:
        output = self._journal.output(self._record.path)
        own = {"output": output, "status": str(self._record.status)}
        return {**own, **output} if isinstance(output, dict) else own


class StepsView:
    """The steps of a run by id, as seen from a place: what its paths begin with.

    Of a step inside a loop the nearest turn is seen: that of the place itself or, if it has not run in it, the one
    before; from outside the loop, the last that was begun.
    """

    __slots__ = ("_journal", "_plan", "_prefix", "hidden")

    def __init__(self, journal: Journal, plan: Plan, prefix: str = "", hidden: frozenset[str] = frozenset()) -> None:
        """`hidden` are steps that are not seen, with all they hold: those of the branches beside the place."""
        self._journal = journal
        self._plan = plan
        self._prefix = prefix
        self.hidden = hidden

    def lookup(self, segment: str | int) -> Any:
        record = None
        containers = self._plan.within.get(str(segment), ())
        if not self.hidden.isdisjoint((str(segment), *containers)):
            return MISSING
        if not containers:
            record = self._journal.get(str(segment))
        else:
            for prefix in self._prefixes(containers):
                record = self._journal.get(f"{prefix}{segment}")
                if record is not None:
                    break
        return MISSING if record is None else StepView(self._journal, record)

    def _prefixes(self, containers: tuple[str, ...]) -> Iterator[str]:
        """What the path of a step in these containers may begin with, the nearest first."""
        prefix, before = "", None
        for id in containers:
            step = self._plan.steps[id]
            path = prefix + id
            before = None if before is None else f"{before}{id}."
            if not step.iterates:
                prefix = f"{path}."
                continue
            inside = f"{path}["
            if self._prefix.startswith(inside):
                turn = int(self._prefix[len(inside) : self._prefix.index("]", len(inside))])
                sequential = getattr(step.type, "form", None) is Form.LOOP
                before = step.inside(path, turn - 1) if sequential and turn else None
            else:
                turn = self._journal.turns(path) - 1
                before = None
            prefix = step.inside(path, turn)
        yield prefix
        if before is not None:
            yield before

    def plain(self) -> Json:
        return {record.path: StepView(self._journal, record).plain() for record in self._journal.records()}


class Moment:
    """A time that is written out only if something reads it."""

    __slots__ = ("_time_ms",)

    def __init__(self, time_ms: int) -> None:
        self._time_ms = time_ms

    def lookup(self, segment: str | int) -> Any:
        return MISSING

    def plain(self) -> Json:
        return iso(self._time_ms)


class Lazy:
    """A value that is made when something reads it."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[], dict[str, Json]]) -> None:
        self._make = make

    def lookup(self, segment: str | int) -> Any:
        value = self._make()
        return value[segment] if isinstance(segment, str) and segment in value else MISSING

    def plain(self) -> Json:
        return self._make()


def run_scope(journal: Journal, plan: Plan, secrets: SecretBox, username: str | None = None) -> dict[str, Any]:
    """The names that stay the same for the whole walk; `now` and what loops set are added step by step. `username` is
    that of the end user whom the run acts for."""
    run = journal.run
    public_id = f"run_{run.id}"
    given = journal.value(run.input)

    def of_run() -> dict[str, Json]:
        known = {"id": public_id, "startedAt": iso(journal.started_at or 0), "attempt": run.attempt}
        return known if run.end_user is None else {**known, "user": {"id": run.end_user, "username": username}}

    def of_workflow() -> dict[str, Json]:
        return {"id": f"wf_{run.workflow}", "name": plan.document["name"], "version": run.version}

    def of_trigger() -> dict[str, Json]:
        return {"type": run.trigger, "body": given, **(journal.value(run.trigger_data) or {})}

    return {
        "input": given,
        "steps": StepsView(journal, plan),
        "run": Lazy(of_run),
        "runId": public_id,
        "workflow": Lazy(of_workflow),
        "trigger": Lazy(of_trigger),
        "variables": plan.variables,
        "secrets": secrets.markers,
        ANSWERS: {},
    }
