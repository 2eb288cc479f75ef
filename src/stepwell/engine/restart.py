"""Which part of a run a retry or restart keeps. Source: LoopFour contract 5.7.

Ancestors of the named step are kept and never run again; the step and its descendants run; whatever is neither is kept
if it has a result.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, takewhile

import msgspec

from stepwell import values
from stepwell.definitions import Block, Kind, Plan, Step
from stepwell.engine.carried import NOTHING, Carried, digest
from stepwell.engine.walk import goes_on_after_error, subtree
from stepwell.states import RecordStatus
from stepwell.store import Record
from stepwell.values import Json

_CUT_SHORT = ("TIMEOUT", "CANCELLED", "INTERRUPTED")


@dataclass(frozen=True, slots=True)
class Kept:
    """What a new run begins with."""

    records: tuple[Record, ...]
    carried: Carried
    seq: int


def keep(
    plan: Plan, records: Iterable[Record], start: str | None, earlier: Carried = NOTHING, *, same_operations: bool
) -> Kept:
    """What is kept when a run goes on from a step (None: from where it stood). `earlier` is what it carried itself.

    With `same_operations` (a retry) an effect whose outcome is unknown goes on under its old operation id.
    """
    records = list(records)
    before, after = _around(plan, records, start) if start is not None else (frozenset(), frozenset())
    ends = {record.path for record in records if start is not None and _ended(plan, record)} - after
    kept = [
        record
        for record in records
        if record.path in plan.steps
        and record.path not in after | ends
        and _has_result(plan, record, start is None or record.path in before)
    ]
    known = {record.path for record in kept}
    carried = Carried(
        passed=(earlier.passed if start is None else before | ends) - known,
        taken={path: way for path, way in earlier.taken.items() if start is None or path in known}
        | (_taken(plan, start) if start is not None else {}),
        operations=_operations(records, earlier) if same_operations else {},
    )
    copies = tuple(
        msgspec.structs.replace(record, reused=True, started_seq=2 * number - 1, ended_seq=2 * number)
        for number, record in enumerate(kept, start=1)
    )
    return Kept(copies, carried, 2 * len(copies))


def stopping_step(records: Iterable[Record], error: dict[str, Json]) -> str | None:
    """The path from which a retry goes on: that of the step named by the run's error, else the first that was in flight
    when the run was ended; None if no step stopped the run."""
    failed = [record for record in records if record.status is RecordStatus.ERROR]
    named = (record.path for record in failed if record.path == error.get("path"))
    in_flight = (record.path for record in failed if _cut_short(record) and _error(record)["code"] == error.get("code"))
    return next(chain(named, in_flight), None)


def next_step(plan: Plan, records: Iterable[Record], passed: frozenset[str]) -> str | None:
    """The step that a run would have begun next, had it not been ended while none was in flight."""
    return _next_of(plan.root, passed.union(record.path for record in records))


def _next_of(block: Block, known: frozenset[str]) -> str | None:
    for step in block.steps:
        if step.id not in known:
            if known.issuperset(step.needs or ()):
                return step.id
        elif step.branches is not None:
            below = _next_of(step.branches.then, known) or _next_of(step.branches.otherwise, known)
            if below is not None:
                return below
    return None


def _has_result(plan: Plan, record: Record, ancestor: bool) -> bool:
    match record.status:
        case RecordStatus.SUCCESS:
            return True
        case RecordStatus.SKIPPED:
            return ancestor
        case RecordStatus.ERROR:
            return goes_on_after_error(plan.steps[record.path]) and not _cut_short(record)
    return False


def _ended(plan: Plan, record: Record) -> bool:
    """An `end` that completed its run: whoever restarts from a step wants it to run all the same."""
    step = plan.steps.get(record.path)
    return step is not None and step.type.kind is Kind.END and record.status is RecordStatus.SUCCESS


def _around(plan: Plan, records: list[Record], start: str) -> tuple[frozenset[str], frozenset[str]]:
    """The ancestors of a step, and its descendants with itself. What branches on both sides name is an ancestor if it
    ran before the step."""
    before = _related(plan, start, _before)
    after = _related(plan, start, _after).union(step.id for step in subtree(plan.steps[start]))
    begun = {record.path: record.started_seq for record in records}
    ran_before = {id for id in before & after if id in begun and begun[id] < begun.get(start, begun[id] + 1)}
    return before - (after - ran_before), after - ran_before


def _related(plan: Plan, step_id: str, side: Callable[[Block, str], Iterator[Step]]) -> frozenset[str]:
    """The steps on one side of a step in its block, of its parent in that one's block and so on, with all below them;
    the parents themselves are ancestors."""
    found: set[str] = set()
    at: str | None = step_id
    while at is not None:
        parent = plan.parents[at]
        for step in side(_block_of(plan, at, parent), at):
            found |= {below.id for below in subtree(step)}
        if parent is not None and side is _before:
            found.add(parent)
        at = parent
    return frozenset(found)


def _before(block: Block, step_id: str) -> Iterator[Step]:
    if not block.dag:
        yield from takewhile(lambda step: step.id != step_id, block.steps)
        return
    needed = _reached(step_id, {step.id: step.needs or () for step in block.steps})
    yield from (step for step in block.steps if step.id in needed)


def _after(block: Block, step_id: str) -> Iterator[Step]:
    if not block.dag:
        ids = [step.id for step in block.steps]
        yield from block.steps[ids.index(step_id) + 1 :]
        return
    needing: dict[str, list[str]] = {step.id: [] for step in block.steps}
    for step in block.steps:
        for need in step.needs or ():
            needing[need].append(step.id)
    depending = _reached(step_id, needing)
    yield from (step for step in block.steps if step.id in depending)


def _reached(step_id: str, ways: Mapping[str, Iterable[str]]) -> set[str]:
    """Everything to which ways lead from a step."""
    found: set[str] = set()
    left = [step_id]
    while left:
        new = set(ways[left.pop()]) - found
        found |= new
        left.extend(new)
    return found


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


def _operations(records: list[Record], earlier: Carried) -> dict[str, tuple[str, str]]:
    """The operations to go on with: those of this run, and those it took over and never came to."""
    recorded = {record.path for record in records}
    untouched = {path: operation for path, operation in earlier.operations.items() if path not in recorded}
    return untouched | {record.path: _operation(record) for record in records if _outcome_unknown(record)}


def _outcome_unknown(record: Record) -> bool:
    if record.status is not RecordStatus.ERROR or record.data is None:
        return False
    error = _error(record)
    return "operation" in values.decode(record.data) and (
        error.get("outcomeUnknown") is True or error.get("code") in _CUT_SHORT
    )


def _operation(record: Record) -> tuple[str, str]:
    return values.decode(record.data or b"{}")["operation"], digest(record.input or b"")


def _cut_short(record: Record) -> bool:
    """The step did not fail by itself: its run was ended over it."""
    error = _error(record)
    return error.get("code") in _CUT_SHORT and error.get("outcomeUnknown") is not True


def _error(record: Record) -> dict[str, Json]:
    error: dict[str, Json] = values.decode(record.error) if record.error is not None else {}
    return error
