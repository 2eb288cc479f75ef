"""What tests of runs share: runs to store, and what a walk writes about them."""

from typing import Any

import msgspec

from stepwell.ids import TimeOrderedIds
from stepwell.states import OPEN, RecordStatus, RunState
from stepwell.store import Commit, End, Loaded, NewRun, Record, Store

NOW = 1_700_000_000_000
RUNNING, COMPLETED = RunState.RUNNING, RunState.COMPLETED


class Story:
    """Runs of one workspace and workflow, walked by one incarnation."""

    def __init__(self, store: Store, ids: TimeOrderedIds, workspace: str) -> None:
        self.store = store
        self.runs = store.runs
        self.ids = ids
        self.workspace = workspace
        self.workflow = ids.new()
        self.owner = ids.new()

    def new(self, **fields: Any) -> NewRun:
        """A run that waits to be claimed."""
        run = NewRun(
            workspace=self.workspace,
            id=self.ids.new(),
            workflow=self.workflow,
            version=1,
            trigger="api",
            input=b'{"n":1}',
            owner=None,
        )
        return msgspec.structs.replace(run, **fields)

    async def start(self, **fields: Any) -> str:
        """Store a run; its id."""
        return (await self.runs.start(self.new(**fields))).run

    async def born(self, **fields: Any) -> str:
        """Store a run that is walked at once, at epoch 1."""
        return await self.start(owner=self.owner, **fields)

    def commit(self, run: str, **fields: Any) -> Commit:
        """What the walk of a run at epoch 1 writes."""
        commit = Commit(workspace=self.workspace, run=run, epoch=1, state=RUNNING, seq=1, state_seq=1, started_at=NOW)
        return msgspec.structs.replace(commit, **fields)

    async def write(self, run: str, **fields: Any) -> bool:
        """Commit; whether it was applied."""
        return (await self.runs.commit(self.commit(run, **fields))).applied

    async def finish(self, run: str, **fields: Any) -> bool:
        """Commit the end of a run."""
        return await self.write(run, **{"state": COMPLETED, "ended_at": NOW + 9, "output": b'"done"'} | fields)

    def ending(self, run: str, **fields: Any) -> End:
        """A cancel."""
        end = End(
            workspace=self.workspace,
            run=run,
            state=RunState.CANCELLED,
            now=NOW + 5,
            error=None,
            record_error=b'{"code":"CANCELLED"}',
            allowed=OPEN,
        )
        return msgspec.structs.replace(end, **fields)

    async def load(self, run: str) -> Loaded:
        """A run that exists, with its journal."""
        loaded = await self.runs.load(self.workspace, run)
        assert loaded is not None
        return loaded

    async def claimed(self, limit: int = 100, *, suspects: bool = False) -> list[str]:
        """Claim; the ids of the runs taken."""
        return [claim.run for claim in await self.runs.claim(self.owner, limit, suspects=suspects)]

    async def deaths(self, run: str, count: int) -> None:
        """Let processes die on a run, which was claimed by each."""
        for _ in range(count):
            await self.runs.claim(self.ids.new(), 100)
            await self.runs.claim(self.ids.new(), 1, suspects=True)
            await self.runs.release_dead(self.owner, 100)


def a_record(path: str, status: RecordStatus = RecordStatus.SUCCESS, seq: int = 1, **fields: Any) -> Record:
    """A record of a path; a final one ended in the next number."""
    record = Record(path=path, step=path, status=status, attempt=1, started_seq=seq, started_at=NOW)
    if status.final:
        record = msgspec.structs.replace(record, ended_seq=seq + 1, ended_at=NOW + 1)
    return msgspec.structs.replace(record, **fields)
