"""Templates, conditions and filters of workflows: compiled once, evaluated on a scope. Pure."""

from stepwell.expressions.cel import CelOfItems, compile_cel_of_items
from stepwell.expressions.conditions import Condition, compile_condition
from stepwell.expressions.deferred import ANSWERS, Answers, Deferred
from stepwell.expressions.errors import CompileFailed, RenderFault, SyntaxFault
from stepwell.expressions.numbers import is_number_like, to_number
from stepwell.expressions.operators import OPERATORS, matches_operator
from stepwell.expressions.paths import find
from stepwell.expressions.patterns import InvalidPattern, Pattern, regex
from stepwell.expressions.scope import MISSING, Lookup, Scope
from stepwell.expressions.template import Template, compile_template

__all__ = [
    "ANSWERS",
    "MISSING",
    "OPERATORS",
    "Answers",
    "CelOfItems",
    "CompileFailed",
    "Condition",
    "Deferred",
    "InvalidPattern",
    "Lookup",
    "Pattern",
    "RenderFault",
    "Scope",
    "SyntaxFault",
    "Template",
    "compile_cel_of_items",
    "compile_condition",
    "compile_template",
    "find",
    "is_number_like",
    "matches_operator",
    "regex",
    "to_number",
]
