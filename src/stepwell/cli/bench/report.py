"""What a bench tells: one figure after the other."""

from collections.abc import Callable
from typing import NamedTuple


class Figure(NamedTuple):
    """One line of the report. `floor` is what the ratio is of; `met` None where there is no goal."""

    name: str
    value: float
    unit: str
    goal: str = ""
    met: bool | None = None
    floor: str = ""
    ratio: float | None = None


Report = Callable[[Figure], None]
