"""What compiling the nodes of a graph shares: how names become paths of the core, texts become templates and JavaScript
becomes code steps; and what was found wrong. Source: AwaitStep contract 10.3."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Final

import msgspec

from stepwell.http.dialects.awaitstep.ir import expressions
from stepwell.http.dialects.awaitstep.ir.expressions import Expression, Wrong
from stepwell.http.dialects.awaitstep.ir.js_names import js_names, mentions
from stepwell.http.dialects.awaitstep.ir.shape import Graph, Node
from stepwell.http.dialects.awaitstep.ir.structure import GraphFault, Item, walk
from stepwell.values import Json, Path

Step = dict[str, Json]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_OPENING = re.compile(r"\{+%")
_ENV = re.compile(
    r"""(?<![\w$.])env(?![\w$])(?:\s*\??\.\s*(?P<name>[A-Za-z_]\w*)|\[\s*["'](?P<text>[^"']+)["']\s*\])?"""
)
_TEXT = (
    "const __t = (v) => v === null || v === undefined ? '' : typeof v === 'object' ? JSON.stringify(v) : String(v); "
)
_NON_RETRYABLE = (
    "const NonRetryableError = globalThis.NonRetryableError || class NonRetryableError extends Error { "
    "constructor(message) { super(message); this.name = 'NonRetryableError'; } }; "
)
EVENT: Final[Json] = {
    "payload": "{{input}}",
    "instanceId": '{{run.id | remove_first: "run_"}}',
    "timestamp": "{{run.startedAt}}",
}
_EVENT = {"payload": "input", "instanceId": 'run.id | remove_first: "run_"', "timestamp": "run.startedAt"}


class Surroundings(msgspec.Struct, frozen=True):
    """What a graph is compiled for: names of variables and secrets, and the core's workflow for each name of another
    workflow or function. None: whatever is named, is there."""

    variables: Collection[str] | None = None
    secrets: Collection[str] = ()
    workflows: Mapping[str, str] | None = None
    functions: Mapping[str, str] | None = None


class Place(msgspec.Struct, frozen=True):
    """Where a node stands: the core's path to the value of each node that it sees, the loop variables, the containers
    around it, the step that keeps the error of each catch around it, innermost last, whether a break ends a loop,
    whether it stands in no container but branches, and the value of what ran right before it, if that has one."""

    visible: Mapping[str, tuple[str | int, ...]] = {}
    variables: tuple[str, ...] = ()
    around: tuple[str, ...] = ()
    errors: Mapping[str, str] = {}
    breaks: bool = False
    root: bool = True
    before: tuple[str | int, ...] | None = None


class Script(msgspec.Struct, frozen=True):
    """JavaScript whose syntax is to be checked: a function body or an expression, as its author wrote it."""

    path: Path
    node_id: str
    code: str
    written: str
    expression: bool


class Workshop:
    """One compiling of one graph."""

    def __init__(self, graph: Graph, items: tuple[Item, ...], around: Surroundings) -> None:
        self.around = around
        self.faults: list[GraphFault] = []
        self.warnings: list[str] = []
        self.scripts: list[Script] = []
        self.read: set[str] = set()  # environment variables
        self.reads_all = False  # `env` itself is used, so that any of them may be read
        self.missing: set[str] = set()
        self.caught: set[str] = set()  # try nodes whose error is read
        self.names = js_names(graph.nodes)
        self.nodes = {node.id: node for node in graph.nodes}
        self._positions = {item.node.id: at for at, item in enumerate(walk(items))}

    def fault(self, node: Node, message: str, *field: str | int) -> None:
        """Note something wrong below a node."""
        found = GraphFault((*node.path, *field), message[:500], node.id)
        if found not in self.faults:
            self.faults.append(found)

    def warn(self, node: Node, message: str) -> None:
        """Note something that does not keep the graph from running."""
        self.warnings.append(f"{node.id}: {message}")

    # -- texts

    def value(self, value: Json, node: Node, place: Place, field: Path, args: "Args") -> Json:
        """A value with its texts as the core's templates; those with `${...}` are evaluated by `args`."""
        if isinstance(value, dict):
            return {name: self.value(child, node, place, (*field, name), args) for name, child in value.items()}
        if isinstance(value, list):
            return [self.value(child, node, place, (*field, at), args) for at, child in enumerate(value)]
        if not isinstance(value, str):
            return value
        if expressions.is_literal(value):
            code = expressions.literal(value, lambda found: args.code.refer(found, field))
            return args.add(code, value, field)
        return self.text(value, node, place, field)

    def text(self, text: str, node: Node, place: Place, field: Path) -> str:
        """A text as a template of the core."""
        made = ""
        for part in expressions.parts(text):
            if isinstance(part, Expression):
                if made.endswith("{"):
                    rest = made.rstrip("{")
                    made = f'{rest}{{{{ "{made[len(rest) :]}" }}}}'
                made += f"{{{{{self.resolve(part, node, place, field)}}}}}"
            elif isinstance(part, Wrong):
                self.fault(node, part.message, *field)
            else:
                made += _OPENING.sub(lambda found: f'{{{{ "{found[0]}" }}}}', part)
        return made

    # -- names

    def resolve(self, expression: Expression, node: Node, place: Place, field: Path, *, code: bool = False) -> str:
        """What an expression is in a template of the core, braces left out."""
        root, rest = expression.root, expression.path[1:]
        if root in place.variables:
            return written((root, *rest))
        if root == "event":
            return self._event(rest, node, field)
        if root == "env":
            return self._env(rest, node, field, code=code)
        if root == "trigger":
            return written(expression.path)
        if root == "err" and place.errors:
            owner, step = list(place.errors.items())[-1]
            self.caught.add(owner)
            return written(("steps", step, "output", "err", *rest))
        if root in place.errors and rest[:1] == ("error",):
            self.caught.add(root)
            return written(("steps", place.errors[root], "output", "err", *rest[1:]))
        if root in place.visible:
            return written((*place.visible[root], *rest))
        self.fault(node, self._unseen(root, node, place), *field)
        return "input"

    def env(self, name: str, node: Node, field: Path, *, code: bool) -> str:
        """The path of an environment variable."""
        around = self.around
        self.read.add(name)
        if around.variables is None or name in around.variables:
            return written(("variables", name))
        if name in around.secrets:
            if code:
                message = (
                    f"The secret {name} may not stand in JavaScript; write {{{{env.{name}}}}} in the url, headers, "
                    "query or JSON body of an http_request"
                )
                self.fault(node, message, *field)
                return "input"
            return written(("secrets", name))
        self.missing.add(name)
        return "input"

    def _env(self, rest: Path, node: Node, field: Path, *, code: bool) -> str:
        if len(rest) != 1 or not isinstance(rest[0], str):
            self.fault(node, "Write env.NAME", *field)
            return "input"
        return self.env(rest[0], node, field, code=code)

    def _event(self, rest: Path, node: Node, field: Path) -> str:
        first = rest[0] if rest else None
        if first == "payload":
            return written(("input", *rest[1:]))
        if first not in _EVENT or len(rest) > 1:
            self.fault(node, "An event has payload, instanceId and timestamp", *field)
            return "input"
        return _EVENT[str(first)]

    def _unseen(self, root: str, node: Node, place: Place) -> str:
        if root not in self.nodes:
            return f'References nonexistent node "{root}"'
        if root == node.id or root in place.around:
            return f'References the current node "{root}"'
        if self._positions.get(root, 0) > self._positions.get(node.id, 0):
            return f'References downstream node "{root}"'
        return f'References node "{root}", which does not run before it'


