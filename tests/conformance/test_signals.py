"""What reaches runs from outside: events, pauses."""

import pytest

from conformance.reaching import an_event
from conformance.runs import NOW, Story, a_record
from stepwell.errors import InvalidState
from stepwell.states import RecordStatus, RunState, WaitsOn
from stepwell.store import EventWait, Reached

PENDING, RUNNING, SUSPENDED, PAUSED = RunState.PENDING, RunState.RUNNING, RunState.SUSPENDED, RunState.PAUSED
WAITING = a_record("ask", RecordStatus.WAITING)


# Events


async def test_an_event_is_kept_with_its_run_and_signals_it(story: Story) -> None:
    run = await story.born()
    event = an_event(story)

    reached = await story.store.signals.send(story.workspace, run, event)

    loaded = await story.load(run)
    assert reached == Reached(story.workspace, run, story.owner)
    assert (loaded.events, loaded.run.signals) == ((event,), 1)


async def test_an_event_lets_a_run_that_waits_be_claimed(story: Story) -> None:
    run = await story.born()
    await story.write(run, state=SUSPENDED, suspend_at=0, waits_on=WaitsOn.EVENT)

    reached = await story.store.signals.send(story.workspace, run, an_event(story))

    assert reached == Reached(story.workspace, run, None)
    assert await story.claimed() == [run]


async def test_an_event_of_an_id_is_kept_once(story: Story) -> None:
    run, event = await story.born(), an_event(story)

    for _ in range(2):
        await story.store.signals.send(story.workspace, run, event)

    assert (await story.load(run)).events == (event,)


async def test_events_are_loaded_in_the_order_in_which_they_were_received(story: Story) -> None:
    run = await story.born()
    events = [an_event(story, received_at=at) for at in (NOW + 2, NOW + 1, NOW + 1)]

    for event in (events[0], events[2], events[1]):
        await story.store.signals.send(story.workspace, run, event)

    assert list((await story.load(run)).events) == [events[1], events[2], events[0]]


async def test_an_event_for_a_final_unknown_or_foreign_run_is_refused(story: Story, theirs: Story) -> None:
    final, foreign = await story.born(), await theirs.born()
    await story.finish(final)

    answers = [
        await story.store.signals.send(story.workspace, run, an_event(story))
        for run in (final, foreign, story.ids.new())
    ]

    assert answers == [None, None, None]
    assert (await theirs.load(foreign)).events == ()
    assert (await story.load(final)).events == ()


async def test_a_run_that_keeps_the_most_events_refuses_another_but_not_one_that_it_has(story: Story) -> None:
    run = await story.born()
    events = [an_event(story), an_event(story)]
    for event in events:
        await story.store.signals.send(story.workspace, run, event, 2)

    with pytest.raises(InvalidState, match="Event buffer is full"):
        await story.store.signals.send(story.workspace, run, an_event(story), 2)
    assert await story.store.signals.send(story.workspace, run, events[1], 2) is not None

    assert len((await story.load(run)).events) == 2


async def test_a_taken_event_is_gone_with_the_commit(story: Story) -> None:
    run = await story.born()
    events = [an_event(story), an_event(story)]
    for event in events:
        await story.store.signals.send(story.workspace, run, event)

    assert not await story.write(run, epoch=9, taken=(events[0].id,))
    assert len((await story.load(run)).events) == 2
    assert await story.write(run, taken=(events[0].id,))

    assert (await story.load(run)).events == (events[1],)


@pytest.mark.parametrize("first", [False, True])
async def test_a_run_that_ends_leaves_no_event_even_if_nothing_was_written_of_it_before(
    story: Story, first: bool
) -> None:
    run = await story.born()
    await story.store.signals.send(story.workspace, run, an_event(story))

    await story.finish(run, first=first)

    assert (await story.load(run)).events == ()


async def test_an_event_is_told_to_be_delivered_as_far_as_waits_of_its_type_are_open(story: Story) -> None:
    run = await story.born()
    await story.write(run, waits=(EventWait("a", "paid"), EventWait("b", "paid"), EventWait("c", "sent")))

    reached = [await story.store.signals.send(story.workspace, run, an_event(story)) for _ in range(3)]

    assert [each is not None and each.delivered for each in reached] == [True, True, False]


async def test_an_event_for_a_paused_run_is_not_told_to_be_delivered(story: Story) -> None:
    run = await story.born()
    await story.write(run, waits=(EventWait("a", "paid"),))
    await story.store.signals.pause(story.workspace, run, NOW)

    reached = await story.store.signals.send(story.workspace, run, an_event(story))

    assert reached is not None
    assert not reached.delivered


async def test_an_event_that_is_sent_once_does_not_come_again_when_it_was_taken(story: Story) -> None:
    run, event = await story.born(), an_event(story)
    await story.write(run, waits=(EventWait("a", "paid"),))
    await story.store.signals.send(story.workspace, run, event, once=True)
    await story.write(run, closed=("a",), taken=(event.id,))

    again = await story.store.signals.send(story.workspace, run, event, once=True)

    assert again == Reached(story.workspace, run, None, delivered=True)
    assert (await story.load(run)).events == ()


