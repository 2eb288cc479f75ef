"""What a store offers of the log of triggers; see store.port for the rules of all verbs."""

from typing import Protocol

from stepwell.store.rows_invocations import Invocation, InvocationFilter


class Invocations(Protocol):
    """What triggers were called on for, read only."""

    async def page(self, wanted: InvocationFilter) -> tuple[list[Invocation], int]:
        """A page, newest first, and how many pass the filter in all."""
        ...
