"""What engine tests share: a world of one SQLite store, one engine, a fake clock and an effect that is written down."""

import asyncio
import hashlib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepwell import values
from stepwell.clock import FakeClock
from stepwell.core.budgets import Budgets
from stepwell.definitions import Kind, Plan, StepType, compile_definition
from stepwell.engine import Engine, Limits
from stepwell.engine.ports import ChildEnd, Held, Overdraft
from stepwell.errors import StepError
from stepwell.events import Events
from stepwell.ids import TimeOrderedIds
from stepwell.steps import STEP_TYPES, Call, ChosenConnection, ConnectionNeed, Ports
from stepwell.store import Approval, Loaded, NewRun, Run
from stepwell.store.sqlite import Boundary, SqliteStore
from stepwell.values import Json


class Ledger:
    """What effects did to the world outside, which survives the death of a process."""

    def __init__(self) -> None:
        self.performed: list[tuple[str, int, Json]] = []  # operation id, attempt, config

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _, _ in self.performed]


class EffectStep:
    """A step that notes itself in a ledger. Config: `value` is the output; `fail` how many attempts fail first, with
    `status` as HTTP status (default 503, which is retried); `retryAfterMs`; `hang` waits for ever; `charge` and `price`
    are what each attempt reports and what a price list says, in millionths of a cent."""

    name = "effect"
    kind = Kind.EFFECT
    default_timeout_ms: int | None = 30_000
    config_schema: Json = {"type": "object"}

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def compile(self, source: Any) -> Any:
        return source.template(secrets=True)

    def resolve(self, program: Any, scope: Mapping[str, Any]) -> Json:
        return {} if program is None else program.render(scope)

    def connection(self, program: Any, config: Json) -> ConnectionNeed | None:
        return None

    async def perform(self, program: Any, config: Json, call: Call, ports: Ports) -> Json:
        self._ledger.performed.append((call.operation_id, call.attempt, call.reveal(config)))
        if "hang" in config:
            await asyncio.Event().wait()
        if "charge" in config:
            call.charge(config["charge"])
        if call.attempt <= config.get("fail", 0):
            status = config.get("status", 503)
            raise StepError(
                "Service unavailable",
                kind="http",
                http_status=status,
                retryable=status >= 500,
                retry_after_ms=config.get("retryAfterMs"),
                outcome_unknown=config.get("lost", False),
            )
        if "price" in config:
            call.priced(config["price"])
        return config.get("value", {"ok": True})


class NoActions:
    """A catalogue without connectors."""

    def action(self, name: str) -> None:
        return None

    def connectors(self) -> tuple[str, ...]:
        return ()

    def offering(self, action: str) -> tuple[str, ...]:
        return ()


