"""Connector events as triggers of a definition: which event, with which parameters, looked for how often."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from stepwell.definitions.schemas import compiled
from stepwell.errors import Fault, ValidationFailed
from stepwell.triggers.filters import Filter, compile_filter
from stepwell.values import Json, Path

SHORTEST_INTERVAL_S, LONGEST_INTERVAL_S = 60, 7 * 86_400
DEFAULT_ITEMS, MOST_ITEMS = 100, 1000
SKIP, EMIT = "skip", "emit"

_UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}


class EventSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An event that a connector offers. `params` is the JSON Schema of its parameters, `output` that of what runs get
    as input, with an example; `connection` is one of required, optional and none, `interval_s` how often it is polled
    by default."""

    name: str  # <connector>.<event>
    provider: str
    kind: str  # webhook or poll
    title: str
    description: str | None
    params: Json
    output: Json
    connection: str
    interval_s: int


class EventCatalogue(Protocol):
    """The events that connectors offer."""

    def event_kind(self, name: str) -> str | None:
        """webhook or poll; None if no connector offers an event of that name (`<connector>.<event>`)."""
        ...

    def event(self, name: str) -> EventSpec | None:
        """The event of that name, or None."""
        ...

    def events(self) -> Sequence[EventSpec]:
        """All events, by connector."""
        ...

    def event_filter(self, name: str, params: dict[str, Json]) -> dict[str, Json]:
        """What the parameters of a webhook event ask of a delivery's body; empty if they ask nothing."""
        ...

    def hook_config(self, config: dict[str, Json]) -> dict[str, Json]:
        """The webhook trigger that an event trigger of kind webhook stands for: types, signature scheme and filter. Its
        secrets are those of the trigger's row."""
        ...


class NoEvents:
    """The catalogue where there are no connectors."""

    def event_kind(self, name: str) -> str | None:
        return None

    def event(self, name: str) -> EventSpec | None:
        return None

    def events(self) -> Sequence[EventSpec]:
        return ()

    def event_filter(self, name: str, params: dict[str, Json]) -> dict[str, Json]:
        return {}

    def hook_config(self, config: dict[str, Json]) -> dict[str, Json]:
        return {"type": "webhook"}


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """An event trigger as it was written, defaults filled in. `connection` is an id or a slug; `first` says what is
    done with items that are there at the first look."""

    event: str
    params: dict[str, Json]
    connection: str | None
    interval_s: int
    first: str
    most_items: int
    filter: Filter | None


def compile_event(config: Json, spec: EventSpec) -> Subscription:
    """The subscription that a trigger without faults writes down."""
    written = config.get("interval")
    return Subscription(
        event=spec.name,
        params=config.get("params") or {},
        connection=config.get("connection"),
        interval_s=spec.interval_s if written is None else int(written["value"]) * _UNITS[written["unit"]],
        first=config.get("first") or SKIP,
        most_items=config.get("maxItems") or DEFAULT_ITEMS,
        filter=compile_filter(config["filter"]) if config.get("filter") is not None else None,
    )


def event_faults(config: Json, events: EventCatalogue, path: Path) -> Iterator[Fault]:
    """Everything wrong with an event trigger."""
    name = config.get("event")
    if not isinstance(name, str):
        yield Fault((*path, "event"), "Required" if name is None else "Expected string")
        return
    spec = events.event(name)
    if spec is None:
        yield Fault((*path, "event"), _unknown(name, events))
        return
    yield from _connection_faults(config.get("connection"), spec, (*path, "connection"))
    faults = list(_params_faults(config.get("params", {}), spec, (*path, "params")))
    yield from faults
    yield from _poll_faults(config, spec, path)
    yield from _filter_faults(config, {} if faults else events.event_filter(name, config.get("params") or {}), path)
    if not isinstance(config.get("enabled", True), bool):
        yield Fault((*path, "enabled"), "Expected boolean")


