"""Blocks: which step owns which, in what order or graph they run, and what a branch not taken skips."""

from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeAlias

from stepwell.definitions.plan import Block, Body, Branches, Form, Kind, OnError, RetryPolicy, Step, StepType
from stepwell.definitions.source import Findings
from stepwell.expressions import Condition
from stepwell.values import Json, Path


@dataclass(frozen=True, slots=True)
class Member:
    """A step in a list: named by id or written inline."""

    id: str
    path: Path
    order: int  # grows along the document


@dataclass(slots=True)
class Draft:
    """A step as compiled by itself, before it is known what it owns."""

    id: str
    path: Path
    type: StepType
    name: str
    program: Any
    when: Condition | None
    retry: RetryPolicy
    on_error: OnError
    fallback: Json
    timeout_ms: int | None
    idempotent: bool
    needs: tuple[str, ...] | None
    requires: tuple[tuple[Path, str], ...] = ()
    cost: int | None = None
    holds: bool = False  # its lists are a container's, not branches
    iterates: bool = False
    names: tuple[str, ...] = ()  # root names inside
    ways: list[list[Member]] = field(default_factory=list)


Way: TypeAlias = tuple[str, int]
"""One list of steps: the id of its owner and its place there (of a decision 0 then, 1 else)."""


class Layout:
    """The tree that the steps of a document form. Source: LoopFour contract 8.2."""

    def __init__(
        self, drafts: dict[str, Draft], root: list[Member], written: set[str], findings: Findings, nesting: int
    ) -> None:
        self._drafts = drafts
        self._written = written  # every id, also of steps that did not compile
        self._findings = findings
        self._nesting = nesting
        self._lists: dict[Way, list[str]] = {}
        self._last: dict[str, tuple[int, Way]] = {}  # by step: its last naming in the document
        self._named: list[tuple[Member, Way]] = []
        self.parents: dict[str, str | None] = dict.fromkeys(drafts)
        self._own()
        self._root = [member.id for member in root if member.id in drafts and self.parents[member.id] is None]
        self._order = self._bottom_up()
        self.within = {id: self._containers(id) for id in self._order}
        self._check_owners()
        self._check_breaks()
        for ids in (self._root, *self._lists.values()):
            self._check_needs(ids)

    def names_at(self, id: str | None, inside: bool) -> set[str]:
        """The root names that containers give to the expressions of a step; its own only to those it has `inside`."""
        if id is None or id not in self._drafts:
            return set()
        around = (*self.within.get(id, ()), id) if inside else self.within.get(id, ())
        return {name for each in around for name in self._drafts[each].names}

    def build(self) -> tuple[Block, dict[str, Step]]:
        """The root block, and every step by id in document order. Only for a document without faults."""
        below: dict[str, set[str]] = {}
        steps: dict[str, Step] = {}
        for id in self._order:
            ways = [self._lists[id, index] for index in range(len(self._drafts[id].ways))]
            below[id] = {id}.union(*(below[child] for way in ways for child in way))
            steps[id] = self._step(self._drafts[id], steps, below)
        return self._block(self._root, steps), {id: steps[id] for id in self._drafts}

    def _own(self) -> None:
        """Who names whom; of several owners the first in the document is the parent."""
        named = self._named
        for id, draft in self._drafts.items():
            for index, members in enumerate(draft.ways):
                known = [member for member in members if self._known(member)]
                self._lists[id, index] = list(dict.fromkeys(member.id for member in known))
                named.extend((member, (id, index)) for member in known)
        for member, way in sorted(named, key=lambda each: each[0].order):
            self._last[member.id] = (member.order, way)
            if self.parents[member.id] is None:
                self.parents[member.id] = way[0]

    def _known(self, member: Member) -> bool:
        if member.id not in self._written:
            self._findings.fault(member.path, f"Unknown step: {member.id}")
        return member.id in self._drafts

    def _bottom_up(self) -> list[str]:
        """Every step after the steps it owns; faults for a cycle and for nesting that is too deep."""
        children = {id: [child for way in self._ways(id) for child in self._lists[way]] for id in self._drafts}
        try:
            order = list(TopologicalSorter(children).static_order())
        except CycleError as error:
            cycle = list(reversed(error.args[1]))
            self._findings.fault(self._drafts[cycle[0]].path, f"Ownership cycle: {' -> '.join(cycle)}"[:500])
            return []
        depth = dict.fromkeys(order, 1)
        for id in reversed(order):
            for child in children[id]:
                depth[child] = max(depth[child], depth[id] + 1)
        for id, levels in depth.items():
            if levels == self._nesting + 1:
                self._findings.fault(self._drafts[id].path, f"Steps are nested deeper than {self._nesting}")
        return order

    def _containers(self, id: str) -> tuple[str, ...]:
        """The containers around a step, outermost first."""
        found: list[str] = []
        at: str | None = self.parents[id]
        while at is not None:
            if self._drafts[at].holds:
                found.append(at)
            at = self.parents[at]
        return tuple(reversed(found))

    def _check_owners(self) -> None:
        """Branches may share steps, but only within one list of one container."""
        first: dict[str, Member] = {}
        for member, (owner, _) in self._named:
            if owner not in self.within:
                continue
            holds = self._drafts[owner].holds
            around = (*self.within[owner], owner) if holds else self.within[owner]
            other = first.setdefault(member.id, member)
            if (holds and other is not member) or around != self.within.get(member.id, around):
                self._findings.fault(member.path, f"Owned by another step already: {member.id}")

    def _check_breaks(self) -> None:
        for id in self._order:
            if self._drafts[id].type.kind is not Kind.BREAK:
                continue
            forms = [getattr(self._drafts[each].type, "form", None) for each in reversed(self.within[id])]
            inner = next((form for form in forms if form is not Form.TRY), None)
            if inner is not Form.LOOP:
                self._findings.fault((*self._drafts[id].path, "type"), "A break may stand only in a loop")

    def _check_needs(self, ids: list[str]) -> None:
        graph: dict[str, list[str]] = {}
        for id in ids:
            draft = self._drafts[id]
            graph[id] = []
            for index, need in enumerate(draft.needs or ()):
                if need not in self._written:
                    self._findings.fault((*draft.path, "needs", index), f"Unknown step: {need}")
                elif need not in self._drafts:
                    continue
                elif need not in ids:
                    self._findings.fault((*draft.path, "needs", index), f"Not a step of the same block: {need}")
                else:
                    graph[id].append(need)
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            cycle = list(reversed(error.args[1]))
            path = (*self._drafts[cycle[0]].path, "needs")
            self._findings.fault(path, f"Cycle in needs: {' -> '.join(cycle)}"[:500])

    def _step(self, draft: Draft, steps: dict[str, Step], below: dict[str, set[str]]) -> Step:
        return Step(
            id=draft.id,
            type=draft.type,
            name=draft.name,
            program=draft.program,
            when=draft.when,
            retry=draft.retry,
            on_error=draft.on_error,
            fallback=draft.fallback,
            timeout_ms=draft.timeout_ms,
            idempotent=draft.idempotent,
            needs=draft.needs,
            branches=self._branches(draft.id, steps, below) if draft.ways and not draft.holds else None,
            bodies=self._bodies(draft, steps) if draft.holds else (),
            iterates=draft.iterates,
            requires=draft.requires,
            cost=draft.cost,
        )

    def _bodies(self, draft: Draft, steps: dict[str, Step]) -> tuple[Body, ...]:
        bodies = []
        for way in self._ways(draft.id):
            ids: set[str] = set()
            left = list(self._lists[way])
            while left:
                id = left.pop()
                if id not in ids:
                    ids.add(id)
                    if not self._drafts[id].holds:
                        left.extend(child for inner in self._ways(id) for child in self._lists[inner])
            bodies.append(Body(self._block(self._lists[way], steps), frozenset(ids)))
        return tuple(bodies)

    def _branches(self, id: str, steps: dict[str, Step], below: dict[str, set[str]]) -> Branches:
        then, otherwise = (id, 0), (id, 1)
        return Branches(
            then=self._block(self._lists[then], steps),
            otherwise=self._block(self._lists[otherwise], steps),
            skip_then=self._skipped(then, otherwise, steps, below),
            skip_otherwise=self._skipped(otherwise, then, steps, below),
        )

    def _skipped(self, way: Way, taken: Way, steps: dict[str, Step], below: dict[str, set[str]]) -> tuple[Step, ...]:
        """What is skipped when the other way is taken: a step named by several branches only by the last of them, and
        never if the way that is taken can still reach it."""
        reachable = set().union(*(below[id] for id in self._lists[taken]))
        skipped: dict[str, None] = {}

        def skip(way: Way) -> None:
            for id in self._lists[way]:
                if self._last[id][1] == way and id not in reachable:
                    skipped[id] = None
                    for inner in () if self._drafts[id].holds else self._ways(id):
                        skip(inner)

        skip(way)
        return tuple(steps[id] for id in skipped)

    def _block(self, ids: list[str], steps: dict[str, Step]) -> Block:
        members = tuple(steps[id] for id in ids)
        return Block(members, dag=any(step.needs is not None for step in members))

    def _ways(self, id: str) -> list[Way]:
        return [(id, index) for index in range(len(self._drafts[id].ways))]
