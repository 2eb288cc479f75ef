"""Retry and restart: what a new run keeps, runs again and passes over. Source: LoopFour contract 5.7."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kit import NoActions, World, effect, transform, wait
from stepwell import values
from stepwell.auth import Vault
from stepwell.core import Plans, Triggers, Workflows
from stepwell.core.runs import Restarted, Runs
from stepwell.core.starting import StartRequest
from stepwell.definitions import Plan
from stepwell.errors import StepError
from stepwell.steps.code import CodeStep
from stepwell.steps.transform import TransformStep
from stepwell.store import Record
from stepwell.values import Json

FAILS = {"fail": 1, "status": 400}


class House(World):
    """A world with the use cases on runs over it, and a switch for secrets that cannot be opened."""

    secrets_exist = True

    async def open(self) -> None:
        await self.boot()
        self.compiled = Plans(self.store.workflows, self.step_types, NoActions())
        triggers = Triggers(self.store, self.compiled, Vault(bytes(32)), self.clock, self.ids)
        self.workflows = Workflows(self.store, self.compiled, triggers, self.clock, self.ids)
        self.runs = Runs(self.store, self.engine, self.compiled, self.ids, self.clock, 1 << 20)

    async def plan(self, workspace: str, workflow: str, version: int) -> Plan:
        return await self.compiled.get(workspace, workflow, version)

    async def secrets(self, workspace: str, workflow: str, names: frozenset[str]) -> Any:
        if self.secrets_exist:
            return OpenBox()
        raise StepError("Secret not found: KEY", code="SECRET_MISSING")

    async def run(self, *steps: Json, given: Json = None, **fields: Json) -> str:
        """A run of these steps as far as it comes without waiting; its id."""
        document = {"name": "Test", "trigger": {"type": "webhook"}, "steps": list(steps), **fields}
        detail = await self.workflows.create(self.workspace, values.decode(values.encode(document)), "test")
        await self.workflows.activate(self.workspace, detail.workflow.id)
        request = StartRequest(workflow=detail.workflow.id, input=given or {}, trigger="webhook")
        started = await self.runs.start(self.workspace, request)
        await self.settle()
        return started.run

    async def retry(self, run: str) -> Restarted:
        restarted = await self.runs.retry(self.workspace, run)
        await self.settle()
        return restarted

    async def restart(self, run: str, step: str, override: Json = None) -> str:
        restarted = await self.runs.restart(self.workspace, run, step, override)
        await self.settle()
        return restarted.new

    async def records(self, run: str) -> dict[str, Record]:
        return {record.path: record for record in (await self.load(run)).records}

    async def state(self, run: str) -> str:
        return (await self.outcome(run))[0]

    def performed(self, step: str) -> list[str]:
        return [operation for operation in self.ledger.operations if operation.endswith(f":{step}")]


class BrokenTransform(TransformStep):
    """A step type with a fault of its own."""

    name = "broken"

    def evaluate(self, program: Any, scope: Any) -> tuple[Json, Json]:
        raise ZeroDivisionError


class OpenBox:
    """The one secret there is, as it is."""

    markers = {"KEY": "marker"}

    def reveal(self, value: Json) -> Json:
        return value

    hide = reveal


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "stepwell.db")
    await house.open()
    yield house
    await house.store.close()


def check(step: str, condition: str, **ways: Json) -> Json:
    return {"id": step, "type": "condition", "config": {"expression": condition, **ways}}


async def test_a_restart_runs_a_step_that_a_later_branch_selects_though_an_earlier_one_names_it(house: House) -> None:
    run = await house.run(
        check("one", "input.n > 10", then=["shared"]),
        check("two", "input.n > 5", then=["shared"]),
        effect("shared"),
        given={"n": 7},
    )

    new = await house.restart(run, "two")

    assert house.performed("shared") == [f"run_{run}:shared", f"run_{new}:shared"]


async def test_a_restart_keeps_a_shared_step_that_ran_before_the_named_one(house: House) -> None:
    run = await house.run(
        check("one", "input.n > 5", then=["shared"]),
        check("two", "input.n > 5", then=["shared"]),
        effect("shared"),
        given={"n": 7},
    )

    new = await house.restart(run, "two")

    assert house.performed("shared") == [f"run_{run}:shared"]
    assert (await house.records(new))["shared"].reused


@pytest.mark.parametrize("graph", [False, True])
async def test_a_restart_from_a_step_that_an_end_kept_from_running_runs_it(house: House, graph: bool) -> None:
    needs = {"needs": ["a"]} if graph else {}
    run = await house.run(effect("a"), {"id": "stop", "type": "end"}, effect("last", **needs))
    assert house.performed("last") == []

    new = await house.restart(run, "last")

    assert house.performed("last") == [f"run_{new}:last"]
    assert len(house.performed("a")) == 1


async def test_an_ancestor_without_a_result_leaves_no_entry_and_none_below_it(house: House) -> None:
    run = await house.run(
        effect("bad", FAILS), check("way", "input.n > 5", then=["yes"]), effect("yes"), effect("last")
    )

    new = await house.restart(run, "last")

    assert await house.state(new) == "completed"
    assert list(await house.records(new)) == ["last"]


async def test_a_retry_of_an_invalid_output_runs_nothing_that_the_restart_before_it_passed_over(house: House) -> None:
    run = await house.run(
        effect("bad", FAILS), effect("passed"), effect("last"), outputSchema={"type": "object", "required": ["x"]}
    )
    invalid = await house.restart(run, "last")
    assert (await house.outcome(invalid))[1]["code"] == "OUTPUT_INVALID"

    again = await house.retry(invalid)

    assert again.from_step is None
    assert [len(house.performed(step)) for step in ("bad", "passed", "last")] == [1, 0, 1]


async def test_a_retry_of_an_invalid_output_keeps_to_the_branch_that_was_taken(house: House) -> None:
    run = await house.run(
        effect("bad", FAILS),
        check("way", "input.n > 5", then=["yes"], **{"else": ["no"]}),
        effect("yes"),
        effect("no"),
        given={"n": 7},
        outputSchema={"type": "object", "required": ["x"]},
    )
    other = await house.restart(run, "no")

    again = await house.retry(other)

    assert (await house.outcome(again.new))[1]["code"] == "OUTPUT_INVALID"
    assert {path: str(record.status) for path, record in (await house.records(again.new)).items()} == {
        "yes": "skipped",
        "no": "success",
    }
    assert [len(house.performed(step)) for step in ("bad", "yes", "no")] == [1, 0, 1]


async def test_a_missing_secret_retries_from_the_first_step_that_would_run(house: House) -> None:
    house.secrets_exist = False
    run = await house.run(
        effect("yes"),
        check("way", "input.n > 5", then=["yes"]),
        effect("call", {"key": "{{secrets.KEY}}"}),
        given={"n": 1},
    )
    assert (await house.outcome(run))[1]["code"] == "SECRET_MISSING"
    house.secrets_exist = True

    again = await house.retry(run)

    assert again.from_step == "way"
    assert await house.state(again.new) == "completed"
    assert house.performed("yes") == []


async def test_a_missing_secret_retries_every_step_of_a_graph(house: House) -> None:
    house.secrets_exist = False
    run = await house.run(effect("join", needs=["a"]), effect("a", {"key": "{{secrets.KEY}}"}, needs=[]))
    house.secrets_exist = True

    again = await house.retry(run)

    assert again.from_step == "a"
    assert [operation.rpartition(":")[2] for operation in house.ledger.operations] == ["a", "join"]


async def test_an_operation_of_unknown_outcome_survives_a_retry_that_never_came_to_it(house: House) -> None:
    run = await house.run(effect("pay", {"fail": 1, "status": 400, "lost": True, "key": "{{secrets.KEY}}"}))
    house.secrets_exist = False
    between = await house.retry(run)
    assert (await house.outcome(between.new))[1]["code"] == "SECRET_MISSING"
    house.secrets_exist = True

    await house.retry(between.new)

    assert house.performed("pay") == [f"run_{run}:pay"] * 2


async def test_a_timed_out_run_retries_the_step_in_flight_not_one_that_was_interrupted_and_gone_past(
    house: House,
) -> None:
    interrupted = values.encode({"code": "INTERRUPTED", "message": "The process ended", "outcomeUnknown": True})
    run = await house.run(
        effect("pay", {"fail": 1, "status": 400}, idempotent=False, errorHandling={"strategy": "continue"}),
        wait("pause", 60_000),
        settings={"timeoutMs": 1000},
    )
    await house.store.database.write(
        lambda connection, error: connection.execute("UPDATE records SET error = ? WHERE path = 'pay'", (error,)),
        interrupted,
    )
    await house.settle_through(5)
    assert await house.state(run) == "timed_out"

    again = await house.retry(run)

    assert again.from_step == "pause"
    assert len(house.performed("pay")) == 1
    assert (await house.records(again.new))["pay"].reused


async def test_a_retry_never_repeats_a_step_that_succeeded_though_the_runs_error_names_it(house: House) -> None:
    house.step_types["broken"] = BrokenTransform(CodeStep())
    run = await house.run(effect("pay"), {**transform("after", x=1), "type": "broken"})
    error = {"code": "INTERRUPTED", "message": "The server process ended", "stepId": "pay", "path": "pay"}
    await house.store.database.write(
        lambda connection, raw: connection.execute("UPDATE runs SET error = ?", (raw,)), values.encode(error)
    )

    again = await house.retry(run)

    assert again.from_step == "after"
    assert len(house.performed("pay")) == 1


async def test_a_restart_on_a_version_where_a_kept_step_became_a_condition_runs_no_branch_of_it(house: House) -> None:
    run = await house.run(transform("way", x=1), effect("last"))
    changed = [
        check("way", "input.n > 5", then=["yes"], **{"else": ["no"]}),
        effect("yes"),
        effect("no"),
        effect("last"),
    ]
    workflow = (await house.load(run)).run.workflow
    await house.workflows.update(house.workspace, workflow, {"steps": changed}, "test")

    restarted = await house.runs.restart(house.workspace, run, "last", version="latest")
    await house.settle()

    assert await house.state(restarted.new) == "completed"
    assert house.performed("yes") == house.performed("no") == []


async def test_a_restart_in_a_long_graph_is_planned_at_once(house: House) -> None:
    chain = [effect("s0", needs=[]), *(effect(f"s{n}", needs=[f"s{n - 1}"]) for n in range(1, 500))]
    run = await house.run(*chain)

    began = time.monotonic()
    await house.runs.restart(house.workspace, run, "s250")
    assert time.monotonic() - began < 1
