"""From parsed Liquid to functions: every output statement becomes a chain of our readers and filters.

On the way it finds what a text refers to, which secrets it names, and every fault that can be known before it runs.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache, partial
from itertools import takewhile
from typing import Any

from liquid.ast import Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression
from liquid.builtin.expressions import Path as LiquidPath
from liquid.builtin.expressions.filtered import Filter as LiquidFilter
from liquid.builtin.expressions.primitive import (
    Blank,
    Empty,
    FloatLiteral,
    IntegerLiteral,
    Literal,
    RangeLiteral,
    StringLiteral,
)
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.capture_tag import CaptureNode
from liquid.expression import Expression

from stepwell.errors import StepError
from stepwell.expressions.arithmetic import picker
from stepwell.expressions.engine import Computed, OutputNode, RangeEnd, check_range, whole
from stepwell.expressions.errors import RenderFault, SyntaxFault, excerpt
from stepwell.expressions.filters import FILTERS, HTML_FILTERS, Filter
from stepwell.expressions.filters_lists import map_picked
from stepwell.expressions.paths import Read, reader, settled, step
from stepwell.expressions.scope import MISSING, Scope
from stepwell.values import MAX_DIGITS, Json, Path

NO_FILTERS = "A secret takes no filters"
ALONE = "A secret may only stand alone, as {{secrets.NAME}}"

_MAX_FILTERS = 100
_FAULTS = (RenderFault, ArithmeticError, ValueError, TypeError, LookupError, RecursionError)


@dataclass(frozen=True, slots=True)
class Constant:
    """An operand that is the same on every scope."""

    value: Json


Operand = Constant | Read


class Compiler:
    """Compiles the nodes of one text. Faults, references and secrets gather in it."""

    def __init__(self, *, html: bool, metered: bool) -> None:
        self.faults: list[SyntaxFault] = []
        self.references: set[Path] = set()
        self.secrets: set[str] = set()
        self._filters: Mapping[str, Filter] = HTML_FILTERS if html else FILTERS
        self._metered = metered  # every value looked at is counted

    def compile(self, nodes: list[Node]) -> None:
        """Compile the nodes in place."""
        self._nodes(nodes, set(), captured=False)

    def _nodes(self, nodes: Any, bound: set[str], captured: bool) -> None:
        for node in nodes:
            if isinstance(node, ContentNode):
                continue
            if isinstance(node, OutputNode):
                node.read = self._output(node, bound, captured)
                continue
            if isinstance(node, AssignNode) and isinstance(node.expression, FilteredExpression):
                read = guarded(self._filtered(node.expression, bound), str(node.expression))
                node.expression = Computed(node.expression.token, read)
            else:
                for expression in node.expressions():
                    self._inspect(expression, bound)
            bound.update(str(name) for name in node.template_scope())
            inner = {str(name) for name in node.block_scope()} - bound
            bound |= inner
            self._nodes(node.children(None), bound, captured or isinstance(node, CaptureNode))
            bound -= inner

    def _output(self, node: OutputNode, bound: set[str], captured: bool) -> Read:
        expression = node.expression
        left = expression.left
        if isinstance(left, LiquidPath) and left.path[0] == "secrets" and "secrets" not in bound:
            node.html = False  # a marker is opened when it is sent; until then it must stay as it is
            return self._secret(left, bool(expression.filters), captured)
        read = self._filtered(expression, bound)
        bare = isinstance(left, LiquidPath) and not expression.filters and not self._metered  # cannot fail
        return read if bare else guarded(read, node.source)

    def _secret(self, path: LiquidPath, filtered: bool, captured: bool) -> Read:
        names = path.path[1:]
        if filtered:
            self._fault(NO_FILTERS, path)
        elif captured:
            self._fault(ALONE, path)
        elif len(names) != 1 or not isinstance(names[0], str):
            self._fault("Name one secret: secrets.<NAME>", path)
        else:
            self.secrets.add(names[0])
            self.references.add(("secrets", names[0]))
            return reader(("secrets", names[0]))
        return _nothing

    def _filtered(self, expression: FilteredExpression, bound: set[str]) -> Read:
        filters = expression.filters or []
        if len(filters) > _MAX_FILTERS:
            self._fault(f"More than {_MAX_FILTERS} filters", expression)
            return _nothing
        left = expression.left
        if isinstance(left, StringLiteral) and left.value in ("now", "today") and filters and filters[0].name == "date":
            left = LiquidPath(left.token, ["now"])  # the time of the step, never the clock's
        read = _as_read(self._operand(left, bound))
        if filters and self._metered:
            read = _metered(read)
        for item in filters:
            read = self._applied(read, item, bound)
        return read

    def _applied(self, read: Read, item: LiquidFilter, bound: set[str]) -> Read:
        positional = [self._operand(argument.value, bound) for argument in item.args if not hasattr(argument, "name")]
        named = {a.name: self._operand(a.value, bound) for a in item.args if hasattr(a, "name")}
        apply = self._filters.get(item.name)
        if apply is None:
            self.faults.append(SyntaxFault(f"Unknown filter: {item.name}", item.token.start_index))
            return read
        try:
            _signature(apply).bind(None, *positional, **named)
        except TypeError as error:
            self.faults.append(SyntaxFault(f"Filter {item.name}: {error}", item.token.start_index))
            return read
        if item.name == "map" and isinstance(positional[0], Constant) and isinstance(positional[0].value, str):
            try:
                apply, positional = partial(map_picked, pick=picker(positional[0].value)), []
            except SyntaxFault as fault:
                self.faults.append(SyntaxFault(fault.message, item.args[0].token.start_index))
                return read
        applied = _chained(read, apply, positional, named)
        return _metered(applied) if self._metered else applied

    def _operand(self, expression: Expression, bound: set[str]) -> Operand:
        self._inspect(expression, bound)
        if isinstance(expression, LiquidPath):
            return self._path(expression, bound)
        if isinstance(expression, Literal):
            return Constant(expression.value)
        if isinstance(expression, RangeLiteral):
            stop = expression.stop.stop if isinstance(expression.stop, RangeEnd) else expression.stop
            return _range(_as_read(self._operand(expression.start, bound)), _as_read(self._operand(stop, bound)))
        return Constant("" if isinstance(expression, Empty | Blank) else None)

    def _path(self, path: LiquidPath, bound: set[str]) -> Read:
        fixed = _fixed(path)
        if len(fixed) == len(path.path):
            return reader(fixed)
        return _dynamic(
            [self._path(part, bound) if isinstance(part, LiquidPath) else Constant(part) for part in path.path]
        )

    def _inspect(self, expression: Expression, bound: set[str]) -> None:
        """Note references and make literals ours: decimals exact, ranges bounded."""
        if isinstance(expression, LiquidPath):
            self._refer(expression, bound)
        elif isinstance(expression, FloatLiteral):
            expression.value = Decimal(expression.token.value)  # type: ignore[assignment] # exact, where Liquid has a float
        elif isinstance(expression, IntegerLiteral):
            if abs(expression.value) >= 10**MAX_DIGITS:
                self._fault(f"A number of more than {MAX_DIGITS} digits", expression)
        elif isinstance(expression, RangeLiteral) and not isinstance(expression.stop, RangeEnd):
            expression.stop = RangeEnd(expression.start, expression.stop)
        for child in expression.children():
            self._inspect(child, bound)

    def _refer(self, path: LiquidPath, bound: set[str]) -> None:
        root = path.path[0]
        if not isinstance(root, str):
            self._fault("A path begins with a name", path)
        elif root == "secrets" and root not in bound:
            self._fault(ALONE, path)
        elif root not in bound:
            self.references.add(_fixed(path))

    def _fault(self, message: str, expression: Expression) -> None:
        self.faults.append(SyntaxFault(message, expression.token.start_index))


def guarded(read: Read, source: str) -> Read:
    """The reader with every fault of its values turned into a StepError that names the expression."""

    def run(scope: Scope) -> Json:
        try:
            return read(scope)
        except _FAULTS as error:
            raise template_error(error, "{{" + source + "}}") from None

    return run


def template_error(error: Exception, source: str) -> StepError:
    """The StepError of a fault while rendering."""
    reason = str(error) if isinstance(error, RenderFault) else "the value does not fit"
    return StepError(f"{excerpt(source)}: {reason}", code="TEMPLATE_ERROR")


def _fixed(path: LiquidPath) -> Path:
    # The segments before the first that is itself looked up.
    return tuple(takewhile(lambda part: not isinstance(part, LiquidPath), path.path))  # type: ignore[arg-type]


def _as_read(operand: Operand) -> Read:
    if isinstance(operand, Constant):
        value = operand.value
        return lambda scope: value
    return operand


def _chained(read: Read, apply: Callable[..., Json], positional: list[Operand], named: dict[str, Operand]) -> Read:
    # The shapes that stand in nearly every template get a function without loops.
    if not positional and not named:
        return lambda scope: apply(read(scope))
    if not named and all(isinstance(operand, Constant) for operand in positional):
        values = [operand.value for operand in positional if isinstance(operand, Constant)]
        if len(values) == 1:
            value = values[0]
            return lambda scope: apply(read(scope), value)
        return lambda scope: apply(read(scope), *values)
    reads = [_as_read(operand) for operand in positional]
    keys = {name: _as_read(operand) for name, operand in named.items()}
    return lambda scope: apply(
        read(scope), *[each(scope) for each in reads], **{name: each(scope) for name, each in keys.items()}
    )


def _metered(read: Read) -> Read:
    return lambda scope: scope.meter.spend(read(scope))  # type: ignore[attr-defined]


def _dynamic(parts: list[Operand]) -> Read:
    root, *rest = [_as_read(part) for part in parts]

    def read(scope: Scope) -> Json:
        name = root(scope)
        value = scope.get(name, MISSING) if isinstance(name, str) else MISSING
        for segment in rest:
            key = segment(scope)
            if not isinstance(key, str | int):
                return None
            value = step(value, key)
            if value is MISSING:
                return None
        return settled(value)

    return read


def _range(start: Read, stop: Read) -> Read:
    def read(scope: Scope) -> Json:
        first, final = whole(start(scope)), whole(stop(scope))
        check_range(first, final)
        return list(range(first, final + 1))

    return read


@lru_cache(maxsize=256)
def _signature(apply: Filter) -> inspect.Signature:
    return inspect.signature(apply)


def _nothing(scope: Scope) -> Json:
    return None
