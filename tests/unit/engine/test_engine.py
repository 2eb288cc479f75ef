"""The engine around the walks: what it counts, what makes room, and faults of our own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kit import EffectStep, World, effect, transform, wait
from stepwell.engine import Limits
from stepwell.errors import Overloaded
from stepwell.steps import Call, Ports
from stepwell.steps.code import CodeStep
from stepwell.steps.transform import TransformStep
from stepwell.store import NewRun
from stepwell.values import Json


class BrokenTransform(TransformStep):
    """A step type with a fault of its own."""

    name = "broken"

    def evaluate(self, program: Any, scope: Any) -> tuple[Json, Json]:
        raise ZeroDivisionError


class DeepEffect(EffectStep):
    """An effect with an output that nests deeper than JSON may here."""

    name = "deep"

    async def perform(self, program: Any, config: Json, call: Call, ports: Ports) -> Json:
        return nested(140)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A world whose runs are not replayed: faults of ours are not in the journal."""
    world = World(tmp_path / "stepwell.db")
    world.step_types |= {"broken": BrokenTransform(CodeStep()), "deep": DeepEffect(world.ledger)}
    await world.boot()
    yield world
    await world.store.close()


async def turns() -> None:
    """Let everything happen that can."""
    for _ in range(50):
        await asyncio.sleep(0)


def nested(levels: int) -> Json:
    value: Json = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (transform("deep", x={"y": "{{input}}"}), "TEMPLATE_ERROR"),
        (effect("deep", {"x": {"y": "{{input}}"}}), "TEMPLATE_ERROR"),
        ({**effect("deep"), "type": "deep"}, "OUTPUT_TOO_LARGE"),
    ],
)
async def test_a_value_too_deep_to_be_read_back_fails_its_step(world: World, step: Json, code: str) -> None:
    run = await world.start(world.define(step, transform("after", y="{{steps.deep.x}}")), nested(126))
    await world.settle()

    state, error = await world.outcome(run)
    assert (state, error["code"], error["stepId"]) == ("failed", code, "deep")


async def test_a_fault_of_ours_ends_the_run_and_no_other(world: World) -> None:
    broken = await world.start(world.define(effect("call"), {**transform("a", x=1), "type": "broken"}))
    sound = await world.start(world.define(transform("a", x=1)))
    await world.settle()

    state, error = await world.outcome(broken)
    assert (state, error["code"], error["message"]) == ("failed", "INTERRUPTED", "Internal error while walking the run")
    assert (await world.outcome(sound))[0] == "completed"
    assert (world.engine.open_runs, world.engine.active_runs) == (0, 0)


async def test_a_claimed_run_whose_plan_meets_a_fault_of_ours_ends_alone(world: World) -> None:
    workflow = world.define(wait("pause", 1000))
    run = await world.start(workflow)
    await world.settle()
    del world.plans[workflow, 1]
    await world.settle_through(10)

    assert (await world.outcome(run))[1]["code"] == "INTERRUPTED"
    assert world.engine.open_runs == 0


async def test_starts_at_the_same_time_never_exceed_the_limit_of_open_runs(tmp_path: Path) -> None:
    world = World(tmp_path / "limited.db")
    world.limits = Limits(max_open_runs=2)
    await world.boot()
    workflow = world.define(wait("pause", 1000))

    answers = await asyncio.gather(*(world.start(workflow) for _ in range(5)), return_exceptions=True)

    assert sum(isinstance(answer, Overloaded) for answer in answers) == 3
    assert world.engine.open_runs == 2
    await world.store.close()


async def test_a_repeated_start_opens_no_run(world: World) -> None:
    workflow = world.define(wait("pause", 1000))

    runs = await asyncio.gather(*(world.start(workflow, idempotency_key="once", digest=b"") for _ in range(3)))

    assert len(set(runs)) == 1
    assert world.engine.open_runs == 1


async def test_repeated_starts_that_give_their_room_back_together_let_a_run_be_claimed(tmp_path: Path) -> None:
    world = World(tmp_path / "limited.db")
    world.limits = Limits(max_active_runs=2)
    await world.boot()
    workflow = world.define(transform("a", x=1))
    await world.start(workflow, idempotency_key="once", digest=b"")
    await world.settle()
    waiting = NewRun(
        workspace=world.workspace,
        id=world.ids.new(),
        workflow=workflow,
        version=1,
        trigger="api",
        input=b"{}",
        owner=None,
    )
    stop = asyncio.Event()
    serving = asyncio.ensure_future(world.engine.run(stop))
    await turns()
    await world.store.runs.start(waiting)

    repeats = [asyncio.ensure_future(world.start(workflow, idempotency_key="once", digest=b"")) for _ in range(2)]
    world.engine.offer()
    await asyncio.gather(*repeats)
    await turns()

    assert (await world.outcome(waiting.id))[0] == "completed"
    stop.set()
    world.engine.offer()
    await serving
    await world.store.close()
