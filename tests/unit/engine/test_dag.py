"""Blocks with `needs`: what goes on beside a failure, an end, a stop of the process."""

import asyncio
from pathlib import Path
from typing import Any

from kit import EffectStep, World, effect, transform, wait
from stepwell.states import RecordStatus
from stepwell.steps import Call, Ports
from stepwell.values import Json


class GatedStep(EffectStep):
    """An effect that begins, and ends when the test lets it."""

    name = "gated"

    def __init__(self, world: World) -> None:
        super().__init__(world.ledger)
        self.gates: dict[str, asyncio.Event] = {}
        self.begun: dict[str, asyncio.Event] = {}

    async def perform(self, program: Any, config: Json, call: Call, ports: Ports) -> Json:
        self.begun.setdefault(call.path, asyncio.Event()).set()
        await self.gates.setdefault(call.path, asyncio.Event()).wait()
        return await super().perform(program, config, call, ports)

    async def until_begun(self, path: str) -> None:
        await self.begun.setdefault(path, asyncio.Event()).wait()

    def let(self, path: str) -> None:
        self.gates.setdefault(path, asyncio.Event()).set()


def gated(world: World) -> GatedStep:
    step = world.step_types["gated"] = GatedStep(world)
    return step


def gate(step: str, config: Json = None, **fields: Json) -> Json:
    return {**effect(step, config, **fields), "type": "gated"}


async def turns() -> None:
    """Let everything happen that needs no gate."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_an_effect_in_flight_may_end_when_the_process_stops_beside_it(tmp_path: Path) -> None:
    world = World(tmp_path / "stepwell.db")
    await world.boot()
    gates = gated(world)
    run = await world.start(world.define(gate("slow"), gate("quick"), effect("next", needs=["quick"])))
    await gates.until_begun("slow")
    await gates.until_begun("quick")

    world.engine.stop_walking()
    gates.let("quick")
    await turns()
    gates.let("slow")
    await world.engine.drain(30)
    await world.store.close()
    await world.boot()
    await world.settle()

    assert (await world.outcome(run))[0] == "completed"
    assert {record.path: record.attempt for record in (await world.load(run)).records} == {
        "slow": 1,
        "quick": 1,
        "next": 1,
    }
    await world.store.close()


async def test_after_a_failure_no_new_step_starts_even_when_a_wait_beside_it_is_over(world: World) -> None:
    workflow = world.define(
        transform("first", x=1),
        effect("bad", {"fail": 1, "status": 400}, needs=["first"]),
        wait("pause", 1000),
        effect("after", needs=["pause"]),
    )
    run = await world.start(workflow)
    await world.settle_through(10)

    records = {record.path: record.status for record in (await world.load(run)).records}
    assert (await world.outcome(run))[1]["path"] == "bad"
    assert records == {"first": "success", "bad": "error", "pause": "success"}


async def test_a_failed_run_has_no_open_records_of_waits_beside_the_failure(tmp_path: Path) -> None:
    world = World(tmp_path / "stepwell.db")
    await world.boot()
    gates = gated(world)
    workflow = world.define(
        transform("first", x=1),
        gate("bad", {"fail": 1, "status": 400}),
        wait("pause", 1000) | {"needs": ["first"]},
    )
    run = await world.start(workflow)
    await gates.until_begun("bad")
    gates.let("bad")
    await world.settle_through(10)

    loaded = await world.load(run)
    assert loaded.run.state == "failed"
    assert {record.path: record.status for record in loaded.records}["pause"] is RecordStatus.SUCCESS
    await world.store.close()


async def test_of_two_failures_the_one_of_the_step_that_started_first_is_the_runs(tmp_path: Path) -> None:
    world = World(tmp_path / "stepwell.db")
    await world.boot()
    gates = gated(world)
    failing = {"fail": 1, "status": 400}
    run = await world.start(world.define(gate("first", failing, needs=[]), gate("second", failing)))
    await gates.until_begun("second")
    gates.let("second")
    await turns()
    gates.let("first")
    await world.settle()

    assert (await world.outcome(run))[1]["path"] == "first"
    await world.store.close()


async def test_after_an_end_no_new_step_starts(world: World) -> None:
    workflow = world.define(
        transform("a", x=1) | {"needs": []}, {"id": "stop", "type": "end"}, effect("later", needs=["a"])
    )
    run = await world.start(workflow)
    await world.settle()

    assert await world.outcome(run) == ("completed", {"x": 1})
    assert world.ledger.operations == []


async def test_what_has_ended_is_known_while_a_step_beside_it_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path / "stepwell.db")
    await world.boot()
    gates = gated(world)
    run = await world.start(world.define(gate("slow"), effect("quick", needs=[])))
    await gates.until_begun("slow")
    await turns()

    quick = next(record for record in (await world.load(run)).records if record.path == "quick")
    assert quick.status is RecordStatus.SUCCESS
    gates.let("slow")
    await world.settle()
    await world.store.close()


async def test_what_a_wait_holds_back_goes_on_when_it_is_over_though_a_step_beside_it_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path / "stepwell.db")
    await world.boot()
    gates = gated(world)
    retry = {"maxAttempts": 2, "initialDelayMs": 1000}
    workflow = world.define(
        gate("slow"),
        wait("pause", 1000),
        effect("after", needs=["pause"]),
        effect("again", {"fail": 1}, retryConfig=retry),
    )
    run = await world.start(workflow)
    await gates.until_begun("slow")
    await turns()
    world.clock.advance(1)
    await world.engine.timers.release()
    await turns()

    statuses = {record.path: str(record.status) for record in (await world.load(run)).records}
    assert statuses == {"slow": "running", "pause": "success", "again": "success", "after": "success"}
    gates.let("slow")
    await world.settle()
    assert (await world.outcome(run))[0] == "completed"
    await world.store.close()


async def test_a_stop_beside_a_wait_leaves_a_run_that_goes_on_at_once(tmp_path: Path) -> None:
    world = World(tmp_path / "stepwell.db")
    await world.boot()
    gates = gated(world)
    run = await world.start(world.define(gate("quick"), wait("pause", 3_600_000), effect("next", needs=["quick"])))
    await gates.until_begun("quick")

    world.engine.stop_walking()
    gates.let("quick")
    await world.engine.drain(30)
    await world.store.close()
    await world.boot()
    await world.settle()

    assert world.ledger.operations == [f"run_{run}:quick", f"run_{run}:next"]
    await world.store.close()
