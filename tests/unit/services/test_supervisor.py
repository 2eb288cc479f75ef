"""The supervisor: services are started again after a fault, and a vital one's fault is reported."""

import asyncio

from stepwell.clock import FakeClock
from stepwell.events import Events
from stepwell.services import Service, Supervisor


class Flaky:
    """A service that fails so many times, then waits for the stop."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.starts = 0

    async def run(self, stop: asyncio.Event) -> None:
        self.starts += 1
        if self.starts <= self.failures:
            raise RuntimeError("broken")
        await stop.wait()


async def turns() -> None:
    """Let the event loop do what it can do now."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_service_that_fails_is_started_again_after_a_pause_and_told_of() -> None:
    clock, told, flaky = FakeClock(), [], Flaky(1)
    events = Events([lambda name, fields: told.append((name, fields["service"]))])
    supervisor = Supervisor([Service("flaky", flaky.run)], clock, events)
    supervisor.start()
    await turns()
    assert (flaky.starts, told) == (1, [("service.failed", "flaky")])
    clock.advance(1)
    await turns()
    assert flaky.starts == 2
    await supervisor.stop()


async def test_a_vital_service_that_fails_is_not_started_again_but_reported() -> None:
    clock, flaky = FakeClock(), Flaky(9)
    supervisor = Supervisor([Service("vital", flaky.run, vital=True)], clock, Events())
    supervisor.start()
    await turns()
    assert supervisor.failed.is_set()
    clock.advance(10)
    await turns()
    assert flaky.starts == 1
    await supervisor.stop()
