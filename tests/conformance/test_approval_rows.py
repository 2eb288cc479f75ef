"""Approvals as they are stored, decided and closed; and what commits and ends leave of all that is waited for."""

import asyncio
from hashlib import sha256

import msgspec
import pytest

from conformance.reaching import HASH, an_approval, an_event, waiting_for
from conformance.runs import NOW, Story, a_record
from stepwell.states import RecordStatus, RunState, WaitsOn
from stepwell.store import Approval, EventWait, Reached, Timer

SUSPENDED = RunState.SUSPENDED
WAITING = a_record("ask", RecordStatus.WAITING)


async def stored(story: Story, approval: Approval) -> Approval:
    found = await story.store.signals.approval(approval.workspace, approval.id)
    assert found is not None
    return found


async def asking(story: Story, **fields: object) -> Approval:
    """An approval whose run waits for it."""
    run = await story.born()
    approval = an_approval(story, run, **fields)
    await story.write(
        run, state=SUSPENDED, suspend_at=0, waits_on=WaitsOn.APPROVAL, records=(WAITING,), approvals=(approval,)
    )
    return approval


async def test_an_approval_is_stored_with_its_commit_and_loaded_while_its_step_waits(story: Story) -> None:
    approval = await asking(story)

    assert await stored(story, approval) == approval
    assert (await story.load(approval.run)).approvals == (msgspec.structs.replace(approval, tokens=()),)


async def test_an_approval_of_a_step_that_has_its_result_is_not_loaded_any_more(story: Story) -> None:
    approval = await asking(story)

    await story.write(approval.run, records=(a_record("ask"),))

    assert (await story.load(approval.run)).approvals == ()


async def test_a_refused_commit_stores_no_approval_wait_or_token(story: Story) -> None:
    run = await story.born()
    approval = an_approval(story, run)

    await story.write(run, epoch=7, approvals=(approval,), waits=(EventWait("w", "paid"),))

    assert await story.store.signals.approval(story.workspace, approval.id) is None
    assert await story.store.signals.approval_of_token(HASH) is None


async def test_an_approval_committed_again_stays_as_it_is_and_gets_the_new_tokens(story: Story) -> None:
    approval = await asking(story)
    more = ("zoe", sha256(b"zoe").digest())

    await story.write(approval.run, approvals=(msgspec.structs.replace(approval, reason="Other", tokens=(more,)),))

    found = await stored(story, approval)
    assert (found.reason, found.tokens) == (approval.reason, (("ana", HASH), more))


async def test_a_token_leads_to_its_approval_and_approver(story: Story) -> None:
    approval = await asking(story)

    assert await story.store.signals.approval_of_token(HASH) == (approval, "ana")
    assert await story.store.signals.approval_of_token(sha256(b"other").digest()) is None


async def test_a_decision_signals_the_run_and_ends_the_tokens(story: Story) -> None:
    approval = await asking(story)
    decided = msgspec.structs.replace(approval, status="approved", decisions=b'[{"approver":"ana"}]')

    reached = await story.store.signals.decide(decided, approval.decisions)

    assert reached == Reached(story.workspace, approval.run, None)
    assert await stored(story, approval) == msgspec.structs.replace(decided, tokens=())
    assert await story.store.signals.approval_of_token(HASH) is None
    assert await story.claimed() == [approval.run]


async def test_a_decision_among_several_keeps_the_others_tokens_and_does_not_signal(story: Story) -> None:
    other = ("bo", sha256(b"bo").digest())
    approval = await asking(story, tokens=(("ana", HASH), other))
    decided = msgspec.structs.replace(approval, decisions=b'[{"approver":"ana"}]', tokens=(other,))

    reached = await story.store.signals.decide(decided, approval.decisions)

    assert reached == Reached(story.workspace, approval.run, None)
    assert await stored(story, approval) == decided
    assert await story.claimed() == []


async def test_of_decisions_at_once_the_first_counts(story: Story) -> None:
    approval = await asking(story)
    decided = [
        msgspec.structs.replace(approval, status=status, decisions=b'["%s"]' % status.encode())
        for status in ("approved", "rejected")
    ]

    answers = await asyncio.gather(*(story.store.signals.decide(each, approval.decisions) for each in decided))

    assert [answer is not None for answer in answers] == [True, False]
    assert (await stored(story, approval)).status == "approved"


async def test_a_decision_on_other_decisions_than_the_stored_ones_is_refused(story: Story) -> None:
    approval = await asking(story)

    assert await story.store.signals.decide(msgspec.structs.replace(approval, status="approved"), b"[1]") is None

    assert await stored(story, approval) == approval


async def test_a_foreign_workspace_finds_and_decides_no_approval(story: Story, theirs: Story) -> None:
    approval = await asking(story)
    foreign = msgspec.structs.replace(approval, workspace=theirs.workspace, status="approved")
    signals = story.store.signals

    assert await signals.approval(theirs.workspace, approval.id) is None
    assert await signals.approvals(theirs.workspace, status=None, before=None, limit=9) == []
    assert await signals.decide(foreign, approval.decisions) is None
    assert await stored(story, approval) == approval


