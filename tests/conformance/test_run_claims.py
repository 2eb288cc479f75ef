"""Who may walk a run: claims, deaths, concurrency limits."""

import pytest

from conformance.runs import NOW, Story
from stepwell.states import RunState, WaitsOn
from stepwell.store import Timer


async def test_claims_take_the_oldest_ready_runs_and_raise_their_epoch(story: Story) -> None:
    runs = [await story.start() for _ in range(5)]

    first = await story.runs.claim(story.owner, 2)
    rest = await story.claimed()

    assert [(claim.workspace, claim.run, claim.epoch, claim.deaths) for claim in first] == [
        (story.workspace, run, 2, 0) for run in runs[:2]
    ]
    assert rest == runs[2:]
    loaded = await story.load(runs[0])
    assert (loaded.run.owner, loaded.run.epoch) == (story.owner, 2)


async def test_a_claim_refuses_what_the_former_walk_writes(story: Story) -> None:
    run = await story.born()
    await story.runs.release_dead(story.ids.new(), 10)
    await story.claimed()

    assert not await story.write(run, epoch=1)
    assert await story.write(run, epoch=2)


async def test_only_open_runs_without_owner_that_wait_for_nothing_are_claimed(story: Story) -> None:
    await story.born()
    final, waiting, paused = [await story.born() for _ in range(3)]
    await story.finish(final)
    await story.write(waiting, suspend_at=0, waits_on=WaitsOn.TIMER)
    await story.write(paused, state=RunState.PAUSED, suspend_at=0)
    await story.start(max_concurrent=0)
    ready = await story.start()

    assert await story.claimed() == [ready]


async def test_no_run_is_claimed_twice(story: Story) -> None:
    await story.start()
    await story.claimed()

    assert await story.claimed() == []
    assert await story.runs.claim(story.ids.new(), 10) == []


async def test_claims_are_shared_evenly_among_workspaces(story: Story, theirs: Story) -> None:
    ours = [await story.start() for _ in range(9)]
    other = [await theirs.start() for _ in range(9)]

    taken = await story.claimed(6)

    assert sorted(taken) == sorted(ours[:3] + other[:3])


@pytest.mark.parametrize("few", ["ours", "theirs"])
async def test_the_share_that_a_workspace_does_not_need_goes_to_the_others(
    story: Story, theirs: Story, few: str
) -> None:
    small, large = (story, theirs) if few == "ours" else (theirs, story)
    only = await small.start()
    many = [await large.start() for _ in range(9)]

    taken = await story.claimed(6)

    assert sorted(taken) == sorted([only, *many[:5]])


async def test_claims_of_one_go_round_the_workspaces(story: Story, theirs: Story) -> None:
    for _ in range(3):
        await story.start()
        await theirs.start()

    served = [(await story.runs.claim(story.owner, 1))[0].workspace for _ in range(6)]

    assert served == [served[0], served[1]] * 3
    assert served[0] != served[1]


async def test_runs_that_two_processes_died_on_can_be_claimed_one_at_a_time(story: Story) -> None:
    suspects = [await story.start() for _ in range(2)]
    for run in suspects:
        await story.deaths(run, 1)
    for run in suspects:  # each alone, so that the other does not die with it
        assert (await story.load(run)).run.deaths == 2
    harmless = await story.start()

    taken = [await story.runs.claim(story.owner, 9, suspects=True) for _ in range(3)]

    assert sorted(claim.run for claims in taken for claim in claims) == suspects
    assert [len(claims) for claims in taken] == [1, 1, 0]
    assert taken[0][0].deaths == 2
    assert await story.claimed() == [harmless]


async def test_a_run_that_two_processes_died_on_is_claimed_like_any_other_when_it_becomes_ready(story: Story) -> None:
    run = await story.start()
    await story.deaths(run, 2)

    assert await story.claimed() == [run]


