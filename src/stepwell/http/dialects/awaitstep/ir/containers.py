"""Nodes that hold others: what steps of the core each becomes. Source: AwaitStep contract 10.2."""

import re
from collections.abc import Callable
from typing import Final

import msgspec

from stepwell.http.dialects.awaitstep.ir import nodes
from stepwell.http.dialects.awaitstep.ir.js_names import GIVEN, WORDS
from stepwell.http.dialects.awaitstep.ir.native_js import told_error, value_out
from stepwell.http.dialects.awaitstep.ir.nodes import Compiled, ValuePath
from stepwell.http.dialects.awaitstep.ir.shape import Node
from stepwell.http.dialects.awaitstep.ir.structure import RESERVED, Arm, Item, branches, walk
from stepwell.http.dialects.awaitstep.ir.workshop import Args, Code, Place, Step, Workshop
from stepwell.values import Json

MAX_TURNS: Final = 10_000
LOOPS: Final = ("forEach", "times", "while")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class Builder:
    """Compiles a tree. `values` are the core's paths to the values of nodes, by id; `origins` the node of each step."""

    def __init__(self, shop: Workshop, items: tuple[Item, ...]) -> None:
        self._shop = shop
        self._items = items
        self._last = frozenset(may_end(items))
        self._renamed = {node.step: node.id for node in shop.nodes.values() if node.step != node.id}
        self.values: dict[str, ValuePath] = {}
        self.origins: dict[str, str] = {}

    def build(self) -> list[Step]:
        """The steps of the whole tree."""
        return self.items(self._items, Place())

    def alone(self, node: Node, place: Place) -> None:
        """Find what is wrong with a node whose place in the tree is not known."""
        counts = {"branch": len(branches(node)), "try_catch": 3}
        arms = (Arm(""),) * counts.get(node.type, 1)
        if arms:
            self._item(Item(node, arms), place)

    def items(self, items: tuple[Item, ...], place: Place) -> list[Step]:
        """The steps of a list of items that run one after the other."""
        steps: list[Step] = []
        place = msgspec.structs.replace(place, before=None)
        for item in items:
            steps.extend(self._item(item, place))
            place = self._after((item,), place)
            if item.node.type != "break":
                before = None if item.node.type == "branch" else self.values[item.node.id]
                place = msgspec.structs.replace(place, before=before)
        return steps

    def _after(self, items: tuple[Item, ...], place: Place) -> Place:
        """What is seen once items have run: they and all that they hold."""
        seen = {each.node.id: self.values[each.node.id] for each in walk(items)}
        return msgspec.structs.replace(place, visible={**place.visible, **seen})

    def _item(self, item: Item, place: Place) -> list[Step]:
        node = item.node
        inside = msgspec.structs.replace(place, around=(*place.around, node.id), root=False)
        forms: dict[str, Callable[[Item, Place, Place], Compiled]] = {
            "branch": self._branch,
            "parallel": self._parallel,
            "race": self._race,
            "try_catch": self._try,
            "loop": self._loop,
        }
        if node.type in forms:
            steps, value = forms[node.type](item, place, inside)
        elif node.type == "http_request":
            out = place.root and node.id in self._last
            steps, value = nodes.http_request(self._shop, node, place, out=out)
        else:
            steps, value = nodes.LEAVES[node.type](self._shop, node, place)
        self.values[node.id] = value
        for step in steps:
            self.origins.setdefault(step["id"], node.id)
            if step["id"] == node.step:
                step["name"] = node.name[:255]
        return steps

    # -- branch

    def _branch(self, item: Item, place: Place, inside: Place) -> Compiled:
        node = item.node
        inside = msgspec.structs.replace(inside, root=place.root)
        made = Code(self._shop, node, place)
        listed = []
        for index, (_, condition) in enumerate(branches(node)):
            if condition.strip():
                code = made.script(condition, ("data", "branches", index, "condition"), expression=True)
                listed.append(f"() => (\n{code}\n)")
            else:
                listed.append("() => true")
        text = f"const arms = [{', '.join(listed)}]; const arm = arms.findIndex((holds) => Boolean(holds())); "
        some = not branches(node)[-1][1].strip()
        if not some:
            self._shop.warn(node, "The branch has no else; nothing runs if no condition holds")
        decided = made.step(f"{node.step}__arm", lambda: f"{text}return {{arm: arm < 0 ? arms.length : arm}};")
        ways = [self.items(arm.items, inside) for arm in item.arms]
        if not some or len(ways) == 1:
            ways.append([])
        chosen = self._chosen(node, ways, 0)
        for each in chosen:
            self.origins[each["id"]] = node.id
        return [decided, *chosen], ("steps", node.step, "output", "value")

    def _chosen(self, node: Node, ways: list[list[Step]], first: int) -> list[Step]:
        """Conditions that lead to the way of that number, the number of the first way given."""
        if len(ways) == 1:
            return ways[0]
        half = 1 if len(ways) <= 3 else len(ways) // 2
        id = node.step if first == 0 and node.step not in self.origins else f"{node.step}__{first}_{len(ways)}__cond"
        self.origins[id] = node.id
        compared = f"== {first}" if half == 1 else f"< {first + half}"
        config: Step = {"expression": f'steps["{node.step}__arm"].output.arm {compared}'}
        config["then"] = self._chosen(node, ways[:half], first)
        if otherwise := self._chosen(node, ways[half:], first + half):
            config["else"] = otherwise
        return [{"id": id, "type": "condition", "config": config}]

    # -- parallel and race

    def _parallel(self, item: Item, place: Place, inside: Place) -> Compiled:
        node = item.node
        inside = msgspec.structs.replace(inside, breaks=False)
        arms: list[Json] = []
        for index, arm in enumerate(item.arms):
            id = f"{node.step}__{index}__arm"
            caught = _constant(f"{node.step}__{index}__out")
            tried: Step = {"steps": self._held(node, arm, inside, f"{node.step}__{index}__args"), "catch": [caught]}
            self.origins |= {id: node.id, caught["id"]: node.id}
            arms.append({"id": str(index), "steps": [{"id": id, "type": "try", "config": tried}]})
        config: Step = {"branches": arms, "strategy": "wait-all", "concurrency": max(1, len(arms))}
        code = (
            "input.results.map((o) => o && o.ok ? {status: 'fulfilled', value: __v(o.result)} : "
            "{status: 'rejected', reason: o ? __e(o.error) : null})"
        )
        return self._with_out(node, {"id": node.step, "type": "parallel", "config": config}, code, "results")

    def _race(self, item: Item, place: Place, inside: Place) -> Compiled:
        node = item.node
        inside = msgspec.structs.replace(inside, breaks=False)
        arms = [
            {"id": str(index), "steps": self._held(node, arm, inside, f"{node.step}__{index}__args")}
            for index, arm in enumerate(item.arms)
        ]
        core = {"id": node.step, "type": "race", "config": {"branches": arms}}
        return self._with_out(node, core, "__v(input.value)", "value")

    def _held(self, node: Node, arm: Arm, place: Place, id: str) -> list[Step]:
        """The steps of an arm; one that does nothing if it is empty."""
        steps = self.items(arm.items, place)
        if not steps:
            steps = [_constant(id)]
            self.origins[id] = node.id
        return steps

    def _with_out(self, node: Node, core: Step, code: str, member: str) -> Compiled:
        config = {
            "language": "javascript",
            "code": value_out(code, self._renamed),
            "input": {member: f"{{{{steps.{node.step}.output.{member}}}}}"},
        }
        id = f"{node.step}__out"
        self.origins[id] = node.id
        return [core, {"id": id, "type": "code", "config": config}], ("steps", id, "output", "value")

    # -- try

    def _try(self, item: Item, place: Place, inside: Place) -> Compiled:
        node = item.node
        tried, caught, last = item.arms
        config: Step = {"steps": self._held(node, tried, inside, f"{node.step}__0__args")}
        after = self._after(tried.items, inside)
        error = f"{node.step}__args"
        errors = {name: step for name, step in inside.errors.items() if name != node.id} | {node.id: error}
        catching = msgspec.structs.replace(after, errors=errors)
        config["catch"] = self._held(node, caught, catching, f"{node.step}__1__args")
        if node.id in self._shop.caught:
            self.origins[error] = node.id
            code = f"{told_error(self._renamed)}return {{err: __e(input.error)}};"
            given = {"language": "javascript", "code": code, "input": {"error": "{{error}}"}}
            config["catch"] = [{"id": error, "type": "code", "config": given}, *config["catch"]]
        after = self._after(caught.items, after)
        if last.items:
            config["finally"] = self.items(last.items, after)
        code = "__v(input.tried)"
        core = {"id": node.step, "type": "try", "config": config}
        steps, value = self._with_out(node, core, code, "tried")
        steps[-1]["config"]["input"] = {"tried": f"{{{{steps.{node.step}.output}}}}"}
        return steps, value

    # -- loop

    def _loop(self, item: Item, place: Place, inside: Place) -> Compiled:
        node, shop, body = item.node, self._shop, item.arms[0]
        kind = node.data.get("loopType", "forEach")
        if kind not in LOOPS:
            shop.fault(node, f"Expected one of {', '.join(LOOPS)}", "data", "loopType")
        names = [self._variable(node, "itemVar", "item"), self._variable(node, "indexVar", "i")]
        if names[0] == names[1]:
            shop.fault(node, "Must differ from itemVar", "data", "indexVar")
            names[1] += "_"
        inside = msgspec.structs.replace(inside, breaks=True, variables=(*inside.variables, *names))
        args = Args(shop, node, place)
        config: Step = {"itemVariable": names[0], "indexVariable": names[1], "maxIterations": MAX_TURNS}
        field = {"times": "count", "while": "condition"}.get(str(kind), "collection")
        wanted = node.data.get(field)
        if wanted in (None, ""):
            shop.fault(node, "Required", "data", field)
            wanted = None
        if kind == "while":
            config |= {"loopType": "while", "whileCondition": "true"}
        elif kind == "times":
            config |= {"loopType": "for", "iterations": self._amount(node, place, wanted or 0, args)}
        else:
            config["collection"] = self._collection(node, place, [] if wanted is None else wanted, args)
        config["steps"] = self._held(node, body, inside, f"{node.step}__0__args")
        if kind == "while" and wanted is not None:
            config["steps"] = [*self._while(node, self._after(body.items, inside)), *config["steps"]]
        code = (
            "((kept) => ({results: kept.map(__v), count: kept.length}))"
            "(input.results.filter((o) => !(o !== null && typeof o === 'object' && o.goes === false)))"
        )
        core = {"id": node.step, "type": "loop", "config": config}
        steps, value = self._with_out(node, core, code, "results")
        return [*args.steps(), *steps], value

    def _amount(self, node: Node, place: Place, given: Json, args: Args) -> Json:
        """How many turns a loop of times has."""
        if isinstance(given, str) and not given.strip().isdecimal():
            return nodes.evaluated(self._shop, node, place, "count", args)
        count = int(given.strip()[:12]) if isinstance(given, str) else given
        if isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= MAX_TURNS:
            return count
        self._shop.fault(node, f"Expected a whole number from 0 to {MAX_TURNS}", "data", "count")
        return 0

    def _collection(self, node: Node, place: Place, given: Json, args: Args) -> Json:
        """The items of a loop of forEach."""
        if given == []:
            return []
        if isinstance(given, str | list):
            return nodes.evaluated(self._shop, node, place, "collection", args)
        self._shop.fault(node, "Expected a list", "data", "collection")
        return []

    def _while(self, node: Node, place: Place) -> list[Step]:
        """What opens each turn of a while: whether it goes on, as seen after the turn before it."""
        condition = node.data["condition"]
        if not isinstance(condition, str):
            self._shop.fault(node, "Expected string", "data", "condition")
            condition = "false"
        seen = msgspec.structs.replace(place, around=place.around[:-1])
        made = Code(self._shop, node, seen)
        code = made.script(condition, ("data", "condition"), expression=True)
        id, out = f"{node.step}__cond", f"{node.step}__0__cond"
        self.origins |= {id: node.id, out: node.id}
        held = made.step(id, lambda: f"return {{goes: Boolean((\n{code}\n))}};")
        enough = {"condition": f'steps["{id}"].output.goes == false'}
        return [held, {"id": out, "type": "break", "config": enough}]

    def _variable(self, node: Node, field: str, default: str) -> str:
        name = node.data.get(field)
        if name in (None, ""):
            return default
        taken = RESERVED | WORDS | GIVEN | {"runId", "workflow"}
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name) or name in taken or name.startswith("__"):
            self._shop.fault(node, f"Not a name for a variable: {name}"[:200], "data", field)
            return default
        return name


def may_end(items: tuple[Item, ...]) -> set[str]:
    """The nodes of a list after which nothing that has a value may run."""
    if any(item.node.type == "break" for item in _beside(items)):
        return {item.node.id for item in _beside(items)}
    found: set[str] = set()
    for item in reversed(items):
        found.add(item.node.id)
        if item.node.type != "branch":
            break
        for arm in item.arms:
            found |= may_end(arm.items)
    return found


def _beside(items: tuple[Item, ...]) -> list[Item]:
    """Items, and those in branches of them."""
    found = []
    for item in items:
        found.append(item)
        if item.node.type in ("branch", "try_catch"):
            found.extend(each for arm in item.arms for each in _beside(arm.items))
    return found


def _constant(id: str) -> Step:
    return {"id": id, "type": "transform", "config": {"mapping": {"value": None}}}
