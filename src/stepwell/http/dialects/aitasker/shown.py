"""The nodes of any workflow, and what they were given and gave in a run. Source: AITasker contract 1, 5, 7."""

from collections.abc import Mapping

import msgspec

from stepwell import values
from stepwell.core import RunView, StepView
from stepwell.errors import StepError
from stepwell.expressions import CompileFailed, compile_template
from stepwell.http.dialects.aitasker.compiler import givens, suffix
from stepwell.http.dialects.aitasker.names import DIALECT, node_id, step_id
from stepwell.http.dialects.aitasker.ordering import by_position
from stepwell.states import RecordStatus
from stepwell.values import Json

Document = Mapping[str, Json]

_TYPES = {
    "task": "task",
    "action": "api_call",
    "api": "api_call",
    "email": "distribution",
    "slack": "distribution",
    "code": "transform",
    "transform": "transform",
}
_UNTOLD: Json = {
    "parallel_group": None,
    "depends_on": [],
    "task_template": None,
    "node_config": None,
    "input_mapping": None,
    "max_retries": 0,
}


class ShownNode(msgspec.Struct, frozen=True):
    """One node: its id, its step, and its fields as they are stored. Of a workflow that was written in another dialect,
    `own` is False and the fields are only what a step has of them."""

    id: str
    step: str
    fields: Mapping[str, Json]
    own: bool = True
    given: Json = None  # the input_mapping as the core renders it
    variables: Json = None  # the constants of the version

    @property
    def title(self) -> str:
        """How a person calls it."""
        return str((self.fields.get("task_template") or {}).get("title") or self.fields.get("name") or self.id)


def source_of(document: Document) -> dict[str, Json] | None:
    """What the dialect keeps beside a definition of its own."""
    source = document.get("source")
    return source if isinstance(source, dict) and source.get("dialect") == DIALECT else None


def nodes_of(workflow: str, document: Document, types: Mapping[str, str]) -> list[ShownNode]:
    """The nodes of a version by position. Of a workflow that was written elsewhere every step is one, `types` being
    those of its steps."""
    source = source_of(document)
    if source is not None:
        nodes: list[dict[str, Json]] = source["nodes"]
        given = givens(nodes) if any(node["input_mapping"] for node in nodes) else {}
        variables = document.get("variables") or {}
        return [
            ShownNode(node["id"], step_id(node["id"]), node, given=given.get(node["id"]), variables=variables)
            for node in (nodes[at] for at in by_position(nodes))
        ]
    steps = _steps(document)
    return [_of_step(workflow, id, types[id], at, steps.get(id, {})) for at, id in enumerate(types)]


def input_data(node: ShownNode, step: StepView | None, view: RunView) -> dict[str, Json]:
    """What a node was given: its input_mapping as it was resolved, with `task` or `params` as rendered; of a step of
    another dialect its config as `params`. Empty until the node starts."""
    if step is None or step.started_at is None or step.status is RecordStatus.SKIPPED:
        return {}
    recorded = _json(step.input)
    if not isinstance(recorded, dict):
        return {}
    if not node.own:
        return {"params": recorded}
    if node.fields["node_type"] == "task":
        return {**(recorded.get("input") or {}), "task": recorded.get("template") or {}}
    return {**_mapped(node, view), "params": _params(node, recorded)}


def output_data(node: ShownNode, step: StepView | None) -> dict[str, Json]:
    """What a node gave, if it is done; a value that is no object is wrapped. Of a failed one, why."""
    if step is None or step.status not in (RecordStatus.SUCCESS, RecordStatus.ERROR):
        return {}
    if step.status is RecordStatus.ERROR:
        error = step.error
        code, message = ("STEP_ERROR", "") if error is None else (error.code, error.message)
        return {"error": {"message": message, "code": code, "attempts": step.attempt}}
    value = _json(step.output)
    if node.own and (member := suffix(node.fields)):
        value = value.get(member[1:]) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {"value": value}


def retries(step: StepView | None, view: RunView) -> int:
    """How many retries a node has used."""
    if step is None:
        return 0
    tasks = [task for task in getattr(view, "tasks", ()) if task.path == step.path]
    return max(0, (tasks[-1].attempt if tasks else step.attempt) - 1)


def _params(node: ShownNode, recorded: dict[str, Json]) -> Json:
    config = node.fields["node_config"] or {}
    if node.fields["node_type"] != "transform":
        return recorded
    match config.get("operation"):
        case "template":
            return recorded
        case "filter" | "map":
            return {"source": recorded.get("items"), "expression": config["params"]["expression"]}
        case "code":
            return {"code": config["params"]["code"]}
    return recorded.get("input")


def _mapped(node: ShownNode, view: RunView) -> dict[str, Json]:
    """The input_mapping of a node, resolved once more: whatever it names was final before the node began."""
    if not node.given:
        return {}
    outputs = {step.step: {"output": _json(step.output)} for step in view.steps if step.path == step.step}
    scope = {"input": _json(view.input), "steps": outputs, "variables": node.variables}
    found: dict[str, Json] = {}
    for name, value in node.given.items():
        try:
            found[name] = _rendered(value, scope)
        except (CompileFailed, StepError):
            found[name] = None
    return found


def _rendered(value: Json, scope: Mapping[str, Json]) -> Json:
    if isinstance(value, dict):
        return {name: _rendered(child, scope) for name, child in value.items()}
    if isinstance(value, list):
        return [_rendered(child, scope) for child in value]
    return compile_template(value).render(scope) if isinstance(value, str) else value


def _of_step(workflow: str, id: str, type: str, position: int, step: Mapping[str, Json]) -> ShownNode:
    config = step.get("config")
    fields = {
        **_UNTOLD,
        "id": node_id(workflow, id),
        "position": position,
        "node_type": _TYPES.get(type, type),
        "node_config": config if isinstance(config, dict) else {},
        "name": step.get("name") or id,
    }
    return ShownNode(fields["id"], id, fields, own=False)


def _steps(document: Document) -> dict[str, Mapping[str, Json]]:
    """The steps of a document by id, nested ones included."""
    found: dict[str, Mapping[str, Json]] = {}
    left: list[Json] = [document.get("steps")]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if isinstance(value.get("id"), str) and isinstance(value.get("type"), str):
                found.setdefault(value["id"], value)
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)
    return found


def _json(raw: msgspec.Raw) -> Json:
    return values.decode(bytes(raw))
