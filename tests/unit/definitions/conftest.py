"""A small catalogue, and compiling with it."""

from collections.abc import Callable

import pytest

from stepwell.definitions import ActionSpec, Plan, compile_definition
from stepwell.errors import Fault, ValidationFailed
from stepwell.steps import STEP_TYPES
from stepwell.values import Json


class TinyCatalogue:
    """Two providers."""

    _actions = {
        "stripe.createInvoice": ActionSpec(
            "stripe.createInvoice",
            "stripe",
            ("customerId",),
            {
                "type": "object",
                "required": ["customerId"],
                "properties": {
                    "customerId": {"type": "string"},
                    "amount": {"type": "number"},
                    "metadata": {"type": "object"},
                },
            },
        )
    }

    def action(self, name: str) -> ActionSpec | None:
        return self._actions.get(name)

    def connectors(self) -> tuple[str, ...]:
        return ("resend", "stripe")

    def offering(self, action: str) -> tuple[str, ...]:
        return ("resend",) if action == "sendEmail" else ()


@pytest.fixture
def catalogue() -> TinyCatalogue:
    return TinyCatalogue()


@pytest.fixture
def compile_(catalogue: TinyCatalogue) -> Callable[[Json], Plan]:
    return lambda document: compile_definition(document, STEP_TYPES, catalogue)


@pytest.fixture
def faults(compile_: Callable[[Json], Plan]) -> Callable[[Json], list[Fault]]:
    """The faults of a document that must have some."""

    def refuse(document: Json) -> list[Fault]:
        with pytest.raises(ValidationFailed, match="Invalid workflow configuration") as refused:
            compile_(document)
        return refused.value.faults

    return refuse
