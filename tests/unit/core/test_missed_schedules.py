"""Schedules under stress: what is missed, what overlaps, and deaths between."""

from pathlib import Path

import pytest

from deaths import Dying, live
from kit import wait
from stepwell.core import StartRequest
from stepwell.store import TriggerFilter
from stepwell.values import Json
from unit.core.town import EACH_MINUTE, MINUTE_S, SLOW, Town

# -- what is missed


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ({"catchUp": "none"}, []),
        ({"catchUp": "last"}, ["22:18"]),
        ({}, ["22:18"]),
        ({"catchUp": "all"}, ["22:14", "22:15", "22:16", "22:17", "22:18"]),
        ({"catchUp": "all", "catchUpLimit": 2}, ["22:17", "22:18"]),
    ],
)
async def test_what_a_death_missed_is_caught_up(town: Town, catch_up: dict[str, Json], expected: list[str]) -> None:
    id = await town.scheduled({**EACH_MINUTE, **catch_up})
    town.clock.advance(5 * MINUTE_S)
    await town.reopen()

    await town.tick()

    assert await town.instants(id) == expected
    await town.pass_minutes(1)
    assert await town.instants(id) == [*expected, "22:19"]


async def test_what_is_left_out_is_told_in_one_firing(town: Town) -> None:
    id = await town.scheduled(EACH_MINUTE)
    town.clock.advance(5 * MINUTE_S)
    await town.reopen()

    await town.tick()

    missed, caught_up = await town.history(id)
    assert (missed.status, missed.run, caught_up.status) == ("skipped", None, "started")
    assert missed.reason == (
        "Missed while the server could not fire it: 2023-11-14T22:14:00.000Z to 2023-11-14T22:17:00.000Z "
        "(catchUp: last)"
    )


async def test_years_of_seconds_are_caught_up_at_once(town: Town) -> None:
    id = await town.scheduled({"cron": "* * * * * *", "catchUp": "all", "catchUpLimit": 3})
    town.clock.advance(3 * 365 * 86_400)
    await town.reopen()

    await town.tick()

    assert [each["scheduledAt"][14:19] for each in await town.inputs(id)] == ["13:18", "13:19", "13:20"]
    assert [firing.status for firing in await town.history(id)] == ["skipped", *["started"] * 3]


async def test_ticks_of_a_busy_moment_all_run_without_a_death(town: Town) -> None:
    id = await town.scheduled({"cron": "* * * * * *", "catchUp": "none"})

    town.clock.advance(5)
    await town.tick()

    assert len(await town.fired_runs(id)) == 5


async def test_a_clock_that_jumps_ahead_has_missed_what_lay_between(town: Town) -> None:
    id = await town.scheduled(EACH_MINUTE)

    town.clock.jump(3600)
    await town.tick()

    assert await town.instants(id) == ["23:13"]


async def test_a_clock_that_jumps_back_fires_no_instant_twice(town: Town) -> None:
    id = await town.scheduled(EACH_MINUTE)
    await town.pass_minutes(2)

    town.clock.jump(-100)
    await town.pass_minutes(3)

    assert await town.instants(id) == ["22:14", "22:15", "22:16"]


# -- overlap


async def test_runs_may_overlap(town: Town) -> None:
    id = await town.scheduled(EACH_MINUTE, SLOW)

    await town.pass_minutes(3)

    assert [run.state for run in await town.fired_runs(id)] == ["running"] * 3


async def test_skip_starts_none_while_one_is_open_and_names_it(town: Town) -> None:
    id = await town.scheduled({**EACH_MINUTE, "overlap": "skip"}, SLOW)
    await town.pass_minutes(2)
    (open_run,) = await town.fired_runs(id)

    assert [firing.reason for firing in await town.history(id)] == [
        None,
        f"run_{open_run.id} of an earlier time is still open (overlap: skip)",
    ]
    await town.engine.cancel(town.workspace, open_run.id)
    await town.pass_minutes(1)
    assert len(await town.fired_runs(id)) == 2


