"""Lists of runs against a slow reference; deleting and pruning."""

import random
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.runs import NOW, Story, a_record
from stepwell.clock import FakeClock
from stepwell.ids import created_ms, lowest_at
from stepwell.states import FINAL, RunState, WaitsOn
from stepwell.store import RunFilter
from stepwell.store.sql import load as load_sql
from stepwell.store.sqlite import FILE_NAME, connect

TRIGGERS = ("api", "manual", "schedule", "webhook")
RUNS = 300
LARGE = b'"' + b"x" * 9000 + b'"'


@dataclass(frozen=True)
class Stored:
    """What the reference knows of a run."""

    id: str
    workflow: str
    state: RunState
    trigger: str
    waits_on: WaitsOn | None


async def fill(story: Story, clock: FakeClock, seed: int) -> list[Stored]:
    """A few hundred runs of three workflows in every state, several a millisecond at times; newest first."""
    rng = random.Random(seed)
    workflows = [story.ids.new() for _ in range(3)]
    stored = []
    for _ in range(RUNS):
        clock.advance(rng.choice((0, 0.001, 0.5)))
        workflow, trigger, state = rng.choice(workflows), rng.choice(TRIGGERS), rng.choice(list(RunState))
        run = await story.born(workflow=workflow, trigger=trigger)
        waits_on = rng.choice((None, *WaitsOn)) if state is RunState.RUNNING else None
        if waits_on is not None:
            await story.write(run, state=state, suspend_at=0, waits_on=waits_on)
        elif state is not RunState.PENDING:
            await story.write(run, state=state, ended_at=NOW if state in FINAL else None)
        stored.append(Stored(run, workflow, state, trigger, waits_on))
    return stored[::-1]


def passes(run: Stored, wanted: RunFilter) -> bool:
    """The rule of a filter, said slowly."""
    created = created_ms(run.id)
    return (
        wanted.workflow in (None, run.workflow)
        and (not wanted.states or run.state in wanted.states)
        and (not wanted.triggers or run.trigger in wanted.triggers)
        and (wanted.waiting is None or run.state is not RunState.RUNNING or wanted.waiting is waits(run))
        and (wanted.created_after is None or created >= wanted.created_after)
        and (wanted.created_before is None or created < wanted.created_before)
        and (wanted.before is None or run.id < wanted.before)
    )


def waits(run: Stored) -> bool:
    return run.waits_on not in (None, WaitsOn.RETRY)


