"""Polls: deaths between their commits, overload, and sources that misbehave."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deaths import Dying, live
from kit import World, transform, wait
from stepwell import values
from stepwell.auth import Vault
from stepwell.connectors import (
    ConnectorActions,
    Connectors,
    EventSources,
    Found,
    GuardedHttp,
    Item,
    Look,
    SmtpMail,
    load_manifests,
)
from stepwell.core import Connections, EventConnections, Firings, Plans, Polls, Triggers, Workflows, polls
from stepwell.core.runs import Runs
from stepwell.definitions import Plan
from stepwell.engine import Limits
from stepwell.events import Events
from stepwell.store import RunFilter, Trigger
from stepwell.values import Json

CONNECTORS = Connectors(load_manifests())
TRUST = ssl.create_default_context()  # reading the machine's certificates takes a while


class Shelf:
    """A source whose items are put there by tests, the oldest first."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.fault: Exception | None = None
        self.hangs = False

    async def look(self, look: Look) -> Found:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault
        return Found(tuple(Item(name, {"name": name}) for name in self.names), {"looked": True})

    async def settled(self, look: Look, found: Found) -> None:
        pass


class Newsroom(World):
    """A world with one workflow on new items of a shelf."""

    shelf: Shelf

    async def open(self) -> None:
        await self.boot()
        self.wire()

    def wire(self) -> None:
        """What a process has besides its engine."""
        self.told: list[str] = []
        events = Events((lambda name, fields: self.told.append(name),))
        vault = Vault(bytes(32))
        compiled = self.compiled = Plans(self.store.workflows, self.step_types, CONNECTORS, events=CONNECTORS)
        self.triggers = Triggers(self.store, compiled, vault, self.clock, self.ids)
        self.workflows = Workflows(self.store, compiled, self.triggers, self.clock, self.ids)
        runs = Runs(self.store, self.engine, compiled, self.ids, self.clock, 1 << 20)
        connections = Connections(self.store, vault, CONNECTORS, self.clock, self.ids)
        http, mail = GuardedHttp(allow_private=False), SmtpMail(self.clock, allow_private=False, tls_context=TRUST)
        actions = ConnectorActions(CONNECTORS, http, mail, connections.open, self.store.connections, self.clock)
        sources = EventSources(CONNECTORS, actions, {"feed": self.shelf})
        accounts = EventConnections(self.store, connections, CONNECTORS)
        firings = Firings(self.store, runs, self.ids, self.clock)
        self.polls = Polls(self.store, sources, CONNECTORS, accounts, firings, self.clock, events)

    async def plan(self, workspace: str, workflow: str, version: int) -> Plan:
        return await self.compiled.get(workspace, workflow, version)

    async def watching(self, step: Json | None = None) -> str:
        trigger = {"type": "event", "event": "rss.new_item", "params": {"url": "https://example.com/feed"}}
        document = {"name": "News", "trigger": trigger, "steps": [step or transform("a", x="{{input.name}}")]}
        id = (await self.workflows.create(self.workspace, document, "test")).workflow.id
        await self.workflows.activate(self.workspace, id)
        return id

    async def poll(self, id: str) -> Trigger:
        await self.polls.poll(await self.trigger(id))
        await self.settle()
        return await self.trigger(id)

    async def trigger(self, id: str) -> Trigger:
        found = await self.store.triggers.get(self.workspace, id)
        assert found is not None
        return found

    async def started(self, id: str) -> list[str]:
        """The items that started runs, in order."""
        wanted = RunFilter(workspace=self.workspace, workflow=id, limit=100)
        runs = (await self.store.runs.page(wanted))[::-1]
        return [values.decode((await self.load(run.id)).run.input)["name"] for run in runs]


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Newsroom]:
    room = Newsroom(tmp_path / "stepwell.db")
    room.shelf = Shelf()
    await room.open()
    yield room
    room.kill()


@pytest.mark.parametrize("phase", ["before", "after"])
async def test_a_death_at_any_commit_of_a_poll_loses_no_item_and_doubles_none(tmp_path: Path, phase: str) -> None:
    for at in range(1, 30):
        room = Newsroom(tmp_path / f"{phase}-{at}.db")
        room.shelf = Shelf()
        await room.open()
        id = await room.watching()
        await room.poll(id)
        await room.store.close()
        room.shelf.names = ["a", "b", "c"]

        async def story(room: Newsroom = room, id: str = id) -> None:
            room.wire()
            await room.poll(id)

        died = await live(room, Dying(at, phase), story)
        await room.open()
        await room.poll(id)

        assert await room.started(id) == ["a", "b", "c"], at
        room.kill()
        if not died:
            break
    assert at > 3
    assert not died


async def test_an_overloaded_server_takes_the_items_that_it_can_and_the_rest_later(tmp_path: Path) -> None:
    room = Newsroom(tmp_path / "stepwell.db")
    room.limits = Limits(max_open_runs=2)
    room.shelf = Shelf()
    await room.open()
    id = await room.watching(wait("long", 60_000))
    await room.poll(id)
    room.shelf.names = ["a", "b", "c"]

    await room.poll(id)
    first = await room.started(id)
    now, busy = room.clock.now_ms(), await room.poll(id)
    await room.settle_through(61)
    await room.poll(id)

    assert first == ["a", "b"]
    assert busy.next_at == now + 5000
    assert busy.reason is None
    assert await room.started(id) == ["a", "b", "c"]
    room.kill()


async def test_a_source_that_does_not_answer_is_given_up(room: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polls, "LONGEST_POLL_S", 0.01)
    id = await room.watching()
    room.shelf.hangs = True

    failed = await room.poll(id)

    assert failed.reason == "poll_failed: The provider takes too long to answer"


async def test_a_fault_of_ours_is_told_of_and_holds_nobody_up(room: Newsroom) -> None:
    id = await room.watching()
    room.shelf.fault = RuntimeError("a secret of the server")

    failed = await room.poll(id)

    assert failed.reason == "poll_failed: The server could not read what is there"
    assert "poll.fault" in room.told


async def test_failures_double_the_time_to_the_next_poll_up_to_an_hour(room: Newsroom) -> None:
    id = await room.watching()
    room.shelf.fault = RuntimeError("down")

    minutes = []
    for _ in range(6):
        failed = await room.poll(id)
        assert failed.next_at is not None
        minutes.append((failed.next_at - room.clock.now_ms()) // 60_000)

    assert minutes == [10, 20, 40, 60, 60, 60]


async def test_an_event_that_no_connector_offers_any_more_is_an_error(room: Newsroom) -> None:
    id = await room.watching()
    CONNECTORS._loaded["rss"], kept = CONNECTORS._loaded["smtp"], CONNECTORS._loaded["rss"]
    try:
        ended = await room.poll(id)
    finally:
        CONNECTORS._loaded["rss"] = kept

    assert (ended.status, ended.reason) == ("error", "invalid_config: no connector offers rss.new_item any more")


async def test_a_change_while_a_poll_is_made_is_not_written_over(room: Newsroom) -> None:
    id = await room.watching()
    await room.poll(id)
    before = await room.trigger(id)
    room.shelf.names = ["a"]
    await room.workflows.pause(room.workspace, id)

    await room.polls.poll(before)

    after = await room.trigger(id)
    assert (after.next_at, after.cursor) == (None, before.cursor)
    assert await room.started(id) == []
