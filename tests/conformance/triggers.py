"""What tests of triggers share: a trigger that is due, and what comes of it."""

from typing import Any

import msgspec

from conformance.runs import NOW, Story
from stepwell.ids import TimeOrderedIds
from stepwell.store import Firing, Store, Trigger


def a_trigger(workspace: str, ids: TimeOrderedIds, **fields: Any) -> Trigger:
    """An instance that is due."""
    trigger = Trigger(
        workspace=workspace,
        id=ids.new(),
        kind="schedule",
        slug="schedule",
        workflow=ids.new(),
        config=b'{"type":"schedule","cron":"* * * * *"}',
        instance=True,
        scheduled_at=NOW,
        next_at=NOW + 5,
        updated_at=NOW,
    )
    return msgspec.structs.replace(trigger, **fields)


async def put(store: Store, trigger: Trigger) -> Trigger:
    stored, new = await store.triggers.upsert(trigger)
    assert new
    return stored


async def got(store: Store, trigger: Trigger) -> Trigger:
    found = await store.triggers.get(trigger.workspace, trigger.id)
    assert found is not None
    return found


def a_firing(trigger: Trigger, ids: TimeOrderedIds, key: str = "1", **fields: Any) -> Firing:
    firing = Firing(
        workspace=trigger.workspace,
        id=ids.new(),
        trigger=trigger.id,
        slug=trigger.slug,
        workflow=trigger.workflow,
        key=key,
        source="schedule",
        status="skipped",
        reason="overlap",
        scheduled_at=NOW,
    )
    return msgspec.structs.replace(firing, **fields)


async def fire(story: Story, trigger: Trigger, key: str = "1", **fields: Any) -> tuple[str, bool]:
    """Start a run by a trigger; the run, and whether the key had been fired."""
    run = story.ids.new()
    firing = a_firing(trigger, story.ids, key, status="started", reason=None, run=run)
    new = story.new(id=run, workflow=trigger.workflow, firing=firing, **fields)
    started = await story.runs.start(new)
    return started.run, started.replayed
