"""What walks commit: applied or refused as a whole, suspended by compare-and-set, ended once."""

import asyncio

import msgspec
import pytest

from conformance.runs import NOW, RUNNING, Story, a_record
from stepwell.states import RecordStatus, RunState, WaitsOn
from stepwell.store import Timer

OPENED = a_record("a", RecordStatus.RUNNING, input=b"1", data=b"2")
CLOSED = msgspec.structs.replace(OPENED, status=RecordStatus.SUCCESS, output=b"3", ended_seq=2, ended_at=NOW + 2)
WAIT = Timer("w", "wait", NOW + 100)


async def test_a_commit_writes_progress_records_and_timers(story: Story) -> None:
    run = await story.born()

    assert await story.write(run, seq=4, state_seq=2, records=(OPENED, a_record("b", seq=3)), timers=(WAIT,))

    loaded = await story.load(run)
    assert (loaded.run.state, loaded.run.seq, loaded.run.state_seq, loaded.run.started_at) == (RUNNING, 4, 2, NOW)
    assert loaded.run.owner == story.owner
    assert loaded.records == (OPENED, a_record("b", seq=3))
    assert loaded.timers == (WAIT,)


async def test_the_first_start_time_stays(story: Story) -> None:
    run = await story.born()
    await story.write(run, started_at=NOW)

    await story.write(run, started_at=NOW + 50)

    assert (await story.load(run)).run.started_at == NOW


async def test_a_repeated_commit_changes_nothing(story: Story) -> None:
    run = await story.born()
    await story.write(run, records=(CLOSED,), timers=(WAIT,))
    once = await story.load(run)

    assert await story.write(run, records=(CLOSED,), timers=(WAIT,))

    assert await story.load(run) == once


async def test_an_open_record_becomes_what_is_written_later(story: Story) -> None:
    run = await story.born()
    await story.write(run, records=(OPENED,))

    await story.write(run, records=(CLOSED,))

    assert (await story.load(run)).records == (CLOSED,)


@pytest.mark.parametrize("status", [status for status in RecordStatus if status.final])
async def test_a_final_record_stays_as_it_is(story: Story, status: RecordStatus) -> None:
    run = await story.born()
    final = a_record("a", status, output=b"1")
    await story.write(run, records=(final,))

    await story.write(run, records=(a_record("a", RecordStatus.RUNNING, output=b"2"), a_record("a", output=b"3")))

    assert (await story.load(run)).records == (final,)


async def test_records_are_read_in_the_order_of_their_starts(story: Story) -> None:
    run = await story.born()
    records = [a_record(path, seq=seq) for seq, path in enumerate(("z", "m", "a", "q"), start=1)]

    await story.write(run, records=tuple(reversed(records)))

    assert list((await story.load(run)).records) == records


@pytest.mark.parametrize("epoch", [0, 2])
@pytest.mark.parametrize("kind", ["advance", "suspend", "finish"])
async def test_a_commit_of_another_epoch_writes_nothing(story: Story, epoch: int, kind: str) -> None:
    run = await story.born()
    before = await story.load(run)
    fields = {"advance": {}, "suspend": {"suspend_at": 0, "waits_on": WaitsOn.TIMER}, "finish": {"ended_at": NOW}}

    applied = await story.write(run, epoch=epoch, records=(OPENED,), timers=(WAIT,), **fields[kind])

    assert not applied
    assert await story.load(run) == before


@pytest.mark.parametrize("ended_at", [None, NOW + 1])
async def test_a_commit_to_a_final_run_writes_nothing(story: Story, ended_at: int | None) -> None:
    run = await story.born()
    await story.finish(run)
    before = await story.load(run)

    assert not await story.write(run, ended_at=ended_at, seq=9, records=(OPENED,), timers=(WAIT,))

    assert await story.load(run) == before


async def test_a_commit_to_an_unknown_or_foreign_run_writes_nothing(story: Story, theirs: Story) -> None:
    run = await theirs.born()
    before = await theirs.load(run)

    assert not await story.write(run, records=(OPENED,))
    assert not await story.write(story.ids.new(), records=(OPENED,))

    assert await theirs.load(run) == before
    assert await story.runs.load(story.workspace, run) is None


