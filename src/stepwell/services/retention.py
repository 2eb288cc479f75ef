"""Retention: removes ended runs by age and count, and idempotency keys that have run out, in small batches."""

import asyncio

from stepwell.clock import Clock
from stepwell.engine import Engine
from stepwell.errors import StoreUnavailable
from stepwell.events import Events
from stepwell.ids import lowest_at
from stepwell.settings import Retention as Settings
from stepwell.settings import Webhooks
from stepwell.store import Store

BATCH = 200
MESSAGE_DAYS = 30  # that messages to endpoints are kept once they were delivered or given up
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


class Retention:
    """Cleans up every so often, but sleeps while no run is started and nothing can grow old."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        clock: Clock,
        events: Events,
        settings: Settings,
        webhooks: Webhooks = Webhooks(),  # noqa: B008 - frozen
    ) -> None:
        self._store = store
        self._engine = engine
        self._clock = clock
        self._events = events
        self._settings = settings
        self._webhooks = webhooks

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until told to stop."""
        while not stop.is_set():
            if self._settings.age_days is None:
                await self._wait_for_runs(stop)
            if await self._clock.wait(stop, self._settings.interval_s):
                return
            try:
                await self.clean_up()
            except StoreUnavailable:
                continue

    async def clean_up(self) -> int:
        """Remove everything that is to be removed now, a batch at a time; how many runs were removed."""
        now = self._clock.now_ms()
        while await self._store.runs.forget_idempotency_keys(now, BATCH) == BATCH:
            pass
        await self._clean_inbox(now)
        removed = 0
        for workspace in await self._store.keys.workspaces():
            if bound := await self._bound(workspace.id, now):
                while count := await self._store.runs.prune(workspace.id, bound, BATCH):
                    removed += count
            old = lowest_at(now - MESSAGE_DAYS * DAY_MS)
            while await self._store.endpoints.prune_messages(workspace.id, old, BATCH) == BATCH:
                pass
        if removed:
            await self._store.runs.vacuum()
            self._events.emit("retention.pruned", count=removed)
        return removed

    async def _clean_inbox(self, now: int) -> None:
        """Remove old deliveries, what came of triggers long ago, and events that may come again by now."""
        deliveries, old = self._store.deliveries, lowest_at(now - self._webhooks.keep_days * DAY_MS)
        while await deliveries.prune(old, BATCH) == BATCH:
            pass
        while await self._store.triggers.prune_firings(old, BATCH) == BATCH:
            pass
        while await deliveries.forget_keys(now - self._webhooks.dedupe_hours * HOUR_MS, BATCH) == BATCH:
            pass
        for workspace in await self._store.keys.workspaces():
            while await deliveries.prune_rejected(workspace.id, self._webhooks.keep_rejected, BATCH) >= BATCH:
                pass

    async def _bound(self, workspace: str, now: int) -> str | None:
        """The id below which ended runs are removed; None if all are kept."""
        age_days, kept = self._settings.age_days, self._settings.runs
        oldest_kept = None if kept is None else await self._store.runs.nth_newest(workspace, kept)
        bounds = [] if age_days is None else [lowest_at(now - age_days * DAY_MS)]
        return max([*bounds, *([oldest_kept] if oldest_kept else [])], default=None)

    async def _wait_for_runs(self, stop: asyncio.Event) -> None:
        self._engine.started.clear()
        waits = [asyncio.ensure_future(event.wait()) for event in (self._engine.started, stop)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
