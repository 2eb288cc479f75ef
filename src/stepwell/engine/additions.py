"""What the next commit of a walk carries besides records and timers."""

from typing import Any

from stepwell.store import Approval, Commit, EventWait, Task


class Additions:
    """What the next commit carries besides records and timers; each is kept until a commit with it was applied."""

    __slots__ = ("approvals", "cancels", "closed", "most_tasks", "taken", "tasks", "waits")

    def __init__(self) -> None:
        self.closed: dict[str, None] = {}
        self.waits: dict[str, EventWait] = {}
        self.approvals: dict[str, Approval] = {}
        self.tasks: dict[str, Task] = {}
        self.most_tasks = 0
        self.taken: dict[str, None] = {}
        self.cancels: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self.closed or self.waits or self.approvals or self.tasks or self.taken or self.cancels)

    def fields(self) -> dict[str, Any]:
        """As fields of a commit."""
        return {
            "closed": tuple(self.closed),
            "waits": tuple(self.waits.values()),
            "approvals": tuple(self.approvals.values()),
            "tasks": tuple(self.tasks.values()),
            "most_tasks": self.most_tasks,
            "taken": tuple(self.taken),
            "cancels": tuple(self.cancels),
        }

    def forget(self, commit: Commit) -> None:
        """What a commit has carried is done, unless it has changed since."""
        for path in commit.closed:
            self.closed.pop(path, None)
        for event in commit.taken:
            self.taken.pop(event, None)
        for run in commit.cancels:
            self.cancels.pop(run, None)
        for wait in commit.waits:
            if self.waits.get(wait.path) is wait:
                del self.waits[wait.path]
        for approval in commit.approvals:
            if self.approvals.get(approval.path) is approval:
                del self.approvals[approval.path]
        for task in commit.tasks:
            if self.tasks.get(task.path) is task:
                del self.tasks[task.path]