class Code:
    """One code step in the making: the templates that its JavaScript reads, and the JavaScript itself."""

    def __init__(self, shop: Workshop, node: Node, place: Place) -> None:
        self._shop = shop
        self._node = node
        self._place = place
        self._refs: list[str] = []
        self._texts: list[tuple[str, Path]] = []

    def refer(self, expression: Expression, field: Path) -> str:
        """The JavaScript that stands for an expression."""
        template = self._shop.resolve(expression, self._node, self._place, field, code=True)
        return self.template(f"{{{{{template}}}}}")

    def template(self, template: str) -> str:
        """The JavaScript that stands for a template of the core."""
        if template not in self._refs:
            self._refs.append(template)
        return f"__r[{self._refs.index(template)}]"

    def script(self, written: str, field: Path, *, expression: bool = False) -> str:
        """JavaScript of an author, its expressions replaced; its syntax is to be checked."""
        code = expressions.script(written, lambda found: self.refer(found, field))
        self.take(code, written, field, expression=expression)
        return code

    def take(self, code: str, written: str, field: Path, *, expression: bool) -> None:
        """JavaScript whose expressions are replaced already."""
        self._texts.append((code, field))
        self._shop.scripts.append(Script((*self._node.path, *field), self._node.id, code, written, expression))

    def step(self, id: str, body: Callable[[], str], **input: Json) -> Step:
        """The code step: `body` is JavaScript in which every name that was mentioned is bound."""
        given, prelude = self._bound()
        config: Step = {"language": "javascript", "code": prelude + body()}
        given |= input
        if given:
            config["input"] = given
        return {"id": id, "type": "code", "config": config}

    def _bound(self) -> tuple[dict[str, Json], str]:
        """The input, and the JavaScript that binds names to its parts."""
        given: dict[str, Json] = {}
        prelude = ""
        code = "\n".join(text for text, _ in self._texts)
        if mentions(code, "event"):
            given["event"], prelude = EVENT, "const event = input.event; "
        if mentions(code, "env"):
            given["env"], prelude = self._environment(), prelude + "const env = input.env; "
        if mentions(code, "trigger"):
            given["trigger"], prelude = "{{trigger}}", prelude + "const trigger = input.trigger; "
        if mentions(code, "ctx"):
            given["__attempt"] = 1  # the step itself writes the number here
            prelude += "const ctx = {attempt: input.__attempt}; "
        if mentions(code, "NonRetryableError"):
            prelude += _NON_RETRYABLE
        if "__t(" in code:
            prelude += _TEXT
        bound = {name: f"{{{{{template}}}}}" for name, template in self._variables(code)}
        if bound:
            given["vars"] = bound
            prelude += f"const {{{', '.join(bound)}}} = input.vars; "
        if self._refs:
            given["refs"], prelude = list(self._refs), prelude + "const __r = input.refs; "
        return given, prelude

    def _variables(self, code: str) -> list[tuple[str, str]]:
        place, shop = self._place, self._shop
        found = [(name, name) for name in dict.fromkeys(place.variables) if mentions(code, name)]
        if place.errors and "err" not in place.variables and mentions(code, "err"):
            found.append(("err", shop.resolve(Expression(("err",), ""), self._node, place, ())))
        for id, path in place.visible.items():
            name = shop.names[id]
            if name not in place.variables and mentions(code, name):
                found.append((name, written(path)))
        return found

    def _environment(self) -> Json:
        env: dict[str, Json] = {}
        for text, field in self._texts:
            for found in _ENV.finditer(text):
                name = found["name"] or found["text"]
                if name is None:
                    self._shop.reads_all = True
                    return "{{variables}}"
                env[name] = f"{{{{{self._shop.env(name, self._node, field, code=True)}}}}}"
        return env


