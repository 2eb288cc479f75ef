"""Counted lists of runs and workflows against a slow reference."""

import random
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.runs import NOW, Story
from stepwell.clock import FakeClock
from stepwell.ids import TimeOrderedIds
from stepwell.states import FINAL, RunState, WorkflowStatus
from stepwell.store import RunCounts, RunListing, Store, Workflow, WorkflowListing

RUNS = 120


@dataclass(frozen=True)
class Stored:
    """What the reference knows of a run."""

    id: str
    workflow: str
    state: RunState
    user: str | None
    chain: str
    started_at: int | None
    updated_at: int | None


async def fill(story: Story, clock: FakeClock) -> list[Stored]:
    """Runs of two workflows and two users in every state, some in chains; oldest first."""
    chance = random.Random(7)
    workflows, users = [story.ids.new() for _ in range(2)], [story.ids.new() for _ in range(2)]
    stored: list[Stored] = []
    for _ in range(RUNS):
        clock.advance(chance.choice((0, 0.001, 0.5)))
        first = chance.choice(stored) if stored and chance.random() < 0.4 else None
        workflow, user = chance.choice(workflows), chance.choice([*users, None])
        run = await story.born(workflow=workflow, end_user=user, chain=first.chain if first else None)
        state, began = chance.choice(list(RunState)), NOW + chance.randrange(50)
        ended = NOW + 100 + chance.randrange(50) if state in FINAL else None
        if state is not RunState.PENDING:
            await story.write(run, state=state, started_at=began, ended_at=ended)
        started = None if state is RunState.PENDING else began
        stored.append(Stored(run, workflow, state, user, first.chain if first else run, started, ended or started))
    return stored


def expected(stored: list[Stored], wanted: RunListing) -> tuple[list[str], int]:
    """The rule of a listing, said slowly."""
    passing = [
        run
        for run in stored
        if (wanted.workflows is None or run.workflow in wanted.workflows)
        and (not wanted.states or run.state in wanted.states)
        and (wanted.end_user in (None, run.user) or (wanted.unowned and run.user is None))
        and wanted.chain in (None, run.chain)
    ]
    total = len(passing)
    passing.sort(key=lambda run: run.id, reverse=not wanted.ascending)
    if wanted.order != "created":
        times = {run.id: run.started_at if wanted.order == "started" else run.updated_at for run in passing}
        passing.sort(key=lambda run: (times[run.id] or 0) * (1 if wanted.ascending else -1))
        passing.sort(key=lambda run: times[run.id] is None)
    if wanted.before is not None:
        passing = [run for run in passing if run.id < wanted.before]
    return [run.id for run in passing[wanted.offset : wanted.offset + wanted.limit]], total


async def test_every_listing_of_runs_gives_what_a_slow_search_finds(
    story: Story, theirs: Story, clock: FakeClock
) -> None:
    stored = await fill(story, clock)
    await theirs.start()
    listings = st.builds(
        RunListing,
        workspace=st.just(story.workspace),
        workflows=st.none()
        | st.lists(st.sampled_from(sorted({run.workflow for run in stored})), unique=True).map(tuple),
        states=st.lists(st.sampled_from(RunState), unique=True, max_size=3).map(tuple),
        end_user=st.none() | st.sampled_from(sorted({run.user for run in stored if run.user})),
        unowned=st.booleans(),
        chain=st.none() | st.sampled_from([run.chain for run in stored]),
        before=st.none() | st.sampled_from([run.id for run in stored]),
        order=st.sampled_from(["created", "started", "updated"]),
        ascending=st.booleans(),
        offset=st.integers(0, 30),
        limit=st.integers(1, 40),
    )
    wanted: list[RunListing] = []

    @settings(max_examples=150, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(listings)
    def draw(each: RunListing) -> None:
        wanted.append(each)

    draw()

    for each in wanted:
        found, total = await story.store.lists.runs(each)
        assert ([run.id for run in found], total) == expected(stored, each), each


async def test_the_runs_of_a_workflow_are_counted_by_how_they_ended(story: Story, theirs: Story) -> None:
    for state in (RunState.COMPLETED, RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED, RunState.TIMED_OUT):
        run = await story.born()
        await story.write(run, state=state, ended_at=NOW)
    newest = await story.start()
    await theirs.start(workflow=story.workflow)

    counts = await story.store.lists.counts(story.workspace, story.workflow)

    assert counts == RunCounts(all=6, completed=2, failed=3, open=1, newest=newest)
    assert await story.store.lists.counts(story.workspace, story.ids.new()) == RunCounts()


@pytest.fixture
async def workflows(store: Store, workspace: str, foreign: str, ids: TimeOrderedIds) -> list[Workflow]:
    """Workflows of several names and states, in the order in which they were made."""
    rows = []
    for place, (name, status) in enumerate(
        (("Beta", "active"), ("alpha", "draft"), ("Gamma", "paused"), ("x", "archived"))
    ):
        row = Workflow(
            workspace=workspace,
            id=ids.new(),
            slug=None,
            name=name,
            status=WorkflowStatus(status),
            version=1,
            activated=False,
            updated_at=NOW - place,
        )
        await store.workflows.create(row, b"{}", "key")
        rows.append(row)
    await store.workflows.create(msgspec.structs.replace(rows[0], workspace=foreign, id=ids.new()), b"{}", "key")
    return rows


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, ["Gamma", "alpha", "Beta"]),
        ({"ascending": True}, ["Beta", "alpha", "Gamma"]),
        ({"order": "name", "ascending": True}, ["alpha", "Beta", "Gamma"]),
        ({"order": "name"}, ["Gamma", "Beta", "alpha"]),
        ({"order": "updated"}, ["Beta", "alpha", "Gamma"]),
        ({"order": "updated", "ascending": True}, ["Gamma", "alpha", "Beta"]),
        ({"limit": 1, "offset": 1}, ["alpha"]),
    ],
)
async def test_workflows_are_listed_in_the_order_that_is_asked_for(
    store: Store, workspace: str, workflows: list[Workflow], fields: dict[str, object], names: list[str]
) -> None:
    statuses = (WorkflowStatus.DRAFT, WorkflowStatus.ACTIVE, WorkflowStatus.PAUSED)

    found, total = await store.lists.workflows(WorkflowListing(workspace=workspace, statuses=statuses, **fields))  # type: ignore[arg-type]

    assert ([row.name for row in found], total) == (names, 3)


async def test_a_list_of_workflows_is_filtered_and_goes_on_after_an_id(
    store: Store, workspace: str, workflows: list[Workflow]
) -> None:
    active = (WorkflowStatus.ACTIVE,)
    all = tuple(WorkflowStatus)

    by_status, by_name, after = [
        await store.lists.workflows(wanted)
        for wanted in (
            WorkflowListing(workspace=workspace, statuses=active),
            WorkflowListing(workspace=workspace, statuses=all, search="MM"),
            WorkflowListing(workspace=workspace, statuses=all, before=workflows[1].id),
        )
    ]

    assert ([row.name for row in by_status[0]], by_status[1]) == (["Beta"], 1)
    assert ([row.name for row in by_name[0]], by_name[1]) == (["Gamma"], 1)
    assert ([row.name for row in after[0]], after[1]) == (["Beta"], 4)
