"""What a store keeps of what reaches runs from outside; see store.port for the rules of all verbs."""

from typing import Protocol

from stepwell.store.rows import Approval, Broadcast, Reached, Run, RunEvent


class Signals(Protocol):
    """What reaches runs from outside: each is stored before it is answered, and raises its run's signals."""

    async def send(
        self, workspace: str, run: str, event: RunEvent, most: int | None = None, *, once: bool = False
    ) -> Reached | None:
        """Keep an event for an open run, and tell whether an open wait of its type takes it. None if the run is final
        or unknown. With `once` an id counts once as long as the run is there, and what is told of it stays. Raises
        InvalidState if the run keeps `most` others that no step has taken."""
        ...

    async def pause(self, workspace: str, run: str, now: int) -> Reached | None:
        """An open run is paused; None if it is not open. A paused one stays so. `now` is kept as the time
        of it, and told to endpoints."""
        ...

    async def resume(self, workspace: str, run: str, now: int, budget: int | None = None) -> Reached | None:
        """A paused run may go on, with this budget if one is given; None if it is not paused. One that asked because of
        a budget goes on without it. `now` is kept as the time of it."""
        ...

    async def approval(self, workspace: str, approval: str) -> Approval | None:
        """One approval."""
        ...

    async def approval_of_token(self, hash: bytes) -> tuple[Approval, str] | None:
        """The approval and approver of a token that was not used."""
        ...

    async def approvals(self, workspace: str, *, status: str | None, before: str | None, limit: int) -> list[Approval]:
        """A page of approvals, newest first, `before` being the id after which it starts."""
        ...

    async def decide(self, decided: Approval, seen: bytes) -> Reached | None:
        """Write an approval's new decisions, status and tokens, if it is pending and its decisions are still `seen`;
        else None. Its run is signalled if the status is no longer pending."""
        ...

    async def begin(self, broadcast: Broadcast) -> None:
        """Keep an event for many runs, before the first is found."""
        ...

    async def candidates(self, broadcast: Broadcast, limit: int) -> list[Run]:
        """The next runs, with their inputs, that the event may be for: open ones, or without `match` those that wait
        for its type. Oldest first, after the broadcast's cursor."""
        ...

    async def hand_out(self, broadcast: Broadcast, runs: tuple[str, ...], cursor: str | None) -> tuple[Reached, ...]:
        """Keep the event for these runs, as far as they are open, and note how far it has come; forget the broadcast if
        there is nothing after (`cursor` None)."""
        ...

    async def broadcasts(self, limit: int) -> list[Broadcast]:
        """Broadcasts, of all workspaces, that have not come to their end."""
        ...
