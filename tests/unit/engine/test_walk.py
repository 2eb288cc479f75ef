"""The interpreter: order, branches, errors, retries, waits, ends."""

from kit import World, effect, transform, wait
from stepwell import values
from stepwell.states import RecordStatus


async def test_steps_run_in_order_and_see_earlier_outputs(world: World) -> None:
    workflow = world.define(transform("a", x="{{input.n}}"), transform("b", y="{{steps.a.output.x | times: 2}}"))
    run = await world.start(workflow, {"n": 21})
    await world.settle()
    assert await world.outcome(run) == ("completed", {"y": 42})
    assert [record.path for record in (await world.load(run)).records] == ["a", "b"]


async def test_a_run_without_steps_completes_with_an_empty_output(world: World) -> None:
    run = await world.start(world.define())
    await world.settle()
    assert await world.outcome(run) == ("completed", {})


async def test_an_output_that_is_no_object_is_wrapped(world: World) -> None:
    run = await world.start(world.define(effect("call", {"value": [1, 2]})))
    await world.settle()
    assert await world.outcome(run) == ("completed", {"result": [1, 2]})


async def test_the_definitions_output_shapes_the_runs_output(world: World) -> None:
    run = await world.start(world.define(transform("a", x=1), output={"total": "{{steps.a.x}}"}))
    await world.settle()
    assert await world.outcome(run) == ("completed", {"total": 1})


async def test_an_output_that_does_not_fit_its_schema_fails_the_run(world: World) -> None:
    workflow = world.define(transform("a", x=1), outputSchema={"type": "object", "required": ["y"]})
    run = await world.start(workflow)
    await world.settle()
    state, error = await world.outcome(run)
    assert (state, error["code"]) == ("failed", "OUTPUT_INVALID")


async def test_a_condition_takes_one_branch_and_records_the_other_as_skipped(world: World) -> None:
    workflow = world.define(
        {"id": "big", "type": "condition", "config": {"expression": "input.n > 10", "then": ["yes"], "else": ["no"]}},
        transform("yes", way="then"),
        transform("no", way="else"),
        transform("after", way="{{steps.yes.way}}"),
    )
    run = await world.start(workflow, {"n": 11})
    await world.settle()
    records = {record.path: record.status for record in (await world.load(run)).records}
    assert records == {"big": "success", "no": "skipped", "yes": "success", "after": "success"}


async def test_a_step_named_by_two_branches_runs_once(world: World) -> None:
    def check(step: str, limit: int) -> values.Json:
        config = {"expression": f"input.n > {limit}", "then": ["shared"]}
        return {"id": step, "type": "condition", "config": config}

    workflow = world.define(check("one", 10), check("two", 5), effect("shared"))
    run = await world.start(workflow, {"n": 7})
    await world.settle()
    assert world.ledger.operations == [f"run_{run}:shared"]


async def test_when_false_skips_a_step(world: World) -> None:
    run = await world.start(world.define(effect("call", when="input.go"), transform("a", x=1)), {"go": False})
    await world.settle()
    assert world.ledger.performed == []
    assert (await world.load(run)).records[0].status is RecordStatus.SKIPPED


async def test_end_completes_the_run_with_the_last_output(world: World) -> None:
    run = await world.start(world.define(transform("a", x=1), {"id": "stop", "type": "end"}, effect("never")))
    await world.settle()
    assert await world.outcome(run) == ("completed", {"x": 1})
    assert world.ledger.performed == []


async def test_end_with_a_false_condition_goes_on(world: World) -> None:
    end = {"id": "stop", "type": "end", "config": {"condition": "input.stop"}}
    run = await world.start(world.define(end, transform("a", x=1)), {"stop": False})
    await world.settle()
    assert await world.outcome(run) == ("completed", {"x": 1})


async def test_a_step_that_fails_stops_the_run(world: World) -> None:
    run = await world.start(world.define(effect("call", {"fail": 1, "status": 400}), effect("never")))
    await world.settle()
    state, error = await world.outcome(run)
    assert (state, error["code"], error["message"], error["stepId"]) == (
        "failed",
        "STEP_ERROR",
        "Service unavailable",
        "call",
    )
    assert len(world.ledger.performed) == 1


async def test_continue_goes_on_with_the_fallback_as_output(world: World) -> None:
    failing = effect("call", {"fail": 1, "status": 400}, errorHandling={"strategy": "continue", "fallback": {"x": 1}})
    run = await world.start(world.define(failing, transform("a", y="{{steps.call.output.x}}")))
    await world.settle()
    assert await world.outcome(run) == ("completed", {"y": 1})
    assert (await world.load(run)).records[0].status is RecordStatus.ERROR


async def test_a_fault_in_a_template_fails_the_step_without_a_retry(world: World) -> None:
    run = await world.start(world.define(effect("call", {"x": "{{input.word | times: 2}}"})), {"word": "ten"})
    await world.settle()
    assert (await world.outcome(run))[1]["code"] == "TEMPLATE_ERROR"
    assert world.ledger.performed == []


