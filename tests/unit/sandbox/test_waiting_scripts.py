"""Scripts that wait: for timers, for the host, for ever; and what happens to them when others misbehave."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from stepwell.errors import StepError
from stepwell.sandbox import Sandbox, pool
from stepwell.steps import Script
from stepwell.steps.ports import Host
from stepwell.values import Json


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    await sandbox.close()


async def run(
    sandbox: Sandbox,
    code: str,
    input: Json = None,
    host: Host | None = None,
    *,
    lines: list[str] | None = None,
    workspace: str = "w",
    timeout_ms: int = 10_000,
) -> Json:
    script = Script("javascript", code, input, kept=True, timeout_ms=timeout_ms)
    return await sandbox.run(workspace, script, ([] if lines is None else lines).append, host)


# -- timers


async def test_scripts_that_sleep_do_not_keep_others_waiting(sandbox):
    sleep = "await new Promise((done) => setTimeout(done, 500)); return 1"
    began = time.monotonic()

    assert await asyncio.gather(*(run(sandbox, sleep) for _ in range(20))) == [1] * 20

    assert time.monotonic() - began < 4  # one after the other in two children they took 5 s


async def test_timers_of_a_script_fire_in_their_order(sandbox):
    code = """
    const seen = [];
    const at = (ms, text) => new Promise((done) => setTimeout(() => { seen.push(text); done() }, ms));
    await Promise.all([at(30, 'c'), at(0, 'a'), at(10, 'b')]);
    return seen"""

    assert await run(sandbox, code) == ["a", "b", "c"]


async def test_a_timer_that_is_cleared_does_not_fire(sandbox):
    lines: list[str] = []
    code = """
    clearTimeout(setTimeout(() => console.log('cleared'), 1));
    clearTimeout(0);
    await new Promise((done) => setTimeout(done, 20));
    return 1"""

    assert await run(sandbox, code, lines=lines) == 1

    assert lines == []


async def test_a_timer_does_not_run_on_behind_the_end_of_its_script(sandbox):
    await run(sandbox, "setTimeout(() => { for (;;); }, 5); return 1")
    await run(sandbox, "await new Promise((done) => setTimeout(done, 50))")  # by then it would have fired

    assert await run(sandbox, "return 2", timeout_ms=1000) == 2


async def test_waiting_for_timers_counts_as_time_of_the_script(sandbox):
    code = "for (;;) await new Promise((done) => setTimeout(done, 5))"

    with pytest.raises(StepError, match="The script took longer than 200 ms"):
        await run(sandbox, code, timeout_ms=200)


async def test_a_small_limit_of_the_result_is_no_limit_for_waiting(sandbox):
    script = Script(
        "javascript", "await new Promise((done) => setTimeout(done, 5)); return 1", None, max_output_bytes=1, kept=True
    )

    assert await sandbox.run("w", script, print) == 1


# -- for ever


async def test_a_script_that_waits_for_nothing_is_ended_soon(sandbox):
    with pytest.raises(StepError, match="waits for something that never happens"):
        await run(sandbox, "await new Promise(() => {})")

    assert await run(sandbox, "return 1") == 1


async def test_a_result_that_cannot_be_shown_is_an_error_at_once(sandbox):
    with pytest.raises(StepError, match="Uncaught"):
        await run(sandbox, "return (async () => ({toJSON() { throw Object.create(null) }}))()")


# -- text that is no text, and values without an end


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("console.log('a\\ud800b'); return 1", "a\ufffdb"),
        ("console.log('a' + '😀'.repeat(60000)); return 1", None),
    ],
)  # fmt: skip
async def test_half_a_character_in_a_line_ends_nothing(sandbox, code, told):
    lines: list[str] = []

    assert await run(sandbox, code, lines=lines) == 1

    assert told in (None, lines[0])


async def test_half_a_character_in_a_result_becomes_the_sign_for_unreadable_ones(sandbox):
    code = "return ['😀'.slice(0, 1), '\\\\ud800', '😀', {'\\udc00': 1}]"

    assert await run(sandbox, code) == ["\ufffd", "\\ud800", "😀", {"\ufffd": 1}]


async def test_half_a_character_in_an_error_is_no_end_of_the_process(sandbox):
    await run(sandbox, "return 1")
    pids = sandbox.pids

    with pytest.raises(StepError, match="Error: a\ufffd"):
        await run(sandbox, "throw new Error('a\\ud800')")

    assert sandbox.pids == pids


async def test_a_result_that_nests_without_end_is_no_end_of_the_process(sandbox):
    await run(sandbox, "return 1")
    pids = sandbox.pids

    with pytest.raises(StepError, match="The script's result is not JSON: "):
        await run(sandbox, "let a = 1; for (let i = 0; i < 100000; i++) a = [a]; return a")

    assert sandbox.pids == pids


# -- questions


async def echo(question: Json) -> Json:
    return question


async def test_a_question_that_is_not_json_leaves_nothing_to_wait_for(sandbox):
    code = """
    try { __ask(1n) } catch {}
    await __ask(1);
    await new Promise((done) => setTimeout(done, 10));
    return 2"""

    assert await run(sandbox, code, host=echo) == 2


async def test_a_question_that_asks_another_while_it_is_written_loses_neither(sandbox):
    code = (
        "let inner; const outer = __ask({toJSON() { inner = __ask(1); return 2 }}); return [await inner, await outer]"
    )

    assert await run(sandbox, code, host=echo) == [1, 2]


async def test_of_many_questions_some_are_answered_at_once(sandbox):
    under_way, most = 0, 0

    async def counting(question: Json) -> Json:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return question

    code = "return Promise.all(Array.from({length: 1000}, (_, i) => __ask(i)))"

    assert await run(sandbox, code, host=counting) == list(range(1000))

    assert most == 64


async def test_scripts_that_wait_for_scripts_never_take_all_the_places(monkeypatch):
    monkeypatch.setattr(pool, "MAX_PARKED", pool.DEEPEST + 2)
    sandbox = Sandbox(per_workspace=1)

    async def inner(question: Json) -> Json:
        return await run(sandbox, "return __ask(1)", host=echo)

    answers = await asyncio.gather(*(run(sandbox, "return __ask(1)", host=inner) for _ in range(30)))

    assert answers == [1] * 30
    await sandbox.close()


async def test_scripts_that_ask_for_themselves_without_end_are_told_so(sandbox):
    async def again(question: Json) -> Json:
        return await run(sandbox, "return __ask(1)", host=again)

    with pytest.raises(StepError, match="Functions call each other more than 16 deep"):
        await run(sandbox, "return __ask(1)", host=again)


# -- what others do


async def test_scripts_that_wait_with_much_in_memory_are_left_to_their_end(sandbox):
    opened = asyncio.Event()

    async def slow(question: Json) -> Json:
        await opened.wait()
        return question

    code = "const kept = Array.from({length: 3e6}, (_, i) => i + 0.5); await __ask(1); return kept.length"
    waiting = [asyncio.ensure_future(run(sandbox, code, host=slow)) for _ in range(6)]
    async with asyncio.timeout(10):
        while len(sandbox.pids) < 3:  # the first two keep too much to begin others
            await run(sandbox, "return 1")
    opened.set()

    assert await asyncio.gather(*waiting) == [3_000_000] * 6


async def test_a_script_that_waits_is_not_ended_to_make_room_for_another_workspace():
    sandbox = Sandbox(max_children=1)
    pids: set[int] = set()

    async def other(question: Json) -> Json:
        pids.update(sandbox.pids)
        return await run(sandbox, "return 2", workspace="other")

    assert await run(sandbox, "return __ask(1)", host=other) == 2

    assert pids <= set(sandbox.pids)
    await sandbox.close()


async def kill(sandbox: Sandbox) -> None:
    """Kill the processes that are there, and wait until the loop has seen their ends."""
    children = sandbox._pool.children
    for child in children:
        child.process.kill()
    async with asyncio.timeout(10):
        while any(child.alive for child in children):  # noqa: ASYNC110 - nobody tells of the end of a connection
            await asyncio.sleep(0)


def killing(sandbox: Sandbox, asked: list[Json]) -> Host:
    """A host under which the process of a script dies, once, at its second question."""

    async def host(question: Json) -> Json:
        asked.append(question)
        if len(asked) == 2:
            await kill(sandbox)
        return len(asked)

    return host


async def test_a_script_whose_process_ended_goes_on_in_another_and_asks_nothing_twice(sandbox):
    asked: list[Json] = []
    lines: list[str] = []
    code = """
    const told = [];
    for (const question of ['a', 'b', 'c']) { console.log(question); told.push(await __ask(question)); }
    console.log('end');
    return told"""

    await run(sandbox, "return __ask('of an earlier script')", host=echo)

    assert await run(sandbox, code, host=killing(sandbox, asked), lines=lines) == [1, 2, 3]

    assert asked == ["a", "b", "c"]
    assert lines == ["a", "b", "c", "end"]


async def test_a_script_whose_process_ended_and_that_asks_something_else_then_is_told_so(sandbox):
    asked: list[Json] = []

    with pytest.raises(StepError, match="ended unexpectedly"):
        await run(sandbox, "await __ask(Math.random()); return __ask(1)", host=killing(sandbox, asked))

    assert len(asked) == 2


async def test_a_script_that_was_told_too_much_is_not_repeated(sandbox):
    asked: list[Json] = []
    host = killing(sandbox, asked)

    async def much(question: Json) -> Json:
        await host(question)
        return "x" * 2_000_000

    with pytest.raises(StepError, match="ended unexpectedly"):
        await run(sandbox, "await __ask(1); await __ask(2); return 1", host=much)


async def test_a_script_whose_process_ends_again_and_again_is_told_so(sandbox):
    async def deadly(question: Json) -> Json:
        await kill(sandbox)
        return question

    with pytest.raises(StepError, match="ended unexpectedly"):
        await run(sandbox, "for (let i = 0; i < 10; i++) await __ask(i)", host=deadly)


async def test_a_sleeping_script_whose_process_ended_begins_anew(sandbox):
    await run(sandbox, "return 1")
    sleeping = asyncio.ensure_future(run(sandbox, "await new Promise((done) => setTimeout(done, 500)); return 1"))
    await asyncio.sleep(0)  # for it to take the process that there is
    await run(sandbox, "return 2")  # in a new one

    await kill(sandbox)

    assert await sleeping == 1
