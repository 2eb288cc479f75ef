"""What runs tell endpoints: a message for each in the commit that changes the run, and none besides."""

import asyncio

import pytest

from conformance.endpoints import listening, told, types
from conformance.runs import NOW, Story, a_record
from stepwell.ids import created_ms
from stepwell.states import RecordStatus, RunState, WaitsOn
from stepwell.store import Store, Timer

SUSPENDED = RunState.SUSPENDED


async def suspend(story: Story, run: str, **fields: object) -> bool:
    waits = {"state": SUSPENDED, "suspend_at": 0, "waits_on": WaitsOn.EVENT}
    return await story.write(run, **{**waits, **fields})


async def test_a_run_that_begins_and_ends_in_one_commit_tells_of_both(story: Story) -> None:
    endpoint = await listening(story)
    run = await story.born()

    await story.finish(run)

    started, completed = await told(story, endpoint)
    assert (started.type, started.run, started.at) == ("run.started", run, NOW)
    assert (completed.type, completed.run, completed.at) == ("run.completed", run, NOW + 9)


async def test_what_is_told_is_the_run_as_it_was_then(story: Story) -> None:
    endpoint = await listening(story)
    run = await story.born()

    await story.finish(run, state=RunState.FAILED, output=None, error=b'{"code":"X"}')

    started, failed = [message.subject for message in await told(story, endpoint)]
    assert started is not None and failed is not None
    assert (started.state, started.started_at, started.ended_at, started.error) == (RunState.RUNNING, NOW, None, None)
    assert (failed.state, failed.ended_at, failed.error) == (RunState.FAILED, NOW + 9, b'{"code":"X"}')


async def test_a_run_tells_once_that_it_started(story: Story) -> None:
    endpoint = await listening(story)
    run = await story.born()

    await story.write(run)
    await story.write(run, seq=2)
    await story.finish(run)

    assert await types(story, endpoint) == ["run.started", "run.completed"]


async def test_the_id_of_a_message_is_of_the_time_of_its_event(story: Story) -> None:
    endpoint = await listening(story)

    await story.finish(await story.born())

    assert [created_ms(message.id) for message in await told(story, endpoint)] == [NOW, NOW + 9]


@pytest.mark.parametrize(
    ("state", "type"),
    [
        (RunState.CANCELLED, "run.cancelled"),
        (RunState.FAILED, "run.failed"),
        (RunState.TIMED_OUT, "run.failed"),
    ],
)
async def test_an_end_from_outside_is_told(story: Story, state: RunState, type: str) -> None:
    endpoint = await listening(story)
    run = await story.start()

    await story.runs.end(story.ending(run, state=state))

    assert await types(story, endpoint) == [type]


async def test_an_end_that_is_refused_is_not_told(story: Story) -> None:
    endpoint = await listening(story, "run.cancelled")
    run = await story.born()
    await story.finish(run)

    await story.runs.end(story.ending(run))

    assert await types(story, endpoint) == []


async def test_a_commit_that_is_refused_tells_nothing(story: Story) -> None:
    endpoint = await listening(story)
    run = await story.born()

    assert not await story.finish(run, epoch=7)

    assert await types(story, endpoint) == []


async def test_a_timeout_is_told_as_a_failure(story: Story) -> None:
    endpoint = await listening(story, "run.failed")
    run = await story.born()
    await story.write(run, timers=(Timer("", "timeout", NOW + 5),))

    await story.runs.fire_timers(NOW + 5, 10, b'{"code":"TIMEOUT"}')

    (message,) = await told(story, endpoint)
    assert (message.type, message.at) == ("run.failed", NOW + 5)
    assert message.subject is not None and message.subject.state is RunState.TIMED_OUT


async def test_awaited_runs_that_end_with_their_parent_are_told(story: Story) -> None:
    endpoint = await listening(story, "run.cancelled")
    parent = await story.born()
    child = await story.born(parent=parent, awaited=True)

    await story.runs.end(story.ending(parent))

    assert {message.run for message in await told(story, endpoint)} == {parent, child}


async def test_a_run_that_waits_for_somebody_tells_that_it_is_suspended(story: Story) -> None:
    endpoint = await listening(story, "run.suspended")
    run = await story.born()
    record = a_record("ask", RecordStatus.WAITING, started_at=NOW + 3)

    await suspend(story, run, records=(record,))

    (message,) = await told(story, endpoint)
    assert (message.run, message.at) == (run, NOW + 3)
    assert message.subject is not None
    assert (message.subject.state, message.subject.waits_on) == (SUSPENDED, WaitsOn.EVENT)


