"""Tasks: work that runs hand to workers outside, which claim it for a time and deliver; people accept it. Source:
AITasker contract 8."""

import hashlib
import secrets
import string

import msgspec

from stepwell import values
from stepwell.auth import mask_encoded, mask_text
from stepwell.clock import Clock
from stepwell.engine import Engine
from stepwell.errors import Fault, InvalidState, NotFound, PayloadTooLarge, ValidationFailed
from stepwell.states import TaskStatus
from stepwell.store import Store, Task, TaskChange, TaskClaim, TaskDelivery, TaskFailure, TaskVerdict
from stepwell.values import Json

NOT_HELD = "Claim is not held"
SHORTEST_LEASE_S, LONGEST_LEASE_S = 30, 3600
LARGEST_OUTPUT = 256 * 1024
LONGEST_WAIT_S = 30

_ALPHABET = string.ascii_letters + string.digits


class Claimed(msgspec.Struct, frozen=True):
    """A task that a worker holds, and the token that says so; the token is shown once."""

    task: Task
    token: str


class Tasks:
    """The use cases on tasks. What they give is masked as it may be shown, and has no hash of a token."""

    def __init__(self, store: Store, engine: Engine, clock: Clock) -> None:
        self._store = store.tasks
        self._engine = engine
        self._clock = clock

    async def page(
        self, workspace: str, *, status: str | None = None, limit: int = 50, offset: int = 0
    ) -> tuple[list[Task], int]:
        """Tasks, of one status or all, newest first, without template and input; and how many there are in all.

        Raises:
            ValidationFailed: no such status.
        """
        if status is not None and status not in set(TaskStatus):
            raise ValidationFailed("Invalid request", [Fault(("status",), f"Unknown status: {status}"[:100])])
        wanted = None if status is None else TaskStatus(status)
        found, total = await self._store.page(workspace, status=wanted, offset=offset, limit=limit)
        return [shown_task(task) for task in found], total

    async def get(self, workspace: str, task: str) -> Task:
        """One task. Raises NotFound."""
        return shown_task(_found(await self._store.get(workspace, task)))

    async def claim(
        self, workspace: str, worker: str, types: tuple[str, ...] | None = None, lease_s: int = 300, wait_s: float = 0
    ) -> Claimed | None:
        """Take the oldest open task, of one of these types if any are named, for `lease_s` seconds. If there is none,
        wait up to `wait_s` seconds for one; None if there still is none.

        Raises:
            ValidationFailed: a lease that is too short or too long.
        """
        lease_ms = _lease_ms(lease_s)
        token = "ct_" + "".join(secrets.choice(_ALPHABET) for _ in range(32))
        until = self._clock.monotonic() + min(wait_s, LONGEST_WAIT_S)
        with self._engine.watchers.watch(workspace) as opened:
            while True:
                opened.clear()  # before looking: what opens from now on ends the wait
                now = self._clock.now_ms()
                wanted = TaskClaim(worker=worker, types=types, token=_hash(token), lease_until=now + lease_ms, now=now)
                change = await self._store.claim(workspace, wanted)
                self._engine.reached(change.reached)
                if change.task is not None:
                    self._engine.timers.note(wanted.lease_until)
                    return Claimed(shown_task(change.task), token)
                left_s = until - self._clock.monotonic()
                if left_s <= 0 or self._engine.stopping:
                    return None
                await self._clock.wait(opened, left_s)

    async def heartbeat(self, workspace: str, task: str, token: str, lease_s: int = 300) -> int:
        """Hold a claimed task for `lease_s` seconds from now; the new end of the lease in epoch ms.

        Raises:
            NotFound, InvalidState (`Claim is not held`), ValidationFailed (a lease that is too short or too long).
        """
        now = self._clock.now_ms()
        lease_until = now + _lease_ms(lease_s)
        if not await self._store.heartbeat(workspace, task, _hash(token), lease_until, now):
            _found(await self._store.get(workspace, task))
            raise InvalidState(NOT_HELD)
        self._engine.timers.note(lease_until)
        return lease_until

    async def complete(
        self,
        workspace: str,
        task: str,
        token: str,
        output: dict[str, Json],
        *,
        cost: int | None = None,
        score: int | None = None,
    ) -> Task:
        """Deliver; stored before this returns. The same token again gets the task as it is by then.

        Raises:
            NotFound, InvalidState (`Claim is not held`), PayloadTooLarge, ValidationFailed (the output is no object).
        """
        if not isinstance(output, dict):
            raise ValidationFailed("Invalid request", [Fault(("output",), "Expected object")])
        raw = values.encode(output)
        if len(raw) > LARGEST_OUTPUT:
            raise PayloadTooLarge(LARGEST_OUTPUT, "Output")
        hash = _hash(token)
        delivery = TaskDelivery(token=hash, output=raw, cost=cost, score=score, now=self._clock.now_ms())
        change = await self._store.complete(workspace, task, delivery)
        found = _found(change.task)
        delivered = found.status in (TaskStatus.REVIEW, TaskStatus.ACCEPTED)
        if not change.changed and not (delivered and found.token == hash):
            raise InvalidState(NOT_HELD)
        return self._told(change)

    async def fail(
        self, workspace: str, task: str, token: str, message: str, *, retryable: bool = True, cost: int | None = None
    ) -> Task:
        """Give a claimed task up: it is open again, or fails.

        Raises:
            NotFound, InvalidState (`Claim is not held`).
        """
        failure = TaskFailure(
            token=_hash(token), message=message, retryable=retryable, cost=cost, now=self._clock.now_ms()
        )
        change = await self._store.fail(workspace, task, failure)
        _found(change.task)
        if not change.changed:
            raise InvalidState(NOT_HELD)
        return self._told(change)

    async def accept(self, workspace: str, task: str, by: str) -> Task:
        """Take a delivery as the result of its step; `by` is the id of the key that decides.

        Raises:
            NotFound, InvalidState (nothing is delivered, or it is decided).
        """
        return await self._decide(workspace, task, accepted=True, by=by, reason=None)

    async def reject(self, workspace: str, task: str, by: str, reason: str | None = None) -> Task:
        """Refuse a delivery: the task is open again, or fails.

        Raises:
            NotFound, InvalidState (nothing is delivered, or it is decided).
        """
        return await self._decide(workspace, task, accepted=False, by=by, reason=reason)

    async def _decide(self, workspace: str, task: str, *, accepted: bool, by: str, reason: str | None) -> Task:
        verdict = TaskVerdict(accepted=accepted, by=by, reason=reason, now=self._clock.now_ms())
        change = await self._store.decide(workspace, task, verdict)
        found = _found(change.task)
        if not change.changed:
            raise InvalidState(f"Task is {found.status}")
        return self._told(change)

    def _told(self, change: TaskChange) -> Task:
        """Wake whom a change concerns: its run, or workers that wait for an open task."""
        self._engine.reached(change.reached)
        task = _found(change.task)
        if task.status is TaskStatus.OPEN:
            self._engine.watchers.wake(task.workspace)
        return shown_task(task)


def shown_task(task: Task) -> Task:
    """A task as it may be shown."""
    return msgspec.structs.replace(
        task,
        title=mask_text(task.title),
        description=None if task.description is None else mask_text(task.description),
        template=mask_encoded(task.template),
        input=mask_encoded(task.input),
        output=None if task.output is None else mask_encoded(task.output),
        error=None if task.error is None else mask_encoded(task.error),
        token=None,
    )


def _found(task: Task | None) -> Task:
    if task is None:
        raise NotFound("Task not found")
    return task


def _lease_ms(lease_s: int) -> int:
    if not SHORTEST_LEASE_S <= lease_s <= LONGEST_LEASE_S:
        message = f"Expected {SHORTEST_LEASE_S} to {LONGEST_LEASE_S} seconds"
        raise ValidationFailed("Invalid request", [Fault(("lease_seconds",), message)])
    return lease_s * 1000


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