async def test_an_event_that_is_sent_once_is_told_of_after_the_end_until_its_run_is_deleted(story: Story) -> None:
    run, event = await story.born(), an_event(story)
    await story.store.signals.send(story.workspace, run, event, once=True)
    await story.finish(run)

    ended = await story.store.signals.send(story.workspace, run, event, once=True)
    await story.store.runs.delete(story.workspace, run)
    deleted = await story.store.signals.send(story.workspace, run, event, once=True)

    assert (ended, deleted) == (Reached(story.workspace, run, None, delivered=False), None)


# Pause and resume


@pytest.mark.parametrize("owned", [True, False])
async def test_a_pause_signals_the_run_and_is_numbered_unless_a_walk_owns_it(story: Story, owned: bool) -> None:
    run = await (story.born() if owned else story.start())

    reached = await story.store.signals.pause(story.workspace, run, NOW)

    found = (await story.load(run)).run
    assert reached == Reached(story.workspace, run, story.owner if owned else None)
    assert (found.state, found.signals) == (PAUSED, 1)
    assert (found.seq, found.state_seq) == ((0, 0) if owned else (1, 1))


async def test_a_paused_run_is_not_claimed_and_stays_paused_when_signalled(story: Story) -> None:
    run = await story.start()
    await story.store.signals.pause(story.workspace, run, NOW)

    await story.store.signals.send(story.workspace, run, an_event(story))

    assert await story.claimed() == []
    assert (await story.load(run)).run.state is PAUSED


async def test_a_pause_of_a_paused_run_changes_nothing_and_is_answered(story: Story) -> None:
    run = await story.start()
    await story.store.signals.pause(story.workspace, run, NOW)
    before = await story.load(run)

    again = await story.store.signals.pause(story.workspace, run, NOW)

    assert again == Reached(story.workspace, run, None)
    assert await story.load(run) == before


async def test_final_unknown_and_foreign_runs_are_neither_paused_nor_resumed(story: Story, theirs: Story) -> None:
    final, foreign = await story.born(), await theirs.start()
    await story.finish(final)
    signals = story.store.signals

    for run in (final, foreign, story.ids.new()):
        assert await signals.pause(story.workspace, run, NOW) is None
    await signals.pause(theirs.workspace, foreign, NOW)
    for run in (final, foreign, story.ids.new()):
        assert await signals.resume(story.workspace, run, NOW) is None
    assert (await theirs.load(foreign)).run.state is PAUSED


async def test_a_commit_to_a_paused_run_writes_its_records_and_leaves_it_paused(story: Story) -> None:
    run = await story.born()
    await story.store.signals.pause(story.workspace, run, NOW)

    assert await story.write(run, records=(WAITING,))

    loaded = await story.load(run)
    assert (loaded.run.state, loaded.records) == (PAUSED, (WAITING,))


async def test_a_paused_run_does_not_finish(story: Story) -> None:
    run = await story.born()
    await story.store.signals.pause(story.workspace, run, NOW)
    before = await story.load(run)

    assert not await story.finish(run, records=(a_record("a"),))

    assert await story.load(run) == before


async def test_a_walk_lets_go_of_a_paused_run_once_it_has_seen_the_pause(story: Story) -> None:
    run = await story.born()
    await story.store.signals.pause(story.workspace, run, NOW)
    fields = {"state": PAUSED, "waits_on": WaitsOn.TIMER, "seq": 2, "state_seq": 2}

    assert not await story.write(run, suspend_at=0, **fields)
    assert await story.write(run, suspend_at=1, **fields)

    found = (await story.load(run)).run
    assert (found.state, found.owner, found.waits_on, found.seq, found.state_seq) == (PAUSED, None, None, 2, 2)


@pytest.mark.parametrize(("started", "state"), [(True, RUNNING), (False, PENDING)])
async def test_a_resumed_run_is_as_far_as_it_was_and_may_be_claimed(
    story: Story, started: bool, state: RunState
) -> None:
    run = await (story.born() if started else story.start())
    if started:
        await story.write(run, state=SUSPENDED, suspend_at=0, waits_on=WaitsOn.EVENT)
    await story.store.signals.pause(story.workspace, run, NOW)
    before = (await story.load(run)).run

    reached = await story.store.signals.resume(story.workspace, run, NOW)

    found = (await story.load(run)).run
    assert reached == Reached(story.workspace, run, None)
    assert (found.state, found.signals, found.waits_on) == (state, 2, None)
    assert (found.seq, found.state_seq) == (before.seq + 1, before.seq + 1)
    assert await story.claimed() == [run]


async def test_a_resume_of_an_owned_run_leaves_the_numbers_to_its_walk(story: Story) -> None:
    run = await story.born()
    await story.write(run)
    await story.store.signals.pause(story.workspace, run, NOW)

    reached = await story.store.signals.resume(story.workspace, run, NOW)

    found = (await story.load(run)).run
    assert reached == Reached(story.workspace, run, story.owner)
    assert (found.state, found.seq, found.state_seq) == (RUNNING, 1, 1)


async def test_a_run_that_is_not_paused_is_not_resumed(story: Story) -> None:
    run = await story.start()

    assert await story.store.signals.resume(story.workspace, run, NOW) is None
    assert (await story.load(run)).run.signals == 0


async def test_a_blocked_run_that_was_paused_stays_blocked(story: Story) -> None:
    await story.born(max_concurrent=1)
    run = await story.start(max_concurrent=1)
    await story.store.signals.pause(story.workspace, run, NOW)

    await story.store.signals.resume(story.workspace, run, NOW)

    assert (await story.load(run)).run.blocked == "concurrency"
    assert await story.claimed() == []
