"""Which part of a run a retry or restart keeps. Source: LoopFour contract 5.7.

Ancestors of the step that is named are kept and never run again; the step and its descendants run; whatever is neither
is kept if it has a result. The containers around the step are opened anew: of a loop the earlier turns are kept, the
later ones run.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from stepwell import values
from stepwell.definitions import Block, Kind, Plan
from stepwell.engine.carried import NOTHING, Carried, digest
from stepwell.engine.lineage import Lineage, Side
from stepwell.engine.outcomes import goes_on_after_error
from stepwell.states import RecordStatus
from stepwell.store import Record
from stepwell.values import Json

_CUT_SHORT = ("TIMEOUT", "CANCELLED", "INTERRUPTED")
_TURN = re.compile(r"\[([0-9]{1,9})\]")


@dataclass(frozen=True, slots=True)
class Kept:
    """What a new run begins with."""

    records: tuple[Record, ...]
    carried: Carried
    seq: int


def keep(
    plan: Plan, records: Iterable[Record], start: str | None, earlier: Carried = NOTHING, *, same_operations: bool
) -> Kept:
    """What is kept when a run goes on from the path of a step (None: from where it stood). `earlier` is what it carried
    itself.

    With `same_operations` (a retry) an effect whose outcome is unknown goes on under its old operation id.
    """
    records = list(records)
    lineage = None if start is None else Lineage(plan, start, {record.path: record.started_seq for record in records})
    kept = _kept(plan, records, lineage)
    known = {record.path for record in kept}
    operations = _operations(records, earlier) if same_operations else {}
    if lineage is None:
        carried = msgspec.structs.replace(earlier, passed=earlier.passed - known, operations=operations)
    else:
        jumps = {r.path for r in records if _jumped(plan, r) and lineage.side(r.path) is not Side.AFTER}
        carried = _carried(lineage, earlier, known, jumps, operations)
    copies = tuple(
        msgspec.structs.replace(record, reused=True, started_seq=2 * number - 1, ended_seq=2 * number)
        for number, record in enumerate(kept, start=1)
    )
    return Kept(copies, carried, 2 * len(copies))


def resolve(plan: Plan, records: Iterable[Record], named: str) -> str | None:
    """The path that a client names: a path itself, or a step's id, which of a step inside a loop means its first turn
    that failed, else the first. None if there is no such step."""
    id = named.rpartition(".")[2]
    if id not in plan.steps:
        return None
    if id != named:
        return named if _fits(plan, named, id) else None
    failed = (r for r in records if r.step == id and r.status is RecordStatus.ERROR and _fits(plan, r.path, id))
    first = min(failed, key=lambda record: record.started_seq, default=None)
    if first is not None:
        return first.path
    prefix = ""
    for container in plan.within[id]:
        prefix = plan.steps[container].inside(prefix + container)
    return prefix + id


def stopping_step(plan: Plan, records: Iterable[Record], error: dict[str, Json]) -> str | None:
    """The path from which a retry goes on: that of the step named by the run's error, else the first that was in flight
    when the run was ended; None if no step stopped the run."""
    failed = [record for record in records if record.status is RecordStatus.ERROR]
    for record in failed:
        if record.path == error.get("path"):
            return record.path
    for record in failed:
        step = plan.steps.get(record.step)
        inner = step is None or step.type.kind is not Kind.CONTAINER
        if inner and _cut_short(record) and _error(record)["code"] == error.get("code"):
            return record.path
    return None


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


def _kept(plan: Plan, records: list[Record], lineage: Lineage | None) -> list[Record]:
    """Records with a result that are not after the start. What is inside a container that is kept is kept whole."""
    kept: list[Record] = []
    whole: set[str] = set()  # containers that are kept
    blocks: dict[str, tuple[tuple[str, ...] | None, list[str]]] = {}  # by prefix: the containers, as ids and as paths
    for record in records:  # a container was started before what it holds
        step = plan.steps.get(record.step)
        prefix = record.path[: record.path.rfind(".") + 1]
        if prefix not in blocks:
            blocks[prefix] = (_around(plan, prefix), containers_of(prefix))
        ids, paths = blocks[prefix]
        if step is None or ids != plan.within[record.step]:
            continue
        if whole and any(container in whole for container in paths):
            kept.append(record)
            continue
        side = Side.ASIDE if lineage is None else lineage.side(record.path)
        if side in (Side.AFTER, Side.AROUND) or (lineage is not None and _jumped(plan, record)):
            continue
        if _has_result(plan, record, side):
            kept.append(record)
            if step.type.kind is Kind.CONTAINER:
                whole.add(record.path)
    return kept


def _carried(
    lineage: Lineage, earlier: Carried, known: set[str], jumps: set[str], operations: dict[str, tuple[str, str]]
) -> Carried:
    def still(path: str) -> bool:
        return lineage.side(path) in (Side.BEFORE, Side.CAUGHT, Side.ASIDE)

    passed = lineage.passed() | jumps | {path for path in earlier.passed if still(path)}
    return Carried(
        passed=frozenset(passed - known),
        taken={path: way for path, way in earlier.taken.items() if path in known} | lineage.taken(),
        operations=operations,
        turns={path: turn for path, turn in earlier.turns.items() if still(path)} | lineage.turns(),
        bodies={path: body for path, body in earlier.bodies.items() if still(path)} | lineage.bodies(),
        entered=frozenset(path for path in earlier.entered if still(path)) | lineage.entered(),
    )


def containers_of(path: str) -> list[str]:
    """The paths of the containers around a path, outermost first."""
    found = []
    at = path.find(".")
    while at >= 0:
        inside = path[:at]
        found.append(inside[: inside.rindex("[")] if inside.endswith("]") else inside)
        at = path.find(".", at + 1)
    return found


def _fits(plan: Plan, path: str, id: str) -> bool:
    """Whether a path is one that this plan gives to a step."""
    prefix, _, last = path.rpartition(".")
    return last == id and _around(plan, f"{prefix}." if prefix else "") == plan.within.get(id)


def _around(plan: Plan, prefix: str) -> tuple[str, ...] | None:
    """The ids of the containers that the beginning of a path names; None if it is not one of this plan."""
    ids = []
    for part in prefix.split(".")[:-1]:
        id, bracket, turn = part.partition("[")
        step = plan.steps.get(id)
        if step is None or step.iterates != bool(bracket) or (bracket and not _TURN.fullmatch(bracket + turn)):
            return None
        ids.append(id)
    return tuple(ids)


def _has_result(plan: Plan, record: Record, side: Side) -> bool:
    match record.status:
        case RecordStatus.SUCCESS:
            return True
        case RecordStatus.SKIPPED:
            return side is not Side.ASIDE
        case RecordStatus.ERROR:
            if side is Side.CAUGHT:
                return True
            return goes_on_after_error(plan.steps[record.step]) and not _cut_short(record)
    return False


def _jumped(plan: Plan, record: Record) -> bool:
    """An `end` that completed its run, or a `break`: whoever restarts from a step wants it to run all the same."""
    step = plan.steps.get(record.step)
    return step is not None and step.type.kind in (Kind.END, Kind.BREAK) and record.status is RecordStatus.SUCCESS


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
