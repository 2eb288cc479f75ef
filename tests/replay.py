"""Prefix replay: a completed run is walked again from every prefix of its journal and must end in the same way."""

import dataclasses
from pathlib import Path
from typing import Any

import msgspec

from kit import World
from stepwell import values
from stepwell.definitions import Block, Body, Branches, Kind, Plan, Step
from stepwell.engine import Engine
from stepwell.engine.restart import containers_of
from stepwell.errors import StepError
from stepwell.events import Events
from stepwell.states import RecordStatus, RunState
from stepwell.steps import Call, Ports
from stepwell.store import Commit, Loaded, NewRun, Record, RunFilter, Timer
from stepwell.store.sqlite import SqliteStore
from stepwell.values import Json


class Recorded:
    """An effect type that answers what the journal says, and notes what it was asked."""

    kind = Kind.EFFECT

    def __init__(self, original: Any, loaded: Loaded, asked: dict[str, tuple[str, Json]]) -> None:
        self._original = original
        self._records = {record.path: record for record in loaded.records}
        self._asked = asked
        self.name = original.name
        self.default_timeout_ms = original.default_timeout_ms

    def resolve(self, program: Any, scope: Any) -> Json:
        return self._original.resolve(program, scope)

    def connection(self, program: Any, config: Json) -> Any:
        return self._original.connection(program, config)

    async def perform(self, program: Any, config: Json, call: Call, ports: Ports) -> Json:
        record = self._records[call.path]
        self._asked[call.path] = (call.operation_id, config)
        if call.attempt < record.attempt:
            raise StepError("Failed as recorded", kind="network", retryable=True)
        if record.status is RecordStatus.SUCCESS:
            return values.decode(record.output or b"null")
        error = values.decode(record.error or b"{}")
        details = error.pop("details", {})
        raise StepError(
            error["message"], code=error["code"], kind=details.get("kind"), http_status=details.get("httpStatus")
        )


class Delivered(Recorded):
    """A task type whose work is delivered as soon as it is opened, as the journal says."""

    def connection(self, program: Any, config: Json) -> Any:
        return None

    async def perform(self, program: Any, config: Json, call: Call, ports: Ports) -> Json:
        record = self._records[call.path]
        if record.status is RecordStatus.SUCCESS:
            return values.decode(record.output or b"null")
        raise StepError(values.decode(record.error or b"{}")["message"])


_RECORDED = {Kind.EFFECT: Recorded, Kind.TASK: Delivered}


async def replay_everything(world: World, folder: Path) -> None:
    """Replay every completed or failed run of a world."""
    wanted = RunFilter(workspace=world.workspace, states=(RunState.COMPLETED, RunState.FAILED), limit=100)
    for number, run in enumerate(await world.store.runs.page(wanted)):
        loaded = await world.load(run.id)
        if values.decode(run.error or b"{}").get("code") in ("INTERRUPTED", "SECRET_MISSING"):
            continue  # its end depends on how processes died, not on the journal
        plan = world.plans[run.workflow, run.version]
        for prefix in range(loaded.run.state_seq):
            if _within_a_commit(loaded, prefix):
                continue
            path = folder / f"replay-{number}-{prefix}.db"
            await _replay(world, loaded, plan, prefix, path)


def _within_a_commit(loaded: Loaded, prefix: int) -> bool:
    """Whether a prefix ends between the cancelling of what a container holds and the container's own end."""
    records = {record.path: record for record in loaded.records}
    for record in loaded.records:
        if b'"CANCELLED"' in (record.error or b"") and (record.ended_seq or 0) <= prefix:
            around = containers_of(record.path)
            if any((records[path].ended_seq or 0) > prefix for path in around[-1:]):
                return True
    return False


def _timers(record: Record, plan: Plan) -> list[Timer]:
    step = plan.steps[record.step]
    if record.status is RecordStatus.WAITING:
        return [Timer(record.path, "wait", values.decode(record.data or b"{}")["due"])]
    if step.type.kind is Kind.CONTAINER and record.status is RecordStatus.RUNNING and step.timeout_ms is not None:
        return [Timer(record.path, "deadline", (record.started_at or 0) + step.timeout_ms)]
    return []


