"""A run as it is right after its start."""

from stepwell.states import RunState
from stepwell.store import Loaded, NewRun, Run


def newborn(new: NewRun) -> Loaded:
    """What loading a run would give right after its start."""
    run = Run(
        workspace=new.workspace,
        id=new.id,
        workflow=new.workflow,
        version=new.version,
        state=RunState.PENDING,
        trigger=new.trigger,
        waits_on=None,
        blocked=None,
        owner=new.owner,
        epoch=1,
        signals=0,
        deaths=0,
        seq=new.seq,
        state_seq=0,
        attempt=new.attempt,
        started_at=None,
        ended_at=None,
        restarted_from=new.restarted_from,
        parent=new.parent,
        connection=new.connection,
        depth=new.depth,
        fired_by=None if new.firing is None else new.firing.trigger,
        end_user=new.end_user,
        chain=new.chain,
        mock=new.mock,
        budget=new.budget,
        over_budget=new.over_budget,
        key=new.key,
        error=None,
        input=new.input,
        trigger_data=new.trigger_data,
        carried=new.carried,
    )
    return Loaded(run, new.records, ())
