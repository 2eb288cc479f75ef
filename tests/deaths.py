"""Deaths at commit boundaries: the store dies before or after its n-th commit, and the process with it."""

import asyncio
from collections.abc import Awaitable, Callable

from kit import World
from stepwell.store.sqlite import Death


class Dying:
    """Lets the store die at its n-th commit, in the given phase: before (lost) or after (kept, but nobody is told).
    Only commits for which `armed` holds are counted."""

    def __init__(self, at: int, phase: str, armed: Callable[[], bool] = lambda: True) -> None:
        self.at = at
        self.phase = phase
        self.armed = armed
        self.commits = 0
        self.dead = asyncio.Event()

    def __call__(self, phase: str) -> None:
        self.commits += phase == self.phase and self.armed()
        if self.commits == self.at and phase == self.phase:
            self.dead.set()
            raise Death


async def live(world: World, dying: Dying, story: Callable[[], Awaitable[None]]) -> bool:
    """Boot and run a story until it ends or the process dies; True if it died."""

    async def life() -> None:
        await world.boot(dying)
        await story()

    living = asyncio.ensure_future(life())
    dead = asyncio.ensure_future(dying.dead.wait())
    await asyncio.wait((living, dead), return_when=asyncio.FIRST_COMPLETED)
    dead.cancel()
    if not dying.dead.is_set():
        await living
        await world.store.close()
        return False
    living.cancel()
    await asyncio.gather(living, dead, return_exceptions=True)
    world.kill()
    return True
