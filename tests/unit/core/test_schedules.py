"""Schedules that are due: one run an instant, what fails, and what is shown of it."""

import asyncio

import msgspec
import pytest

from stepwell.clock import iso
from stepwell.core import Wanted
from stepwell.engine import Limits
from stepwell.errors import NotFound, Overloaded, ValidationFailed
from unit.core.town import EACH_MINUTE, FAILING, QUICK, Town


async def test_nothing_is_due_before_the_instant_and_one_run_at_it(town: Town) -> None:
    id = await town.scheduled(EACH_MINUTE)

    town.clock.advance(39.999)
    await town.tick()
    assert await town.fired_runs(id) == []

    town.clock.advance(0.001)
    await town.tick()
    await town.tick()
    assert await town.instants(id) == ["22:14"]


async def test_the_input_tells_of_the_schedule(town: Town) -> None:
    id = await town.scheduled(EACH_MINUTE)

    town.clock.advance(40.25)
    await town.tick()
    town.clock.advance(60)
    await town.tick()

    first, second = await town.inputs(id)
    run, _ = await town.fired_runs(id)
    assert first == {
        "timestamp": "2023-11-14T22:14:00.250Z",
        "runId": f"run_{run.id}",
        "scheduleName": "Tick",
        "scheduledAt": "2023-11-14T22:14:00.000Z",
        "nextRunAt": "2023-11-14T22:15:00.000Z",
        "runCount": 1,
    }
    assert second["runCount"] == 2
    assert run.trigger == "schedule"


async def test_intervals_are_counted_from_the_activation_and_do_not_drift(town: Town) -> None:
    id = await town.scheduled({"interval": {"value": 1, "unit": "minutes"}})

    for _ in range(3):
        town.clock.advance(60.5)
        await town.tick()

    assert [each["scheduledAt"][14:19] for each in await town.inputs(id)] == ["14:20", "15:20", "16:20"]


async def test_an_end_ends_it(town: Town) -> None:
    id = await town.scheduled({**EACH_MINUTE, "endAt": "2023-11-14T22:15:00Z"})

    await town.pass_minutes(4)

    assert await town.instants(id) == ["22:14", "22:15"]
    assert [each["nextRunAt"] for each in await town.inputs(id)] == ["2023-11-14T22:15:00.000Z", None]
    assert await town.schedules.next() is None


async def test_jitter_puts_the_firing_off_and_keeps_its_instant(town: Town) -> None:
    id = await town.scheduled({**EACH_MINUTE, "jitterSeconds": 50})
    trigger = await town.trigger(id)
    assert trigger.scheduled_at is not None
    assert trigger.next_at is not None

    town.clock.advance((trigger.next_at - 1 - town.clock.now_ms()) / 1000)
    await town.tick()
    assert await town.fired_runs(id) == []
    town.clock.advance(0.001)
    await town.tick()

    assert trigger.scheduled_at < trigger.next_at <= trigger.scheduled_at + 50_000
    assert await town.instants(id) == ["22:14"]


async def test_a_schedule_that_is_not_enabled_does_not_fire(town: Town) -> None:
    id = await town.scheduled({**EACH_MINUTE, "enabled": False})

    await town.pass_minutes(2)

    assert await town.fired_runs(id) == []


async def test_a_paused_workflow_has_no_ticks_and_catches_nothing_up(town: Town) -> None:
    id = await town.scheduled({**EACH_MINUTE, "catchUp": "all"})
    await town.workflows.pause(town.workspace, id)
    await town.pass_minutes(3)
    await town.workflows.resume(town.workspace, id)
    await town.pass_minutes(1)

    assert await town.instants(id) == ["22:17"]


async def test_two_schedulers_that_see_the_same_rows_start_one_run(town: Town) -> None:
    id = await town.scheduled(EACH_MINUTE)
    town.clock.advance(60)
    other = town.scheduler()
    due = await town.schedules.due()
    assert due == await other.due()

    await asyncio.gather(town.schedules.run(due), other.run(due))
    await town.settle()

    assert await town.instants(id) == ["22:14"]
    assert len(await town.history(id)) == 1


async def test_input_that_the_workflow_refuses_is_a_failed_firing_with_the_field(town: Town) -> None:
    schema = {"type": "object", "required": ["customer"], "properties": {"customer": {"type": "string"}}}
    id = await town.scheduled(EACH_MINUTE, inputSchema=schema)

    await town.pass_minutes(1)

    (firing,) = await town.history(id)
    assert (firing.status, firing.run) == ("failed", None)
    assert "customer: Required" in (firing.reason or "")
    assert (await town.trigger(id)).next_at is not None


