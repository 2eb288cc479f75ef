"""Inbound deliveries in every store: kept as they came, each event one delivery's, pending until their runs start."""

import pytest

from conformance.runs import Story
from stepwell.clock import FakeClock
from stepwell.ids import TimeOrderedIds, created_ms, lowest_at
from stepwell.store import Delivery, DeliveryFilter, Firing, FiringFilter, Store

ROUTE = "custom:orders"
DAY_MS = 86_400_000


class Inbox:
    """What arrives in one workspace."""

    def __init__(self, store: Store, ids: TimeOrderedIds, workspace: str) -> None:
        self.store, self.ids, self.workspace = store, ids, workspace

    def row(self, **fields: object) -> Delivery:
        given = {"status": "processed", "provider": "custom", "pending": True, **fields}
        return Delivery(
            workspace=self.workspace,
            id=self.ids.new(),
            method="POST",
            path="/webhooks/custom/ws/orders",
            query="a=1",
            headers=b'[["x-a","1"]]',
            body=b'{"n":1}',
            **given,  # type: ignore[arg-type]
        )

    async def take(self, *keys: str, route: str = ROUTE, since: int = 0, **fields: object) -> tuple[str, str | None]:
        """Receive a delivery that brings these events: its id, and the first one's if it is a duplicate."""
        row = self.row(**fields)
        return row.id, await self.store.deliveries.receive(row, route, keys, since=since)

    async def get(self, delivery: str) -> Delivery:
        found = await self.store.deliveries.get(self.workspace, delivery)
        assert found is not None
        return found

    async def listed(self, **fields: object) -> list[str]:
        wanted = DeliveryFilter(workspace=self.workspace, **fields)  # type: ignore[arg-type]
        return [row.id for row in await self.store.deliveries.page(wanted)]

    async def fired(self, delivery: str, status: str = "started", workflow: str | None = None) -> None:
        """Record that something came of a delivery."""
        firing = Firing(
            workspace=self.workspace,
            id=self.ids.new(),
            trigger=self.ids.new(),
            slug="webhook",
            workflow=workflow or self.ids.new(),
            key=self.ids.new(),
            source="webhook",
            status=status,
            delivery=delivery,
        )
        await self.store.triggers.record((firing,))


@pytest.fixture
def inbox(store: Store, ids: TimeOrderedIds, workspace: str) -> Inbox:
    return Inbox(store, ids, workspace)


@pytest.fixture
def other(store: Store, ids: TimeOrderedIds, foreign: str) -> Inbox:
    return Inbox(store, ids, foreign)


async def test_a_delivery_is_kept_as_it_came(inbox: Inbox) -> None:
    row = inbox.row(event_type="order.paid", trigger=inbox.ids.new(), reason="because")

    await inbox.store.deliveries.receive(row, ROUTE, ("e-1",), since=0)

    assert await inbox.get(row.id) == row


async def test_the_first_delivery_of_an_event_is_no_duplicate(inbox: Inbox) -> None:
    assert (await inbox.take("e-1"))[1] is None


async def test_an_event_that_comes_again_is_kept_as_a_duplicate_of_the_first(inbox: Inbox) -> None:
    first, _ = await inbox.take("e-1")

    again, known = await inbox.take("e-1")

    found = await inbox.get(again)
    assert known == first
    assert (found.status, found.duplicate_of, found.pending) == ("duplicate", first, False)


async def test_events_are_told_apart_by_route_and_workspace(inbox: Inbox, other: Inbox) -> None:
    await inbox.take("e-1")

    assert (await inbox.take("e-1", route="custom:else"))[1] is None
    assert (await other.take("e-1"))[1] is None


async def test_an_event_may_come_again_after_its_time(inbox: Inbox, clock: FakeClock) -> None:
    first, _ = await inbox.take("e-1")
    clock.advance(8 * 86_400)

    later, known = await inbox.take("e-1", since=clock.now_ms() - 7 * DAY_MS)

    assert known is None
    assert (await inbox.take("e-1", since=clock.now_ms() - 7 * DAY_MS))[1] == later != first


