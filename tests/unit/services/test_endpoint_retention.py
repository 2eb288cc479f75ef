"""Retention of messages to endpoints: 30 days after the event, unless they are still to be sent."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit import World
from stepwell.events import Events
from stepwell.services import Retention
from stepwell.settings import Retention as Settings
from stepwell.store import EndpointMessage, MessageStatus, Workspace

DAY_S = 86_400


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path / "stepwell.db")
    await world.boot()
    await world.store.keys.create_workspace(Workspace(world.workspace, "Default"))
    yield world
    await world.store.close()


async def test_messages_are_removed_after_30_days_unless_they_are_to_be_sent(world: World) -> None:
    endpoint = world.ids.new()

    async def put(status: MessageStatus) -> str:
        due = world.clock.now_ms() if status is MessageStatus.PENDING else None
        message = EndpointMessage(
            workspace=world.workspace,
            id=world.ids.new(),
            endpoint=endpoint,
            type="run.failed",
            at=world.clock.now_ms(),
            status=status,
            due=due,
        )
        await world.store.endpoints.put(message)
        return message.id

    pending = await put(MessageStatus.PENDING)
    for _ in range(250):  # more than a batch
        await put(MessageStatus.DELIVERED)
    await put(MessageStatus.FAILED)
    world.clock.advance(DAY_S)
    young = await put(MessageStatus.DELIVERED)
    world.clock.advance(29.5 * DAY_S)

    await Retention(world.store, world.engine, world.clock, Events(), Settings()).clean_up()

    left = await world.store.endpoints.messages(world.workspace, endpoint, status=None, before=None, limit=300)
    assert [message.id for message in left] == [young, pending]
