"""Nodes become native definitions: one step each, all at the top. Source: AITasker contract 7.1, 7.2."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from stepwell.errors import Fault
from stepwell.http.dialects.aitasker.names import step_id
from stepwell.http.dialects.aitasker.ordering import Order, ordered
from stepwell.http.dialects.aitasker.requirements import required
from stepwell.http.dialects.aitasker.templates import Local, Place, Wrong, is_name, local, translated
from stepwell.http.dialects.aitasker.transforms import OPERATIONS, shaped
from stepwell.values import Json, Path

Node = Mapping[str, Json]

MOST_NODES = 200
HTTP, WEBHOOK = "http", "webhook"
_HTTP_PARTS = ("method", "url", "headers", "params", "body")
_RETRIES: Json = {
    "initialDelayMs": 1000,
    "maxDelayMs": 60_000,
    "backoffMultiplier": 2,
    "retryOn": "any",
}
_NOTHING: Json = {"type": "transform", "config": {"mapping": {}}}  # so that the other nodes can still be compiled


class Acceptance(msgspec.Struct, frozen=True):
    """Whether deliveries of task nodes are accepted by themselves, and when."""

    auto: bool = False
    preferences: Mapping[str, Json] = {}


class Compiled(msgspec.Struct, frozen=True):
    """What nodes come to: the native fields `steps`, `output` and `variables`, and faults, whose paths begin with the
    node's place in the list. `places` lead from parts of a step to those of its node."""

    fields: dict[str, Json]
    faults: list[Fault]
    origins: tuple[int, ...]
    places: tuple[Mapping[Path, Path], ...]

    def place(self, path: Path) -> Path | None:
        """Where in the nodes a place of the native definition comes from; None if from none of them."""
        if path[:1] != ("steps",) or len(path) < 2 or not isinstance(path[1], int):
            return None
        node, rest = self.origins[path[1]], path[2:]
        for found, its in sorted(self.places[path[1]].items(), key=lambda each: -len(each[0])):
            if rest[: len(found)] == found:
                return (node, *its, *rest[len(found) :])
        return (node,)


def compile_nodes(nodes: Sequence[Node], acceptance: Acceptance) -> Compiled:
    """Compile the nodes of a workflow. The native definition is still to be compiled by the core, and its faults to be
    told at their `place`."""
    return _Compiler(nodes, acceptance, ordered(nodes)).compile()


def givens(nodes: Sequence[Node]) -> dict[str, dict[str, Json]]:
    """The input_mapping of each node, as the core renders it."""
    return _Compiler(nodes, Acceptance(), ordered(nodes)).givens()


def suffix(node: Node) -> str:
    """What leads from the output of a node's step to that of the node."""
    config = node["node_config"] or {}
    match node["node_type"]:
        case "api_call":
            return ".data" if config.get("provider") == HTTP else ""
        case "distribution":
            return ".data" if config.get("platform") == WEBHOOK else ""
        case "transform":
            operation = config.get("operation")
            return "" if operation == "template" else ".items" if operation in ("filter", "map") else ".value"
    return ""


