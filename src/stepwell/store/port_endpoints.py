"""What a store offers for outbound endpoints and their messages; see store.port for the rules of all verbs."""

from collections.abc import Callable
from typing import Protocol

from stepwell.store.rows_endpoints import Endpoint, EndpointMessage, MessageStatus


class Endpoints(Protocol):
    """Endpoints and their messages. What happens to a run is a message for every enabled endpoint that asks for it, in
    the commit that changes the run: run.started, run.suspended (for somebody, or because it is paused), run.completed,
    run.failed (timeouts too) and run.cancelled."""

    async def create(self, endpoint: Endpoint, most: int) -> bool:
        """Store an endpoint; False if the workspace has `most` already."""
        ...

    async def get(self, workspace: str, endpoint: str) -> Endpoint | None:
        """One endpoint."""
        ...

    async def page(self, workspace: str, *, before: str | None, limit: int) -> list[Endpoint]:
        """Newest first, `before` being the id after which the page starts."""
        ...

    async def save(self, changed: Endpoint, *, seen: int) -> bool:
        """Write an edit, if the stored `updated_at` is still `seen`; else False. `failing_since` is not written,
        but one that is enabled again fails since never."""
        ...

    async def disable(self, workspace: str, endpoint: str, reason: str, now: int) -> bool:
        """Disable an endpoint; False if it is not enabled."""
        ...

    async def delete(self, workspace: str, endpoint: str) -> bool:
        """Remove an endpoint; its messages stay until they are dropped."""
        ...

    async def put(self, message: EndpointMessage) -> None:
        """Keep a message; one of an id once."""
        ...

    async def message(self, workspace: str, endpoint: str, message: str) -> EndpointMessage | None:
        """One message of an endpoint."""
        ...

    async def messages(
        self, workspace: str, endpoint: str, *, status: MessageStatus | None, before: str | None, limit: int
    ) -> list[EndpointMessage]:
        """Messages of an endpoint, newest first, `before` being the id after which the page starts."""
        ...

    async def requeue(self, workspace: str, endpoint: str, message: str, now: int) -> bool:
        """A message is due now, whatever became of it; False if there is none."""
        ...

    async def record(self, tried: EndpointMessage, now: int, *, succeeded: bool | None) -> int | None:
        """Write what became of a message, its body included the first time. `succeeded` says what a try came to, None
        if there was none. After a failed one: since when every try of the endpoint has failed."""
        ...

    async def drop_messages(self, workspace: str, endpoint: str, limit: int) -> int:
        """Remove messages of an endpoint; how many."""
        ...

    async def prune_messages(self, workspace: str, before: str, limit: int) -> int:
        """Remove messages below an id that are not to be sent any more, oldest first; how many."""
        ...

    async def due_endpoints(self, now: int, after: str | None, limit: int) -> list[str]:
        """Endpoints of all workspaces, by id after one, that have messages to be sent now."""
        ...

    async def due_messages(self, endpoint: str, now: int, limit: int) -> list[EndpointMessage]:
        """What is to be sent to an endpoint now, the longest due first."""
        ...

    async def next(self, after: int) -> int | None:
        """When the next message is due after a time, in epoch ms."""
        ...

    def watch(self, emitted: Callable[[], None]) -> None:
        """`emitted` is called on the event loop after every commit that told endpoints of something."""
        ...
