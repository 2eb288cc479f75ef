"""What a store offers of tasks; see store.port for the rules of all verbs."""

from typing import Protocol

import msgspec

from stepwell.states import TaskStatus
from stepwell.store.rows import Reached
from stepwell.store.rows_tasks import Task, TaskClaim, TaskDelivery, TaskFailure, TaskVerdict


class TaskChange(msgspec.Struct, frozen=True):
    """The answer of a verb on a task: the task as it is afterwards (None if there is none), whether the verb has
    changed it, and the runs that this has reached."""

    task: Task | None
    changed: bool = False
    reached: tuple[Reached, ...] = ()


class Tasks(Protocol):
    """Tasks: opened by commits of runs, claimed and done by workers, decided by people."""

    async def get(self, workspace: str, task: str) -> Task | None:
        """One task."""
        ...

    async def page(
        self, workspace: str, *, status: TaskStatus | None, offset: int, limit: int
    ) -> tuple[list[Task], int]:
        """A page of tasks, newest first, and how many there are in all."""
        ...

    async def claim(self, workspace: str, claim: TaskClaim) -> TaskChange:
        """Give the oldest open task of the wanted types to a worker, with a timer for the lease. Leases that are over
        end first, whether or not their timers have fired. No task if there is none."""
        ...

    async def heartbeat(self, workspace: str, task: str, token: bytes, lease_until: int, now: int) -> bool:
        """Move the end of a lease; False if the token holds no claim whose lease goes on."""
        ...

    async def complete(self, workspace: str, task: str, delivery: TaskDelivery) -> TaskChange:
        """Store a delivery: the task is accepted, and its run signalled, if the delivery passes; else it is to be
        reviewed. Not changed if the token holds no claim whose lease goes on."""
        ...

    async def fail(self, workspace: str, task: str, failure: TaskFailure) -> TaskChange:
        """End a claim without a result: the task is open again, or it fails, and its run is signalled. Not changed if
        the token holds no claim whose lease goes on."""
        ...

    async def decide(self, workspace: str, task: str, verdict: TaskVerdict) -> TaskChange:
        """Accept or reject what was delivered, if the task is in review. A rejected one is open again, or fails."""
        ...
