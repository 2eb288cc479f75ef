"""A small model of a run that waits for signals: what a walk makes of what has reached it, without engine or store.

A real walk may look before or after each signal, so a test keeps the set of all states that the run may be in."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from stepwell.values import Json

FINAL = ("completed", "failed", "cancelled")
BELOW = "child/"  # what the paths of a child run begin with


@dataclass(frozen=True, slots=True)
class Node:
    """One step of a workflow: an event, approval, effect, parallel, race, loop (two turns), try or child."""

    kind: str
    id: str
    bodies: tuple[tuple["Node", ...], ...] = ()
    type: str = "go"  # of the event
    wants: int | None = None  # the payload that an event must have
    timeout_ms: int | None = None
    strict: bool = False  # an event that is late, or a rejection, fails the step

    def step(self, below: str | None) -> Json:
        """As a step of a definition; `below` is the workflow that a child runs."""
        blocks = [[node.step(below) for node in body] for body in self.bodies]
        config: dict[str, Json]
        match self.kind:
            case "event":
                config = {"eventType": self.type, "timeoutAction": "fail" if self.strict else "continue"}
                if self.wants is not None:
                    config["match"] = {"n": self.wants}
                if self.timeout_ms is not None:
                    config["timeoutMs"] = self.timeout_ms
                return {"id": self.id, "type": "wait_for_event", "config": config}
            case "approval":
                config = {"approvers": ["ana"], "reason": "Go?", "onReject": "fail" if self.strict else "continue"}
                if self.timeout_ms is not None:
                    config |= {"timeoutMs": self.timeout_ms, "escalateTo": "bo"}
            case "effect":
                config = {}
            case "loop":
                config = {"collection": [1, 2], "steps": blocks[0]}
            case "try":
                config = {"steps": blocks[0], "catch": blocks[1]}
            case "child":
                return {"id": self.id, "type": "subworkflow", "config": {"workflowId": below}}
            case _:
                config = {"branches": blocks}
        return {"id": self.id, "type": self.kind, "config": config}


Nodes: TypeAlias = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """An event that was accepted."""

    id: str
    type: str
    n: int


@dataclass(frozen=True, slots=True)
class State:
    """What has become of a run, and what has reached it."""

    name: str = "pending"  # as the store says it
    inbox: tuple[Sent, ...] = ()
    verdicts: frozenset[tuple[str, str]] = frozenset()  # of approvals: approved, rejected or expired
    late: frozenset[str] = frozenset()  # events whose time is over
    done: frozenset[tuple[str, str]] = frozenset()  # paths that are final, and how
    begun: frozenset[str] = frozenset()  # children that were started

    @property
    def final(self) -> bool:
        return self.name in FINAL

    def open(self, type: str) -> bool:
        """Whether an event of a type is accepted: a child may be final before the run that waits for it."""
        below_done = any(path.startswith(BELOW) for path, _ in self.done)
        return not self.final and not (type == "below" and below_done)

    def receive(self, event: Sent) -> "State":
        return replace(self, inbox=(*self.inbox, event))

    def decide(self, path: str, verdict: str) -> "State":
        return self if path in dict(self.verdicts) else replace(self, verdicts=self.verdicts | {(path, verdict)})

    def expire(self, path: str, kind: str) -> "State":
        """A timer has fired."""
        if kind == "approval":
            return self.decide(path, "expired")
        return replace(self, late=self.late | {path}) if kind == "event" else self

    def pause(self) -> "State":
        return replace(self, name="paused")

    def resume(self) -> "State":
        return replace(self, name="running")

    def cancel(self) -> "State":
        return replace(self, name="cancelled")


def settled(states: Iterable[State], nodes: Nodes) -> set[State]:
    """Where walks that see everything come to."""
    return {after for state in states for after in _after(state, nodes)}


def possible(states: Iterable[State], nodes: Nodes) -> set[State]:
    """Where a run may be that nobody has waited for: a walk of it has looked, or not, or one of its child."""
    found = set(states)
    for state in list(found):
        found |= {_Walk(state).below(nodes), *_after(state, nodes)}
    return found


def _after(state: State, nodes: Nodes) -> Iterator[State]:
    if state.final:
        yield state
    elif state.name == "paused":
        yield _Walk(state).below(nodes)
    else:
        for favourite in (0, 1):
            yield _Walk(state, favourite).walk(nodes)


class _Walk:
    """One walk. Of two arms of a race that are both done, the favourite wins."""

    def __init__(self, state: State, favourite: int = 0) -> None:
        self._state = state
        self._favourite = favourite
        self._inbox = list(state.inbox)
        self._done = dict(state.done)
        self._begun = set(state.begun)
        self._waiting: set[str] = set()  # kinds of steps

    def walk(self, nodes: Nodes) -> State:
        end = self._block(nodes, "")
        open_name = "suspended" if self._waiting & {"event", "approval"} else "running"
        return self._left({"waiting": open_name, "done": "completed", "failed": "failed"}[end])

    def below(self, nodes: Nodes) -> State:
        """Only the child goes on."""
        for node in nodes:
            if node.kind == "child" and node.id in self._begun:
                self._block(node.bodies[0], BELOW)
        return self._left(self._state.name)

    def _left(self, name: str) -> State:
        done, begun = frozenset(self._done.items()), frozenset(self._begun)
        return replace(self._state, name=name, inbox=tuple(self._inbox), done=done, begun=begun)

    def _block(self, nodes: Nodes, prefix: str) -> str:
        for node in nodes:
            path = prefix + node.id
            if path not in self._done:
                how = self._step(node, path)
                if how is None:
                    return "waiting"
                self._done[path] = how
            if self._done[path] == "failed":
                return "failed"
        return "done"

    def _step(self, node: Node, path: str) -> str | None:
        """How a step ends, or None if it waits."""
        match node.kind:
            case "event":
                return self._event(node, path)
            case "approval":
                verdict = dict(self._state.verdicts).get(path)
                if verdict is None:
                    self._waiting.add("approval")
                return "failed" if node.strict and verdict not in (None, "approved") else verdict
            case "child":
                self._begun.add(path)
                waiting, self._waiting = self._waiting, set()  # a child's waits are its own
                end = self._block(node.bodies[0], BELOW)
                self._waiting = waiting
                return None if end == "waiting" else end
            case "loop":
                ends = (self._block(node.bodies[0], f"{path}[{turn}].") for turn in (0, 1))
                return next((None if end == "waiting" else end for end in ends if end != "done"), "done")
            case "parallel":
                arms = [self._block(body, f"{path}.") for body in node.bodies]
                return None if "waiting" in arms else "failed" if "failed" in arms else "done"
            case "race":
                return self._race(node, path)
            case "try":
                end = self._block(node.bodies[0], f"{path}.")
                if end == "failed":
                    end = self._block(node.bodies[1], f"{path}.")
                return None if end == "waiting" else end
        return "done"

    def _event(self, node: Node, path: str) -> str | None:
        for event in self._inbox:
            if event.type == node.type and node.wants in (None, event.n):
                self._inbox.remove(event)
                return event.id
        if path in self._state.late:
            return "failed" if node.strict else "late"
        self._waiting.add("event")
        return None

    def _race(self, node: Node, path: str) -> str | None:
        waiting, inbox, done = set(self._waiting), list(self._inbox), dict(self._done)
        for place in (self._favourite, 1 - self._favourite):
            self._inbox, self._done = list(inbox), dict(done)
            if (end := self._block(node.bodies[place], f"{path}.")) != "waiting":
                self._waiting = waiting
                return "failed" if end == "failed" else f"arm {place}"
        return None
