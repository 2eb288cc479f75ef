"""The syntax of scripts is checked where they would run, and nothing of them is run."""

from collections.abc import AsyncIterator

import pytest

from stepwell.core import Draft, Scripts
from stepwell.sandbox import Sandbox


@pytest.fixture
async def scripts() -> AsyncIterator[Scripts]:
    sandbox = Sandbox()
    yield Scripts(sandbox)
    await sandbox.close()


def body(code: str) -> Draft:
    return Draft(code, ("input",))


def expression(code: str) -> Draft:
    return Draft(code, ("output", "input"), expression=True)


async def test_each_script_is_judged_alone(scripts: Scripts) -> None:
    told = await scripts.faults("w", [body("return await input"), body("return ("), expression("output.a > 1 // yes")])

    assert (told[0], told[2]) == (None, None)
    assert told[1] is not None
    assert told[1].startswith("SyntaxError")


@pytest.mark.parametrize("code", ["1); (2", "a b", "", "x; y", "1] + [2", "...x", "return 1", "}) => ({"])
async def test_an_expression_cannot_close_what_it_stands_in(scripts: Scripts, code: str) -> None:
    assert await scripts.faults("w", [expression(code)]) != [None]


@pytest.mark.parametrize("code", ["} while (true) {", "}); (async function () {", "await"])
async def test_a_body_cannot_close_what_it_stands_in(scripts: Scripts, code: str) -> None:
    assert await scripts.faults("w", [body(code)]) != [None]


async def test_nothing_is_run(scripts: Scripts) -> None:
    assert await scripts.faults("w", [body("for (;;);"), expression("(() => { for (;;); })()")]) == [None, None]


async def test_code_that_is_nested_too_deeply_is_told_so(scripts: Scripts) -> None:
    told = await scripts.faults("w", [body("(" * 200_000)])

    assert told != [None]
