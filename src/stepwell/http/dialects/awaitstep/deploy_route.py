"""Addresses that functions and http triggers are deployed under. Source: AwaitStep contract 8."""

import re
from collections.abc import Iterator
from typing import Final

from stepwell import ids
from stepwell.errors import Fault
from stepwell.http.dialects.awaitstep.wire_workflows import Object
from stepwell.values import Json, Path

_SEGMENT: Final = re.compile(r"[a-z0-9][a-z0-9._~-]{0,99}")
_MOST: Final = 8


def route_faults(given: Json, host: str, at: Path) -> Iterator[Fault]:
    """What is wrong with a route; `host` is where the server is reached."""
    if given is None:
        return
    if not isinstance(given, dict):
        yield Fault(at, "Expected an object with a pattern")
        return
    pattern = given.get("pattern")
    at = (*at, "pattern")
    if not isinstance(pattern, str) or not pattern:
        yield Fault(at, "Required" if pattern is None else "Expected a path such as orders/total")
        return
    named, segments = _parts(pattern)
    if named and named != host:
        yield Fault(at, f"{named[:100]} is no host of this server; write {host} or leave the host out")
    if segments and segments[-1] == "*":
        segments = segments[:-1]
    if not 1 <= len(segments) <= _MOST:
        yield Fault(at, f"Expected 1 to {_MOST} segments, perhaps with /* behind them")
    elif not all(map(_SEGMENT.fullmatch, segments)):
        yield Fault(at, "A segment has lower-case letters, digits, . _ ~ and -")
    elif ids.parse(segments[0].removeprefix("wf_")) is not None:
        yield Fault(at, "The first segment may not be an id")


def address(config: Object) -> str | None:
    """The address of settings without faults: its segments below `/fn/`, the last of them `*` if more may follow."""
    route = config.get("route")
    return None if route is None else "/".join(_parts(route["pattern"])[1])


def _parts(pattern: str) -> tuple[str, list[str]]:
    """The host of a pattern, empty if it has none, and its segments. Only a first segment with a dot or a port before
    further ones is a host."""
    first, slash, rest = pattern.partition("/")
    if first and slash and ("." in first or ":" in first):
        return first.lower(), rest.split("/")
    return "", pattern.removeprefix("/").split("/")
