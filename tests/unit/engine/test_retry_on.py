"""`retryOn: "any"`: errors that would end the step at once are repeated as well."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit import World, effect
from stepwell.definitions import RetryPolicy


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path / "stepwell.db")
    await world.boot()
    yield world
    await world.store.close()


@pytest.mark.parametrize(("retry_on", "attempts"), [("any", 3), ("transient", 1), (None, 1)])
async def test_an_error_that_does_not_pass_is_repeated_only_if_any_is(
    world: World, retry_on: str | None, attempts: int
) -> None:
    retry = {"maxAttempts": 3, **({} if retry_on is None else {"retryOn": retry_on})}
    run = await world.start(world.define(effect("pay", {"fail": 9, "status": 400}, retryConfig=retry)))
    await world.settle_through(60)

    assert (await world.outcome(run))[0] == "failed"
    assert len(world.ledger.performed) == attempts


def test_linear_delays_grow_by_the_first_one_up_to_the_longest() -> None:
    policy = RetryPolicy(initial_delay_ms=1000, max_delay_ms=2500, linear=True)

    assert [policy.delay_ms(failed, lambda: 1.0) for failed in (1, 2, 3, 4)] == [1000, 2000, 2500, 2500]


def test_a_fixed_back_off_waits_the_same_each_time(world: World) -> None:
    retry = {"maxAttempts": 5, "initialDelayMs": 100, "backoff": "fixed"}
    workflow = world.define(effect("pay", retryConfig=retry))

    policy = world.plans[workflow, 1].steps["pay"].retry

    assert [policy.delay_ms(failed, lambda: 1.0) for failed in (1, 2, 3)] == [100, 100, 100]