class _Compiler:
    """One reading of one list of nodes."""

    def __init__(self, nodes: Sequence[Node], acceptance: Acceptance, order: Order) -> None:
        self._nodes = nodes
        self._acceptance = acceptance
        self._order = order
        self._faults = list(order.faults)
        self._variables: dict[str, Json] = {}
        self._positions: dict[str, str | None] = {}
        for node in nodes:
            key = str(node["position"])
            self._positions[key] = None if key in self._positions else node["id"]
        self._outputs = {node["id"]: f"steps.{step_id(node['id'])}.output{suffix(node)}" for node in nodes}

    def compile(self) -> Compiled:
        if len(self._nodes) > MOST_NODES:
            self._faults.append(Fault((), f"More than {MOST_NODES} nodes"))
            return Compiled({"steps": []}, self._faults, (), ())
        sound = not self._order.faults
        steps, places = [], []
        for index in self._order.sorted:
            step, its = self._step(index)
            step["needs"] = [step_id(id) for id in self._order.needs[self._nodes[index]["id"]]] if sound else []
            steps.append(step)
            places.append(its)
        output = {id: f"{{{{{self._outputs[id]}}}}}" for id in self._order.last}
        fields: dict[str, Json] = {"steps": steps, "output": output or None, "variables": self._variables or None}
        return Compiled(fields, self._faults, self._order.sorted, tuple(places))

    def givens(self) -> dict[str, dict[str, Json]]:
        """The input_mapping of each node, as the core renders it."""
        named = {node["id"]: self._names(index, self._place(node)) for index, node in enumerate(self._nodes)}
        return {id: {name: its.given for name, its in names.items()} for id, names in named.items()}

    def _step(self, index: int) -> tuple[dict[str, Json], dict[Path, Path]]:
        node = self._nodes[index]
        place = self._place(node)
        names = self._names(index, place)
        reading = _Reading(index, node, msgspec.structs.replace(place, names=names), self._faults)
        match node["node_type"]:
            case "task":
                made, places = self._task(reading)
            case "api_call":
                made, places = _provided(reading, "provider", HTTP, None)
            case "distribution":
                made, places = _provided(reading, "platform", WEBHOOK, "publish")
            case _:
                made, places = _transformed(reading)
        step = {"id": step_id(node["id"]), **made}
        if node["node_type"] == "task" and isinstance(title := (node["task_template"] or {}).get("title"), str):
            step["name"] = title[:255] or step["id"]
        config = node["node_config"] or {}
        for name, field, scale in (("costCents", "costCents", 1), ("timeoutSeconds", "timeoutMs", 1000)):
            if (given := config.get(name)) is not None:
                if isinstance(given, bool) or not isinstance(given, int | Decimal):
                    reading.fault(("node_config", name), "Expected number")
                else:
                    step[field] = given if scale == 1 else int(given * scale)
        step["retryConfig"] = {"maxAttempts": node["max_retries"] + 1, **_RETRIES}
        if wanted := required(node, reading.place):
            step["requires"] = wanted
        beside: dict[Path, Path] = {
            ("timeoutMs",): ("node_config", "timeoutSeconds"),
            ("costCents",): ("node_config", "costCents"),
        }
        return step, {**places, **beside}

    def _place(self, node: Node) -> Place:
        known = frozenset(self._outputs)
        if self._order.faults:  # of order: what comes before is not known, so that nothing more is told of it
            return Place(self._outputs, self._positions, known)
        before = self._order.before[node["id"]]
        return Place({id: self._outputs[id] for id in self._outputs if id in before}, self._positions, known)

    def _names(self, index: int, place: Place) -> dict[str, Local]:
        """What the names of a node's input_mapping stand for."""
        node = self._nodes[index]
        names: dict[str, Local] = {}
        for name, value in (node["input_mapping"] or {}).items():
            if not is_name(name):
                self._faults.append(Fault((index, "input_mapping", name), "Expected a name: letters, digits and _"))
                continue
            wrong: Wrong = []
            variable = step_id(node["id"])
            its, constant = local(value, place, f"variables.{variable}.{name}", wrong, ("input_mapping", name))
            if constant:
                self._variables.setdefault(variable, {})[name] = value
            names[name] = its
            self._faults.extend(Fault((index, *path), message) for path, message in wrong)
        return names

    def _task(self, reading: "_Reading") -> tuple[dict[str, Json], dict[Path, Path]]:
        template = reading.node["task_template"]
        if not template:
            reading.fault(("task_template",), "Required")
        elif template.get("title") is None:
            reading.fault(("task_template", "title"), "Required")
        auto, preferences = self._acceptance.auto, self._acceptance.preferences
        config: dict[str, Json] = {
            "template": reading.translated(template or {"title": "-"}, ("task_template",)),
            "input": reading.given(),
            "autoAccept": auto,
        }
        limits = {"minScore": preferences.get("min_score"), "maxCostCents": preferences.get("max_cost_cents")}
        if wanted := {name: value for name, value in limits.items() if value is not None}:
            config["acceptance"] = wanted
        places: dict[Path, Path] = {("config", "template"): ("task_template",), ("config", "input"): ("input_mapping",)}
        return {"type": "task", "config": config}, places