async def test_commits_of_a_run_are_applied_in_the_order_they_were_given(story: Story) -> None:
    new = story.new(owner=story.owner)

    answers = await asyncio.gather(
        story.runs.start(new),
        *(story.write(new.id, seq=number, records=(a_record(f"s{number}", seq=number),)) for number in range(1, 50)),
        story.finish(new.id, seq=50),
        story.write(new.id, seq=51),
    )

    loaded = await story.load(new.id)
    assert answers[1:] == [True] * 50 + [False]
    assert (loaded.run.seq, len(loaded.records)) == (50, 49)


async def test_a_run_suspends_if_its_walk_has_seen_every_signal(story: Story) -> None:
    run = await story.born()

    assert await story.write(run, suspend_at=0, waits_on=WaitsOn.TIMER, records=(OPENED,), timers=(WAIT,))

    loaded = await story.load(run)
    assert (loaded.run.owner, loaded.run.waits_on) == (None, WaitsOn.TIMER)
    assert (loaded.records, loaded.timers) == ((OPENED,), (WAIT,))


async def test_a_run_that_a_signal_has_reached_does_not_suspend(story: Story) -> None:
    run = await story.born()
    await story.write(run, timers=(WAIT,))
    await story.runs.fire_timers(WAIT.due, 10, b"{}")
    before = await story.load(run)

    refused = await story.write(run, suspend_at=0, waits_on=WaitsOn.TIMER, records=(OPENED,))

    assert not refused
    assert await story.load(run) == before
    assert await story.write(run, suspend_at=1, waits_on=WaitsOn.TIMER)


async def test_a_finished_run_has_its_result_and_no_owner_or_timers(story: Story) -> None:
    run = await story.born()
    await story.write(run, timers=(WAIT,))

    await story.finish(run, seq=5, state_seq=5, output=b"1", error=b"2", records=(CLOSED,))

    loaded = await story.load(run)
    assert (loaded.run.state, loaded.run.output, loaded.run.error) == (RunState.COMPLETED, b"1", b"2")
    assert (loaded.run.owner, loaded.run.waits_on, loaded.run.ended_at) == (None, None, NOW + 9)
    assert (loaded.run.seq, loaded.run.state_seq) == (5, 5)
    assert (loaded.records, loaded.timers) == ((CLOSED,), ())
    assert await story.runs.next_timer() is None


@pytest.mark.parametrize(("record", "deaths"), [(OPENED, 1), (CLOSED, 0)])
async def test_only_a_new_final_record_resets_the_count_of_deaths(story: Story, record: object, deaths: int) -> None:
    run = await story.start()
    await story.deaths(run, 1)
    (claim,) = await story.runs.claim(story.owner, 1)

    await story.write(run, epoch=claim.epoch, records=(record,))

    assert (await story.load(run)).run.deaths == deaths


# Ends from outside


async def test_an_end_closes_open_records_in_order_and_raises_the_epoch(story: Story) -> None:
    run = await story.born()
    waiting = a_record("w", RecordStatus.WAITING, seq=4)
    done = a_record("d", seq=2, output=b"1")
    await story.write(run, seq=4, records=(waiting, done, OPENED), timers=(WAIT,))

    assert await story.runs.end(story.ending(run, error=b'{"code":"X"}'))

    loaded = await story.load(run)
    closing = {"status": RecordStatus.ERROR, "ended_at": NOW + 5, "error": b'{"code":"CANCELLED"}'}
    closed = msgspec.structs.replace(OPENED, ended_seq=5, **closing)
    assert loaded.records == (closed, done, msgspec.structs.replace(waiting, ended_seq=6, **closing))
    assert loaded.timers == ()
    assert (loaded.run.state, loaded.run.epoch, loaded.run.seq, loaded.run.state_seq) == ("cancelled", 2, 7, 7)
    assert (loaded.run.owner, loaded.run.ended_at, loaded.run.error) == (None, NOW + 5, b'{"code":"X"}')