async def _replay(world: World, loaded: Loaded, plan: Plan, prefix: int, path: Path) -> None:
    asked: dict[str, tuple[str, Json]] = {}
    replayed = _replaced(plan, lambda original: _RECORDED[original.kind](original, loaded, asked))
    store = SqliteStore(path, inline=True)
    run = loaded.run
    records = tuple(cut for record in loaded.records if (cut := _cut(record, prefix, plan)) is not None)
    last = max((record.ended_at or record.started_at or 0 for record in records), default=0)
    world.clock.jump((max(last, run.started_at or 0) - world.clock.now_ms()) / 1000)
    await store.runs.start(
        NewRun(
            workspace=run.workspace,
            id=run.id,
            workflow=run.workflow,
            version=run.version,
            trigger=run.trigger,
            input=run.input,
            owner=world.ids.new(),
            attempt=run.attempt,
            restarted_from=run.restarted_from,
            carried=run.carried,
        )
    )
    if prefix:
        await store.runs.commit(
            Commit(
                workspace=run.workspace,
                run=run.id,
                epoch=1,
                state=RunState.RUNNING,
                seq=prefix,
                state_seq=1,
                started_at=run.started_at,
                records=records,
                timers=tuple(timer for record in records for timer in _timers(record, plan)),
            )
        )

    class Surroundings:
        async def plan(self, *_: Any) -> Plan:
            return replayed

        choose_connection = world.choose_connection
        secrets = world.secrets

        def has_budgets(self, workspace: str) -> bool:
            return False

    engine = Engine(
        store.runs,
        Surroundings(),
        Ports(None, None, None, None),
        world.clock,
        world.ids,
        Events(),  # type: ignore[arg-type]
    )
    await engine.recover()
    await engine.claim()
    await engine.idle()
    while (due := await store.runs.next_timer()) is not None:
        world.clock.jump(max(0, due - world.clock.now_ms()) / 1000)
        await engine.timers.release()
        await engine.claim()
        await engine.idle()
    again = await store.runs.load(run.workspace, run.id)
    await store.close()
    assert again is not None
    _compare(loaded, again, asked, prefix)


def _compare(first: Loaded, again: Loaded, asked: dict[str, tuple[str, Json]], prefix: int) -> None:
    where = f"replayed from {prefix} of {first.run.state_seq}"
    assert again.run.state is first.run.state, where
    assert again.run.output == first.run.output, where
    assert [r.path for r in again.records if "." not in r.path] == [r.path for r in first.records if "." not in r.path]
    pairs = zip(sorted(first.records, key=_path), sorted(again.records, key=_path), strict=True)
    for before, after in pairs:  # what runs beside each other may come in another order
        assert after.path == before.path, where
        assert (after.status, after.input, after.output) == (before.status, before.input, before.output), where
        if before.path in asked:
            data = values.decode(before.data or b"{}")
            assert asked[before.path] == (data["operation"], values.decode(before.input or b"null")), where


def _path(record: Record) -> str:
    return record.path


def _cut(record: Record, prefix: int, plan: Plan) -> Record | None:
    """A record as the store would hold it if the process had died after `prefix` things had happened."""
    if record.started_seq > prefix:
        return None
    if record.ended_seq is not None and record.ended_seq <= prefix:
        return record
    kind = plan.steps[record.step].type.kind
    if kind is Kind.CONTAINER and record.input is not None:
        return msgspec.structs.replace(
            record, status=RecordStatus.RUNNING, ended_seq=None, ended_at=None, output=None, error=None, data=None
        )
    if kind not in (Kind.EFFECT, Kind.WAIT) or record.data is None:
        return None  # it is written only once it is final
    status = RecordStatus.RUNNING if kind is Kind.EFFECT else RecordStatus.WAITING
    return msgspec.structs.replace(
        record, status=status, ended_seq=None, ended_at=None, output=None, error=None, attempts=None, attempt=1
    )


def _replaced(plan: Plan, change: Any) -> Plan:
    """The plan with the type of every effect and task exchanged."""

    def step(each: Step) -> Step:
        branches = each.branches
        if branches is not None:
            branches = Branches(
                block(branches.then),
                block(branches.otherwise),
                tuple(map(step, branches.skip_then)),
                tuple(map(step, branches.skip_otherwise)),
            )
        bodies = tuple(Body(block(body.block), body.ids) for body in each.bodies)
        changed = change(each.type) if each.type.kind in _RECORDED else each.type
        return dataclasses.replace(each, type=changed, branches=branches, bodies=bodies)

    def block(each: Block) -> Block:
        return dataclasses.replace(each, steps=tuple(map(step, each.steps)))

    return dataclasses.replace(
        plan, root=block(plan.root), steps={name: step(each) for name, each in plan.steps.items()}
    )
