"""The form of transform that goes over a list by a CEL expression: what is refused at save."""

import pytest

from kit import NoActions
from stepwell.definitions import compile_definition
from stepwell.errors import ValidationFailed
from stepwell.steps import STEP_TYPES
from stepwell.values import Json


@pytest.mark.parametrize(
    ("config", "field", "message"),
    [
        ({"items": []}, "where", "Required, or select"),
        ({"items": [], "where": "true", "select": "item"}, "where", "Not allowed together with select"),
        ({"where": "item.n > 1"}, "items", "Required"),
        ({"items": [], "where": "item.n > 1", "mapping": {}}, "mapping", "Not allowed together with items"),
        ({"items": [], "where": "input.n > 1"}, "where", "Unknown name: input; only item is known here"),
        ({"items": [], "select": "item.all(x, x.all(y, y))"}, "select", None),
        ({"items": [], "where": "item >"}, "where", None),
        ({"items": "{{nobody.x}}", "where": "item"}, "items", "Unknown name: nobody"),
    ],
)
def test_a_faulty_config_is_refused(config: Json, field: str, message: str | None) -> None:
    step = {"id": "a", "type": "transform", "config": config}

    with pytest.raises(ValidationFailed) as refused:
        compile_definition({"name": "x", "trigger": {"type": "api"}, "steps": [step]}, STEP_TYPES, NoActions())

    [fault] = refused.value.faults
    assert fault.field == f"steps[0].config.{field}"
    assert message is None or fault.message == message
