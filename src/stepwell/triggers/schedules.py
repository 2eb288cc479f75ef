"""Schedule triggers of a definition: when they are due. Source: LoopFour contract 12."""

import hashlib
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from stepwell.clock import parse_iso
from stepwell.errors import Fault, ValidationFailed
from stepwell.triggers import zones
from stepwell.triggers.cron import Cron, compile_cron
from stepwell.triggers.zones import SECOND, Change, Zone
from stepwell.values import Json, Path

CatchUp = Literal["none", "last", "all"]
Overlap = Literal["allow", "skip", "queue", "cancel"]

_UNITS_MS = {"minutes": 60_000, "hours": 3_600_000, "days": 86_400_000, "weeks": 604_800_000}
_MOST = 525_600
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "catchUp": ("none", "last", "all"),
    "overlap": ("allow", "skip", "queue", "cancel"),
}
_NUMBERS = {"catchUpLimit": (1, 1000), "jitterSeconds": (0, 3600), "pauseAfterFailures": (1, 100)}
_LAST_S = 253_370_764_800  # the year 9999, where the calendar ends


class Due(NamedTuple):
    """An instant at which a schedule fires, and the local time then, with its offset."""

    at_ms: int
    local: str


class Upcoming(NamedTuple):
    """The next instants of a schedule, and what clocks being set does to them, in words."""

    timezone: str
    next: tuple[Due, ...]
    warnings: tuple[str, ...]


