"""Approvals for tests of what is decided: stored as the walk of a run that waits would store them."""

from dataclasses import dataclass
from typing import Any

import msgspec

from live import Api, waiting
from stepwell.states import RecordStatus
from stepwell.store import Approval, Commit, Record
from stepwell.values import Json


@dataclass(frozen=True)
class Asked:
    """An approval and its run, with their ids as the API shows them."""

    api: Api
    id: str
    run: str

    @property
    def row(self) -> Json:
        """The approval as the API shows it."""
        return self.api.data("GET", f"/approvals/{self.id}")

    def link(self, approver: str) -> str:
        """An approver's link, as a path of the API."""
        url, _ = self.api.server.parts.core.approvals.links.issue(self.id[4:], approver)
        return url.partition("/api/v1")[2]


def ask(api: Api, **fields: Any) -> Asked:
    """An approval of a run that waits at `sign-off`; any of two people may decide."""
    run = api.start(api.workflow(waiting()))
    api.until(run, lambda found: found["status"] == "running" and found["stepResults"])
    return api.server.call(_asked(api, run, fields))


async def _asked(api: Api, run: str, fields: dict[str, Any]) -> Asked:
    core = api.server.parts.core
    loaded = await core.store.runs.load(api.workspace, run[4:])
    assert loaded is not None
    row = Approval(
        workspace=api.workspace,
        id=core.runs._ids.new(),
        run=loaded.run.id,
        workflow=loaded.run.workflow,
        path="sign-off",
        step="sign-off",
        status="pending",
        reason="Refund 120?",
        approvers=("ana@example.com", "bo@example.com"),
        require_all=False,
    )
    row = msgspec.structs.replace(row, **fields)
    tokens = tuple((each, core.approvals.links.issue(row.id, each)[1]) for each in row.approvers)
    seq = loaded.run.seq + 1
    record = Record(path=row.path, step=row.step, status=RecordStatus.WAITING, attempt=1, started_seq=seq, started_at=1)
    commit = Commit(
        workspace=api.workspace,
        run=row.run,
        epoch=loaded.run.epoch,
        state=loaded.run.state,
        seq=seq,
        state_seq=loaded.run.state_seq,
        records=(record,),
        approvals=(msgspec.structs.replace(row, tokens=tokens),),
    )
    assert (await core.store.runs.commit(commit)).applied
    return Asked(api, f"apr_{row.id}", run)
