"""Scopes: what a key may do, and how each dialect calls it. Source: LoopFour contract 2, Flowra contract 2,
AwaitStep contract 2, AITasker contract 2."""

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
        "workflows:deploy",
        "tasks:work",
        "tasks:accept",
        ADMIN,
    }
)
"""The scopes of the core; `admin` includes every other one of its workspace."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A dialect's keys: how their text begins, the core scopes behind each of its own, how many random characters
    there are in the text, and what stands before these in new ones."""

    prefix: str
    scopes: Mapping[str, frozenset[str]]
    characters: int = 32
    infix: str = ""


_OF_FLOWRA = (
    "workflows:read",
    "workflows:write",
    "workflows:execute",
    "runs:read",
    "connections:read",
    "connections:write",
    ADMIN,
)
_OF_AWAITSTEP = {
    "read": frozenset({"workflows:read", "runs:read", "connections:read"}),
    "deploy": frozenset({"workflows:execute", "workflows:deploy"}),
    "write": frozenset({"workflows:write", "connections:write", "secrets:write"}),
    ADMIN: SCOPES,
}
_OF_AITASKER = (
    "workflows:execute",
    "workflows:read",
    "workflows:write",
    "runs:read",
    "tasks:work",
    "tasks:accept",
    ADMIN,
)
DIALECTS: Mapping[str, Dialect] = {
    "loopfour": Dialect("wfk_", {scope: frozenset({scope}) for scope in SCOPES}),
    "awaitstep": Dialect("ask_", _OF_AWAITSTEP, 40),
    "aitasker": Dialect("aitk_", {scope: frozenset({scope}) for scope in _OF_AITASKER}, 40, "live_"),
    "flowra": Dialect("flw_", {scope: frozenset({scope}) for scope in _OF_FLOWRA}, 40),
}
"""By name, in the order in which they answer for a path that the key's own dialect does not serve."""


def granted(dialect: str, scopes: Iterable[str]) -> frozenset[str]:
    """The core scopes that a key of a dialect grants; names that are not known (any more) grant nothing."""
    if ADMIN in (names := list(scopes)):
        return SCOPES
    known = DIALECTS[dialect].scopes if dialect in DIALECTS else {}
    return frozenset().union(*(known.get(name, frozenset()) for name in names))
