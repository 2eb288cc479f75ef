"""What may become of a task: each change as a function of the row, the same for every store. Source: AITasker contract
8.1."""

import msgspec

from stepwell import values
from stepwell.states import TASK_TRANSITIONS, TaskStatus
from stepwell.store.rows_tasks import Task, TaskClaim, TaskDelivery, TaskFailure, TaskVerdict

LEASE_ENDED = "The lease ended without a delivery"
OUT_OF_TIME = values.encode({"code": "TASK_FAILED", "message": "The task was not done in time"})


def claimed(task: Task, claim: TaskClaim) -> Task:
    """An open task, held by a worker."""
    return _moved(
        task,
        TaskStatus.CLAIMED,
        claim.now,
        worker=claim.worker,
        token=claim.token,
        lease_until=claim.lease_until,
        claimed_at=claim.now,
        started_at=task.started_at or claim.now,
    )


def held_by(task: Task, token: bytes, now: int) -> bool:
    """Whether a token holds a claim whose lease goes on."""
    return task.status is TaskStatus.CLAIMED and task.token == token and (task.lease_until or 0) > now


def prolonged(task: Task, lease_until: int, now: int) -> Task:
    """A claimed task that is held for longer."""
    return msgspec.structs.replace(task, lease_until=lease_until, updated_at=now)


def delivered(task: Task, delivery: TaskDelivery) -> Task:
    """A claimed task with what was delivered: accepted, or to be reviewed. The cost of the delivery is added."""
    spent = task.cost + (task.declared if delivery.cost is None else delivery.cost)
    given = {"output": delivery.output, "score": delivery.score, "cost": spent, "lease_until": None}
    if task.passes(delivery.score, spent):
        ends = {"approved_at": delivery.now, "completed_at": delivery.now}
        return _moved(task, TaskStatus.ACCEPTED, delivery.now, **given, **ends)
    return _moved(task, TaskStatus.REVIEW, delivery.now, **given)


def given_up(task: Task, failure: TaskFailure) -> Task:
    """A claimed task whose worker gives up."""
    spent = msgspec.structs.replace(task, cost=task.cost + (failure.cost or 0))
    return released(spent, failure.message, failure.now, retryable=failure.retryable)


def decided(task: Task, verdict: TaskVerdict) -> Task:
    """A reviewed task that somebody accepts or rejects."""
    by = {"approved_by": verdict.by, "approved_at": verdict.now}
    if verdict.accepted:
        return _moved(task, TaskStatus.ACCEPTED, verdict.now, completed_at=verdict.now, **by)
    reason = f": {verdict.reason}" if verdict.reason else ""
    rejected = msgspec.structs.replace(task, output=None, score=None, reject_reason=verdict.reason, **by)
    return released(rejected, f"The delivery was rejected{reason}", verdict.now)


def released(task: Task, message: str, now: int, *, retryable: bool = True) -> Task:
    """A claim that ends without a result: the task is open again, or fails if no attempt is left."""
    attempts = task.attempts + 1
    error = values.encode({"code": "TASK_FAILED", "message": message[:2000]})
    ended = {"attempts": attempts, "worker": None, "token": None, "lease_until": None, "error": error}
    if retryable and attempts < task.max_attempts:
        return _moved(task, TaskStatus.OPEN, now, **ended)
    return _moved(task, TaskStatus.FAILED, now, completed_at=now, **ended)


def _moved(task: Task, status: TaskStatus, now: int, **fields: object) -> Task:
    assert status in TASK_TRANSITIONS[task.status], f"{task.status} -> {status}"
    return msgspec.structs.replace(task, status=status, updated_at=now, **fields)
