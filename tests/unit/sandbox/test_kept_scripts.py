"""Scripts that are kept: run again where they ran before, and able to ask the host."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from stepwell.errors import StepError
from stepwell.sandbox import Sandbox
from stepwell.steps import Script
from stepwell.values import Json


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    await sandbox.close()


FROZEN = """
const seen = new Set(), bad = [];
const visit = (value, path) => {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return;
  if (value === globalThis || seen.has(value)) return;
  seen.add(value);
  if (!Object.isFrozen(value)) bad.push(path);
  visit(Object.getPrototypeOf(value), `${path} above`);
  for (const key of Reflect.ownKeys(value)) {
    const found = Object.getOwnPropertyDescriptor(value, key), name = `${path}.${String(key)}`;
    for (const part of [found.value, found.get, found.set]) visit(part, name);
  }
};
for (const key of Reflect.ownKeys(globalThis)) {
  const found = Object.getOwnPropertyDescriptor(globalThis, key);
  if (found.configurable || found.writable) bad.push(String(key));
  for (const part of [found.value, found.get, found.set]) visit(part, String(key));
}
const segments = new Intl.Segmenter().segment('a');
const more = [function* () {}, function* () {}.prototype, async function* () {}, async function* () {}.prototype,
  async () => {}, [].values(), new Map().keys(), new Set().keys(), ''[Symbol.iterator](), 'a'.matchAll(/a/g),
  [].values().map(String), Iterator.from({ next() {} }), segments, segments[Symbol.iterator](), new Uint8Array().keys(),
];
more.forEach((value, at) => visit(Object.getPrototypeOf(value), `more ${at}`));
const traced = {};
Error.captureStackTrace(traced);
for (const value of [new Error(), traced]) {
  const { get, set } = Object.getOwnPropertyDescriptor(value, 'stack');
  visit(get, 'get stack');
  visit(set, 'set stack');
}
visit(Object.getPrototypeOf(globalThis), 'above the global object');
visit(__ask, '__ask');
visit(arguments.callee, 'callee');
return [seen.size > 1000, bad];
"""


async def test_all_that_scripts_share_is_frozen(sandbox):
    assert await sandbox.run("w", Script("javascript", FROZEN, None, kept=True), print) == [True, []]


async def twice(sandbox: Sandbox, code: str, lines: list[str] | None = None) -> list[Json]:
    """What a script gives in its first and its second call; `input` is which of them it is."""
    log = ([] if lines is None else lines).append
    return [await sandbox.run("w", Script("javascript", code, call, kept=True), log) for call in (1, 2)]


# -- nothing stays


@pytest.mark.parametrize(
    "left",
    [
        "undeclared = 1",
        "globalThis.made = 1",
        "(0, eval)('var made = 1')",
        "Object.defineProperty(globalThis, 'fixed', {value: 1})",
        "Object.preventExtensions(globalThis)",
        "Object.setPrototypeOf(globalThis, {inherited: 1})",
        "Array.prototype.mine = 1",
        "Object.prototype.mine = 1",
        "JSON.parse = () => 'mine'",
        "globalThis.JSON = {parse: () => 'mine'}",
        "delete globalThis.JSON",
        "console.log = () => 'mine'",
        "arguments.callee.mine = 1",
        "__ask.mine = 1",
        "setTimeout = () => 0",
        "'mine'.match(/m(i)ne/)",
        "[].values().__proto__.next = () => ({done: true})",
        "(function* () {})().__proto__.__proto__.next = 1",
        "Date.now = () => 0",
        "Error.prototype.name = 'Mine'",
        "NonRetryableError.prototype.name = 'Mine'",
        "Object.getPrototypeOf(globalThis).made = 1",
        "globalThis.__proto__.undeclared = 1",
    ],
)
async def test_a_call_finds_nothing_of_the_one_before(sandbox, left):
    code = (
        f"if (input === 1) {{ try {{ {left} }} catch (error) {{}} }}\n"
        "return [Reflect.ownKeys(globalThis).length, typeof undeclared, typeof made, typeof fixed, typeof inherited, "
        "[].mine, ({}).mine, __ask.mine, JSON.parse('1'), typeof console.log(''), arguments.callee.mine, RegExp.$1, "
        "[...'ab'], String(setTimeout).length, "
        "[...(function* () { yield 1 })()], Date.now() > 0, new Error('a').name, new NonRetryableError('a').name, "
        "Object.isExtensible(globalThis)];"
    )
    clean = await sandbox.run("w", Script("javascript", f"{code} // untouched", 2, kept=True), print)

    _, second = await twice(sandbox, code)

    assert second == clean


async def test_a_timer_of_an_earlier_call_never_fires(sandbox):
    lines: list[str] = []
    code = """
    if (input === 1) { setTimeout(() => console.log('late'), 5); return 1; }
    return new Promise((done) => setTimeout(done, 30, 2));
    """

    assert await twice(sandbox, code, lines) == [1, 2]

    assert lines == []


async def test_a_promise_of_an_earlier_call_answers_no_later_one(sandbox):
    code = "return Promise.race([input, __ask('never')])"

    assert await twice(sandbox, code) == [1, 2]


# -- what may be done all the same


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("class Mine extends Error { name = 'Mine' } return String(new Mine('a'))", "Mine: a"),
        ("class Mine extends Error { constructor() { super(); this.name = 'Mine' } } return `${new Mine()}`", "Mine"),
        ("const e = new TypeError('a'); e.message = 'b'; e.name = 'N'; return String(e)", "N: b"),
        ("const n = {}; for (const w of ['constructor', 'toString']) n[w] = 1; return Object.values(n)", [1, 1]),
        ("const o = {}; o.toString = () => 'mine'; return `${o}`", "mine"),
        ("function F() {} F.prototype.toString = () => 'mine'; return `${new F()}`", "mine"),
        ("const d = new Date(0); d.toJSON = () => 'mine'; return d", "mine"),
        ("class L extends Array {} return L.from([1, 2]).map((x) => x * 2)", [2, 4]),
        ("const m = new Map([[1, 2]]); m.set(3, 4); return [...m.values()]", [2, 4]),
        ("return 'a-b'.replace(/(\\w)-(\\w)/, '$2-$1')", "b-a"),
        ("return new Intl.NumberFormat('en').format(1234.5)", "1,234.5"),
        ("return [3, 1, 2].sort().concat([4]).at(-1)", 4),
        ("return (async () => { await null; return 1 })()", 1),
        ("return [Object.keys({a: 1}), Object.prototype.hasOwnProperty.call({a: 1}, 'a')]", [["a"], True]),
    ],
)  # fmt: skip
async def test_frozen_built_ins_do_not_get_in_the_way(sandbox, code, value):
    assert await twice(sandbox, code) == [value, value]


async def test_an_error_names_the_line(sandbox):
    with pytest.raises(StepError, match=r"Error: a \(line 2\)"):
        await twice(sandbox, "const a = 1;\nthrow new Error('a');")


async def test_two_scripts_of_one_workspace_do_not_meet(sandbox):
    for code in ("globalThis.mine = 1; return 1", "return typeof mine", "globalThis.mine = 1; return 1"):
        told = await sandbox.run("w", Script("javascript", code, None, kept=True), print)
        assert told in (1, "undefined")


# -- questions to the host


async def host(question: Json) -> Json:
    if question == "never":
        await asyncio.Event().wait()
    if question == "refused":
        raise StepError("No such thing", kind="code")
    return [question, "answered"]


async def asked(sandbox: Sandbox, code: str) -> Json:
    return await sandbox.run("w", Script("javascript", code, None, kept=True), print, host)


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("return __ask({a: 1})", [{"a": 1}, "answered"]),
        ("return __ask('refused').catch((error) => [error instanceof Error, error.message])", [True, "No such thing"]),
        ("const a = await __ask(1); return [a[0], (await __ask(2))[0]]", [1, 2]),
        ("return (await Promise.all([__ask(1), __ask(2)])).map(([a]) => a)", [1, 2]),
        ("return (await Promise.race([__ask('never'), __ask(2)]))[0]", 2),
        ("return Promise.race([__ask('never'), new Promise((done) => setTimeout(done, 1, 'timer'))])", "timer"),
        ("__ask('never'); return 1", 1),
    ],
)  # fmt: skip
async def test_a_question_is_answered(sandbox, code, value):
    assert await asked(sandbox, code) == value


async def test_an_answer_that_nobody_catches_is_the_scripts_error(sandbox):
    with pytest.raises(StepError, match="No such thing"):
        await asked(sandbox, "return __ask('refused')")


async def test_lines_are_logged_before_and_after_a_question(sandbox):
    lines: list[str] = []
    code = "console.log('a'); await __ask(1); console.log('b'); return 1"

    await sandbox.run("w", Script("javascript", code, None, kept=True), lines.append, host)

    assert lines == ["a", "b"]


async def test_many_scripts_wait_at_once_and_others_run_meanwhile(sandbox):
    opened = asyncio.Event()

    async def slow(question: Json) -> Json:
        await opened.wait()
        return question

    script = Script("javascript", "return __ask(input)", 1, kept=True)
    waiting = [asyncio.ensure_future(sandbox.run("w", script, print, slow)) for _ in range(40)]

    async def another(question: Json) -> Json:
        return await sandbox.run("w", Script("javascript", "return 2", None, kept=True), print)

    assert await sandbox.run("w", script, print, another) == 2  # behind all of them, and inside one of them
    opened.set()

    assert await asyncio.gather(*waiting) == [1] * 40


async def test_a_script_without_a_host_is_told_so(sandbox):
    with pytest.raises(StepError, match="Nothing can be asked here"):
        await sandbox.run("w", Script("javascript", "return __ask(1)", None, kept=True), print)


async def test_a_cancelled_script_stops_what_it_asked(sandbox):
    stopped, begun = asyncio.Event(), asyncio.Event()

    async def endless(question: Json) -> Json:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    script = Script("javascript", "return __ask(1)", None, kept=True)
    running = asyncio.ensure_future(sandbox.run("w", script, print, endless))
    await begun.wait()
    running.cancel()

    await asyncio.gather(running, return_exceptions=True)

    await asyncio.wait_for(stopped.wait(), 5)
    assert await asked(sandbox, "return __ask(2)") == [2, "answered"]
