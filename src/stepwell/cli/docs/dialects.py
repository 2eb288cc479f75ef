"""The four dialects side by side: what each calls the core's states, scopes, ids and errors."""

from stepwell.auth import DIALECTS as KEYS
from stepwell.auth import SCOPES
from stepwell.cli.docs.fields import table
from stepwell.http import DIALECTS
from stepwell.states import RunState

_NONE = "-"


def states() -> str:
    """Each state of a run in each dialect's word."""
    rows = [(f"`{state}`", *(_code(dialect.run_states.get(state)) for dialect in DIALECTS)) for state in RunState]
    return table(("Core", *_names()), rows)


def scopes() -> str:
    """Each scope of the core, and which scopes of a dialect's keys grant it."""
    rows = []
    for scope in sorted(SCOPES):
        grants = []
        for dialect in DIALECTS:
            names = [name for name, granted in KEYS[dialect.name].scopes.items() if scope in granted]
            grants.append(_code(next((name for name in names if name != "admin"), names[0] if names else None)))
        rows.append((f"`{scope}`", *grants))
    return table(("Core", *_names()), rows)


def ids() -> str:
    """How each dialect writes the ids of things."""
    things = dict.fromkeys(thing for dialect in DIALECTS for thing in dialect.ids)
    rows = [(thing, *(dialect.ids.get(thing, _NONE) for dialect in DIALECTS)) for thing in things]
    keys = ("key begins with", *(f"`{KEYS[d.name].prefix}{KEYS[d.name].infix}`" for d in DIALECTS))
    return table(("", *_names()), [*rows, keys])


def errors() -> str:
    """The status of each code in each dialect; the codes themselves are seen in the native one only."""
    codes = dict.fromkeys(code for dialect in DIALECTS for code in dialect.statuses)
    rows = [(f"`{code}`", *(str(dialect.statuses.get(code, _NONE)) for dialect in DIALECTS)) for code in sorted(codes)]
    return table(("Code", *_names()), rows)


def _names() -> list[str]:
    return [
        {"loopfour": "LoopFour", "awaitstep": "AwaitStep", "aitasker": "AITasker"}.get(d.name, d.name.title())
        for d in DIALECTS
    ]


def _code(text: str | None) -> str:
    return _NONE if text is None else f"`{text}`"