async def test_every_filter_lists_what_a_slow_search_finds(story: Story, theirs: Story, clock: FakeClock) -> None:
    stored = await fill(story, clock, seed=1)
    await theirs.start()
    ids = [run.id for run in stored]
    times = st.none() | st.sampled_from([created_ms(run) + shift for run in ids for shift in (0, 1)])
    filters = st.builds(
        RunFilter,
        workspace=st.just(story.workspace),
        workflow=st.none() | st.sampled_from([*{run.workflow for run in stored}, story.workflow]),
        states=st.lists(st.sampled_from(RunState), unique=True, max_size=3).map(tuple),
        triggers=st.lists(st.sampled_from(TRIGGERS), unique=True, max_size=2).map(tuple),
        waiting=st.none() | st.booleans(),
        created_after=times,
        created_before=times,
        before=st.none() | st.sampled_from(ids),
        limit=st.integers(1, 40),
    )
    wanted: list[RunFilter] = []

    @settings(max_examples=400, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(filters)
    def draw(each: RunFilter) -> None:
        wanted.append(each)

    draw()

    for each in wanted:
        found = [run.id for run in await story.runs.page(each)]
        assert found == [run.id for run in stored if passes(run, each)][: each.limit], each


@pytest.mark.parametrize("limit", [1, 7, 50])
async def test_paging_never_repeats_or_skips(story: Story, clock: FakeClock, limit: int) -> None:
    stored = await fill(story, clock, seed=limit)
    triggers = ("api", "webhook")
    expected = [run.id for run in stored if run.trigger in triggers]
    seen: list[str] = []

    while page := await story.runs.page(
        RunFilter(workspace=story.workspace, triggers=triggers, before=seen[-1] if seen else None, limit=limit)
    ):
        seen.extend(run.id for run in page)
        await story.start(trigger="api")  # what is started meanwhile belongs to no later page

    assert seen == expected


async def test_times_before_1970_are_bounds_like_others(story: Story) -> None:
    run = await story.start()

    after = await story.runs.page(RunFilter(workspace=story.workspace, created_after=-1))
    before = await story.runs.page(RunFilter(workspace=story.workspace, created_before=-1))

    assert [found.id for found in after] == [run]
    assert before == []


# Deleting and pruning


async def test_a_final_run_is_deleted_once_with_its_journal(story: Story) -> None:
    run = await story.born()
    await story.finish(run, records=(a_record("a", output=LARGE),))

    answers = [await story.runs.delete(story.workspace, run) for _ in range(2)]

    assert answers == [True, False]
    assert await story.runs.load(story.workspace, run) is None


async def test_an_open_or_foreign_run_is_not_deleted(story: Story, theirs: Story) -> None:
    opened, final = await story.born(), await story.born()
    await story.finish(final)

    answers = [
        await story.runs.delete(story.workspace, opened),
        await story.runs.delete(theirs.workspace, final),
        await story.runs.delete(story.workspace, story.ids.new()),
    ]

    assert answers == [False, False, False]
    assert await story.runs.get(story.workspace, opened) is not None
    assert await story.runs.get(story.workspace, final) is not None


async def aged(story: Story, clock: FakeClock, count: int) -> list[str]:
    """Ended runs, a second apart, oldest first."""
    runs = []
    for _ in range(count):
        runs.append(await story.born())
        await story.finish(runs[-1])
        clock.advance(1)
    return runs


async def left(story: Story) -> list[str]:
    """The runs that are still there, oldest first."""
    return [run.id for run in reversed(await story.runs.page(RunFilter(workspace=story.workspace, limit=1000)))]


async def test_ended_runs_below_an_id_are_pruned_oldest_first_in_batches(
    story: Story, theirs: Story, clock: FakeClock
) -> None:
    opened = await story.born()
    runs, other = await aged(story, clock, 6), await aged(theirs, clock, 1)

    first = await story.runs.prune(story.workspace, runs[5], 2)
    after_first = await left(story)
    rest = [await story.runs.prune(story.workspace, runs[5], 2) for _ in range(3)]

    assert (first, after_first) == (2, [opened, *runs[2:]])
    assert rest == [2, 1, 0]
    assert (await left(story), await left(theirs)) == ([opened, runs[5]], other)


async def test_the_nth_newest_run_is_found_among_those_of_its_workspace(
    story: Story, theirs: Story, clock: FakeClock
) -> None:
    runs = await aged(story, clock, 4)
    await aged(theirs, clock, 3)

    assert [await story.runs.nth_newest(story.workspace, place) for place in (1, 4, 5)] == [runs[3], runs[0], None]


async def test_a_bound_of_a_time_before_1970_prunes_nothing(story: Story, clock: FakeClock) -> None:
    runs = await aged(story, clock, 1)

    assert await story.runs.prune(story.workspace, lowest_at(-1), 10) == 0
    assert await left(story) == runs


async def test_the_store_tells_that_it_can_be_written(story: Story) -> None:
    await story.runs.probe(NOW)
    await story.runs.probe(NOW + 1)


# SQLite only: what is left in the file, and how statements find their rows


def _count(path: Path, table: str) -> int:
    connection = connect(path, read_only=True)
    count: int = connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]  # noqa: S608 - a name of ours
    connection.close()
    return count