def _unknown(name: str, events: EventCatalogue) -> str:
    """The nearest names, or those of the connector, or all connectors that have any."""
    names = [spec.name for spec in events.events()]
    near = difflib.get_close_matches(name[:200], names, n=3, cutoff=0.7)
    near = near or [each for each in names if each.partition(".")[0] == name.partition(".")[0]]
    if near:
        return f"Unknown event: {name[:200]}. Did you mean {' or '.join(near[:10])}?"
    offering = sorted({each.partition(".")[0] for each in names})
    told = f"; connectors with events: {', '.join(offering)}" if offering else ""
    return f"Unknown event: {name[:200]}. Write <connector>.<event>{told}"


def _connection_faults(reference: Json, spec: EventSpec, path: Path) -> Iterator[Fault]:
    if reference is None:
        return
    if not isinstance(reference, str) or not reference:
        yield Fault(path, "Expected the id or slug of a connection")
    elif spec.connection == "none":
        yield Fault(path, f"{spec.name} uses no connection")


def _params_faults(params: Json, spec: EventSpec, path: Path) -> Iterator[Fault]:
    if not isinstance(params, dict):
        yield Fault(path, "Expected object")
        return
    for fault in compiled(spec.params).faults(params):
        yield Fault((*path, *fault.path), fault.message)
    for place in _templates(params):
        yield Fault((*path, *place), "There is no run yet that a template could read; write the value itself")


def _templates(value: Json, path: Path = ()) -> Iterator[Path]:
    """Where texts with templates stand."""
    if isinstance(value, str) and "{{" in value:
        yield path
    elif isinstance(value, dict):
        for name, child in value.items():
            yield from _templates(child, (*path, name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _templates(child, (*path, index))


def _poll_faults(config: Json, spec: EventSpec, path: Path) -> Iterator[Fault]:
    """The fields that say how an event is looked for."""
    if spec.kind != "poll":
        for name in ("interval", "first", "maxItems"):
            if config.get(name) is not None:
                yield Fault((*path, name), f"Not allowed: {spec.name} is sent by the provider, nothing is polled")
        return
    if (interval := config.get("interval")) is not None:
        yield from _interval_faults(interval, (*path, "interval"))
    if (first := config.get("first")) is not None and first not in (SKIP, EMIT):
        yield Fault((*path, "first"), f"Invalid enum value. Expected '{SKIP}' | '{EMIT}'")
    most = config.get("maxItems")
    if most is not None and not _is_whole(most, 1, MOST_ITEMS):
        yield Fault((*path, "maxItems"), f"Expected a whole number from 1 to {MOST_ITEMS}")


def _interval_faults(interval: Json, path: Path) -> Iterator[Fault]:
    if not isinstance(interval, dict):
        yield Fault(path, 'Expected object, such as {"value": 5, "unit": "minutes"}')
        return
    unit, value = interval.get("unit"), interval.get("value")
    if not isinstance(unit, str) or unit not in _UNITS:
        units = " | ".join(f"'{each}'" for each in _UNITS)
        yield Fault((*path, "unit"), "Required" if unit is None else f"Invalid enum value. Expected {units}")
    elif not isinstance(value, int) or not _is_whole(value, 1, LONGEST_INTERVAL_S):
        yield Fault((*path, "value"), "Required" if value is None else "Expected a whole number of at least 1")
    elif not SHORTEST_INTERVAL_S <= value * _UNITS[unit] <= LONGEST_INTERVAL_S:
        yield Fault((*path, "value"), f"Polled every {SHORTEST_INTERVAL_S} seconds at most, every 7 days at least")


def _filter_faults(config: Json, of_params: dict[str, Json], path: Path) -> Iterator[Fault]:
    written = config.get("filter")
    if written is None:
        return
    try:
        compile_filter(written, (*path, "filter"))
    except ValidationFailed as error:
        yield from error.faults
        return
    for key in written:
        if key in of_params:
            yield Fault((*path, "filter", key), "The trigger's params say this already")


def _is_whole(value: Json, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
