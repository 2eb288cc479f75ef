"""Runs below runs: an end is told to the parent that waits, and takes the awaited runs below with it."""

import pytest

from conformance.runs import NOW, Story, a_record
from stepwell.errors import InvalidState
from stepwell.states import RecordStatus, RunState, WaitsOn
from stepwell.store import Reached, Timer

CANCELLED, TIMED_OUT = RunState.CANCELLED, RunState.TIMED_OUT
ERROR = b'{"code":"CANCELLED","message":"The run was cancelled"}'


async def waiting_parent(story: Story) -> str:
    """A run that was let go until its child ends."""
    parent = await story.born()
    await story.write(parent, suspend_at=0, waits_on=WaitsOn.CHILD)
    return parent


async def child(story: Story, above: str, **fields: object) -> str:
    return await story.born(**{"parent": above, "awaited": True, "depth": 1} | fields)


async def test_a_run_knows_its_parent_and_depth(story: Story) -> None:
    parent = await story.born()

    run = await child(story, parent, depth=3)

    found = (await story.load(run)).run
    assert (found.parent, found.depth) == (parent, 3)


async def test_the_end_of_an_awaited_run_signals_its_parent(story: Story) -> None:
    parent = await waiting_parent(story)
    run = await child(story, parent)

    committed = await story.runs.commit(story.commit(run, state=RunState.COMPLETED, ended_at=NOW))

    assert committed.reached == (Reached(story.workspace, parent, None),)
    assert (await story.load(parent)).run.signals == 1
    assert await story.claimed() == [parent]


async def test_the_end_of_a_run_that_nobody_waits_for_signals_nobody(story: Story) -> None:
    parent = await waiting_parent(story)
    run = await child(story, parent, awaited=False)

    committed = await story.runs.commit(story.commit(run, state=RunState.COMPLETED, ended_at=NOW))

    assert committed.reached == ()
    assert (await story.load(parent)).run.signals == 0


async def test_a_cancelled_run_comes_first_then_its_children_and_its_parent(story: Story) -> None:
    parent = await story.born()
    run = await child(story, parent)
    below = await child(story, run, depth=2)
    deeper = await child(story, below, depth=3)

    reached = await story.runs.end(story.ending(run))

    assert reached == (
        Reached(story.workspace, run, story.owner, CANCELLED),
        Reached(story.workspace, below, story.owner, CANCELLED),
        Reached(story.workspace, deeper, story.owner, CANCELLED),
        Reached(story.workspace, parent, story.owner),
    )


async def test_children_end_cancelled_without_an_error_of_their_own(story: Story) -> None:
    parent = await story.born()
    run = await child(story, parent)
    await story.write(run, records=(a_record("a", RecordStatus.RUNNING),), timers=(Timer("a", "retry", NOW + 1),))

    await story.runs.end(story.ending(parent, state=RunState.FAILED, error=b'{"code":"X"}'))

    loaded = await story.load(run)
    assert (loaded.run.state, loaded.run.error, loaded.run.epoch) == (CANCELLED, None, 2)
    assert (loaded.records[0].status, loaded.records[0].error) == (RecordStatus.ERROR, ERROR)
    assert (loaded.run.ended_at, loaded.timers) == (NOW + 5, ())


@pytest.mark.parametrize("fields", [{"awaited": False}, {"parent": None}])
async def test_runs_that_are_not_awaited_outlive_their_parent(story: Story, fields: dict[str, object]) -> None:
    parent = await story.born()
    run = await child(story, parent, **fields)

    reached = await story.runs.end(story.ending(parent))

    assert len(reached) == 1
    assert not (await story.load(run)).run.state.final


async def test_an_awaited_run_is_not_stored_once_its_parent_has_ended(story: Story) -> None:
    parent = await story.born()
    await story.runs.end(story.ending(parent))

    with pytest.raises(InvalidState):
        await child(story, parent)

    assert await story.runs.count_open() == 0


async def test_a_timeout_ends_the_children_and_signals_the_parent(story: Story) -> None:
    parent = await story.born()
    run = await child(story, parent)
    below = await child(story, run)
    await story.write(run, timers=(Timer("", "timeout", NOW + 1),))

    fired = await story.runs.fire_timers(NOW + 1, 10, b'{"code":"TIMEOUT"}')

    assert [(each.run, each.ended) for each in fired] == [(run, TIMED_OUT), (below, CANCELLED), (parent, None)]


async def test_a_finish_ends_what_the_run_still_waited_for(story: Story) -> None:
    parent = await story.born()
    run = await child(story, parent)

    committed = await story.runs.commit(story.commit(parent, state=RunState.COMPLETED, ended_at=NOW))

    assert committed.reached == (Reached(story.workspace, run, story.owner, CANCELLED),)


async def test_a_commit_ends_the_children_that_nobody_waits_for_any_more(story: Story) -> None:
    parent = await story.born()
    run, kept, loose = await child(story, parent), await child(story, parent), await child(story, parent, awaited=False)

    commit = story.commit(parent, records=(a_record("a", ended_at=NOW + 7),), cancels=(run, loose, story.ids.new()))
    committed = await story.runs.commit(commit)

    assert committed.reached == (Reached(story.workspace, run, story.owner, CANCELLED),)
    assert (await story.load(run)).run.ended_at == NOW + 7
    assert [(await story.load(each)).run.state for each in (kept, loose)] == [RunState.PENDING] * 2
    assert (await story.load(parent)).run.signals == 0


async def test_a_refused_commit_ends_no_children(story: Story) -> None:
    parent = await story.born()
    run = await child(story, parent)

    assert not await story.write(parent, epoch=5, cancels=(run,))

    assert (await story.load(run)).run.state is RunState.PENDING


async def test_an_ended_child_frees_its_place_under_a_limit(story: Story) -> None:
    parent = await story.born()
    await child(story, parent, max_concurrent=1)
    blocked = await story.start(max_concurrent=1)

    await story.runs.end(story.ending(parent))

    assert (await story.load(blocked)).run.blocked is None