async def test_equal_large_values_of_a_run_are_kept_once_and_go_with_it(story: Story, tmp_path: Path) -> None:
    run = await story.born(input=LARGE, trigger_data=LARGE)
    await story.finish(run, output=LARGE, records=(a_record("a", output=LARGE), a_record("b", seq=3, input=LARGE)))
    kept = _count(tmp_path / FILE_NAME, "payloads")

    await story.runs.delete(story.workspace, run)

    assert kept == 1
    assert {table: _count(tmp_path / FILE_NAME, table) for table in ("runs", "records", "payloads", "timers")} == {
        "runs": 0,
        "records": 0,
        "payloads": 0,
        "timers": 0,
    }


async def test_space_that_was_freed_is_given_back(story: Story, tmp_path: Path) -> None:
    for number in range(60):
        run = await story.born(input=b'"' + random.Random(number).randbytes(9000) + b'"')
        await story.finish(run)
    await story.runs.prune(story.workspace, story.ids.new(), 100)
    before = _pages(tmp_path / FILE_NAME)

    await story.runs.vacuum()

    assert _pages(tmp_path / FILE_NAME) < before // 2


def _pages(path: Path) -> int:
    connection = connect(path, read_only=True)
    count: int = connection.execute("PRAGMA page_count").fetchall()[0][0]
    connection.close()
    return count


READS_EVERY_OPEN_RUN = {"count_open", "release_dead", "release_owned", "claim_suspect"}


def _plans(path: Path) -> list[tuple[str, str]]:
    """Every line of the query plans of all statements."""
    connection = connect(path)
    lines = []
    for file in ("runs.sql", "workflows.sql", "keys.sql", "connections.sql"):
        for name, sql in load_sql(file).items():
            if sql.startswith("PRAGMA"):
                continue
            nothing = dict.fromkeys(re.findall(r":(\w+)", sql)) or (None,) * sql.count("?")
            cursor = connection.execute(f"EXPLAIN QUERY PLAN {sql}", nothing)
            lines += [(name, row[3]) for row in cursor]
    connection.close()
    return lines


async def test_no_statement_reads_a_growing_table_from_end_to_end(story: Story, tmp_path: Path) -> None:
    growing = ("SCAN runs", "SCAN records", "SCAN timers", "SCAN payloads", "SCAN idempotency")

    scans = {name for name, line in _plans(tmp_path / FILE_NAME) if line.startswith(growing)}
    partial = {
        name
        for name, line in _plans(tmp_path / FILE_NAME)
        if line.startswith(("SCAN runs USING INDEX runs_open", "SCAN runs USING INDEX runs_ready"))
    }

    assert scans == partial == READS_EVERY_OPEN_RUN


@pytest.mark.parametrize(
    ("statement", "seek"),
    [
        ("list_all", "PRIMARY KEY (workspace=? AND id>? AND id<?)"),
        ("list_ended", "INDEX runs_ended (workspace=? AND state=? AND trigger=? AND id>? AND id<?)"),
        ("list_open", "INDEX runs_open (workspace=? AND state=? AND trigger=? AND id>? AND id<?)"),
        (
            "list_ended_of_workflow",
            "INDEX runs_ended_by_workflow (workspace=? AND workflow=? AND state=? AND trigger=? AND id>? AND id<?)",
        ),
        (
            "list_open_of_workflow",
            "INDEX runs_open_by_workflow (workspace=? AND workflow=? AND state=? AND trigger=? AND id>? AND id<?)",
        ),
        ("claim_ready", "INDEX runs_ready (workspace=?)"),
        ("ready_workspaces", "INDEX runs_ready (workspace>?)"),
        ("count_limited", "INDEX runs_limited (workspace=? AND workflow=?)"),
        ("unblock_oldest", "INDEX runs_blocked (workspace=? AND workflow=?)"),
        ("due_timers", "COVERING INDEX timers_by_due (due<?)"),
    ],
)
async def test_lists_and_claims_seek_in_their_index(story: Story, tmp_path: Path, statement: str, seek: str) -> None:
    lines = [line for name, line in _plans(tmp_path / FILE_NAME) if name == statement]

    assert any(line.endswith(f"USING {seek}") for line in lines), lines
