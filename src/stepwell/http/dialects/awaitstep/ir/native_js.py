"""JavaScript of ours in added steps: outputs of the core as values of nodes, and errors as code sees them."""

from collections.abc import Mapping
from typing import Final

from stepwell import values

TOLD: Final = (
    "const __v = (o) => { if (o === null || typeof o !== 'object') return null; "
    "if ('branch' in o && 'value' in o) return __v(o.value); if ('value' in o) return o.value; "
    "if ('ok' in o && 'result' in o) return {ok: o.ok, error: __e(o.error), result: __v(o.result)}; "
    "if ('headers' in o && 'status' in o) return o.data === undefined ? null : o.data; return null; }; "
)
"""`__v`: the value of a node, of what the core keeps as the output of its step. What the core writes differs by its
members, and what nodes give stands in a member of it, so that the two are never mixed up."""

EVENT_OUT: Final = (
    "const {type, payload, receivedAt} = input.event; const plain = payload !== null && typeof payload === 'object' && "
    "!Array.isArray(payload); return {value: {...(plain ? payload : {}), eventType: type, payload, receivedAt}};"
)
CHILD_OUT: Final = (
    "const r = input.result; const own = r !== null && typeof r === 'object' && !Array.isArray(r) && "
    "Object.keys(r).length === 1 && 'value' in r; return {value: own ? r.value : r};"
)


def told_error(renamed: Mapping[str, str]) -> str:
    """`__e`: `{name, message, nodeId}` of an error of the core; `renamed` are the nodes of steps with other ids."""
    return (
        f"const __n = {values.encode(dict(renamed)).decode()}; "
        "const __e = (e) => { if (!e) return null; "
        "const m = /^([A-Za-z_$]*Error): ([\\s\\S]*)$/.exec(e.message); "
        "const thrown = e.code === 'STEP_ERROR'; "
        "const name = e.code === 'EVENT_TIMEOUT' ? 'TimeoutError' : !thrown ? e.code : m ? m[1] : 'Error'; "
        "const text = !thrown ? e.message : (m ? m[2] : e.message).replace(/ \\(line \\d+\\)$/, ''); "
        "const step = String(e.stepId).replace(/(__\\d+)?__(arm|args|cond|out)$/, ''); "
        "return {name, message: text, nodeId: __n[step] || step}; }; "
    )


def value_out(code: str, renamed: Mapping[str, str]) -> str:
    """The code of an added step that gives a value."""
    return f"{told_error(renamed)}{TOLD}return {{value: {code}}};"
