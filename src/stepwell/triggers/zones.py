"""Zones: what the clocks of a place show at an instant, and when they show a time. Seconds are epoch seconds."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - to count local times from, which have no zone
SECOND = timedelta(seconds=1)
WEEK_S = 7 * 24 * 3600


class Change(NamedTuple):
    """Clocks are set: at the instant `at` they would show `before` and show `after`."""

    at: int
    before: datetime
    after: datetime

    @property
    def gap(self) -> bool:
        """Local times are left out; otherwise some come twice."""
        return self.after > self.before


class Zone:
    """The clocks of one IANA zone, which must be known."""

    __slots__ = ("_info", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._info = ZoneInfo(name)

    def aware(self, second: int) -> datetime:
        """The local time of an instant, with its offset."""
        return datetime.fromtimestamp(second, self._info)

    def local(self, second: int) -> datetime:
        """What the clocks show at an instant."""
        return self.aware(second).replace(tzinfo=None, fold=0)

    def instants(self, local: datetime) -> tuple[int, ...]:
        """When the clocks show a local time: once, twice, or never."""
        first, second = self._both(local)
        if first == second:
            return (first,)
        return (first, second) if first < second else ()

    def left_out(self, local: datetime) -> Change:
        """The change that leaves a local time out."""
        late, early = self._both(local)
        return self._change(early, late)

    def repeat(self, second: int) -> Change | None:
        """The change that makes the local time of an instant come twice, if one does."""
        first, again = self._both(self.local(second))
        return self._change(first, again) if first < again else None

    def changes(self, after: int, until: int) -> Iterator[Change]:
        """The changes between two instants. Two within a week that cancel each other out are overlooked."""
        while after < until:
            following = min(after + WEEK_S, until)
            if self._offset(after) != self._offset(following):
                yield self._change(after, following)
            after = following

    def _change(self, early: int, late: int) -> Change:
        """The change between two instants with different offsets."""
        old = self._offset(early)
        low, high = early, late
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset(middle) == old:
                low = middle
            else:
                high = middle
        return Change(high, self.local(low) + SECOND, self.local(high))

    def _both(self, local: datetime) -> tuple[int, int]:
        """The instants of a local time by the offsets before and after a change; equal where there is none."""
        shown = local.replace(tzinfo=self._info)
        since_epoch = (local - _EPOCH) // SECOND
        before, after = shown.utcoffset(), shown.replace(fold=1).utcoffset()
        if before is None or after is None:  # never, in a zone
            raise ValueError(self.name)
        return since_epoch - before // SECOND, since_epoch - after // SECOND

    def _offset(self, second: int) -> timedelta | None:
        return datetime.fromtimestamp(second, self._info).utcoffset()


@lru_cache(maxsize=1)
def known() -> frozenset[str]:
    """The names of all zones; read once, as it takes the system some milliseconds."""
    return frozenset(available_timezones())


def alike(name: str) -> str | None:
    """The zone that somebody may have meant."""
    by_lower = {each.lower(): each for each in known()}
    lower = name.lower().replace(" ", "_")
    city = {each.rpartition("/")[2]: each for each in by_lower}
    found = by_lower.get(lower) or by_lower.get(city.get(lower.rpartition("/")[2], ""))
    if found is None and (close := get_close_matches(lower, by_lower, 1, 0.7)):
        found = by_lower[close[0]]
    return found
