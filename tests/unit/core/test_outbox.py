"""The outbox: errands run at their time, under one operation id, sealed until then; failures are tried again."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stepwell.auth import Vault
from stepwell.clock import FakeClock
from stepwell.core import Outbox
from stepwell.errors import StepError
from stepwell.events import Events
from stepwell.ids import TimeOrderedIds
from stepwell.steps import Call, ChosenConnection
from stepwell.store.sqlite import SqliteStore
from stepwell.values import Json


@dataclass
class Provider:
    """The port of actions: fails as often as it is told, and keeps what was asked."""

    failures: list[StepError] = field(default_factory=list)
    asked: list[tuple[str, Json, str, int]] = field(default_factory=list)

    async def perform(self, action: str, params: Json, call: Call) -> Json:
        self.asked.append((action, params, call.operation_id, call.attempt))
        if self.failures:
            raise self.failures.pop(0)
        return {}


@dataclass
class Desk:
    """An outbox over a store, its provider, clock and what it told."""

    path: Path
    clock: FakeClock = field(default_factory=FakeClock)
    provider: Provider = field(default_factory=Provider)
    told: list[tuple[str, Any]] = field(default_factory=list)

    def open(self) -> None:
        self.store = SqliteStore(self.path)
        events = Events([lambda name, fields: self.told.append((name, fields.get("operation")))])
        self.outbox = Outbox(self.store, Vault(b"k" * 32), self.provider, self.clock, events)

    async def put(self, in_s: float) -> None:
        workspace = TimeOrderedIds(self.clock).new()
        connection = ChosenConnection("conn", "smtp")
        call = Call(workspace, "wf", "run", "mail", 1, "run_1:mail", 0, 30.0, connection, lambda value: value)
        due = self.clock.now_ms() + round(in_s * 1000)
        await self.outbox.put("smtp.sendEmail", {"subject": "Hello", "text": "hush-hush"}, call, due)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path / "stepwell.db")
    desk.open()
    yield desk
    await desk.store.close()


async def test_an_errand_runs_at_its_time_and_once(desk: Desk) -> None:
    await desk.put(60)
    assert await desk.outbox.run_due() == 0
    desk.clock.advance(60)
    assert [await desk.outbox.run_due(), await desk.outbox.run_due()] == [1, 0]
    assert desk.provider.asked == [("smtp.sendEmail", {"subject": "Hello", "text": "hush-hush"}, "run_1:mail", 1)]
    assert desk.told == [("outbox.done", "run_1:mail")]


async def test_an_errand_survives_the_process(desk: Desk) -> None:
    await desk.put(60)
    await desk.store.close()
    desk.open()
    desk.clock.advance(60)
    assert await desk.outbox.run_due() == 1


async def test_what_an_errand_says_is_sealed_in_the_file(desk: Desk) -> None:
    await desk.put(60)
    files = [desk.path.read_bytes(), desk.path.with_name("stepwell.db-wal").read_bytes()]
    assert not any(b"hush-hush" in content for content in files)


async def test_a_failure_that_may_pass_is_tried_again_later_under_the_same_operation(desk: Desk) -> None:
    desk.provider.failures = [StepError("busy", retryable=True)]
    await desk.put(0)
    await desk.outbox.run_due()
    assert await desk.outbox.next() == desk.clock.now_ms() + 60_000
    desk.clock.advance(60)
    await desk.outbox.run_due()
    assert [(operation, attempt) for _, _, operation, attempt in desk.provider.asked] == [
        ("run_1:mail", 1),
        ("run_1:mail", 2),
    ]
    assert desk.told == [("outbox.done", "run_1:mail")]


async def test_a_failure_for_good_is_told_and_the_errand_given_up(desk: Desk) -> None:
    desk.provider.failures = [StepError("no such mailbox", retryable=False)]
    await desk.put(0)
    await desk.outbox.run_due()
    assert (desk.told, await desk.outbox.next()) == ([("outbox.given_up", "run_1:mail")], None)


async def test_after_ten_failures_the_errand_is_given_up(desk: Desk) -> None:
    desk.provider.failures = [StepError("busy", retryable=True) for _ in range(20)]
    await desk.put(0)
    while (due := await desk.outbox.next()) is not None:
        desk.clock.advance(max(0, due - desk.clock.now_ms()) / 1000)
        await desk.outbox.run_due()
    assert len(desk.provider.asked) == 10
    assert desk.told == [("outbox.given_up", "run_1:mail")]