async def test_queue_lets_one_run_after_the_other(town: Town) -> None:
    id = await town.scheduled({**EACH_MINUTE, "overlap": "queue"}, wait("long", 150_000))

    await town.pass_minutes(3)
    assert [run.state for run in await town.fired_runs(id)] == ["running", "pending", "pending"]

    town.clock.advance(60)
    await town.settle()
    assert [run.state for run in await town.fired_runs(id)] == ["completed", "running", "pending"]


async def test_a_full_queue_takes_no_more(town: Town) -> None:
    id = await town.scheduled({"cron": "* * * * * *", "overlap": "queue"}, SLOW)
    for _ in range(102):
        town.clock.advance(1)
        await town.tick()

    assert len(await town.fired_runs(id)) == 101
    assert (await town.history(id))[-1].reason == "100 runs wait already (overlap: queue)"


async def test_cancel_ends_the_older_run(town: Town) -> None:
    id = await town.scheduled({**EACH_MINUTE, "overlap": "cancel"}, SLOW)

    await town.pass_minutes(3)

    assert [run.state for run in await town.fired_runs(id)] == ["cancelled", "cancelled", "running"]


async def test_cancel_leaves_runs_that_somebody_else_started(town: Town) -> None:
    id = await town.scheduled({**EACH_MINUTE, "overlap": "cancel"}, SLOW)
    await town.runs.start(town.workspace, StartRequest(workflow=id))

    await town.pass_minutes(2)

    assert [(run.trigger, run.state) for run in await town.fired_runs(id)] == [
        ("api", "running"),
        ("schedule", "cancelled"),
        ("schedule", "running"),
    ]


# -- deaths


@pytest.mark.parametrize("overlap", ["allow", "skip", "queue", "cancel"])
@pytest.mark.parametrize("phase", ["before", "after"])
async def test_a_death_at_any_commit_of_a_tick_neither_loses_nor_doubles_it(
    tmp_path: Path, phase: str, overlap: str
) -> None:
    """The story of two ticks is lived again and again, each time dying at the next commit after the workflow is
    active, until it comes to its end."""
    at = 1
    while True:
        town = Town(tmp_path / f"{phase}-{at}.db")
        town.clock.jump(20 - town.clock.now_ms() // 1000 % 60)
        armed = False

        async def story(town: Town = town, overlap: str = overlap) -> None:
            nonlocal armed
            await town.wire()
            await town.scheduled({**EACH_MINUTE, "overlap": overlap})
            armed = True
            await town.pass_minutes(2)

        dying = Dying(at, phase, lambda: armed)  # noqa: B023 - of this life
        died = await live(town, dying, story)
        await town.open()
        ((row,), _) = await town.store.triggers.page(TriggerFilter(workspace=town.workspace))
        town.clock.advance(MINUTE_S)
        await town.tick()

        runs = await town.fired_runs(row.id)
        instants = await town.instants(row.id)
        assert len(instants) == len(set(instants))
        assert [run.state for run in runs] == ["completed"] * len(runs)
        told = " ".join(str(firing.reason) for firing in await town.history(row.id))
        for minute in ("22:14", "22:15"):
            assert minute in instants or minute in told, (at, instants, told)
        town.kill()
        if not died:
            return
        at += 1


@pytest.mark.parametrize("overlap", ["skip", "cancel"])
async def test_a_tick_that_is_looked_at_again_after_a_death_does_not_overlap_with_itself(
    tmp_path: Path, overlap: str
) -> None:
    town = Town(tmp_path / "stepwell.db")
    armed = False
    ids: list[str] = []

    async def story() -> None:
        nonlocal armed
        await town.wire()
        ids.append(await town.scheduled({**EACH_MINUTE, "overlap": overlap}, SLOW))
        armed = True
        await town.pass_minutes(1)

    assert await live(town, Dying(1, "after", lambda: armed), story)
    await town.open()
    assert [run.state.final for run in await town.fired_runs(ids[0])] == [False]

    await town.tick()

    assert [run.state for run in await town.fired_runs(ids[0])] == ["running"]
    assert [firing.status for firing in await town.history(ids[0])] == ["started"]
    town.kill()