async def test_approvals_are_listed_newest_first_in_pages_and_by_status(story: Story) -> None:
    signals = story.store.signals
    made = [await asking(story, tokens=()) for _ in range(3)]
    await signals.decide(msgspec.structs.replace(made[1], status="rejected"), made[1].decisions)

    first = await signals.approvals(story.workspace, status=None, before=None, limit=2)
    rest = await signals.approvals(story.workspace, status=None, before=first[-1].id, limit=2)
    pending = await signals.approvals(story.workspace, status="pending", before=None, limit=9)
    rejected = await signals.approvals(story.workspace, status="rejected", before=made[1].id, limit=9)

    assert [each.id for each in (*first, *rest)] == [each.id for each in reversed(made)]
    assert pending == [made[2], made[0]]
    assert rejected == []


async def test_an_approval_whose_timer_fires_expires(story: Story) -> None:
    approval = await asking(story)
    decided = await asking(story, tokens=())
    await story.store.signals.decide(msgspec.structs.replace(decided, status="approved"), decided.decisions)
    for each in (approval, decided):
        await story.write(each.run, timers=(Timer("ask", "escalate", NOW + 1), Timer("ask", "approval", NOW + 9)))

    await story.runs.fire_timers(NOW + 1, 10, b"{}")
    assert (await stored(story, approval)).status == "pending"
    fired = await story.runs.fire_timers(NOW + 9, 10, b"{}")

    assert {each.run for each in fired} == {approval.run, decided.run}
    assert (await stored(story, approval)).status == "expired"
    assert (await stored(story, decided)).status == "approved"
    assert await story.store.signals.approval_of_token(HASH) is None


# What commits close


async def test_a_closed_path_has_no_timers_waits_or_pending_approval(story: Story) -> None:
    approval = await asking(story)
    kept = Timer("other", "wait", NOW + 5)
    waits = (EventWait("ask", "paid"), EventWait("other", "sent"))
    await story.write(approval.run, waits=waits, timers=(Timer("ask", "approval", NOW + 9), kept))

    await story.write(approval.run, closed=("ask",), records=(a_record("ask"),))

    assert (await story.load(approval.run)).timers == (kept,)
    assert (await stored(story, approval)).status == "cancelled"
    assert await story.store.signals.approval_of_token(HASH) is None
    broadcasts = [await waiting_for(story, type) for type in ("paid", "sent")]
    assert broadcasts == [[], [approval.run]]


async def test_a_decided_approval_of_a_closed_path_stays_decided(story: Story) -> None:
    approval = await asking(story)
    await story.store.signals.decide(msgspec.structs.replace(approval, status="approved"), approval.decisions)

    await story.write(approval.run, closed=("ask",))

    assert (await stored(story, approval)).status == "approved"


async def test_what_a_commit_sets_for_a_path_that_it_closes_counts(story: Story) -> None:
    run = await story.born()
    await story.write(run, timers=(Timer("ask", "retry", NOW + 1),), waits=(EventWait("ask", "paid"),))

    await story.write(run, closed=("ask",), timers=(Timer("ask", "wait", NOW + 2),), waits=(EventWait("ask", "sent"),))

    assert (await story.load(run)).timers == (Timer("ask", "wait", NOW + 2),)
    assert [await waiting_for(story, type) for type in ("paid", "sent")] == [[], [run]]


@pytest.mark.parametrize("how", ["finish", "end", "timeout"])
async def test_a_run_that_ends_waits_for_nothing_any_more(story: Story, how: str) -> None:
    approval = await asking(story)
    run = approval.run
    await story.store.signals.send(story.workspace, run, an_event(story))
    await story.write(run, waits=(EventWait("w", "paid"),), timers=(Timer("", "timeout", NOW + 1),))

    if how == "finish":
        await story.finish(run)
    elif how == "end":
        await story.runs.end(story.ending(run))
    else:
        await story.runs.fire_timers(NOW + 1, 10, b"{}")

    loaded = await story.load(run)
    assert loaded.run.state.final
    assert (loaded.timers, loaded.events, await waiting_for(story, "paid")) == ((), (), [])
    assert (await stored(story, approval)).status == "cancelled"
    assert await story.store.signals.approval_of_token(HASH) is None


async def test_a_removed_run_takes_its_approvals_with_it(story: Story) -> None:
    approval = await asking(story)
    await story.finish(approval.run)

    await story.runs.delete(story.workspace, approval.run)

    assert await story.store.signals.approval(story.workspace, approval.id) is None


async def test_a_look_gives_what_has_reached_a_run_without_its_records(story: Story, theirs: Story) -> None:
    approval = await asking(story)
    await story.store.signals.send(story.workspace, approval.run, an_event(story))
    await story.write(approval.run, timers=(Timer("t", "wait", NOW + 1),))
    loaded = await story.load(approval.run)

    look = await story.runs.look(story.workspace, approval.run)

    assert look == msgspec.structs.replace(loaded, records=(), run=msgspec.structs.replace(loaded.run, input=b"{}"))
    assert await story.runs.look(theirs.workspace, approval.run) is None
