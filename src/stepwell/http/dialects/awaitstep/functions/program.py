"""The JavaScript of a function: the nodes of its graph in order, over promises, without retries. Source: AwaitStep
contract 8, 10.2, 10.3."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from stepwell import values
from stepwell.errors import Fault
from stepwell.http.dialects.awaitstep.functions import trigger
from stepwell.http.dialects.awaitstep.ir import Arm, Checked, GraphFault, Item, Node, expressions
from stepwell.http.dialects.awaitstep.ir.expressions import Expression
from stepwell.http.dialects.awaitstep.ir.js_names import identifier, js_names, mentions
from stepwell.http.dialects.awaitstep.ir.nodes import SUB_NAMES
from stepwell.http.dialects.awaitstep.ir.structure import branches, walk
from stepwell.http.dialects.awaitstep.ir.written import Written, written_body, written_input, written_pairs
from stepwell.values import Json

EXPORT: Final = "EXPORT_"
NOWHERE: Final[Mapping[str, str]] = {}

_BEFORE: Final = """
const __t = (v) => v === null || v === undefined ? "" : typeof v === "object" ? JSON.stringify(v) : String(v);
const __json = (v) => { const text = JSON.stringify(v); return text === undefined ? null : JSON.parse(text); };
const __get = (v, path) => {
  for (const key of path) { if (v === null || v === undefined) return null; v = v[key]; }
  return v === undefined ? null : v;
};
class NonRetryableError extends Error { constructor(message) { super(message); this.name = "NonRetryableError"; } }
class __Stop { constructor(kind, value) { this.kind = kind; this.value = value; } }
const ctx = {attempt: 1}, trigger = {type: "http"}, __nodes = new WeakMap();
const __failed = (e, id) => {
  if (e instanceof __Stop) return e;
  const error = e instanceof Error ? e : new Error(__t(e));
  if (!__nodes.has(error)) __nodes.set(error, id);
  return error;
};
const __told = (e) => ({name: e.name, message: e.message, nodeId: __nodes.get(e) ?? null});
const __gone = () => false, __never = new Promise(() => {});
const __at = async (id, act, gone) => {
  try { return await act(); }
  catch (e) { throw __failed(e, id); }
  finally { if (gone()) await __never; }
};
const __arm = async (act) => {
  try { return await act(); }
  catch (e) { if (e instanceof __Stop && e.kind === "end") return e.value; throw e; }
};
const __settled = async (act) => {
  try { return {status: "fulfilled", value: await __arm(act)}; }
  catch (e) { return {status: "rejected", reason: __told(__failed(e, null))}; }
};
const __race = (arms, above) => {
  let over = false;
  const gone = () => over || above();
  return Promise.race(arms.map((arm) => __arm(() => arm(gone)).finally(() => { over = true; })));
};
const __http = async (config, full) => {
  const answer = await __ask({do: "api", config});
  return full ? {status: answer.status, headers: answer.headers, body: answer.data} : answer.data;
};
const __function = async (name, payload) => (await __ask({do: "function", config: {function: name, payload}})).value;
const __start = (workflow, input) => __ask({do: "start", config: {workflow, input}});
const __turns = (n) => { if (n >= 10000) throw new Error("A loop has at most 10000 turns"); };
"""


class FunctionProgram(msgspec.Struct, frozen=True):
    """The code of the native step, and why there may be none."""

    code: str
    faults: list[GraphFault | Fault]


class _Scope(msgspec.Struct, frozen=True):
    """What is bound where a node stands: loop variables, the try_catch nodes whose catch it is in, a loop to break."""

    variables: tuple[str, ...] = ()
    caught: tuple[str, ...] = ()
    breaks: bool = False


def compile_function(
    checked: Checked,
    trigger_code: str | None = None,
    *,
    workflows: Mapping[str, str] = NOWHERE,
    functions: Mapping[str, str] = NOWHERE,
) -> FunctionProgram:
    """The program of a script that `check` found nothing wrong with. `workflows` and `functions` are those of the
    workspace, by every name that a node may have for them; a node that names none of them is a fault."""
    faults: list[GraphFault | Fault] = [*trigger.faults_of(trigger_code)] if trigger_code else []
    program = _Program(checked, {"sub_workflow": workflows, "sub_script": functions})
    graph = program.graph()
    faults += program.faults
    if faults:
        return FunctionProgram("", faults)
    end = trigger.wrapped(trigger_code) if trigger_code else "return __graph(input.env, input.event);"
    return FunctionProgram(_BEFORE + graph + end, [])


class _Program:
    def __init__(self, checked: Checked, targets: Mapping[str, Mapping[str, str]]) -> None:
        self._items = checked.structure.items
        self._names = js_names(checked.graph.nodes)
        self._targets = targets
        self._seen: list[str] = []
        self.faults: list[GraphFault] = []

    def graph(self) -> str:
        """`__graph(env, event)`, which gives the exported values."""
        body = self._chain(self._items, _Scope())
        return (
            "const __graph = async (env, given) => {\n"
            "const event = {...given, timestamp: given?.timestamp ?? new Date(input.now).toISOString()};\n"
            "const __n = Object.create(null), __errors = Object.create(null), __x = new Map();\n"
            f"await __arm(async () => {{ let __last = null;\n{body}}});\nreturn Object.fromEntries(__x);\n}};\n"
        )

    def _chain(self, items: Iterable[Item], scope: _Scope) -> str:
        return "".join(self._item(item, scope) for item in items)

    def _item(self, item: Item, scope: _Scope) -> str:
        node = item.node
        match node.type:
            case "step":
                made = self._set(node, self._run(str(node.data.get("code", "")), scope))
            case "branch":
                made = self._branch(item, scope)
            case "parallel":
                made = self._set(node, f"Promise.all([{self._arms(item, scope)}].map(__settled))")
            case "race":
                made = self._set(node, f"__race([{self._arms(item, scope, '__gone')}], __gone)")
            case "try_catch":
                made = self._try(item, scope)
            case "loop":
                made = self._loop(item, scope)
            case "http_request":
                made = self._set(node, self._http(node, scope))
            case "sub_script" | "sub_workflow":
                made = self._set(node, self._sub(node, scope))
            case _:
                made = self._break(node, scope)
        self._seen.append(node.id)
        return made

    def _set(self, node: Node, made: str) -> str:
        """Keep the value of a node."""
        id = _text(node.id)
        kept = f"__n[{id}] = __last = __json(await __at({id}, async () => {made}, __gone));\n"
        if node.name.startswith(EXPORT):
            key = identifier(node.name.removeprefix(EXPORT))
            kept += f"__x.set({_text(key)}, __last);\n"
        return kept

    def _branch(self, item: Item, scope: _Scope) -> str:
        made = f"__n[{_text(item.node.id)}] = null;\n"
        seen = len(self._seen)
        for at, ((_, condition), arm) in enumerate(zip(branches(item.node), item.arms, strict=True)):
            test = f"await __at({_text(item.node.id)}, async () => {self._asked(condition, scope)}, __gone)"
            head = f"if ({test}) " if condition.strip() else ""
            made += f"{'else ' if at else ''}{head}{{\n{self._chain(arm.items, scope)}}}\n"
            self._forget(seen, arm)
        return made

    def _arms(self, item: Item, scope: _Scope, given: str = "") -> str:
        """The arms that run at once; a break in one ends it. In those of a race, `__gone` tells that it is lost."""
        inner = msgspec.structs.replace(scope, breaks=False)
        made = []
        for arm in item.arms:
            seen = len(self._seen)
            made.append(f"async ({given}) => {{ let __last = null;\n{self._chain(arm.items, inner)}return __last;\n}}")
            self._forget(seen, arm)
        return ", ".join(made)

    def _try(self, item: Item, scope: _Scope) -> str:
        id = _text(item.node.id)
        tried, caught, last = (self._chain(arm.items, within) for arm, within in self._tried(item, scope))
        return (
            f"__n[{id}] = {{ok: true, error: null, result: null}};\n"
            f"try {{ __last = null;\n{tried}__n[{id}].result = __last;\n}} catch (e) {{\n"
            f"if (e instanceof __Stop) throw e;\nconst err = __told(__failed(e, {id})); __errors[{id}] = err;\n"
            f"__n[{id}] = {{ok: false, error: err, result: null}}; __last = null;\n{caught}__n[{id}].result = __last;\n"
            f"}} finally {{\n{last}}}\n" + self._set(item.node, f"__n[{id}]")
        )

    def _tried(self, item: Item, scope: _Scope) -> list[tuple[Arm, _Scope]]:
        caught = msgspec.structs.replace(scope, caught=(*scope.caught, item.node.id))
        return list(zip(item.arms, (scope, caught, scope), strict=True))

    def _loop(self, item: Item, scope: _Scope) -> str:
        data = item.node.data
        name, number = str(data.get("itemVar") or "item"), str(data.get("indexVar") or "i")
        kind, turn = data.get("loopType"), f"const {number} = __i;"
        before, holds = "", "true"
        variables = (*scope.variables, number)
        if kind == "forEach":
            before = f"const __all = {self._value(data.get('collection'), scope)};\n"
            before += 'if (!Array.isArray(__all)) throw new Error("The collection of a loop is a list");\n'
            holds, turn, variables = "__i < __all.length", f"{turn} const {name} = __all[__i];", (*variables, name)
        elif kind == "times":
            before, holds = f"const __count = Number({self._value(data.get('count'), scope)});\n", "__i < __count"
        inner = msgspec.structs.replace(scope, variables=variables, breaks=True)
        if kind == "while":
            turn += f" if (!({self._asked(str(data.get('condition', '')), inner)})) break;"
        seen = len(self._seen)
        (arm,) = item.arms
        own = _text([each.node.id for each in walk(arm.items)])
        body = self._chain(arm.items, inner)
        self._forget(seen, arm)
        return self._set(
            item.node,
            f"{{\n{before}const __results = [];\nfor (let __i = 0; {holds}; __i++) {{ __turns(__i);\n{turn}\n"
            f"for (const id of {own}) delete __n[id];\nlet __last = null;\n"
            f"try {{\n{body}__results.push(__last);\n}} catch (e) {{\n"
            'if (!(e instanceof __Stop) || e.kind !== "break") throw e;\n__results.push(e.value); break;\n}\n}\n'
            "return {results: __results, count: __results.length};\n}",
        )

    def _break(self, node: Node, scope: _Scope) -> str:
        condition = node.data.get("condition")
        stop = f'throw new __Stop("{"break" if scope.breaks else "end"}", __last);\n'
        asked = isinstance(condition, str) and condition.strip()
        test = self._asked(condition, scope) if asked and isinstance(condition, str) else "true"
        return f"__n[{_text(node.id)}] = null;\nif ({test}) {stop}"

    def _http(self, node: Node, scope: _Scope) -> str:
        """A request that the server sends."""
        data = node.data
        config = [f"url: {self._filled(str(data.get('url', '')).strip(), scope)}"]
        config.append(f"method: {_text(str(data.get('method', 'GET')).upper())}")
        for field, own in (("headers", "headers"), ("queryParams", "params")):
            if data.get(field) not in (None, "", {}):
                config.append(f"{own}: {self._filled(written_pairs(node, field), scope)}")
        if data.get("body") not in (None, ""):
            config.append(f"body: {self._written(written_body(node), scope)}")
        if data.get("failOnError") is False:
            config.append("failOnError: false")
        return f"__http({{{', '.join(config)}}}, {_text(data.get('responseMode') == 'full')})"

    def _sub(self, node: Node, scope: _Scope) -> str:
        """A function that is called, or a run that is started."""
        script = node.type == "sub_script"
        names = [node.data.get(field) for field in SUB_NAMES[node.type]]
        known = self._targets[node.type]
        target = next((known[name] for name in names if isinstance(name, str) and name in known), None)
        if target is None:
            named = next((name for name in names if name), "")
            message = f"No such {'function' if script else 'workflow'}: {named}"
            self.faults.append(GraphFault((*node.path, "data", SUB_NAMES[node.type][0]), message, node.id))
        field = "payload" if script and "input" not in node.data else "input"
        given = self._written(written_input(node, field), scope)
        return f"{'__function' if script else '__start'}({_text(target)}, {given})"

    def _forget(self, seen: int, arm: Arm) -> None:
        """What an arm holds is not seen behind it."""
        if arm.items:
            del self._seen[seen:]

    # -- JavaScript of the author

    def _written(self, field: Written, scope: _Scope) -> str:
        return self._asked(str(field.value), scope) if field.code else self._filled(field.value, scope)

    def _filled(self, value: Json, scope: _Scope) -> str:
        """A value with what its expressions stand for; one that is wholly an expression keeps its type."""
        if isinstance(value, dict):
            return f"{{{', '.join(f'[{_text(key)}]: {self._filled(each, scope)}' for key, each in value.items())}}}"
        if isinstance(value, list):
            return f"[{', '.join(self._filled(each, scope) for each in value)}]"
        if not isinstance(value, str):
            return _text(value)
        if expressions.is_literal(value):
            return self._called(f"return {expressions.literal(value, lambda found: self._refer(found, scope))};", scope)
        whole = expressions.whole(value)
        if whole is not None:
            return self._refer(whole, scope)
        return expressions.literal(value, lambda found: self._refer(found, scope)) if "{{" in value else _text(value)

    def _run(self, code: str, scope: _Scope) -> str:
        """A call of a function body in which expressions may stand."""
        return self._called(expressions.script(code, lambda found: self._refer(found, scope)), scope)

    def _called(self, made: str, scope: _Scope) -> str:
        """A call of a function body."""
        names, given = self._bound(made, scope)
        return f"(await (async ({names}) => {{\n{made}\n}})({given}))"

    def _asked(self, code: str, scope: _Scope) -> str:
        """An expression."""
        return self._run(f"return (\n{code}\n);", scope)

    def _value(self, value: Json, scope: _Scope) -> str:
        """A field that is JavaScript if it is text."""
        return self._asked(value, scope) if isinstance(value, str) else _text(value)

    def _bound(self, code: str, scope: _Scope) -> tuple[str, str]:
        """The variables of nodes that a piece of code mentions, and their values."""
        names = [(self._names[id], id) for id in self._seen]
        used = [(name, id) for name, id in names if name not in scope.variables and mentions(code, name)]
        return ", ".join(name for name, _ in used), ", ".join(f"__get(__n, [{_text(id)}])" for _, id in used)

    def _refer(self, expression: Expression, scope: _Scope) -> str:
        root, rest = expression.root, list(expression.path[1:])
        if root in scope.variables or root in ("event", "env", "trigger") or (root == "err" and scope.caught):
            return f"__get({root}, {_text(rest)})"
        if root in scope.caught and rest[:1] == ["error"]:
            return f"__get(__errors, {_text([root, *rest[1:]])})"
        return f"__get(__n, {_text([root, *rest])})"


def _text(value: Json) -> str:
    return values.encode(value).decode()
