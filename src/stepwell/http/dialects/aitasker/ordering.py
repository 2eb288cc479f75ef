"""The order of nodes: groups by position and parallel_group, what each needs, what comes before it. Source: AITasker
contract 7.1."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

import msgspec

from stepwell.errors import Fault
from stepwell.values import Json


class Order(msgspec.Struct, frozen=True):
    """Nodes in their order: `sorted` are their places in the list that was given; `needs` and `before` are, by id, the
    nodes that must be done first, and all that come before; `faults` paths begin with a place in the list."""

    sorted: tuple[int, ...]
    needs: Mapping[str, tuple[str, ...]]
    before: Mapping[str, frozenset[str]]
    faults: tuple[Fault, ...]

    @property
    def last(self) -> list[str]:
        """The nodes that nothing depends on, in order."""
        needed = {id for ids in self.needs.values() for id in ids}
        return [id for id in self.needs if id not in needed]


def by_position(nodes: Sequence[Mapping[str, Json]]) -> list[int]:
    """The places of nodes, by position and then creation."""
    return sorted(range(len(nodes)), key=lambda index: nodes[index]["position"])


def ordered(nodes: Sequence[Mapping[str, Json]]) -> Order:
    """The order of nodes, and every fault of what they depend on. What a node depends on counts more than positions: a
    node does not wait for the group before it where that waits for the node itself."""
    places = by_position(nodes)
    known = {node["id"] for node in nodes}
    faults: list[Fault] = []
    needs = {node["id"]: _depends(node, index, known, faults) for index, node in enumerate(nodes)}
    if not faults:
        faults.extend(_cycle(nodes, needs))
    before: tuple[str, ...] = ()
    for group in _groups(nodes, places) if not faults else ():
        for index in group:
            id = nodes[index]["id"]
            if not needs[id] and before:
                waiting = _waiting(id, needs)
                needs[id] = tuple(each for each in before if each not in waiting)
        before = tuple(nodes[index]["id"] for index in group)
    found = {} if faults else _ancestors(needs)
    return Order(tuple(places), {nodes[index]["id"]: needs[nodes[index]["id"]] for index in places}, found, (*faults,))


def _waiting(id: str, needs: Mapping[str, tuple[str, ...]]) -> set[str]:
    """The nodes that wait for a node, or for one that does."""
    found = {id}
    grown = True
    while grown:
        more = {each for each, its in needs.items() if each not in found and not found.isdisjoint(its)}
        grown = bool(more)
        found |= more
    return found


def _groups(nodes: Sequence[Mapping[str, Json]], places: list[int]) -> list[list[int]]:
    """Nodes that share a parallel_group stand together where the first of them does."""
    groups: list[list[int]] = []
    shared: dict[int, list[int]] = {}
    for index in places:
        number = nodes[index]["parallel_group"]
        if number is not None and number in shared:
            shared[number].append(index)
            continue
        group = [index]
        groups.append(group)
        if number is not None:
            shared[number] = group
    return groups


def _depends(node: Mapping[str, Json], index: int, known: set[str], faults: list[Fault]) -> tuple[str, ...]:
    for id in node["depends_on"]:
        if id == node["id"]:
            faults.append(Fault((index, "depends_on"), "A node cannot depend on itself"))
        elif id not in known:
            faults.append(Fault((index, "depends_on"), f"Unknown node: {id}"))
    return tuple(dict.fromkeys(node["depends_on"]))


def _cycle(nodes: Sequence[Mapping[str, Json]], needs: Mapping[str, tuple[str, ...]]) -> list[Fault]:
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        within = [index for index, node in enumerate(nodes) if node["id"] in cycle and node["depends_on"]]
        return [Fault((within[-1], "depends_on"), f"Cycle: {' -> '.join(cycle)}"[:500])]
    return []


def _ancestors(needs: Mapping[str, tuple[str, ...]]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for id in TopologicalSorter(needs).static_order():
        found[id] = frozenset(needs[id]).union(*(found[each] for each in needs[id]))
    return found
