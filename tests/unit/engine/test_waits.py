"""Steps that wait for somebody: events, approvals, other runs; and runs that are paused."""

import asyncio
from typing import Any

import msgspec
import pytest

from kit import EffectStep, World, effect, transform, wait
from stepwell import values
from stepwell.engine import Limits
from stepwell.states import RunState
from stepwell.steps import Call, Ports
from stepwell.store import RunEvent, RunFilter
from stepwell.values import Json


def event(step: str, type: str, **config: Json) -> Json:
    return {"id": step, "type": "wait_for_event", "config": {"eventType": type, **config}}


def approval(step: str, *approvers: str, **config: Json) -> Json:
    return {"id": step, "type": "approval", "config": {"approvers": list(approvers), "reason": "Pay?", **config}}


def child(step: str, workflow: str, **config: Json) -> Json:
    return {"id": step, "type": "subworkflow", "config": {"workflowId": workflow, **config}}


async def send(world: World, run: str, type: str, payload: Json = None) -> bool:
    sent = RunEvent(id=world.ids.new(), type=type, payload=values.encode(payload), received_at=world.clock.now_ms())
    reached = await world.store.signals.send(world.workspace, run, sent)
    world.engine.reached(() if reached is None else (reached,))
    await world.settle()
    return reached is not None


async def decide(world: World, run: str, status: str, **decision: Json) -> None:
    [asked] = (await world.load(run)).approvals
    made = [{"approver": "ana", "decision": status, "comment": None, "at": world.clock.now_ms(), **decision}]
    decided = msgspec.structs.replace(asked, status=status, decisions=values.encode(made))
    reached = await world.store.signals.decide(decided, asked.decisions)
    world.engine.reached(() if reached is None else (reached,))
    await world.settle()


async def pause(world: World, run: str) -> None:
    reached = await world.store.signals.pause(world.workspace, run, world.clock.now_ms())
    assert reached is not None
    world.engine.reached((reached,))
    await world.settle()


async def resume(world: World, run: str) -> None:
    reached = await world.store.signals.resume(world.workspace, run, world.clock.now_ms())
    assert reached is not None
    world.engine.reached((reached,))
    await world.settle()


async def started(world: World, *steps: Json, given: Json = None) -> str:
    run = await world.start(world.define(*steps), given)
    await world.settle()
    return run


async def state(world: World, run: str) -> str:
    return (await world.outcome(run))[0]


@pytest.fixture
async def world(unreplayed: World) -> World:
    return unreplayed


async def test_a_run_that_waits_for_an_event_is_suspended_and_goes_on_with_it(world):
    run = await started(world, event("paid", "payment"))
    assert await state(world, run) == "suspended"

    assert await send(world, run, "payment", {"amount": 5})

    ended, output = await world.outcome(run)
    assert ended == "completed"
    assert (output["type"], output["payload"], output["timedOut"]) == ("payment", {"amount": 5}, False)


async def test_an_event_before_its_wait_is_kept_and_taken_once(world):
    run = await started(world, wait("w", 1000), event("a", "e"), event("b", "e"))
    await send(world, run, "e", 1)
    await world.settle_through(2)

    assert await state(world, run) == "suspended"
    assert [r.path for r in (await world.load(run)).records] == ["w", "a", "b"]
    await send(world, run, "e", 2)
    ended, output = await world.outcome(run)
    assert (ended, output["payload"]) == ("completed", 2)


async def test_an_event_that_does_not_match_waits_for_a_step_it_does_match(world):
    run = await started(world, event("a", "e", match={"id": "{{input.id}}"}), event("b", "e"), given={"id": 7})
    await send(world, run, "e", {"id": 8})
    assert await state(world, run) == "suspended"
    await send(world, run, "e", {"id": 7})

    ended, output = await world.outcome(run)
    assert (ended, output["payload"]) == ("completed", {"id": 8})


@pytest.mark.parametrize(("action", "ended"), [("fail", "failed"), ("continue", "completed")])
async def test_an_event_that_does_not_come_in_time(world, action, ended):
    run = await started(world, event("a", "e", timeoutMs=1000, timeoutAction=action))
    await world.settle_through(2)

    found, result = await world.outcome(run)
    assert found == ended
    assert result.get("code") == ("EVENT_TIMEOUT" if action == "fail" else None)
    assert result.get("timedOut") == (True if action == "continue" else None)


async def test_an_event_to_a_final_run_is_refused(world):
    run = await started(world, transform("a", x=1))

    assert not await send(world, run, "e")


