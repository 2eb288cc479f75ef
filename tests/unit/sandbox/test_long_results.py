"""Long results: the same values, and no stall of the loop."""

import asyncio
import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.errors import StepError
from stepwell.sandbox import child
from stepwell.sandbox.results import assembled

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_what_is_taken_to_pieces_is_put_together_again(value):
    short, child.PIECE = child.PIECE, 10
    try:
        lines = "\n".join(child.pieces(value)).encode()
    finally:
        child.PIECE = short

    assert assembled(lines) == value


LONG = {
    "numbers": ("return Array(4e6).fill(1)", lambda result: result == [1] * 4_000_000),
    "text": ("return 'a'.repeat(1e7)", lambda result: result == "a" * 10_000_000),
    "objects": (
        "return {list: Array(2e4).fill({a: 1.5, b: ['x', 'y']})}",
        lambda result: result["list"] == [{"a": Decimal("1.5"), "b": ["x", "y"]}] * 20_000,
    ),
}


@pytest.mark.parametrize("name", LONG)
async def test_a_long_result_does_not_hold_up_the_loop(run, name):
    code, fits = LONG[name]
    await run("javascript", "return 1")
    stalls = []
    for _ in range(3):
        running = asyncio.ensure_future(run("javascript", code))
        stall = 0.0
        while not running.done():
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            stall = max(stall, time.perf_counter() - before)
        stalls.append(stall)
        assert fits(running.result())
        if stall < 0.05:
            break
    assert min(stalls) < 0.05, stalls


@pytest.mark.parametrize("code", ["let a = 1; for (let i = 0; i < 200; i++) a = [a, 'x'.repeat(1000)]; return a"])
async def test_a_long_result_that_nests_too_deep_is_refused(run, code):
    error = await run("javascript", code)

    assert isinstance(error, StepError) and "nested deeper than 128" in error.message
