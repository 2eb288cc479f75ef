"""Why a run does not go on, in one sentence."""

import msgspec
import pytest

from stepwell.core.waiting import waiting_for
from stepwell.states import FINAL, RecordStatus, RunState
from stepwell.store import Approval, Loaded, Record, Run, Timer
from stepwell.values import encode

DUE = 1_705_314_600_000
WHEN = "2024-01-15T10:30:00.000Z"
RUN = Run(
    workspace="w",
    id="r",
    workflow="f",
    version=1,
    state=RunState.RUNNING,
    trigger="api",
    waits_on=None,
    blocked=None,
    owner=None,
    epoch=1,
    signals=0,
    deaths=0,
    seq=1,
    state_seq=1,
    attempt=1,
    started_at=1,
    ended_at=None,
    restarted_from=None,
    parent=None,
    connection=None,
    error=None,
)


def waiting(path: str, data: dict[str, object] | None = None, status: RecordStatus = RecordStatus.WAITING) -> Record:
    raw = None if data is None else encode(data)
    return Record(path=path, step=path, status=status, attempt=1, started_seq=1, data=raw)


def loaded(*records: Record, timers: tuple[Timer, ...] = (), approvals: tuple[Approval, ...] = ()) -> Loaded:
    return Loaded(RUN, records, timers, (), approvals)


def of_state(state: RunState, blocked: str | None = None) -> Loaded:
    run = msgspec.structs.replace(RUN, state=state, blocked=blocked)
    return Loaded(run, (waiting("nap"),), (Timer("nap", "wait", DUE),))


def approval(path: str = "ask", **fields: object) -> Approval:
    asked = Approval(
        workspace="w",
        id="a",
        run="r",
        workflow="f",
        path=path,
        step=path,
        status="pending",
        reason="?",
        approvers=("ana", "bo"),
        require_all=False,
        expires_at=DUE,
    )
    return msgspec.structs.replace(asked, **fields)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [("wait", f"Step nap waits until {WHEN}"), ("retry", f"Step nap failed and is tried again at {WHEN}")],
)
def test_a_timer_is_told_with_its_time(kind: str, sentence: str) -> None:
    assert waiting_for(loaded(waiting("nap"), timers=(Timer("nap", kind, DUE),))) == sentence


@pytest.mark.parametrize(("timers", "until"), [((), ""), ((Timer("hook", "event", DUE),), f" until {WHEN}")])
def test_an_event_is_told_with_its_type_and_limit(timers: tuple[Timer, ...], until: str) -> None:
    told = waiting_for(loaded(waiting("hook", {"event": "paid", "due": None}), timers=timers))

    assert told == f"Step hook waits for an event of type paid{until}"


def test_another_run_is_told_with_its_id() -> None:
    told = waiting_for(loaded(waiting("sub", {"child": "x1"}), timers=(Timer("sub", "child", DUE),)))

    assert told == f"Step sub waits for the run run_x1 until {WHEN}"


@pytest.mark.parametrize(("all_of", "who"), [(False, "ana or bo"), (True, "ana and bo")])
def test_an_approval_is_told_with_who_may_or_must_give_it(all_of: bool, who: str) -> None:
    told = waiting_for(loaded(waiting("ask"), approvals=(approval(require_all=all_of),)))

    assert told == f"Step ask waits for an approval by {who} until {WHEN}"


def test_who_has_decided_is_not_waited_for() -> None:
    asked = approval(require_all=True, decisions=b'[{"approver":"ana","decision":"approve"}]')

    assert (
        waiting_for(loaded(waiting("ask"), approvals=(asked,))) == f"Step ask waits for an approval by bo until {WHEN}"
    )


def test_of_many_approvers_some_are_named() -> None:
    asked = approval(approvers=tuple("abcdefg"), expires_at=None)

    told = waiting_for(loaded(waiting("ask"), approvals=(asked,)))

    assert told == "Step ask waits for an approval by a or b or c or d or e or 2 more"


def test_an_approval_that_is_decided_is_not_waited_for() -> None:
    assert waiting_for(loaded(waiting("ask"), approvals=(approval(status="approved"),))) is None


def test_of_several_steps_the_one_that_waits_for_somebody_is_told_of() -> None:
    steps = (waiting("nap"), waiting("ask"), waiting("hook", {"event": "paid"}))

    told = waiting_for(loaded(*steps, timers=(Timer("nap", "wait", DUE),), approvals=(approval(),)))

    assert told == f"Step ask waits for an approval by ana or bo until {WHEN}, and 2 more steps wait"


def test_what_runs_is_not_waited_for() -> None:
    assert waiting_for(loaded(waiting("send", {"event": "x"}, RecordStatus.RUNNING))) is None


def test_a_paused_run_says_so_whatever_it_waits_for() -> None:
    assert waiting_for(of_state(RunState.PAUSED)) == "The run is paused"


def test_a_blocked_run_says_so() -> None:
    told = waiting_for(of_state(RunState.PENDING, "concurrency"))

    assert told == "The run waits for a place under its workflow's limit of concurrent runs"


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_final_run_waits_for_nothing(state: RunState) -> None:
    assert waiting_for(of_state(state)) is None