async def test_a_delivery_with_one_new_event_is_no_duplicate_and_owns_only_that(inbox: Inbox) -> None:
    await inbox.take("e-1")

    second, known = await inbox.take("e-1", "e-2")

    assert known is None
    assert await inbox.store.deliveries.keys_of(inbox.workspace, ROUTE, second) == ("e-2",)


async def test_a_delivery_without_events_is_kept(inbox: Inbox) -> None:
    row, known = await inbox.take()

    assert (known, (await inbox.get(row)).status) == (None, "processed")


async def test_a_delivery_is_closed_once_all_its_runs_are_started(inbox: Inbox) -> None:
    row, _ = await inbox.take("e-1")
    await inbox.fired(row)

    assert not await inbox.store.deliveries.close(inbox.workspace, row, 2)
    assert (await inbox.get(row)).pending
    await inbox.fired(row)
    assert await inbox.store.deliveries.close(inbox.workspace, row, 2)
    assert not (await inbox.get(row)).pending


async def test_what_was_skipped_does_not_close_a_delivery(inbox: Inbox) -> None:
    row, _ = await inbox.take("e-1")
    await inbox.fired(row, "skipped")
    await inbox.fired(row, "failed")

    assert not await inbox.store.deliveries.close(inbox.workspace, row, 1)


async def test_a_duplicate_is_not_closed(inbox: Inbox) -> None:
    await inbox.take("e-1")
    again, _ = await inbox.take("e-1")

    assert not await inbox.store.deliveries.close(inbox.workspace, again, 0)
    assert (await inbox.get(again)).status == "duplicate"


async def test_settling_notes_what_came_of_a_delivery(inbox: Inbox) -> None:
    row, _ = await inbox.take("e-1")

    await inbox.store.deliveries.settle(inbox.workspace, row, "ignored", "because")

    found = await inbox.get(row)
    assert (found.status, found.reason, found.pending) == ("ignored", "because", False)


async def test_the_pending_of_all_workspaces_are_found_oldest_first(inbox: Inbox, other: Inbox) -> None:
    first, _ = await inbox.take("e-1")
    second, _ = await other.take("e-1")
    await inbox.take("e-2", pending=False)
    bound = inbox.ids.new()
    await inbox.take("e-3")

    found = await inbox.store.deliveries.pending(bound, 10)

    assert [(row.workspace, row.id) for row in found] == [(inbox.workspace, first), (other.workspace, second)]
    assert found[0].body == b'{"n":1}'
    assert len(await inbox.store.deliveries.pending(bound, 1)) == 1


async def test_a_list_is_filtered_and_newest_first_and_carries_no_bodies(inbox: Inbox) -> None:
    workflow = inbox.ids.new()
    custom, _ = await inbox.take("e-1")
    acme, _ = await inbox.take("e-2", provider="acme", status="ignored")
    await inbox.fired(custom, workflow=workflow)

    assert await inbox.listed() == [acme, custom]
    assert await inbox.listed(provider="acme") == [acme]
    assert await inbox.listed(status="processed") == [custom]
    assert await inbox.listed(workflow=workflow) == [custom]
    assert await inbox.listed(before=acme) == [custom]
    assert await inbox.listed(limit=1) == [acme]
    (row, _) = await inbox.store.deliveries.page(DeliveryFilter(workspace=inbox.workspace))
    assert row.body == b""


async def test_old_deliveries_are_removed_unless_something_is_pending(inbox: Inbox, clock: FakeClock) -> None:
    pending, _ = await inbox.take("e-1")
    for n in range(3):
        await inbox.take(f"old-{n}", pending=False)
    clock.advance(60)
    bound = lowest_at(clock.now_ms())
    young, _ = await inbox.take("e-2", pending=False)

    counts = [await inbox.store.deliveries.prune(bound, 2) for _ in range(3)]

    assert counts == [2, 1, 0]
    assert await inbox.listed() == [young, pending]


