"""Templates: any JSON value whose texts may hold `{{ … }}` and Liquid tags, compiled once and rendered on a scope.

A text that is one whole expression keeps the type of its value; in any other text values are written as text. Keys are
not rendered. Source: LoopFour contract, section 6.
"""

from dataclasses import dataclass, field

from liquid.ast import Node
from liquid.builtin.content import ContentNode

from stepwell.errors import Fault
from stepwell.expressions import engine
from stepwell.expressions.compiler import Compiler, template_error
from stepwell.expressions.engine import Meter, Names, OutputNode
from stepwell.expressions.errors import CompileFailed, RenderFault, SyntaxFault
from stepwell.expressions.paths import Read
from stepwell.expressions.scope import Scope
from stepwell.expressions.texts import SafeText, checked, html_text, text_of
from stepwell.values import MAX_DEPTH, Json, Path

_FREE_FILTERS = 16


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled value.

    `references` holds, for every path expression, where in the value it stands and its static segments, such as
    `(("amount",), ("steps", "calculate-total", "output", "total"))`; names bound inside the text are none. `secrets`
    holds the names used as `secrets.NAME`. `literal` says that nothing in the value is rendered.
    """

    references: frozenset[tuple[Path, Path]]
    secrets: frozenset[str]
    literal: bool
    _read: Read = field(repr=False)

    def render(self, scope: Scope) -> Json:
        """The value on a scope; parts without templates are shared, not copied.

        Raises:
            StepError: TEMPLATE_ERROR, naming the expression.
        """
        return self._read(scope)


def compile_template(value: Json, *, html: bool = False, handlebars: bool = False) -> Template:
    """Compile a value. With `html`, what expressions give is HTML-escaped unless filtered with `safe`; with
    `handlebars`, the blocks `#if #unless #each else this @index` are understood.

    Raises:
        CompileFailed: every fault, paths relative to the value, positions in the texts.
    """
    builder = _Builder(html, handlebars, metered=_is_heavy(value, handlebars))
    read = builder.value(value, ())
    if builder.faults:
        raise CompileFailed(builder.faults)
    if read is not None and builder.metered:
        read = _counted(read)
    return Template(
        references=frozenset(builder.references),
        secrets=frozenset(builder.secrets),
        literal=read is None,
        _read=read or (lambda scope: value),
    )


class _Builder:
    """Walks a value and gathers readers, references and faults. None stands for a part that is not rendered."""

    def __init__(self, html: bool, handlebars: bool, metered: bool) -> None:
        self.faults: list[Fault] = []
        self.references: set[tuple[Path, Path]] = set()
        self.secrets: set[str] = set()
        self._html = html
        self._handlebars = handlebars
        self.metered = metered

    def value(self, value: Json, path: Path) -> Read | None:
        if isinstance(value, str):
            return self._text(value, path) if "{{" in value or "{%" in value else None
        if not isinstance(value, dict | list):
            return None
        if len(path) > MAX_DEPTH:
            self.faults.append(Fault(path, f"Nested deeper than {MAX_DEPTH}"))
            return None
        items = value.items() if isinstance(value, dict) else enumerate(value)
        reads = [(key, read) for key, child in items if (read := self.value(child, (*path, key))) is not None]
        if not reads:
            return None

        def render(scope: Scope) -> Json:
            copy = value.copy()
            for key, read in reads:
                copy[key] = read(scope)
            return copy

        return render

    def _text(self, text: str, path: Path) -> Read | None:
        try:
            nodes = engine.parse(text, html=self._html, handlebars=self._handlebars)
            plain = all(isinstance(node, ContentNode | OutputNode) for node in nodes)
            compiler = Compiler(html=self._html, metered=self.metered)
            compiler.compile(nodes)
        except SyntaxFault as fault:
            self.faults.append(Fault(path, fault.located(text)))
            return None
        except RecursionError:
            self.faults.append(Fault(path, "Nested too deeply"))
            return None
        self.faults += [Fault(path, fault.located(text)) for fault in compiler.faults]
        self.references |= {(path, reference) for reference in compiler.references}
        self.secrets |= compiler.secrets
        if not plain:
            return _tagged(nodes, text, self._html)
        solid = [node for node in nodes if not (isinstance(node, ContentNode) and node.blank)]
        if len(solid) == 1 and isinstance(solid[0], OutputNode):
            return _whole(solid[0])
        return _mixed(nodes, text)


def _is_heavy(value: Json, handlebars: bool) -> bool:
    # Whether its work is counted: with tags, as they can loop, or with more than a few filters. Counting costs more
    # than reading a path does.
    pipes = 0
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            pipes += node.count("|") if "{{" in node else 0
            if pipes > _FREE_FILTERS or "{%" in node or (handlebars and "#" in node):
                return True
        elif isinstance(node, dict | list):
            stack.extend(node.values() if isinstance(node, dict) else node)
    return False


def _counted(read: Read) -> Read:
    return lambda scope: read(Names(Meter(), scope))


def _whole(node: OutputNode) -> Read:
    read = node.read
    assert read is not None
    if not node.html and not node.expression.filters:
        return read  # a value of the scope, as it is
    settle = _html_typed if node.html else _typed

    def render(scope: Scope) -> Json:
        try:
            return settle(read(scope))
        except (RenderFault, RecursionError) as fault:
            raise template_error(fault, "{{" + node.source + "}}") from None

    return render


def _typed(value: Json) -> Json:
    if isinstance(value, str):
        return str(checked(value)) if type(value) is SafeText else checked(value)
    return value


def _html_typed(value: Json) -> Json:
    # Numbers and booleans keep their type; whatever can hold markup becomes escaped text.
    return checked(html_text(value)) if isinstance(value, str | dict | list) else value


def _mixed(nodes: list[Node], text: str) -> Read:
    parts: list[str | Read] = []
    for node in nodes:
        if isinstance(node, ContentNode):
            parts.append(node.text)
        elif isinstance(node, OutputNode) and node.read is not None:
            parts.append(_written(node.read, node.html))

    def render(scope: Scope) -> Json:
        try:
            return checked("".join([part if isinstance(part, str) else part(scope) for part in parts]))
        except (RenderFault, RecursionError) as fault:
            raise template_error(fault, text) from None

    return render


def _written(read: Read, html: bool) -> Read:
    write = html_text if html else text_of
    return lambda scope: write(read(scope))


def _tagged(nodes: list[Node], text: str, html: bool) -> Read:
    def render(scope: Scope) -> Json:
        try:
            assert isinstance(scope, Names)  # tags are always metered
            return engine.render(nodes, scope, html=html)
        except (RenderFault, ArithmeticError, ValueError, LookupError, RecursionError) as fault:
            raise template_error(fault, text) from None

    return render
