"""The log of triggers: firings, and deliveries of which there are none."""

import msgspec

from stepwell.ids import TimeOrderedIds
from stepwell.store import Delivery, Firing, Invocation, InvocationFilter, Store, Trigger

NOW = 1_700_000_000_000


def a_trigger(workspace: str, ids: TimeOrderedIds, slug: str, **fields: str) -> Trigger:
    kind = "schedule" if slug == "schedule" else "webhook"
    return Trigger(
        workspace=workspace,
        id=ids.new(),
        kind=kind,
        slug=slug,
        workflow=ids.new(),
        config=b"{}",
        instance=True,
        updated_at=NOW,
        **fields,  # type: ignore[arg-type]
    )


def a_firing(trigger: Trigger, ids: TimeOrderedIds, source: str, status: str = "skipped", **fields: str) -> Firing:
    return Firing(
        workspace=trigger.workspace,
        id=ids.new(),
        trigger=trigger.id,
        slug=trigger.slug,
        workflow=trigger.workflow,
        key=fields.pop("key", ids.new()),
        source=source,
        status=status,
        reason="why",
        end_user=trigger.end_user,
        **fields,  # type: ignore[arg-type]
    )


def a_delivery(trigger: Trigger, ids: TimeOrderedIds, status: str) -> Delivery:
    return Delivery(
        workspace=trigger.workspace,
        id=ids.new(),
        status=status,
        provider="custom",
        method="POST",
        path=f"/webhooks/t/{trigger.id}",
        query="",
        headers=b"[]",
        reason="it proves nothing",
        trigger=trigger.id,
    )


async def listed(store: Store, workspace: str, **fields: object) -> list[Invocation]:
    """All that pass a filter; they must be as many as are counted."""
    wanted = msgspec.convert({"workspace": workspace, **fields}, InvocationFilter)
    rows, total = await store.invocations.page(wanted)
    assert total == len(rows)
    return rows


async def test_firings_and_deliveries_in_vain_are_one_list_newest_first(store: Store, ids: TimeOrderedIds) -> None:
    workspace, user = ids.new(), ids.new()
    hook, _ = await store.triggers.upsert(a_trigger(workspace, ids, "webhook", end_user=user))
    event, _ = await store.triggers.upsert(a_trigger(workspace, ids, "github.push"))
    rejected, ignored, met = (a_delivery(hook, ids, status) for status in ("rejected", "ignored", "ignored"))
    firings = (
        a_firing(hook, ids, "webhook", "failed", delivery=met.id, key=f"{met.id}:2"),
        a_firing(event, ids, "webhook"),
        a_firing(event, ids, "poll"),
    )
    await store.triggers.record(firings)
    for delivery in (rejected, ignored, met):
        await store.deliveries.receive(delivery, f"t:{hook.id}", (), since=0)

    rows = await listed(store, workspace)

    assert [row.id for row in rows] == sorted([rejected.id, ignored.id, *(each.id for each in firings)], reverse=True)
    by_id = {row.id: row for row in rows}
    assert (by_id[rejected.id].status, by_id[ignored.id].status) == ("failed", "skipped")
    assert (by_id[rejected.id].reason, by_id[rejected.id].slug) == ("it proves nothing", "webhook")
    assert (by_id[rejected.id].workflow, by_id[rejected.id].end_user) == (hook.workflow, user)
    assert (by_id[firings[0].id].place, by_id[rejected.id].place) == (2, None)

    async def passing(**fields: object) -> set[str]:
        return {row.id for row in await listed(store, workspace, **fields)}

    assert await passing(triggers=[event.id]) == {firings[1].id, firings[2].id}
    assert await passing(sources=["poll"]) == {firings[2].id}
    assert await passing(provided=True, sources=["webhook"]) == {firings[1].id}
    assert await passing(provided=False) == await passing(slugs=["webhook"]) == {rejected.id, ignored.id, firings[0].id}
    assert await passing(statuses=["failed"]) == {rejected.id, firings[0].id}
    assert await passing(end_user=user) == {rejected.id, ignored.id, firings[0].id}
    assert await passing(end_user=workspace) == {firings[1].id, firings[2].id}  # what is nobody's
    assert await listed(store, ids.new()) == []


async def test_pages_follow_offset_and_bound(store: Store, ids: TimeOrderedIds) -> None:
    workspace = ids.new()
    trigger, _ = await store.triggers.upsert(a_trigger(workspace, ids, "schedule"))
    firings = tuple(a_firing(trigger, ids, "schedule") for _ in range(5))
    await store.triggers.record(firings)
    newest = [each.id for each in reversed(firings)]

    by_offset, total = await store.invocations.page(InvocationFilter(workspace=workspace, offset=2, limit=2))
    by_bound, of_all = await store.invocations.page(InvocationFilter(workspace=workspace, before=newest[1], limit=2))

    assert [row.id for row in by_offset] == [row.id for row in by_bound] == newest[2:4]
    assert (total, of_all) == (5, 5)
