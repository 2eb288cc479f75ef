"""The outbox: actions that the server runs at a time, whatever has become of the run that asked for them."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from stepwell import values
from stepwell.auth import Vault
from stepwell.clock import Clock
from stepwell.errors import StepError, StepwellError, StoreUnavailable
from stepwell.events import Events
from stepwell.steps import Actions, Call, ChosenConnection
from stepwell.store import Errand, Store
from stepwell.values import Json

PAGE = 50
TIMEOUT_S = 30.0
MOST_ATTEMPTS = 10
FIRST_DELAY_MS, LONGEST_DELAY_MS = 60_000, 3_600_000

Chore: TypeAlias = Callable[[str, Json, bool], Awaitable[None]]
"""Something the server does itself, in a workspace; the last argument says that it is not tried again."""


class Outbox:
    """Keeps errands sealed, and runs those that are due. An errand runs at least once, each time under the same
    operation id; one that cannot succeed, or has failed ten times, is given up and told of."""

    def __init__(self, store: Store, vault: Vault, actions: Actions, clock: Clock, events: Events) -> None:
        self._store = store.outbox
        self._vault = vault
        self._actions = actions
        self._clock = clock
        self._events = events
        self.noted: Callable[[int], None] = lambda due: None  # told when something was put in
        self.chores: dict[str, Chore] = {}

    async def put(self, action: str, params: Json, call: Call, due_ms: int) -> None:
        """See steps.Outbox."""
        errand = {
            "action": action,
            "params": params,
            "workflow": call.workflow_id,
            "run": call.run_id,
            "path": call.path,
            "connection": [call.connection.id, call.connection.provider] if call.connection else None,
        }
        sealed = self._vault.seal(call.workspace, sealed_for(call.operation_id), values.encode(errand))
        await self._store.put(call.workspace, call.operation_id, due_ms, sealed)
        self.noted(due_ms)

    async def put_chore(self, workspace: str, name: str, operation: str, body: Json, due_ms: int) -> None:
        """Keep a chore of that name (of `chores`) until its time; the same operation is kept once."""
        sealed = self._vault.seal(workspace, sealed_for(operation), values.encode({"chore": name, "body": body}))
        await self._store.put(workspace, operation, due_ms, sealed)
        self.noted(due_ms)

    async def next(self) -> int | None:
        """When something is due next, in epoch ms."""
        return await self._store.next()

    async def run_due(self) -> int:
        """Run a page of what is due; how many were run."""
        due = await self._store.due(self._clock.now_ms(), PAGE)
        for errand in due:
            await self._run(errand)
        return len(due)

    async def _run(self, errand: Errand) -> None:
        try:
            kept = values.decode(self._vault.open(errand.workspace, sealed_for(errand.operation), errand.sealed))
            if "chore" in kept:
                last = errand.attempts + 1 >= MOST_ATTEMPTS
                await self.chores[kept["chore"]](errand.workspace, kept["body"], last)
            else:
                await self._actions.perform(kept["action"], kept["params"], _call(errand, kept))
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one errand must not hold the others up; it is told of
            await self._failed(errand, error)
        else:
            self._events.emit("outbox.done", operation=errand.operation, attempt=errand.attempts + 1)
            await self._store.end(errand.workspace, errand.operation)

    async def _failed(self, errand: Errand, error: Exception) -> None:
        if isinstance(error, StepError) and error.retryable and errand.attempts + 1 < MOST_ATTEMPTS:
            delay = min(FIRST_DELAY_MS * 2**errand.attempts, LONGEST_DELAY_MS)
            await self._store.put_off(errand.workspace, errand.operation, self._clock.now_ms() + delay)
            return
        message = error.message if isinstance(error, StepError | StepwellError) else repr(error)
        self._events.emit("outbox.given_up", operation=errand.operation, error=message)
        await self._store.end(errand.workspace, errand.operation)


def _call(errand: Errand, kept: dict[str, Json]) -> Call:
    return Call(
        workspace=errand.workspace,
        workflow_id=kept["workflow"],
        run_id=kept["run"],
        path=kept["path"],
        attempt=errand.attempts + 1,
        operation_id=errand.operation,
        now_ms=errand.due,
        timeout_s=TIMEOUT_S,
        connection=ChosenConnection(*kept["connection"]) if kept["connection"] else None,
        reveal=lambda value: value,  # it was opened before it was sealed
    )


def sealed_for(operation: str) -> str:
    """What an errand is sealed for."""
    return f"outbox:{operation}"