class World:
    """One store on disk and, one after the other, the processes that work on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = FakeClock()
        self.ids = TimeOrderedIds(self.clock)
        self.ledger = Ledger()
        self.step_types: dict[str, StepType] = {**STEP_TYPES, "effect": EffectStep(self.ledger)}
        self.plans: dict[tuple[str, int], Plan] = {}
        self.workspace = self.ids.new()
        self.store: SqliteStore
        self.engine: Engine
        self.limits = Limits()
        self.booted = 0
        self.code: Any = None
        self.random = iter(itertools.repeat(0.5))
        self.notified: list[tuple[str, tuple[str, ...], bool]] = []  # approval, whom, escalated

    async def boot(self, boundary: Boundary | None = None, *, recover: bool = True) -> None:
        """Start a process: open the file, recover, claim."""
        self.store = SqliteStore(self.path, inline=True, boundary=boundary)
        self.booted += 1
        self.budgets = Budgets(self.store, self.clock)
        await self.budgets.load()
        self.engine = Engine(
            self.store.runs,
            self,
            Ports(http=None, actions=None, outbox=None, code=self.code),  # type: ignore[arg-type]
            self.clock,
            self.ids,
            Events(),
            self.limits,
            lambda: next(self.random),
        )
        if recover:
            await self.engine.recover()
            await self.engine.claim()

    def kill(self) -> None:
        """The process is gone; the file is as its last commit left it."""
        for task in self.engine._active.values():
            task.cancel()
        self.store.database.close()

    async def plan(self, workspace: str, workflow: str, version: int) -> Plan:
        return self.plans[workflow, version]

    async def secrets(self, workspace: str, workflow: str, names: frozenset[str]) -> Any:
        raise StepError(f"Secret {min(names)} does not exist", code="SECRET_MISSING")

    async def choose_connection(self, run: Run, need: ConnectionNeed) -> ChosenConnection:
        raise StepError("No connection", code="CONNECTION_MISSING")

    async def username(self, run: Run) -> str | None:
        return run.end_user

    def approval_link(self, approval: str, approver: str) -> tuple[str, bytes]:
        token = f"{approval}:{approver}"
        return f"http://stepwell.test/{token}", hashlib.sha256(token.encode()).digest()

    async def notify(self, approval: Approval, wish: Any, to: tuple[str, ...], *, escalated: bool) -> None:
        self.notified.append((approval.id, to, escalated))

    async def start_child(self, parent: Run, path: str, wish: Any) -> tuple[str, bool]:
        plan = self.plans.get((wish.workflow, 1))
        if plan is None:
            raise StepError("Workflow not found", code="SUBWORKFLOW_FAILED")
        new = NewRun(
            workspace=self.workspace,
            id=self.ids.new(),
            workflow=wish.workflow,
            version=1,
            trigger="api",
            input=values.encode(wish.input),
            owner=None,
            parent=parent.id,
            awaited=wish.wait,
            depth=parent.depth + 1,
            idempotency_key=wish.idempotency_key or f"{parent.id}:{path}",
        )
        started = await self.engine.start(new, plan)
        return started.run, wish.idempotency_key is not None and started.replayed

    async def child_end(self, workspace: str, run: str) -> ChildEnd | None:
        found = await self.store.runs.get(workspace, run)
        assert found is not None
        if not found.state.final:
            return None
        duration = (found.ended_at or 0) - (found.started_at or 0)
        return ChildEnd(found.state, found.output, found.error, duration)

    def has_budgets(self, workspace: str) -> bool:
        return self.budgets.any(workspace)

    async def overdraft(self, run: Run, unwritten: int, held: Held, needed: int) -> Overdraft | None:
        return await self.budgets.overdraft(run, unwritten, held, needed)

    def define(self, *steps: Json, **fields: Json) -> str:
        """A workflow of these steps; its id."""
        document = {"name": "Test", "trigger": {"type": "api"}, "steps": list(steps), **fields}
        workflow = self.ids.new()
        self.plans[workflow, 1] = compile_definition(
            values.decode(values.encode(document)), self.step_types, NoActions()
        )
        return workflow

    async def start(self, workflow: str, given: Json = None, **fields: Any) -> str:
        """Start a run; its id."""
        plan = self.plans[workflow, 1]
        new = NewRun(
            workspace=self.workspace,
            id=self.ids.new(),
            workflow=workflow,
            version=1,
            trigger="api",
            input=values.encode(given or {}),
            owner=None,
            max_concurrent=plan.settings.max_concurrent_runs,
            budget=plan.settings.budget,
            over_budget=plan.settings.over_budget,
            **fields,
        )
        return (await self.engine.start(new, plan)).run

    async def settle(self) -> None:
        """Let everything happen that can happen without time passing."""
        while True:
            await self.engine.idle()
            fired = await self.engine.timers.release()
            if not await self.engine.claim() and not fired:
                return

    async def settle_through(self, seconds: float) -> None:
        """Let time pass timer by timer."""
        end = self.clock.now_ms() + round(seconds * 1000)
        await self.settle()
        while (due := await self.store.runs.next_timer()) is not None and due <= end:
            self.clock.advance(max(0, due - self.clock.now_ms()) / 1000)
            await self.settle()

    async def load(self, run: str) -> Loaded:
        """A run with its journal as it is in the store."""
        loaded = await self.store.runs.load(self.workspace, run)
        assert loaded is not None
        return loaded

    async def outcome(self, run: str) -> tuple[str, Json]:
        """State and output (error if it failed) of a run."""
        loaded = (await self.load(run)).run
        return str(loaded.state), values.decode(loaded.output or loaded.error or b"null")


def transform(step: str, **mapping: Json) -> Json:
    """A transform step."""
    return {"id": step, "type": "transform", "config": {"mapping": mapping}}


def effect(step: str, config: Json = None, **fields: Json) -> Json:
    """An effect step."""
    return {"id": step, "type": "effect", "config": config or {}, **fields}


def wait(step: str, ms: int, **fields: Json) -> Json:
    """A wait step."""
    return {"id": step, "type": "wait", "config": {"duration": ms}, **fields}