class Args:
    """The added step of a node that evaluates JavaScript before the node runs."""

    def __init__(self, shop: Workshop, node: Node, place: Place) -> None:
        self._id = f"{node.step}__args"
        self._shop, self._node, self._place = shop, node, place
        self.code = Code(shop, node, place)
        self._made: list[str] = []
        self._before = ""

    def add(self, code: str, written: str, field: Path) -> str:
        """Evaluate an expression; the template that stands for its value."""
        self.code.take(code, written, field, expression=True)
        return self.made(code)

    def text(self, written: str, field: Path) -> str:
        """The JavaScript that stands for a text with expressions or with `${...}`."""
        if not expressions.is_literal(written):
            return self.code.template(self._shop.text(written, self._node, self._place, field))
        code = expressions.literal(written, lambda found: self.code.refer(found, field))
        self.code.take(code, written, field, expression=True)
        return code

    def expression(self, written: str, field: Path) -> str:
        """Evaluate an expression of the author; the template that stands for its value."""
        return self.made(self.code.script(written, field, expression=True))

    def made(self, code: str, before: str = "") -> str:
        """Evaluate JavaScript of ours, `before` which other JavaScript of ours stands."""
        self._made.append(code)
        self._before = before or self._before
        return f"{{{{steps.{self._id}.output.args.{len(self._made) - 1}}}}}"

    def steps(self) -> list[Step]:
        """The step, if anything is to be evaluated."""
        if not self._made:
            return []
        listed = ", ".join(f"(\n{code}\n)" for code in self._made)
        return [self.code.step(self._id, lambda: f"{self._before}return {{args: [{listed}]}};")]


def written(path: tuple[str | int, ...]) -> str:
    """A path as the core's templates write it."""
    text = str(path[0])
    for part in path[1:]:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _NAME.fullmatch(part) or (part.isascii() and re.fullmatch(r"\w[\w-]*", part)):
            text += f".{part}"
        else:
            quote = "'" if '"' in part else '"'
            text += f"[{quote}{part}{quote}]"
    return text
