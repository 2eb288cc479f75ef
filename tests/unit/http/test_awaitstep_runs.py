"""Every kind of node on the real engine, with the real sandbox. Source: AwaitStep contract 10.2."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from awaitstep_graphs import graph, node, step
from kit import EffectStep, World
from stepwell import values
from stepwell.http.dialects.awaitstep.ir import check, compile_ir, node_steps
from stepwell.sandbox import Sandbox
from stepwell.states import RecordStatus
from stepwell.store import RunEvent
from stepwell.values import Json


class Echo(EffectStep):
    """An effect whose answer is its config."""

    async def perform(self, program: Any, config: Json, call: Any, ports: Any) -> Json:
        self._ledger.performed.append((call.operation_id, call.attempt, config))
        if "function" in config:
            return {"value": {"called": config["payload"]}}
        return {"status": 201, "headers": {"x": "1"}, "ok": True, "data": config}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path / "stepwell.db")
    world.code = sandbox = Sandbox()
    for type in ("api", "function"):
        world.step_types[type] = echo = Echo(world.ledger)
        echo.name = type
    await world.boot()
    yield world
    await world.store.close()
    await sandbox.close()


def define(world: World, ir: Json, workflows: dict[str, str] | None = None) -> str:
    checked = check(ir, "workflow")
    assert (checked.schema_faults, checked.graph_faults) == ([], [])
    made = compile_ir(
        checked, variables=["REGION"], secrets=["KEY"], workflows=workflows or {}, functions={"price": "fn1"}
    )
    assert (made.faults, made.missing) == ([], ())
    return world.define(*made.fields["steps"], variables={"REGION": "eu"})


async def values_of(world: World, run: str, ir: Json) -> dict[str, Json]:
    """The value of each node that succeeded; inside loops that of its last turn."""
    loaded = await world.load(run)
    outputs = {each.step: each.output for each in loaded.records if each.status is RecordStatus.SUCCESS}
    found: dict[str, Json] = {}
    for each in node_steps(ir):
        if each.output_step in outputs:
            value = values.decode(outputs[each.output_step] or b"null")
            for part in each.output_path:
                value = value.get(part) if isinstance(value, dict) else None
            found[each.node_id] = value
    return found


async def ran(world: World, ir: Json, given: Json = None) -> tuple[str, dict[str, Json]]:
    run = await world.start(define(world, ir), given)
    await world.settle_through(40 * 24 * 3600)
    return str((await world.load(run)).run.state), await values_of(world, run, ir)


async def send(world: World, run: str, type: str, payload: Json) -> None:
    event = RunEvent(id=world.ids.new(), type=type, payload=values.encode(payload), received_at=world.clock.now_ms())
    reached = await world.store.signals.send(world.workspace, run, event)
    assert reached is not None
    world.engine.reached((reached,))
    await world.settle()


# -- step


async def test_a_step_sees_the_event_env_and_nodes_by_name(world: World) -> None:
    ir = graph(
        node("a-1", "step", name="First step", code="return {n: event.payload.n + 1, r: env.REGION}"),
        step("b", "const order = First_step.n; return [order, {{a-1.n}}, '{{a-1.r}}!', `${First_step.r}`]"),
        edges="a-1>b",
    )

    assert await ran(world, ir, {"n": 2}) == ("completed", {"a-1": {"n": 3, "r": "eu"}, "b": [3, 3, "eu!", "eu"]})


async def test_code_that_gives_nothing_has_the_value_null(world: World) -> None:
    assert await ran(world, graph(step("a", "const x = 1"), edges="")) == ("completed", {"a": None})


async def test_the_error_of_a_step_names_the_line_of_its_author(world: World) -> None:
    run = await world.start(define(world, graph(step("a", "const b = 1\n\nthrow new Error('no')"), edges="")))
    await world.settle()

    state, error = await world.outcome(run)

    assert (state, error["message"]) == ("failed", "Error: no (line 3)")


async def test_every_error_of_a_step_is_tried_again_and_code_sees_the_attempt(world: World) -> None:
    code = "if (ctx.attempt < 3) throw new Error('not yet'); return ctx.attempt"
    ir = graph(step("a", code, retryLimit=2, retryDelay="1 second"), edges="")

    assert await ran(world, ir) == ("completed", {"a": 3})


async def test_a_non_retryable_error_is_not_tried_again(world: World) -> None:
    run = await world.start(
        define(world, graph(step("a", "throw new NonRetryableError('no')", retryLimit=5), edges=""))
    )
    await world.settle()

    state, error = await world.outcome(run)

    assert (state, error["message"]) == ("failed", "NonRetryableError: no (line 1)")


# -- sleep, sleep_until


@pytest.mark.parametrize("duration", ["{{a}}", "5 minutes", 300_000, "${2 + 3} minutes"])
async def test_a_sleep_takes_a_duration_or_an_expression(world: World, duration: Json) -> None:
    ir = graph(step("a", "return '5 minutes'"), node("s", "sleep", duration=duration), edges="a>s")
    run = await world.start(define(world, ir))

    await world.settle_through(299)
    early = str((await world.load(run)).run.state)
    await world.settle_through(301)

    assert (early, str((await world.load(run)).run.state)) == ("running", "completed")
    assert await values_of(world, run, ir) == {"a": "5 minutes", "s": None}


@pytest.mark.parametrize("time", ["{{event.payload.at}}", "2001-01-01T00:00:00Z", "{{event.timestamp}}"])
async def test_a_time_that_is_over_ends_a_sleep_at_once(world: World, time: Json) -> None:
    ir = graph(node("s", "sleep_until", timestamp=time), edges="")
    run = await world.start(define(world, ir), {"at": "2000-01-01"})

    await world.settle()

    assert str((await world.load(run)).run.state) == "completed"


# -- branch


@pytest.mark.parametrize(("n", "taken"), [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e"), (9, None)])
async def test_a_branch_takes_the_first_condition_that_holds(world: World, n: int, taken: str | None) -> None:
    arms = [{"label": each, "condition": f"{{{{event.payload.n}}}} === {at + 1}"} for at, each in enumerate("abcde")]
    ir = graph(
        node("r", "branch", branches=arms),
        *(step(each, f"return '{each}'") for each in "abcde"),
        step("j", "return 'joined'"),
        edges="r>a:a r>b:b r>c:c r>d:d r>e:e a>j b>j c>j d>j e>j",
    )

    state, found = await ran(world, ir, {"n": n})

    assert (state, {id for id in found if id not in ("r", "j")}) == ("completed", {taken} - {None})
    assert found["j"] == "joined"


async def test_an_empty_condition_is_else(world: World) -> None:
    arms = [{"label": "x", "condition": "false"}, {"label": "y", "condition": ""}]
    ir = graph(node("r", "branch", branches=arms), step("a", "return 1"), step("b", "return 2"), edges="r>a:x r>b:y")

    assert (await ran(world, ir))[1] == {"r": None, "b": 2}


# -- parallel and race


async def test_a_failed_arm_does_not_fail_a_parallel(world: World) -> None:
    ir = graph(
        node("p", "parallel"),
        step("a", "return {n: 1}"),
        step("b", "throw new TypeError('bad')"),
        step("z", "return {{p[0].value.n}} + p.length"),
        edges="p>a p>b p>z:then",
    )

    state, found = await ran(world, ir)

    assert (state, found["p"], found["z"]) == (
        "completed",
        [
            {"status": "fulfilled", "value": {"n": 1}},
            {"status": "rejected", "reason": {"name": "TypeError", "message": "bad", "nodeId": "b"}},
        ],
        3,
    )


async def test_arms_may_meet_in_a_join_or_be_empty(world: World) -> None:
    ir = graph(
        node("p", "parallel"), step("a", "return 1"), step("j", "return [{{a}}, p[1].value]"), edges="p>a a>j p>j"
    )

    assert (await ran(world, ir))[1]["j"] == [1, None]


async def test_a_break_ends_the_arm_it_stands_in(world: World) -> None:
    ir = graph(
        node("l", "loop", loopType="times", count=2),
        node("p", "parallel"),
        step("a", "return 'a'"),
        node("x", "break", condition="{{i}} === 0"),
        step("b", "return 'b'"),
        step("c", "return 'c'"),
        edges="l>p:body p>a p>c a>x x>b",
    )

    _, found = await ran(world, ir)

    def both(first: str) -> Json:
        return [{"status": "fulfilled", "value": first}, {"status": "fulfilled", "value": "c"}]

    assert found["l"] == {"results": [both("a"), both("b")], "count": 2}


async def test_the_first_arm_to_settle_decides_a_race(world: World) -> None:
    ir = graph(
        node("r", "race"),
        node("s", "sleep", duration="1 hour"),
        step("slow", "return 'slow'"),
        step("fast", "return 'fast'"),
        step("z", "return r"),
        edges="r>s s>slow r>fast r>z:then",
    )

    state, found = await ran(world, ir)

    assert (state, found) == ("completed", {"r": "fast", "fast": "fast", "z": "fast"})


async def test_a_race_fails_with_the_first_arm_that_fails(world: World) -> None:
    ir = graph(
        node("r", "race"), node("s", "sleep", duration="1 hour"), step("a", "throw new Error('no')"), edges="r>s r>a"
    )

    assert (await ran(world, ir))[0] == "failed"


# -- http_request


async def test_expressions_resolve_everywhere_in_a_request(world: World) -> None:
    ir = graph(
        step("a-b", "return {list: [{id: 7}], host: 'h', price: 1.5}"),
        node(
            "h",
            "http_request",
            url="https://{{a-b.host}}/{{ a-b.list[0].id }}",
            method="post",
            headers='{"X": "{{a-b["host"]}}", "K": "Bearer {{event.payload.t}}"}',
            queryParams={"q": "{{a-b.list[0]['id']}}", "e": "${event.payload.t + 1}", "p": "{% raw"},
            body={"price": "{{a-b.price}}", "text": "n={{a-b.price}} ${{a-b.list}}"},
        ),
        step("z", "return {{h.body.price}} * 2"),
        edges="a-b>h h>z",
    )

    state, found = await ran(world, ir, {"t": "t"})

    sent = found["h"]
    assert (state, found["z"]) == ("completed", 3)
    assert (sent["url"], sent["method"]) == ("https://h/7", "POST")
    assert sent["headers"] == {"X": "h", "K": "Bearer t"}
    assert sent["params"] == {"q": 7, "e": "t1", "p": "{% raw"}
    assert values.encode(sent["body"]) == b'{"price":1.5,"text":"n=1.5 $[{\\"id\\":7}]"}'


async def test_a_body_that_is_no_json_is_javascript(world: World) -> None:
    ir = graph(
        step("a", "return {n: 2}"),
        node("h", "http_request", url="https://h", method="POST", body='{"twice": {{a.n}} * 2, "name": a.n}'),
        edges="a>h",
    )

    assert (await ran(world, ir))[1]["h"]["body"] == {"twice": 4, "name": 2}


async def test_a_request_in_full_has_status_headers_and_body(world: World) -> None:
    ir = graph(node("h", "http_request", url="https://h", method="GET", responseMode="full"), edges="")

    found = (await ran(world, ir))[1]["h"]

    assert (found["status"], found["headers"], found["body"]["url"]) == (201, {"x": "1"}, "https://h")


# -- wait_for_event


async def test_an_event_gives_its_payload_and_the_members_of_it(world: World) -> None:
    ir = graph(
        node("w", "wait_for_event", eventType="go"),
        step("z", "return [{{w.payload.x}}, {{w.x}}, w.eventType]"),
        edges="w>z",
    )
    run = await world.start(define(world, ir))
    await world.settle()

    await send(world, run, "go", {"x": 4})

    assert (await values_of(world, run, ir))["z"] == [4, 4, "go"]


async def test_a_wait_for_an_event_ends_after_a_day_with_a_timeout_error(world: World) -> None:
    ir = graph(
        node("t", "try_catch"),
        node("w", "wait_for_event", eventType="go"),
        step("c", "return err"),
        edges="t>w:try t>c:catch",
    )

    found = (await ran(world, ir))[1]

    assert (found["c"]["name"], found["c"]["nodeId"]) == ("TimeoutError", "w")


# -- try_catch


async def test_a_catch_sees_the_error_and_finally_runs(world: World) -> None:
    ir = graph(
        node("t", "try_catch"),
        step("a", "throw new RangeError('far')"),
        step("c", "return [err.name, '{{t.error.message}}', {{err.nodeId}}]"),
        step("f", "return 'f'"),
        step("z", "return t"),
        edges="t>a:try t>c:catch t>f:finally t>z:then",
    )

    state, found = await ran(world, ir)

    caught = ["RangeError", "far", "a"]
    assert (state, found["c"], found["f"]) == ("completed", caught, "f")
    error = {"name": "RangeError", "message": "far", "nodeId": "a"}
    assert found["z"] == {"ok": False, "error": error, "result": caught}


async def test_a_try_that_succeeds_has_the_value_of_its_last_node(world: World) -> None:
    ir = graph(
        node("t", "try_catch"),
        step("a", "return {n: 1}"),
        step("c", "return 0"),
        step("z", "return {{t.result.n}}"),
        edges="t>a:try t>c:catch a>z c>z",
    )

    assert (await ran(world, ir))[1]["z"] == 1


# -- loop and break


async def test_loops_nest_and_give_the_last_value_of_each_turn(world: World) -> None:
    ir = graph(
        step("a", "return [[1, 2], [3]]"),
        node("outer", "loop", loopType="forEach", collection="{{a}}", itemVar="row"),
        node("inner", "loop", loopType="forEach", collection="row", itemVar="cell", indexVar="k"),
        step("s", "return cell * 10 + k + i"),
        step("z", "return {{outer.results[1].results[0]}}"),
        edges="a>outer outer>inner:body inner>s:body outer>z:then",
    )

    _, found = await ran(world, ir)

    inner = [{"results": [10, 21], "count": 2}, {"results": [31], "count": 1}]
    assert (found["outer"], found["z"]) == ({"results": inner, "count": 2}, 31)


async def test_a_while_looks_at_what_the_turn_before_gave(world: World) -> None:
    ir = graph(
        node("l", "loop", loopType="while", condition="({{s.n}} ?? 0) < 3"),
        step("s", "return {n: i + 1}"),
        edges="l>s:body",
    )

    assert (await ran(world, ir))[1]["l"] == {"results": [{"n": 1}, {"n": 2}, {"n": 3}], "count": 3}


async def test_a_break_ends_its_loop(world: World) -> None:
    ir = graph(
        node("l", "loop", loopType="times", count="{{event.payload.n}}"),
        step("s", "return i"),
        node("b", "break", condition="s === 1"),
        step("after", "return 'after ' + i"),
        step("z", "return l.count"),
        edges="l>s:body s>b b>after l>z:then",
    )

    _, found = await ran(world, ir, {"n": 5})

    assert (found["l"], found["z"]) == ({"results": ["after 0", 1], "count": 2}, 2)


async def test_a_break_outside_a_loop_completes_the_run(world: World) -> None:
    ir = graph(step("a", "return 1"), node("b", "break"), step("z", "return 2"), edges="a>b b>z")

    assert await ran(world, ir) == ("completed", {"a": 1, "b": None})


# -- other workflows


async def test_a_sub_workflow_gives_the_value_of_the_last_node(world: World) -> None:
    child = define(world, graph(step("c", "return {twice: event.payload.n * 2}"), edges=""))
    ir = graph(
        node("w", "sub_workflow", workflowId="wf_1", workflowName="Child", input="{n: {{event.payload.n}} + 1}"),
        step("z", "return {{w.twice}}"),
        edges="w>z",
    )
    run = await world.start(define(world, ir, {"Child": child}), {"n": 3})

    await world.settle()

    assert await values_of(world, run, ir) == {"w": {"twice": 8}, "z": 8}


async def test_a_sub_workflow_that_is_not_waited_for_gives_its_ids(world: World) -> None:
    child = define(world, graph(step("c", "return 1"), edges=""))
    ir = graph(
        node("w", "sub_workflow", workflowId="x", workflowName="Child", input={}, waitForCompletion=False), edges=""
    )
    run = await world.start(define(world, ir, {"Child": child}))

    await world.settle()

    found = (await values_of(world, run, ir))["w"]
    assert found["runId"] == f"run_{found['instanceId']}"


async def test_a_sub_script_is_a_function_step(world: World) -> None:
    ir = graph(node("f", "sub_script", workerName="price", payload={"qty": "{{event.payload.n}}"}), edges="")

    assert await ran(world, ir, {"n": 3}) == ("completed", {"f": {"called": {"qty": 3}}})
