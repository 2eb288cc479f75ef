"""Rate limits: an exact sliding window."""

import pytest

from stepwell.clock import FakeClock
from stepwell.http.errors import RateLimited
from stepwell.http.rates import MANY, Rates


def test_never_more_than_the_limit_in_any_60_seconds() -> None:
    clock = FakeClock()
    rates = Rates(clock)
    accepted: list[float] = []

    for _ in range(400):
        try:
            rates.take("key", "read", 5)
            accepted.append(clock.monotonic())
        except RateLimited:
            pass
        clock.advance(1.7)

    assert all(late - early >= 60 for early, late in zip(accepted, accepted[5:], strict=False))
    assert len(accepted) > 50


def test_a_refusal_says_when_there_is_room_and_is_not_counted() -> None:
    clock = FakeClock()
    rates = Rates(clock)
    rates.take("key", "read", 1)
    clock.advance(20)

    with pytest.raises(RateLimited) as refusal:
        rates.take("key", "read", 1)
    clock.advance(refusal.value.retry_after_s)

    assert refusal.value.retry_after_s == 40
    assert rates.take("key", "read", 1).remaining == 0


def test_callers_and_categories_have_windows_of_their_own() -> None:
    rates = Rates(FakeClock())

    assert [rates.take(*who, 1).remaining for who in (("a", "read"), ("b", "read"), ("a", "write"))] == [0, 0, 0]


def test_what_is_left_and_when_it_is_more_is_told() -> None:
    clock = FakeClock(now_ms=1_000_000)
    rates = Rates(clock)
    rates.take("key", "read", 3)
    clock.advance(10)

    allowance = rates.take("key", "read", 3)

    assert (allowance.limit, allowance.remaining, allowance.reset) == (3, 1, 1060)


def test_empty_windows_are_let_go_once_there_are_many() -> None:
    clock = FakeClock()
    rates = Rates(clock)
    for number in range(MANY):
        rates.take(str(number), "read", 1)
    clock.advance(61)

    rates.take("new", "read", 1)

    assert len(rates) == 1
