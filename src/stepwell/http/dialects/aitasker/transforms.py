"""What a transform node does, by operation, as a step of the core. Source: AITasker contract 7.1."""

from collections.abc import Callable, Mapping

import msgspec

from stepwell.values import Json, Path

LISTED = "items"
_EACH = "const all = (source, change) => Array.isArray(source) ? source.map(change) : change(source);\n"
_SCRIPTS: Mapping[str, str] = {
    "pick": _EACH
    + "const own = (item, name) => item !== null && typeof item === 'object' && Object.hasOwn(item, name);\n"
    + "return {value: all(input.source, (item) => Object.fromEntries("
    + "input.fields.filter((name) => own(item, name)).map((name) => [name, item[name]])))};",
    "rename": _EACH
    + "const to = (name) => Object.hasOwn(input.names, name) ? input.names[name] : name;\n"
    + "const named = (item) => item === null || typeof item !== 'object' ? item : "
    + "Object.fromEntries(Object.entries(item).map(([name, value]) => [to(name), value]));\n"
    + "return {value: all(input.source, named)};",
    "merge": "const lists = input.sources.length > 0 && input.sources.every(Array.isArray);\n"
    + "return {value: lists ? input.sources.flat() : Object.assign({}, ...input.sources)};",
    "join": "const text = (item) => item !== null && typeof item === 'object' ? JSON.stringify(item) : "
    + "item === null ? '' : String(item);\n"
    + "if (!Array.isArray(input.source)) throw new Error('source: Expected array');\n"
    + "return {value: input.source.map(text).join(input.separator ?? ', ')};",
}
_PARAMS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "pick": {"source": (dict, list, str), "fields": (list,)},
    "rename": {"source": (dict, list, str), "names": (dict,)},
    "merge": {"sources": (list,)},
    "template": {"mapping": (dict,)},
    "join": {"source": (list, str)},
    "filter": {"source": (list, str), "expression": (str,)},
    "map": {"source": (list, str), "expression": (str,)},
    "code": {"code": (str,)},
}
_WORDS: Mapping[type, str] = {dict: "Expected object", list: "Expected array", str: "Expected string"}
OPERATIONS = tuple(_PARAMS)

Fault = Callable[[Path, str], None]
Translate = Callable[[Json, Path], Json]


class Shaped(msgspec.Struct, frozen=True):
    """A step without its id: type and config; `places` lead from members of the config to where they come from below
    `params`."""

    type: str
    config: dict[str, Json]
    places: Mapping[str, Path] = {}


def shaped(operation: str, params: dict[str, Json], given: Json, translate: Translate, fault: Fault) -> Shaped | None:
    """The step of an operation; None if its params have faults, which are told below `params`. `given` is what code
    sees as `input`; `translate` makes a value's templates the core's."""
    wrong = [(name, _misfit(params.get(name), kinds)) for name, kinds in _PARAMS[operation].items()]
    for name, words in wrong:
        if words is not None:
            fault((name,), words)
    if operation == "join" and not isinstance(params.get("separator", ""), str):
        fault(("separator",), "Expected string")
    if any(words is not None for _, words in wrong):
        return None
    if operation == "template":
        return Shaped("transform", {"mapping": translate(params["mapping"], ("mapping",))})
    if operation == "code":
        return _script(f"return (async (input) => {{{params['code']}\n}})(input)" + _VALUE, given, {"code": ("code",)})
    if operation in ("filter", "map"):
        field = "where" if operation == "filter" else "select"
        source = translate(params["source"], ("source",))
        config = {LISTED: source, field: params["expression"]}
        return Shaped("transform", config, {LISTED: ("source",), field: ("expression",)})
    members = [*_PARAMS[operation], *(["separator"] if operation == "join" and "separator" in params else [])]
    return _script(_SCRIPTS[operation], {name: translate(params[name], (name,)) for name in members}, {"input": ()})


_VALUE = ".then((value) => ({value: value === undefined ? null : value}));"


def _script(code: str, given: Json, places: Mapping[str, Path]) -> Shaped:
    return Shaped("code", {"language": "javascript", "code": code, "input": given}, places)


def _misfit(value: Json, kinds: tuple[type, ...]) -> str | None:
    if value is None:
        return "Required"
    if isinstance(value, str) and str in kinds and kinds != (str,) and "{" not in value:
        return _WORDS[kinds[0]]  # a text stands there only for what its template gives
    return None if isinstance(value, kinds) else _WORDS[kinds[0]]
