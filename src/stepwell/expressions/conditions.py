"""Conditions: the forms A, B and C of the LoopFour contract's section 7, compiled once and evaluated on a scope."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from stepwell.errors import Fault, StepError
from stepwell.expressions.cel import compile_cel
from stepwell.expressions.errors import CompileFailed, SyntaxFault, excerpt
from stepwell.expressions.operators import OPERATORS, UNARY
from stepwell.expressions.paths import Read
from stepwell.expressions.patterns import InvalidPattern, regex
from stepwell.expressions.scope import Scope
from stepwell.expressions.template import Template, compile_template
from stepwell.expressions.texts import text_of
from stepwell.values import Json, Path

Holds: TypeAlias = Callable[[Scope], bool]

_MAX_DEPTH = 50
_TEXT_KEYS = ("expression", "condition")


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition. `references` and `secrets` as in Template."""

    references: frozenset[tuple[Path, Path]]
    secrets: frozenset[str]
    _holds: Holds = field(repr=False)
    _resolve: Read = field(repr=False)

    def evaluate(self, scope: Scope) -> bool:
        """Whether it holds.

        Raises:
            StepError: CONDITION_ERROR naming the expression; TEMPLATE_ERROR for a fault in a `{{ … }}` of form A or B.
        """
        return self._holds(scope)

    def resolve(self, scope: Scope) -> Json:
        """The condition as it is recorded: operands rendered; of a CEL condition the text.

        Raises:
            StepError: TEMPLATE_ERROR.
        """
        return self._resolve(scope)


@dataclass(frozen=True, slots=True)
class _Node:
    holds: Holds
    resolve: Read


def compile_condition(value: Json) -> Condition:
    """Compile a CEL text; `{left, operator, right}` or a group of such; a list of `{field, operator, value}`; or an
    object that holds one of these as `conditions` (with `combineOperator`), `expression` or `condition`. Other members
    of such an object are not looked at.

    Raises:
        CompileFailed: every fault, paths relative to the value.
    """
    builder = _Builder()
    node = builder.whole(value)
    if builder.faults:
        raise CompileFailed(builder.faults)
    return Condition(frozenset(builder.references), frozenset(builder.secrets), node.holds, node.resolve)


