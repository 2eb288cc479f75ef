"""Scopes: what a key may do, and how each dialect calls it. Source: LoopFour contract 2, Flowra contract 2."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ADMIN = "admin"
SCOPES = frozenset(
    {
        "workflows:read",
        "workflows:write",
        "workflows:execute",
        "runs:read",
        "runs:write",
        "connections:read",
        "connections:write",
        "secrets:write",
        ADMIN,
    }
)
"""The scopes of the core; `admin` includes every other one of its workspace."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A dialect's keys: how their text begins, the core scopes behind each of its own, and how many random characters
    there are in the text."""

    prefix: str
    scopes: Mapping[str, frozenset[str]]
    characters: int = 32


_OF_FLOWRA = (
    "workflows:read",
    "workflows:write",
    "workflows:execute",
    "runs:read",
    "connections:read",
    "connections:write",
    ADMIN,
)
DIALECTS: Mapping[str, Dialect] = {
    "loopfour": Dialect("wfk_", {scope: frozenset({scope}) for scope in SCOPES}),
    "flowra": Dialect("flw_", {scope: frozenset({scope}) for scope in _OF_FLOWRA}, 40),
}


def granted(dialect: str, scopes: Iterable[str]) -> frozenset[str]:
    """The core scopes that a key of a dialect grants; names that are not known (any more) grant nothing."""
    if ADMIN in (names := list(scopes)):
        return SCOPES
    known = DIALECTS[dialect].scopes if dialect in DIALECTS else {}
    return frozenset().union(*(known.get(name, frozenset()) for name in names))
