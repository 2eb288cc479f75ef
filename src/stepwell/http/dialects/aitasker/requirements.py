"""What must be there when a node begins: the values that its templates name. Source: AITasker contract 7.2."""

import re
from collections.abc import Iterator, Mapping

from stepwell.expressions import CompileFailed, compile_template
from stepwell.http.dialects.aitasker.templates import Place, core_path
from stepwell.values import Json, Path

_TEXTS = ("task_template", "node_config", "input_mapping")
_PARAMS = ("node_config", "params")
_MOST = 1000
_EXPRESSION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_DEFAULT = re.compile(r"\|\s*default\b")


def required(node: Mapping[str, Json], place: Place) -> list[dict[str, Json]]:
    """The values that a node requires, as a step of the core has them, each told of by the name and the place that its
    author gave it. A text with tags decides for itself what is missing, and so does an expression with a default."""
    found: dict[tuple[Path, str], None] = {}
    for field in _TEXTS:
        for where, text in _texts(node[field], (field,)):
            for name in _names(text):
                core = core_path(name, place if field != "input_mapping" else place.outside)
                if core is not None:
                    said = f"{'.'.join(map(str, name))} in {'.'.join(map(str, where))}"
                    found[core, said] = None
    return [{"path": list(path), "as": said[:500]} for path, said in list(found)[:_MOST]]


def _texts(value: Json, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        of_mapping = path[0] == "input_mapping" and len(path) == 2
        if of_mapping and "{" not in value and value.startswith(("trigger.", "nodes.")):
            yield path, f"{{{{{value}}}}}"
        elif "{{" in value:
            yield path, value
    elif isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            if path != _PARAMS or key not in ("code", "expression"):
                yield from _texts(child, (*path, key))


def _names(text: str) -> list[Path]:
    """The names in a text, in their order, but for those that a default stands in for."""
    if "{%" in text:
        return []
    expressions = [each for each in _EXPRESSION.findall(text) if not _DEFAULT.search(each)]
    try:
        return [name for each in expressions for name in _in_order(each)]
    except CompileFailed:
        return []  # told of when the whole is compiled


def _in_order(expression: str) -> list[Path]:
    names = (name for _, name in compile_template(expression).references)
    return sorted(names, key=lambda name: expression.find(str(name[-1])))