class _Builder:
    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.references: set[tuple[Path, Path]] = set()
        self.secrets: set[str] = set()

    def whole(self, value: Json) -> _Node:
        """A condition, or a config that holds one."""
        if not isinstance(value, dict) or "left" in value or "operator" in value:
            return self._any(value, ())
        if "conditions" in value:
            return self._combined(value)
        for key in _TEXT_KEYS:
            if key in value:
                return _under(key, self._any(value[key], (key,)))
        return self._fault((), "Expected a condition")

    def _any(self, value: Json, path: Path) -> _Node:
        if isinstance(value, str):
            return self._cel(value, path)
        if isinstance(value, list):
            return self._list(value, path, all)
        if isinstance(value, dict):
            return self._group(value, path) if "conditions" in value else self._comparison(value, path)
        return self._fault(path, "Expected a condition")

    def _combined(self, config: dict[str, Json]) -> _Node:
        conditions, word = config["conditions"], config.get("combineOperator")
        if word is None:
            return _under("conditions", self._any(conditions, ("conditions",)))
        join = {"AND": all, "OR": any}.get(word.upper()) if isinstance(word, str) else None
        if join is None:
            return self._fault(("combineOperator",), "Expected AND or OR")
        if not isinstance(conditions, list):
            return _under("conditions", self._any(conditions, ("conditions",)))
        node = self._list(conditions, ("conditions",), join)
        return _Node(node.holds, lambda scope: {"conditions": node.resolve(scope), "combineOperator": word})

    def _list(self, values: list[Json], path: Path, join: Callable[..., bool]) -> _Node:
        if not values:
            return self._fault(path, "At least one condition is required")
        if len(path) > 2 * _MAX_DEPTH:
            return self._fault(path, f"Nested deeper than {_MAX_DEPTH}")
        nodes = [self._any(value, (*path, index)) for index, value in enumerate(values)]
        return _Node(
            lambda scope: join(node.holds(scope) for node in nodes),
            lambda scope: [node.resolve(scope) for node in nodes],
        )

    def _group(self, group: dict[str, Json], path: Path) -> _Node:
        operator, members = group.get("operator", group.get("combineOperator", "and")), group["conditions"]
        word = operator.lower() if isinstance(operator, str) else ""
        if word not in ("and", "or", "not"):
            return self._fault((*path, "operator"), "Expected and, or or not")
        inner = (*path, "conditions")
        members = [members] if isinstance(members, dict) else members
        if not isinstance(members, list):
            return self._fault(inner, "Expected a list of conditions")
        if word == "not" and len(members) != 1:
            return self._fault(inner, "not takes one condition")
        node = self._list(members, inner, any if word == "or" else all)
        holds = (lambda scope: not node.holds(scope)) if word == "not" else node.holds
        return _Node(holds, lambda scope: {"operator": operator, "conditions": node.resolve(scope)})

    def _comparison(self, value: dict[str, Json], path: Path) -> _Node:
        left_key = "left" if "left" in value or "field" not in value else "field"
        right_key = "right" if "right" in value or left_key == "left" else "value"
        operator = value.get("operator")
        if left_key not in value:
            self._fault((*path, left_key), "Required")
        if not isinstance(operator, str):
            self._fault((*path, "operator"), "Required" if operator is None else "Expected an operator")
        elif operator not in OPERATORS:
            self._fault((*path, "operator"), f"Unknown operator: {operator}")
        elif operator not in UNARY and right_key not in value:
            self._fault((*path, right_key), "Required")
        left = self._operand(value.get(left_key), (*path, left_key))
        right = self._operand(value.get(right_key), (*path, right_key))
        if left is None or right is None or not isinstance(operator, str) or operator not in OPERATORS:
            return _NOTHING
        if operator == "matches" and right.literal:
            self._pattern(value.get(right_key), (*path, right_key))
        parts = {key: value[key] for key in (left_key, "operator", right_key) if key in value}
        return _compared(operator, left, right, left_key, right_key, parts)

    def _pattern(self, pattern: Json, path: Path) -> None:
        try:
            regex(text_of(pattern))
        except InvalidPattern as fault:
            self._fault(path, str(fault))

    def _operand(self, value: Json, path: Path) -> Template | None:
        try:
            template = compile_template(value)
        except CompileFailed as failed:
            self.faults += [Fault((*path, *fault.path), fault.message) for fault in failed.faults]
            return None
        self.references |= {((*path, *where), reference) for where, reference in template.references}
        self.secrets |= template.secrets
        return template

    def _cel(self, text: str, path: Path) -> _Node:
        try:
            condition = compile_cel(text)
        except SyntaxFault as fault:
            return self._fault(path, fault.located(text))
        self.faults += [Fault(path, message) for message in condition.faults]
        self.references |= {(path, reference) for reference in condition.references}
        self.secrets |= condition.secrets
        return _Node(condition.evaluate, lambda scope: text)

    def _fault(self, path: Path, message: str) -> _Node:
        self.faults.append(Fault(path, message))
        return _NOTHING


def _compared(
    operator: str, left: Template, right: Template, left_key: str, right_key: str, parts: Mapping[str, Json]
) -> _Node:
    test = OPERATORS[operator]

    def holds(scope: Scope) -> bool:
        first, second = left.render(scope), right.render(scope)
        try:
            return test(first, second)
        except (InvalidPattern, ArithmeticError, RecursionError) as fault:
            named = f"{excerpt(text_of(parts[left_key]))} {operator} {excerpt(text_of(parts.get(right_key)))}"
            raise StepError(f"Condition '{named}': {fault}", code="CONDITION_ERROR") from None

    def resolve(scope: Scope) -> Json:
        rendered = dict(parts)
        rendered[left_key] = left.render(scope)
        if right_key in parts:
            rendered[right_key] = right.render(scope)
        return rendered

    return _Node(holds, resolve)


def _under(key: str, node: _Node) -> _Node:
    return _Node(node.holds, lambda scope: {key: node.resolve(scope)})


_NOTHING = _Node(lambda scope: False, lambda scope: None)
