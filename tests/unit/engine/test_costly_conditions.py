"""Conditions over many items are evaluated in a child process, with the same result."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kit import World, transform
from stepwell.sandbox import Sandbox
from stepwell.steps import Script
from stepwell.values import Json


class Counting(Sandbox):
    """The real sandbox, which tells what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def run(self, workspace: str, script: Script, log: Any) -> Json:
        self.asked.append(script.language)
        return await super().run(workspace, script, log)


@pytest.fixture
async def sandbox() -> AsyncIterator[Counting]:
    sandbox = Counting()
    yield sandbox
    await sandbox.close()


@pytest.fixture
async def world(tmp_path: Path, sandbox: Counting) -> AsyncIterator[World]:
    world = World(tmp_path / "stepwell.db")
    world.code = sandbox
    await world.boot()
    yield world
    await world.store.close()


def decision(expression: str) -> Json:
    config = {"expression": expression, "then": [transform("yes", x=1)], "else": [transform("no", x=0)]}
    return {"id": "q", "type": "condition", "config": config}


async def decided(world: World, expression: str, items: Json) -> tuple[str, Json]:
    run = await world.start(world.define(decision(expression)), {"items": items})
    await world.settle()
    return await world.outcome(run)


@pytest.mark.parametrize(("highest", "chosen"), [(5000, 1), (9000, 0)])
async def test_a_macro_over_many_items_is_evaluated_in_a_child(world, sandbox, highest, chosen):
    state, output = await decided(world, f"input.items.exists(i, i == {highest - 1})", list(range(5000)))

    assert (state, output, sandbox.asked) == ("completed", {"x": chosen}, ["cel"])


async def test_a_macro_over_few_items_is_evaluated_at_once(world, sandbox):
    assert await decided(world, "input.items.all(i, i < 10.0)", list(range(10))) == ("completed", {"x": 1})
    assert sandbox.asked == []


async def test_a_fault_in_a_child_is_the_fault_it_would_be_here(world, sandbox):
    items: list[Json] = [*range(3000), "x"]
    state, error = await decided(world, "input.items.all(i, i + 1.0 > 0.0)", items)

    assert (state, error["code"], sandbox.asked) == ("failed", "CONDITION_ERROR", ["cel"])


async def test_conditions_of_loops_are_evaluated_there_too(world, sandbox):
    config = {
        "loopType": "while",
        "whileCondition": "input.items.exists(i, i == double(index) + 998.0)",
        "steps": [transform("t", i="{{index}}")],
    }
    run = await world.start(world.define({"id": "w", "type": "loop", "config": config}), {"items": list(range(1000))})
    await world.settle()

    state, output = await world.outcome(run)
    assert (state, output["count"]) == ("completed", 2)
    assert sandbox.asked == ["cel"] * 3