@pytest.mark.parametrize("epoch", [1, 2])
async def test_whatever_a_walk_writes_after_an_end_is_refused(story: Story, epoch: int) -> None:
    run = await story.born()
    await story.runs.end(story.ending(run))
    before = await story.load(run)

    assert not await story.write(run, epoch=epoch, records=(OPENED,))
    assert not await story.finish(run, epoch=epoch)

    assert await story.load(run) == before


async def test_of_an_end_and_a_finish_at_once_the_first_counts(story: Story) -> None:
    run = await story.born()

    answers = await asyncio.gather(story.finish(run), story.runs.end(story.ending(run)))

    assert answers == [True, ()]
    assert (await story.load(run)).run.state is RunState.COMPLETED


async def test_an_end_is_refused_for_other_states_and_foreign_runs(story: Story, theirs: Story) -> None:
    run = await story.born()

    answers = [
        await story.runs.end(story.ending(run, allowed=frozenset({RunState.RUNNING}))),
        await story.runs.end(theirs.ending(run)),
        await story.runs.end(story.ending(story.ids.new())),
    ]

    assert answers == [(), (), ()]
    assert (await story.load(run)).run.state is RunState.PENDING


# Timers


async def test_due_timers_fire_oldest_first_in_pages(story: Story) -> None:
    runs = [await story.born() for _ in range(3)]
    for run, due in zip(runs, (NOW + 30, NOW + 10, NOW + 20), strict=True):
        await story.write(run, suspend_at=0, waits_on=WaitsOn.TIMER, timers=(Timer("w", "wait", due),))

    assert await story.runs.next_timer() == NOW + 10
    early = await story.runs.fire_timers(NOW + 9, 10, b"{}")
    pages = [await story.runs.fire_timers(NOW + 30, 2, b"{}") for _ in range(3)]

    assert early == []
    assert [[fired.run for fired in page] for page in pages] == [[runs[1], runs[2]], [runs[0]], []]
    assert await story.runs.next_timer() is None


async def test_a_fired_timer_signals_its_run_and_lets_it_be_claimed(story: Story) -> None:
    run = await story.born()
    await story.write(run, suspend_at=0, waits_on=WaitsOn.RETRY, timers=(WAIT, Timer("x", "retry", NOW + 500)))
    assert await story.claimed() == []

    (fired,) = await story.runs.fire_timers(WAIT.due, 10, b"{}")

    loaded = await story.load(run)
    assert (fired.workspace, fired.run, fired.owner, fired.ended) == (story.workspace, run, None, None)
    assert (loaded.run.signals, loaded.run.waits_on) == (1, None)
    assert loaded.timers == (Timer("x", "retry", NOW + 500),)
    assert await story.claimed() == [run]


async def test_a_timer_of_an_owned_run_names_the_owner_and_does_not_move_it(story: Story) -> None:
    run = await story.born()
    await story.write(run, timers=(WAIT,))

    (fired,) = await story.runs.fire_timers(WAIT.due, 10, b"{}")

    assert fired.owner == story.owner
    assert (await story.load(run)).run.owner == story.owner
    assert await story.claimed() == []


async def test_a_timer_set_again_is_due_at_its_new_time(story: Story) -> None:
    run = await story.born()
    await story.write(run, timers=(WAIT,))

    await story.write(run, timers=(Timer("w", "wait", NOW + 700),))

    assert await story.runs.next_timer() == NOW + 700
    assert (await story.load(run)).timers == (Timer("w", "wait", NOW + 700),)


async def test_a_timeout_ends_its_run_and_drops_its_other_timers(story: Story) -> None:
    run = await story.born()
    await story.write(run, seq=1, records=(OPENED,), timers=(WAIT, Timer("", "timeout", NOW + 50)))

    fired = await story.runs.fire_timers(WAIT.due, 10, b'{"code":"TIMEOUT"}')

    loaded = await story.load(run)
    assert [(each.run, each.owner, each.ended) for each in fired] == [(run, story.owner, RunState.TIMED_OUT)]
    assert (loaded.run.state, loaded.run.epoch, loaded.run.error) == (RunState.TIMED_OUT, 2, b'{"code":"TIMEOUT"}')
    assert loaded.records[0].error == b'{"code":"TIMEOUT"}'
    assert loaded.timers == ()
    assert not await story.finish(run)
