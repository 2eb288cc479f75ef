"""What a store offers for lists that are counted and paged by number; see store.port for the rules of all verbs."""

from typing import Protocol

from stepwell.store.rows import Run, Workflow
from stepwell.store.rows_lists import Activity, RunCounts, RunListing, WorkflowListing


class Lists(Protocol):
    """Counted lists of workflows and runs. Counting takes time in proportion to what is counted."""

    async def workflows(self, wanted: WorkflowListing) -> tuple[list[Workflow], int]:
        """A page of workflows, and how many pass the filter in all (`before` aside)."""
        ...

    async def runs(self, wanted: RunListing) -> tuple[list[Run], int]:
        """A page of runs without their values, and how many pass the filter in all (`before` aside)."""
        ...

    async def counts(self, workspace: str, workflow: str) -> RunCounts:
        """How many runs a workflow has had."""
        ...

    async def activity(self, workspace: str, now: int) -> Activity:
        """What a workspace has done lately, `now` being in epoch ms."""
        ...