async def test_an_approval_suspends_the_run_and_its_decision_branches(world):
    asked = approval("ok", "ana", then=[effect("pay")], **{"else": [effect("refuse")]})
    run = await started(world, asked, transform("end", by="{{steps.ok.output.approvedBy}}"))
    assert await state(world, run) == "suspended"
    assert [(to, late) for _, to, late in world.notified] == [(("ana",), False)]

    await decide(world, run, "approved", comment="fine")

    assert await world.outcome(run) == ("completed", {"by": "ana"})
    assert [operation.rpartition(":")[2] for operation in world.ledger.operations] == ["pay"]


async def test_a_rejection_may_fail_the_run(world):
    run = await started(world, approval("ok", "ana", onReject="fail"))
    await decide(world, run, "rejected", comment="no")

    ended, error = await world.outcome(run)
    assert (ended, error["code"], error["message"]) == ("failed", "APPROVAL_REJECTED", "Rejected by ana: no")


@pytest.mark.parametrize(
    ("action", "ended", "approved"),
    [("reject", "completed", False), ("approve", "completed", True), ("fail", "failed", None)],
)
async def test_an_approval_that_nobody_decides_in_time(world, action, ended, approved):
    run = await started(
        world, approval("ok", "ana", timeout="30m", timeoutAction=action, escalateTo="boss@example.com")
    )
    await world.settle_through(1000)
    assert world.notified[-1][1:] == (("boss@example.com",), True)
    await world.settle_through(1000)

    found, result = await world.outcome(run)
    assert (found, result.get("approved")) == (ended, approved)
    rows = await world.store.signals.approvals(world.workspace, status="expired", before=None, limit=5)
    assert [row.run for row in rows] == [run]


async def test_a_cancelled_run_cancels_its_approval(world):
    run = await started(world, approval("ok", "ana"))

    assert await world.engine.cancel(world.workspace, run)

    rows = await world.store.signals.approvals(world.workspace, status=None, before=None, limit=5)
    assert [row.status for row in rows] == ["cancelled"]


async def test_the_loser_of_a_race_is_asked_no_more(world):
    race: Json = {"id": "r", "type": "race", "config": {"branches": [[approval("ok", "ana")], [event("e", "skip")]]}}
    run = await started(world, race)
    await send(world, run, "skip")

    assert await state(world, run) == "completed"
    rows = await world.store.signals.approvals(world.workspace, status=None, before=None, limit=5)
    assert [row.status for row in rows] == ["cancelled"]


async def test_a_subworkflow_gives_its_output_to_the_run_that_waits_for_it(world):
    below = world.define(wait("w", 1000), transform("t", twice="{{input.n | times: 2}}"))
    run = await started(world, child("c", below, inputMapping={"n": "{{input.n}}"}), given={"n": 4})
    assert await state(world, run) == "running"
    await world.settle_through(2)

    ended, output = await world.outcome(run)
    assert (ended, output["result"], output["status"]) == ("completed", {"twice": 8}, "completed")
    assert output["durationMs"] == 1000


async def test_a_subworkflow_that_fails_fails_its_step(world):
    below = world.define(effect("x", {"fail": 9, "status": 400}))
    run = await started(world, child("c", below))

    ended, error = await world.outcome(run)
    assert (ended, error["code"]) == ("failed", "SUBWORKFLOW_FAILED")
    assert error["message"].endswith("ended failed: Service unavailable")


async def test_cancel_passes_down_to_what_is_waited_for(world):
    below = world.define(wait("w", 9000))
    run = await started(world, child("c", below))
    [running] = [r for r in await runs(world) if r.id != run]

    assert await world.engine.cancel(world.workspace, run)

    assert (await world.outcome(running.id))[0] == "cancelled"
    assert world.engine.open_runs == 0


async def test_a_run_that_is_not_waited_for_goes_on_alone(world):
    below = world.define(wait("w", 1000))
    run = await started(world, child("c", below, waitForCompletion=False))
    ended, output = await world.outcome(run)
    assert (ended, output["result"], output["status"]) == ("completed", None, "pending")

    await world.settle_through(2)
    assert {str(r.state) for r in await runs(world)} == {"completed"}


async def test_a_child_started_before_a_crash_is_not_started_again(world):
    below = world.define(wait("w", 1000), effect("x"))
    run = await started(world, child("c", below))
    world.kill()
    await world.boot()
    await world.settle_through(2)

    assert await state(world, run) == "completed"
    assert len(await runs(world)) == 2


async def test_a_paused_run_starts_nothing_until_it_is_resumed(world):
    run = await started(world, wait("w", 1000), effect("x"))
    await pause(world, run)
    await world.settle_through(5)
    assert (await state(world, run), world.ledger.performed) == ("paused", [])

    await resume(world, run)

    assert await state(world, run) == "completed"


