"""Starting runs: what is stored, idempotency keys, large values."""

import asyncio
import random

import msgspec
import pytest

from conformance.runs import NOW, Story, a_record
from stepwell.clock import FakeClock
from stepwell.states import RunState
from stepwell.store import RunFilter, Started

DAY_S = 24 * 3600
LARGE = b'"' + bytes(random.Random(1).choices(b"abcdefgh", k=9000)) + b'"'


async def test_a_started_run_is_stored_as_given(story: Story) -> None:
    new = story.new(
        owner=story.owner,
        trigger="webhook",
        trigger_data=b'{"ip":"x"}',
        connection=story.ids.new(),
        attempt=2,
        restarted_from=story.ids.new(),
        parent=story.ids.new(),
        carried=b'{"a":1}',
        seq=7,
        records=(a_record("a", reused=True),),
    )

    assert await story.runs.start(new) == Started(new.id)

    loaded = await story.load(new.id)
    shared = [name for name in new.__struct_fields__ if name in loaded.run.__struct_fields__]
    assert {name: getattr(loaded.run, name) for name in shared} == {name: getattr(new, name) for name in shared}
    assert (loaded.run.state, loaded.run.epoch, loaded.run.signals, loaded.run.deaths) == (RunState.PENDING, 1, 0, 0)
    assert loaded.records == new.records


async def test_an_equal_repeat_of_a_key_answers_with_the_first_run(story: Story) -> None:
    first = await story.start(idempotency_key="k", digest=b"1")

    repeated = await story.runs.start(story.new(idempotency_key="k", digest=b"1"))
    different = await story.runs.start(story.new(idempotency_key="k", digest=b"2"))

    assert repeated == Started(first, replayed=True)
    assert different == Started(first, replayed=True, mismatch=True)
    assert [run.id for run in await story.runs.page(RunFilter(workspace=story.workspace))] == [first]


async def test_a_key_is_its_workflows_own(story: Story, theirs: Story) -> None:
    first = await story.start(idempotency_key="k")

    others = [
        await story.runs.start(story.new(idempotency_key="k", workflow=story.ids.new())),
        await theirs.runs.start(theirs.new(idempotency_key="k", workflow=story.workflow)),
    ]

    assert [other.replayed for other in others] == [False, False]
    assert first not in [other.run for other in others]


@pytest.mark.parametrize(("passed_s", "replayed"), [(DAY_S - 1, True), (DAY_S, False)])
async def test_a_key_stands_for_its_run_for_24_hours(
    story: Story, clock: FakeClock, passed_s: int, replayed: bool
) -> None:
    first = await story.start(idempotency_key="k", digest=b"1")

    clock.advance(passed_s)
    again = await story.runs.start(story.new(idempotency_key="k", digest=b"2"))
    found = await story.runs.find_started(story.workspace, story.workflow, "k", b"2", clock.now_ms())

    assert again.replayed is replayed
    assert (again.run == first) is replayed
    assert found == Started(again.run, replayed=True, mismatch=replayed)


async def test_the_key_of_a_deleted_run_is_free(story: Story) -> None:
    first = await story.born(idempotency_key="k")
    await story.finish(first)
    await story.runs.delete(story.workspace, first)

    assert await story.runs.find_started(story.workspace, story.workflow, "k", b"", NOW) is None
    assert not (await story.runs.start(story.new(idempotency_key="k"))).replayed


async def test_a_key_is_found_without_a_start(story: Story, theirs: Story) -> None:
    run = await story.start(idempotency_key="k", digest=b"1")

    async def find(workspace: str, digest: bytes) -> Started | None:
        return await story.runs.find_started(workspace, story.workflow, "k", digest, NOW)

    assert await find(story.workspace, b"1") == Started(run, replayed=True)
    assert await find(story.workspace, b"2") == Started(run, replayed=True, mismatch=True)
    assert await find(theirs.workspace, b"1") is None


async def test_of_many_starts_at_once_with_one_key_one_makes_a_run(story: Story) -> None:
    answers = await asyncio.gather(*(story.runs.start(story.new(idempotency_key="k")) for _ in range(100)))

    assert len({answer.run for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1
    assert len(await story.runs.page(RunFilter(workspace=story.workspace))) == 1


async def test_a_refused_start_refuses_what_its_walk_writes(story: Story) -> None:
    await story.start(idempotency_key="k")
    refused = story.new(idempotency_key="k", owner=story.owner)

    started, applied = await asyncio.gather(
        story.runs.start(refused), story.write(refused.id, records=(a_record("a"),))
    )

    assert (started.replayed, applied) == (True, False)
    assert await story.runs.load(story.workspace, refused.id) is None


async def test_keys_older_than_24_hours_are_forgotten_in_pages(story: Story, clock: FakeClock) -> None:
    for key in "abc":
        await story.start(idempotency_key=key)
    clock.advance(DAY_S)
    young = await story.start(idempotency_key="young")

    counts = [await story.runs.forget_idempotency_keys(clock.now_ms(), 2) for _ in range(3)]

    assert counts == [2, 1, 0]
    found = await story.runs.find_started(story.workspace, story.workflow, "young", b"", clock.now_ms())
    assert found == Started(young, replayed=True)


async def test_large_values_come_back_as_they_were(story: Story) -> None:
    large = {name: name.encode() + LARGE for name in ("input", "output", "error", "attempts", "data")}
    run = await story.born(input=LARGE, trigger_data=LARGE + b" ", carried=LARGE + b"  ")
    record = a_record("a", **large)

    await story.finish(run, records=(record,), output=large["output"])

    loaded = await story.load(run)
    assert (loaded.run.input, loaded.run.trigger_data, loaded.run.carried) == (LARGE, LARGE + b" ", LARGE + b"  ")
    assert loaded.run.output == large["output"]
    assert loaded.records == (record,)


@pytest.mark.parametrize("size", [4095, 4096, 4097])
async def test_values_around_the_inline_limit_come_back_as_they_were(story: Story, size: int) -> None:
    run = await story.start(input=b"x" * size)

    found = await story.runs.get(story.workspace, run)

    assert found is not None
    assert found.input == b"x" * size


async def test_a_list_shows_no_values(story: Story) -> None:
    run = await story.born(input=LARGE, trigger_data=b"{}")
    await story.finish(run, output=LARGE)

    (listed,) = await story.runs.page(RunFilter(workspace=story.workspace))

    whole = (await story.load(run)).run
    assert listed == msgspec.structs.replace(whole, input=b"{}", trigger_data=None, output=None, carried=None)


async def test_a_foreign_workspace_reads_nothing_of_a_run(story: Story, theirs: Story) -> None:
    run = await story.start()

    assert await story.runs.get(theirs.workspace, run) is None
    assert await story.runs.load(theirs.workspace, run) is None
    assert await story.runs.state(theirs.workspace, run) is None
    assert await story.runs.page(RunFilter(workspace=theirs.workspace)) == []
    assert await story.runs.state(story.workspace, run) == (RunState.PENDING, 0, 1, 0)
