"""Where paths stand in relation to one step: before it, after it, around it or aside. Source: LoopFour contract 5.7."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from itertools import takewhile

from stepwell.definitions import Block, Form, Plan, Step
from stepwell.engine.walk import subtree

_HEAD = re.compile(r"[^.\[]*")


class Side(Enum):
    """A path's place in relation to the step."""

    BEFORE = auto()
    CAUGHT = auto()  # before, in a body of the try around the step whose failure led there
    AROUND = auto()  # a container that holds the step
    AFTER = auto()  # the step itself, or what depends on it
    ASIDE = auto()


@dataclass(frozen=True, slots=True)
class _Level:
    """The step, or a container around it, as seen in its own block. `prefix` is what paths there begin with."""

    prefix: str
    id: str
    turn: int | None  # of a container that iterates, the turn in which the step stands
    sequential: bool
    before: frozenset[str]
    caught: frozenset[str]
    after: frozenset[str]


class Lineage:
    """The relations to the step at a path, which fits the plan."""

    def __init__(self, plan: Plan, start: str, begun: Mapping[str, int]) -> None:
        """`begun` tells of each recorded path when it was started."""
        self._plan = plan
        self._levels: list[_Level] = []
        prefix = ""
        for part in start.split("."):
            id, bracket, turn = part.partition("[")
            step = plan.steps[id]
            before, after = self._around(id, prefix, start, begun)
            caught, later = self._other_bodies(id)
            self._levels.append(
                _Level(
                    prefix,
                    id,
                    int(turn[:-1]) if bracket else None,
                    getattr(step.type, "form", None) is Form.LOOP,
                    before,
                    caught,
                    after | later,
                )
            )
            prefix = f"{prefix}{part}."

    def side(self, path: str) -> Side:
        """Where a path stands."""
        last = self._levels[-1]
        for level in reversed(self._levels):
            if not path.startswith(level.prefix):
                continue
            rest = path[len(level.prefix) :]
            head = _HEAD.match(rest)[0]  # type: ignore[index]
            if head == level.id:
                if level is last:
                    return Side.AFTER
                if rest == head:
                    return Side.AROUND
                turn = int(rest[len(head) + 1 : rest.index("]")])
                if not level.sequential:
                    return Side.ASIDE
                return Side.BEFORE if turn < (level.turn or 0) else Side.AFTER
            for ids, side in ((level.caught, Side.CAUGHT), (level.before, Side.BEFORE), (level.after, Side.AFTER)):
                if head in ids:
                    return side
            return Side.ASIDE
        return Side.ASIDE

    def passed(self) -> set[str]:
        """The paths before the step, in every block around it."""
        return {level.prefix + id for level in self._levels for id in level.before | level.caught}

    def taken(self) -> dict[str, bool]:
        """For every deciding step above the step, the way that leads to it."""
        taken: dict[str, bool] = {}
        for level in self._levels:
            at = level.id
            while (parent := self._plan.parents[at]) is not None:
                branches = self._plan.steps[parent].branches
                if branches is None:
                    break
                taken[level.prefix + parent] = any(step.id == at for step in branches.then.steps)
                at = parent
        return taken

    def turns(self) -> dict[str, int]:
        """For every loop around the step, the turn in which it stands."""
        return {
            level.prefix + level.id: level.turn
            for level in self._levels[:-1]
            if level.turn is not None and level.sequential
        }

    def bodies(self) -> dict[str, int]:
        """For every try around the step, the body in which it stands."""
        found = {}
        for outer, inner in zip(self._levels, self._levels[1:], strict=False):
            container = self._plan.steps[outer.id]
            if getattr(container.type, "form", None) is Form.TRY:
                places = (place for place, body in enumerate(container.bodies) if inner.id in body.ids)
                found[outer.prefix + outer.id] = next(places, 0)
        return found

    def entered(self) -> frozenset[str]:
        """The containers around the step."""
        return frozenset(level.prefix + level.id for level in self._levels[:-1])

    def _around(
        self, id: str, prefix: str, start: str, begun: Mapping[str, int]
    ) -> tuple[frozenset[str], frozenset[str]]:
        """The ancestors of a step within its container, and its descendants. What branches on both sides name is an
        ancestor if it ran before the step."""
        before = self._related(id, _before)
        after = self._related(id, _after).union(step.id for step in subtree(self._plan.steps[id])) - {id}
        own = begun.get(prefix + id)
        ran_before = {
            each for each in before & after if prefix + each in begun and (own is None or begun[prefix + each] < own)
        }
        return before - (after - ran_before), after - ran_before

    def _related(self, id: str, side: Callable[[Block, str], Iterator[Step]]) -> frozenset[str]:
        """The steps on one side of a step in its block, of the deciding step above it in that one's block and so on,
        with all in their branches; the deciding steps themselves are ancestors."""
        found: set[str] = set()
        at = id
        while True:
            parent = self._plan.parents[at]
            for step in side(self._block_of(at, parent), at):
                found |= {below.id for below in subtree(step)}
            if parent is None or self._plan.steps[parent].bodies:
                return frozenset(found)
            if side is _before:
                found.add(parent)
            at = parent

    def _block_of(self, id: str, parent: str | None) -> Block:
        if parent is None:
            return self._plan.root
        step = self._plan.steps[parent]
        if step.branches is not None:
            blocks = [step.branches.then, step.branches.otherwise]
        else:
            blocks = [body.block for body in step.bodies]
        return next(block for block in blocks if any(each.id == id for each in block.steps))

    def _other_bodies(self, id: str) -> tuple[frozenset[str], frozenset[str]]:
        """In a try, what stands in the bodies before that of a step, and in those after."""
        around = self._plan.within[id]
        container = self._plan.steps[around[-1]] if around else None
        if container is None or getattr(container.type, "form", None) is not Form.TRY:
            return frozenset(), frozenset()
        own = next(place for place, body in enumerate(container.bodies) if id in body.ids)
        earlier = (body.ids for body in container.bodies[:own])
        later = (body.ids for body in container.bodies[own + 1 :])
        return frozenset().union(*earlier), frozenset().union(*later)


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