class _Reading:
    """One node as it is compiled."""

    def __init__(self, index: int, node: Node, place: Place, faults: list[Fault]) -> None:
        self.node = node
        self.config: dict[str, Json] = node["node_config"] or {}
        self._index = index
        self.place = place
        self._faults = faults

    def params(self) -> dict[str, Json]:
        """The `params` of the node's config."""
        params = self.config.get("params")
        if params is None:
            return {}
        if not isinstance(params, dict):
            self.fault(("node_config", "params"), "Expected object")
            return {}
        return params

    def given(self) -> dict[str, Json]:
        """The input_mapping, as the core renders it."""
        return {name: its.given for name, its in self.place.names.items()}

    def translated(self, value: Json, path: Path) -> Json:
        """A value of the node with its templates as the core writes them."""
        wrong: Wrong = []
        core = translated(value, self.place, wrong, path)
        for where, message in wrong:
            self.fault(where, message)
        return core

    def fault(self, path: Path, message: str) -> None:
        """Note something wrong at a place of the node."""
        self._faults.append(Fault((self._index, *path), message))


PARAMS: Path = ("node_config", "params")


def _provided(
    reading: _Reading, member: str, direct: str, default: str | None
) -> tuple[dict[str, Json], dict[Path, Path]]:
    """A request that the server sends itself, or an action of a connector."""
    provider = reading.config.get(member)
    if not isinstance(provider, str) or not provider:
        reading.fault(("node_config", member), "Required" if provider in (None, "") else "Expected string")
        return dict(_NOTHING), {}
    params = reading.params()
    if provider == direct:
        if provider == WEBHOOK:
            params = {"method": "POST", "body": params.get("payload"), "url": params.get("url")}
        written = {name: params[name] for name in _HTTP_PARTS if params.get(name) is not None}
        if "url" not in written:
            reading.fault((*PARAMS, "url"), "Required")
            return dict(_NOTHING), {}
        places: dict[Path, Path] = {("config",): PARAMS}
        if provider == WEBHOOK:
            places["config", "body"] = (*PARAMS, "payload")
        return {"type": "api", "config": reading.translated(written, PARAMS)}, places
    operation = params.get("operation", default)
    if not isinstance(operation, str) or not operation:
        reading.fault((*PARAMS, "operation"), "Required" if operation in (None, "") else "Expected string")
        return dict(_NOTHING), {}
    rest = {name: value for name, value in params.items() if name != "operation"}
    step = {"type": "action", "action": f"{provider}.{operation}", "config": reading.translated(rest, PARAMS)}
    return step, {("config",): PARAMS, ("action",): (*PARAMS, "operation")}


def _transformed(reading: _Reading) -> tuple[dict[str, Json], dict[Path, Path]]:
    operation = reading.config.get("operation")
    if not isinstance(operation, str) or operation not in OPERATIONS:
        wanted = " | ".join(f"'{each}'" for each in OPERATIONS)
        words = "Required" if operation is None else f"Invalid enum value. Expected {wanted}, received something else"
        reading.fault(("node_config", "operation"), words)
        return dict(_NOTHING), {}

    def translate(value: Json, path: Path) -> Json:
        return reading.translated(value, (*PARAMS, *path))

    def fault(path: Path, message: str) -> None:
        reading.fault((*PARAMS, *path), message)

    made = shaped(operation, reading.params(), reading.given(), translate, fault)
    if made is None:
        return dict(_NOTHING), {}
    places: dict[Path, Path] = {("config", name): (*PARAMS, *path) for name, path in made.places.items()}
    return {"type": made.type, "config": made.config}, {("config",): PARAMS, **places}