async def test_a_run_that_waits_for_a_timer_tells_nothing(story: Story) -> None:
    endpoint = await listening(story, "run.suspended")
    run = await story.born()

    await suspend(story, run, state=RunState.RUNNING, waits_on=WaitsOn.TIMER)

    assert await types(story, endpoint) == []


async def test_a_walk_that_finds_nothing_new_does_not_tell_again(story: Story) -> None:
    endpoint = await listening(story, "run.suspended")
    run = await story.born()
    await suspend(story, run, records=(a_record("ask", RecordStatus.WAITING),))

    await suspend(story, run, seq=3, state_seq=3)

    assert await types(story, endpoint) == ["run.suspended"]


async def test_a_run_that_went_on_and_waits_for_something_else_tells_again(story: Story) -> None:
    endpoint = await listening(story, "run.suspended")
    run = await story.born()
    await suspend(story, run, records=(a_record("ask", RecordStatus.WAITING),))

    await suspend(story, run, seq=5, state_seq=5, records=(a_record("ask"), a_record("more", RecordStatus.WAITING, 3)))

    assert await types(story, endpoint) == ["run.suspended", "run.suspended"]


async def test_a_pause_is_told_once(story: Story) -> None:
    endpoint = await listening(story, "run.suspended")
    run = await story.start()

    await story.store.signals.pause(story.workspace, run, NOW + 4)
    await story.store.signals.pause(story.workspace, run, NOW + 5)

    (message,) = await told(story, endpoint)
    assert message.at == NOW + 4
    assert message.subject is not None and message.subject.state is RunState.PAUSED


@pytest.mark.parametrize(("state", "waits_on"), [(RunState.PAUSED, None), (SUSPENDED, WaitsOn.EVENT)])
async def test_a_paused_run_does_not_tell_again_when_its_walk_lets_it_go(
    story: Story, state: RunState, waits_on: WaitsOn | None
) -> None:
    endpoint = await listening(story, "run.suspended")
    run = await story.born()
    await story.store.signals.pause(story.workspace, run, NOW)

    assert await suspend(story, run, state=state, suspend_at=1, waits_on=waits_on)

    assert await types(story, endpoint) == ["run.suspended"]


async def test_an_endpoint_is_told_only_of_its_events(story: Story) -> None:
    endpoint = await listening(story, "run.completed")

    await story.finish(await story.born())

    assert await types(story, endpoint) == ["run.completed"]


async def test_each_endpoint_has_a_message_of_its_own(story: Story) -> None:
    first, second = await listening(story, "run.completed"), await listening(story, "run.completed")

    await story.finish(await story.born())

    (one,), (other,) = await told(story, first), await told(story, second)
    assert one.id != other.id


async def test_an_endpoint_of_another_workspace_is_told_nothing(story: Story, theirs: Story) -> None:
    endpoint = await listening(theirs)

    await story.finish(await story.born())
    await story.runs.end(story.ending(await story.start()))

    assert await types(theirs, endpoint) == []


async def test_a_disabled_endpoint_is_told_nothing(story: Story) -> None:
    endpoint = await listening(story, enabled=False)

    await story.finish(await story.born())

    assert await types(story, endpoint) == []


async def test_an_endpoint_that_was_disabled_or_removed_is_told_nothing_more(story: Story) -> None:
    disabled, removed = await listening(story), await listening(story)
    await story.finish(await story.born())

    await story.store.endpoints.disable(story.workspace, disabled.id, "why", NOW)
    await story.store.endpoints.delete(story.workspace, removed.id)
    await story.finish(await story.born())

    assert [len(await types(story, endpoint)) for endpoint in (disabled, removed)] == [2, 2]


async def test_whoever_sends_is_told_after_the_commit(store: Store, story: Story) -> None:
    endpoint = await listening(story)
    emitted = asyncio.Event()
    store.endpoints.watch(emitted.set)

    await story.finish(await story.born())

    await asyncio.wait_for(emitted.wait(), 5)
    assert len(await types(story, endpoint)) == 2


async def test_whoever_sends_is_not_told_of_commits_that_nobody_listens_to(store: Store, story: Story) -> None:
    await listening(story, "run.cancelled")
    hints: list[int] = []
    store.endpoints.watch(lambda: hints.append(1))

    await story.finish(await story.born())
    await story.finish(await story.born())

    assert hints == []
