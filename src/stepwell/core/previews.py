"""What a retry or restart would do, before it is done."""

from collections.abc import Iterator

import msgspec

from stepwell.definitions import Kind, Plan, Step
from stepwell.engine import carried, restart
from stepwell.store import Loaded

_EFFECTS = (Kind.EFFECT, Kind.CHILD, Kind.APPROVAL)


class PreviewStep(msgspec.Struct, frozen=True):
    """One step as it would be treated. In the path of a step that would run in many turns, `[*]` stands for them."""

    path: str
    step: str
    type: str
    effects: bool  # it reaches the outside


class Preview(msgspec.Struct, frozen=True):
    """The steps whose results would be reused, and those that would or may run, each in the order of the document."""

    from_step: str | None
    version: int
    reused: tuple[PreviewStep, ...]
    runs: tuple[PreviewStep, ...]


def preview(plan: Plan, version: int, loaded: Loaded, start: str | None, *, same_operations: bool) -> Preview:
    """What going on from a path (None: from where the run stood) would keep and run."""
    earlier = carried.decode(loaded.run.carried)
    kept = restart.keep(plan, loaded.records, start, earlier, same_operations=same_operations)
    known = {record.path for record in kept.records}
    reused = tuple(_shown(plan.steps[record.step], record.path) for record in kept.records)
    return Preview(start, version, reused, tuple(_running(plan, start, known, kept.carried)))


def _running(plan: Plan, start: str | None, known: set[str], takes: carried.Carried) -> Iterator[PreviewStep]:
    at_start = () if start is None else tuple(part.partition("[") for part in start.split("."))
    turns = {name: bracket + turn for name, bracket, turn in at_start}
    own = None if start is None else start.rpartition(".")[2]
    for id, step in plan.steps.items():
        prefix = ""
        whole = False
        for container in plan.within[id]:
            whole = whole or prefix + container in known
            turn = (turns.get(container, "[*]") if id == own else "[*]") if plan.steps[container].iterates else ""
            prefix = f"{prefix}{container}{turn}."
        path = prefix + id
        if not whole and path not in known and path not in takes.passed:
            yield _shown(step, path)


def _shown(step: Step, path: str) -> PreviewStep:
    return PreviewStep(path, step.id, step.type.name, step.type.kind in _EFFECTS)
