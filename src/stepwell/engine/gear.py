"""The gear: what every walk of an engine works with."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from stepwell.clock import Clock
from stepwell.engine.outlays import Outlays
from stepwell.engine.ports import Environment
from stepwell.engine.watch import Watchers
from stepwell.events import Events
from stepwell.ids import Ids
from stepwell.steps import Ports


class Limits(msgspec.Struct, frozen=True):
    """Bounds of the engine; settings of the section `engine` and `limits`."""

    max_active_runs: int = 1000
    max_open_runs: int = 100_000
    step_output_bytes: int = 10 * 1024 * 1024
    resident_runs: int = 0  # that stay in memory while they wait for a timer due within a minute
    tasks: int = 10_000  # of a workspace that are not done


class Seats:
    """The runs that may stay in memory while they wait."""

    def __init__(self, count: int) -> None:
        self._free = count

    @property
    def free(self) -> bool:
        """One more may stay."""
        return self._free > 0

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a seat."""
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


@dataclass(frozen=True, slots=True)
class Gear:
    """The surroundings of a walk. `stopping` says that the process wants to stop; `signals` wakes a walk that something
    has reached."""

    environment: Environment
    ports: Ports
    clock: Clock
    events: Events
    limits: Limits
    random: Callable[[], float]
    stopping: Callable[[], bool]
    signals: Watchers
    ids: Ids
    seats: Seats
    outlays: Outlays