async def test_an_instance_of_a_user_hands_its_own_input_on(town: Town) -> None:
    workflow = await town.scheduled({**EACH_MINUTE, "enabled": False})
    config = {**EACH_MINUTE, "input": {"report": "daily"}}
    wanted = Wanted(slug="schedule", config={"type": "schedule", **config}, workflow=workflow, end_user=town.ids.new())
    made, _ = await town.triggers.upsert(town.workspace, wanted)

    await town.pass_minutes(1)

    (given,) = await town.inputs(workflow)
    assert given == {
        "report": "daily",
        "payload": {},
        "trigger": {
            "id": made.id,
            "slug": "schedule",
            "type": "schedule",
            "firedAt": "2023-11-14T22:14:20.000Z",
            "scheduledFor": "2023-11-14T22:14:00.000Z",
        },
    }


# -- failures


async def test_as_many_failures_as_allowed_switch_it_off(town: Town) -> None:
    id = await town.scheduled({**EACH_MINUTE, "pauseAfterFailures": 2}, FAILING)

    await town.pass_minutes(5)

    trigger = await town.trigger(id)
    assert (trigger.status, trigger.reason, trigger.next_at) == ("error", "too_many_failures", None)
    assert len(await town.fired_runs(id)) == 2
    assert (await town.history(id))[-1].reason == (
        "The last 2 runs failed (pauseAfterFailures): the schedule is off until it is switched on again"
    )
    assert "schedule.stopped" in town.told


async def test_switched_on_again_it_counts_anew(town: Town) -> None:
    id = await town.scheduled({**EACH_MINUTE, "pauseAfterFailures": 2}, FAILING)
    await town.pass_minutes(3)

    await town.triggers.set_status(town.workspace, id, True)
    await town.pass_minutes(2)

    assert len(await town.fired_runs(id)) == 4
    assert (await town.trigger(id)).status == "active"


async def test_a_row_that_cannot_be_read_goes_into_error_and_holds_nobody_up(town: Town) -> None:
    bad, good = await town.scheduled(EACH_MINUTE), await town.scheduled(EACH_MINUTE)
    broken = msgspec.structs.replace(await town.trigger(bad), config=b'{"type":"schedule","cron":"61 * * * *"}')
    await town.store.triggers.save(broken, seen=broken.updated_at)

    await town.pass_minutes(1)

    trigger = await town.trigger(bad)
    assert (trigger.status, trigger.reason, trigger.next_at) == ("error", "invalid_config", None)
    assert await town.instants(good) == ["22:14"]


async def test_a_row_that_cannot_be_read_does_not_hold_the_start_up(town: Town) -> None:
    bad, good = await town.scheduled(EACH_MINUTE), await town.scheduled(EACH_MINUTE)
    broken = msgspec.structs.replace(await town.trigger(bad), config=b"[", next_at=None)
    await town.store.triggers.save(broken, seen=broken.updated_at)
    await town.store.triggers.arm(town.workspace, good, None, None)

    await town.reopen()

    assert (await town.trigger(bad)).reason == "invalid_config"
    assert (await town.trigger(good)).next_at is not None


async def test_an_overloaded_server_fires_later(town: Town) -> None:
    id = await town.scheduled(EACH_MINUTE)
    town.limits = Limits(max_open_runs=0)
    await town.reopen()
    town.clock.advance(60)

    with pytest.raises(Overloaded):
        await town.tick()
    assert await town.history(id) == []

    town.limits = Limits()
    await town.reopen()
    await town.tick()
    assert await town.instants(id) == ["22:14"]


# -- what is shown


async def test_the_next_times_are_those_that_will_fire(town: Town) -> None:
    id = await town.scheduled({"interval": {"value": 15, "unit": "minutes"}})
    town.clock.advance(100)

    shown = await town.schedules.preview(town.workspace, id, 2)

    assert [iso(due.at_ms)[11:19] for due in shown.next] == ["22:28:20", "22:43:20"]
    assert shown.warnings == ()


async def test_a_schedule_that_does_not_fire_says_why(town: Town) -> None:
    off = await town.scheduled({**EACH_MINUTE, "enabled": False})
    paused = await town.scheduled(EACH_MINUTE)
    await town.workflows.pause(town.workspace, paused)

    assert [(await town.schedules.preview(town.workspace, id, 1)).warnings for id in (off, paused)] == [
        ("The schedule does not fire: it is disabled.",),
        ("The schedule does not fire: the workflow is paused.",),
    ]


async def test_a_workflow_without_schedule_and_an_unknown_one_are_told_apart(town: Town) -> None:
    document = {"name": "Plain", "trigger": {"type": "api"}, "steps": [QUICK]}
    plain = (await town.workflows.create(town.workspace, document, "test")).workflow.id

    with pytest.raises(ValidationFailed):
        await town.schedules.preview(town.workspace, plain, 1)
    with pytest.raises(NotFound):
        await town.schedules.history(town.workspace, town.ids.new(), None, 1)


async def test_another_workspace_sees_no_schedule(town: Town) -> None:
    id = await town.scheduled(EACH_MINUTE)

    with pytest.raises(NotFound):
        await town.schedules.preview(town.ids.new(), id, 1)
