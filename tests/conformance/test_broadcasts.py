"""Events for many runs: found and handed out in pages, each page once, also by another process."""

import msgspec
import pytest

from conformance.reaching import a_broadcast
from conformance.runs import NOW, Story
from stepwell.states import RunState, WaitsOn
from stepwell.store import Broadcast, EventWait, Reached


async def begun(story: Story, **fields: object) -> Broadcast:
    broadcast = msgspec.structs.replace(a_broadcast(story), **fields)
    await story.store.signals.begin(broadcast)
    return broadcast


async def found(story: Story, broadcast: Broadcast, limit: int = 100) -> list[str]:
    return [run.id for run in await story.store.signals.candidates(broadcast, limit)]


async def test_a_broadcast_is_kept_until_it_was_handed_out(story: Story) -> None:
    broadcast = await begun(story)

    kept = await story.store.signals.broadcasts(10)
    await story.store.signals.hand_out(broadcast, (), None)

    assert kept == [broadcast]
    assert await story.store.signals.broadcasts(10) == []


async def test_candidates_are_the_open_runs_of_every_state_and_trigger_oldest_first(
    story: Story, theirs: Story
) -> None:
    runs = [await story.start(trigger=trigger) for trigger in ("webhook", "api", "schedule", "manual")]
    running, suspended, paused, final = [await story.born() for _ in range(4)]
    await story.write(running)
    await story.write(suspended, state=RunState.SUSPENDED, suspend_at=0, waits_on=WaitsOn.EVENT)
    await story.store.signals.pause(story.workspace, paused, NOW)
    await story.finish(final)
    await theirs.start()

    assert await found(story, a_broadcast(story)) == [*runs, running, suspended, paused]


async def test_candidates_come_in_pages_after_the_cursor(story: Story) -> None:
    runs = [await story.start() for _ in range(5)]
    broadcast = a_broadcast(story)

    first = await found(story, broadcast, 3)
    rest = await found(story, msgspec.structs.replace(broadcast, cursor=first[-1]), 3)

    assert (first, rest) == (runs[:3], runs[3:])


@pytest.mark.parametrize("given", [b'{"n":1}', b'{"long":"' + b"x" * 9000 + b'"}'])
async def test_candidates_have_their_inputs(story: Story, given: bytes) -> None:
    await story.start(input=given)

    (run,) = await story.store.signals.candidates(a_broadcast(story), 10)

    assert run.input == given


async def test_without_a_filter_candidates_are_the_runs_that_wait_for_the_type(story: Story, theirs: Story) -> None:
    waiting, other, twice = [await story.born() for _ in range(3)]
    foreign = await theirs.born()
    await story.write(waiting, waits=(EventWait("w", "paid"),))
    await story.write(other, waits=(EventWait("w", "sent"),))
    await story.write(twice, waits=(EventWait("a", "paid"), EventWait("b", "paid")))
    await theirs.write(foreign, waits=(EventWait("w", "paid"),))
    broadcast = a_broadcast(story, match=None)

    assert await found(story, broadcast) == [waiting, twice]
    assert await found(story, msgspec.structs.replace(broadcast, cursor=waiting)) == [twice]


async def test_an_event_is_handed_to_the_runs_that_are_still_open(story: Story, theirs: Story) -> None:
    owned, final, waiting = await story.born(), await story.born(), await story.start()
    foreign = await theirs.born()
    await story.finish(final)
    broadcast = await begun(story)

    reached = await story.store.signals.hand_out(broadcast, (owned, final, waiting, foreign), None)

    assert reached == (Reached(story.workspace, owned, story.owner), Reached(story.workspace, waiting, None))
    assert [(await story.load(run)).events for run in (owned, final, waiting)] == [
        (broadcast.event,),
        (),
        (broadcast.event,),
    ]
    assert (await theirs.load(foreign)).events == ()


async def test_a_page_is_noted_with_how_many_it_reached_and_handed_out_once(story: Story) -> None:
    runs = [await story.start() for _ in range(2)]
    broadcast = await begun(story)

    await story.store.signals.hand_out(broadcast, tuple(runs), runs[-1])
    (kept,) = await story.store.signals.broadcasts(10)
    again = await story.store.signals.hand_out(broadcast, tuple(runs), runs[-1])

    assert kept == msgspec.structs.replace(broadcast, cursor=runs[-1], delivered=2)
    assert again == ()
    assert (await story.load(runs[0])).run.signals == 1


async def test_a_foreign_workspace_hands_out_no_broadcast(story: Story, theirs: Story) -> None:
    run = await story.start()
    broadcast = await begun(story)

    stolen = msgspec.structs.replace(broadcast, workspace=theirs.workspace)
    reached = await story.store.signals.hand_out(stolen, (run,), None)

    assert reached == ()
    assert await story.store.signals.broadcasts(10) == [broadcast]
