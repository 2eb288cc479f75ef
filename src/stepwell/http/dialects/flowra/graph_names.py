"""Names of a graph in the core: the step of each node, and the step that decides whether it runs."""

import re
from collections.abc import Iterable

LONGEST = 120  # of a step id, so that what is put behind it still fits
_STEP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


def step_names(nodes: Iterable[str]) -> list[str]:
    """The step id of each node: its own id where that is one and nobody else's, else `node_<index>`."""
    listed = list(nodes)
    own = {id for id in listed if fits(id)}
    taken: set[str] = set()
    names = []
    for index, id in enumerate(listed):
        name = id if fits(id) and id not in taken else free(f"node_{index}", own | taken)
        taken.add(name)
        names.append(name)
    return names


def gate_names(steps: Iterable[str]) -> dict[str, str]:
    """The id of the step that decides whether a step runs: `<step>__in`, or more underscores where that is a step's."""
    taken = set(steps)
    gates: dict[str, str] = {}
    for step in sorted(taken):
        gates[step] = free(f"{step}__in", taken)
        taken.add(gates[step])
    return gates


def fits(id: str) -> bool:
    """Whether a node's id can be a step's."""
    return len(id) <= LONGEST and _STEP.fullmatch(id) is not None


def free(name: str, taken: set[str]) -> str:
    """The name, with as many underscores behind it as make it nobody else's."""
    while name in taken:
        name += "_"
    return name
