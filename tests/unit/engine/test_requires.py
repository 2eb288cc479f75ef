"""`requires`: values that must be there when a step begins. Source: AITasker contract 7.2, 7.3."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit import World, effect, transform


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path / "stepwell.db")
    await world.boot()
    yield world
    await world.store.close()


async def test_a_step_that_lacks_a_value_fails_without_a_try(world: World) -> None:
    wanted = [{"path": ["input", "there"]}, {"path": ["input", "list", 1], "as": "the second"}]
    step = effect("pay", {"value": {}}, requires=wanted, retryConfig={"maxAttempts": 5})
    run = await world.start(world.define(step), {"there": None, "list": [1]})
    await world.settle()

    state, error = await world.outcome(run)

    assert (state, error["code"], error["message"]) == ("failed", "TEMPLATE_ERROR", "Missing variable the second")
    assert world.ledger.performed == []


async def test_null_and_outputs_of_steps_before_are_there(world: World) -> None:
    wanted = [{"path": ["input", "none"]}, {"path": ["steps", "first", "output", "n"]}]
    run = await world.start(world.define(transform("first", n=1), effect("pay", requires=wanted)), {"none": None})
    await world.settle()

    assert (await world.outcome(run))[0] == "completed"


async def test_without_a_name_the_path_is_told(world: World) -> None:
    run = await world.start(world.define(effect("pay", requires=[{"path": ["input", "a", "b"]}])), {})
    await world.settle()

    assert (await world.outcome(run))[1]["message"] == "Missing variable input.a.b"