async def test_an_event_and_a_decision_reach_a_paused_run_and_count_after_it_is_resumed(world):
    run = await started(world, event("a", "e"), approval("ok", "ana"))
    await pause(world, run)
    await send(world, run, "e")
    assert await state(world, run) == "paused"
    await resume(world, run)
    assert await state(world, run) == "suspended"
    await pause(world, run)
    await decide(world, run, "approved")
    assert await state(world, run) == "paused"
    await resume(world, run)

    assert await state(world, run) == "completed"


async def test_a_paused_run_can_be_cancelled(world):
    run = await started(world, wait("w", 1000))
    await pause(world, run)

    assert await world.engine.cancel(world.workspace, run)
    assert await state(world, run) == "cancelled"


class PausedMeanwhile(EffectStep):
    """An effect during which its run is paused."""

    name = "paused"

    def __init__(self, world: World) -> None:
        super().__init__(world.ledger)
        self._world = world

    async def perform(self, program: Any, config: Json, call: Call, ports: Ports) -> Json:
        reached = await self._world.store.signals.pause(call.workspace, call.run_id, self._world.clock.now_ms())
        assert reached is not None
        self._world.engine.reached((reached,))
        return await super().perform(program, config, call, ports)


@pytest.mark.parametrize("more", [[effect("b"), effect("c")], []])
async def test_pausing_lets_the_step_in_flight_end_and_no_other_begin(world, more):
    world.step_types["paused"] = PausedMeanwhile(world)
    run = await started(world, {"id": "a", "type": "paused"}, *more)

    assert (await state(world, run), len(world.ledger.performed)) == ("paused", 1)
    assert [str(record.status) for record in (await world.load(run)).records] == ["success"]
    await resume(world, run)
    assert (await state(world, run), len(world.ledger.performed)) == ("completed", 1 + len(more))


async def test_a_run_may_stay_in_memory_for_a_short_wait_and_then_needs_no_claim(world):
    world.kill()
    world.limits = Limits(resident_runs=1)
    await world.boot()
    run = await world.start(world.define(wait("w", 1000), transform("a", x=1)))
    while await world.store.runs.next_timer() is None:
        await step_of_loop()
    world.clock.advance(1)
    await world.engine.timers.release()
    await world.engine.idle()

    loaded = await world.load(run)
    assert (loaded.run.state, loaded.run.epoch) == (RunState.COMPLETED, 1)


async def step_of_loop() -> None:
    await asyncio.sleep(0)


async def runs(world: World) -> list[Any]:
    return await world.store.runs.page(RunFilter(workspace=world.workspace, limit=20))


@pytest.mark.parametrize("step", [event("a", "e"), approval("a", "ana"), wait("a", 9000)])
async def test_a_waiting_step_keeps_the_limit_that_it_sets_itself(world, step):
    run = await started(world, {**step, "timeoutMs": 500})
    await world.settle_through(1)

    ended, error = await world.outcome(run)
    assert (ended, error["code"], error["message"]) == ("failed", "STEP_ERROR", "The step took longer than 500 ms")
    assert await world.store.runs.next_timer() is None


async def test_a_step_over_its_limit_cancels_the_run_it_waits_for(world):
    below = world.define(wait("w", 9000))
    run = await started(world, {**child("c", below), "timeoutMs": 500})
    await world.settle_through(1)

    assert {str(r.state) for r in await runs(world) if r.id != run} == {"cancelled"}


class Watched(EffectStep):
    """An effect that notes in which state its run is when it begins."""

    name = "watched"

    def __init__(self, world: World) -> None:
        super().__init__(world.ledger)
        self._world = world
        self.seen: dict[str, str] = {}

    async def perform(self, program: Any, config: Json, call: Call, ports: Ports) -> Json:
        found = await self._world.store.runs.state(call.workspace, call.run_id)
        assert found is not None
        self.seen[call.path] = str(found[0])
        return await super().perform(program, config, call, ports)


async def test_no_effect_begins_after_a_pause_and_the_one_that_was_held_has_lost_no_attempt(world):
    watched = Watched(world)
    world.step_types["watched"] = watched
    steps = [{"id": id, "type": "watched", "idempotent": False} for id in ("x", "y")]
    run = await world.start(world.define(*steps))
    await pause(world, run)
    assert "paused" not in watched.seen.values()

    await resume(world, run)

    assert await state(world, run) == "completed"
    assert [(record.attempt, record.attempts) for record in (await world.load(run)).records] == [(1, None), (1, None)]


@pytest.mark.parametrize("turns", range(12))
async def test_a_cancel_that_races_the_start_of_a_child_leaves_none_behind(world, turns):
    below = world.define(event("e", "t"))
    run = await world.start(world.define(child("c", below)))
    for _ in range(turns):
        await step_of_loop()

    await world.engine.cancel(world.workspace, run)
    await world.settle()

    assert {str(r.state) for r in await runs(world)} == {"cancelled"}
    assert world.engine.open_runs == 0