class Schedule:
    """A compiled schedule. Instants are epoch ms; `anchor` is where intervals without `startAt` are counted from."""

    def __init__(self, rule: "Cron | int", zone: Zone, config: dict[str, Json]) -> None:
        """`rule` is a cron expression or an interval in ms; `config` has no faults."""
        self._rule = rule
        self._zone = zone
        self._start = _instant(config.get("startAt"))
        self._end = _instant(config.get("endAt"))
        self._jitter_ms: int = config.get("jitterSeconds", 0) * 1000
        self.timezone = zone.name
        self.catch_up: CatchUp = config.get("catchUp", "last")
        self.catch_up_limit: int = config.get("catchUpLimit", 100)
        self.overlap: Overlap = config.get("overlap", "allow")
        self.pause_after: int | None = config.get("pauseAfterFailures")

    def after(self, instant_ms: int, anchor_ms: int) -> int | None:
        """The first instant after another; None if there is none."""
        if isinstance(self._rule, int):
            base = anchor_ms if self._start is None else self._start
            found: int | None = base + max(0, (instant_ms - base) // self._rule + 1) * self._rule
        else:
            since = instant_ms if self._start is None else max(instant_ms, self._start - 1)
            second = self._cron_after(self._rule, since // 1000)
            found = None if second is None else second * 1000
        if found is None or found >= _LAST_S * 1000 or (self._end is not None and found > self._end):
            return None
        return found

    def due_at(self, trigger: str, instant_ms: int) -> int:
        """When the firing of an instant is done: jitter included, always the same for the same trigger and instant, and
        always before the next instant, so that firings keep their order."""
        if not self._jitter_ms:
            return instant_ms
        following = self.after(instant_ms, instant_ms)
        room = self._jitter_ms if following is None else min(self._jitter_ms, following - instant_ms - 1)
        drawn = hashlib.blake2b(f"{trigger}:{instant_ms}".encode(), digest_size=8).digest()
        return instant_ms + int.from_bytes(drawn) % (room + 1)

    def newest(self, since_ms: int, until_ms: int, limit: int) -> tuple[int, ...]:
        """The newest `limit` of the instants from one to another, both included, oldest first; intervals are counted
        from the first. However many there are, only some times `limit` are looked at."""
        width = 1000
        while until_ms - width > since_ms and len(self._within(until_ms - width, since_ms, until_ms, limit)) < limit:
            width *= 2
        low, high = until_ms - width, until_ms - width // 2  # fewer than `limit` come after high
        found = self._within(low, since_ms, until_ms, 4 * limit)
        while len(found) == 4 * limit:  # perhaps more than that: come nearer
            middle = (low + high) // 2
            closer = self._within(middle, since_ms, until_ms, 4 * limit)
            if len(closer) < limit:
                high = middle
            else:
                low, found = middle, closer
        return tuple(found[-limit:])

    def preview(self, now_ms: int, anchor_ms: int, count: int) -> Upcoming:
        """The next `count` instants after now."""
        instants = self._some(now_ms, anchor_ms, _LAST_S * 1000, count)
        shown = tuple(Due(at, self._zone.aware(at // 1000).isoformat()) for at in instants)
        warnings = self._warnings(self._rule, now_ms // 1000, instants) if isinstance(self._rule, Cron) else ()
        return Upcoming(self.timezone, shown, tuple(warnings))

    def _within(self, after_ms: int, since_ms: int, until_ms: int, limit: int) -> list[int]:
        return self._some(max(after_ms, since_ms - 1), since_ms, until_ms, limit)

    def between(self, after_ms: int, until_ms: int, anchor_ms: int) -> list[int]:
        """The instants after one and until another, this one included; there should not be many."""
        return self._some(after_ms, anchor_ms, until_ms, sys.maxsize)

    def _some(self, after_ms: int, anchor_ms: int, until_ms: int, limit: int) -> list[int]:
        found: list[int] = []
        at = self.after(after_ms, anchor_ms)
        while at is not None and at <= until_ms and len(found) < limit:
            found.append(at)
            at = self.after(at, anchor_ms)
        return found

    # -- what clocks do

    def _cron_after(self, cron: Cron, second: int) -> int | None:
        if not -_LAST_S < second < _LAST_S:
            return None
        return self._floating_after(cron, second) if cron.floating else self._fixed_after(cron, second)

    def _floating_after(self, cron: Cron, second: int) -> int | None:
        """Every instant whose local time matches."""
        found = self._showing(cron, self._zone.local(second), second)
        change = self._zone.repeat(second)
        if change is None or second >= change.at or (found is not None and found < change.at):
            return found
        again = self._showing(cron, change.after - SECOND, change.at - 1)
        return found if again is None else again if found is None else min(found, again)

    def _showing(self, cron: Cron, local: datetime, second: int) -> int | None:
        """The first instant after another at which the clocks show a matching time that is later than `local`."""
        while (match := cron.next(local)) is not None:
            shown = self._zone.instants(match)
            for at in shown:
                if at > second:
                    return at
            local = match if shown else self._zone.left_out(match).after - SECOND
        return None

    def _fixed_after(self, cron: Cron, second: int) -> int | None:
        """Every matching local time once: at the first instant that shows it, or if none does after the gap."""
        local = self._zone.local(second)
        if (change := self._zone.repeat(second)) is not None and second >= change.at:
            local = change.before - SECOND  # what comes again has been
        while (match := cron.next(local)) is not None:
            shown = self._zone.instants(match)
            at = shown[0] if shown else self._zone.left_out(match).at
            if at > second:
                return at
            local = match
        return None

    def _warnings(self, cron: Cron, now_s: int, instants: list[int]) -> Iterator[str]:
        if not instants:
            return
        last = instants[-1] // 1000
        for change in self._zone.changes(now_s, last + zones.WEEK_S):
            first, end = sorted((change.before, change.after))
            match = cron.next(first - SECOND)
            if match is None or match >= end:
                continue
            fires = change.at if change.gap else self._zone.instants(match)[0]
            if fires <= last:
                yield self._told(cron, change, match)

    def _told(self, cron: Cron, change: Change, match: datetime) -> str:
        which = "forward" if change.gap else "back"
        said = (
            f"Clocks in {self.timezone} go {which} from {_clock(change.before, change.after)} to "
            f"{_clock(change.after, change.before)} on {change.before - SECOND:%Y-%m-%d}: "
        )
        if cron.floating:
            return said + (
                "times in between do not exist and do not fire." if change.gap else "times in between fire twice."
            )
        time = _clock(match, match)
        if change.gap:
            return said + f"{time} does not exist and fires at {_clock(change.after, match)} instead."
        return said + f"{time} comes twice and fires the first time only."


def compile_schedule(config: Json, path: Path = ("trigger",)) -> Schedule:
    """The schedule that a trigger's config writes down. `path` is where it stands.

    Raises:
        ValidationFailed: with every fault of the config.
    """
    if faults := list(schedule_faults(config, path)):
        raise ValidationFailed("Invalid request", faults)
    config = _given(config)
    zone = Zone(config.get("timezone", "UTC"))
    if "cron" in config:
        return Schedule(compile_cron(config["cron"]), zone, config)
    return Schedule(config["interval"]["value"] * _UNITS_MS[config["interval"]["unit"]], zone, config)


def schedule_faults(config: Json, path: Path) -> Iterator[Fault]:
    """Everything wrong with a schedule trigger."""
    if not isinstance(config, dict):
        yield Fault(path, "Expected object")
        return
    config = _given(config)
    if ("cron" in config) == ("interval" in config):
        found = "both are given" if "cron" in config else "neither is given"
        yield Fault((*path, "cron"), f"A schedule has either cron or interval; {found}")
    if "cron" in config:
        yield from _cron_faults(config["cron"], (*path, "cron"))
    if "interval" in config:
        yield from _interval_faults(config["interval"], (*path, "interval"))
    if "timezone" in config:
        yield from _zone_faults(config["timezone"], (*path, "timezone"))
    for name, choices in _CHOICES.items():
        if name in config and config[name] not in choices:
            yield Fault((*path, name), f"Expected one of {', '.join(choices)}")
    for name, (low, high) in _NUMBERS.items():
        if name in config and not _whole(config[name], low, high):
            yield Fault((*path, name), f"Expected a whole number from {low} to {high}")
    if not isinstance(config.get("enabled", True), bool):
        yield Fault((*path, "enabled"), "Expected boolean")
    yield from _bound_faults(config, path)


def _given(config: dict[str, Json]) -> dict[str, Json]:
    """A config without nulls, which stand for absent fields."""
    return {name: value for name, value in config.items() if value is not None}


def _cron_faults(text: Json, path: Path) -> Iterator[Fault]:
    if not isinstance(text, str):
        yield Fault(path, "Expected string")
        return
    try:
        compile_cron(text, path)
    except ValidationFailed as error:
        yield from error.faults


def _interval_faults(interval: Json, path: Path) -> Iterator[Fault]:
    if not isinstance(interval, dict):
        yield Fault(path, 'Expected object, such as {"value": 15, "unit": "minutes"}')
        return
    if not _whole(interval.get("value"), 1, _MOST):
        yield Fault((*path, "value"), f"Expected a whole number from 1 to {_MOST}")
    if interval.get("unit") not in tuple(_UNITS_MS):
        yield Fault((*path, "unit"), f"Expected one of {', '.join(_UNITS_MS)}")


def _zone_faults(name: Json, path: Path) -> Iterator[Fault]:
    if not isinstance(name, str):
        yield Fault(path, "Expected string")
    elif name not in zones.known():
        close = zones.alike(name[:100])
        hint = f"did you mean {close}?" if close else "expected an IANA name, such as Europe/Berlin"
        yield Fault(path, f"Unknown time zone: {name[:100]}; {hint}")


def _bound_faults(config: dict[str, Json], path: Path) -> Iterator[Fault]:
    unfit = False
    for name in ("startAt", "endAt"):
        if name in config and _instant(config[name]) is None:
            unfit = True
            yield Fault((*path, name), "Expected an ISO 8601 time with its offset, such as 2026-01-15T09:00:00Z")
    start, end = _instant(config.get("startAt")), _instant(config.get("endAt"))
    if not unfit and start is not None and end is not None and end <= start:
        yield Fault((*path, "endAt"), "endAt must be after startAt")


def _whole(value: Json, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _instant(text: Json) -> int | None:
    """Epoch ms of an ISO time that names its offset."""
    try:
        if not isinstance(text, str) or datetime.fromisoformat(text).tzinfo is None:
            return None
        return parse_iso(text)
    except (ValueError, OverflowError):
        return None


def _clock(moment: datetime, beside: datetime) -> str:
    """A local time in words, with the day if another time beside it is of another day."""
    day = f"{moment:%Y-%m-%d} " if abs(moment - beside) >= timedelta(hours=20) else ""
    return f"{day}{moment:%H:%M:%S}" if moment.second else f"{day}{moment:%H:%M}"
