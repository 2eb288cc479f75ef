"""Functions of IRs as programs, in the real sandbox. Source: AwaitStep contract 8."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from awaitstep_graphs import graph, node, step
from stepwell.errors import StepError
from stepwell.http.dialects.awaitstep.functions import compile_function
from stepwell.http.dialects.awaitstep.ir import check
from stepwell.sandbox import Sandbox
from stepwell.steps import Script
from stepwell.values import Json

Called = Callable[..., Awaitable[Json]]


@pytest.fixture
async def call() -> AsyncIterator[Called]:
    sandbox = Sandbox()

    async def called(ir: Json, payload: Json = None, trigger: str | None = None) -> Json:
        checked = check({**ir, "kind": "script"}, "script")
        assert (checked.schema_faults, checked.graph_faults) == ([], [])
        program = compile_function(checked, trigger)
        assert program.faults == []
        request = {"method": "GET", "url": "/fn/x", "path": "/fn/x", "query": {}, "headers": {}, "text": '{"n": 2}'}
        given = {"event": {"payload": payload}, "env": {"RATE": "3"}, "now": 0, "request": request}
        code = f"return (async (input) => {{\n{program.code}\n}})(input);"
        script = Script(language="javascript", code=code, input=given, timeout_ms=5000)
        return await sandbox.run("w", script, lambda line: None)

    yield called
    await sandbox.close()


def out(id: str, name: str, code: str) -> Json:
    return {**step(id, code), "name": f"EXPORT_{name}"}


async def test_only_exported_nodes_are_answered(call: Called) -> None:
    ir = graph(
        step("a", "return event.payload.n * Number(env.RATE);"), out("b", "The total", "return {{a}} + 1;"), edges="a>b"
    )

    assert await call(ir, {"n": 2}) == {"The_total": 7}


async def test_code_reads_nodes_before_it_by_their_names(call: Called) -> None:
    ir = graph({**step("a", "return {x: 1};"), "name": "First one"}, out("b", "X", "return First_one.x;"), edges="a>b")

    assert await call(ir) == {"X": 1}


async def test_what_code_throws_is_the_error_of_the_call(call: Called) -> None:
    with pytest.raises(StepError, match="qty is required"):
        await call(graph(step("a", "throw new NonRetryableError('qty is required');"), edges=""))


async def test_a_branch_not_taken_exports_nothing(call: Called) -> None:
    chosen = [{"label": "yes", "condition": "event.payload.n > 1"}, {"label": "no", "condition": ""}]
    ir = graph(
        node("b", "branch", branches=chosen),
        out("y", "Y", "return 1;"),
        out("n", "N", "return 2;"),
        edges="b>y:yes b>n:no",
    )

    assert await call(ir, {"n": 2}) == {"Y": 1}
    assert await call(ir, {"n": 1}) == {"N": 2}


async def test_a_parallel_tells_of_each_arm(call: Called) -> None:
    ir = graph(
        node("p", "parallel"),
        step("a", "return 1;"),
        step("b", "throw new Error('no');"),
        out("c", "All", "return {{p}};"),
        edges="p>a:1 p>b:2 p>c:then",
    )

    reason = {"name": "Error", "message": "no", "nodeId": "b"}
    assert await call(ir) == {"All": [{"status": "fulfilled", "value": 1}, {"status": "rejected", "reason": reason}]}


async def test_a_race_is_decided_by_the_first_arm(call: Called) -> None:
    ir = graph(
        node("r", "race"),
        step("a", "return new Promise(() => {});"),
        step("b", "return 2;"),
        out("c", "First", "return {{r}};"),
        edges="r>a:1 r>b:2 r>c:then",
    )

    assert await call(ir) == {"First": 2}


async def test_an_error_is_caught_and_finally_runs(call: Called) -> None:
    ir = graph(
        node("t", "try_catch"),
        step("a", "throw new TypeError('bad');"),
        out("c", "Caught", "return [err.name, {{t.error.message}}, err.nodeId];"),
        out("f", "Finally", "return true;"),
        edges="t>a:try t>c:catch t>f:finally",
    )

    assert await call(ir) == {"Caught": ["TypeError", "bad", "a"], "Finally": True}


@pytest.mark.parametrize(
    ("data", "results"),
    [
        ({"loopType": "forEach", "collection": "{{event.payload}}"}, [10, 21, 32]),
        ({"loopType": "times", "count": 2, "itemVar": "i2"}, [0, 1]),
        ({"loopType": "while", "condition": "i < 2"}, [0, 1]),
    ],
)
async def test_a_loop_gives_the_value_of_each_turn(call: Called, data: Json, results: Json) -> None:
    body = "return item * 10 + i;" if data["loopType"] == "forEach" else "return {{i}};"
    ir = graph(node("l", "loop", **data), step("a", body), out("c", "Out", "return {{l}};"), edges="l>a:body l>c:then")

    assert await call(ir, [1, 2, 3]) == {"Out": {"results": results, "count": len(results)}}


async def test_a_break_ends_its_loop(call: Called) -> None:
    ir = graph(
        node("l", "loop", loopType="times", count=5),
        step("a", "return i;"),
        node("b", "break", condition="{{a}} === 1"),
        out("c", "Out", "return {{l.results}};"),
        edges="l>a:body a>b l>c:then",
    )

    assert await call(ir) == {"Out": [0, 1]}


async def test_a_break_outside_of_a_loop_ends_the_call(call: Called) -> None:
    ir = graph(out("a", "A", "return 1;"), node("b", "break"), out("c", "C", "return 2;"), edges="a>b b>c")

    assert await call(ir) == {"A": 1}


async def test_trigger_code_answers_the_request(call: Called) -> None:
    code = (
        "const {n} = await request.json(); const {N} = await runGraph(env, {payload: {n}}); "
        "return new Response(`${request.method} ${N}`, {status: 418, headers: {'x-kind': 'teapot'}});"
    )
    told = await call(graph(out("a", "N", "return event.payload.n + 1;"), edges=""), trigger=code)

    assert told == {"status": 418, "headers": {"x-kind": "teapot"}, "body": "GET 3"}


def test_trigger_code_that_is_too_long_is_a_fault() -> None:
    ir = graph(step("a", "return 1;"), edges="") | {"kind": "script"}

    assert [fault.message for fault in compile_function(check(ir, "script"), "x" * 50_001).faults] == [
        "At most 50000 characters"
    ]
