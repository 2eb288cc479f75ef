"""The supervisor: starts the services in order, starts again what may fail, and reports when a vital one has failed."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from stepwell.clock import Clock
from stepwell.events import Events

RESTART_S = 1.0


@dataclass(frozen=True, slots=True)
class Service:
    """Something that runs until `stop` is set. `wake` makes it look at `stop`; a vital one takes the process down."""

    name: str
    run: Callable[[asyncio.Event], Awaitable[None]]
    wake: Callable[[], None] = lambda: None
    vital: bool = False


class Supervisor:
    """Runs services."""

    def __init__(self, services: list[Service], clock: Clock, events: Events) -> None:
        self._services = services
        self._clock = clock
        self._events = events
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.failed = asyncio.Event()  # a vital service failed

    def start(self) -> None:
        """Start all services."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._keep(service), name=service.name) for service in self._services]

    async def stop(self) -> None:
        """Tell all services to stop and wait for them."""
        self._stop.set()
        for service in self._services:
            service.wake()
        await asyncio.gather(*self._tasks)

    async def _keep(self, service: Service) -> None:
        while not self._stop.is_set():
            try:
                await service.run(self._stop)
            except Exception as error:  # noqa: BLE001 - a service loop
                self._events.emit("service.failed", service=service.name, error=repr(error))
                if service.vital:
                    self.failed.set()
                    return
                await self._clock.wait(self._stop, RESTART_S)
