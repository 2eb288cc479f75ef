"""Which part of a run a retry or restart keeps. Source: LoopFour contract 5.7.

Ancestors of the named step are kept and never run again; the step and its descendants run; whatever is neither is kept
if it has a result.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec

from stepwell import values
from stepwell.definitions import Block, Plan, Step
from stepwell.engine.carried import Carried, digest
from stepwell.engine.walk import goes_on_after_error
from stepwell.states import RecordStatus
from stepwell.store import Record
from stepwell.values import Json

_CUT_SHORT = ("TIMEOUT", "CANCELLED", "INTERRUPTED")  # the step itself did not fail: its run was ended


@dataclass(frozen=True, slots=True)
class Kept:
    """What a new run begins with."""

    records: tuple[Record, ...]
    carried: Carried
    seq: int


def keep(plan: Plan, records: Iterable[Record], start: str | None, *, same_operations: bool) -> Kept:
    """What is kept when a run goes on from a step (None: from where it stood).

    With `same_operations` (a retry) an effect whose outcome is unknown goes on under its old operation id.
    """
    records = list(records)
    before = _ancestors(plan, start) if start is not None else frozenset()
    after = _descendants(plan, start) if start is not None else frozenset()
    kept = [
        record
        for record in records
        if record.path in plan.steps and record.path not in after and _has_result(plan, record, record.path in before)
    ]
    carried = Carried(
        passed=before - {record.path for record in kept},
        taken=_taken(plan, start) if start is not None else {},
        operations={r.path: _operation(r) for r in records if _outcome_unknown(r)} if same_operations else {},
    )
    copies = tuple(
        msgspec.structs.replace(record, reused=True, started_seq=2 * number - 1, ended_seq=2 * number)
        for number, record in enumerate(kept, start=1)
    )
    return Kept(copies, carried, 2 * len(copies))


def stopping_step(records: Iterable[Record], error: Json) -> str | None:
    """The path from which a retry goes on: that of the step named by the run's error, else the first that was in flight
    when the run was ended; None if no step stopped the run."""
    if error and (named := error.get("path") or error.get("stepId")):
        return str(named)
    for record in records:
        if record.status is RecordStatus.ERROR and _error(record).get("code") in _CUT_SHORT:
            return record.path
    return None


def next_step(plan: Plan, records: Iterable[Record]) -> str | None:
    """The first step, in order of the document, that has no record yet."""
    known = {record.path for record in records}
    return next((step for step in plan.steps if step not in known), None)


def _has_result(plan: Plan, record: Record, ancestor: bool) -> bool:
    match record.status:
        case RecordStatus.SUCCESS:
            return True
        case RecordStatus.SKIPPED:
            return ancestor
        case RecordStatus.ERROR:
            return goes_on_after_error(plan.steps[record.path]) and _error(record).get("code") not in _CUT_SHORT
    return False


def _ancestors(plan: Plan, step_id: str) -> frozenset[str]:
    return _related(plan, step_id, _before)


def _descendants(plan: Plan, step_id: str) -> frozenset[str]:
    own = {step.id for step in _subtree(plan.steps[step_id])}
    return _related(plan, step_id, _after) | own


def _related(plan: Plan, step_id: str, side: Callable[[Block, str], Iterator[Step]]) -> frozenset[str]:
    """The steps on one side of a step in its block, of its parent in that one's block and so on, with all below them;
    the parents themselves are ancestors."""
    found: set[str] = set()
    at: str | None = step_id
    while at is not None:
        parent = plan.parents[at]
        for step in side(_block_of(plan, at, parent), at):
            found |= {below.id for below in _subtree(step)}
        if parent is not None and side is _before:
            found.add(parent)
        at = parent
    return frozenset(found)


def _before(block: Block, step_id: str) -> Iterator[Step]:
    if not block.dag:
        for step in block.steps:
            if step.id == step_id:
                return
            yield step
        return
    by_id = {step.id: step for step in block.steps}
    needed = set(by_id[step_id].needs or ())
    for _ in block.steps:
        needed |= {each for need in needed for each in by_id[need].needs or ()}
    yield from (by_id[need] for need in needed)


def _after(block: Block, step_id: str) -> Iterator[Step]:
    if not block.dag:
        ids = [step.id for step in block.steps]
        yield from block.steps[ids.index(step_id) + 1 :]
        return
    yield from (step for step in block.steps if any(b.id == step_id for b in _before(block, step.id)))


def _block_of(plan: Plan, step_id: str, parent: str | None) -> Block:
    branches = plan.steps[parent].branches if parent is not None else None
    if branches is None:
        return plan.root
    return branches.then if any(step.id == step_id for step in branches.then.steps) else branches.otherwise


def _taken(plan: Plan, step_id: str) -> dict[str, bool]:
    """For every deciding step above a step, the way that leads to it."""
    taken: dict[str, bool] = {}
    at: str | None = step_id
    while at is not None and (parent := plan.parents[at]) is not None:
        branches = plan.steps[parent].branches
        taken[parent] = branches is not None and any(step.id == at for step in branches.then.steps)
        at = parent
    return taken


def _subtree(step: Step) -> Iterator[Step]:
    yield step
    if step.branches is not None:
        for child in (*step.branches.then.steps, *step.branches.otherwise.steps):
            yield from _subtree(child)


def _outcome_unknown(record: Record) -> bool:
    if record.status is not RecordStatus.ERROR or record.data is None:
        return False
    error = _error(record)
    return "operation" in values.decode(record.data) and (
        error.get("outcomeUnknown") is True or error.get("code") in _CUT_SHORT
    )


def _operation(record: Record) -> tuple[str, str]:
    return values.decode(record.data or b"{}")["operation"], digest(record.input or b"")


def _error(record: Record) -> dict[str, Json]:
    error: dict[str, Json] = values.decode(record.error) if record.error is not None else {}
    return error
