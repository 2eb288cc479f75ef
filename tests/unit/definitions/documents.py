"""Documents for tests."""

from stepwell.values import Json


def document(*steps: Json, **fields: Json) -> Json:
    """A definition with these steps."""
    return {"name": "Test", "trigger": {"type": "api"}, "steps": list(steps), **fields}


def transform(id: str, **fields: Json) -> Json:
    """A transform step that maps nothing of note."""
    return {"id": id, "type": "transform", "config": {"mapping": {"a": 1}}, **fields}


def fork(id: str, then: Json, otherwise: Json = (), **fields: Json) -> Json:
    """A condition step with these branches."""
    config = {"expression": "input.yes == true", "then": list(then), "else": list(otherwise)}
    return {"id": id, "type": "condition", "config": config, **fields}