async def test_a_retry_waits_its_back_off_and_keeps_operation_and_input(world: World) -> None:
    retry = {"maxAttempts": 3, "initialDelayMs": 1000, "backoffMultiplier": 2}
    run = await world.start(world.define(effect("call", {"fail": 2, "at": "{{now}}"}, retryConfig=retry)))
    began = world.clock.now_ms()
    await world.settle_through(60)
    assert await world.outcome(run) == ("completed", {"ok": True})
    assert world.clock.now_ms() - began == 3000
    assert [attempt for _, attempt, _ in world.ledger.performed] == [1, 2, 3]
    assert len(set(world.ledger.operations)) == 1
    assert len({values.encode(config) for _, _, config in world.ledger.performed}) == 1


async def test_failed_attempts_are_recorded_with_their_errors(world: World) -> None:
    run = await world.start(world.define(effect("call", {"fail": 1}, retryConfig={"maxAttempts": 2})))
    await world.settle_through(60)
    record = (await world.load(run)).records[0]
    attempts = values.decode(record.attempts or b"[]")
    assert [(a["attempt"], a["error"]["message"]) for a in attempts] == [(1, "Service unavailable")]
    assert record.attempt == 2


async def test_the_last_attempts_error_stops_the_run(world: World) -> None:
    run = await world.start(world.define(effect("call", {"fail": 9}, retryConfig={"maxAttempts": 2})))
    await world.settle_through(600)
    assert (await world.outcome(run))[0] == "failed"
    assert len(world.ledger.performed) == 2


async def test_a_longer_retry_after_is_honoured(world: World) -> None:
    retry = {"maxAttempts": 2, "initialDelayMs": 1000}
    await world.start(world.define(effect("call", {"fail": 1, "retryAfterMs": 90_000}, retryConfig=retry)))
    began = world.clock.now_ms()
    await world.settle_through(600)
    assert world.clock.now_ms() - began == 90_000


async def test_a_wait_lets_the_run_leave_memory_and_goes_on_when_it_is_due(world: World) -> None:
    run = await world.start(world.define(wait("pause", 3_600_000), transform("a", waited="{{steps.pause.waited}}")))
    await world.settle()
    assert world.engine.active_runs == 0
    loaded = await world.load(run)
    assert (loaded.run.state, loaded.run.owner, loaded.run.waits_on) == ("running", None, "timer")
    await world.settle_through(3600)
    assert await world.outcome(run) == ("completed", {"waited": 3_600_000})


async def test_a_run_over_its_time_ends_timed_out_with_its_open_step_closed(world: World) -> None:
    run = await world.start(world.define(wait("pause", 60_000), settings={"timeoutMs": 5000}))
    await world.settle_through(10)
    state, error = await world.outcome(run)
    assert (state, error["code"]) == ("timed_out", "TIMEOUT")
    record = (await world.load(run)).records[0]
    assert (record.status, values.decode(record.error or b"{}")["code"]) == ("error", "TIMEOUT")
    assert await world.store.runs.next_timer() is None


async def test_cancel_ends_a_waiting_run_and_its_timer(world: World) -> None:
    run = await world.start(world.define(wait("pause", 60_000)))
    await world.settle()
    assert await world.engine.cancel(world.workspace, run)
    loaded = await world.load(run)
    assert (loaded.run.state, loaded.records[0].status, loaded.timers) == ("cancelled", "error", ())


async def test_a_final_run_refuses_cancel(world: World) -> None:
    run = await world.start(world.define())
    await world.settle()
    assert not await world.engine.cancel(world.workspace, run)


async def test_steps_with_needs_start_when_all_their_needs_are_final(world: World) -> None:
    workflow = world.define(
        transform("join", x="{{steps.left.x | plus: steps.right.x}}") | {"needs": ["left", "right"]},
        transform("left", x=1),
        transform("right", x=2) | {"needs": ["left"]},
    )
    run = await world.start(workflow)
    await world.settle()
    assert await world.outcome(run) == ("completed", {"x": 3})


async def test_after_a_failure_in_a_dag_no_new_step_starts(world: World) -> None:
    workflow = world.define(
        effect("bad", {"fail": 1, "status": 400}), transform("good", x=1), effect("later", needs=["bad", "good"])
    )
    run = await world.start(workflow)
    await world.settle()
    assert (await world.outcome(run))[0] == "failed"
    assert world.ledger.operations == [f"run_{run}:bad"]


async def test_a_workflows_limit_holds_further_runs_back_oldest_first(world: World) -> None:
    workflow = world.define(wait("pause", 1000), settings={"maxConcurrentRuns": 1})
    runs = [await world.start(workflow) for _ in range(3)]
    await world.settle()
    assert [(await world.load(run)).run.state for run in runs] == ["running", "pending", "pending"]
    await world.settle_through(1)
    assert [(await world.load(run)).run.state for run in runs] == ["completed", "running", "pending"]
    await world.settle_through(10)
    assert [(await world.load(run)).run.state for run in runs] == ["completed"] * 3


async def test_a_large_value_comes_back_as_it_was(world: World) -> None:
    text = "x" * 100_000
    run = await world.start(world.define(transform("a", big="{{input.text}}")), {"text": text})
    await world.settle()
    assert await world.outcome(run) == ("completed", {"big": text})