async def test_runs_of_other_incarnations_are_released_in_pages_and_their_deaths_counted(story: Story) -> None:
    runs = [await story.born() for _ in range(3)]
    survivor = story.ids.new()
    own = await story.start(owner=survivor)

    counts = [await story.runs.release_dead(survivor, 2) for _ in range(3)]

    assert counts == [2, 1, 0]
    stored = [(await story.load(run)).run for run in [*runs, own]]
    assert [(run.owner, run.deaths) for run in stored] == [(None, 1)] * 3 + [(survivor, 0)]


async def test_a_stop_in_good_order_releases_its_open_runs_without_a_death(story: Story) -> None:
    run, final = await story.born(), await story.born()
    await story.finish(final)
    other = await story.start(owner=story.ids.new())

    assert await story.runs.release_owned(story.owner) == 1

    assert ((await story.load(run)).run.owner, (await story.load(run)).run.deaths) == (None, 0)
    assert (await story.load(other)).run.owner is not None
    assert await story.claimed() == [run]


async def test_open_runs_of_all_workspaces_are_counted(story: Story, theirs: Story) -> None:
    runs = [await story.born() for _ in range(3)]
    await theirs.start()
    await story.finish(runs[0])

    assert await story.runs.count_open() == 3


# Concurrency limits


async def test_starts_beyond_the_limit_of_their_workflow_are_blocked(story: Story, theirs: Story) -> None:
    first = await story.born(max_concurrent=1)
    second = await story.born(max_concurrent=1)
    elsewhere = [
        await story.born(max_concurrent=1, workflow=story.ids.new()),
        await theirs.born(max_concurrent=1, workflow=story.workflow),
    ]

    blocked = (await story.load(second)).run
    assert (blocked.blocked, blocked.owner) == ("concurrency", None)
    assert (await story.load(first)).run.blocked is None
    assert (await story.load(elsewhere[0])).run.blocked is None
    assert (await theirs.load(elsewhere[1])).run.blocked is None
    assert await story.claimed() == []


async def test_a_finish_unblocks_the_oldest(story: Story) -> None:
    first, second, third = [await story.born(max_concurrent=1) for _ in range(3)]

    committed = await story.runs.commit(story.commit(first, state=RunState.COMPLETED, ended_at=NOW))

    assert committed.unblocked
    assert await story.claimed() == [second]
    assert (await story.load(third)).run.blocked == "concurrency"


async def test_the_finish_of_the_last_run_unblocks_none(story: Story) -> None:
    run = await story.born(max_concurrent=1)

    committed = await story.runs.commit(story.commit(run, state=RunState.COMPLETED, ended_at=NOW))

    assert (committed.applied, committed.unblocked) == (True, False)


async def test_a_cancel_unblocks_the_oldest(story: Story) -> None:
    first, second, _ = [await story.born(max_concurrent=1) for _ in range(3)]

    await story.runs.end(story.ending(first))

    assert await story.claimed() == [second]


async def test_a_timeout_unblocks_the_oldest(story: Story) -> None:
    first, second, _ = [await story.born(max_concurrent=1) for _ in range(3)]
    await story.write(first, timers=(Timer("", "timeout", NOW + 1),))

    await story.runs.fire_timers(NOW + 1, 10, b"{}")

    assert await story.claimed() == [second]


async def test_the_cancel_of_a_blocked_run_frees_no_place(story: Story) -> None:
    _, second, third = [await story.born(max_concurrent=1) for _ in range(3)]

    await story.runs.end(story.ending(second))

    assert (await story.load(third)).run.blocked == "concurrency"
    assert await story.claimed() == []


async def test_a_run_that_waits_keeps_its_place(story: Story) -> None:
    first = await story.born(max_concurrent=1)
    await story.write(first, suspend_at=0, waits_on=WaitsOn.TIMER)

    second = await story.born(max_concurrent=1)

    assert (await story.load(second)).run.blocked == "concurrency"
