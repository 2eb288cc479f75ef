"""Code steps do not see each other, and may change built-in objects for themselves. Source: LoopFour contract 9.7."""

from live import Api
from stepwell.values import Json


def outputs(api: Api, *codes: str) -> list[Json]:
    """What steps of these codes give, in one run."""
    steps = [{"id": f"s{at}", "type": "code", "config": {"code": code}} for at, code in enumerate(codes)]
    run = api.finish(api.workflow({"name": "code", "trigger": {"type": "api"}, "steps": steps}))
    return [step["output"] for step in run["steps"]]


def test_a_step_may_extend_built_in_objects(api: Api) -> None:
    code = "Array.prototype.last = function () { return this[this.length - 1] }; return [1, 2].last()"

    assert outputs(api, code) == [{"result": 2}]


def test_no_step_finds_what_another_did(api: Api) -> None:
    look = "return [typeof kept, [].last === undefined, Math.max(1, 2), `${new Error('a')}`]"
    changes = "Array.prototype.last = 1; Math.max = () => 9; return 1"
    assigns = "kept = 1; Math.max = () => 9; Error.name2 = 1; return 1"

    told = outputs(api, look, changes, assigns, look)

    assert told[0] == told[3] == {"result": ["undefined", True, 2, "Error: a"]}