async def test_the_newest_rejected_and_duplicates_are_kept(inbox: Inbox, other: Inbox) -> None:
    rejected = [(await inbox.take(status="rejected", pending=False))[0] for _ in range(4)]
    first, _ = await inbox.take("e-1")
    duplicates = [(await inbox.take("e-1"))[0] for _ in range(3)]
    theirs, _ = await other.take(status="rejected", pending=False)

    removed = await inbox.store.deliveries.prune_rejected(inbox.workspace, 2, 100)

    assert removed == 3
    assert await inbox.listed() == [*duplicates[:0:-1], first, *rejected[:1:-1]]
    assert await other.listed() == [theirs]


async def test_the_removal_goes_on_in_small_batches(inbox: Inbox) -> None:
    rejected = [(await inbox.take(status="rejected", pending=False))[0] for _ in range(5)]

    while await inbox.store.deliveries.prune_rejected(inbox.workspace, 2, 1):
        pass

    assert await inbox.listed() == rejected[:2:-1]


async def test_events_are_forgotten_after_a_time(inbox: Inbox, clock: FakeClock) -> None:
    await inbox.take("e-1")
    clock.advance(60)
    young, _ = await inbox.take("e-2")

    assert await inbox.store.deliveries.forget_keys(created_ms(young), 10) == 1
    assert (await inbox.take("e-1"))[1] is None
    assert (await inbox.take("e-2"))[1] == young


async def test_a_foreign_workspace_reaches_nothing(inbox: Inbox, other: Inbox) -> None:
    row, _ = await inbox.take("e-1")
    await inbox.fired(row)
    deliveries, theirs = inbox.store.deliveries, other.workspace

    assert await deliveries.get(theirs, row) is None
    assert await other.listed() == []
    assert await deliveries.keys_of(theirs, ROUTE, row) == ()
    assert not await deliveries.close(theirs, row, 0)
    await deliveries.settle(theirs, row, "ignored", "theirs")
    assert await deliveries.prune_rejected(theirs, 0, 10) == 0
    assert (await inbox.get(row)).status == "processed"


# -- runs that deliveries start


def _firing(story: Story, ids: TimeOrderedIds, workflow: str, delivery: str, key: str = "k") -> Firing:
    return Firing(
        workspace=story.workspace,
        id=ids.new(),
        trigger=workflow,
        slug="webhook",
        workflow=workflow,
        key=key,
        source="webhook",
        run=ids.new(),
        delivery=delivery,
    )


async def test_a_start_is_refused_if_its_event_is_another_deliverys(
    inbox: Inbox, story: Story, ids: TimeOrderedIds
) -> None:
    first, _ = await inbox.take("e-1")
    second, _ = await inbox.take("e-1")
    workflow = ids.new()

    mine = _firing(story, ids, workflow, first)
    late = _firing(story, ids, workflow, second, "other")
    wanted = [
        story.new(workflow=workflow, firing=firing, arrival=(ROUTE, "e-1"), id=firing.run) for firing in (mine, late)
    ]
    started, refused = [await story.store.runs.start(new) for new in wanted]

    assert (started.run, started.replayed) == (mine.run, False)
    assert (refused.run, refused.replayed) == ("", True)
    firings, total = await story.store.triggers.firings(FiringFilter(workspace=inbox.workspace))
    assert (total, firings[0].delivery) == (1, first)


async def test_a_firings_key_starts_one_run(inbox: Inbox, story: Story, ids: TimeOrderedIds) -> None:
    row, _ = await inbox.take("e-1")
    workflow = ids.new()
    first, again = (_firing(story, ids, workflow, row) for _ in range(2))

    await story.store.runs.start(story.new(workflow=workflow, firing=first, id=first.run))
    replayed = await story.store.runs.start(story.new(workflow=workflow, firing=again, id=again.run))

    assert (replayed.run, replayed.replayed) == (first.run, True)
    assert await inbox.store.deliveries.close(inbox.workspace, row, 1)
